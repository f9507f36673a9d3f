/* SPDX-License-Identifier: BSD-2-Clause */
/* Compare-and-exchange and exchange-and-add (SDM Vol. 2, CMPXCHG, CMPXCHG8B/CMPXCHG16B, XADD). */
#include "flags.h"
#include "generated/functions.h"

/* The destination is written in either case, which a lock needs; the accumulator only when they differ. */
void x86emu_exec_cmpxchg(struct exec *x)
{
    unsigned size = operand_size(x, 0);
    uint64_t destination = read_operand(x, 0);
    uint64_t source = read_operand(x, 1);
    uint64_t accumulator = gpr(x, X86EMU_RAX) & size_mask(size);
    struct result comparison = subtract_with_borrow(accumulator, destination, 0, size);
    bool equal = comparison.value == 0;

    write_operand(x, 0, equal ? source : destination);
    if (!equal)
        x86emu_gpr_stage(x, X86EMU_RAX, size, destination);
    stage_flags(x, comparison.flags);
}

void x86emu_exec_xadd(struct exec *x)
{
    uint64_t destination = read_operand(x, 0);
    uint64_t source = read_operand(x, 1);
    struct result sum = add_with_carry(destination, source, 0, operand_size(x, 0));

    write_operand(x, 1, destination);
    write_operand(x, 0, sum.value);
    stage_flags(x, sum.flags);
}
