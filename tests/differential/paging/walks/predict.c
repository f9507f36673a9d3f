/* SPDX-License-Identifier: BSD-2-Clause */
/* What the library's two-dimensional walk says about a question. */
#include "walks.h"

static bool in_pool(uint64_t hpa, unsigned size)
{
    return hpa >= POOL && hpa <= POOL + POOL_SIZE - size;
}

/* Where there are no nested tables to tell, the pool is shown twice all the same. */
static uint64_t unalias(const struct question *q, uint64_t gpa)
{
    return !q->processor->nested && gpa - SECOND < POOL_SIZE ? gpa - SECOND + POOL : gpa;
}

static bool read_pool(void *opaque, uint64_t hpa, unsigned size, uint64_t *value)
{
    hpa = unalias(opaque, hpa);
    *value = 0;
    if (!in_pool(hpa, size))
        return false;
    memcpy(value, (void *)(uintptr_t)hpa, size);
    note_read(hpa);
    return true;
}

static bool exchange_pool(void *opaque, uint64_t hpa, unsigned size, uint64_t old_value, uint64_t new_value,
                          bool *exchanged)
{
    uint64_t now;

    if (!read_pool(opaque, hpa, size, &now))
        return false;
    *exchanged = now == old_value;
    if (*exchanged)
        memcpy((void *)(uintptr_t)unalias(opaque, hpa), &new_value, size);
    return true;
}

/* The guest's tables alone. */
static bool translate_guest(const struct question *q, uint64_t la, unsigned access, uint64_t *hpa,
                            struct outcome *outcome)
{
    const struct x86emu_walk_memory memory = {read_pool, exchange_pool, (void *)(uintptr_t)q};
    struct x86emu_walk walk;

    x86emu_walk_begin(&walk, &q->paging, la, access);
    switch (x86emu_walk_run(&walk, &memory)) {
    case X86EMU_WALK_DONE:
        *hpa = unalias(q, walk.gpa);
        return true;
    case X86EMU_WALK_FAULT:
        *outcome = (struct outcome){GUEST_FAULT, walk.error_code, la, 0};
        return false;
    default:
        *outcome = (struct outcome){LEFT_OUT, 0, walk.entry_gpa, 0};
        return false;
    }
}

static bool translate_nested(const struct question *q, uint64_t la, unsigned access, uint64_t *hpa,
                             struct outcome *outcome)
{
    const struct x86emu_walk_memory memory = {read_pool, exchange_pool, (void *)(uintptr_t)q};
    static struct x86emu_two_walk walk;

    x86emu_two_walk_begin(&walk, &q->paging, &q->format, q->pointer, la, access);
    switch (x86emu_two_walk_run(&walk, &memory)) {
    case X86EMU_WALK_DONE:
        *hpa = walk.hpa;
        return true;
    case X86EMU_WALK_FAULT:
        *outcome = (struct outcome){GUEST_FAULT, walk.guest.error_code, la, 0};
        return false;
    case X86EMU_WALK_NESTED_FAULT:
        *outcome = (struct outcome){NESTED_FAULT, walk.nested.fault, walk.nested.gpa, 0};
        return false;
    case X86EMU_WALK_MISCONFIGURED:
        *outcome = (struct outcome){MISCONFIGURED, 0, walk.nested.gpa, 0};
        return false;
    default:
        *outcome = (struct outcome){LEFT_OUT, 0, walk.entry_hpa, 0};
        return false;
    }
}

/* One translation. False: it has an outcome, else *hpa says where the access goes. */
static bool translate(const struct question *q, uint64_t la, unsigned access, uint64_t *hpa, struct outcome *outcome)
{
    if (q->processor->nested)
        return translate_nested(q, la, access, hpa, outcome);
    return translate_guest(q, la, access, hpa, outcome);
}

/* The part of an access that is in its first or second page, where it is ours to make. */
static void access_part(const struct question *q, unsigned page, uint64_t hpa, struct outcome *outcome)
{
    unsigned size = sizeof(q->value), first = is_crossing(q) ? 0x1000 - (q->la & 0xfff) : size;
    unsigned begin = page == 0 ? 0 : first, end = page == 0 ? first : size;
    uint8_t *data = (uint8_t *)(uintptr_t)hpa;

    if (!in_pool(hpa, end - begin)) {
        *outcome = (struct outcome){LEFT_OUT, 0, hpa, 0};
        return;
    }
    for (unsigned i = begin; i < end; i++, data++) {
        if (q->access & X86EMU_ACCESS_WRITE)
            *data = (uint8_t)(q->value >> 8 * i);
        if (tells_value(q))
            outcome->value |= (uint32_t)*data << 8 * i;
    }
}

/* An access to two pages: both are known to let it through before any is marked dirty, and before data is touched. */
static struct outcome access_both(const struct question *q, enum order order)
{
    const uint64_t la[] = {q->la, (q->la | 0xfff) + 1};
    struct outcome outcome = {.kind = WENT_THROUGH};
    uint64_t hpa[2];

    for (unsigned i = 0; i < 4; i++) {
        unsigned page = (i & 1) ^ (order == SECOND_PAGE_FIRST ? 1 : 0);

        if (!translate(q, la[page], q->access | (i < 2 ? X86EMU_WALK_NO_DIRTY : 0), &hpa[page], &outcome))
            return outcome;
    }
    for (unsigned page = 0; page < 2 && outcome.kind == WENT_THROUGH; page++)
        access_part(q, page, hpa[page], &outcome);
    return outcome;
}

/* An access to one page, or to two as if they were two accesses. */
static struct outcome access_each(const struct question *q)
{
    struct outcome outcome = {.kind = WENT_THROUGH};
    uint64_t la = q->la, hpa;

    for (unsigned page = 0; page < (is_crossing(q) ? 2 : 1) && outcome.kind == WENT_THROUGH; page++) {
        if (translate(q, la, q->access, &hpa, &outcome))
            access_part(q, page, hpa, &outcome);
        la = (la | 0xfff) + 1;
    }
    return outcome;
}

static struct outcome fetch(const struct question *q)
{
    struct outcome outcome = {.kind = WENT_THROUGH};
    uint64_t hpa;

    if (!translate(q, q->la, q->access, &hpa, &outcome))
        return outcome;
    if (!in_pool(hpa, 2) || memcmp((void *)(uintptr_t)hpa, q->processor->stop, 2) != 0)
        outcome.kind = LEFT_OUT;
    return outcome;
}

/* What follows the access is fetched too: a write may have hit it, or the tables on the way to it. */
static bool code_stands(const struct question *q)
{
    struct outcome outcome;
    uint64_t hpa;

    return translate(q, q->code, X86EMU_ACCESS_EXECUTE | (q->user ? X86EMU_WALK_USER : 0) | X86EMU_WALK_PROBE, &hpa,
                     &outcome) &&
           hpa - page_address(PAGE_CODE) < 4096 &&
           memcmp((void *)(uintptr_t)page_address(PAGE_CODE), BEFORE + PAGE_CODE * 4096, 32) == 0;
}

struct outcome predict(const struct question *q, enum order order, uint8_t *after)
{
    unsigned user = q->user ? X86EMU_WALK_USER : 0;
    struct outcome outcome = {.kind = LEFT_OUT};
    uint64_t hpa;

    if (q->code == q->la) {
        outcome = fetch(q);
    } else if (translate(q, q->code, X86EMU_ACCESS_EXECUTE | user, &hpa, &outcome)) {
        /* The code page may be any when nested tables were changed: then there is no telling what runs. */
        if (hpa - page_address(PAGE_CODE) >= 4096)
            outcome.kind = LEFT_OUT;
        else
            outcome = is_crossing(q) && order != PAGE_BY_PAGE ? access_both(q, order) : access_each(q);
        if (outcome.kind == WENT_THROUGH && !code_stands(q))
            outcome.kind = LEFT_OUT;
    }
    memcpy(after, (void *)(uintptr_t)POOL, POOL_SIZE);
    memcpy((void *)(uintptr_t)POOL, BEFORE, POOL_SIZE);
    return outcome;
}
