/* SPDX-License-Identifier: BSD-2-Clause */
/* The stack: what its pointer is wide, pushing and popping (SDM Vol. 1, 6.2). */
#include "stack.h"

#include "generated/functions.h"

unsigned x86emu_stack_width(struct exec *x)
{
    if (x->mode == X86EMU_MODE_64)
        return 8;
    if (!need(x, X86EMU_STATE_SS))
        return 2;
    return x->vcpu->segment[X86EMU_SS].attributes & X86EMU_SEGMENT_DB ? 4 : 2;
}

struct logical x86emu_stack_address(struct exec *x, unsigned pointer, int64_t offset)
{
    return (struct logical){X86EMU_SS, (gpr(x, pointer) + (uint64_t)offset) & size_mask(x86emu_stack_width(x))};
}

void x86emu_stack_move(struct exec *x, int64_t offset)
{
    x86emu_gpr_stage(x, X86EMU_RSP, x86emu_stack_width(x), gpr(x, X86EMU_RSP) + (uint64_t)offset);
}

void x86emu_push_at(struct exec *x, int64_t offset, uint64_t value, unsigned size)
{
    uint8_t bytes[8];

    store_le(bytes, value, 8);
    x86emu_memory_write(x, x86emu_stack_address(x, X86EMU_RSP, offset), size, bytes);
}

void x86emu_push(struct exec *x, uint64_t value, unsigned size)
{
    x86emu_push_at(x, -(int64_t)size, value, size);
    x86emu_stack_move(x, -(int64_t)size);
}

uint64_t x86emu_stack_read(struct exec *x, unsigned pointer, int64_t offset, unsigned size)
{
    uint8_t bytes[8] = {0};

    x86emu_memory_read(x, x86emu_stack_address(x, pointer, offset), size, USE_PLAIN, bytes);
    return load_le(bytes, 8);
}

uint64_t x86emu_pop(struct exec *x, unsigned size)
{
    uint64_t value = x86emu_stack_read(x, X86EMU_RSP, 0, size);

    x86emu_stack_move(x, size);
    return value;
}

void x86emu_exec_push(struct exec *x)
{
    x86emu_push(x, read_operand(x, 0), x->insn->operand_size);
}

/* A popped stack pointer wins over the increment, and a memory destination is addressed after it. */
void x86emu_exec_pop(struct exec *x)
{
    uint64_t value = x86emu_pop(x, x->insn->operand_size);

    x->stack_bias = (int8_t)x->insn->operand_size;
    write_operand(x, 0, value);
}
