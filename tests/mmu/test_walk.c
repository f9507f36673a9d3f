/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest page walk: page sizes, permissions, error codes, accessed and dirty bits, hostile tables. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <x86emu/paging.h>

enum {
    P = 1,
    RW = 2,
    US = 4,
    PWT = 8,
    PCD = 16,
    A = 32,
    D = 64,
    PS = 128,
    PAT_LARGE = 1 << 12
};
#define XD (UINT64_C(1) << 63)

/* Tables live in this memory; everything else doesn't exist. */
static uint8_t memory[0x10000];
static unsigned exchanges_to_lose, exchanges;

static bool read_memory(void *opaque, uint64_t gpa, unsigned size, uint64_t *value)
{
    (void)opaque;
    *value = 0;
    if (gpa > sizeof(memory) - size)
        return false;
    memcpy(value, memory + gpa, size);
    return true;
}

static bool exchange_memory(void *opaque, uint64_t gpa, unsigned size, uint64_t old_value, uint64_t new_value,
                            bool *exchanged)
{
    uint64_t now;

    if (!read_memory(opaque, gpa, size, &now))
        return false;
    exchanges++;
    *exchanged = now == old_value && exchanges_to_lose == 0;
    if (exchanges_to_lose > 0)
        exchanges_to_lose--;
    if (*exchanged)
        memcpy(memory + gpa, &new_value, size);
    return true;
}

static const struct x86emu_walk_memory accessors = {read_memory, exchange_memory, NULL};

static void put(uint64_t gpa, uint64_t value, unsigned size)
{
    memcpy(memory + gpa, &value, size);
}

static uint64_t get(uint64_t gpa)
{
    uint64_t value;

    memcpy(&value, memory + gpa, 8);
    return value;
}

static void reset(void)
{
    memset(memory, 0, sizeof(memory));
    exchanges_to_lose = exchanges = 0;
}

TestSuite(walk, .init = reset);

static struct x86emu_paging paging_of(unsigned levels)
{
    struct x86emu_paging paging = {
        .cr0 = X86EMU_CR0_PE | X86EMU_CR0_PG | X86EMU_CR0_WP, .cr3 = 0x1000, .maxphyaddr = 46, .page1gb = true};

    if (levels >= 3)
        paging.cr4 |= X86EMU_CR4_PAE;
    if (levels >= 4)
        paging.efer = X86EMU_EFER_LME | X86EMU_EFER_LMA | X86EMU_EFER_NXE;
    if (levels == 5)
        paging.cr4 |= X86EMU_CR4_LA57;
    return paging;
}

static enum x86emu_walk_status run(struct x86emu_walk *walk, const struct x86emu_paging *paging, uint64_t la,
                                   unsigned access)
{
    memset(walk, 0xa5, sizeof(*walk));
    x86emu_walk_begin(walk, paging, la, access);
    return x86emu_walk_run(walk, &accessors);
}

/* PML4 at 1000, PDPT at 2000, PD at 3000, PT at 4000; the path to linear address 0 with these bits at each level. */
static void four_levels(uint64_t upper, uint64_t leaf)
{
    put(0x1000, 0x2000 | upper, 8);
    put(0x2000, 0x3000 | upper, 8);
    put(0x3000, 0x4000 | upper, 8);
    put(0x4000, leaf, 8);
}

/* --- F15: unaligned addresses through every page size, low bits kept ------------------------------------------------ */

Test(walk, F15_no_paging)
{
    struct x86emu_paging paging = {.cr0 = X86EMU_CR0_PE, .maxphyaddr = 36};
    struct x86emu_walk walk;

    cr_assert_eq(run(&walk, &paging, 0x12345, X86EMU_ACCESS_WRITE), X86EMU_WALK_DONE);
    cr_assert_eq(walk.gpa, 0x12345);
    cr_assert_eq(walk.page_shift, 0);
}

Test(walk, F15_4k_2m_1g_pages_of_4_level_paging)
{
    struct x86emu_paging paging = paging_of(4);
    struct x86emu_walk walk;

    four_levels(P | RW | A, UINT64_C(0x123456789000) | P | RW | A | D);
    cr_assert_eq(run(&walk, &paging, 0xabc, X86EMU_ACCESS_READ), X86EMU_WALK_DONE);
    cr_assert_eq(walk.gpa, UINT64_C(0x123456789abc));
    cr_assert_eq(walk.page_shift, 12);
    put(0x3000 + 8, UINT64_C(0x123456600000) | P | RW | A | D | PS, 8);
    cr_assert_eq(run(&walk, &paging, 0x2abcde, X86EMU_ACCESS_READ), X86EMU_WALK_DONE);
    cr_assert_eq(walk.gpa, UINT64_C(0x1234566abcde));
    cr_assert_eq(walk.page_shift, 21);
    put(0x2000 + 8, UINT64_C(0x123440000000) | P | RW | A | D | PS, 8);
    cr_assert_eq(run(&walk, &paging, 0x4abcdef1, X86EMU_ACCESS_READ), X86EMU_WALK_DONE);
    cr_assert_eq(walk.gpa, UINT64_C(0x12344abcdef1));
    cr_assert_eq(walk.page_shift, 30);
}

Test(walk, F15_5_level_paging)
{
    struct x86emu_paging paging = paging_of(5);
    struct x86emu_walk walk;
    uint64_t la = UINT64_C(0xff01234567890) & ~UINT64_C(0xfff);

    paging.cr3 = 0x5000;
    put(0x5000 + (la >> 48 & 511) * 8, 0x1000 | P | RW | A, 8);
    put(0x1000 + (la >> 39 & 511) * 8, 0x2000 | P | RW | A, 8);
    put(0x2000 + (la >> 30 & 511) * 8, 0x3000 | P | RW | A, 8);
    put(0x3000 + (la >> 21 & 511) * 8, 0x4000 | P | RW | A, 8);
    put(0x4000 + (la >> 12 & 511) * 8, 0xbeef000 | P | RW | A | D, 8);
    cr_assert_eq(run(&walk, &paging, la + 0x123, X86EMU_ACCESS_WRITE), X86EMU_WALK_DONE);
    cr_assert_eq(walk.gpa, 0xbeef123);
}

Test(walk, F15_4k_and_4m_pages_of_32_bit_paging)
{
    struct x86emu_paging paging = paging_of(2);
    struct x86emu_walk walk;

    put(0x1000 + 4, 0x2000 | P | RW | A, 4);
    put(0x2000 + 8, 0xabcde000 | P | RW | A | D, 4);
    cr_assert_eq(run(&walk, &paging, 0x402345, X86EMU_ACCESS_READ), X86EMU_WALK_DONE);
    cr_assert_eq(walk.gpa, 0xabcde345);
    put(0x1000 + 8, 0xabc00000 | (0x5a << 13) | P | RW | A | D | PS, 4); /* PSE-36: bits 39:32 are 5a */
    paging.cr4 |= X86EMU_CR4_PSE;
    cr_assert_eq(run(&walk, &paging, 0x8abcde, X86EMU_ACCESS_READ), X86EMU_WALK_DONE);
    cr_assert_eq(walk.gpa, UINT64_C(0x5aabcabcde));
    cr_assert_eq(walk.page_shift, 22);
}

Test(walk, F15_pae_registers_and_memory)
{
    struct x86emu_paging paging = paging_of(3);
    struct x86emu_walk walk;

    paging.cr3 = 0x1020; /* PDPTEs at a 32-byte boundary */
    put(0x1028, 0x3000 | P, 8);
    put(0x3000, UINT64_C(0x55600000) | P | RW | A | D | PS, 8);
    cr_assert_eq(run(&walk, &paging, 0x40012345, X86EMU_ACCESS_WRITE), X86EMU_WALK_DONE);
    cr_assert_eq(walk.gpa, 0x55612345);
    paging.pdpte_loaded = true; /* what was loaded counts, not what is in memory now */
    cr_assert_eq(run(&walk, &paging, 0x40012345, X86EMU_ACCESS_WRITE), X86EMU_WALK_FAULT);
    paging.pdpte[1] = 0x3000 | P;
    put(0x1028, 0, 8);
    cr_assert_eq(run(&walk, &paging, 0x40012345, X86EMU_ACCESS_WRITE), X86EMU_WALK_DONE);
}

/* --- C18: permissions and error codes ------------------------------------------------------------------------------- */

static void expect_fault(const struct x86emu_paging *paging, unsigned access, unsigned error_code)
{
    struct x86emu_walk walk;

    cr_assert_eq(run(&walk, paging, 0x10, access), X86EMU_WALK_FAULT, "access %x", access);
    cr_assert_eq(walk.error_code, error_code, "access %x: error code %x instead of %x", access, walk.error_code,
                 error_code);
    cr_assert_eq(exchanges, 0, "a faulting walk set bits");
}

static void expect_success(const struct x86emu_paging *paging, unsigned access)
{
    struct x86emu_walk walk;

    cr_assert_eq(run(&walk, paging, 0x10, access | X86EMU_WALK_PROBE), X86EMU_WALK_DONE, "access %x: error code %x",
                 access, walk.error_code);
}

enum {
    R = X86EMU_ACCESS_READ,
    W = X86EMU_ACCESS_WRITE,
    X = X86EMU_ACCESS_EXECUTE,
    U = X86EMU_WALK_USER
};

Test(walk, C18_not_present_at_each_level)
{
    struct x86emu_paging paging = paging_of(4);

    for (uint64_t level = 0x1000; level <= 0x4000; level += 0x1000) {
        four_levels(P | RW | US, 0x9000 | P | RW | US);
        put(level, get(level) & ~(uint64_t)P, 8);
        expect_fault(&paging, R, 0);
        expect_fault(&paging, W | U, 2 | 4);
        expect_fault(&paging, X, 16);
    }
}

Test(walk, C18_user_and_write_permission_at_each_level)
{
    struct x86emu_paging paging = paging_of(4);

    for (uint64_t level = 0x1000; level <= 0x4000; level += 0x1000) {
        four_levels(P | RW | US, 0x9000 | P | RW | US);
        put(level, get(level) & ~(uint64_t)US, 8);
        expect_fault(&paging, R | U, 1 | 4);
        expect_success(&paging, R);
        put(level, (get(level) | US) & ~(uint64_t)RW, 8);
        expect_fault(&paging, W | U, 1 | 2 | 4);
        expect_fault(&paging, W, 1 | 2);
        expect_success(&paging, R | U);
        paging.cr0 &= ~X86EMU_CR0_WP; /* a supervisor may write now, a user still may not */
        expect_success(&paging, W);
        expect_fault(&paging, W | U, 1 | 2 | 4);
        paging.cr0 |= X86EMU_CR0_WP;
    }
}

Test(walk, C18_execute_disable)
{
    struct x86emu_paging paging = paging_of(4);

    four_levels(P | RW | US, 0x9000 | P | RW | US | XD);
    expect_fault(&paging, X, 1 | 16);
    expect_success(&paging, R);
    paging.efer &= ~X86EMU_EFER_NXE; /* then the bit is reserved */
    expect_fault(&paging, R, 1 | 8);
}

Test(walk, C18_smep_and_smap)
{
    struct x86emu_paging paging = paging_of(4);

    four_levels(P | RW | US, 0x9000 | P | RW | US);
    paging.cr4 |= X86EMU_CR4_SMEP;
    expect_fault(&paging, X, 1 | 16);
    expect_success(&paging, X | U);
    expect_success(&paging, R);
    paging.cr4 |= X86EMU_CR4_SMAP;
    expect_fault(&paging, R, 1);
    expect_fault(&paging, W, 1 | 2);
    paging.rflags = X86EMU_RFLAGS_AC;
    expect_success(&paging, R);
    expect_fault(&paging, R | X86EMU_WALK_IMPLICIT, 1); /* AC doesn't help an implicit access */
    expect_success(&paging, W | U);
}

/* APM Vol. 2, 5.3; the SDM has it ignored. */
Test(walk, C18_bit_8_of_pml4es_is_reserved_on_amd)
{
    struct x86emu_paging paging = paging_of(4);

    for (uint64_t table = 0x1000; table <= 0x4000; table += 0x1000) {
        paging.amd = false;
        four_levels(P | RW | US, 0x9000 | P | RW | US);
        put(table, get(table) | 1 << 8, 8);
        expect_success(&paging, R);
        paging.amd = true;
        if (table == 0x1000)
            expect_fault(&paging, R, 1 | 8);
        else
            expect_success(&paging, R);
    }
}

Test(walk, C18_reserved_bits)
{
    struct x86emu_paging paging = paging_of(4);

    four_levels(P | RW | US, 0x9000 | P | RW | US | UINT64_C(1) << 46); /* beyond MAXPHYADDR */
    expect_fault(&paging, R | U, 1 | 4 | 8);
    four_levels(P | RW | US, 0x9000 | P | RW | US);
    put(0x1000, get(0x1000) | PS, 8); /* PML4E.PS is reserved */
    expect_fault(&paging, W, 1 | 2 | 8);
    four_levels(P | RW | US, 0x9000 | P | RW | US);
    put(0x3000, 0x2000 | P | RW | US | PS, 8); /* a 2 MiB page that isn't aligned */
    expect_fault(&paging, R, 1 | 8);
    put(0x2000, 0x40000000 | P | RW | US | PS, 8);
    expect_success(&paging, R);
    paging.page1gb = false;
    expect_fault(&paging, R, 1 | 8);
}

Test(walk, C18_protection_keys)
{
    struct x86emu_paging paging = paging_of(4);

    four_levels(P | RW | US, 0x9000 | P | RW | US | UINT64_C(5) << 59);
    paging.cr4 |= X86EMU_CR4_PKE;
    paging.pkru = 1u << 10; /* access disabled for key 5 */
    expect_fault(&paging, R | U, 1 | 4 | 32);
    expect_fault(&paging, R, 1 | 32);
    expect_success(&paging, X | U);
    paging.pkru = 2u << 10; /* writes disabled */
    expect_success(&paging, R | U);
    expect_fault(&paging, W | U, 1 | 2 | 4 | 32);
    paging.cr0 &= ~X86EMU_CR0_WP;
    expect_success(&paging, W); /* the key stops a supervisor's write only with WP */
}

Test(walk, C18_fetch_bit_needs_nxe_or_smep)
{
    struct x86emu_paging paging = paging_of(2);

    expect_fault(&paging, X | U, 4);
    paging.cr4 |= X86EMU_CR4_SMEP;
    expect_fault(&paging, X | U, 4 | 16);
}

/* --- accessed and dirty bits ------------------------------------------------------------------------------------------ */

Test(walk, accessed_and_dirty_bits)
{
    struct x86emu_paging paging = paging_of(4);
    struct x86emu_walk walk;

    four_levels(P | RW | US, 0x9000 | P | RW | US);
    cr_assert_eq(run(&walk, &paging, 0, R | X86EMU_WALK_PROBE), X86EMU_WALK_DONE);
    cr_assert_eq(exchanges, 0);
    cr_assert_eq(run(&walk, &paging, 0, R), X86EMU_WALK_DONE);
    cr_assert_eq(exchanges, 4);
    for (uint64_t level = 0x1000; level <= 0x4000; level += 0x1000)
        cr_assert_eq(get(level) & (A | D), A);
    cr_assert_eq(walk.dirty, false);
    cr_assert_eq(run(&walk, &paging, 0, W | X86EMU_WALK_NO_DIRTY), X86EMU_WALK_DONE);
    cr_assert_eq(get(0x4000) & D, 0);
    cr_assert_eq(run(&walk, &paging, 0, W), X86EMU_WALK_DONE);
    cr_assert_eq(get(0x4000) & D, D);
    cr_assert_eq(get(0x3000) & D, 0);
    cr_assert_eq(walk.dirty, true);
    cr_assert_eq(exchanges, 5);
}

Test(walk, lost_exchange_walks_again)
{
    struct x86emu_paging paging = paging_of(4);
    struct x86emu_walk walk;

    four_levels(P | RW | US, 0x9000 | P | RW | US);
    exchanges_to_lose = 3;
    cr_assert_eq(run(&walk, &paging, 0, W), X86EMU_WALK_DONE);
    cr_assert_eq(exchanges, 3 + 4);
    exchanges_to_lose = 1000000; /* another processor that never stops */
    put(0x4000, get(0x4000) & ~(uint64_t)D, 8);
    cr_assert_eq(run(&walk, &paging, 0, W), X86EMU_WALK_UPDATE);
}

/* An entry taken away between its reading and its update is seen. */
Test(walk, entry_changed_under_the_walk)
{
    struct x86emu_paging paging = paging_of(4);
    struct x86emu_walk walk;

    four_levels(P | RW | US | A, 0x9000 | P | RW | US);
    x86emu_walk_begin(&walk, &paging, 0, W);
    while (walk.status == X86EMU_WALK_READ)
        x86emu_walk_entry(&walk, get(walk.entry_gpa));
    cr_assert_eq(walk.status, X86EMU_WALK_UPDATE);
    put(0x4000, 0, 8);
    cr_assert_eq(x86emu_walk_updated(&walk, false), X86EMU_WALK_READ);
    cr_assert_eq(x86emu_walk_run(&walk, &accessors), X86EMU_WALK_FAULT);
    cr_assert_eq(walk.error_code, 2);
}

/* --- hostile tables, wrong answers ------------------------------------------------------------------------------------ */

Test(walk, table_in_no_memory)
{
    struct x86emu_paging paging = paging_of(4);
    struct x86emu_walk walk;

    put(0x1000, UINT64_C(0x7ffffff000) | P, 8);
    cr_assert_eq(run(&walk, &paging, 0, R), X86EMU_WALK_READ);
    cr_assert_eq(walk.entry_gpa, UINT64_C(0x7ffffff000));
}

Test(walk, table_that_points_to_itself)
{
    struct x86emu_paging paging = paging_of(4);
    struct x86emu_walk walk;

    put(0x1000, 0x1000 | P | RW | US, 8); /* the entry is its own PDPTE, PDE and PTE */
    cr_assert_eq(run(&walk, &paging, 0x123, W), X86EMU_WALK_DONE);
    cr_assert_eq(walk.gpa, 0x1123);
    cr_assert_eq(get(0x1000), 0x1000 | P | RW | US | A | D);
}

Test(walk, answer_without_a_question)
{
    struct x86emu_paging paging = paging_of(4);
    struct x86emu_walk walk, before;

    four_levels(P | RW | A, 0x9000 | P | RW | A | D);
    run(&walk, &paging, 0, R);
    before = walk;
    cr_assert_eq(x86emu_walk_entry(&walk, 0), X86EMU_WALK_MISUSE);
    cr_assert_eq(x86emu_walk_updated(&walk, true), X86EMU_WALK_MISUSE);
    cr_assert(memcmp(&walk, &before, sizeof(walk)) == 0);
}

Test(walk, memory_type_index_and_key)
{
    struct x86emu_paging paging = paging_of(4);
    struct x86emu_walk walk;

    four_levels(P | RW | A, 0x9000 | P | A | PS | PCD | UINT64_C(9) << 59); /* bit 7 of a PTE is PAT */
    cr_assert_eq(run(&walk, &paging, 0, R), X86EMU_WALK_DONE);
    cr_assert_eq(walk.pat_index, 6);
    cr_assert_eq(walk.protection_key, 9);
    put(0x3000, 0x200000 | P | A | PS | PAT_LARGE | PWT, 8);
    cr_assert_eq(run(&walk, &paging, 0, R), X86EMU_WALK_DONE);
    cr_assert_eq(walk.pat_index, 5);
    cr_assert_eq(walk.gpa, 0x200000);
}

Test(walk, canonical_addresses)
{
    cr_assert(x86emu_is_canonical(0x00007fffffffffff, 0));
    cr_assert(!x86emu_is_canonical(0x0000800000000000, 0));
    cr_assert(x86emu_is_canonical(0xffff800000000000, 0));
    cr_assert(x86emu_is_canonical(0x0000800000000000, X86EMU_CR4_LA57));
    cr_assert(!x86emu_is_canonical(0x0100000000000000, X86EMU_CR4_LA57));
}

/* --- before the walk ---------------------------------------------------------------------------------------------- */

Test(walk, linear_address_space_separation)
{
    struct x86emu_paging paging = paging_of(4);
    const uint64_t low = 0x1000, high = UINT64_C(0xffff800000001000);
    const unsigned R = X86EMU_ACCESS_READ, X = X86EMU_ACCESS_EXECUTE, U = X86EMU_WALK_USER;

    cr_assert_not(x86emu_breaks_separation(&paging, high, R | U), "without CR4.LASS");
    paging.cr4 |= X86EMU_CR4_LASS;
    cr_assert(x86emu_breaks_separation(&paging, high, R | U));
    cr_assert(x86emu_breaks_separation(&paging, high, X | U));
    cr_assert_not(x86emu_breaks_separation(&paging, low, R | U));
    cr_assert(x86emu_breaks_separation(&paging, low, X));
    cr_assert_not(x86emu_breaks_separation(&paging, high, X));
    cr_assert_not(x86emu_breaks_separation(&paging, low, R), "data of a supervisor needs CR4.SMAP too");
    paging.cr4 |= X86EMU_CR4_SMAP;
    cr_assert(x86emu_breaks_separation(&paging, low, R));
    cr_assert_not(x86emu_breaks_separation(&paging, high, R));
    paging.rflags = X86EMU_RFLAGS_AC;
    cr_assert_not(x86emu_breaks_separation(&paging, low, R));
    cr_assert(x86emu_breaks_separation(&paging, low, R | X86EMU_WALK_IMPLICIT), "AC counts for explicit accesses only");
    paging.efer = 0;
    cr_assert_not(x86emu_breaks_separation(&paging, low, X), "outside long mode");
}

Test(walk, linear_address_masking)
{
    const uint64_t u57 = UINT64_C(1) << 61, u48 = UINT64_C(1) << 62;
    const struct {
        uint64_t cr3_bits, cr4_bits, la, result;
    } cases[] = {
        {0, 0, UINT64_C(0x7fff123456789abc), UINT64_C(0x7fff123456789abc)},
        {u48, 0, UINT64_C(0x7fff123456789abc), UINT64_C(0x0000123456789abc)},
        {u57, 0, UINT64_C(0x7e00123456789abc), UINT64_C(0x0000123456789abc)},
        {u57, 0, UINT64_C(0x7eff123456789abc), UINT64_C(0x00ff123456789abc)},       /* bits 56:48 are address */
        {u57 | u48, 0, UINT64_C(0x7eff123456789abc), UINT64_C(0x00ff123456789abc)}, /* LAM_U57 wins */
        {u48, 0, UINT64_C(0x1234823456789abc), UINT64_C(0x7fff823456789abc)},       /* bit 47 is not bit 63: #GP */
        {u48, 0, UINT64_C(0x8234923456789abc), UINT64_C(0x8234923456789abc)},       /* not a user pointer */
        {0, X86EMU_CR4_LAM_SUP, UINT64_C(0x8234923456789abc), UINT64_C(0xffff923456789abc)},
        {0, X86EMU_CR4_LAM_SUP, UINT64_C(0x8234123456789abc), UINT64_C(0x8000123456789abc)},
        {0, X86EMU_CR4_LAM_SUP | X86EMU_CR4_LA57, UINT64_C(0x8134123456789abc), UINT64_C(0xff34123456789abc)},
        {0, X86EMU_CR4_LAM_SUP, UINT64_C(0x1234123456789abc), UINT64_C(0x1234123456789abc)},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct x86emu_paging paging = paging_of(4);

        paging.cr3 |= cases[i].cr3_bits;
        paging.cr4 |= cases[i].cr4_bits;
        cr_assert_eq(x86emu_untag(&paging, cases[i].la), cases[i].result, "case %zu: %llx", i,
                     (unsigned long long)x86emu_untag(&paging, cases[i].la));
    }
}

/* --- the same walk, asked for in other ways ------------------------------------------------------------------------ */

Test(walk, C18_supervisor_protection_keys)
{
    struct x86emu_paging paging = paging_of(4);

    four_levels(P | RW, 0x9000 | P | RW | UINT64_C(5) << 59); /* a supervisor page */
    paging.pkrs = 1u << 10;
    expect_success(&paging, R); /* without CR4.PKS */
    paging.cr4 |= X86EMU_CR4_PKS;
    expect_fault(&paging, R, 1 | 32);
    expect_success(&paging, X);
    paging.pkrs = 2u << 10;
    expect_success(&paging, R);
    expect_fault(&paging, W, 1 | 2 | 32);
    paging.cr0 &= ~X86EMU_CR0_WP;
    expect_success(&paging, W);
    paging.pkrs = 0;
    paging.pkru = UINT32_MAX; /* for user pages */
    expect_success(&paging, W);
}

Test(walk, C18_supervisor_accesses_at_ring_3_are_implicit)
{
    struct x86emu_paging paging = paging_of(4);

    paging.cr4 |= X86EMU_CR4_SMAP;
    paging.rflags = X86EMU_RFLAGS_AC;
    four_levels(P | RW, 0x9000 | P | RW); /* where descriptor tables are: the user may not, the processor may */
    expect_success(&paging, W | X86EMU_WALK_IMPLICIT);
    expect_fault(&paging, W | U, 1 | 2 | 4);
    four_levels(P | RW | US, 0x9000 | P | RW | US);
    expect_fault(&paging, W | X86EMU_WALK_IMPLICIT, 1 | 2); /* no user bit: it is the supervisor's access */
}

/* F14: step by step, copied at each question, and with callbacks: the same questions and the same end. */
Test(walk, step_by_step_as_with_callbacks)
{
    struct x86emu_paging paging = paging_of(4);
    struct x86emu_walk at_once, walk;
    unsigned reads = 0, updates = 0;

    four_levels(P | RW | US, 0x9000 | P | RW | US);
    run(&at_once, &paging, 0x123, W);
    four_levels(P | RW | US, 0x9000 | P | RW | US);
    x86emu_walk_begin(&walk, &paging, 0x123, W);
    while (walk.status == X86EMU_WALK_READ || walk.status == X86EMU_WALK_UPDATE) {
        struct x86emu_walk copy = walk;

        memset(&walk, 0xa5, sizeof(walk));
        if (copy.status == X86EMU_WALK_READ) {
            cr_assert_eq(copy.entry_gpa, 0x1000 * ++reads);
            x86emu_walk_entry(&copy, get(copy.entry_gpa));
        } else {
            cr_assert_eq(copy.entry_gpa, 0x1000 * ++updates);
            put(copy.entry_gpa, copy.entry_new, 8);
            x86emu_walk_updated(&copy, true);
        }
        walk = copy;
    }
    cr_assert_eq(reads, 4);
    cr_assert_eq(updates, 4);
    cr_assert_eq(walk.status, at_once.status);
    cr_assert_eq(walk.gpa, at_once.gpa);
    cr_assert_eq(walk.dirty, at_once.dirty);
}
