/* SPDX-License-Identifier: BSD-2-Clause */
/* Lengths by a second decoder, Capstone, and where it is known to be wrong about them. */
#include "capstone.h"

#include <capstone/capstone.h>
#include <stdio.h>
#include <x86emu/format.h>

static csh handles[3];
static cs_insn *scratch[3];
static unsigned long long known;

bool capstone_init(void)
{
    static const cs_mode modes[3] = {CS_MODE_16, CS_MODE_32, CS_MODE_64};

    for (int mode = 0; mode < 3; mode++) {
        if (cs_open(CS_ARCH_X86, modes[mode], &handles[mode]) != CS_ERR_OK)
            return false;
        scratch[mode] = cs_malloc(handles[mode]);
        if (scratch[mode] == NULL)
            return false;
    }
    return true;
}

unsigned long long capstone_known(void)
{
    return known;
}

/* --- where it is wrong --------------------------------------------------------------------------------------------- */

static bool is_immediate_branch_or_push(const struct x86emu_insn *insn)
{
    unsigned opcode = insn->opcode;

    if (insn->map == 1)
        return opcode >= 0x80 && opcode <= 0x8f;
    return insn->map == 0 && (opcode == 0xe8 || opcode == 0xe9 || opcode == 0x68 || opcode == 0xc2 || opcode == 0xca);
}

/*
 * 66 in front of a near branch in 64-bit mode is obeyed, as AMD's processors do (APM Vol. 3, 1.2.2; SDM Vol. 2, Jcc: Intel's
 * ignore it); with F2, F3 or REX it is forgotten, or shortens what has 16 bits anyway (SDM Vol. 2, RET).
 */
static bool is_prefix_mistake(const struct x86emu_insn *insn)
{
    return is_immediate_branch_or_push(insn) &&
           (insn->mode == X86EMU_MODE_64 || insn->prefixes & (X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE));
}

/* Registers and EVEX.b: static rounding or {sae}, of which it takes one byte for an immediate (SDM Vol. 2, 2.7.8). */
static bool is_rounding_mistake(const struct x86emu_insn *insn)
{
    return insn->encoding == X86EMU_ENCODING_EVEX && insn->evex & 0x10 && insn->modrm >= 0xc0;
}

/* 67 and EVEX: it takes the low three bits of R12D and R13D for the whole of a base (SDM Vol. 2, table 2-3). */
static bool is_base_mistake(const struct x86emu_insn *insn)
{
    return insn->encoding == X86EMU_ENCODING_EVEX && insn->prefixes & X86EMU_PREFIX_67;
}

/* Known mistakes of Capstone 4.0.2 about lengths. */
static bool is_mistake(const struct x86emu_insn *insn)
{
    switch (x86emu_form_mnemonic(insn->form)) {
    case X86EMU_MN_UD0: /* they have a ModRM byte (SDM Vol. 2, UD) */
    case X86EMU_MN_UD1:
        return true;
    case X86EMU_MN_BEXTR: /* XOP: its immediate has 4 bytes in any mode (APM Vol. 3, BEXTR) */
        return insn->encoding == X86EMU_ENCODING_XOP;
    case X86EMU_MN_VMREAD: /* 0F 78: the prefixes decide which one it is (APM Vol. 4, EXTRQ, INSERTQ) */
    case X86EMU_MN_EXTRQ:
    case X86EMU_MN_INSERTQ:
        return true;
    default:
        return is_prefix_mistake(insn) || is_rounding_mistake(insn) || is_base_mistake(insn);
    }
}

bool capstone_agrees(const struct x86emu_insn *insn, const uint8_t *bytes, size_t size, char *text, size_t room)
{
    cs_insn *theirs = scratch[insn->mode];
    uint64_t address = 0;

    if (!cs_disasm_iter(handles[insn->mode], &bytes, &size, &address, theirs))
        return true; /* it knows less */
    known++;
    if (theirs->size == insn->length || is_mistake(insn))
        return true;
    snprintf(text, room, "%s %u, Capstone %s %s %u", x86emu_mnemonic_name(x86emu_form_mnemonic(insn->form)),
             insn->length, theirs->mnemonic, theirs->op_str, theirs->size);
    return false;
}
