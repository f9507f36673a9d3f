/* SPDX-License-Identifier: BSD-2-Clause */
/* What an instruction would do, without doing it: registers as masks, the transfer between a register and memory. */
#include "../common/mem.h"
#include "rows.h"

#include <x86emu/insn.h>

static unsigned template_where(const struct x86emu_insn *insn, unsigned n)
{
    return find_template(find_row(insn->form), n)->where;
}

static bool is_string(unsigned where)
{
    return where == WHERE_SOURCE || where == WHERE_DESTINATION;
}

static bool repeats(const struct x86emu_insn *insn)
{
    return insn->prefixes & (X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE);
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static void add_register(struct x86emu_registers *set, struct x86emu_reg reg)
{
    uint32_t bit = UINT32_C(1) << (reg.number & 31);

    switch (reg.reg_class) {
    case X86EMU_REG_GPR8:
    case X86EMU_REG_GPR8_HIGH:
    case X86EMU_REG_GPR16:
    case X86EMU_REG_GPR32:
    case X86EMU_REG_GPR64:
        set->gpr |= bit;
        break;
    case X86EMU_REG_XMM:
    case X86EMU_REG_YMM:
    case X86EMU_REG_ZMM:
        set->vector |= bit;
        break;
    case X86EMU_REG_CR:
        set->control |= bit;
        break;
    case X86EMU_REG_SYSTEM:
        set->system |= bit;
        break;
    case X86EMU_REG_DR:
        set->debug |= (uint16_t)bit;
        break;
    case X86EMU_REG_SEGMENT:
        set->segment |= (uint8_t)bit;
        break;
    case X86EMU_REG_MASK:
        set->mask |= (uint8_t)bit;
        break;
    case X86EMU_REG_ST:
        set->x87 |= (uint8_t)bit;
        break;
    case X86EMU_REG_MMX:
        set->mmx |= (uint8_t)bit;
        break;
    case X86EMU_REG_TMM:
        set->tile |= (uint8_t)bit;
        break;
    case X86EMU_REG_BND:
        set->bound |= (uint8_t)bit;
        break;
    default:
        break;
    }
}

/* Strings move the register of their address, and count down rCX when they are repeated (SDM Vol. 2, REP). */
static void add_string(const struct x86emu_insn *insn, struct x86emu_reg address, struct x86emu_registers *read,
                       struct x86emu_registers *written)
{
    add_register(written, address);
    if (repeats(insn)) {
        read->gpr |= UINT32_C(1) << X86EMU_RCX;
        written->gpr |= UINT32_C(1) << X86EMU_RCX;
    }
}

void x86emu_insn_registers(const struct x86emu_insn *insn, struct x86emu_registers *read,
                           struct x86emu_registers *written)
{
    struct x86emu_operand op;

    clear_bytes(read, sizeof(*read));
    clear_bytes(written, sizeof(*written));
    for (unsigned n = 0; x86emu_insn_operand(insn, n, &op); n++) {
        if (op.kind == X86EMU_OPERAND_MEM) {
            add_register(read, op.mem.base);
            add_register(read, op.mem.index);
            if (is_string(template_where(insn, n)))
                add_string(insn, op.mem.base, read, written);
        } else if (op.kind == X86EMU_OPERAND_REG) {
            if (op.access & (X86EMU_OPERAND_READ | X86EMU_OPERAND_MAY_READ))
                add_register(read, op.reg);
            if (op.access & (X86EMU_OPERAND_WRITTEN | X86EMU_OPERAND_MAY_WRITE))
                add_register(written, op.reg);
        }
    }
}

/* --- transfers ---------------------------------------------------------------------------------------------------- */

/* Finds the first memory operand that is accessed and not the stack. */
static bool find_memory(const struct x86emu_insn *insn, struct x86emu_transfer *transfer)
{
    struct x86emu_operand op;

    for (unsigned n = 0; x86emu_insn_operand(insn, n, &op); n++) {
        unsigned where = template_where(insn, n);

        if (op.kind != X86EMU_OPERAND_MEM || op.access == 0 || where == WHERE_STACK || where == WHERE_FRAME)
            continue;
        transfer->operand = (uint8_t)n;
        transfer->size = op.size;
        transfer->access = op.access;
        return true;
    }
    return false;
}

/* The other operand of a two-operand instruction: what memory is loaded to or stored from. */
static void take_other(const struct x86emu_insn *insn, struct x86emu_transfer *transfer)
{
    struct x86emu_operand op;

    if (!x86emu_insn_operand(insn, transfer->operand == 0 ? 1 : 0, &op))
        return;
    transfer->reg = op.reg;
    transfer->reg_size = op.size;
    if (op.kind == X86EMU_OPERAND_IMM) {
        transfer->kind = X86EMU_TRANSFER_STORE_IMM;
        transfer->imm = op.imm;
        transfer->reg = (struct x86emu_reg){X86EMU_REG_NONE, 0};
        transfer->reg_size = 0;
    }
}

static unsigned kind_of(enum x86emu_mnemonic mnemonic, unsigned where, unsigned access)
{
    bool store = access & X86EMU_OPERAND_WRITTEN;

    switch (mnemonic) {
    case X86EMU_MN_MOV:
    case X86EMU_MN_MOVNTI:
        return store ? X86EMU_TRANSFER_STORE : X86EMU_TRANSFER_LOAD;
    case X86EMU_MN_MOVZX:
        return X86EMU_TRANSFER_LOAD_ZERO;
    case X86EMU_MN_MOVSX:
    case X86EMU_MN_MOVSXD:
        return X86EMU_TRANSFER_LOAD_SIGN;
    case X86EMU_MN_LODSB:
    case X86EMU_MN_LODSW:
    case X86EMU_MN_LODSD:
    case X86EMU_MN_LODSQ:
        return X86EMU_TRANSFER_STRING_LOAD;
    case X86EMU_MN_STOSB:
    case X86EMU_MN_STOSW:
    case X86EMU_MN_STOSD:
    case X86EMU_MN_STOSQ:
        return X86EMU_TRANSFER_STRING_STORE;
    case X86EMU_MN_MOVSB:
    case X86EMU_MN_MOVSW:
    case X86EMU_MN_MOVSQ:
        return X86EMU_TRANSFER_STRING_MOVE;
    case X86EMU_MN_MOVSD: /* also a vector instruction */
        return where == WHERE_RM ? X86EMU_TRANSFER_OTHER : X86EMU_TRANSFER_STRING_MOVE;
    default:
        return X86EMU_TRANSFER_OTHER;
    }
}

void x86emu_insn_transfer(const struct x86emu_insn *insn, struct x86emu_transfer *transfer)
{
    unsigned where;

    clear_bytes(transfer, sizeof(*transfer));
    if (!find_memory(insn, transfer))
        return;
    where = template_where(insn, transfer->operand);
    transfer->kind = (uint8_t)kind_of(x86emu_form_mnemonic(insn->form), where, transfer->access);
    transfer->repeats = is_string(where) && repeats(insn);
    if (transfer->kind != X86EMU_TRANSFER_OTHER && transfer->kind != X86EMU_TRANSFER_STRING_MOVE)
        take_other(insn, transfer);
}
