/* SPDX-License-Identifier: BSD-2-Clause */
/* What the walks of guest tables and of nested tables have in common. */
#ifndef X86EMU_MMU_WALK_H
#define X86EMU_MMU_WALK_H

#include <x86emu/types.h>

/* Walks of one call that may begin again because another processor changed an entry. */
#define MAX_RESTARTS 64

static inline uint64_t low_bits(unsigned count)
{
    return (UINT64_C(1) << count) - 1;
}

/* Bits of a physical address: no processor with paging has fewer than 32, no entry has room for more than 52. */
static inline unsigned physical_width(unsigned maxphyaddr)
{
    if (maxphyaddr < 32)
        return 32;
    return maxphyaddr < 52 ? maxphyaddr : 52;
}

#endif
