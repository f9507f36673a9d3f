/* SPDX-License-Identifier: BSD-2-Clause */
/* The processor's walk through nested tables, entry by entry (SDM Vol. 3, 29.3; APM Vol. 2, 15.25). */
#include "entry.h"

struct x86emu_nested_format x86emu_nested_format_of_ept(uint64_t capabilities, unsigned maxphyaddr)
{
    return (struct x86emu_nested_format){
        .type = X86EMU_NESTED_EPT,
        .levels = 4,
        .maxphyaddr = (uint8_t)(maxphyaddr < 52 ? maxphyaddr : 52),
        .page_2m = capabilities & BIT(16),
        .page_1g = capabilities & BIT(17),
        .accessed_dirty = capabilities & BIT(21),
        .execute_only = capabilities & BIT(0),
        .advanced_violations = capabilities & BIT(22),
    };
}

static enum x86emu_walk_status finish(struct x86emu_nested_walk *walk, enum x86emu_walk_status status)
{
    walk->status = (uint8_t)status;
    return status;
}

/* --- one entry ----------------------------------------------------------------------------------------------------- */

static bool is_present(const struct x86emu_nested_format *format, uint64_t entry)
{
    if (!is_ept(format))
        return entry & NPT_PRESENT;
    return entry & (EPT_READ | EPT_WRITE | EPT_EXECUTE | (format->mode_based_execute ? EPT_USER_EXECUTE : 0));
}

static bool is_large(uint64_t entry, unsigned level)
{
    return entry & ENTRY_LARGE && (level == 2 || level == 3);
}

/* Bits that must be 0 in any format: addresses too wide, pages misaligned or of a size that there is not. */
static uint64_t reserved_anywhere(const struct x86emu_nested_format *format, uint64_t entry, unsigned level)
{
    uint64_t reserved = low_bits(52) & ~low_bits(physical_width(format->maxphyaddr));

    if (!has_pages(format, level))
        reserved |= ENTRY_LARGE;
    if (is_large(entry, level))
        reserved |= low_bits(level_shift(level)) & ~low_bits(is_ept(format) ? 12 : 13);
    return reserved;
}

/* SDM Vol. 3, 29.3.3.1. */
static bool is_misconfigured(const struct x86emu_nested_format *format, uint64_t entry, unsigned level)
{
    bool leaf = level == 1 || is_large(entry, level);
    unsigned type = entry >> EPT_TYPE_SHIFT & 7;
    uint64_t execute = EPT_EXECUTE | (format->mode_based_execute ? EPT_USER_EXECUTE : 0);
    uint64_t reserved = reserved_anywhere(format, entry, level);

    if (!leaf)
        reserved |= level > 3 ? 0xf8 : 0x78;
    if (entry & reserved)
        return true;
    if (!(entry & EPT_READ) && (entry & EPT_WRITE || (entry & execute && !format->execute_only)))
        return true;
    return leaf && (type == 2 || type == 3 || type == 7);
}

/* APM Vol. 2, 5.3: bits that must be zero. Bit 8 is one of them in PML4Es and PML5Es, and ignored in PDPEs and PDEs. */
static bool has_reserved(const struct x86emu_nested_format *format, uint64_t entry, unsigned level)
{
    uint64_t reserved = reserved_anywhere(format, entry, level);

    if (level > 3)
        reserved |= BIT(8);
    if (!format->execute_disable)
        reserved |= NPT_EXECUTE_DISABLE;
    return entry & reserved;
}

/* Rights that one entry gives. */
static unsigned rights_of(const struct x86emu_nested_format *format, uint64_t entry)
{
    if (!is_ept(format))
        return (entry & NPT_USER ? X86EMU_ACCESS_READ : 0u) |
               (entry & NPT_USER && entry & NPT_WRITE ? X86EMU_ACCESS_WRITE : 0u) |
               (entry & NPT_USER && !(entry & NPT_EXECUTE_DISABLE) ? X86EMU_ACCESS_EXECUTE : 0u);
    return (entry & EPT_READ ? X86EMU_ACCESS_READ : 0u) | (entry & EPT_WRITE ? X86EMU_ACCESS_WRITE : 0u) |
           (entry & EPT_EXECUTE ? X86EMU_ACCESS_EXECUTE : 0u) |
           (format->mode_based_execute && entry & EPT_USER_EXECUTE ? X86EMU_RIGHT_USER_EXECUTE : 0u);
}

/* --- faults -------------------------------------------------------------------------------------------------------- */

static uint64_t ept_qualification(const struct x86emu_nested_walk *walk, unsigned rights)
{
    uint64_t bits = walk->access & (X86EMU_EPT_READ | X86EMU_EPT_WRITE | X86EMU_EPT_FETCH);

    bits |= (uint64_t)(rights & 7) << 3;
    if (rights & X86EMU_RIGHT_USER_EXECUTE)
        bits |= X86EMU_EPT_USER_EXECUTABLE;
    if (walk->access & X86EMU_NESTED_NO_LINEAR)
        return bits;
    bits |= X86EMU_EPT_LINEAR_VALID;
    if (!(walk->access & X86EMU_NESTED_TABLE))
        bits |= X86EMU_EPT_FINAL;
    return bits;
}

static uint64_t npt_information(const struct x86emu_nested_walk *walk, bool present, bool reserved)
{
    uint64_t bits = X86EMU_NPF_USER; /* all nested walks count as user accesses */

    bits |= present ? X86EMU_NPF_PRESENT : 0;
    bits |= reserved ? X86EMU_NPF_RESERVED : 0;
    bits |= walk->access & X86EMU_ACCESS_WRITE ? X86EMU_NPF_WRITE : 0;
    bits |= walk->access & X86EMU_ACCESS_EXECUTE && walk->format.execute_disable ? X86EMU_NPF_FETCH : 0;
    return bits | (walk->access & X86EMU_NESTED_TABLE ? X86EMU_NPF_TABLE : X86EMU_NPF_FINAL);
}

/* rights: what the entries together give, 0 when one of them is not present. */
static enum x86emu_walk_status fault(struct x86emu_nested_walk *walk, unsigned rights, bool present, bool reserved)
{
    if (is_ept(&walk->format))
        walk->fault = ept_qualification(walk, rights);
    else
        walk->fault = npt_information(walk, present, reserved);
    return finish(walk, X86EMU_WALK_FAULT);
}

/* --- the walk ------------------------------------------------------------------------------------------------------ */

/* Accesses to guest tables count as writes: with EPT when it has accessed and dirty flags (SDM Vol. 3, 29.3.3.2). */
static unsigned effective_access(const struct x86emu_nested_format *format, unsigned access)
{
    bool counts = access & X86EMU_NESTED_TABLE && !(access & X86EMU_NESTED_NO_LINEAR);

    if (counts && (!is_ept(format) || format->accessed_dirty))
        return access | X86EMU_ACCESS_WRITE;
    return access;
}

static unsigned needed_rights(const struct x86emu_nested_walk *walk)
{
    unsigned rights = walk->access & (X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE | X86EMU_ACCESS_EXECUTE);

    if (rights & X86EMU_ACCESS_EXECUTE && walk->access & X86EMU_NESTED_USER && is_ept(&walk->format) &&
        walk->format.mode_based_execute)
        rights ^= X86EMU_ACCESS_EXECUTE | X86EMU_RIGHT_USER_EXECUTE;
    /* There is no translation without read permission in NPT, whatever the access. */
    return is_ept(&walk->format) ? rights : rights | X86EMU_ACCESS_READ;
}

static enum x86emu_walk_status ask_for_entry(struct x86emu_nested_walk *walk, uint64_t table)
{
    walk->entry_hpa = table + 8 * entry_index(walk->gpa, walk->level);
    walk->entry_hpas[walk->level] = walk->entry_hpa;
    return finish(walk, X86EMU_WALK_READ);
}

static uint64_t bits_to_set(const struct x86emu_nested_walk *walk, unsigned level)
{
    struct x86emu_status_bits bits = status_bits(&walk->format);
    uint64_t set = bits.accessed;

    if (walk->access & X86EMU_NESTED_PROBE || is_emulated(&walk->format))
        return 0;
    if (level == walk->level && walk->access & X86EMU_ACCESS_WRITE && !(walk->access & X86EMU_NESTED_NO_DIRTY))
        set |= bits.dirty;
    return set & ~walk->entries[level];
}

/* Asks for the next update, from the top down, or ends the walk. */
static enum x86emu_walk_status update_next(struct x86emu_nested_walk *walk)
{
    for (unsigned level = walk->format.levels; level >= walk->level; level--) {
        uint64_t bits = bits_to_set(walk, level);

        if (bits == 0)
            continue;
        walk->entry_hpa = walk->entry_hpas[level];
        walk->entry_old = walk->entries[level];
        walk->entry_new = walk->entry_old | bits;
        return finish(walk, X86EMU_WALK_UPDATE);
    }
    walk->dirty = walk->entries[walk->level] & status_bits(&walk->format).dirty;
    return finish(walk, X86EMU_WALK_DONE);
}

static enum x86emu_walk_status reach_leaf(struct x86emu_nested_walk *walk)
{
    const struct x86emu_nested_format *format = &walk->format;
    uint64_t entry = walk->entries[walk->level];
    unsigned rights = 15;

    walk->page_shift = (uint8_t)level_shift(walk->level);
    walk->hpa = (address_of(format, entry) & ~low_bits(walk->page_shift)) | (walk->gpa & low_bits(walk->page_shift));
    for (unsigned level = walk->level; level <= format->levels; level++)
        rights &= rights_of(format, walk->entries[level]);
    walk->rights = (uint8_t)rights;
    walk->ignore_pat = is_ept(format) && entry & EPT_IGNORE_PAT;
    walk->memory_type =
        is_ept(format) ? (uint8_t)(entry >> EPT_TYPE_SHIFT & 7) : pat_type(format, pat_index(entry, walk->level));
    if (needed_rights(walk) & ~rights)
        return fault(walk, rights, true, false);
    return update_next(walk);
}

static enum x86emu_walk_status take_entry(struct x86emu_nested_walk *walk, uint64_t entry)
{
    const struct x86emu_nested_format *format = &walk->format;

    walk->entries[walk->level] = entry;
    if (!is_present(format, entry))
        return fault(walk, 0, false, false);
    if (is_ept(format) && is_misconfigured(format, entry, walk->level))
        return finish(walk, X86EMU_WALK_MISCONFIGURED);
    if (!is_ept(format) && has_reserved(format, entry, walk->level))
        return fault(walk, 0, true, true);
    if (walk->level == 1 || is_large(entry, walk->level))
        return reach_leaf(walk);
    walk->level--;
    return ask_for_entry(walk, address_of(format, entry));
}

static enum x86emu_walk_status start(struct x86emu_nested_walk *walk)
{
    walk->level = walk->format.levels;
    if (walk->gpa >> guest_width(&walk->format) != 0)
        return fault(walk, 0, false, false);
    return ask_for_entry(walk, address_of(&walk->format, walk->pointer));
}

enum x86emu_walk_status x86emu_nested_walk_begin(struct x86emu_nested_walk *walk,
                                                 const struct x86emu_nested_format *format, uint64_t pointer,
                                                 uint64_t gpa, unsigned access)
{
    walk->format = *format;
    walk->format.levels = format->levels == 5 ? 5 : 4;
    walk->pointer = pointer;
    walk->gpa = gpa;
    walk->access = (uint16_t)effective_access(format, access);
    return start(walk);
}

enum x86emu_walk_status x86emu_nested_walk_entry(struct x86emu_nested_walk *walk, uint64_t value)
{
    if (walk->status != X86EMU_WALK_READ)
        return X86EMU_WALK_MISUSE;
    return take_entry(walk, value);
}

enum x86emu_walk_status x86emu_nested_walk_updated(struct x86emu_nested_walk *walk, bool exchanged)
{
    if (walk->status != X86EMU_WALK_UPDATE)
        return X86EMU_WALK_MISUSE;
    if (!exchanged)
        return start(walk);
    for (unsigned level = walk->level; level <= walk->format.levels; level++)
        if (walk->entry_hpas[level] == walk->entry_hpa)
            walk->entries[level] = walk->entry_new;
    return update_next(walk);
}

enum x86emu_walk_status x86emu_nested_walk_run(struct x86emu_nested_walk *walk, const struct x86emu_walk_memory *memory)
{
    unsigned restarts = 0;

    while (walk->status == X86EMU_WALK_READ || walk->status == X86EMU_WALK_UPDATE) {
        uint64_t value;
        bool exchanged;

        if (walk->status == X86EMU_WALK_READ) {
            if (!memory->read(memory->opaque, walk->entry_hpa, 8, &value))
                break;
            x86emu_nested_walk_entry(walk, value);
            continue;
        }
        if (!memory->compare_exchange(memory->opaque, walk->entry_hpa, 8, walk->entry_old, walk->entry_new, &exchanged))
            break;
        if (!exchanged && ++restarts == MAX_RESTARTS)
            break;
        x86emu_nested_walk_updated(walk, exchanged);
    }
    return (enum x86emu_walk_status)walk->status;
}
