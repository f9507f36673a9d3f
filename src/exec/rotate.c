/* SPDX-License-Identifier: BSD-2-Clause */
/* Rotates, with and without the carry, and double shifts (SDM Vol. 2, RCL/RCR/ROL/ROR, SHLD, SHRD). */
#include "flags.h"
#include "generated/functions.h"

static unsigned masked_count(struct exec *x, unsigned n)
{
    return (unsigned)read_operand(x, n) & (operand_size(x, 0) == 8 ? 63 : 31);
}

/* Stages a rotated value; only CF and OF change, and neither with a count of 0. */
static void finish(struct exec *x, uint64_t value, unsigned count, uint64_t carry, uint64_t overflow)
{
    write_operand(x, 0, value);
    if (count != 0)
        stage_flags(x, (x->rflags & STATUS_FLAGS & ~(uint64_t)(X86EMU_RFLAGS_CF | X86EMU_RFLAGS_OF)) | (carry & 1) |
                           (overflow & 1) << 11);
}

void x86emu_exec_rol(struct exec *x)
{
    uint64_t value = read_operand(x, 0);
    unsigned bits = 8 * operand_size(x, 0), count = masked_count(x, 1), turn = count % bits;
    uint64_t rotated = turn == 0 ? value : value << turn | value >> (bits - turn);

    finish(x, rotated, count, rotated, rotated ^ rotated >> (bits - 1));
}

void x86emu_exec_ror(struct exec *x)
{
    uint64_t value = read_operand(x, 0);
    unsigned bits = 8 * operand_size(x, 0), count = masked_count(x, 1), turn = count % bits;
    uint64_t rotated = turn == 0 ? value : value >> turn | value << (bits - turn);

    finish(x, rotated, count, rotated >> (bits - 1), rotated >> (bits - 1) ^ rotated >> (bits - 2));
}

/* One step at a time: at most 63 of them, and nothing to get wrong at the widths that C can't shift by. */
void x86emu_exec_rcl(struct exec *x)
{
    uint64_t value = read_operand(x, 0), carry = x->rflags & X86EMU_RFLAGS_CF;
    unsigned size = operand_size(x, 0), count = masked_count(x, 1);

    for (unsigned i = count % (8 * size + 1); i > 0; i--) {
        uint64_t out = sign_bit(value, size);

        value = (value << 1 | carry) & size_mask(size);
        carry = out;
    }
    finish(x, value, count, carry, carry ^ sign_bit(value, size));
}

void x86emu_exec_rcr(struct exec *x)
{
    uint64_t value = read_operand(x, 0), carry = x->rflags & X86EMU_RFLAGS_CF;
    unsigned size = operand_size(x, 0), bits = 8 * size, count = masked_count(x, 1);

    for (unsigned i = count % (bits + 1); i > 0; i--) {
        uint64_t out = value & 1;

        value = value >> 1 | carry << (bits - 1);
        carry = out;
    }
    finish(x, value, count, carry, value >> (bits - 1) ^ value >> (bits - 2));
}

/* --- double shifts ------------------------------------------------------------------------------------------------ */

static void finish_double(struct exec *x, uint64_t value, uint64_t old, unsigned count, uint64_t carry)
{
    unsigned size = operand_size(x, 0);

    write_operand(x, 0, value);
    if (count != 0)
        stage_flags(x,
                    flags_of_result(value, size) | (carry & 1) | (sign_bit(value, size) ^ sign_bit(old, size)) << 11);
}

/* 16-bit operands: counts above 16 go on with the destination again, as processors do. */
/*
 * A 16-bit operand may be shifted by more than 16, which the manual leaves undefined: processors then shift in the
 * destination's own bits after the source's.
 */
void x86emu_exec_shld(struct exec *x)
{
    uint64_t a = read_operand(x, 0), b = read_operand(x, 1), value = a, carry = 0;
    unsigned bits = 8 * operand_size(x, 0), count = masked_count(x, 2);

    if (count != 0 && bits == 16) {
        uint64_t wide = (a << 32 | b << 16 | a) << (count - 1);

        carry = wide >> 47;
        value = wide >> 31;
    } else if (count != 0) {
        carry = a >> (bits - count);
        value = a << count | b >> (bits - count);
    }
    finish_double(x, value & size_mask(bits / 8), a, count, carry);
}

void x86emu_exec_shrd(struct exec *x)
{
    uint64_t a = read_operand(x, 0), b = read_operand(x, 1), value = a, carry = 0;
    unsigned bits = 8 * operand_size(x, 0), count = masked_count(x, 2);

    if (count != 0 && bits == 16) {
        uint64_t wide = (a << 32 | b << 16 | a) >> (count - 1);

        carry = wide;
        value = wide >> 1;
    } else if (count != 0) {
        carry = a >> (count - 1);
        value = a >> count | b << (bits - count);
    }
    finish_double(x, value & size_mask(bits / 8), a, count, carry);
}
