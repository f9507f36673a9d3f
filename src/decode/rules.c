/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of single rows: encodings that look valid until their registers are compared. */
#include "rules.h"

#include "generated/tables.h"
#include "registers.h"

enum {
    EVEX_AAA = 7
};

/* VSIB needs a SIB byte and no 16-bit addresses (SDM Vol. 2, 2.3.12). */
static bool has_vsib(const struct x86emu_insn *insn)
{
    return insn->address_size != 2 && insn->modrm < 0xc0 && (insn->modrm & 7) == 4;
}

static bool masked(const struct x86emu_insn *insn)
{
    return insn->evex & EVEX_AAA;
}

static bool all_differ(unsigned a, unsigned b, unsigned c)
{
    return a != b && b != c && a != c;
}

/* SDM Vol. 2, VFMADDCPH and its kin: #UD otherwise. */
static bool destination_is_no_source(const struct x86emu_insn *insn)
{
    unsigned destination = reg_number(insn), source = vector_rm_number(insn);

    return destination != insn->vvvv && (insn->modrm < 0xc0 || destination != source);
}

static bool is_rip_relative(const struct x86emu_insn *insn)
{
    return insn->mode == X86EMU_MODE_64 && (insn->modrm & 0xc7) == 5;
}

/* BND0 to BND3, and no 16-bit addresses (SDM Vol. 1, appendix E). */
static bool bounds_registers_exist(const struct x86emu_insn *insn)
{
    bool move = (insn->prefixes & (X86EMU_PREFIX_66 | X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE)) == X86EMU_PREFIX_66;

    if (insn->modrm < 0xc0)
        return reg_number(insn) < 4 && insn->address_size != 2;
    return reg_number(insn) < 4 && (!move || rm_number(insn) < 4);
}

/* CR0, CR2, CR3, CR4, CR8 (SDM Vol. 2, MOV to and from control registers). */
static bool control_register_exists(unsigned number)
{
    return number == 0 || (number >= 2 && number <= 4) || number == 8;
}

bool x86emu_special_rules_hold(const struct x86emu_insn *insn, unsigned special)
{
    switch (special) {
    case SPECIAL_GATHER_VEX:
        return has_vsib(insn) && all_differ(reg_number(insn), vector_index_number(insn), insn->vvvv);
    case SPECIAL_GATHER:
        return has_vsib(insn) && masked(insn) && (insn->vvvv & 0xf) == 0 &&
               reg_number(insn) != vector_index_number(insn);
    case SPECIAL_SCATTER:
        return has_vsib(insn) && masked(insn) && (insn->vvvv & 0xf) == 0;
    case SPECIAL_TILES:
        return rm_number(insn) < 8 && all_differ(reg_number(insn), rm_number(insn), insn->vvvv);
    case SPECIAL_BND:
        return bounds_registers_exist(insn);
    case SPECIAL_BND_ADDRESS:
        return bounds_registers_exist(insn) && !is_rip_relative(insn);
    case SPECIAL_COMPLEX:
        return destination_is_no_source(insn);
    case SPECIAL_SIB:
        return insn->address_size != 2 && (insn->modrm & 7) == 4;
    case SPECIAL_CR:
        return control_register_exists(reg_number(insn));
    default:
        return true;
    }
}
