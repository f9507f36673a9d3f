/* SPDX-License-Identifier: BSD-2-Clause */
/* The 8254 interval timer (Intel 8254 data sheet): channel 0 interrupts, channel 2 is seen through port 61H. */
#include "machine.h"

enum {
    LOW = 1,
    HIGH = 2,
    BOTH = 3,
    CONTROL = 0x43,
    SPEAKER = 0x61,
};

void pit_reset(struct pit *pit)
{
    *pit = (struct pit){.speaker = 0};
    for (unsigned i = 0; i < 3; i++)
        pit->channel[i] = (struct pit_channel){.reload = 0x10000, .access = BOTH, .mode = 3};
}

static uint64_t to_ticks(uint64_t ns)
{
    return (uint64_t)((unsigned __int128)ns * PIT_HZ / 1000000000u);
}

/* The first nanosecond at which so many ticks have passed. */
static uint64_t to_ns(uint64_t ticks)
{
    return (uint64_t)(((unsigned __int128)ticks * 1000000000u + PIT_HZ - 1) / PIT_HZ);
}

static uint64_t elapsed(const struct machine *machine, const struct pit_channel *c)
{
    return to_ticks(machine_now(machine) - c->start);
}

static bool is_periodic(const struct pit_channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

static uint16_t count_of(const struct machine *machine, const struct pit_channel *c)
{
    uint64_t ticks = elapsed(machine, c);

    if (!c->running)
        return (uint16_t)c->reload;
    if (c->mode == 3) /* counts by twos, twice */
        return (uint16_t)(c->reload - ticks * 2 % c->reload);
    if (c->mode == 2)
        return (uint16_t)(c->reload - ticks % c->reload);
    return (uint16_t)(c->reload - ticks);
}

static bool output_of(const struct machine *machine, const struct pit_channel *c)
{
    uint64_t ticks = elapsed(machine, c);

    if (!c->running)
        return c->mode != 0;
    if (c->mode == 3)
        return ticks % c->reload < (c->reload + 1) / 2;
    if (c->mode == 2)
        return ticks % c->reload != c->reload - 1;
    return ticks >= c->reload;
}

/* --- programming -------------------------------------------------------------------------------------------------- */

static void latch(struct machine *machine, struct pit_channel *c)
{
    if (c->latched)
        return;
    c->latch = count_of(machine, c);
    c->latched = c->access;
}

static void control(struct machine *machine, uint8_t value)
{
    unsigned number = value >> 6, access = value >> 4 & 3;
    struct pit_channel *c;

    if (number == 3) { /* read-back: counts */
        for (unsigned i = 0; i < 3; i++)
            if (value & 2 << i && !(value & 0x20))
                latch(machine, &machine->pit.channel[i]);
        return;
    }
    c = &machine->pit.channel[number];
    if (access == 0) {
        latch(machine, c);
        return;
    }
    *c = (struct pit_channel){.access = (uint8_t)access, .mode = value >> 1 & 7, .reload = 0x10000};
    if (c->mode > 5)
        c->mode -= 4;
}

static void load(struct machine *machine, struct pit_channel *c, uint32_t value)
{
    c->reload = value == 0 ? 0x10000 : value;
    c->start = machine_now(machine);
    c->running = true;
    c->fired = false;
    if (c == &machine->pit.channel[0])
        machine->pit.ticks = 0;
}

static void write_count(struct machine *machine, struct pit_channel *c, uint8_t value)
{
    if (c->access == LOW) {
        load(machine, c, value);
    } else if (c->access == HIGH) {
        load(machine, c, (uint32_t)value << 8);
    } else if (!c->toggle_write) {
        c->low = value;
        c->toggle_write = 1;
    } else {
        c->toggle_write = 0;
        load(machine, c, (uint32_t)value << 8 | c->low);
    }
}

static uint8_t read_count(struct machine *machine, struct pit_channel *c)
{
    uint16_t value = c->latched ? c->latch : count_of(machine, c);
    bool high = c->access == HIGH || (c->access == BOTH && c->toggle_read);

    if (c->access == BOTH)
        c->toggle_read ^= 1;
    if (c->access != BOTH || high)
        c->latched = 0;
    return (uint8_t)(high ? value >> 8 : value);
}

uint8_t pit_read(struct machine *machine, uint16_t port)
{
    if (port == SPEAKER)
        return (uint8_t)((machine->pit.speaker & 0xf) | (machine_now(machine) / 15000 & 1) << 4 |
                         output_of(machine, &machine->pit.channel[2]) << 5);
    return port == CONTROL ? 0 : read_count(machine, &machine->pit.channel[port & 3]);
}

void pit_write(struct machine *machine, uint16_t port, uint8_t value)
{
    struct pit_channel *gated = &machine->pit.channel[2];

    if (port == SPEAKER) {
        if (value & 1 && !(machine->pit.speaker & 1))
            gated->start = machine_now(machine); /* the gate rises: counting begins again */
        machine->pit.speaker = value & 0xf;
    } else if (port == CONTROL) {
        control(machine, value);
    } else {
        write_count(machine, &machine->pit.channel[port & 3], value);
    }
}

/* --- interrupts of channel 0 -------------------------------------------------------------------------------------- */

uint64_t pit_next(const struct machine *machine)
{
    const struct pit_channel *c = &machine->pit.channel[0];

    if (!c->running || (!is_periodic(c) && c->fired))
        return UINT64_MAX;
    return c->start + to_ns(is_periodic(c) ? (machine->pit.ticks + 1) * c->reload : c->reload);
}

/* Signals what is due. Periods that were slept through are one interrupt, as on an edge-triggered line. */
void pit_run(struct machine *machine)
{
    struct pit_channel *c = &machine->pit.channel[0];

    if (pit_next(machine) > machine_now(machine))
        return;
    c->fired = true;
    machine->pit.ticks = elapsed(machine, c) / c->reload;
    machine_set_irq(machine, 0, false);
    machine_set_irq(machine, 0, true);
}
