/* SPDX-License-Identifier: BSD-2-Clause */
/* Operands of a decoded instruction, expanded from the row's templates and the instruction's fields. */
#include "registers.h"
#include "rows.h"

#include <x86emu/insn.h>

static unsigned operand_width(const struct x86emu_insn *insn, unsigned size)
{
    if (size < SIZE_RULED)
        return size;
    switch (size) {
    case SIZE_Z:
        return insn->operand_size < 4 ? 2 : 4;
    case SIZE_Y:
        return insn->operand_size == 8 ? 8 : 4;
    case SIZE_P:
        return insn->operand_size + 2u;
    case SIZE_S:
        return insn->mode == X86EMU_MODE_64 ? 10 : 6;
    case SIZE_X:
        return insn->vector_length;
    case SIZE_A:
        return insn->address_size;
    case SIZE_V2:
        return insn->operand_size * 2u;
    case SIZE_HX:
        return insn->vector_length / 2u;
    case SIZE_QX:
        return insn->vector_length / 4u;
    case SIZE_EX:
        return insn->vector_length / 8u;
    case SIZE_BND:
        return insn->mode == X86EMU_MODE_64 ? 16 : 8;
    case SIZE_512:
        return 512;
    case SIZE_576: /* at least: SDM Vol. 1, 13.4 */
        return 576;
    case SIZE_V5:
        return insn->operand_size * 5u;
    case SIZE_V8:
        return insn->operand_size * 8u;
    case SIZE_ENV: /* SDM Vol. 1, 8.1.10 */
        return insn->operand_size == 2 ? 14 : 28;
    case SIZE_FPU:
        return insn->operand_size == 2 ? 94 : 108;
    case SIZE_STACK:
        return insn->mode == X86EMU_MODE_64 ? 8 : insn->mode == X86EMU_MODE_32 ? 4 : 2;
    default:
        return insn->operand_size;
    }
}

static struct x86emu_reg gpr_of_size(const struct x86emu_insn *insn, unsigned number, unsigned size)
{
    static const uint8_t classes[9] = {
        [1] = X86EMU_REG_GPR8, [2] = X86EMU_REG_GPR16, [4] = X86EMU_REG_GPR32, [8] = X86EMU_REG_GPR64};

    if (size == 1 && number >= 4 && number < 8 && !(insn->rex & X86EMU_REX_PRESENT) &&
        insn->encoding == X86EMU_ENCODING_LEGACY)
        return (struct x86emu_reg){X86EMU_REG_GPR8_HIGH, (uint8_t)(number - 4)};
    return (struct x86emu_reg){size <= 8 ? classes[size] : X86EMU_REG_NONE, (uint8_t)number};
}

static struct x86emu_reg reg_of_class(const struct x86emu_insn *insn, unsigned reg_class, unsigned number,
                                      unsigned size)
{
    switch (reg_class) {
    case CLASS_GPR:
        return gpr_of_size(insn, number, size);
    case CLASS_VECTOR:
        return (struct x86emu_reg){size > 32   ? X86EMU_REG_ZMM
                                   : size > 16 ? X86EMU_REG_YMM
                                               : X86EMU_REG_XMM,
                                   (uint8_t)number};
    case CLASS_MMX:
    case CLASS_SEGMENT:
    case CLASS_ST:
    case CLASS_MASK:
    case CLASS_TMM:
        return (struct x86emu_reg){(uint8_t)reg_class, number & 7};
    default:
        return (struct x86emu_reg){(uint8_t)reg_class, (uint8_t)number};
    }
}

static void set_register(struct x86emu_operand *op, struct x86emu_reg reg)
{
    op->kind = X86EMU_OPERAND_REG;
    op->reg = reg;
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static struct x86emu_reg address_register(const struct x86emu_insn *insn, unsigned number)
{
    static const uint8_t classes[9] = {[2] = X86EMU_REG_GPR16, [4] = X86EMU_REG_GPR32, [8] = X86EMU_REG_GPR64};

    return (struct x86emu_reg){classes[insn->address_size], (uint8_t)number};
}

static uint8_t segment_or(const struct x86emu_insn *insn, unsigned implied)
{
    return insn->segment != X86EMU_NO_SEGMENT ? insn->segment : (uint8_t)implied;
}

static void memory_at(struct x86emu_operand *op, const struct x86emu_insn *insn, unsigned number, uint8_t segment)
{
    op->kind = X86EMU_OPERAND_MEM;
    op->mem.base = address_register(insn, number);
    op->mem.index = (struct x86emu_reg){X86EMU_REG_NONE, 0};
    op->mem.scale = 1;
    op->mem.disp = 0;
    op->mem.segment = segment;
}

/* SDM Vol. 2, table 2-1. */
static void memory_16(struct x86emu_operand *op, const struct x86emu_insn *insn)
{
    static const uint8_t base[8] = {X86EMU_RBX, X86EMU_RBX, X86EMU_RBP, X86EMU_RBP,
                                    X86EMU_RSI, X86EMU_RDI, X86EMU_RBP, X86EMU_RBX};
    static const uint8_t index[4] = {X86EMU_RSI, X86EMU_RDI, X86EMU_RSI, X86EMU_RDI};
    unsigned rm = insn->modrm & 7;

    memory_at(op, insn, base[rm], 0);
    op->mem.disp = insn->disp;
    if (rm < 4)
        op->mem.index = (struct x86emu_reg){X86EMU_REG_GPR16, index[rm]};
    if (rm == 6 && insn->modrm < 0x40) {
        op->mem.base = (struct x86emu_reg){X86EMU_REG_NONE, 0};
        op->mem.segment = segment_or(insn, X86EMU_DS);
        return;
    }
    op->mem.segment = segment_or(insn, base[rm] == X86EMU_RBP ? X86EMU_SS : X86EMU_DS);
}

static void set_sib(struct x86emu_operand *op, const struct x86emu_insn *insn)
{
    unsigned index = index_number(insn);
    unsigned base = (insn->sib & 7u) | (insn->rex & X86EMU_REX_B ? 8u : 0u);

    op->mem.scale = (uint8_t)(1u << (insn->sib >> 6));
    if (index != X86EMU_RSP)
        op->mem.index = address_register(insn, index);
    op->mem.base = address_register(insn, base);
    if ((insn->sib & 7) == 5 && insn->modrm < 0x40)
        op->mem.base = (struct x86emu_reg){X86EMU_REG_NONE, 0};
}

/* SDM Vol. 2, tables 2-2 and 2-3, and 2.2.1.6 for RIP-relative addresses. */
static void memory_32(struct x86emu_operand *op, const struct x86emu_insn *insn)
{
    unsigned implied = X86EMU_DS;

    memory_at(op, insn, rm_number(insn), 0);
    op->mem.disp = insn->disp;
    if ((insn->modrm & 7) == 4)
        set_sib(op, insn);
    else if ((insn->modrm & 0xc7) == 5)
        op->mem.base = insn->mode == X86EMU_MODE_64 ? (struct x86emu_reg){X86EMU_REG_IP, 0}
                                                    : (struct x86emu_reg){X86EMU_REG_NONE, 0};
    if (op->mem.base.reg_class > X86EMU_REG_NONE && op->mem.base.reg_class <= X86EMU_REG_GPR64 &&
        (op->mem.base.number == X86EMU_RSP || op->mem.base.number == X86EMU_RBP))
        implied = X86EMU_SS;
    op->mem.segment = segment_or(insn, implied);
}

/* With EVEX.b, one element is read for all. */
static void set_broadcast(struct x86emu_operand *op, const struct x86emu_insn *insn, unsigned element)
{
    if (insn->encoding != X86EMU_ENCODING_EVEX || !(insn->evex & 0x10) || element == 0 || element & 0x80 ||
        insn->modrm >= 0xc0)
        return;
    op->broadcast = (uint8_t)(op->size / element);
    op->size = (uint16_t)element;
}

static void set_rm(struct x86emu_operand *op, const struct x86emu_insn *insn, unsigned reg_class)
{
    if (insn->modrm >= 0xc0)
        set_register(op, reg_of_class(insn, reg_class,
                                      reg_class == CLASS_VECTOR ? vector_rm_number(insn) : rm_number(insn), op->size));
    else if (insn->address_size == 2)
        memory_16(op, insn);
    else
        memory_32(op, insn);
}

/* The index is a vector register, and none of its numbers means "no index" (SDM Vol. 2, 2.3.12). */
static void set_vsib(struct x86emu_operand *op, const struct x86emu_insn *insn, unsigned reg_class)
{
    memory_32(op, insn);
    op->mem.index = (struct x86emu_reg){(uint8_t)reg_class, (uint8_t)vector_index_number(insn)};
}

static void set_moffs(struct x86emu_operand *op, const struct x86emu_insn *insn)
{
    memory_at(op, insn, 0, segment_or(insn, X86EMU_DS));
    op->mem.base = (struct x86emu_reg){X86EMU_REG_NONE, 0};
    op->mem.disp = insn->disp;
}

static void set_stack(struct x86emu_operand *op, const struct x86emu_insn *insn, unsigned pointer)
{
    static const uint8_t classes[3] = {X86EMU_REG_GPR16, X86EMU_REG_GPR32, X86EMU_REG_GPR64};

    memory_at(op, insn, pointer, X86EMU_SS);
    op->mem.base.reg_class = classes[insn->mode];
}

static void set_xlat(struct x86emu_operand *op, const struct x86emu_insn *insn)
{
    memory_at(op, insn, X86EMU_RBX, segment_or(insn, X86EMU_DS));
    op->mem.index = (struct x86emu_reg){X86EMU_REG_GPR8, X86EMU_RAX};
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

static void set_immediate(struct x86emu_operand *op, unsigned kind, uint64_t value)
{
    op->kind = (uint8_t)kind;
    op->imm = value;
}

static void expand(struct x86emu_operand *op, const struct x86emu_insn *insn, const struct operand_template *from)
{
    switch (from->where) {
    case WHERE_RM:
        set_rm(op, insn, from->reg_class);
        set_broadcast(op, insn, from->number);
        break;
    case WHERE_VSIB:
        set_vsib(op, insn, from->reg_class);
        break;
    case WHERE_MASK:
        set_register(op, (struct x86emu_reg){X86EMU_REG_MASK, insn->evex & 7});
        break;
    case WHERE_ST:
        set_register(op, (struct x86emu_reg){X86EMU_REG_ST, insn->modrm & 7});
        break;
    case WHERE_IS4:
        set_register(op, reg_of_class(insn, from->reg_class,
                                      (unsigned)insn->imm >> 4 & (insn->mode == X86EMU_MODE_64 ? 0xf : 7), op->size));
        break;
    case WHERE_REG:
        set_register(op, reg_of_class(insn, from->reg_class, reg_number(insn), op->size));
        break;
    case WHERE_VVVV:
        set_register(op, reg_of_class(insn, from->reg_class, insn->vvvv, op->size));
        break;
    case WHERE_OPCODE:
        set_register(op, reg_of_class(insn, from->reg_class, (insn->opcode & 7u) | (insn->rex & X86EMU_REX_B ? 8u : 0u),
                                      op->size));
        break;
    case WHERE_FIXED:
        set_register(op, from->reg_class == CLASS_GPR && op->size == 1
                             ? (struct x86emu_reg){X86EMU_REG_GPR8, from->number}
                             : reg_of_class(insn, from->reg_class, from->number, op->size));
        break;
    case WHERE_IP:
        set_register(op, (struct x86emu_reg){X86EMU_REG_IP, 0});
        break;
    case WHERE_IMM:
        set_immediate(op, X86EMU_OPERAND_IMM, insn->imm);
        break;
    case WHERE_IS4_IMM:
        set_immediate(op, X86EMU_OPERAND_IMM, insn->imm & 0xf);
        break;
    case WHERE_IMM2:
        set_immediate(op, X86EMU_OPERAND_IMM, insn->imm2);
        break;
    case WHERE_ONE:
        set_immediate(op, X86EMU_OPERAND_IMM, 1);
        break;
    case WHERE_REL:
        set_immediate(op, X86EMU_OPERAND_REL, insn->imm);
        break;
    case WHERE_FAR:
        set_immediate(op, X86EMU_OPERAND_FAR, insn->imm);
        op->selector = insn->imm2;
        break;
    case WHERE_MOFFS:
        set_moffs(op, insn);
        break;
    case WHERE_SOURCE:
        memory_at(op, insn, X86EMU_RSI, segment_or(insn, X86EMU_DS));
        break;
    case WHERE_DESTINATION:
        memory_at(op, insn, X86EMU_RDI, X86EMU_ES);
        break;
    case WHERE_MASKMOV:
        memory_at(op, insn, X86EMU_RDI, segment_or(insn, X86EMU_DS));
        break;
    case WHERE_STACK:
        set_stack(op, insn, X86EMU_RSP);
        break;
    case WHERE_FRAME:
        set_stack(op, insn, X86EMU_RBP);
        break;
    default:
        set_xlat(op, insn);
        break;
    }
}

/* Under a mask the destination's other elements stay: it is read too, and memory is written only in part. */
static void apply_mask(struct x86emu_operand *op, const struct x86emu_insn *insn)
{
    if (!(insn->evex & 7) || !(op->access & X86EMU_OPERAND_WRITTEN) || op->reg.reg_class == X86EMU_REG_MASK)
        return;
    if (op->kind == X86EMU_OPERAND_REG && insn->evex & 0x80)
        return;
    op->access = (uint8_t)((op->access & ~(unsigned)X86EMU_OPERAND_WRITTEN) | X86EMU_OPERAND_MAY_WRITE);
    if (op->kind == X86EMU_OPERAND_REG)
        op->access |= X86EMU_OPERAND_READ;
}

bool x86emu_insn_operand(const struct x86emu_insn *insn, unsigned n, struct x86emu_operand *operand)
{
    const struct form *row = find_row(insn->form);
    const struct operand_template *from;

    if (n >= operand_count(row))
        return false;
    from = find_template(row, n);
    operand->size = (uint16_t)operand_width(insn, from->size);
    operand->access = from->access & 0x3f;
    operand->implicit = from->access >> 7;
    operand->broadcast = 0;
    expand(operand, insn, from);
    if (insn->encoding == X86EMU_ENCODING_EVEX && !(from->access & 0x40))
        apply_mask(operand, insn);
    return true;
}
