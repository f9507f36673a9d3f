/* SPDX-License-Identifier: BSD-2-Clause */
/* The walk through a guest's page tables, entry by entry (SDM Vol. 3, chapter 4). */
#include <x86emu/paging.h>

#include "walk.h"

/* Paging-structure entry bits (SDM Vol. 3, tables 4-4 to 4-20). */
enum entry_bit {
    ENTRY_P = 1 << 0,
    ENTRY_RW = 1 << 1,
    ENTRY_US = 1 << 2,
    ENTRY_PWT = 1 << 3,
    ENTRY_PCD = 1 << 4,
    ENTRY_A = 1 << 5,
    ENTRY_D = 1 << 6,
    ENTRY_PS = 1 << 7,
    ENTRY_PAT_4K = 1 << 7,
    ENTRY_GLOBAL = 1 << 8,
    ENTRY_PAT_LARGE = 1 << 12,
};
#define ENTRY_XD (UINT64_C(1) << 63)

/* Page-fault error code bits (SDM Vol. 3, 4.7). */
enum error_bit {
    ERROR_P = 1,
    ERROR_W = 2,
    ERROR_U = 4,
    ERROR_RSVD = 8,
    ERROR_ID = 16,
    ERROR_PK = 32
};

#define CR3_LAM_U57 (UINT64_C(1) << 61)
#define CR3_LAM_U48 (UINT64_C(1) << 62)

/* Levels: 1 is the page table, 2 the page directory, 3 the PDPT, 4 the PML4, 5 the PML5. */

static bool long_mode(const struct x86emu_paging *paging)
{
    return paging->efer & X86EMU_EFER_LMA;
}

static bool pae(const struct x86emu_paging *paging)
{
    return paging->cr4 & X86EMU_CR4_PAE;
}

static unsigned top_level(const struct x86emu_paging *paging)
{
    if (long_mode(paging))
        return paging->cr4 & X86EMU_CR4_LA57 ? 5 : 4;
    return pae(paging) ? 3 : 2;
}

static unsigned shift_of(const struct x86emu_walk *walk, unsigned level)
{
    return walk->entry_size == 8 ? 3 + 9 * level : 2 + 10 * level;
}

/* The low bits of la as a signed number of this width. */
static uint64_t sign_extend(uint64_t la, unsigned width)
{
    uint64_t sign = UINT64_C(1) << (width - 1);

    return ((la & low_bits(width)) ^ sign) - sign;
}

static uint64_t physical_mask(const struct x86emu_paging *paging)
{
    return low_bits(physical_width(paging->maxphyaddr));
}

/* PAE paging's top level lives in registers and has neither permissions nor an accessed bit (SDM Vol. 3, 4.4.1). */
static bool is_pdpte(const struct x86emu_walk *walk, unsigned level)
{
    return level == 3 && !long_mode(&walk->paging);
}

static bool is_leaf(const struct x86emu_walk *walk, unsigned level)
{
    if (level == 1)
        return true;
    if (!(walk->entries[level] & ENTRY_PS) || level > 3 || is_pdpte(walk, level))
        return false;
    return level == 3 || walk->entry_size == 8 || walk->paging.cr4 & X86EMU_CR4_PSE;
}

static enum x86emu_walk_status finish(struct x86emu_walk *walk, enum x86emu_walk_status status)
{
    walk->status = (uint8_t)status;
    return status;
}

static enum x86emu_walk_status fault(struct x86emu_walk *walk, unsigned bits)
{
    bool fetch_bit = (walk->paging.efer & X86EMU_EFER_NXE && pae(&walk->paging)) || walk->paging.cr4 & X86EMU_CR4_SMEP;

    if (walk->access & X86EMU_ACCESS_WRITE)
        bits |= ERROR_W;
    if (walk->access & X86EMU_WALK_USER)
        bits |= ERROR_U;
    if (walk->access & X86EMU_ACCESS_EXECUTE && fetch_bit)
        bits |= ERROR_ID;
    walk->error_code = (uint16_t)bits;
    return finish(walk, X86EMU_WALK_FAULT);
}

/* --- one entry ---------------------------------------------------------------------------------------------------- */

/* Reserved bits of the entry at a level (SDM Vol. 3, tables 4-4 to 4-20, and 4.4.1 for PDPTEs). */
static uint64_t reserved_bits(const struct x86emu_walk *walk, unsigned level)
{
    const struct x86emu_paging *paging = &walk->paging;
    unsigned all = physical_width(paging->maxphyaddr), width = all < 40 ? all : 40; /* PSE-36 has no more */
    bool large = level > 1 && is_leaf(walk, level);
    uint64_t reserved;

    if (walk->entry_size == 4)
        return large ? UINT64_C(1) << 21 | (low_bits(21) & ~low_bits(width - 32 + 13)) : 0;
    reserved = low_bits(52) & ~physical_mask(paging);
    if (is_pdpte(walk, level))
        return reserved | ENTRY_XD | low_bits(63 - 52) << 52 | 0x1e6;
    if (!long_mode(paging))
        reserved |= low_bits(63 - 52) << 52;
    if (!(paging->efer & X86EMU_EFER_NXE))
        reserved |= ENTRY_XD;
    if (level > 3 || (level == 3 && !paging->page1gb))
        reserved |= ENTRY_PS;
    if (paging->amd && level > 3)
        reserved |= ENTRY_GLOBAL;
    if (large)
        reserved |= low_bits(shift_of(walk, level)) & ~low_bits(13);
    return reserved;
}

static uint64_t table_address(const struct x86emu_walk *walk, uint64_t entry)
{
    return walk->entry_size == 4 ? entry & 0xfffff000 : entry & physical_mask(&walk->paging) & ~low_bits(12);
}

/* Page-frame address of a leaf; PSE-36 keeps bits 39:32 in bits 20:13 (SDM Vol. 3, table 4-4). */
static uint64_t page_address(const struct x86emu_walk *walk, unsigned level)
{
    uint64_t entry = walk->entries[level];
    uint64_t offset = low_bits(shift_of(walk, level));

    if (walk->entry_size == 4 && level == 2)
        return (entry & 0xffc00000) | (entry >> 13 & 0xff) << 32;
    return table_address(walk, entry) & ~offset;
}

static enum x86emu_walk_status ask_for_entry(struct x86emu_walk *walk, uint64_t table)
{
    unsigned index_bits = walk->entry_size == 8 ? 9 : 10;
    uint64_t index = walk->la >> shift_of(walk, walk->level) & low_bits(is_pdpte(walk, walk->level) ? 2 : index_bits);

    walk->entry_gpa = table + index * walk->entry_size;
    walk->entry_gpas[walk->level] = walk->entry_gpa;
    return finish(walk, X86EMU_WALK_READ);
}

/* --- permissions -------------------------------------------------------------------------------------------------- */

static void gather_permissions(struct x86emu_walk *walk, unsigned leaf, unsigned top)
{
    walk->writable = walk->user = walk->executable = true;
    for (unsigned level = leaf; level <= top; level++) {
        uint64_t entry = walk->entries[level];

        if (is_pdpte(walk, level))
            continue;
        walk->writable = walk->writable && entry & ENTRY_RW;
        walk->user = walk->user && entry & ENTRY_US;
        if (entry & ENTRY_XD && walk->paging.efer & X86EMU_EFER_NXE && walk->entry_size == 8)
            walk->executable = false;
    }
}

/* Whether the protection key forbids a data access (SDM Vol. 3, 4.6.2). */
static bool key_forbids(const struct x86emu_walk *walk)
{
    const struct x86emu_paging *paging = &walk->paging;
    bool enabled = paging->cr4 & (walk->user ? X86EMU_CR4_PKE : X86EMU_CR4_PKS);
    uint32_t rights = (walk->user ? paging->pkru : paging->pkrs) >> (2 * walk->protection_key);
    bool write_matters = walk->access & X86EMU_WALK_USER || paging->cr0 & X86EMU_CR0_WP;

    if (!enabled || !long_mode(paging) || walk->access & X86EMU_ACCESS_EXECUTE)
        return false;
    return rights & 1 || (rights & 2 && walk->access & X86EMU_ACCESS_WRITE && write_matters);
}

static bool supervisor_may(const struct x86emu_walk *walk)
{
    const struct x86emu_paging *paging = &walk->paging;
    bool ac = paging->rflags & X86EMU_RFLAGS_AC && !(walk->access & X86EMU_WALK_IMPLICIT);

    if (walk->access & X86EMU_ACCESS_EXECUTE)
        return !(walk->user && paging->cr4 & X86EMU_CR4_SMEP);
    if (walk->user && paging->cr4 & X86EMU_CR4_SMAP && !ac)
        return false;
    return !(walk->access & X86EMU_ACCESS_WRITE) || walk->writable || !(paging->cr0 & X86EMU_CR0_WP);
}

static bool user_may(const struct x86emu_walk *walk)
{
    return walk->user && (walk->writable || !(walk->access & X86EMU_ACCESS_WRITE));
}

/* Access rights of the whole translation (SDM Vol. 3, 4.6.1). */
static bool allowed(const struct x86emu_walk *walk)
{
    if (walk->access & X86EMU_ACCESS_EXECUTE && !walk->executable)
        return false;
    return walk->access & X86EMU_WALK_USER ? user_may(walk) : supervisor_may(walk);
}

/* --- accessed and dirty bits -------------------------------------------------------------------------------------- */

static uint64_t bits_to_set(const struct x86emu_walk *walk, unsigned level, unsigned leaf)
{
    uint64_t bits = ENTRY_A;

    if (walk->access & X86EMU_WALK_PROBE || is_pdpte(walk, level))
        return 0;
    if (level == leaf && walk->access & X86EMU_ACCESS_WRITE && !(walk->access & X86EMU_WALK_NO_DIRTY))
        bits |= ENTRY_D;
    return bits & ~walk->entries[level];
}

/* Asks for the next update, from the top down, or ends the walk. */
static enum x86emu_walk_status update_next(struct x86emu_walk *walk)
{
    for (unsigned level = top_level(&walk->paging); level >= walk->level; level--) {
        uint64_t bits = bits_to_set(walk, level, walk->level);

        if (bits == 0)
            continue;
        walk->entry_gpa = walk->entry_gpas[level];
        walk->entry_old = walk->entries[level];
        walk->entry_new = walk->entry_old | bits;
        return finish(walk, X86EMU_WALK_UPDATE);
    }
    walk->dirty = walk->entries[walk->level] & ENTRY_D;
    return finish(walk, X86EMU_WALK_DONE);
}

static enum x86emu_walk_status reach_leaf(struct x86emu_walk *walk)
{
    uint64_t entry = walk->entries[walk->level];
    uint64_t pat = walk->level == 1 ? entry & ENTRY_PAT_4K : entry & ENTRY_PAT_LARGE;

    walk->page_shift = (uint8_t)shift_of(walk, walk->level);
    walk->gpa = page_address(walk, walk->level) | (walk->la & low_bits(walk->page_shift));
    walk->pat_index = (uint8_t)((entry & ENTRY_PWT ? 1 : 0) | (entry & ENTRY_PCD ? 2 : 0) | (pat ? 4 : 0));
    walk->protection_key = (uint8_t)(walk->entry_size == 8 ? entry >> 59 & 0xf : 0);
    gather_permissions(walk, walk->level, top_level(&walk->paging));
    if (key_forbids(walk))
        return fault(walk, ERROR_P | ERROR_PK);
    if (!allowed(walk))
        return fault(walk, ERROR_P);
    return update_next(walk);
}

/* --- the walk ----------------------------------------------------------------------------------------------------- */

static enum x86emu_walk_status take_entry(struct x86emu_walk *walk, uint64_t value)
{
    walk->entries[walk->level] = value;
    if (!(value & ENTRY_P))
        return fault(walk, 0);
    if (value & reserved_bits(walk, walk->level))
        return fault(walk, ERROR_P | ERROR_RSVD);
    if (is_leaf(walk, walk->level))
        return reach_leaf(walk);
    walk->level--;
    return ask_for_entry(walk, table_address(walk, value));
}

static enum x86emu_walk_status start(struct x86emu_walk *walk)
{
    const struct x86emu_paging *paging = &walk->paging;
    uint64_t root = paging->cr3 & ~low_bits(12);

    walk->level = (uint8_t)top_level(paging);
    walk->entry_size = long_mode(paging) || pae(paging) ? 8 : 4;
    if (!is_pdpte(walk, walk->level))
        return ask_for_entry(walk, long_mode(paging) ? root & physical_mask(paging) : root & 0xffffffff);
    if (paging->pdpte_loaded)
        return take_entry(walk, paging->pdpte[walk->la >> 30 & 3]);
    return ask_for_entry(walk, paging->cr3 & 0xffffffe0);
}

enum x86emu_walk_status x86emu_walk_begin(struct x86emu_walk *walk, const struct x86emu_paging *paging, uint64_t la,
                                          unsigned access)
{
    walk->paging = *paging;
    walk->la = la;
    walk->access = (uint16_t)access;
    if (paging->cr0 & X86EMU_CR0_PG)
        return start(walk);
    walk->gpa = la;
    walk->page_shift = 0;
    walk->dirty = walk->writable = walk->user = walk->executable = true;
    walk->pat_index = walk->protection_key = 0;
    return finish(walk, X86EMU_WALK_DONE);
}

enum x86emu_walk_status x86emu_walk_entry(struct x86emu_walk *walk, uint64_t value)
{
    if (walk->status != X86EMU_WALK_READ)
        return X86EMU_WALK_MISUSE;
    return take_entry(walk, walk->entry_size == 4 ? value & 0xffffffff : value);
}

enum x86emu_walk_status x86emu_walk_updated(struct x86emu_walk *walk, bool exchanged)
{
    if (walk->status != X86EMU_WALK_UPDATE)
        return X86EMU_WALK_MISUSE;
    if (!exchanged)
        return start(walk);
    for (unsigned level = walk->level; level <= top_level(&walk->paging); level++)
        if (walk->entry_gpas[level] == walk->entry_gpa && walk->entries[level] == walk->entry_old)
            walk->entries[level] = walk->entry_new;
    return update_next(walk);
}

enum x86emu_walk_status x86emu_walk_run(struct x86emu_walk *walk, const struct x86emu_walk_memory *memory)
{
    unsigned restarts = 0;

    while (walk->status == X86EMU_WALK_READ || walk->status == X86EMU_WALK_UPDATE) {
        uint64_t value;
        bool exchanged;

        if (walk->status == X86EMU_WALK_READ) {
            if (!memory->read(memory->opaque, walk->entry_gpa, walk->entry_size, &value))
                break;
            x86emu_walk_entry(walk, value);
            continue;
        }
        if (!memory->compare_exchange(memory->opaque, walk->entry_gpa, walk->entry_size, walk->entry_old,
                                      walk->entry_new, &exchanged))
            break;
        if (!exchanged && ++restarts == MAX_RESTARTS)
            break;
        x86emu_walk_updated(walk, exchanged);
    }
    return (enum x86emu_walk_status)walk->status;
}

/* --- before the walk ---------------------------------------------------------------------------------------------- */

bool x86emu_breaks_separation(const struct x86emu_paging *paging, uint64_t la, unsigned access)
{
    bool upper = la >> 63;
    bool ac = paging->rflags & X86EMU_RFLAGS_AC && !(access & X86EMU_WALK_IMPLICIT);

    if (!(paging->cr4 & X86EMU_CR4_LASS) || !long_mode(paging))
        return false;
    if (access & X86EMU_WALK_USER)
        return upper;
    if (access & X86EMU_ACCESS_EXECUTE)
        return !upper;
    return !upper && paging->cr4 & X86EMU_CR4_SMAP && !ac;
}

uint64_t x86emu_untag(const struct x86emu_paging *paging, uint64_t la)
{
    const uint64_t sign = UINT64_C(1) << 63;
    unsigned width;

    if (la & sign) {
        if (!(paging->cr4 & X86EMU_CR4_LAM_SUP))
            return la;
        width = paging->cr4 & X86EMU_CR4_LA57 ? 57 : 48;
    } else {
        if (!(paging->cr3 & (CR3_LAM_U57 | CR3_LAM_U48)))
            return la;
        width = paging->cr3 & CR3_LAM_U57 ? 57 : 48;
    }
    return (la & sign) | (sign_extend(la, width) & ~sign);
}

bool x86emu_is_canonical(uint64_t la, uint64_t cr4)
{
    return sign_extend(la, cr4 & X86EMU_CR4_LA57 ? 57 : 48) == la;
}
