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

/* A CPUID feature as enum x86emu_feature spells it; "NONE" for a number out of range. */
const char *x86emu_feature_name(enum x86emu_feature feature);

/*
 * The functions below write text in Intel syntax. Of text, room bytes are written at most, the last of them a 0 unless
 * room is 0; then text may be null. Each answers the length of the whole text, without the 0: it was cut if that is room
 * or more. X86EMU_FORMAT_ROOM is enough for each.
 */
#define X86EMU_FORMAT_ROOM 128

/*
 * A decoded instruction. address: where it stands, for the targets of branches. Implicit operands are not written, but
 * memory that the mnemonic implies (strings, XLAT, MASKMOVQ) is where prefixes move it.
 */
size_t x86emu_format(const struct x86emu_insn *insn, uint64_t address, char *text, size_t room);

/* One of its operands, implicit or not, as x86emu_insn_operand() expanded it; without {k} and rounding. */
size_t x86emu_format_operand(const struct x86emu_insn *insn, const struct x86emu_operand *operand, uint64_t address,
                             char *text, size_t room);

/* The name of a register; none for X86EMU_REG_NONE. */
size_t x86emu_format_register(struct x86emu_reg reg, char *text, size_t room);

#ifdef __cplusplus
}
#endif

#endif
