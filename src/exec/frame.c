/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that push or pop more than once: PUSHA, POPA, ENTER, LEAVE (SDM Vol. 2). */
#include "generated/functions.h"
#include "stack.h"

/* --- PUSHA, POPA -------------------------------------------------------------------------------------------------- */

void x86emu_exec_pusha(struct exec *x)
{
    int size = x->insn->operand_size;

    for (int number = 0; number < 8; number++)
        x86emu_push_at(x, -size * (number + 1), gpr(x, (unsigned)number), (unsigned)size);
    x86emu_stack_move(x, -8 * size);
}

/* The image of the stack pointer is read too, and dropped. */
void x86emu_exec_popa(struct exec *x)
{
    unsigned size = x->insn->operand_size;

    for (unsigned number = 8; number-- > 0;) {
        uint64_t value = x86emu_stack_read(x, X86EMU_RSP, (int64_t)size * (7 - number), size);

        if (number != X86EMU_RSP)
            x86emu_gpr_stage(x, number, size, value);
    }
    x86emu_stack_move(x, 8 * (int64_t)size);
}

/* --- ENTER, LEAVE ------------------------------------------------------------------------------------------------- */

enum {
    MOST_LEVELS = 32
};

/* What ENTER has pushed so far, as it will lie in memory below the old stack pointer. */
struct pushed {
    uint8_t bytes[8 * (MOST_LEVELS + 1)];
    unsigned size;
};

static void enter_push(struct exec *x, struct pushed *pushed, uint64_t value)
{
    unsigned size = x->insn->operand_size;

    pushed->size += size;
    store_le(pushed->bytes + sizeof(pushed->bytes) - pushed->size, value, size);
    x86emu_push_at(x, -(int64_t)pushed->size, value, size);
}

/* A frame pointer of an outer level. It may be one that this instruction has just pushed, or overlap it. */
static uint64_t outer_frame(struct exec *x, const struct pushed *pushed, int64_t offset)
{
    unsigned size = x->insn->operand_size;
    uint64_t value = x86emu_stack_read(x, X86EMU_RBP, offset, size);
    uint64_t wrap = size_mask(x86emu_stack_width(x));

    for (unsigned n = 0; n < size; n++) {
        uint64_t below = (gpr(x, X86EMU_RSP) - (gpr(x, X86EMU_RBP) + (uint64_t)offset + n)) & wrap;

        if (below - 1 < pushed->size) {
            value &= ~(UINT64_C(0xff) << 8 * n);
            value |= (uint64_t)pushed->bytes[sizeof(pushed->bytes) - below] << 8 * n;
        }
    }
    return value;
}

/* A write with the final stack pointer must be possible (SDM Vol. 2, ENTER). */
static void check_final_pointer(struct exec *x, int64_t offset)
{
    struct span span;

    x86emu_locate(x, x86emu_stack_address(x, X86EMU_RSP, offset), x->insn->operand_size, X86EMU_ACCESS_WRITE, USE_PLAIN,
                  &span);
}

void x86emu_exec_enter(struct exec *x)
{
    unsigned size = x->insn->operand_size, level = x->insn->imm2 % MOST_LEVELS;
    struct pushed pushed = {.size = 0};
    int64_t final_offset;
    uint64_t frame;

    enter_push(x, &pushed, gpr(x, X86EMU_RBP));
    frame = (gpr(x, X86EMU_RSP) - size) & size_mask(x86emu_stack_width(x));
    for (unsigned n = 1; n < level; n++)
        enter_push(x, &pushed, outer_frame(x, &pushed, -(int64_t)(n * size)));
    if (level > 0)
        enter_push(x, &pushed, frame);
    final_offset = -(int64_t)(pushed.size + (x->insn->imm & 0xffff));
    check_final_pointer(x, final_offset);
    x86emu_gpr_stage(x, X86EMU_RBP, size, frame);
    x86emu_stack_move(x, final_offset);
}

void x86emu_exec_leave(struct exec *x)
{
    unsigned size = x->insn->operand_size;

    x86emu_gpr_stage(x, X86EMU_RSP, x86emu_stack_width(x), gpr(x, X86EMU_RBP) + size);
    x86emu_gpr_stage(x, X86EMU_RBP, size, x86emu_stack_read(x, X86EMU_RBP, 0, size));
}
