/* SPDX-License-Identifier: BSD-2-Clause */
/* Operands of a decoded instruction, expanded from the row's templates and the instruction's fields. */
#include "../common/mem.h"
#include "careful.h"
#include "registers.h"
#include "rows.h"

#include <x86emu/insn.h>

/*
 * What all operands of one instruction are made from. Whether an operand is a register, memory that ModRM names or an
 * immediate, all of its fields are written: that costs less than deciding which of them it is. What is made of bytes is
 * stored in one piece, since it may be read in one.
 */
struct source {
    const struct x86emu_insn *insn;
    uint64_t address;               /* struct x86emu_operand.mem up to disp */
    uint8_t numbers[OPERAND_BYTES]; /* of registers, for each enum operand_where up to WHERE_FIXED */
    uint8_t widths[OPERAND_BYTES];  /* for each of the first seven enum operand_width; then 0 */
    uint8_t classes[OPERAND_BYTES]; /* likewise: enum x86emu_reg_class of registers so wide */
    unsigned memory;                /* 1: ModRM names memory */
};

/* --- widths ------------------------------------------------------------------------------------------------------- */

/* A byte each for v, z, y, p, stack, x, a, by operand size 1, 2, 4, 8. */
static ALWAYS_INLINE void set_widths(struct source *from, const struct x86emu_insn *insn)
{
    _Static_assert(SIZE_V == SIZE_RULED && SIZE_Z == SIZE_V + 1 && SIZE_Y == SIZE_V + 2 && SIZE_P == SIZE_V + 3 &&
                       SIZE_STACK == SIZE_V + 4 && SIZE_X == SIZE_V + 5 && SIZE_A == SIZE_V + 6,
                   "the places in widths and classes");
    _Static_assert(X86EMU_REG_GPR8 == 1 && X86EMU_REG_GPR16 == 3 && X86EMU_REG_GPR32 == 4 && X86EMU_REG_GPR64 == 5,
                   "the values of classes");
    static const uint8_t widths[4][4] = {{1, 2, 4, 3}, {2, 2, 4, 4}, {4, 4, 4, 6}, {8, 4, 8, 10}};
    static const uint8_t classes[4][4] = {{1, 3, 4, 0}, {3, 3, 4, 0}, {4, 4, 4, 0}, {5, 4, 5, 0}};
    unsigned log2 = ((insn->operand_size >> 1) - (insn->operand_size >> 3)) & 3u;

    clear_bytes(from->widths + NO_BYTE, 2);
    clear_bytes(from->classes + NO_BYTE, 2);
    copy_bytes(from->widths, &widths[log2], 4);
    copy_bytes(from->classes, &classes[log2], 4);
    put_byte(&from->widths[SIZE_STACK - SIZE_RULED], 2u << insn->mode);
    put_byte(&from->widths[SIZE_A - SIZE_RULED], insn->address_size);
    put_byte(&from->classes[SIZE_STACK - SIZE_RULED], X86EMU_REG_GPR16 + (unsigned)insn->mode);
    put_byte(&from->classes[SIZE_A - SIZE_RULED], X86EMU_REG_GPR16 + (insn->address_size >> 2u));
}

static NOINLINE unsigned rare_width(const struct x86emu_insn *insn, unsigned size)
{
    switch (size) {
    case SIZE_V2:
        return insn->operand_size * 2u;
    case SIZE_S:
        return insn->mode == X86EMU_MODE_64 ? 10 : 6;
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
    default: /* SIZE_FPU */
        return insn->operand_size == 2 ? 94 : 108;
    }
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static ALWAYS_INLINE void set_numbers(struct source *from, const struct x86emu_insn *insn)
{
    unsigned b = (unsigned)(insn->rex & X86EMU_REX_B) << 3, low = insn->modrm & 7;

    put_byte(&from->numbers[WHERE_REG], reg_number(insn));
    put_byte(&from->numbers[WHERE_RM], low | b);
    put_byte(&from->numbers[WHERE_OPCODE], (insn->opcode & 7u) | b);
    put_byte(&from->numbers[WHERE_ST], low);
    put_byte(&from->numbers[NO_BYTE], 0);
}

/* What only VEX, XOP and EVEX have. */
static ALWAYS_INLINE void set_vector(struct source *from, const struct x86emu_insn *insn)
{
    put_byte(&from->numbers[WHERE_VVVV], insn->vvvv);
    put_byte(&from->numbers[WHERE_MASK], insn->evex & 7u);
    put_byte(&from->numbers[WHERE_IS4], (unsigned)insn->imm >> 4 & (insn->mode == X86EMU_MODE_64 ? 0xfu : 7u));
    put_byte(&from->widths[SIZE_X - SIZE_RULED], insn->vector_length);
    put_byte(&from->classes[SIZE_X - SIZE_RULED], X86EMU_REG_XMM + (insn->vector_length >> 5u));
}

/* AH to BH are what SPL to DIL would be with any prefix that makes them those. */
static ALWAYS_INLINE bool is_high_byte(const struct x86emu_insn *insn, struct x86emu_reg reg, unsigned where)
{
    return reg.reg_class == X86EMU_REG_GPR8 && reg.number >> 2 == 1 && !(insn->rex & X86EMU_REX_PRESENT) &&
           insn->encoding == X86EMU_ENCODING_LEGACY && where != WHERE_FIXED;
}

static ALWAYS_INLINE struct x86emu_reg find_register(const struct source *from, const struct operand_template *template)
{
    struct x86emu_reg reg = {
        (uint8_t)(template->reg_class + from->classes[template->class_place]),
        (uint8_t)((from->numbers[template->number_place] & template->number_mask) + template->number)};

    if (UNLIKELY(is_high_byte(from->insn, reg, template->where))) {
        reg.reg_class = X86EMU_REG_GPR8_HIGH;
        reg.number &= 3;
    }
    return reg;
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static const struct x86emu_reg no_register = {X86EMU_REG_NONE, 0};

static ALWAYS_INLINE struct x86emu_reg address_register(const struct x86emu_insn *insn, unsigned number)
{
    _Static_assert(X86EMU_REG_GPR32 == X86EMU_REG_GPR16 + 1 && X86EMU_REG_GPR64 == X86EMU_REG_GPR16 + 2, "by size");
    return (struct x86emu_reg){(uint8_t)(X86EMU_REG_GPR16 + (insn->address_size >> 2)), (uint8_t)number};
}

static ALWAYS_INLINE uint8_t segment_or(const struct x86emu_insn *insn, unsigned implied)
{
    return insn->segment != X86EMU_NO_SEGMENT ? insn->segment : (uint8_t)implied;
}

/* Fields of struct x86emu_operand.mem in its first eight bytes. */
enum address_place {
    SCALE = 8,
    BASE = 16,
    INDEX = 32,
};

static ALWAYS_INLINE uint64_t reg_bits(struct x86emu_reg reg)
{
    return reg.reg_class | (unsigned)reg.number << 8;
}

static void set_address(struct x86emu_operand *op, uint64_t address)
{
    _Static_assert(offsetof(struct x86emu_operand, mem.segment) % 8 == 0 &&
                       offsetof(struct x86emu_operand, mem.disp) == offsetof(struct x86emu_operand, mem.segment) + 8 &&
                       offsetof(struct x86emu_operand, mem.scale) == offsetof(struct x86emu_operand, mem.segment) + 1 &&
                       offsetof(struct x86emu_operand, mem.base) == offsetof(struct x86emu_operand, mem.segment) + 2 &&
                       offsetof(struct x86emu_operand, mem.index) == offsetof(struct x86emu_operand, mem.segment) + 4,
                   "enum address_place");
    store_le64(&op->mem, address);
}

/* The bits if the condition holds, else 0, which is no register. */
static ALWAYS_INLINE uint64_t bits_if(unsigned condition, uint64_t bits)
{
    return bits & (0 - (uint64_t)opaque(condition));
}

/* SDM Vol. 2, tables 2-2 and 2-3, and 2.2.1.6 for RIP-relative addresses. */
static ALWAYS_INLINE uint64_t address_32(const struct x86emu_insn *insn)
{
    unsigned low = insn->modrm & 7u, has_sib = low == 4, index = index_number(insn), base, has_base, stack, segment,
             relative;
    uint64_t address;

    low ^= (low ^ (insn->sib & 7u)) & (0 - opaque(has_sib));
    base = low | (unsigned)(insn->rex & X86EMU_REX_B) << 3;
    has_base = (low != 5) | (insn->modrm >= 0x40);
    stack = has_base & ((base & 0x1e) == X86EMU_RSP);
    segment = X86EMU_DS ^ ((X86EMU_DS ^ X86EMU_SS) & (0 - opaque(stack)));
    relative = ~(has_base | has_sib) & insn->mode >> 1 & 1; /* only X86EMU_MODE_64 has this bit */
    address = bits_if(has_base, reg_bits(address_register(insn, base))) | bits_if(relative, X86EMU_REG_IP);
    return segment_or(insn, segment) | 1u << (insn->sib >> 6) << SCALE | address << BASE |
           bits_if(has_sib & (index != X86EMU_RSP), reg_bits(address_register(insn, index))) << INDEX;
}

/* SDM Vol. 2, table 2-1. */
static NOINLINE uint64_t address_16(const struct x86emu_insn *insn)
{
    static const uint8_t bases[8] = {X86EMU_RBX, X86EMU_RBX, X86EMU_RBP, X86EMU_RBP,
                                     X86EMU_RSI, X86EMU_RDI, X86EMU_RBP, X86EMU_RBX};
    static const uint8_t indices[4] = {X86EMU_RSI, X86EMU_RDI, X86EMU_RSI, X86EMU_RDI};
    unsigned rm = insn->modrm & 7, absolute = rm == 6 && insn->modrm < 0x40;
    unsigned segment = bases[rm] == X86EMU_RBP && !absolute ? X86EMU_SS : X86EMU_DS;
    uint64_t address = segment_or(insn, segment) | 1u << SCALE;

    if (!absolute)
        address |= reg_bits((struct x86emu_reg){X86EMU_REG_GPR16, bases[rm]}) << BASE;
    if (rm < 4)
        address |= reg_bits((struct x86emu_reg){X86EMU_REG_GPR16, indices[rm]}) << INDEX;
    return address;
}

/* --- what is rarer ------------------------------------------------------------------------------------------------ */

static void memory_at(struct x86emu_operand *op, const struct x86emu_insn *insn, unsigned number, uint8_t segment)
{
    op->mem.base = address_register(insn, number);
    op->mem.index = no_register;
    op->mem.scale = 1;
    op->mem.disp = 0;
    op->mem.segment = segment;
}

/* Memory that isn't named by ModRM. */
static NOINLINE void set_implied_memory(struct x86emu_operand *op, const struct x86emu_insn *insn,
                                        const struct operand_template *template)
{
    static const uint8_t stack_classes[4] = {X86EMU_REG_GPR16, X86EMU_REG_GPR32, X86EMU_REG_GPR64};

    op->kind = X86EMU_OPERAND_MEM;
    switch (template->where) {
    case WHERE_VSIB: /* no vector register's number means "no index" (SDM Vol. 2, 2.3.12) */
        op->mem.index = (struct x86emu_reg){template->reg_class, (uint8_t)vector_index_number(insn)};
        break;
    case WHERE_MOFFS:
        memory_at(op, insn, 0, segment_or(insn, X86EMU_DS));
        op->mem.base = no_register;
        op->mem.disp = insn->disp;
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
    case WHERE_FRAME:
        memory_at(op, insn, template->where == WHERE_STACK ? X86EMU_RSP : X86EMU_RBP, X86EMU_SS);
        op->mem.base.reg_class = stack_classes[insn->mode & 3];
        break;
    default: /* WHERE_XLAT */
        memory_at(op, insn, X86EMU_RBX, segment_or(insn, X86EMU_DS));
        op->mem.index = (struct x86emu_reg){X86EMU_REG_GPR8, X86EMU_RAX};
        break;
    }
}

static NOINLINE void set_rare(struct x86emu_operand *op, const struct x86emu_insn *insn,
                              const struct operand_template *template)
{
    op->reg = no_register;
    op->kind = X86EMU_OPERAND_IMM;
    switch (template->where) {
    case WHERE_FAR:
        op->kind = X86EMU_OPERAND_FAR;
        op->selector = insn->imm2;
        break;
    case WHERE_IMM2:
        op->imm = insn->imm2;
        break;
    case WHERE_IS4_IMM:
        op->imm = insn->imm & 0xf;
        break;
    case WHERE_ONE:
        op->imm = 1;
        break;
    default:
        set_implied_memory(op, insn, template);
        break;
    }
}

/* Under a mask the destination's other elements stay: it is read too, and memory is written only in part. */
static void apply_mask(struct x86emu_operand *op, const struct x86emu_insn *insn)
{
    if (!(op->access & X86EMU_OPERAND_WRITTEN) ||
        (op->kind == X86EMU_OPERAND_REG && op->reg.reg_class == X86EMU_REG_MASK))
        return;
    if (op->kind == X86EMU_OPERAND_REG && insn->evex & EVEX_Z)
        return;
    op->access = (uint8_t)((op->access & ~(unsigned)X86EMU_OPERAND_WRITTEN) | X86EMU_OPERAND_MAY_WRITE);
    if (op->kind == X86EMU_OPERAND_REG)
        op->access |= X86EMU_OPERAND_READ;
}

/* What EVEX adds: EVEX.X is bit 4 of a vector register in ModRM.rm (SDM Vol. 2, table 2-32), broadcasts, masks. */
static NOINLINE void apply_evex(struct x86emu_operand *op, const struct x86emu_insn *insn,
                                const struct operand_template *template)
{
    unsigned element = template->element & 0x80 ? 0 : template->element;

    op->access &= 0x3f;
    if (template->where == WHERE_RM && op->kind == X86EMU_OPERAND_REG && op->reg.reg_class >= X86EMU_REG_XMM &&
        op->reg.reg_class <= X86EMU_REG_ZMM)
        op->reg.number |= insn->rex & X86EMU_REX_X ? 16 : 0;
    if (op->kind == X86EMU_OPERAND_MEM && insn->evex & EVEX_B && element != 0) {
        op->broadcast = (uint8_t)(op->size / element);
        op->size = (uint16_t)element;
    }
    if (insn->evex & EVEX_AAA && !(template->access & 0x40))
        apply_mask(op, insn);
}

/* Widths that depend on more; a vector register's class follows. */
static NOINLINE void apply_rare_width(struct x86emu_operand *op, const struct x86emu_insn *insn,
                                      const struct operand_template *template)
{
    op->size = (uint16_t)rare_width(insn, template->size);
    if (op->reg.reg_class >= X86EMU_REG_XMM && op->reg.reg_class <= X86EMU_REG_ZMM)
        op->reg.reg_class = (uint8_t)(X86EMU_REG_XMM + (op->size > 16 ? 1 : 0) + (op->size > 32 ? 1 : 0));
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

static ALWAYS_INLINE void prepare(struct source *from, const struct x86emu_insn *insn)
{
    from->insn = insn;
    set_numbers(from, insn);
    set_widths(from, insn);
    if (insn->encoding >= X86EMU_ENCODING_XOP)
        set_vector(from, insn);
    from->memory = insn->modrm < 0xc0;
    if (from->memory)
        from->address = UNLIKELY(insn->address_size == 2) ? address_16(insn) : address_32(insn);
}

static ALWAYS_INLINE void expand(struct x86emu_operand *op, const struct source *from,
                                 const struct operand_template *template)
{
    _Static_assert(X86EMU_OPERAND_MEM == X86EMU_OPERAND_REG + 1, "memory is added");
    const struct x86emu_insn *insn = from->insn;

    copy_bytes(&op->kind, &template->kind, 4);
    op->kind = (uint8_t)(template->kind + (from->memory & (template->where == WHERE_RM)));
    op->size = (uint16_t)(template->size + from->widths[template->size_place]);
    op->reg = find_register(from, template);
    set_address(op, from->address);
    op->mem.disp = insn->disp;
    op->imm = insn->imm;
    if (UNLIKELY(template->size_place == RARE_WIDTH))
        apply_rare_width(op, insn, template);
    if (UNLIKELY(template->kind == X86EMU_OPERAND_NONE))
        set_rare(op, insn, template);
    if (UNLIKELY(insn->encoding == X86EMU_ENCODING_EVEX))
        apply_evex(op, insn, template);
}

/* One for each of these places. */
static NOINLINE void expand_some(const struct x86emu_insn *insn, const uint16_t *place, const uint16_t *end,
                                 struct x86emu_operand *operands)
{
    struct source from;

    prepare(&from, insn);
    do {
        expand(operands++, &from, template_at(*place));
    } while (++place < end);
}

bool x86emu_insn_operand(const struct x86emu_insn *insn, unsigned n, struct x86emu_operand *operand)
{
    const struct form *row = find_row(insn->form);

    if (n >= operand_count(row))
        return false;
    expand_some(insn, operand_places(row) + n, operand_places(row) + n + 1, operand);
    return true;
}

/* Most instructions have two. Where there are fewer, to make up what isn't there costs less than to ask. */
unsigned x86emu_insn_operands(const struct x86emu_insn *insn, struct x86emu_operand *operands, unsigned room)
{
    const struct form *row = find_row(insn->form);
    unsigned count = operand_count(row), end = count < room ? count : room;

    if (room >= 2)
        end += (2 - end) & (0 - opaque(end < 2));
    expand_some(insn, operand_places(row), operand_places(row) + end, operands);
    return count;
}
