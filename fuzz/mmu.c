/* SPDX-License-Identifier: BSD-2-Clause */
/* What must hold when page tables of any contents are walked, and kept nested tables changed in any order. */
#include "check.h"

#include <x86emu/nested.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- input --------------------------------------------------------------------------------------------------------- */

struct input {
    const uint8_t *data;
    size_t size;
};

static uint64_t take(struct input *input, unsigned bytes)
{
    uint64_t value = 0;

    for (; bytes > 0 && input->size > 0; bytes--, input->size--)
        value = value << 8 | *input->data++;
    return value;
}

static struct x86emu_paging take_paging(struct input *input)
{
    struct x86emu_paging p = {.cr0 = take(input, 4) | X86EMU_CR0_PG, .cr3 = take(input, 8), .cr4 = take(input, 4)};

    p.efer = take(input, 2);
    p.rflags = take(input, 4);
    p.pkru = (uint32_t)take(input, 4);
    p.pkrs = (uint32_t)take(input, 4);
    p.maxphyaddr = (uint8_t)take(input, 1);
    p.pdpte_loaded = take(input, 1) & 1;
    p.page1gb = take(input, 1) & 1;
    for (unsigned i = 0; i < 4; i++)
        p.pdpte[i] = p.pdpte_loaded ? take(input, 8) : 0;
    return p;
}

static struct x86emu_nested_format take_format(struct input *input)
{
    unsigned bits = (unsigned)take(input, 2);

    return (struct x86emu_nested_format){
        .type = bits & 1,
        .levels = (uint8_t)take(input, 1),
        .maxphyaddr = (uint8_t)take(input, 1),
        .page_2m = bits & 2,
        .page_1g = bits & 4,
        .accessed_dirty = bits & 8,
        .execute_only = bits & 16,
        .mode_based_execute = bits & 32,
        .advanced_violations = bits & 64,
        .execute_disable = bits & 128,
        .pat = bits & 256 ? take(input, 8) : 0,
    };
}

/* --- memory of any contents ---------------------------------------------------------------------------------------- */

enum {
    PAGES = 4,
};
static uint8_t memory[PAGES * 4096];
static unsigned questions, updates;
static unsigned losses; /* bit for each exchange that is lost */

/* The input is repeated, so that addresses of all kinds lead to something. */
static void fill_memory(const struct input *input)
{
    size_t filled = input->size < sizeof(memory) ? input->size : sizeof(memory);

    memset(memory, 0, sizeof(memory));
    if (filled != 0)
        memcpy(memory, input->data, filled);
    for (; filled != 0 && filled <= sizeof(memory) / 2; filled *= 2)
        memcpy(memory + filled, memory, filled);
    questions = updates = 0;
}

static bool read_memory(void *opaque, uint64_t address, unsigned size, uint64_t *value)
{
    (void)opaque;
    CHECK(size == 4 || size == 8);
    CHECK(address % size == 0);
    questions++;
    *value = 0;
    if (address >> 50 & 1)
        return false;
    memcpy(value, memory + address % sizeof(memory), size);
    return true;
}

static bool exchange_memory(void *opaque, uint64_t address, unsigned size, uint64_t old_value, uint64_t new_value,
                            bool *exchanged)
{
    uint64_t now;

    if (!read_memory(opaque, address, size, &now))
        return false;
    CHECK((old_value & ~new_value) == 0 && old_value != new_value); /* bits are only set */
    updates++;
    *exchanged = now == old_value && !(losses >> updates % 32 & 1);
    if (*exchanged)
        memcpy(memory + address % sizeof(memory), &new_value, size);
    return true;
}

static const struct x86emu_walk_memory accessors = {read_memory, exchange_memory, NULL};

/* Questions that a run may ask: each attempt has so many entries to read and to update, and there are 64. */
static void check_bound(unsigned entries)
{
    CHECK(questions <= 65 * 2 * entries);
}

/* --- walks --------------------------------------------------------------------------------------------------------- */

static void check_guest(const struct x86emu_walk *walk, uint64_t la)
{
    CHECK(walk->status <= X86EMU_WALK_FAULT);
    if (walk->status == X86EMU_WALK_DONE) {
        unsigned shift = walk->page_shift;

        CHECK(shift == 12 || shift == 21 || shift == 22 || shift == 30);
        CHECK(((walk->gpa ^ la) & ((UINT64_C(1) << shift) - 1)) == 0);
        CHECK(walk->gpa >> 52 == 0);
        CHECK(walk->pat_index < 8 && walk->protection_key < 16);
    }
    if (walk->status == X86EMU_WALK_FAULT)
        CHECK((walk->error_code & ~0x3f) == 0 && (!(walk->error_code & 0x28) || walk->error_code & 1));
    if (walk->access & X86EMU_WALK_PROBE)
        CHECK(updates == 0);
}

/* Step by step, moved in memory at each question, and with callbacks: the same. */
static void walk_guest(struct input *input)
{
    struct x86emu_paging paging = take_paging(input);
    uint64_t la = take(input, 8);
    unsigned access = (unsigned)take(input, 1);
    struct x86emu_walk *walk = malloc(sizeof(*walk)), at_once;

    losses = 0;
    fill_memory(input);
    x86emu_walk_begin(&at_once, &paging, la, access);
    x86emu_walk_run(&at_once, &accessors);
    check_guest(&at_once, la);
    check_bound(5);
    fill_memory(input);
    x86emu_walk_begin(walk, &paging, la, access);
    while (walk->status == X86EMU_WALK_READ || walk->status == X86EMU_WALK_UPDATE) {
        struct x86emu_walk *moved = malloc(sizeof(*moved));
        uint64_t value;
        bool exchanged;

        *moved = *walk;
        free(walk);
        walk = moved;
        if (walk->status == X86EMU_WALK_READ) {
            if (!read_memory(NULL, walk->entry_gpa, walk->entry_size, &value))
                break;
            x86emu_walk_entry(walk, value);
        } else {
            if (!exchange_memory(NULL, walk->entry_gpa, walk->entry_size, walk->entry_old, walk->entry_new, &exchanged))
                break;
            x86emu_walk_updated(walk, exchanged);
        }
        CHECK(questions < 1000);
    }
    CHECK(walk->status == at_once.status);
    CHECK(walk->status != X86EMU_WALK_DONE || walk->gpa == at_once.gpa);
    CHECK(walk->status != X86EMU_WALK_FAULT || walk->error_code == at_once.error_code);
    CHECK(x86emu_walk_updated(walk, true) != X86EMU_WALK_DONE || walk->status == X86EMU_WALK_DONE);
    free(walk);
}

static void walk_nested(struct input *input)
{
    struct x86emu_nested_format format = take_format(input);
    uint64_t pointer = take(input, 8), gpa = take(input, 8);
    unsigned access = (unsigned)take(input, 1);
    struct x86emu_nested_walk *walk = malloc(sizeof(*walk));

    losses = (unsigned)take(input, 4);
    fill_memory(input);
    x86emu_nested_walk_begin(walk, &format, pointer, gpa, access);
    x86emu_nested_walk_run(walk, &accessors);
    check_bound(5);
    CHECK(walk->status <= X86EMU_WALK_MISCONFIGURED && walk->status != X86EMU_WALK_MISUSE);
    CHECK(walk->status != X86EMU_WALK_MISCONFIGURED || format.type == X86EMU_NESTED_EPT);
    if (walk->status == X86EMU_WALK_DONE) {
        CHECK(walk->page_shift == 12 || walk->page_shift == 21 || walk->page_shift == 30);
        CHECK(((walk->hpa ^ gpa) & ((UINT64_C(1) << walk->page_shift) - 1)) == 0);
        CHECK(walk->hpa >> 52 == 0 && walk->rights < 16);
    }
    if (access & X86EMU_NESTED_PROBE)
        CHECK(updates == 0);
    free(walk);
}

static void walk_both(struct input *input)
{
    struct x86emu_paging paging = take_paging(input);
    struct x86emu_nested_format format = take_format(input);
    uint64_t pointer = take(input, 8), la = take(input, 8);
    unsigned access = (unsigned)take(input, 1);
    struct x86emu_two_walk *walk = malloc(sizeof(*walk));

    losses = (unsigned)take(input, 4);
    fill_memory(input);
    x86emu_two_walk_begin(walk, &paging, &format, pointer, la, access);
    x86emu_two_walk_run(walk, &accessors);
    check_bound(6 * 11); /* for each of the guest's entries read or updated, and for the page, a nested walk */
    CHECK(walk->status <= X86EMU_WALK_NESTED_FAULT && walk->status != X86EMU_WALK_MISUSE);
    if (walk->status == X86EMU_WALK_FAULT)
        CHECK(walk->guest.status == X86EMU_WALK_FAULT);
    if (walk->status == X86EMU_WALK_DONE)
        CHECK(((walk->hpa ^ la) & 0xfff) == 0);
    free(walk);
}

/* --- kept tables --------------------------------------------------------------------------------------------------- */

enum {
    POOL = 24,
    HOLDS = 3,
    MOST_OPERATIONS = 32,
};
static uint64_t pool[POOL][512];
static bool given[POOL];
static unsigned used, most; /* most: pages that may be given */

static void *allocate(void *opaque, uint64_t *hpa)
{
    (void)opaque;
    for (unsigned i = 0; i < POOL && used < most; i++) {
        if (given[i])
            continue;
        given[i] = true;
        used++;
        *hpa = (i + UINT64_C(1)) << 12;
        memset(pool[i], 0xff, sizeof(pool[i]));
        return pool[i];
    }
    return NULL;
}

static void release(void *opaque, void *page, uint64_t hpa, uint64_t generation)
{
    size_t i = (size_t)(hpa >> 12) - 1;

    (void)opaque, (void)generation;
    CHECK(i < POOL && given[i] && page == pool[i]);
    given[i] = false;
    used--;
}

static void *page_at(void *opaque, uint64_t hpa)
{
    (void)opaque;
    CHECK(hpa >> 12 >= 1 && hpa >> 12 <= POOL && given[(hpa >> 12) - 1]);
    return pool[(hpa >> 12) - 1];
}

static void ignore_report(void *opaque, uint64_t gpa, uint64_t size, unsigned bits)
{
    (void)gpa;
    CHECK(size != 0 && bits != 0 && bits < 4);
    ++*(unsigned *)opaque;
}

/* An address where things happen: in a few places, at the edges of pages of all sizes; sometimes anything. */
static uint64_t take_address(struct input *input)
{
    unsigned choice = (unsigned)take(input, 1);

    if (choice < 16)
        return take(input, 8);
    return (uint64_t)(choice & 3) << 30 | (uint64_t)(choice >> 2 & 3) * 511 << 21 |
           (uint64_t)(choice >> 4 & 3) * 510 << 12 | (uint64_t)(choice >> 6) << 12;
}

/* What query, walk and touch say about one address agrees. */
static void check_address(struct x86emu_nested *table, uint64_t gpa)
{
    struct x86emu_nested_extent extent;
    struct x86emu_nested_walk walk;
    struct x86emu_nested_touched touched;

    if (x86emu_nested_query(table, gpa, (gpa & ~UINT64_C(0xfff)) + 0x10000, &extent) != X86EMU_NESTED_OK)
        return;
    CHECK(extent.size != 0 && extent.gpa == (gpa & ~UINT64_C(0xfff)));
    x86emu_nested_walk_table(&walk, table, gpa, X86EMU_ACCESS_READ | X86EMU_NESTED_PROBE);
    CHECK(walk.status == X86EMU_WALK_DONE || walk.status == X86EMU_WALK_FAULT);
    if (walk.status == X86EMU_WALK_DONE)
        CHECK(extent.mapped && walk.hpa == extent.hpa + (gpa & 0xfff) && extent.attributes.rights & 1);
    CHECK((x86emu_nested_touch(table, gpa, X86EMU_ACCESS_READ, &touched) == X86EMU_NESTED_OK) ==
          (extent.mapped && extent.attributes.rights & X86EMU_ACCESS_READ));
}

static void operate(struct x86emu_nested *table, struct input *input, struct x86emu_nested_hold *hold, bool *held)
{
    unsigned what = (unsigned)take(input, 1), reports = 0, slot = what >> 4 & 1;
    uint64_t gpa = take_address(input), size = take_address(input);
    struct x86emu_nested_attributes attributes = {.memory_type = 6};
    unsigned bits = (unsigned)take(input, 1);

    switch (what & 15) {
    case 0:
    case 1:
        attributes.rights = bits & 15;
        attributes.largest = bits & 16 ? 12 : bits & 32 ? 21 : 0;
        attributes.memory_type = bits & 64 ? bits >> 5 : 6;
        x86emu_nested_map(table, gpa, take_address(input), size, &attributes);
        break;
    case 2:
        x86emu_nested_unmap(table, gpa, size, ignore_report, &reports);
        break;
    case 3:
        x86emu_nested_protect(table, gpa, size, bits);
        break;
    case 4:
        x86emu_nested_split(table, gpa, size, bits & 63);
        break;
    case 5:
        x86emu_nested_promote(table, gpa, size);
        break;
    case 6:
        x86emu_nested_harvest(table, gpa, size, bits, ignore_report, &reports);
        break;
    case 7:
        if (!held[slot])
            held[slot] = x86emu_nested_hold(table, gpa, bits & 7, &hold[slot]) == X86EMU_NESTED_OK;
        break;
    case 8:
        if (held[slot])
            x86emu_nested_release(table, &hold[slot]);
        held[slot] = false;
        break;
    case 9:
        most = used + bits % 8;
        break;
    default:
        most = POOL;
        break;
    }
    CHECK(table->tables == used);
    check_address(table, gpa);
    check_address(table, gpa + size - 1);
    for (unsigned i = 0; i < 2; i++)
        CHECK(!held[i] ||
              x86emu_nested_unmap(table, hold[i].gpa & ~UINT64_C(0xfff), 0x1000, NULL, NULL) == X86EMU_NESTED_HELD);
}

static void change_tables(struct input *input)
{
    static const struct x86emu_nested_memory kept = {allocate, release, page_at, NULL};
    struct x86emu_nested_format format = take_format(input);
    struct x86emu_nested_hold hold[2];
    bool held[2] = {false, false};
    struct x86emu_nested table;
    uint64_t holds[HOLDS];

    most = POOL;
    format.levels = 4 + format.levels % 2;
    format.maxphyaddr = (uint8_t)(36 + format.maxphyaddr % 17);
    CHECK(x86emu_nested_init(&table, &format, &kept, holds, HOLDS) == X86EMU_NESTED_OK);
    table.promote = take(input, 1) & 1;
    for (unsigned i = 0; i < MOST_OPERATIONS && input->size > 0; i++)
        operate(&table, input, hold, held);
    for (unsigned i = 0; i < 2; i++)
        if (held[i])
            x86emu_nested_release(&table, &hold[i]);
    x86emu_nested_destroy(&table);
    CHECK(used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    switch (take(&input, 1) & 3) {
    case 0:
        walk_guest(&input);
        break;
    case 1:
        walk_nested(&input);
        break;
    case 2:
        walk_both(&input);
        break;
    default:
        change_tables(&input);
        break;
    }
    return 0;
}
