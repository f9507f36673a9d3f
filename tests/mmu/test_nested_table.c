/* SPDX-License-Identifier: BSD-2-Clause */
/* F17 to F22 on kept nested tables, case by case, through the public functions and the entries that processors see. */
#include "pool.h"
#include "reference.h"

#include <criterion/criterion.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static const unsigned R = X86EMU_ACCESS_READ, W = X86EMU_ACCESS_WRITE, X = X86EMU_ACCESS_EXECUTE;
static const struct x86emu_nested_attributes rwx = {.rights = 7, .memory_type = X86EMU_MEMORY_WB};
static const struct x86emu_nested_attributes small = {.rights = 7, .memory_type = X86EMU_MEMORY_WB, .largest = 12};

static struct x86emu_nested table;
static uint64_t holds[4];

static void begin(struct x86emu_nested_format format)
{
    struct x86emu_nested_memory memory = pool_memory();

    pool_reset();
    cr_assert_eq(x86emu_nested_init(&table, &format, &memory, holds, 4), X86EMU_NESTED_OK);
}

static void end(void)
{
    x86emu_nested_destroy(&table);
    cr_assert_eq(pool_used, 0, "page-table pages were not given back");
    cr_assert_eq(pool_mistakes, 0);
}

/* The lowest entry for gpa, as a processor finds it; *level says where. */
static uint64_t *leaf_entry(uint64_t gpa, unsigned *level)
{
    const uint64_t address = UINT64_C(0xffffffffff000);
    uint64_t *page = table.memory.page(NULL, table.root_hpa);

    for (*level = table.format.levels;; --*level) {
        uint64_t *entry = &page[gpa >> (3 + 9 * *level) & 511];

        if (*level == 1 || *entry == 0 || (*level <= 3 && *entry & 0x80))
            return entry;
        page = table.memory.page(NULL, *entry & address);
    }
}

static uint64_t entry_of(uint64_t gpa)
{
    unsigned level;

    return *leaf_entry(gpa, &level);
}

static unsigned shift_of(uint64_t gpa)
{
    struct x86emu_nested_extent extent;

    cr_assert_eq(x86emu_nested_query(&table, gpa, UINT64_MAX, &extent), X86EMU_NESTED_OK);
    return extent.mapped ? extent.page_shift : 0;
}

static struct x86emu_nested_walk walk_to(uint64_t gpa, unsigned access)
{
    struct x86emu_nested_walk walk;

    x86emu_nested_walk_table(&walk, &table, gpa, access);
    return walk;
}

static enum x86emu_nested_status map(uint64_t gpa, uint64_t hpa, uint64_t size,
                                     const struct x86emu_nested_attributes *attributes)
{
    return x86emu_nested_map(&table, gpa, hpa, size, attributes);
}

/* What a report says, one line of it after the other. */
static struct {
    uint64_t gpa, size;
    unsigned bits;
} reported[64];
static unsigned reports;

static void note(void *opaque, uint64_t gpa, uint64_t size, unsigned bits)
{
    (void)opaque;
    if (reports < 64) {
        reported[reports].gpa = gpa;
        reported[reports].size = size;
        reported[reports].bits = bits;
    }
    reports++;
}

static void harvest(uint64_t gpa, uint64_t size, unsigned what)
{
    reports = 0;
    cr_assert_eq(x86emu_nested_harvest(&table, gpa, size, what, note, NULL), X86EMU_NESTED_OK);
}

static void assert_report(unsigned i, uint64_t gpa, uint64_t size, unsigned bits)
{
    cr_assert_lt(i, reports);
    cr_assert_eq(reported[i].gpa, gpa, "%llx", (unsigned long long)reported[i].gpa);
    cr_assert_eq(reported[i].size, size, "%llx", (unsigned long long)reported[i].size);
    cr_assert_eq(reported[i].bits, bits);
}

/* --- entries ------------------------------------------------------------------------------------------------------- */

Test(nested_table, F17_both_formats_side_by_side)
{
    begin(ept(true));
    cr_assert_eq(x86emu_nested_pointer(&table), POOL_HPA | 6 | 3 << 3 | 1 << 6, "EPTP, SDM Vol. 3, table 25-9");
    map(0x1000, 0x5000, 0x1000, &rwx);
    cr_assert_eq(entry_of(0x1000) & 0xfffffffffffff, 0x5000 | 7 | 6 << 3);
    cr_assert_eq(walk_to(0x1234, W).hpa, 0x5234);
    cr_assert_eq(entry_of(0x1000) & 0xfff, 7 | 6 << 3 | 1 << 8 | 1 << 9);
    end();
    begin(npt());
    cr_assert_eq(x86emu_nested_pointer(&table), POOL_HPA);
    map(0x1000, 0x5000, 0x1000, &rwx);
    cr_assert_eq(entry_of(0x1000) & 0xfffffffffffff, 0x5000 | 7);
    cr_assert_eq(walk_to(0x1234, W).hpa, 0x5234);
    cr_assert_eq(entry_of(0x1000) & 0xfff, 7 | 1 << 5 | 1 << 6);
    end();
}

Test(nested_table, F17_five_levels)
{
    struct x86emu_nested_format f = ept(true);
    const uint64_t high = UINT64_C(1) << 51;

    f.levels = 5;
    begin(f);
    cr_assert_eq(x86emu_nested_pointer(&table), POOL_HPA | 6 | 4 << 3 | 1 << 6, "page-walk length minus 1");
    cr_assert_eq(map(high, 0x5000, 0x1000, &rwx), X86EMU_NESTED_OK);
    cr_assert_eq(walk_to(high + 0x234, W).hpa, 0x5234);
    cr_assert_eq(table.tables, 5);
    end();
}

Test(nested_table, F17_memory_types_in_both_formats)
{
    struct x86emu_nested_attributes uncached = rwx;

    uncached.memory_type = X86EMU_MEMORY_UC;
    begin(ept(true));
    map(0, 0, 0x1000, &uncached);
    cr_assert_eq(walk_to(0, R).memory_type, X86EMU_MEMORY_UC);
    uncached.memory_type = X86EMU_MEMORY_UC_MINUS;
    cr_assert_eq(map(0x1000, 0, 0x1000, &uncached), X86EMU_NESTED_UNSUPPORTED);
    end();
    begin(npt());
    uncached.memory_type = X86EMU_MEMORY_UC;
    map(0, 0, 2 * MIB, &uncached);
    cr_assert_eq(entry_of(0) & 0x1098, 0x98, "PAT entry 3 after reset is UC: PWT and PCD, APM Vol. 2, 7.8");
    cr_assert_eq(walk_to(0, R).memory_type, X86EMU_MEMORY_UC);
    uncached.memory_type = X86EMU_MEMORY_WC;
    cr_assert_eq(map(4 * MIB, 0, 0x1000, &uncached), X86EMU_NESTED_UNSUPPORTED, "no PAT entry is WC after reset");
    end();
}

/* The row's own words: valid in bit 52, writable in bit 53, accessed and dirty in bits 0 and 1. */
Test(nested_table, F18_emulated_accessed_and_dirty_bits)
{
    struct x86emu_nested_touched touched;
    const uint64_t soft = UINT64_C(3) << 52;

    begin(ept(false));
    cr_assert_eq(x86emu_nested_pointer(&table) & 1 << 6, 0);
    map(0x1000, 0x5000, 0x1000, &rwx);
    cr_assert_eq(entry_of(0x1000) & (soft | 7), soft, "not accessed: not present for the processor");
    cr_assert_eq(walk_to(0x1000, R).status, X86EMU_WALK_FAULT);
    cr_assert_eq(x86emu_nested_touch(&table, 0x1008, R, &touched), X86EMU_NESTED_OK);
    cr_assert_eq(entry_of(0x1000) & (soft | 7), soft | 5, "accessed: readable and executable");
    cr_assert_not(touched.newly_dirty);
    cr_assert_eq(touched.hpa, 0x5008);
    cr_assert_eq(walk_to(0x1000, R).status, X86EMU_WALK_DONE);
    cr_assert_eq(walk_to(0x1000, W).status, X86EMU_WALK_FAULT);
    cr_assert_eq(x86emu_nested_touch(&table, 0x1008, W, &touched), X86EMU_NESTED_OK);
    cr_assert(touched.newly_dirty);
    cr_assert_eq(entry_of(0x1000) & (soft | 7), soft | 7);
    cr_assert_eq(walk_to(0x1000, W).status, X86EMU_WALK_DONE);
    harvest(0, MIB, X86EMU_HARVEST_DIRTY | X86EMU_HARVEST_CLEAR);
    assert_report(0, 0x1000, 0x1000, X86EMU_NESTED_DIRTY);
    cr_assert_eq(entry_of(0x1000) & 7, 5, "clean: the next write faults");
    harvest(0, MIB, X86EMU_HARVEST_ACCESSED | X86EMU_HARVEST_CLEAR);
    assert_report(0, 0x1000, 0x1000, X86EMU_NESTED_ACCESSED);
    cr_assert_eq(entry_of(0x1000) & 7, 0);
    end();
}

Test(nested_table, F18_emulated_bits_outlive_the_rights)
{
    struct x86emu_nested_touched touched;

    begin(ept(false));
    map(0x1000, 0x5000, 0x1000, &rwx);
    x86emu_nested_touch(&table, 0x1000, W, &touched);
    x86emu_nested_protect(&table, 0x1000, 0x1000, 0);
    cr_assert_eq(entry_of(0x1000) & 7, 0);
    cr_assert_eq(x86emu_nested_touch(&table, 0x1000, R, &touched), X86EMU_NESTED_DENIED);
    x86emu_nested_protect(&table, 0x1000, 0x1000, R);
    harvest(0, MIB, X86EMU_HARVEST_ACCESSED | X86EMU_HARVEST_DIRTY);
    assert_report(0, 0x1000, 0x1000, X86EMU_NESTED_ACCESSED | X86EMU_NESTED_DIRTY);
    end();
}

Test(nested_table, F18_harvest_joins_neighbours_and_keeps_to_the_range)
{
    begin(npt());
    map(0, 0, 64 * KIB, &small);
    for (uint64_t gpa = 0x2000; gpa < 0x6000; gpa += 0x1000)
        walk_to(gpa, gpa < 0x5000 ? W : R);
    harvest(0x3000, 0x4000, X86EMU_HARVEST_ACCESSED | X86EMU_HARVEST_DIRTY);
    cr_assert_eq(reports, 2);
    assert_report(0, 0x3000, 0x2000, 3);
    assert_report(1, 0x5000, 0x1000, X86EMU_NESTED_ACCESSED);
    harvest(0, 64 * KIB, X86EMU_HARVEST_DIRTY | X86EMU_HARVEST_CLEAR);
    assert_report(0, 0x2000, 0x3000, X86EMU_NESTED_DIRTY);
    harvest(0, 64 * KIB, X86EMU_HARVEST_ACCESSED | X86EMU_HARVEST_DIRTY);
    assert_report(0, 0x2000, 0x4000, X86EMU_NESTED_ACCESSED);
    end();
}

static void log_dirty_pages(struct x86emu_nested_format format)
{
    struct x86emu_nested_touched touched;

    begin(format);
    map(0, 0, 64 * KIB, &small);
    x86emu_nested_touch(&table, 0x1000, W, &touched);
    x86emu_nested_touch(&table, 0x2000, R, &touched);
    harvest(0, 64 * KIB, X86EMU_HARVEST_DIRTY | X86EMU_HARVEST_CLEAR | X86EMU_HARVEST_PROTECT);
    cr_assert_eq(reports, 1);
    cr_assert_eq(walk_to(0x1000, W).status, X86EMU_WALK_FAULT);
    cr_assert_eq(walk_to(0x2000, R).status, X86EMU_WALK_DONE, "reads go on");
    cr_assert_eq(x86emu_nested_touch(&table, 0x1000, W, &touched), X86EMU_NESTED_OK);
    cr_assert(touched.newly_dirty);
    cr_assert_eq(touched.gpa, 0x1000);
    cr_assert_eq(walk_to(0x1000, W).status, X86EMU_WALK_DONE);
    cr_assert_eq(x86emu_nested_touch(&table, 0x1000, W, &touched), X86EMU_NESTED_OK);
    cr_assert_not(touched.newly_dirty);
    harvest(0, 64 * KIB, X86EMU_HARVEST_DIRTY);
    assert_report(0, 0x1000, 0x1000, X86EMU_NESTED_DIRTY);
    harvest(0, 64 * KIB, X86EMU_HARVEST_RELEASE);
    if (!(format.type == X86EMU_NESTED_EPT && !format.accessed_dirty))
        cr_assert_eq(walk_to(0x3000, W).status, X86EMU_WALK_DONE);
    end();
}

Test(nested_table, F18_write_protection_for_dirty_logging)
{
    log_dirty_pages(ept(true));
    log_dirty_pages(ept(false));
    log_dirty_pages(npt());
}

/* --- superpages ---------------------------------------------------------------------------------------------------- */

Test(nested_table, F19_superpages_by_capability)
{
    struct x86emu_nested_format format = ept(true);

    begin(format);
    map(0, 0, 3 * GIB + 4 * MIB + 8 * KIB, &rwx);
    cr_assert_eq(shift_of(2 * GIB), 30);
    cr_assert_eq(shift_of(3 * GIB), 21);
    cr_assert_eq(shift_of(3 * GIB + 4 * MIB), 12);
    cr_assert_eq(table.tables, 4, "PML4, PDPT, one PD, one PT");
    end();
    format.page_1g = false;
    begin(format);
    map(0, 0, GIB, &rwx);
    cr_assert_eq(shift_of(0), 21);
    end();
    format.page_2m = false;
    begin(format);
    map(0, 0, 4 * MIB, &rwx);
    cr_assert_eq(shift_of(0), 12);
    cr_assert_eq(x86emu_nested_promote(&table, 0, 4 * MIB), 0);
    end();
}

Test(nested_table, F19_pages_of_1g_are_of_no_use_without_those_of_2m)
{
    struct x86emu_nested_format format = ept(true);

    format.page_2m = false;
    begin(format);
    map(0, 0, GIB, &rwx);
    cr_assert_eq(shift_of(0), 12);
    cr_assert_eq(x86emu_nested_split(&table, 0, GIB, 21), X86EMU_NESTED_OK);
    cr_assert_eq(walk_to(0, R).status, X86EMU_WALK_DONE);
    end();
}

Test(nested_table, F19_alignment_of_both_addresses_decides)
{
    begin(npt());
    map(2 * MIB, 4 * MIB + 0x1000, 2 * MIB, &rwx);
    cr_assert_eq(shift_of(2 * MIB), 12);
    map(16 * MIB + 0x1000, 32 * MIB + 0x1000, 4 * MIB, &rwx);
    cr_assert_eq(shift_of(16 * MIB + 0x1000), 12);
    cr_assert_eq(shift_of(18 * MIB), 21);
    cr_assert_eq(walk_to(18 * MIB + 0x12345, R).hpa, 34 * MIB + 0x12345);
    end();
}

Test(nested_table, F19_the_last_piece_promotes)
{
    begin(ept(true));
    for (uint64_t gpa = 0; gpa < 2 * MIB; gpa += 4 * KIB) {
        cr_assert_eq(shift_of(0), gpa == 0 ? 0 : 12);
        map(gpa, GIB + gpa, 4 * KIB, &rwx);
    }
    cr_assert_eq(shift_of(0), 21);
    cr_assert_eq(table.tables, 3, "the page table was given back");
    map(2 * MIB, GIB + 2 * MIB, GIB - 2 * MIB, &rwx);
    cr_assert_eq(shift_of(0), 30);
    cr_assert_eq(table.tables, 2);
    end();
}

Test(nested_table, F19_promotion_keeps_to_the_largest_page_asked_for)
{
    struct x86emu_nested_attributes medium = {.rights = 7, .memory_type = X86EMU_MEMORY_WB, .largest = 21};

    begin(ept(true));
    map(0, 0, GIB - 2 * MIB, &medium);
    map(GIB - 2 * MIB, GIB - 2 * MIB, 2 * MIB, &medium);
    cr_assert_eq(shift_of(0), 21);
    cr_assert_eq(x86emu_nested_promote(&table, 0, GIB), 1, "asked for explicitly it is done");
    cr_assert_eq(shift_of(0), 30);
    end();
}

Test(nested_table, F19_demotion_keeps_accessed_and_dirty_bits)
{
    begin(npt());
    map(0, 0, GIB, &rwx);
    walk_to(5 * MIB, W);
    cr_assert_eq(x86emu_nested_split(&table, 5 * MIB, 4 * KIB, 12), X86EMU_NESTED_OK);
    cr_assert_eq(shift_of(5 * MIB), 12);
    cr_assert_eq(shift_of(0), 21);
    harvest(0, GIB, X86EMU_HARVEST_ACCESSED | X86EMU_HARVEST_DIRTY | X86EMU_HARVEST_CLEAR);
    assert_report(0, 0, GIB, 3);
    walk_to(5 * MIB + 0x3000, W);
    cr_assert_eq(x86emu_nested_promote(&table, 0, GIB), 2, "one page of 2M, then one of 1G");
    cr_assert_eq(shift_of(0), 30);
    harvest(0, GIB, X86EMU_HARVEST_DIRTY);
    assert_report(0, 0, GIB, X86EMU_NESTED_DIRTY);
    end();
}

Test(nested_table, F19_unmapping_a_part_demotes)
{
    begin(ept(true));
    map(0, 0, GIB, &rwx);
    cr_assert_eq(x86emu_nested_unmap(&table, 4 * MIB + 0x1000, 0x1000, NULL, NULL), X86EMU_NESTED_OK);
    cr_assert_eq(walk_to(4 * MIB + 0x1000, R).status, X86EMU_WALK_FAULT);
    cr_assert_eq(walk_to(4 * MIB, R).hpa, 4 * MIB);
    cr_assert_eq(walk_to(4 * MIB + 0x2fff, R).hpa, 4 * MIB + 0x2fff);
    cr_assert_eq(shift_of(6 * MIB), 21);
    end();
}

/* --- invalidation, holds, rights ----------------------------------------------------------------------------------- */

Test(nested_table, F20_every_change_leaves_vcpus_behind)
{
    uint64_t first = 0, second = 0;

    begin(ept(true));
    map(0, 0, MIB, &small);
    cr_assert(x86emu_nested_behind(&table, &first));
    cr_assert_not(x86emu_nested_behind(&table, &first), "only once");
    x86emu_nested_protect(&table, 0, 0x1000, R);
    cr_assert(x86emu_nested_behind(&table, &first));
    x86emu_nested_unmap(&table, 0, 0x1000, NULL, NULL);
    cr_assert(x86emu_nested_behind(&table, &first));
    walk_to(0x1000, W);
    harvest(0, MIB, X86EMU_HARVEST_DIRTY);
    cr_assert_not(x86emu_nested_behind(&table, &first), "looking is no change");
    harvest(0, MIB, X86EMU_HARVEST_DIRTY | X86EMU_HARVEST_CLEAR);
    cr_assert(x86emu_nested_behind(&table, &first));
    cr_assert(x86emu_nested_behind(&table, &second), "each vCPU on its own");
    end();
}

Test(nested_table, F20_pages_are_given_back_with_the_generation_to_wait_for)
{
    uint64_t seen = 0;

    begin(ept(true));
    map(0, 0, 0x1000, &rwx);
    x86emu_nested_behind(&table, &seen);
    x86emu_nested_unmap(&table, 0, 0x1000, NULL, NULL);
    cr_assert_eq(pool_used, 1);
    cr_assert_gt(pool_generation, seen);
    x86emu_nested_behind(&table, &seen);
    cr_assert_eq(pool_generation, seen);
    end();
}

Test(nested_table, F21_hold_and_release)
{
    struct x86emu_nested_hold hold, other;

    begin(ept(true));
    map(0, GIB, 2 * MIB, &rwx);
    cr_assert_eq(x86emu_nested_hold(&table, 0x5123, W, &hold), X86EMU_NESTED_OK);
    cr_assert_eq(hold.hpa, GIB + 0x5123);
    cr_assert_eq(x86emu_nested_unmap(&table, 0x5000, 0x1000, NULL, NULL), X86EMU_NESTED_HELD);
    cr_assert_eq(x86emu_nested_unmap(&table, 0, 2 * MIB, NULL, NULL), X86EMU_NESTED_HELD);
    cr_assert_eq(x86emu_nested_protect(&table, 0, 2 * MIB, R), X86EMU_NESTED_HELD);
    cr_assert_eq(shift_of(0), 21, "nothing changed");
    cr_assert_eq(x86emu_nested_unmap(&table, 0x4000, 0x1000, NULL, NULL), X86EMU_NESTED_OK, "its neighbour");
    cr_assert_eq(x86emu_nested_hold(&table, 0x5000, R, &other), X86EMU_NESTED_OK, "twice at once");
    x86emu_nested_release(&table, &hold);
    x86emu_nested_release(&table, &hold);
    cr_assert_eq(x86emu_nested_unmap(&table, 0x5000, 0x1000, NULL, NULL), X86EMU_NESTED_HELD);
    x86emu_nested_release(&table, &other);
    reports = 0;
    cr_assert_eq(x86emu_nested_unmap(&table, 0x5000, 0x1000, note, NULL), X86EMU_NESTED_OK);
    assert_report(0, 0x5000, 0x1000, 3);
    end();
}

Test(nested_table, F21_holds_run_out_and_need_rights)
{
    struct x86emu_nested_hold hold[5];

    begin(npt());
    map(0, 0, 0x1000, &rwx);
    cr_assert_eq(x86emu_nested_hold(&table, 0x1000, R, &hold[0]), X86EMU_NESTED_ABSENT);
    x86emu_nested_protect(&table, 0, 0x1000, R | X);
    cr_assert_eq(x86emu_nested_hold(&table, 0, W, &hold[0]), X86EMU_NESTED_DENIED);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(x86emu_nested_hold(&table, 0, R, &hold[i]), X86EMU_NESTED_OK, "a refused hold took a place");
    cr_assert_eq(x86emu_nested_hold(&table, 0, R, &hold[4]), X86EMU_NESTED_NO_MEMORY);
    for (unsigned i = 0; i < 4; i++)
        x86emu_nested_release(&table, &hold[i]);
    cr_assert_eq(x86emu_nested_unmap(&table, 0, 0x1000, NULL, NULL), X86EMU_NESTED_OK);
    end();
}

Test(nested_table, F22_without_execute_permission)
{
    struct x86emu_nested_attributes data = {.rights = 3, .memory_type = X86EMU_MEMORY_WB};

    begin(ept(true));
    map(0, 0, 2 * MIB, &data);
    cr_assert_eq(walk_to(0, W).status, X86EMU_WALK_DONE);
    cr_assert_eq(walk_to(0, X).status, X86EMU_WALK_FAULT);
    end();
    begin(npt());
    map(0, 0, 2 * MIB, &data);
    cr_assert(entry_of(0) >> 63);
    cr_assert_eq(walk_to(0, X).fault, X86EMU_NPF_PRESENT | X86EMU_NPF_USER | X86EMU_NPF_FETCH | X86EMU_NPF_FINAL);
    table.format.execute_disable = false;
    cr_assert_eq(map(2 * MIB, 0, 2 * MIB, &data), X86EMU_NESTED_UNSUPPORTED, "EFER.NXE is clear");
    end();
}

static void execute_only(struct x86emu_nested_format format)
{
    struct x86emu_nested_attributes code = {.rights = X86EMU_ACCESS_EXECUTE, .memory_type = X86EMU_MEMORY_WB};
    struct x86emu_nested_touched touched;

    begin(format);
    cr_assert_eq(map(0, 0, 0x1000, &code), X86EMU_NESTED_UNSUPPORTED);
    end();
    format.execute_only = true;
    begin(format);
    cr_assert_eq(map(0, 0, 0x1000, &code), X86EMU_NESTED_OK);
    cr_assert_eq(x86emu_nested_touch(&table, 0, X, &touched), X86EMU_NESTED_OK);
    cr_assert_eq(entry_of(0) & 7, 4);
    cr_assert_eq(walk_to(0, X).status, X86EMU_WALK_DONE);
    cr_assert_eq(walk_to(0, R).status, X86EMU_WALK_FAULT);
    cr_assert_eq(x86emu_nested_touch(&table, 0, R, &touched), X86EMU_NESTED_DENIED);
    harvest(0, MIB, X86EMU_HARVEST_ACCESSED);
    assert_report(0, 0, 0x1000, X86EMU_NESTED_ACCESSED);
    end();
}

Test(nested_table, F22_execute_only_where_the_capability_says_so)
{
    execute_only(ept(true));
    execute_only(ept(false));
}

Test(nested_table, F22_user_execute_with_mode_based_control)
{
    struct x86emu_nested_attributes user = {.rights = 9, .memory_type = X86EMU_MEMORY_WB};
    struct x86emu_nested_format format = ept(true);

    begin(format);
    cr_assert_eq(map(0, 0, 0x1000, &user), X86EMU_NESTED_UNSUPPORTED);
    end();
    format.mode_based_execute = true;
    begin(format);
    map(0, 0, 0x1000, &user);
    cr_assert_eq(walk_to(0, X | X86EMU_NESTED_USER).status, X86EMU_WALK_DONE, "tables on the way allow it too");
    cr_assert_eq(walk_to(0, X).status, X86EMU_WALK_FAULT);
    end();
}

/* --- when something goes wrong ------------------------------------------------------------------------------------- */

/* With 0, 1, … page-table pages left until it works: what fails leaves mappings and pages as they were. */
static void fails_cleanly(enum x86emu_nested_status (*operation)(void), unsigned needed)
{
    for (unsigned left = 0;; left++) {
        uint64_t tables = table.tables;
        enum x86emu_nested_status status;

        pool_left = left;
        status = operation();
        if (status == X86EMU_NESTED_OK) {
            cr_assert_eq(left, needed);
            return;
        }
        cr_assert_eq(status, X86EMU_NESTED_NO_MEMORY);
        cr_assert_eq(table.tables, tables, "with %u pages left: %u tables", left, (unsigned)table.tables);
        cr_assert_eq(pool_used, tables);
        cr_assert_eq(shift_of(0), 30);
        cr_assert_eq(walk_to(GIB - 1, R).hpa, 3 * GIB - 1);
        cr_assert_eq(walk_to(GIB + 0x1000, R).status, X86EMU_WALK_FAULT);
    }
}

static enum x86emu_nested_status unmap_middle(void)
{
    return x86emu_nested_unmap(&table, 0x5000, 512 * MIB, NULL, NULL);
}

static enum x86emu_nested_status protect_middle(void)
{
    return x86emu_nested_protect(&table, 0x5000, 512 * MIB, R);
}

static enum x86emu_nested_status map_more(void)
{
    return map(GIB + 0x1000, 0x1000, 512 * GIB, &rwx);
}

static void with_one_page_of_1g(enum x86emu_nested_status (*operation)(void), unsigned needed)
{
    begin(ept(true));
    map(0, 2 * GIB, GIB, &rwx);
    walk_to(0, W);
    fails_cleanly(operation, needed);
    end();
}

Test(nested_table, F19_no_page_in_the_middle_of_a_split)
{
    with_one_page_of_1g(unmap_middle, 3); /* a directory, a table at each end */
    with_one_page_of_1g(protect_middle, 3);
}

Test(nested_table, no_page_in_the_middle_of_a_mapping)
{
    /* Directory and table at the beginning; the same and a PDPT at the end. */
    with_one_page_of_1g(map_more, 5);
}

Test(nested_table, no_page_for_the_root)
{
    struct x86emu_nested_format format = npt();
    struct x86emu_nested_memory memory = pool_memory();

    pool_reset();
    pool_left = 0;
    cr_assert_eq(x86emu_nested_init(&table, &format, &memory, NULL, 0), X86EMU_NESTED_NO_MEMORY);
    x86emu_nested_destroy(&table);
    pool_left = 1;
    format.levels = 3;
    cr_assert_eq(x86emu_nested_init(&table, &format, &memory, NULL, 0), X86EMU_NESTED_UNSUPPORTED);
    cr_assert_eq(pool_used, 0);
}

Test(nested_table, ranges_that_wrap_or_are_too_wide)
{
    static const uint64_t bad[][2] = {
        {0, 0},
        {0x800, 0x1000},
        {0, 0x1800},
        {0xfffffffffffff000, 0x2000},
        {0x1000, 0xfffffffffffff000},
        {UINT64_C(1) << 48, 0x1000},
        {(UINT64_C(1) << 48) - 0x1000, 0x2000},
    };
    struct x86emu_nested_extent extent;
    struct x86emu_nested_touched touched;

    begin(ept(true));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(map(bad[i][0], 0, bad[i][1], &rwx), X86EMU_NESTED_INVALID, "%zu", i);
        cr_assert_eq(x86emu_nested_unmap(&table, bad[i][0], bad[i][1], NULL, NULL), X86EMU_NESTED_INVALID);
        cr_assert_eq(x86emu_nested_protect(&table, bad[i][0], bad[i][1], R), X86EMU_NESTED_INVALID);
        cr_assert_eq(x86emu_nested_split(&table, bad[i][0], bad[i][1], 12), X86EMU_NESTED_INVALID);
        cr_assert_eq(x86emu_nested_promote(&table, bad[i][0], bad[i][1]), 0);
        cr_assert_eq(x86emu_nested_harvest(&table, bad[i][0], bad[i][1], 3, note, NULL), X86EMU_NESTED_INVALID);
    }
    cr_assert_eq(map(0, UINT64_C(1) << 46, 0x1000, &rwx), X86EMU_NESTED_INVALID);
    cr_assert_eq(map(0, (UINT64_C(1) << 46) - 0x1000, 0x2000, &rwx), X86EMU_NESTED_INVALID);
    cr_assert_eq(x86emu_nested_query(&table, UINT64_C(1) << 48, UINT64_MAX, &extent), X86EMU_NESTED_INVALID);
    cr_assert_eq(x86emu_nested_touch(&table, UINT64_C(1) << 48, R, &touched), X86EMU_NESTED_ABSENT);
    cr_assert_eq(walk_to(UINT64_MAX, R).status, X86EMU_WALK_FAULT);
    cr_assert_eq(table.tables, 1);
    cr_assert_eq(map((UINT64_C(1) << 48) - 0x1000, 0, 0x1000, &rwx), X86EMU_NESTED_OK, "the last page there is");
    cr_assert_eq(walk_to((UINT64_C(1) << 48) - 1, W).hpa, 0xfff);
    end();
}

Test(nested_table, questions_about_extents)
{
    struct x86emu_nested_extent extent;

    begin(npt());
    map(2 * MIB, 4 * MIB, 4 * MIB + 0x3000, &rwx);
    x86emu_nested_query(&table, 0x1234, UINT64_MAX, &extent);
    cr_assert(!extent.mapped && extent.gpa == 0x1000 && extent.size == 2 * MIB - 0x1000);
    x86emu_nested_query(&table, 2 * MIB + 0x5000, UINT64_MAX, &extent);
    cr_assert(extent.mapped && extent.hpa == 4 * MIB + 0x5000 && extent.size == 4 * MIB - 0x2000);
    cr_assert_eq(extent.page_shift, 21);
    x86emu_nested_query(&table, 2 * MIB, 2 * MIB + 0x2000, &extent);
    cr_assert_eq(extent.size, 0x2000);
    end();
}
