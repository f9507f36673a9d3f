/* SPDX-License-Identifier: BSD-2-Clause */
/* The high precision event timers: one counter, three comparators (IA-PC HPET specification 1.0a, chapter 2). */
#include "hpet.h"

#include <stddef.h>

enum {
    CAPABILITIES = 0x000,
    CONFIG = 0x010,
    STATUS = 0x020,
    COUNTER = 0x0f0,
    TIMER = 0x100, /* and every 20H: configuration, comparator, FSB route */

    ENABLED = 1 << 0, /* of CONFIG; no legacy replacement, bit 1 */

    /* A timer's configuration (2.3.8). */
    LEVEL = 1 << 1,
    INTERRUPTS = 1 << 2,
    PERIODIC = 1 << 3,
    CAN_BE_PERIODIC = 1 << 4,
    CAN_BE_64_BITS = 1 << 5,
    SET_VALUE = 1 << 6,
    IS_32_BITS = 1 << 8,
    WRITABLE = 0x3f4e,
    ROUTE_SHIFT = 9,
};

/* Any of the pins 16 to 23 of the I/O APIC. */
#define ROUTES UINT64_C(0x00ff0000)

void hpet_reset(struct hpet *hpet)
{
    *hpet = (struct hpet){.set_pin = hpet->set_pin, .opaque = hpet->opaque};
    for (unsigned n = 0; n < HPET_TIMERS; n++)
        hpet->timer[n] =
            (struct hpet_timer){.config = ROUTES << 32 | CAN_BE_64_BITS | CAN_BE_PERIODIC, .comparator = UINT64_MAX};
}

static bool is_running(const struct hpet *hpet)
{
    return hpet->config & ENABLED;
}

static uint64_t counter(const struct hpet *hpet, uint64_t now)
{
    return hpet->counter + (is_running(hpet) ? (now - hpet->start) / HPET_PERIOD_NS : 0);
}

/* --- comparators -------------------------------------------------------------------------------------------------- */

static uint64_t mask_of(const struct hpet_timer *timer)
{
    return timer->config & IS_32_BITS ? UINT32_MAX : UINT64_MAX;
}

/* Ticks from when the matches had been seen to the next match: 1 or more; all 64 bits around, never. */
static uint64_t ticks_to_match(const struct hpet *hpet, unsigned n)
{
    const struct hpet_timer *timer = &hpet->timer[n];
    uint64_t ticks = (timer->comparator - hpet->seen[n]) & mask_of(timer);

    return ticks != 0 || !(timer->config & IS_32_BITS) ? ticks : UINT64_C(1) << 32;
}

/* The counter's value at the next match; false when that is never: the counter doesn't wrap in a machine's life. */
static bool next_match(const struct hpet *hpet, unsigned n, uint64_t *at)
{
    uint64_t ticks = ticks_to_match(hpet, n);

    *at = hpet->seen[n] + ticks;
    return ticks != 0 && *at > hpet->seen[n];
}

static void drive_pin(struct hpet *hpet, unsigned n, bool active)
{
    unsigned pin = hpet->timer[n].config >> ROUTE_SHIFT & 31;

    if (hpet->set_pin != NULL && ROUTES >> pin & 1)
        hpet->set_pin(hpet->opaque, pin, active);
}

static void update_pin(struct hpet *hpet, unsigned n)
{
    uint64_t config = hpet->timer[n].config;

    drive_pin(hpet, n, config & LEVEL && config & INTERRUPTS && hpet->status >> n & 1);
}

/* A match: a level-triggered timer holds its pin until the status is cleared, others give an edge. */
static void signal(struct hpet *hpet, unsigned n)
{
    uint64_t config = hpet->timer[n].config;

    if (config & LEVEL)
        hpet->status |= UINT64_C(1) << n;
    else if (config & INTERRUPTS)
        drive_pin(hpet, n, true);
    update_pin(hpet, n);
}

/* Periods that have gone by unseen are one interrupt; the comparator then holds the next match (2.3.9.2.2). */
static void advance(struct hpet_timer *timer, uint64_t reached, uint64_t match)
{
    if (!(timer->config & PERIODIC) || timer->period == 0)
        return;
    timer->comparator = (match + ((reached - match) / timer->period + 1) * timer->period) & mask_of(timer);
}

void hpet_run(struct hpet *hpet, uint64_t now)
{
    uint64_t reached = counter(hpet, now), match;

    if (!is_running(hpet))
        return;
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        if (next_match(hpet, n, &match) && match <= reached) {
            advance(&hpet->timer[n], reached, match);
            hpet->seen[n] = reached;
            signal(hpet, n);
        }
        hpet->seen[n] = reached;
    }
}

uint64_t hpet_next(const struct hpet *hpet)
{
    uint64_t next = UINT64_MAX, match;

    for (unsigned n = 0; is_running(hpet) && n < HPET_TIMERS; n++) {
        uint64_t at;

        if (!(hpet->timer[n].config & INTERRUPTS) || !next_match(hpet, n, &match) ||
            match - hpet->counter > UINT64_MAX / HPET_PERIOD_NS - hpet->start)
            continue;
        at = hpet->start + (match - hpet->counter) * HPET_PERIOD_NS;
        next = at < next ? at : next;
    }
    return next;
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static uint64_t read_timer(const struct hpet_timer *timer, unsigned offset)
{
    switch (offset) {
    case 0x00:
        return timer->config;
    case 0x08:
        return timer->comparator & mask_of(timer);
    default: /* no FSB messages */
        return 0;
    }
}

uint64_t hpet_read(const struct hpet *hpet, unsigned offset, uint64_t now)
{
    switch (offset) {
    case CAPABILITIES:
        return (uint64_t)HPET_PERIOD_NS * 1000000 << 32 | HPET_ID;
    case CONFIG:
        return hpet->config;
    case STATUS:
        return hpet->status;
    case COUNTER:
        return counter(hpet, now);
    default:
        if (offset < TIMER || offset >= TIMER + HPET_TIMERS * 0x20)
            return 0;
        return read_timer(&hpet->timer[(offset - TIMER) / 0x20], offset & 0x1f);
    }
}

/* Stopping keeps the counter, starting goes on from it. */
static void write_config(struct hpet *hpet, uint64_t value, uint64_t now)
{
    hpet->counter = counter(hpet, now);
    hpet->start = now;
    hpet->config = value & ENABLED;
}

/* Only written while it stands (2.3.7). */
static void write_counter(struct hpet *hpet, uint64_t value)
{
    if (is_running(hpet))
        return;
    hpet->counter = value;
    for (unsigned n = 0; n < HPET_TIMERS; n++)
        hpet->seen[n] = value;
}

/* In periodic mode a write sets the period, and the comparator itself only with "set value" (2.3.9.2.2). */
static void write_comparator(struct hpet_timer *timer, uint64_t value, uint64_t mask)
{
    if (timer->config & PERIODIC)
        timer->period = ((timer->period & ~mask) | (value & mask)) & mask_of(timer);
    if (!(timer->config & PERIODIC) || timer->config & SET_VALUE)
        timer->comparator = ((timer->comparator & ~mask) | (value & mask)) & mask_of(timer);
    timer->config &= ~(uint64_t)SET_VALUE;
}

static void write_timer(struct hpet *hpet, unsigned n, unsigned offset, uint64_t value, uint64_t mask)
{
    struct hpet_timer *timer = &hpet->timer[n];
    uint64_t writable = mask & WRITABLE;

    if (offset == 0x08) {
        write_comparator(timer, value, mask);
    } else if (offset == 0x00) {
        drive_pin(hpet, n, false);
        timer->config = (timer->config & ~writable) | (value & writable);
        update_pin(hpet, n);
    }
}

void hpet_write(struct hpet *hpet, unsigned offset, uint64_t value, uint64_t mask, uint64_t now)
{
    hpet_run(hpet, now);
    switch (offset) {
    case CONFIG:
        write_config(hpet, (hpet->config & ~mask) | (value & mask), now);
        break;
    case STATUS: /* ones clear */
        hpet->status &= ~(value & mask);
        for (unsigned n = 0; n < HPET_TIMERS; n++)
            update_pin(hpet, n);
        break;
    case COUNTER:
        write_counter(hpet, (hpet->counter & ~mask) | (value & mask));
        break;
    default:
        if (offset >= TIMER && offset < TIMER + HPET_TIMERS * 0x20)
            write_timer(hpet, (offset - TIMER) / 0x20, offset & 0x1f, value, mask);
        break;
    }
}
