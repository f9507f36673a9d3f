/* SPDX-License-Identifier: BSD-2-Clause */
/* Names for people. Nothing else in the library needs this part. */
#ifndef X86EMU_FORMAT_H
#define X86EMU_FORMAT_H

#include <x86emu/insn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The mnemonic in lower case, as the SDM and APM spell it; "invalid" for a number out of range. */
const char *x86emu_mnemonic_name(enum x86emu_mnemonic mnemonic);

#ifdef __cplusplus
}
#endif

#endif
