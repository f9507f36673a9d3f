/* SPDX-License-Identifier: BSD-2-Clause */
/* Naive walks, written bit by bit from the manuals' tables of entry formats, that the library's walks are held against. */
#ifndef TESTS_MMU_REFERENCE_H
#define TESTS_MMU_REFERENCE_H

#include <x86emu/nested.h>
#include <x86emu/paging.h>

enum outcome_kind {
    GOES_THROUGH,
    FAULTS,        /* a page fault; an EPT violation or a nested page fault */
    MISCONFIGURED, /* EPT */
    LEAVES_MEMORY,
};

/* What a walk comes to. */
struct outcome {
    enum outcome_kind kind;
    uint64_t address; /* where it leads */
    unsigned shift;
    uint64_t fault; /* error code; exit qualification; EXITINFO1 */

    unsigned pat, key; /* guest */
    bool user, writable, execute_disable;

    unsigned rights, memory_type; /* nested */
    bool ignore_pat;

    bool dirty;
};

/* The bytes at an address, or NULL: there are none, or the access faulted. */
typedef uint8_t *reference_memory(void *opaque, uint64_t address, unsigned size, bool write);

/* Sets accessed and dirty bits in memory when the walk goes through. */
struct outcome reference_walk(const struct x86emu_paging *p, uint64_t la, unsigned access, reference_memory *memory,
                              void *opaque);
struct outcome reference_nested_walk(const struct x86emu_nested_format *f, uint64_t pointer, uint64_t gpa,
                                     unsigned access, reference_memory *memory, void *opaque);

/* Of the guest's paging mode: bytes of an entry, levels. */
unsigned reference_entry_size(const struct x86emu_paging *p);
unsigned reference_levels(const struct x86emu_paging *p);

/* Random numbers, the same in each run. */
uint64_t random_bits(void);
bool one_in(unsigned n);

/* Formats with pages of every size, as recent processors have them. */
static inline struct x86emu_nested_format ept(bool accessed_dirty)
{
    return (struct x86emu_nested_format){.type = X86EMU_NESTED_EPT,
                                         .levels = 4,
                                         .maxphyaddr = 46,
                                         .page_2m = true,
                                         .page_1g = true,
                                         .accessed_dirty = accessed_dirty};
}

static inline struct x86emu_nested_format npt(void)
{
    return (struct x86emu_nested_format){.type = X86EMU_NESTED_NPT,
                                         .levels = 4,
                                         .maxphyaddr = 46,
                                         .page_2m = true,
                                         .page_1g = true,
                                         .execute_disable = true};
}

#endif
