/* SPDX-License-Identifier: BSD-2-Clause */
/* Walks through nested tables that somebody else made: random tables against the reference; hostile ones; one by one. */
#include "reference.h"

#include <criterion/criterion.h>
#include <string.h>

enum {
    TABLES = 16,     /* pages of nested tables, from host-physical 0 on */
    GUEST_PAGES = 8, /* pages that guest tables are in, behind them */
    PAGES = TABLES + GUEST_PAGES,
    ROUNDS = 3000,
    WALKS = 48,
};

static uint8_t memory[PAGES * 0x1000], expected[PAGES * 0x1000], before[PAGES * 0x1000];

static const unsigned R = X86EMU_ACCESS_READ, W = X86EMU_ACCESS_WRITE, X = X86EMU_ACCESS_EXECUTE;
static const unsigned UX = X86EMU_RIGHT_USER_EXECUTE;

static bool read_memory(void *opaque, uint64_t hpa, unsigned size, uint64_t *value)
{
    (void)opaque;
    *value = 0;
    if (hpa > sizeof(memory) - size)
        return false;
    memcpy(value, memory + hpa, size);
    return true;
}

/* With every third exchange lost for no reason when lossy. */
static bool lossy;

static bool exchange_memory(void *opaque, uint64_t hpa, unsigned size, uint64_t old_value, uint64_t new_value,
                            bool *exchanged)
{
    uint64_t now;

    if (!read_memory(opaque, hpa, size, &now))
        return false;
    *exchanged = now == old_value && !(lossy && one_in(3));
    if (*exchanged)
        memcpy(memory + hpa, &new_value, size);
    return true;
}

static const struct x86emu_walk_memory accessors = {read_memory, exchange_memory, NULL};

static uint8_t *expected_bytes(void *opaque, uint64_t hpa, unsigned size, bool write)
{
    (void)opaque;
    (void)write;
    return hpa <= sizeof(expected) - size ? expected + hpa : NULL;
}

static void put(uint64_t hpa, uint64_t value)
{
    memcpy(memory + hpa, &value, 8);
}

static uint64_t get(uint64_t hpa)
{
    uint64_t value;

    memcpy(&value, memory + hpa, 8);
    return value;
}

static void reset(void)
{
    memset(memory, 0, sizeof(memory));
    lossy = false;
}

TestSuite(nested_walk, .init = reset);

/* --- random tables ------------------------------------------------------------------------------------------------- */

static struct x86emu_nested_format random_format(void)
{
    return (struct x86emu_nested_format){
        .type = one_in(2) ? X86EMU_NESTED_EPT : X86EMU_NESTED_NPT,
        .levels = one_in(2) ? 4 : 5,
        .maxphyaddr = (uint8_t)(32 + random_bits() % 21),
        .page_2m = !one_in(4),
        .page_1g = !one_in(3),
        .accessed_dirty = one_in(2),
        .execute_only = one_in(2),
        .mode_based_execute = one_in(2),
        .advanced_violations = one_in(2),
        .execute_disable = !one_in(4),
    };
}

/* An entry that is good most of the time. Tables refer to tables, leaves to guest pages. */
static uint64_t random_entry(const struct x86emu_nested_format *f)
{
    bool ept = f->type == X86EMU_NESTED_EPT, large = one_in(4);
    uint64_t entry = random_bits() % TABLES << 12;

    entry |= ept ? 7 | (f->mode_based_execute ? 0x400 : 0) : 7;
    if (large)
        entry = (entry & 0xfff) | (ept ? 0xb0 : 0x80);
    if (one_in(4))
        entry ^= UINT64_C(1) << random_bits() % 3;
    if (one_in(4))
        entry ^= UINT64_C(1) << random_bits() % 13;
    if (one_in(8))
        entry ^= UINT64_C(1) << random_bits() % 64;
    return entry;
}

/*
 * Tables of level 1 can't be told from others. Entries with an address among the guest's pages serve as leaves; where
 * they are read as tables the walk goes on in guest memory, which is as random.
 */
static void fill_nested(const struct x86emu_nested_format *f)
{
    for (uint64_t at = 0; at < TABLES * 0x1000; at += 8) {
        uint64_t entry = random_entry(f);

        if (one_in(3) && !(entry & 0x80))
            entry = (entry & ~UINT64_C(0xff000)) | (TABLES + random_bits() % GUEST_PAGES) << 12 |
                    (f->type == X86EMU_NESTED_EPT ? 0x30 : 0);
        put(at, entry);
    }
}

static uint64_t random_gpa(const struct x86emu_nested_format *f)
{
    uint64_t gpa = random_bits() & ((UINT64_C(1) << (f->levels == 5 ? 52 : 48)) - 1);

    return one_in(32) ? random_bits() >> 8 : gpa;
}

static enum x86emu_walk_status status_of(const struct outcome *outcome)
{
    switch (outcome->kind) {
    case GOES_THROUGH:
        return X86EMU_WALK_DONE;
    case FAULTS:
        return X86EMU_WALK_FAULT;
    case MISCONFIGURED:
        return X86EMU_WALK_MISCONFIGURED;
    default:
        return X86EMU_WALK_READ;
    }
}

static void one_walk(const struct x86emu_nested_format *f, uint64_t pointer)
{
    static const unsigned kinds[] = {1, 2, 4, 3};
    unsigned access = kinds[random_bits() % 4] | (unsigned)(random_bits() & X86EMU_NESTED_USER) |
                      (one_in(6) ? X86EMU_NESTED_TABLE : 0) | (one_in(16) ? X86EMU_NESTED_NO_LINEAR : 0) |
                      (one_in(8) ? X86EMU_NESTED_PROBE : 0);
    uint64_t gpa = random_gpa(f);
    struct x86emu_nested_walk walk;
    struct outcome outcome;

    memcpy(expected, memory, sizeof(memory));
    outcome = reference_nested_walk(f, pointer, gpa, access, expected_bytes, NULL);
    memset(&walk, 0x5a, sizeof(walk));
    x86emu_nested_walk_begin(&walk, f, pointer, gpa, access);
    x86emu_nested_walk_run(&walk, &accessors);
    cr_assert_eq(walk.status, status_of(&outcome), "type %u gpa %llx access %x: %u instead of %u", f->type,
                 (unsigned long long)gpa, access, walk.status, status_of(&outcome));
    cr_assert(memcmp(memory, expected, sizeof(memory)) == 0, "other bits were set");
    if (outcome.kind == FAULTS)
        cr_assert_eq(walk.fault, outcome.fault, "type %u: %llx instead of %llx", f->type,
                     (unsigned long long)walk.fault, (unsigned long long)outcome.fault);
    if (outcome.kind != GOES_THROUGH)
        return;
    cr_assert_eq(walk.hpa, outcome.address);
    cr_assert_eq(walk.page_shift, outcome.shift);
    cr_assert_eq(walk.rights, outcome.rights & (f->type == X86EMU_NESTED_EPT && f->mode_based_execute ? 15 : 7));
    cr_assert_eq(walk.memory_type, outcome.memory_type);
    cr_assert_eq(walk.ignore_pat, outcome.ignore_pat);
    cr_assert_eq(walk.dirty, outcome.dirty);
}

Test(nested_walk, F17_random_tables_of_both_formats)
{
    lossy = true;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct x86emu_nested_format f = random_format();
        uint64_t pointer = random_bits() % TABLES << 12 | (f.type == X86EMU_NESTED_EPT ? 0x5e : 0);

        fill_nested(&f);
        for (unsigned i = 0; i < WALKS; i++)
            one_walk(&f, pointer);
    }
}

/* --- both dimensions ----------------------------------------------------------------------------------------------- */

/* What the reference's guest walk sees as memory: each access goes through the nested tables first. */
struct second_dimension {
    const struct x86emu_nested_format *format;
    uint64_t pointer;
    bool probe;
    bool aliased; /* a guest table lies in a nested table */
    bool stopped;
    struct outcome stop; /* why */
    uint64_t stop_gpa;
};

static uint8_t *through_nested(void *opaque, uint64_t gpa, unsigned size, bool write)
{
    struct second_dimension *second = (struct second_dimension *)opaque;
    unsigned access = R | (write ? W : 0) | X86EMU_NESTED_TABLE | (second->probe ? X86EMU_NESTED_PROBE : 0);
    struct outcome outcome = reference_nested_walk(second->format, second->pointer, gpa, access, expected_bytes, NULL);

    if (outcome.kind == GOES_THROUGH) {
        uint8_t *bytes = expected_bytes(NULL, outcome.address, size, write);

        second->aliased |= outcome.address < TABLES * 0x1000;
        if (bytes != NULL)
            return bytes;
        outcome.kind = LEAVES_MEMORY;
    }
    second->stopped = true;
    second->stop = outcome;
    second->stop_gpa = gpa;
    return NULL;
}

/* Nested tables that map guest pages, with large pages over everything and mistakes here and there. */
static void fill_both(const struct x86emu_nested_format *f, const struct x86emu_paging *p)
{
    const unsigned size = reference_entry_size(p);

    fill_nested(f);
    for (uint64_t at = TABLES * 0x1000; at < sizeof(memory); at += size) {
        uint64_t entry = (TABLES + random_bits() % GUEST_PAGES) << 12 | 0x27;

        if (one_in(4))
            entry = (entry & 0xfff) | 0x80;
        if (one_in(4))
            entry ^= UINT64_C(1) << random_bits() % 13;
        if (one_in(10))
            entry ^= UINT64_C(1) << random_bits() % (8 * size);
        memcpy(memory + at, &entry, size);
    }
    /* Guest pages are mapped one to one, so that large pages fit too. */
    for (uint64_t level = f->levels; level > 1; level--)
        put((f->levels - level) * 0x1000,
            (f->levels - level + 1) * 0x1000 | 7 | (one_in(8) ? 0 : 0x400 * f->mode_based_execute));
    for (uint64_t page = TABLES; page < PAGES; page++)
        if (!one_in(8))
            put((f->levels - 1u) * 0x1000u + 8 * page,
                page << 12 | (one_in(4) ? 5 : 7) | (f->type == X86EMU_NESTED_EPT ? 0x30 : 0));
}

static struct x86emu_paging random_paging(void)
{
    struct x86emu_paging p = {.cr0 = X86EMU_CR0_PE | X86EMU_CR0_PG | X86EMU_CR0_WP,
                              .cr3 = (TABLES + random_bits() % GUEST_PAGES) << 12,
                              .cr4 = X86EMU_CR4_PSE,
                              .maxphyaddr = 46,
                              .page1gb = true};

    if (!one_in(4))
        p.cr4 |= X86EMU_CR4_PAE;
    if (p.cr4 & X86EMU_CR4_PAE && !one_in(4))
        p.efer = X86EMU_EFER_LMA | X86EMU_EFER_NXE;
    if (one_in(4))
        p.cr4 |= X86EMU_CR4_LA57;
    return p;
}

static void check_end(const struct x86emu_two_walk *walk, const struct outcome *guest,
                      const struct second_dimension *second, const struct outcome *end)
{
    if (second->stopped) {
        enum x86emu_walk_status status = second->stop.kind == FAULTS          ? X86EMU_WALK_NESTED_FAULT
                                         : second->stop.kind == MISCONFIGURED ? X86EMU_WALK_MISCONFIGURED
                                                                              : X86EMU_WALK_READ;
        cr_assert_eq(walk->status, status, "%u instead of %u", walk->status, status);
        cr_assert_eq(walk->nested.gpa, second->stop_gpa);
        if (second->stop.kind == FAULTS)
            cr_assert_eq(walk->nested.fault, second->stop.fault);
        if (second->stop.kind != LEAVES_MEMORY)
            cr_assert(walk->nested.access & X86EMU_NESTED_TABLE);
    } else if (guest->kind == FAULTS) {
        cr_assert_eq(walk->status, X86EMU_WALK_FAULT);
        cr_assert_eq(walk->guest.error_code, guest->fault);
    } else if (end->kind == GOES_THROUGH) {
        cr_assert_eq(walk->status, X86EMU_WALK_DONE);
        cr_assert_eq(walk->hpa, end->address);
        cr_assert_eq(walk->page_shift, end->shift < guest->shift ? end->shift : guest->shift);
    } else if (end->kind == FAULTS) {
        cr_assert_eq(walk->status, X86EMU_WALK_NESTED_FAULT);
        cr_assert_eq(walk->nested.fault, end->fault, "%llx instead of %llx", (unsigned long long)walk->nested.fault,
                     (unsigned long long)end->fault);
        cr_assert_not(walk->nested.access & X86EMU_NESTED_TABLE);
    } else {
        cr_assert_eq(walk->status, end->kind == MISCONFIGURED ? X86EMU_WALK_MISCONFIGURED : X86EMU_WALK_READ);
    }
}

static unsigned ends[8]; /* how many walks ended with each status */

static void one_two_walk(const struct x86emu_nested_format *f, uint64_t pointer, const struct x86emu_paging *p)
{
    static const unsigned kinds[] = {1, 2, 4, 3};
    unsigned kind = kinds[random_bits() % 4], access = kind | (one_in(2) ? X86EMU_WALK_USER : 0);
    bool probe = one_in(8);
    uint64_t la = random_bits() & (reference_levels(p) < 4 ? 0xffffffff : UINT64_MAX);
    struct second_dimension second = {.format = f, .pointer = pointer, .probe = probe};
    struct x86emu_two_walk walk;
    struct outcome guest, end = {0};

    access |= probe ? X86EMU_WALK_PROBE : 0;
    memcpy(expected, memory, sizeof(memory));
    guest = reference_walk(p, la, access, through_nested, &second);
    if (!second.stopped && guest.kind == GOES_THROUGH) {
        end = reference_nested_walk(f, pointer, guest.address,
                                    kind | (guest.user ? X86EMU_NESTED_USER : 0) | (probe ? X86EMU_NESTED_PROBE : 0),
                                    expected_bytes, NULL);
        if (end.kind == FAULTS && f->type == X86EMU_NESTED_EPT && f->advanced_violations)
            end.fault += 0x200 * guest.user + 0x400 * guest.writable + 0x800 * guest.execute_disable;
    }
    if (second.aliased) /* then the order in which bits are set matters, and no manual tells it */
        return;
    memset(&walk, 0x5a, sizeof(walk));
    x86emu_two_walk_begin(&walk, p, f, pointer, la, access);
    x86emu_two_walk_run(&walk, &accessors);
    check_end(&walk, &guest, &second, &end);
    cr_assert(memcmp(memory, expected, sizeof(memory)) == 0, "other bits were set");
    ends[walk.status]++;
}

Test(nested_walk, two_dimensions_of_random_tables)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct x86emu_nested_format f = random_format();
        struct x86emu_paging p = random_paging();

        f.maxphyaddr = 46;
        fill_both(&f, &p);
        memcpy(before, memory, sizeof(memory));
        for (unsigned i = 0; i < WALKS; i++) {
            one_two_walk(&f, f.type == X86EMU_NESTED_EPT ? 0x1e : 0, &p);
            memcpy(memory, before, sizeof(memory));
        }
    }
    cr_assert_gt(ends[X86EMU_WALK_DONE], 1000);
    cr_assert_gt(ends[X86EMU_WALK_FAULT], 1000);
    cr_assert_gt(ends[X86EMU_WALK_NESTED_FAULT], 1000);
    cr_assert_gt(ends[X86EMU_WALK_MISCONFIGURED], 1000);
}

/* --- one by one ---------------------------------------------------------------------------------------------------- */

/* Tables at 0, 1000, 2000, 3000 on the way to guest-physical 0. */
static void four_levels(uint64_t upper, uint64_t leaf)
{
    put(0, 0x1000 | upper);
    put(0x1000, 0x2000 | upper);
    put(0x2000, 0x3000 | upper);
    put(0x3000, leaf);
}

static struct x86emu_nested_walk walk_to(const struct x86emu_nested_format *f, uint64_t gpa, unsigned access)
{
    struct x86emu_nested_walk walk;

    memset(&walk, 0xa5, sizeof(walk));
    x86emu_nested_walk_begin(&walk, f, 0, gpa, access);
    x86emu_nested_walk_run(&walk, &accessors);
    return walk;
}

Test(nested_walk, F17_accessed_and_dirty_are_elsewhere_in_each_format)
{
    struct x86emu_nested_format e = ept(true), n = npt();

    four_levels(7, 0x5000 | 7 | 6 << 3);
    cr_assert_eq(walk_to(&e, 0x123, W).status, X86EMU_WALK_DONE);
    cr_assert_eq(get(0), 0x1107);
    cr_assert_eq(get(0x3000), 0x5000 | 7 | 6 << 3 | 1 << 8 | 1 << 9);
    four_levels(7, 0x5000 | 7);
    cr_assert_eq(walk_to(&n, 0x123, W).hpa, 0x5123);
    cr_assert_eq(get(0), 0x1027);
    cr_assert_eq(get(0x3000), 0x5000 | 7 | 1 << 5 | 1 << 6);
}

Test(nested_walk, dirty_bit_left_to_a_later_walk)
{
    struct x86emu_nested_format e = ept(true);

    four_levels(7, 0x5000 | 7 | 6 << 3);
    cr_assert_eq(walk_to(&e, 0x123, W | X86EMU_NESTED_NO_DIRTY).status, X86EMU_WALK_DONE);
    cr_assert_eq(get(0x3000), 0x5000 | 7 | 6 << 3 | 1 << 8);
    cr_assert_eq(walk_to(&e, 0x123, W).status, X86EMU_WALK_DONE);
    cr_assert_eq(get(0x3000), 0x5000 | 7 | 6 << 3 | 1 << 8 | 1 << 9);
    four_levels(7, 0x5000 | 5 | 6 << 3); /* it is a write all the same */
    cr_assert_eq(walk_to(&e, 0x123, W | X86EMU_NESTED_NO_DIRTY).status, X86EMU_WALK_FAULT);
}

/* A write to two pages, the second of which EPT doesn't let be written: nothing may be dirty then, in either dimension. */
Test(nested_walk, both_pages_of_a_crossing_access_checked_before_either_is_touched)
{
    const struct x86emu_paging p = {.cr0 = X86EMU_CR0_PE | X86EMU_CR0_PG, .cr3 = 0x8000, .cr4 = 0, .maxphyaddr = 46};
    struct x86emu_nested_format e = ept(true);
    struct x86emu_two_walk walk;

    four_levels(7, 0x5000 | 7 | 6 << 3);
    put(0x3000 + 8 * 8, 0x6000 | 7 | 6 << 3); /* the guest's directory */
    put(0x3000 + 8 * 9, 0x7000 | 7 | 6 << 3); /* its page table */
    put(0x3000 + 8 * 1, 0x8000 | 5 | 6 << 3); /* the second page */
    put(0x6000, 0x9007);
    put(0x7000, UINT64_C(0x100700000007)); /* pages 0 and 1 of the guest */
    x86emu_two_walk_begin(&walk, &p, &e, 0x1e, 0xfff, W | X86EMU_WALK_NO_DIRTY);
    cr_assert_eq(x86emu_two_walk_run(&walk, &accessors), X86EMU_WALK_DONE);
    cr_assert_eq(walk.hpa, 0x5fff);
    x86emu_two_walk_begin(&walk, &p, &e, 0x1e, 0x1000, W | X86EMU_WALK_NO_DIRTY);
    cr_assert_eq(x86emu_two_walk_run(&walk, &accessors), X86EMU_WALK_NESTED_FAULT);
    cr_assert_eq(get(0x7000), UINT64_C(0x102700000027), "accessed, not dirty: %llx", (unsigned long long)get(0x7000));
    cr_assert_eq(get(0x3000), 0x5000 | 7 | 6 << 3 | 1 << 8, "accessed, not dirty");
    cr_assert_eq(get(0x3008), 0x8000 | 5 | 6 << 3, "as it was");
}

Test(nested_walk, misconfigurations_as_the_manual_lists_them)
{
    const uint64_t good = 0x5000 | 7 | 6 << 3;
    const struct {
        const char *what;
        unsigned level;
        uint64_t entry;
        bool misconfigured;
    } cases[] = {
        {"nothing wrong", 1, good, false},
        {"write without read", 1, (good & ~UINT64_C(7)) | 2, true},
        {"write and execute without read", 1, (good & ~UINT64_C(7)) | 6, true},
        {"execute only", 1, (good & ~UINT64_C(7)) | 4, true},
        {"memory type 2", 1, 0x5017, true},
        {"memory type 3", 1, 0x501f, true},
        {"memory type 7", 1, 0x503f, true},
        {"memory type 5", 1, 0x502f, false},
        {"address beyond the physical width", 1, good | UINT64_C(1) << 46, true},
        {"bit 52 and up are ignored", 1, good | UINT64_C(0xfff) << 52, false},
        {"bits 7, 10 and 11 of the last level are ignored", 1, good | 0xc80, false},
        {"2M page misaligned", 2, 0x81000 | 0xb7, true},
        {"2M page", 2, 0x200000 | 0xb7, false},
        {"2M page of memory type 7", 2, 0x2000bf, true},
        {"bit 3 of an entry that refers to a table", 2, 0x300f, true},
        {"bit 6 of an entry that refers to a table", 3, 0x2047, true},
        {"1G page misaligned", 3, 0x2000b7, true},
        {"1G page", 3, 0x400000b7, false},
        {"bit 7 of a PML4E", 4, 0x1087, true},
        {"bit 3 of a PML4E", 4, 0x100f, true},
        {"write without read in a PML4E", 4, 0x1002, true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct x86emu_nested_format f = ept(true);

        four_levels(7, good);
        put((4 - cases[i].level) * 0x1000, cases[i].entry);
        cr_expect_eq(walk_to(&f, 0, R).status, cases[i].misconfigured ? X86EMU_WALK_MISCONFIGURED : X86EMU_WALK_DONE,
                     "%s", cases[i].what);
    }
}

Test(nested_walk, capabilities_decide_what_is_misconfigured)
{
    struct x86emu_nested_format f = ept(true);

    four_levels(7, 0x5034);
    f.execute_only = true;
    cr_assert_eq(walk_to(&f, 0, X).status, X86EMU_WALK_DONE);
    cr_assert_eq(walk_to(&f, 0, R).status, X86EMU_WALK_FAULT);
    put(0x2000, 0x2000b7);
    cr_assert_eq(walk_to(&f, 0, R).status, X86EMU_WALK_DONE);
    f.page_2m = false;
    cr_assert_eq(walk_to(&f, 0, R).status, X86EMU_WALK_MISCONFIGURED);
    put(0x1000, 0x400000b7);
    f.page_1g = false;
    cr_assert_eq(walk_to(&f, 0, R).status, X86EMU_WALK_MISCONFIGURED);
}

Test(nested_walk, a_misconfiguration_further_down_wins_over_missing_rights)
{
    struct x86emu_nested_format f = ept(true);

    four_levels(1, 0x503f);
    cr_assert_eq(walk_to(&f, 0, W).status, X86EMU_WALK_MISCONFIGURED);
}

Test(nested_walk, qualification_says_what_the_entries_allow_together)
{
    struct x86emu_nested_format f = ept(true);
    struct x86emu_nested_walk walk;

    four_levels(7, 0x5035); /* readable, executable */
    put(0x1000, 0x2003);    /* not executable further up */
    walk = walk_to(&f, 0x10, W);
    cr_assert_eq(walk.status, X86EMU_WALK_FAULT);
    cr_assert_eq(walk.fault, X86EMU_EPT_WRITE | X86EMU_EPT_READABLE | X86EMU_EPT_LINEAR_VALID | X86EMU_EPT_FINAL);
    walk = walk_to(&f, 0x10, X);
    cr_assert_eq(walk.fault, X86EMU_EPT_FETCH | X86EMU_EPT_READABLE | X86EMU_EPT_LINEAR_VALID | X86EMU_EPT_FINAL);
    walk = walk_to(&f, 0x10, R | X86EMU_NESTED_TABLE); /* counts as a write with A/D flags */
    cr_assert_eq(walk.fault, 3 | X86EMU_EPT_READABLE | X86EMU_EPT_LINEAR_VALID);
    walk = walk_to(&f, 0x10, R | X86EMU_NESTED_TABLE | X86EMU_NESTED_NO_LINEAR);
    cr_assert_eq(walk.status, X86EMU_WALK_DONE, "PDPTEs loaded by MOV to CR are only read");
    f.accessed_dirty = false;
    cr_assert_eq(walk_to(&f, 0x10, R | X86EMU_NESTED_TABLE).status, X86EMU_WALK_DONE);
    walk = walk_to(&f, 0x1000, R);
    cr_assert_eq(walk.fault, 0x181, "not present: nothing is allowed");
    walk = walk_to(&f, UINT64_C(1) << 48, R);
    cr_assert_eq(walk.fault, 0x181, "more than four levels translate");
}

Test(nested_walk, F22_mode_based_execute_control)
{
    struct x86emu_nested_format f = ept(true);

    f.mode_based_execute = true;
    four_levels(7 | 1 << 10, 0x5031 | 1 << 10); /* executable for users only */
    cr_assert_eq(walk_to(&f, 0, X | X86EMU_NESTED_USER).status, X86EMU_WALK_DONE);
    cr_assert_eq(walk_to(&f, 0, X).status, X86EMU_WALK_FAULT);
    cr_assert_eq(walk_to(&f, 0, X).fault, X86EMU_EPT_FETCH | X86EMU_EPT_READABLE | X86EMU_EPT_USER_EXECUTABLE |
                                              X86EMU_EPT_LINEAR_VALID | X86EMU_EPT_FINAL);
    cr_assert_eq(walk_to(&f, 0, R).rights, R | UX);
    put(0x3000, 0x5030 | 1 << 10);
    cr_assert_eq(walk_to(&f, 0, R).status, X86EMU_WALK_MISCONFIGURED, "execute only for users, without capability");
}

Test(nested_walk, npt_faults)
{
    struct x86emu_nested_format f = npt();

    four_levels(7, 0x5005);
    cr_assert_eq(walk_to(&f, 0, W).fault, UINT64_C(1) << 32 | 7);
    cr_assert_eq(walk_to(&f, 0, R | X86EMU_NESTED_TABLE).fault, UINT64_C(1) << 33 | 7, "table accesses are writes");
    put(0x3000, 0x5007 | UINT64_C(1) << 63);
    cr_assert_eq(walk_to(&f, 0, X).fault, UINT64_C(1) << 32 | 0x15);
    cr_assert_eq(walk_to(&f, 0, R).rights, R | W);
    put(0x3000, 0x5003);
    cr_assert_eq(walk_to(&f, 0, R).fault, UINT64_C(1) << 32 | 5, "all nested accesses are user accesses");
    put(0x3000, 0x5007 | UINT64_C(1) << 50);
    cr_assert_eq(walk_to(&f, 0, R).fault, UINT64_C(1) << 32 | 0xd);
    cr_assert_eq(walk_to(&f, 0x1000, R).fault, UINT64_C(1) << 32 | 4);
}

/* --- hostile tables, wrong answers --------------------------------------------------------------------------------- */

Test(nested_walk, table_that_points_to_itself)
{
    struct x86emu_nested_format f = npt();

    put(0, 7); /* its own PML4E, PDPTE, PDE and PTE */
    cr_assert_eq(walk_to(&f, 0x456, W).hpa, 0x456);
    cr_assert_eq(get(0), 7 | 1 << 5 | 1 << 6);
}

Test(nested_walk, table_outside_of_memory)
{
    struct x86emu_nested_format f = ept(true);
    struct x86emu_nested_walk walk;

    put(0, UINT64_C(0x3fffffffe000) | 7);
    walk = walk_to(&f, 0, R);
    cr_assert_eq(walk.status, X86EMU_WALK_READ);
    cr_assert_eq(walk.entry_hpa, UINT64_C(0x3fffffffe000));
}

Test(nested_walk, answers_without_a_question)
{
    struct x86emu_nested_format f = ept(true);
    struct x86emu_nested_walk walk;
    struct x86emu_two_walk two;
    struct x86emu_paging paging = {.maxphyaddr = 46};

    four_levels(7, 0x5037);
    walk = walk_to(&f, 0, R);
    cr_assert_eq(x86emu_nested_walk_entry(&walk, 0), X86EMU_WALK_MISUSE);
    cr_assert_eq(x86emu_nested_walk_updated(&walk, true), X86EMU_WALK_MISUSE);
    cr_assert_eq(walk.status, X86EMU_WALK_DONE);
    cr_assert_eq(x86emu_two_walk_begin(&two, &paging, &f, 0, 0, R), X86EMU_WALK_READ);
    cr_assert_eq(x86emu_two_walk_updated(&two, true), X86EMU_WALK_MISUSE);
    cr_assert_eq(x86emu_two_walk_run(&two, &accessors), X86EMU_WALK_DONE);
    cr_assert_eq(x86emu_two_walk_entry(&two, 0), X86EMU_WALK_MISUSE);
    cr_assert_eq(two.hpa, 0x5000);
    cr_assert_eq(two.page_shift, 12);
}

static bool never_exchange(void *opaque, uint64_t hpa, unsigned size, uint64_t old_value, uint64_t new_value,
                           bool *exchanged)
{
    (void)opaque, (void)hpa, (void)size, (void)old_value, (void)new_value;
    *exchanged = false;
    return true;
}

Test(nested_walk, exchanges_that_are_always_lost_end)
{
    static const struct x86emu_walk_memory contended = {read_memory, never_exchange, NULL};
    struct x86emu_nested_format f = ept(true);
    struct x86emu_nested_walk walk;

    four_levels(7, 0x5037);
    x86emu_nested_walk_begin(&walk, &f, 0, 0, R);
    cr_assert_eq(x86emu_nested_walk_run(&walk, &contended), X86EMU_WALK_UPDATE);
    cr_assert_eq(x86emu_nested_walk_run(&walk, &accessors), X86EMU_WALK_DONE, "it can be tried again");
}
