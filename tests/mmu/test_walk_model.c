/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest page walk against the naive reference, on random tables. */
#include "reference.h"

#include <criterion/criterion.h>
#include <string.h>

enum {
    PAGES = 16,
    ROUNDS = 4000,
    WALKS = 64, /* in one set of tables */
};

static uint8_t memory[PAGES * 0x1000], before[PAGES * 0x1000], expected[PAGES * 0x1000];

static uint8_t *expected_bytes(void *opaque, uint64_t gpa, unsigned size, bool write)
{
    (void)opaque;
    (void)write;
    return gpa <= sizeof(expected) - size ? expected + gpa : NULL;
}

/* --- random questions ---------------------------------------------------------------------------------------------- */

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
    *exchanged = now == old_value && !one_in(4); /* every fourth is lost for no reason */
    if (*exchanged)
        memcpy(memory + gpa, &new_value, size);
    return true;
}

static uint64_t random_entry(unsigned size)
{
    uint64_t entry = random_bits() % PAGES << 12 | 0x27;

    if (one_in(3))
        entry |= 0x80; /* a large page, whose address has to be aligned most of the time */
    if (entry & 0x80 && !one_in(8))
        entry &= ~UINT64_C(0x1fffe000);
    if (entry & 0x80 && size == 4 && one_in(2))
        entry |= (random_bits() & 0xff) << 13;
    for (unsigned changes = 0; changes < 3; changes++)
        if (one_in(4))
            entry ^= UINT64_C(1) << random_bits() % 13;
    if (one_in(6))
        entry ^= UINT64_C(1) << random_bits() % (8 * size);
    if (one_in(6) && size == 8)
        entry |= UINT64_C(1) << 63;
    if (one_in(4) && size == 8)
        entry |= random_bits() % 16 << 59;
    return entry;
}

static void fill_tables(unsigned size)
{
    for (size_t at = 0; at < sizeof(memory); at += size) {
        uint64_t entry = random_entry(size);

        memcpy(memory + at, &entry, size);
    }
}

static struct x86emu_paging random_paging(void)
{
    static const uint64_t cr4_bits[] = {X86EMU_CR4_PSE, X86EMU_CR4_SMEP, X86EMU_CR4_SMAP, X86EMU_CR4_PKE,
                                        X86EMU_CR4_PKS, X86EMU_CR4_PAE,  X86EMU_CR4_PAE,  X86EMU_CR4_LA57};
    struct x86emu_paging p = {.cr0 = X86EMU_CR0_PE | X86EMU_CR0_PG, .cr3 = random_bits() % PAGES << 12};

    for (unsigned i = 0; i < sizeof(cr4_bits) / sizeof(cr4_bits[0]); i++)
        p.cr4 |= one_in(2) ? cr4_bits[i] : 0;
    p.efer = (one_in(4) ? 0 : X86EMU_EFER_NXE) | (p.cr4 & X86EMU_CR4_PAE && !one_in(3) ? X86EMU_EFER_LMA : 0);
    p.cr0 |= one_in(2) ? X86EMU_CR0_WP : 0;
    p.rflags = one_in(2) ? X86EMU_RFLAGS_AC : 0;
    p.pkru = (uint32_t)(random_bits() & random_bits());
    p.pkrs = (uint32_t)(random_bits() & random_bits());
    p.maxphyaddr = (uint8_t)(32 + random_bits() % 21);
    p.page1gb = one_in(2);
    p.amd = one_in(4);
    p.pdpte_loaded = one_in(2);
    for (unsigned i = 0; i < 4; i++)
        p.pdpte[i] =
            random_entry(8) & ~UINT64_C(0xf0000000000001e6); /* reserved bits are refused when they're loaded */
    return p;
}

static void one_walk(const struct x86emu_paging *p)
{
    static const unsigned kinds[] = {X86EMU_ACCESS_READ, X86EMU_ACCESS_WRITE, X86EMU_ACCESS_EXECUTE,
                                     X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE};
    unsigned access = kinds[random_bits() % 4] | (unsigned)(random_bits() & X86EMU_WALK_NO_DIRTY) |
                      (one_in(2) ? X86EMU_WALK_USER : 0) | (one_in(8) ? X86EMU_WALK_PROBE : 0);
    static const struct x86emu_walk_memory accessors = {read_memory, exchange_memory, NULL};
    uint64_t la = reference_levels(p) < 4 ? random_bits() & 0xffffffff : random_bits();
    struct outcome outcome;
    struct x86emu_walk walk;

    if (!(access & X86EMU_WALK_USER) && one_in(4))
        access |= X86EMU_WALK_IMPLICIT;
    memcpy(expected, memory, sizeof(memory));
    outcome = reference_walk(p, la, access, expected_bytes, NULL);
    memset(&walk, 0x5a, sizeof(walk));
    x86emu_walk_begin(&walk, p, la, access);
    x86emu_walk_run(&walk, &accessors);
    cr_assert_eq(walk.status,
                 outcome.kind == FAULTS         ? X86EMU_WALK_FAULT
                 : outcome.kind == GOES_THROUGH ? X86EMU_WALK_DONE
                                                : X86EMU_WALK_READ,
                 "la %llx access %x cr4 %llx: status %u instead of kind %d", (unsigned long long)la, access,
                 (unsigned long long)p->cr4, walk.status, outcome.kind);
    cr_assert(memcmp(memory, expected, sizeof(memory)) == 0, "other bits were set");
    if (outcome.kind == FAULTS)
        cr_assert_eq(walk.error_code, (unsigned)outcome.fault, "%x instead of %x", walk.error_code,
                     (unsigned)outcome.fault);
    if (outcome.kind != GOES_THROUGH)
        return;
    cr_assert_eq(walk.gpa, outcome.address, "%llx instead of %llx", (unsigned long long)walk.gpa,
                 (unsigned long long)outcome.address);
    cr_assert_eq(walk.page_shift, outcome.shift);
    cr_assert_eq(walk.pat_index, outcome.pat);
    cr_assert_eq(walk.protection_key, outcome.key);
    cr_assert_eq(walk.dirty, outcome.dirty);
}

Test(walk_model, F15_C18_random_tables)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct x86emu_paging p = random_paging();

        fill_tables(reference_entry_size(&p));
        memcpy(before, memory, sizeof(memory));
        for (unsigned i = 0; i < WALKS; i++) {
            one_walk(&p);
            if (one_in(8))
                memcpy(memory, before, sizeof(memory));
        }
    }
}
