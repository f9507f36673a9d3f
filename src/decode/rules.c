/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of single rows: encodings that look valid until their registers are compared. */
#include "rules.h"

#include "generated/tables.h"

enum {
    EVEX_AAA = 7,
    EVEX_Z = 1 << 7
};

static unsigned reg_number(const struct x86emu_insn *insn)
{
    return (insn->modrm >> 3 & 7u) | (insn->rex & X86EMU_REX_R ? 8u : 0u) | (insn->rex & X86EMU_REX_R4 ? 16u : 0u);
}

static unsigned index_number(const struct x86emu_insn *insn)
{
    unsigned high = insn->encoding == X86EMU_ENCODING_EVEX ? insn->vvvv & 0x10u : 0u;

    return (insn->sib >> 3 & 7u) | (insn->rex & X86EMU_REX_X ? 8u : 0u) | high;
}

/* VSIB needs a SIB byte and no 16-bit addresses (SDM Vol. 2, 2.3.12). */
static bool has_vsib(const struct x86emu_insn *insn)
{
    return insn->address_size != 2 && insn->modrm < 0xc0 && (insn->modrm & 7) == 4;
}

static bool masked(const struct x86emu_insn *insn)
{
    return insn->evex & EVEX_AAA;
}

/* Zeroing needs a mask (SDM Vol. 2, 2.7.4, table 2-42). */
static bool zeroing_is_masked(const struct x86emu_insn *insn)
{
    return !(insn->evex & EVEX_Z) || masked(insn);
}

static bool all_differ(unsigned a, unsigned b, unsigned c)
{
    return a != b && b != c && a != c;
}

static unsigned rm_number(const struct x86emu_insn *insn)
{
    return (insn->modrm & 7u) | (insn->rex & X86EMU_REX_B ? 8u : 0u);
}

/* CR0, CR2, CR3, CR4, CR8 (SDM Vol. 2, MOV to and from control registers). */
static bool control_register_exists(unsigned number)
{
    return number == 0 || (number >= 2 && number <= 4) || number == 8;
}

bool x86emu_special_rules_hold(const struct x86emu_insn *insn, unsigned special)
{
    switch (special) {
    case SPECIAL_ZEROING:
        return zeroing_is_masked(insn);
    case SPECIAL_ZEROING_REGISTER:
        return zeroing_is_masked(insn) && !(insn->evex & EVEX_Z && insn->modrm < 0xc0);
    case SPECIAL_GATHER_VEX:
        return has_vsib(insn) && all_differ(reg_number(insn), index_number(insn), insn->vvvv);
    case SPECIAL_GATHER:
        return has_vsib(insn) && masked(insn) && (insn->vvvv & 0xf) == 0 && reg_number(insn) != index_number(insn);
    case SPECIAL_SCATTER:
        return has_vsib(insn) && masked(insn) && (insn->vvvv & 0xf) == 0;
    case SPECIAL_TILES:
        return all_differ(reg_number(insn), rm_number(insn), insn->vvvv);
    case SPECIAL_SIB:
        return insn->address_size != 2 && (insn->modrm & 7) == 4;
    case SPECIAL_CR:
        return control_register_exists(reg_number(insn));
    case SPECIAL_DR:
        return reg_number(insn) < 8;
    default:
        return true;
    }
}

unsigned x86emu_displacement_scale(const struct x86emu_insn *insn)
{
    struct x86emu_operand op;

    for (unsigned n = 0; x86emu_insn_operand(insn, n, &op); n++)
        if (op.kind == X86EMU_OPERAND_MEM)
            return op.size;
    return 1;
}
