/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the bits of nested paging-structure entries are, by table type, with those that the library keeps for itself. */
#ifndef X86EMU_MMU_ENTRY_H
#define X86EMU_MMU_ENTRY_H

#include <x86emu/nested.h>

#include "walk.h"

enum {
    ENTRIES = 512,
    PAGE_SHIFT = 12,
    MAX_LEVELS = 5,
    TOP_LEAF_LEVEL = 3, /* of the largest pages, 1G */
};
#define PAGE_SIZE (UINT64_C(1) << PAGE_SHIFT)

#define BIT(number) (UINT64_C(1) << (number))

/* SDM Vol. 3, tables 29-1 to 29-7. */
#define EPT_READ BIT(0)
#define EPT_WRITE BIT(1)
#define EPT_EXECUTE BIT(2)
#define EPT_TYPE_SHIFT 3
#define EPT_IGNORE_PAT BIT(6)
#define EPT_ACCESSED BIT(8)
#define EPT_DIRTY BIT(9)
#define EPT_USER_EXECUTE BIT(10)
/* APM Vol. 2, 5.4. */
#define NPT_PRESENT BIT(0)
#define NPT_WRITE BIT(1)
#define NPT_USER BIT(2)
#define NPT_PWT BIT(3)
#define NPT_PCD BIT(4)
#define NPT_ACCESSED BIT(5)
#define NPT_DIRTY BIT(6)
#define NPT_PAT_4K BIT(7)
#define NPT_PAT_LARGE BIT(12)
#define NPT_EXECUTE_DISABLE BIT(63)
/* Both: in entries of levels 2 and 3. */
#define ENTRY_LARGE BIT(7)

/*
 * Bits that processors ignore, in leaves: what was asked for, while the processor's own bits say what is possible right
 * now. Without accessed and dirty flags in hardware (features as bhyve has them) the processor's read bit stands for
 * accessed and its write bit for dirty.
 */
#define SOFT_VALID BIT(52)
#define SOFT_WRITE BIT(53)
#define SOFT_EXECUTE BIT(54)
#define SOFT_READ BIT(55)
#define SOFT_USER_EXECUTE BIT(56)
#define SOFT_ACCESSED EPT_ACCESSED /* emulated: accessed, while there are no rights that could say so */
#define SOFT_DIRTY EPT_DIRTY       /* emulated: dirty, while the read bit is away and the write bit therefore too */
/* Not a leaf, not a table: its page is being merged into a larger one. */
#define ENTRY_FROZEN BIT(62)

/* Bits of both formats' entries that processors set on their own. */
struct x86emu_status_bits {
    uint64_t accessed, dirty;
};

static inline bool is_ept(const struct x86emu_nested_format *format)
{
    return format->type == X86EMU_NESTED_EPT;
}

static inline struct x86emu_status_bits status_bits(const struct x86emu_nested_format *format)
{
    if (is_ept(format))
        return (struct x86emu_status_bits){EPT_ACCESSED, EPT_DIRTY};
    return (struct x86emu_status_bits){NPT_ACCESSED, NPT_DIRTY};
}

/* Accessed and dirty bits are emulated. */
static inline bool is_emulated(const struct x86emu_nested_format *format)
{
    return is_ept(format) && !format->accessed_dirty;
}

/* Whether entries of a level can be leaves. */
static inline bool has_pages(const struct x86emu_nested_format *format, unsigned level)
{
    return level == 1 || (level == 2 && format->page_2m) || (level == 3 && format->page_1g);
}

/* Guest-physical addresses that the tables can hold; no processor has more than 52 bits. */
static inline unsigned guest_width(const struct x86emu_nested_format *format)
{
    return format->levels == 5 ? 52 : 48;
}

static inline uint64_t address_of(const struct x86emu_nested_format *format, uint64_t entry)
{
    return entry & low_bits(physical_width(format->maxphyaddr)) & ~(PAGE_SIZE - 1);
}

/* Shift of what one entry of a level covers. */
static inline unsigned level_shift(unsigned level)
{
    return 3 + 9 * level;
}

static inline unsigned entry_index(uint64_t gpa, unsigned level)
{
    return (unsigned)(gpa >> level_shift(level)) & (ENTRIES - 1);
}

/* IA32_PAT's type of an index (SDM Vol. 3, 12.12). */
static inline uint8_t pat_type(const struct x86emu_nested_format *format, unsigned index)
{
    uint64_t pat = format->pat != 0 ? format->pat : UINT64_C(0x0007040600070406);

    return (uint8_t)(pat >> (8 * index)) & 7;
}

static inline unsigned pat_index(uint64_t entry, unsigned level)
{
    uint64_t pat = entry & (level == 1 ? NPT_PAT_4K : NPT_PAT_LARGE);

    return (entry & NPT_PWT ? 1u : 0) | (entry & NPT_PCD ? 2u : 0) | (pat ? 4u : 0);
}

/* --- entries that processors and other threads use at the same time ----------------------------------------------- */

/* Hosts with 32 bits have no 8-byte load or store of their own, but CMPXCHG8B. */
#if UINTPTR_MAX > 0xffffffff

static inline uint64_t load_entry(const uint64_t *entry)
{
    return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

static inline uint64_t exchange_entry(uint64_t *entry, uint64_t value)
{
    return __atomic_exchange_n(entry, value, __ATOMIC_ACQ_REL);
}

static inline void store_entry(uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* *old becomes what is there. Sequentially consistent, as are the two accesses below. */
static inline bool replace_entry(uint64_t *entry, uint64_t *old, uint64_t value)
{
    return __atomic_compare_exchange_n(entry, old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline uint64_t load_ordered(const uint64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_SEQ_CST);
}

static inline void store_ordered(uint64_t *to, uint64_t value)
{
    __atomic_store_n(to, value, __ATOMIC_SEQ_CST);
}

#else

static inline bool replace_entry(uint64_t *entry, uint64_t *old, uint64_t value)
{
    uint64_t found = __sync_val_compare_and_swap(entry, *old, value);
    bool done = found == *old;

    *old = found;
    return done;
}

static inline uint64_t load_entry(const uint64_t *entry)
{
    return __sync_val_compare_and_swap((uint64_t *)(uintptr_t)entry, 0, 0);
}

static inline uint64_t exchange_entry(uint64_t *entry, uint64_t value)
{
    uint64_t old = load_entry(entry);

    while (!replace_entry(entry, &old, value))
        continue;
    return old;
}

static inline void store_entry(uint64_t *entry, uint64_t value)
{
    exchange_entry(entry, value);
}

static inline uint64_t load_ordered(const uint64_t *value)
{
    return load_entry(value);
}

static inline void store_ordered(uint64_t *to, uint64_t value)
{
    exchange_entry(to, value);
}

#endif

/* --- leaves -------------------------------------------------------------------------------------------------------- */

/* What a leaf says. */
struct leaf {
    uint64_t hpa;
    uint8_t rights, memory_type;
    bool ignore_pat;
    bool accessed, dirty;
    bool guarded; /* writable, but write-protected for logging */
};

/* Whether the format has pages with these rights; with this memory type. */
bool x86emu_rights_possible(const struct x86emu_nested_format *format, unsigned rights);
bool x86emu_type_possible(const struct x86emu_nested_format *format, const struct leaf *leaf);
uint64_t x86emu_leaf_encode(const struct x86emu_nested_format *format, const struct leaf *leaf, unsigned level);
struct leaf x86emu_leaf_decode(const struct x86emu_nested_format *format, uint64_t entry, unsigned level);

/* An entry that refers to a table. */
static inline uint64_t table_entry(const struct x86emu_nested_format *format, uint64_t hpa)
{
    if (!is_ept(format))
        return hpa | NPT_PRESENT | NPT_WRITE | NPT_USER;
    return hpa | EPT_READ | EPT_WRITE | EPT_EXECUTE | (format->mode_based_execute ? EPT_USER_EXECUTE : 0);
}

/* Of an entry in a table built here. */
static inline bool is_leaf(uint64_t entry)
{
    return entry & SOFT_VALID;
}

static inline bool is_table(uint64_t entry)
{
    return entry != 0 && !(entry & (SOFT_VALID | ENTRY_FROZEN));
}

#endif
