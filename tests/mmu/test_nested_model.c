/* SPDX-License-Identifier: BSD-2-Clause */
/* F17, F18, F19, F20, F22: kept nested tables under random use, held against one record for each 4K page. */
#include "pool.h"
#include "reference.h"

#include <criterion/criterion.h>
#include <string.h>

enum {
    /* 4 MiB on both sides of a border between two 1G pages, and of one between two 512G tables. */
    PAGES = 2048,
    WINDOWS = 2,
    ROUNDS = 60,
    STEPS = 300,
};

static const uint64_t window_gpa[WINDOWS] = {0x3fc00000, 0x7fffc00000};

struct record {
    bool mapped;
    uint64_t hpa;
    struct x86emu_nested_attributes attributes;
    bool accessed, dirty;
    bool guarded; /* write-protected for dirty logging */
};

static struct record records[WINDOWS][PAGES];
static struct x86emu_nested table;
static struct x86emu_nested_format format;
static bool inexact; /* pages were promoted: one is accessed or dirty if any of its parts was */

static struct x86emu_nested_format random_format(void)
{
    return (struct x86emu_nested_format){
        .type = one_in(2) ? X86EMU_NESTED_EPT : X86EMU_NESTED_NPT,
        .levels = one_in(2) ? 4 : 5,
        .maxphyaddr = 46,
        .page_2m = !one_in(4),
        .page_1g = one_in(2),
        .accessed_dirty = one_in(2),
        .execute_only = one_in(2),
        .mode_based_execute = one_in(2),
        .execute_disable = true,
    };
}

/* SDM Vol. 3, 29.3.3.1; APM Vol. 2, 15.25: what pages can be without being misconfigured. */
static bool has_rights(unsigned rights)
{
    bool ept = format.type == X86EMU_NESTED_EPT;

    if (rights & 8 && !(ept && format.mode_based_execute))
        return false;
    if (rights == 0 || rights & 1)
        return true;
    return ept && format.execute_only && !(rights & 2);
}

/* --- the operations, on the record --------------------------------------------------------------------------------- */

/* A random range in one window, often of whole large pages. */
struct range {
    struct record *first;
    uint64_t gpa;
    unsigned count;
};

static struct range random_range(void)
{
    unsigned window = (unsigned)(random_bits() % WINDOWS), first, count;

    first = (unsigned)(random_bits() % PAGES);
    count = 1 + (unsigned)(random_bits() % (one_in(2) ? 8 : PAGES));
    if (one_in(2)) {
        first &= ~511u;
        count = (count + 511) & ~511u;
    }
    if (count > PAGES - first)
        count = PAGES - first;
    return (struct range){&records[window][first], window_gpa[window] + first * UINT64_C(4096), count};
}

static void check_map(const struct range *range)
{
    struct x86emu_nested_attributes attributes = {.rights = (uint8_t)(random_bits() & 15), .memory_type = 6};
    uint64_t hpa = one_in(4) ? random_bits() % 0x1000000 << 12 : range->gpa + 0x100000000;
    enum x86emu_nested_status status, expected = X86EMU_NESTED_OK;

    attributes.rights = one_in(3) ? attributes.rights : 7;
    attributes.memory_type = one_in(8) ? 0 : 6;
    attributes.largest = one_in(4) ? 12 : 0;
    for (unsigned i = 0; i < range->count; i++)
        if (range->first[i].mapped)
            expected = X86EMU_NESTED_OVERLAP;
    if (!has_rights(attributes.rights))
        expected = X86EMU_NESTED_UNSUPPORTED;
    status = x86emu_nested_map(&table, range->gpa, hpa, range->count * UINT64_C(4096), &attributes);
    if (status == X86EMU_NESTED_NO_MEMORY) {
        cr_assert_eq(expected, X86EMU_NESTED_OK);
        return;
    }
    cr_assert_eq(status, expected, "map: %u instead of %u", status, expected);
    for (unsigned i = 0; i < range->count && status == X86EMU_NESTED_OK; i++)
        range->first[i] = (struct record){.mapped = true, .hpa = hpa + i * UINT64_C(4096), .attributes = attributes};
}

/* Marks what is reported in the record's own terms: every page reported has to have the bits. */
struct reported {
    unsigned char bits[WINDOWS][PAGES];
};

static void note(void *opaque, uint64_t gpa, uint64_t size, unsigned bits)
{
    struct reported *reported = (struct reported *)opaque;

    for (unsigned w = 0; w < WINDOWS; w++)
        for (uint64_t at = gpa; at < gpa + size; at += 4096)
            if (at >= window_gpa[w] && at - window_gpa[w] < PAGES * UINT64_C(4096))
                reported->bits[w][(at - window_gpa[w]) / 4096] |= (unsigned char)bits;
}

static unsigned char *reported_for(struct reported *reported, const struct range *range)
{
    return &reported->bits[0][0] + (range->first - &records[0][0]);
}

static void check_bits(const struct record *record, unsigned bits, unsigned asked)
{
    unsigned expected = (record->accessed ? X86EMU_NESTED_ACCESSED : 0u) | (record->dirty ? X86EMU_NESTED_DIRTY : 0u);

    if (!record->mapped)
        expected = 0;
    if (inexact)
        cr_assert_eq(expected & asked & ~bits, 0, "bits were lost: %x of %x", bits, expected);
    else
        cr_assert_eq(bits, expected & asked, "%x instead of %x", bits, expected & asked);
}

static void check_unmap(const struct range *range)
{
    static struct reported reported;
    enum x86emu_nested_status status;

    memset(&reported, 0, sizeof(reported));
    status = x86emu_nested_unmap(&table, range->gpa, range->count * UINT64_C(4096), note, &reported);
    if (status == X86EMU_NESTED_NO_MEMORY)
        return;
    cr_assert_eq(status, X86EMU_NESTED_OK);
    for (unsigned i = 0; i < range->count; i++) {
        check_bits(&range->first[i], reported_for(&reported, range)[i], 3);
        range->first[i] = (struct record){.mapped = false};
    }
}

static void check_protect(const struct range *range)
{
    unsigned rights = random_bits() & 15;
    enum x86emu_nested_status status = x86emu_nested_protect(&table, range->gpa, range->count * UINT64_C(4096), rights);

    if (status == X86EMU_NESTED_NO_MEMORY)
        return;
    cr_assert_eq(status, has_rights(rights) ? X86EMU_NESTED_OK : X86EMU_NESTED_UNSUPPORTED);
    for (unsigned i = 0; i < range->count && status == X86EMU_NESTED_OK; i++) {
        range->first[i].attributes.rights = (uint8_t)rights;
        range->first[i].guarded = range->first[i].guarded && rights & 2;
    }
}

/* Superpages have one bit for all their pages: what they report beyond the record is no mistake. */
static bool has_superpage(const struct range *range)
{
    struct x86emu_nested_extent extent;

    for (unsigned i = 0; i < range->count; i++) {
        cr_assert_eq(x86emu_nested_query(&table, range->gpa + i * UINT64_C(4096), UINT64_MAX, &extent),
                     X86EMU_NESTED_OK);
        if (extent.mapped && extent.page_shift > 12)
            return true;
    }
    return false;
}

static void check_harvest(const struct range *range)
{
    static struct reported reported;
    unsigned what = (unsigned)random_bits() & 31;

    if (has_superpage(range))
        cr_assert_eq(x86emu_nested_split(&table, range->gpa, range->count * UINT64_C(4096), 12), X86EMU_NESTED_OK);
    memset(&reported, 0, sizeof(reported));
    cr_assert_eq(x86emu_nested_harvest(&table, range->gpa, range->count * UINT64_C(4096), what, note, &reported),
                 X86EMU_NESTED_OK);
    for (unsigned i = 0; i < range->count; i++) {
        struct record *record = &range->first[i];

        check_bits(record, reported_for(&reported, range)[i], what & 3);
        if (what & X86EMU_HARVEST_CLEAR && what & X86EMU_HARVEST_ACCESSED)
            record->accessed = false;
        if (what & X86EMU_HARVEST_CLEAR && what & X86EMU_HARVEST_DIRTY)
            record->dirty = false;
        if (what & X86EMU_HARVEST_PROTECT && record->attributes.rights & X86EMU_ACCESS_WRITE && !record->dirty)
            record->guarded = true;
        if (what & X86EMU_HARVEST_RELEASE)
            record->guarded = false;
    }
}

/* A page that may be larger than 4K was accessed: there is one accessed and one dirty bit for all of it. */
static void mark(uint64_t gpa, unsigned shift, unsigned access)
{
    uint64_t base = gpa >> shift << shift, size = UINT64_C(1) << shift;

    for (unsigned w = 0; w < WINDOWS; w++) {
        for (unsigned i = 0; i < PAGES; i++) {
            struct record *record = &records[w][i];

            if (window_gpa[w] + i * UINT64_C(4096) - base >= size)
                continue;
            record->accessed = true;
            record->dirty = record->dirty || access & X86EMU_ACCESS_WRITE;
            record->guarded = record->guarded && !(access & X86EMU_ACCESS_WRITE);
        }
    }
}

/* The processor's access, by the reference walk; what faults is answered by a touch, as a hypervisor does. */
static uint8_t *table_memory(void *opaque, uint64_t hpa, unsigned size, bool write)
{
    (void)size, (void)write;
    return (uint8_t *)table.memory.page(opaque, hpa & ~UINT64_C(4095)) + hpa % 4096;
}

static void check_access(const struct range *range)
{
    static const unsigned kinds[] = {1, 2, 4};
    struct record *record = range->first;
    unsigned access = kinds[random_bits() % 3];
    uint64_t gpa = range->gpa + random_bits() % 4096;
    struct x86emu_nested_touched touched;
    bool allowed = record->mapped && (record->attributes.rights & access) == access;
    struct outcome outcome =
        reference_nested_walk(&format, x86emu_nested_pointer(&table), gpa, access, table_memory, NULL);

    cr_assert_neq(outcome.kind, MISCONFIGURED);
    if (record->guarded && access == X86EMU_ACCESS_WRITE)
        cr_assert_eq(outcome.kind, FAULTS, "a write-protected page was written");
    if (outcome.kind == FAULTS) {
        enum x86emu_nested_status status = x86emu_nested_touch(&table, gpa, access, &touched);

        cr_assert_eq(status,
                     !record->mapped ? X86EMU_NESTED_ABSENT
                     : allowed       ? X86EMU_NESTED_OK
                                     : X86EMU_NESTED_DENIED,
                     "touch: %u", status);
        if (status != X86EMU_NESTED_OK)
            return;
        cr_assert_eq(touched.hpa, record->hpa + gpa % 4096);
        outcome = reference_nested_walk(&format, x86emu_nested_pointer(&table), gpa, access, table_memory, NULL);
    }
    cr_assert(outcome.kind == GOES_THROUGH && allowed);
    cr_assert_eq(outcome.address, record->hpa + gpa % 4096);
    cr_assert_eq(outcome.memory_type, record->attributes.memory_type);
    mark(gpa, outcome.shift, access);
}

/* --- comparison ---------------------------------------------------------------------------------------------------- */

static void check_query(unsigned window, unsigned i)
{
    const struct record *record = &records[window][i];
    uint64_t gpa = window_gpa[window] + i * UINT64_C(4096);
    struct x86emu_nested_extent extent;

    cr_assert_eq(x86emu_nested_query(&table, gpa, gpa + 0x1000, &extent), X86EMU_NESTED_OK);
    cr_assert_eq(extent.mapped, record->mapped, "%llx", (unsigned long long)gpa);
    cr_assert_eq(extent.gpa, gpa);
    cr_assert_eq(extent.size, 0x1000);
    if (!record->mapped)
        return;
    cr_assert_eq(extent.hpa, record->hpa);
    cr_assert_eq(extent.attributes.rights, record->attributes.rights);
    cr_assert_eq(extent.attributes.memory_type, record->attributes.memory_type);
    cr_assert(extent.page_shift == 12 || (extent.page_shift == 21 && format.page_2m) ||
              (extent.page_shift == 30 && format.page_1g));
}

static void one_step(void)
{
    struct range range = random_range();
    uint64_t generation = table.generation;
    bool change = true;

    pool_left = one_in(8) ? (unsigned)(random_bits() % 4) : POOL_PAGES - pool_used;
    switch (random_bits() % 8) {
    case 0:
        check_map(&range);
        change = false; /* not when refused */
        break;
    case 1:
        check_unmap(&range);
        break;
    case 2:
        check_protect(&range);
        change = false;
        break;
    case 3:
        pool_left = POOL_PAGES - pool_used;
        check_harvest(&range);
        change = false;
        break;
    case 4:
        x86emu_nested_split(&table, range.gpa, range.count * UINT64_C(4096), one_in(2) ? 12 : 21);
        break;
    case 5:
        if (one_in(8) && x86emu_nested_promote(&table, range.gpa, range.count * UINT64_C(4096)) != 0)
            inexact = true;
        change = false;
        break;
    default:
        check_access(&range);
        change = false;
        break;
    }
    if (change)
        cr_assert_neq(table.generation, generation, "F20: vCPUs have to see that they are behind");
    cr_assert_eq(table.tables, pool_used);
    cr_assert_eq(pool_mistakes, 0);
}

static void one_round(void)
{
    struct x86emu_nested_memory memory = pool_memory();

    pool_reset();
    memset(records, 0, sizeof(records));
    inexact = false;
    format = random_format();
    cr_assert_eq(x86emu_nested_init(&table, &format, &memory, NULL, 0), X86EMU_NESTED_OK);
    table.promote = one_in(2);
    for (unsigned step = 0; step < STEPS; step++) {
        one_step();
        for (unsigned i = 0; i < 32; i++)
            check_query((unsigned)(random_bits() % WINDOWS), (unsigned)(random_bits() % PAGES));
    }
    for (unsigned w = 0; w < WINDOWS; w++) {
        for (unsigned i = 0; i < PAGES; i++)
            check_query(w, i);
        cr_assert_eq(x86emu_nested_unmap(&table, window_gpa[w], PAGES * UINT64_C(4096), NULL, NULL), X86EMU_NESTED_OK);
    }
    cr_assert_eq(table.tables, 1, "an empty table keeps only its root");
    x86emu_nested_destroy(&table);
    cr_assert_eq(pool_used, 0);
    cr_assert_eq(pool_mistakes, 0);
}

Test(nested_model, F17_F18_F19_F20_F22_random_use_against_a_record_of_each_page)
{
    for (unsigned round = 0; round < ROUNDS; round++)
        one_round();
}
