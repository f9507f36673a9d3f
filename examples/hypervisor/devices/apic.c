/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC: priorities, vectors, messages, timer (SDM Vol. 3, chapter 10). */
#include "apic.h"

enum {
    ID = 0x20,
    VERSION = 0x30,
    TASK_PRIORITY = 0x80,
    PROCESSOR_PRIORITY = 0xa0,
    END_OF_INTERRUPT = 0xb0,
    LOGICAL = 0xd0,
    MODEL = 0xe0,
    SPURIOUS = 0xf0,
    SERVICE = 0x100,
    LEVEL = 0x180,
    REQUEST = 0x200,
    ERRORS = 0x280,
    COMMAND_LOW = 0x300,
    COMMAND_HIGH = 0x310,
    LVT = 0x320,
    INITIAL_COUNT = 0x380,
    CURRENT_COUNT = 0x390,
    DIVIDE = 0x3e0,

    ENABLED = 1 << 8, /* in SPURIOUS */
    MASKED = 1 << 16,
    TIMER_MODE = 3 << 17,
    ONE_SHOT = 0 << 17,
    PERIODIC = 1 << 17,
    TSC_DEADLINE = 2 << 17,

    ERROR_SENT_VECTOR = 1 << 5,
    ERROR_RECEIVED_VECTOR = 1 << 6,
    ERROR_REGISTER = 1 << 7,

    BASE_BOOTSTRAP = 1 << 8,
    BASE_ENABLED = 1 << 11,
};

void apic_reset(struct apic *apic, uint8_t id, bool bootstrap)
{
    *apic = (struct apic){.base = APIC_BASE | BASE_ENABLED | (bootstrap ? BASE_BOOTSTRAP : 0),
                          .id = id,
                          .model = 0xf,
                          .spurious = 0xff,
                          .due = UINT64_MAX};
    for (unsigned i = 0; i < APIC_LVTS; i++)
        apic->lvt[i] = MASKED;
}

void apic_set_virtual_wire(struct apic *apic)
{
    apic->spurious |= ENABLED;
    apic->lvt[APIC_LVT_LINT0] = APIC_EXTINT << 8;
    apic->lvt[APIC_LVT_LINT1] = APIC_NMI << 8;
}

static bool enabled(const struct apic *apic)
{
    return apic->base & BASE_ENABLED && apic->spurious & ENABLED;
}

/* Turned off and on again, it is as after reset (10.4.3). Its address stays what it is. */
void apic_set_base(struct apic *apic, uint64_t value)
{
    if (apic->base & BASE_ENABLED && !(value & BASE_ENABLED))
        apic_reset(apic, apic->id, apic->base & BASE_BOOTSTRAP);
    apic->base = (apic->base & ~(uint64_t)BASE_ENABLED) | (value & BASE_ENABLED);
}

/* --- sets of 256 vectors ------------------------------------------------------------------------------------------ */

static void set_bit(uint32_t set[8], uint8_t vector, bool value)
{
    uint32_t bit = UINT32_C(1) << (vector & 31);

    set[vector / 32] = value ? set[vector / 32] | bit : set[vector / 32] & ~bit;
}

static bool get_bit(const uint32_t set[8], uint8_t vector)
{
    return set[vector / 32] >> (vector & 31) & 1;
}

/* The highest vector in the set; 0, which is never in one, when it is empty. */
static uint8_t highest(const uint32_t set[8])
{
    for (unsigned word = 8; word-- > 0;)
        if (set[word] != 0)
            return (uint8_t)(word * 32 + 31 - (unsigned)__builtin_clz(set[word]));
    return 0;
}

/* --- priorities --------------------------------------------------------------------------------------------------- */

/* 10.8.3.1 */
uint8_t apic_priority(const struct apic *apic)
{
    uint8_t service = highest(apic->service);

    return apic->task_priority >> 4 >= service >> 4 ? apic->task_priority : service & 0xf0;
}

bool apic_pending(const struct apic *apic)
{
    return enabled(apic) && highest(apic->request) >> 4 > apic_priority(apic) >> 4;
}

uint8_t apic_acknowledge(struct apic *apic)
{
    uint8_t vector = highest(apic->request);

    if (!apic_pending(apic))
        return (uint8_t)apic->spurious;
    set_bit(apic->request, vector, false);
    set_bit(apic->service, vector, true);
    return vector;
}

bool apic_takes_extint(const struct apic *apic)
{
    uint32_t lint0 = apic->lvt[APIC_LVT_LINT0];

    if (!(apic->base & BASE_ENABLED)) /* LINT0 is the processor's INTR pin then (10.4.3) */
        return apic->base & BASE_BOOTSTRAP;
    return enabled(apic) && !(lint0 & MASKED) && (lint0 >> 8 & 7) == APIC_EXTINT;
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static void note_error(struct apic *apic, uint32_t error);

static void accept_vector(struct apic *apic, uint8_t vector, bool level)
{
    if (!enabled(apic))
        return;
    if (vector < 16) {
        note_error(apic, ERROR_RECEIVED_VECTOR);
        return;
    }
    set_bit(apic->request, vector, true);
    set_bit(apic->level, vector, level);
}

/* A local source: timer, error. */
static void raise_local(struct apic *apic, enum apic_lvt source)
{
    uint32_t lvt = apic->lvt[source];

    if (lvt & MASKED)
        return;
    if ((lvt >> 8 & 7) == APIC_NMI)
        apic->nmi = true;
    else
        accept_vector(apic, (uint8_t)lvt, false);
}

/* An illegal vector in the error's own LVT adds to the errors, but interrupts no more. */
static void note_error(struct apic *apic, uint32_t error)
{
    bool is_new = !(apic->errors & error);

    apic->errors |= error;
    if (is_new && (apic->lvt[APIC_LVT_ERROR] & 0xff) >= 16)
        raise_local(apic, APIC_LVT_ERROR);
}

/* 10.6.2: physical IDs, the flat model, and the flat cluster model. */
bool apic_is_addressed(const struct apic *apic, const struct apic_message *message)
{
    uint8_t to = message->destination, me = apic->logical_id;

    if (to == 0xff)
        return true;
    if (!message->logical)
        return to == apic->id;
    if (apic->model == 0xf)
        return to & me;
    return to >> 4 == me >> 4 && to & me & 0xf;
}

void apic_accept(struct apic *apic, const struct apic_message *message)
{
    switch (message->delivery) {
    case APIC_FIXED:
    case APIC_LOWEST_PRIORITY:
        accept_vector(apic, message->vector, message->level);
        break;
    case APIC_NMI:
        apic->nmi = true;
        break;
    case APIC_INIT:
        apic->init = true;
        apic->startup = false;
        break;
    case APIC_STARTUP:
        apic->startup = true;
        apic->startup_page = message->vector;
        break;
    default: /* no system management mode; ExtINT comes by the 8259's own wire */
        break;
    }
}

/* 10.6.1. INIT with level de-assert is for processors of the past: nothing happens. */
static struct apic_result send(struct apic *apic)
{
    uint32_t low = apic->command[0];
    struct apic_message message = {.destination = (uint8_t)(apic->command[1] >> 24),
                                   .delivery = low >> 8 & 7,
                                   .vector = (uint8_t)low,
                                   .logical = low >> 11 & 1};
    struct apic_result result = {.send = true, .message = message, .shorthand = low >> 18 & 3};
    bool has_vector = message.delivery == APIC_FIXED || message.delivery == APIC_LOWEST_PRIORITY;

    if (has_vector && message.vector < 16) {
        note_error(apic, ERROR_SENT_VECTOR);
        result.send = false;
    }
    if (message.delivery == APIC_INIT && !(low >> 14 & 1))
        result.send = false;
    return result;
}

/* --- timer -------------------------------------------------------------------------------------------------------- */

static unsigned divisor(const struct apic *apic)
{
    unsigned code = (apic->divide & 3) | (apic->divide >> 1 & 4);

    return 1u << ((code + 1) & 7);
}

static bool counts(const struct apic *apic)
{
    return (apic->lvt[APIC_LVT_TIMER] & TIMER_MODE) != TSC_DEADLINE;
}

static uint64_t period(const struct apic *apic)
{
    return (uint64_t)apic->initial_count * divisor(apic);
}

static uint32_t current_count(const struct apic *apic, uint64_t now)
{
    if (!counts(apic) || apic->due == UINT64_MAX || now >= apic->due)
        return 0;
    return (uint32_t)((apic->due - now + divisor(apic) - 1) / divisor(apic));
}

static void start_count(struct apic *apic, uint32_t count, uint64_t now)
{
    apic->due = count == 0 ? UINT64_MAX : now + (uint64_t)count * divisor(apic);
}

/* The time-stamp counter counts nanoseconds here, as the timer does. */
void apic_set_deadline(struct apic *apic, uint64_t tsc)
{
    if (counts(apic))
        return;
    apic->deadline = tsc;
    apic->due = tsc == 0 ? UINT64_MAX : tsc;
}

uint64_t apic_next(const struct apic *apic)
{
    return apic->lvt[APIC_LVT_TIMER] & MASKED || !enabled(apic) ? UINT64_MAX : apic->due;
}

/* Periods that have gone by unseen are one interrupt. */
void apic_run(struct apic *apic, uint64_t now)
{
    if (now < apic->due)
        return;
    if ((apic->lvt[APIC_LVT_TIMER] & TIMER_MODE) == PERIODIC && period(apic) != 0)
        apic->due += ((now - apic->due) / period(apic) + 1) * period(apic);
    else
        apic->due = UINT64_MAX;
    apic->deadline = 0;
    raise_local(apic, APIC_LVT_TIMER);
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

uint32_t apic_read(struct apic *apic, unsigned offset, uint64_t now)
{
    if (offset >= SERVICE && offset < ERRORS) {
        const uint32_t *set = offset < LEVEL ? apic->service : offset < REQUEST ? apic->level : apic->request;

        return set[offset / 16 % 8];
    }
    if (offset >= LVT && offset < INITIAL_COUNT)
        return apic->lvt[(offset - LVT) / 16];
    switch (offset) {
    case ID:
        return (uint32_t)apic->id << 24;
    case VERSION: /* integrated, entries of the LVT less one */
        return 0x14 | (APIC_LVTS - 1) << 16;
    case TASK_PRIORITY:
        return apic->task_priority;
    case PROCESSOR_PRIORITY:
        return apic_priority(apic);
    case LOGICAL:
        return (uint32_t)apic->logical_id << 24;
    case MODEL:
        return (uint32_t)apic->model << 28 | 0xfffffff;
    case SPURIOUS:
        return apic->spurious;
    case ERRORS:
        return apic->errors_latched;
    case COMMAND_LOW:
    case COMMAND_HIGH:
        return apic->command[offset / 16 & 1];
    case INITIAL_COUNT:
        return apic->initial_count;
    case CURRENT_COUNT:
        return current_count(apic, now);
    case DIVIDE:
        return apic->divide;
    case END_OF_INTERRUPT: /* write-only */
        return 0;
    default:
        note_error(apic, ERROR_REGISTER);
        return 0;
    }
}

/* What of each LVT entry can be written (figure 10-8); the delivery status, bit 12, never shows a wait. */
static void write_lvt(struct apic *apic, enum apic_lvt entry, uint32_t value)
{
    static const uint32_t writable[APIC_LVTS] = {
        [APIC_LVT_TIMER] = 0x700ff, [APIC_LVT_THERMAL] = 0x107ff, [APIC_LVT_COUNTER] = 0x107ff,
        [APIC_LVT_LINT0] = 0x1a7ff, [APIC_LVT_LINT1] = 0x1a7ff,   [APIC_LVT_ERROR] = 0x100ff};
    uint32_t mode = apic->lvt[APIC_LVT_TIMER] & TIMER_MODE;

    apic->lvt[entry] = (value & writable[entry]) | (apic->spurious & ENABLED ? 0 : MASKED);
    if (entry == APIC_LVT_TIMER && (value & TIMER_MODE) != mode &&
        ((value & TIMER_MODE) == TSC_DEADLINE || mode == TSC_DEADLINE)) { /* 10.5.4.1: disarms */
        apic->due = UINT64_MAX;
        apic->deadline = 0;
    }
}

static void write_spurious(struct apic *apic, uint32_t value)
{
    apic->spurious = value & 0x3ff; /* bit 9, focus checking, is kept and means nothing */
    for (unsigned i = 0; !(value & ENABLED) && i < APIC_LVTS; i++)
        apic->lvt[i] |= MASKED;
}

static struct apic_result end_of_interrupt(struct apic *apic)
{
    uint8_t vector = highest(apic->service);

    set_bit(apic->service, vector, false);
    return (struct apic_result){.end = vector != 0 && get_bit(apic->level, vector), .end_vector = vector};
}

static void write_divide(struct apic *apic, uint32_t value, uint64_t now)
{
    uint32_t left = current_count(apic, now);

    apic->divide = value & 0xb;
    if (left != 0)
        start_count(apic, left, now);
}

static struct apic_result write_command(struct apic *apic, uint32_t value)
{
    apic->command[0] = value & 0xccfff; /* the delivery status, bit 12, is idle at once */
    return send(apic);
}

static bool is_read_only(unsigned offset)
{
    return offset == ID || offset == VERSION || offset == PROCESSOR_PRIORITY || offset == CURRENT_COUNT ||
           (offset >= SERVICE && offset < ERRORS);
}

struct apic_result apic_write(struct apic *apic, unsigned offset, uint32_t value, uint64_t now)
{
    if (offset >= LVT && offset < INITIAL_COUNT) {
        write_lvt(apic, (enum apic_lvt)((offset - LVT) / 16), value);
        return (struct apic_result){.send = false};
    }
    switch (offset) {
    case TASK_PRIORITY:
        apic->task_priority = (uint8_t)value;
        break;
    case END_OF_INTERRUPT:
        return end_of_interrupt(apic);
    case LOGICAL:
        apic->logical_id = (uint8_t)(value >> 24);
        break;
    case MODEL:
        apic->model = (uint8_t)(value >> 28);
        break;
    case SPURIOUS:
        write_spurious(apic, value);
        break;
    case ERRORS: /* 10.5.3: a write makes visible what has come since the last */
        apic->errors_latched = apic->errors;
        apic->errors = 0;
        break;
    case COMMAND_LOW:
        return write_command(apic, value);
    case COMMAND_HIGH:
        apic->command[1] = value & 0xff000000;
        break;
    case INITIAL_COUNT:
        apic->initial_count = value;
        if (counts(apic))
            start_count(apic, value, now);
        break;
    case DIVIDE:
        write_divide(apic, value, now);
        break;
    default:
        if (!is_read_only(offset))
            note_error(apic, ERROR_REGISTER);
        break;
    }
    return (struct apic_result){.send = false};
}
