/* SPDX-License-Identifier: BSD-2-Clause */
/* Where an operand's value lives: general-purpose register, memory or immediate. */
#include "memory.h"

const struct x86emu_operand *x86emu_operand_expand(struct exec *x, unsigned n)
{
    static const struct x86emu_operand none = {.kind = X86EMU_OPERAND_NONE, .size = 1};

    if (*x->operand_count == 0) {
        unsigned count = x86emu_insn_operands(x->insn, x->operands, X86EMU_CACHE_OPERANDS);

        for (; count < X86EMU_CACHE_OPERANDS; count++)
            x->operands[count] = none;
        *x->operand_count = X86EMU_CACHE_OPERANDS;
    }
    return n < X86EMU_CACHE_OPERANDS ? &x->operands[n] : &none;
}

static uint64_t register_value(struct exec *x, const struct x86emu_operand *op)
{
    if (op->reg.reg_class >= X86EMU_REG_GPR16 && op->reg.reg_class <= X86EMU_REG_GPR64)
        return gpr(x, op->reg.number) & size_mask(op->size);
    if (op->reg.reg_class == X86EMU_REG_GPR8)
        return gpr(x, op->reg.number) & 0xff;
    if (op->reg.reg_class == X86EMU_REG_GPR8_HIGH)
        return gpr(x, op->reg.number & 3u) >> 8 & 0xff;
    x86emu_not_emulated(x, X86EMU_REASON_NO_FUNCTION);
    return 0;
}

/* The value of a register used in an address. */
static uint64_t address_register(struct exec *x, struct x86emu_reg reg)
{
    switch (reg.reg_class) {
    case X86EMU_REG_NONE:
        return 0;
    case X86EMU_REG_IP:
        return x->vcpu->rip + x->insn->length;
    case X86EMU_REG_GPR8: /* XLAT */
        return gpr(x, reg.number) & 0xff;
    default:
        return gpr(x, reg.number) + (uint64_t)(reg.number == X86EMU_RSP ? x->stack_bias : 0);
    }
}

bool x86emu_operand_address(struct exec *x, unsigned n, struct logical *address)
{
    const struct x86emu_operand *op = operand(x, n);
    uint64_t offset = (uint64_t)op->mem.disp + x->address_bias + address_register(x, op->mem.base);

    offset += address_register(x, op->mem.index) * op->mem.scale;
    address->segment = op->mem.segment;
    address->offset = offset & size_mask(x->insn->address_size);
    return !x->stopped;
}

bool x86emu_operand_load(struct exec *x, unsigned n, void *data)
{
    const struct x86emu_operand *op = operand(x, n);
    struct logical address = {0};
    unsigned use = op->access & X86EMU_OPERAND_WRITTEN ? USE_RMW : USE_PLAIN;

    if (!x->hint_direct && !x86emu_operand_address(x, n, &address))
        return false;
    return x86emu_memory_read(x, address, op->size, use, data);
}

bool x86emu_operand_store(struct exec *x, unsigned n, const void *data)
{
    const struct x86emu_operand *op = operand(x, n);
    struct logical address = {0};

    if (!x->hint_direct && !x86emu_operand_address(x, n, &address))
        return false;
    if (x->rmw_read != NO_READ)
        return x86emu_memory_modify(x, address, op->size, data);
    return x86emu_memory_write(x, address, op->size, data);
}

static NOINLINE uint64_t memory_value(struct exec *x, unsigned n, const struct x86emu_operand *op)
{
    uint8_t bytes[8] = {0};

    if (op->size > 8)
        x86emu_not_emulated(x, X86EMU_REASON_NO_FUNCTION);
    else
        x86emu_operand_load(x, n, bytes);
    return load_le(bytes, 8);
}

uint64_t x86emu_operand_read(struct exec *x, unsigned n)
{
    const struct x86emu_operand *op = operand(x, n);

    if (x->stopped)
        return 0;
    if (op->kind == X86EMU_OPERAND_REG)
        return register_value(x, op);
    return op->kind == X86EMU_OPERAND_MEM ? memory_value(x, n, op) : op->imm;
}

static void write_memory(struct exec *x, unsigned n, uint64_t value)
{
    uint8_t bytes[8];

    store_le(bytes, value, 8);
    x86emu_operand_store(x, n, bytes);
}

void x86emu_operand_write(struct exec *x, unsigned n, uint64_t value)
{
    const struct x86emu_operand *op = operand(x, n);

    if (x->stopped)
        return;
    if (op->kind == X86EMU_OPERAND_MEM)
        write_memory(x, n, value);
    else if (op->reg.reg_class == X86EMU_REG_GPR8_HIGH)
        x86emu_gpr_stage_high(x, op->reg.number, value);
    else
        x86emu_gpr_stage(x, op->reg.number, op->size, value);
}
