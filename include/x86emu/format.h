/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions as text, for people. Nothing else in the library needs this part. */
#ifndef X86EMU_FORMAT_H
#define X86EMU_FORMAT_H

#include <x86emu/insn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The mnemonic in lower case, as the SDM and APM spell it; "invalid" for a number out of range. */
const char *x86emu_mnemonic_name(enum x86emu_mnemonic mnemonic);

/*
 * Writes a decoded instruction in Intel syntax, always ended by a 0 if room isn't 0. address: where the instruction
 * stands, for the targets of branches. Answers the length of the whole text, which didn't fit if that is room or more;
 * X86EMU_FORMAT_ROOM is always enough.
 */
size_t x86emu_format(const struct x86emu_insn *insn, uint64_t address, char *text, size_t room);

#define X86EMU_FORMAT_ROOM 128

#ifdef __cplusplus
}
#endif

#endif
