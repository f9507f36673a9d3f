/* SPDX-License-Identifier: BSD-2-Clause */
/* How mnemonics are spelt. */
#include "generated/names.h"

#include <x86emu/format.h>

const char *x86emu_mnemonic_name(enum x86emu_mnemonic mnemonic)
{
    unsigned number = (unsigned)mnemonic < MNEMONIC_COUNT ? (unsigned)mnemonic : 0;

    return x86emu_mnemonic_pool + x86emu_mnemonic_offsets[number];
}
