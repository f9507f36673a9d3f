/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiplication (SDM Vol. 2, MUL, IMUL, MULX). */
#include "flags.h"
#include "generated/functions.h"

/* Upper half of a 64 by 64 bit product, from four 32-bit products. */
static uint64_t unsigned_high(uint64_t a, uint64_t b)
{
    uint64_t ah = a >> 32, al = a & 0xffffffff, bh = b >> 32, bl = b & 0xffffffff;
    uint64_t middle = ah * bl + (al * bl >> 32);
    uint64_t low_middle = (middle & 0xffffffff) + al * bh;

    return ah * bh + (middle >> 32) + (low_middle >> 32);
}

static uint64_t signed_high(int64_t a, int64_t b)
{
    return unsigned_high((uint64_t)a, (uint64_t)b) - (a < 0 ? (uint64_t)b : 0) - (b < 0 ? (uint64_t)a : 0);
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

/* --- both halves -------------------------------------------------------------------------------------------------- */

/* AX, or rDX:rAX. CF and OF tell whether the upper half matters. */
static void finish_both(struct exec *x, uint64_t low, uint64_t high, bool matters)
{
    unsigned size = operand_size(x, 0);

    if (size == 1) {
        x86emu_gpr_stage(x, X86EMU_RAX, 2, low);
    } else {
        x86emu_gpr_stage(x, X86EMU_RAX, size, low);
        x86emu_gpr_stage(x, X86EMU_RDX, size, size == 8 ? high : low >> 8 * size);
    }
    stage_flags(x, (flags_of_result(low, size) & ~(uint64_t)X86EMU_RFLAGS_ZF) |
                       (matters ? X86EMU_RFLAGS_CF | X86EMU_RFLAGS_OF : 0));
}

void x86emu_exec_mul(struct exec *x)
{
    unsigned size = operand_size(x, 0);
    uint64_t a = gpr(x, X86EMU_RAX) & size_mask(size), b = read_operand(x, 0);
    uint64_t high = size == 8 ? unsigned_high(a, b) : a * b >> 8 * size;

    finish_both(x, a * b, high, high != 0);
}

/* IMUL r/m */
void x86emu_exec_imul1(struct exec *x)
{
    unsigned size = operand_size(x, 0);
    int64_t a = (int64_t)sign_extend(gpr(x, X86EMU_RAX), size), b = signed_operand(x, 0);
    uint64_t low = (uint64_t)a * (uint64_t)b, high = signed_high(a, b);

    finish_both(x, low, high, sign_extend(low, size) != low || (size == 8 && high != (uint64_t)((int64_t)low >> 63)));
}

/* The upper half wins when both go to one register. */
void x86emu_exec_mulx(struct exec *x)
{
    unsigned size = operand_size(x, 0);
    uint64_t a = gpr(x, X86EMU_RDX) & size_mask(size), b = read_operand(x, 2);

    write_operand(x, 1, a * b);
    write_operand(x, 0, size == 8 ? unsigned_high(a, b) : a * b >> 32);
}
