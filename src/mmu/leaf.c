/* SPDX-License-Identifier: BSD-2-Clause */
/* How the leaves of tables built here are written in each format, with accessed and dirty bits real or emulated. */
#include "entry.h"

bool x86emu_type_possible(const struct x86emu_nested_format *format, const struct leaf *leaf)
{
    unsigned type = leaf->memory_type;

    if (is_ept(format))
        return type <= X86EMU_MEMORY_WB && type != 2 && type != 3;
    if (leaf->ignore_pat)
        return false;
    for (unsigned i = 0; i < 8; i++)
        if (pat_type(format, i) == type)
            return true;
    return false;
}

bool x86emu_rights_possible(const struct x86emu_nested_format *format, unsigned rights)
{
    const unsigned all = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE | X86EMU_ACCESS_EXECUTE | X86EMU_RIGHT_USER_EXECUTE;

    if (rights & ~all || (rights & X86EMU_RIGHT_USER_EXECUTE && !(is_ept(format) && format->mode_based_execute)))
        return false;
    if (rights == 0)
        return true;
    if (!(rights & X86EMU_ACCESS_READ))
        return is_ept(format) && format->execute_only && !(rights & X86EMU_ACCESS_WRITE);
    return is_ept(format) || format->execute_disable || rights & X86EMU_ACCESS_EXECUTE;
}

/* --- the library's bits -------------------------------------------------------------------------------------------- */

static uint64_t soft_bits(unsigned rights)
{
    return SOFT_VALID | (rights & X86EMU_ACCESS_READ ? SOFT_READ : 0) |
           (rights & X86EMU_ACCESS_WRITE ? SOFT_WRITE : 0) | (rights & X86EMU_ACCESS_EXECUTE ? SOFT_EXECUTE : 0) |
           (rights & X86EMU_RIGHT_USER_EXECUTE ? SOFT_USER_EXECUTE : 0);
}

static uint8_t soft_rights(uint64_t entry)
{
    return (uint8_t)((entry & SOFT_READ ? X86EMU_ACCESS_READ : 0) | (entry & SOFT_WRITE ? X86EMU_ACCESS_WRITE : 0) |
                     (entry & SOFT_EXECUTE ? X86EMU_ACCESS_EXECUTE : 0) |
                     (entry & SOFT_USER_EXECUTE ? X86EMU_RIGHT_USER_EXECUTE : 0));
}

/* --- the processor's bits ------------------------------------------------------------------------------------------ */

static uint64_t ept_rights(unsigned rights)
{
    return (rights & X86EMU_ACCESS_READ ? EPT_READ : 0) | (rights & X86EMU_ACCESS_WRITE ? EPT_WRITE : 0) |
           (rights & X86EMU_ACCESS_EXECUTE ? EPT_EXECUTE : 0) |
           (rights & X86EMU_RIGHT_USER_EXECUTE ? EPT_USER_EXECUTE : 0);
}

static uint64_t encode_ept(const struct x86emu_nested_format *format, const struct leaf *leaf)
{
    uint64_t entry = (uint64_t)leaf->memory_type << EPT_TYPE_SHIFT | (leaf->ignore_pat ? EPT_IGNORE_PAT : 0);
    uint64_t rights = ept_rights(leaf->rights);

    if (!is_emulated(format))
        return entry | (leaf->guarded ? rights & ~EPT_WRITE : rights) | (leaf->accessed ? EPT_ACCESSED : 0) |
               (leaf->dirty ? EPT_DIRTY : 0);
    if (!leaf->accessed)
        return entry | (leaf->dirty ? SOFT_DIRTY : 0);
    if (leaf->dirty && !(rights & EPT_WRITE))
        entry |= SOFT_DIRTY;
    if (rights == 0)
        entry |= SOFT_ACCESSED;
    return entry | (leaf->dirty ? rights : rights & ~EPT_WRITE);
}

static void decode_ept(const struct x86emu_nested_format *format, uint64_t entry, struct leaf *leaf)
{
    leaf->memory_type = (uint8_t)(entry >> EPT_TYPE_SHIFT & 7);
    leaf->ignore_pat = entry & EPT_IGNORE_PAT;
    if (is_emulated(format)) {
        leaf->accessed = entry & (EPT_READ | EPT_EXECUTE | EPT_USER_EXECUTE | SOFT_ACCESSED);
        leaf->dirty = entry & (EPT_WRITE | SOFT_DIRTY);
        return;
    }
    leaf->accessed = entry & EPT_ACCESSED;
    leaf->dirty = entry & EPT_DIRTY;
    leaf->guarded = entry & SOFT_WRITE && !(entry & EPT_WRITE);
}

static uint64_t encode_npt(const struct x86emu_nested_format *format, const struct leaf *leaf, unsigned level)
{
    uint64_t entry = NPT_USER | (leaf->accessed ? NPT_ACCESSED : 0) | (leaf->dirty ? NPT_DIRTY : 0);
    unsigned index = 0;

    while (index < 7 && pat_type(format, index) != leaf->memory_type)
        index++;
    entry |= (index & 1 ? NPT_PWT : 0) | (index & 2 ? NPT_PCD : 0);
    if (index & 4)
        entry |= level == 1 ? NPT_PAT_4K : NPT_PAT_LARGE;
    if (leaf->rights != 0)
        entry |= NPT_PRESENT;
    if (leaf->rights & X86EMU_ACCESS_WRITE && !leaf->guarded)
        entry |= NPT_WRITE;
    if (!(leaf->rights & X86EMU_ACCESS_EXECUTE) && format->execute_disable)
        entry |= NPT_EXECUTE_DISABLE;
    return entry;
}

static void decode_npt(const struct x86emu_nested_format *format, uint64_t entry, unsigned level, struct leaf *leaf)
{
    leaf->memory_type = pat_type(format, pat_index(entry, level));
    leaf->accessed = entry & NPT_ACCESSED;
    leaf->dirty = entry & NPT_DIRTY;
    leaf->guarded = entry & SOFT_WRITE && !(entry & NPT_WRITE);
}

uint64_t x86emu_leaf_encode(const struct x86emu_nested_format *format, const struct leaf *leaf, unsigned level)
{
    uint64_t entry = leaf->hpa | soft_bits(leaf->rights) | (level > 1 ? ENTRY_LARGE : 0);

    return entry | (is_ept(format) ? encode_ept(format, leaf) : encode_npt(format, leaf, level));
}

struct leaf x86emu_leaf_decode(const struct x86emu_nested_format *format, uint64_t entry, unsigned level)
{
    struct leaf leaf = {.hpa = address_of(format, entry) & ~low_bits(level_shift(level)), .rights = soft_rights(entry)};

    if (is_ept(format))
        decode_ept(format, entry, &leaf);
    else
        decode_npt(format, entry, level, &leaf);
    return leaf;
}
