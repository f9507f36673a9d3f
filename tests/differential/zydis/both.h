/* SPDX-License-Identifier: BSD-2-Clause */
/* One instruction as the two decoders see it, and the parts of the comparison. */
#ifndef TESTS_DIFFERENTIAL_BOTH_H
#define TESTS_DIFFERENTIAL_BOTH_H

#include "compare.h"

#include <Zydis/Zydis.h>
#include <x86emu/format.h>

struct both {
    struct x86emu_insn ours;
    ZydisDecodedInstruction theirs;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/* operands.c: kind, place, size, access, order, visibility. */
enum difference compare_operands(const struct both *both, char *text, size_t room);

struct x86emu_reg our_register(ZydisRegister reg);

/* access.c: x86emu_insn_transfer() and x86emu_insn_registers(), and addresses. */
enum difference compare_access(const struct both *both, char *text, size_t room);

/* fields.c: sizes and bytes of the encoding, vector controls, privilege; and the prefixes that the text names. */
enum difference compare_fields(const struct both *both, char *text, size_t room);

#endif
