/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiplication (SDM Vol. 2, IMUL). */
#include "flags.h"
#include "generated/functions.h"

/* Upper half of a signed 64 by 64 bit product, from four 32-bit products. */
static uint64_t signed_high(int64_t a, int64_t b)
{
    uint64_t ah = (uint64_t)(a >> 32), al = (uint64_t)a & 0xffffffff;
    uint64_t bh = (uint64_t)(b >> 32), bl = (uint64_t)b & 0xffffffff;
    uint64_t middle = ah * bl + (al * bl >> 32);
    int64_t low_middle = (int64_t)((middle & 0xffffffff) + al * bh);

    return ah * bh + (uint64_t)((int64_t)middle >> 32) + (uint64_t)(low_middle >> 32);
}

/* Stages the low half of a product; CF and OF tell whether it lost anything. */
static void finish(struct exec *x, int64_t a, int64_t b)
{
    unsigned size = operand_size(x, 0);
    uint64_t product = (uint64_t)a * (uint64_t)b;
    bool lost =
        sign_extend(product, size) != product || (size == 8 && signed_high(a, b) != (uint64_t)((int64_t)product >> 63));

    write_operand(x, 0, product);
    stage_flags(x, (flags_of_result(product, size) & ~(uint64_t)X86EMU_RFLAGS_ZF) |
                       (lost ? X86EMU_RFLAGS_CF | X86EMU_RFLAGS_OF : 0));
}

static int64_t signed_operand(struct exec *x, unsigned n)
{
    return (int64_t)sign_extend(read_operand(x, n), operand_size(x, n));
}

/* IMUL r, r/m */
void x86emu_exec_imul2(struct exec *x)
{
    int64_t a = signed_operand(x, 0);
    int64_t b = signed_operand(x, 1);

    finish(x, a, b);
}

/* IMUL r, r/m, imm */
void x86emu_exec_imul3(struct exec *x)
{
    int64_t a = signed_operand(x, 1);
    int64_t b = (int64_t)read_operand(x, 2);

    finish(x, a, b);
}
