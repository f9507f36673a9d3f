/* SPDX-License-Identifier: BSD-2-Clause */
/* Bit fields without a shift unit: BMI1, BMI2 and TBM (SDM Vol. 2; APM Vol. 3), all in general registers. */
#include "flags.h"
#include "generated/functions.h"

static void finish(struct exec *x, uint64_t value, bool carry)
{
    write_operand(x, 0, value);
    stage_flags(x, flags_of_result(value, operand_size(x, 0)) | carry);
}

void x86emu_exec_andn(struct exec *x)
{
    uint64_t inverted = ~read_operand(x, 1);

    finish(x, inverted & read_operand(x, 2), false);
}

/* --- around the lowest bit that is set, or clear ------------------------------------------------------------------ */

/* Value + 1; carry: it was all ones. */
static uint64_t plus_one(struct exec *x, uint64_t *value, bool *carry)
{
    *value = read_operand(x, 1);
    *carry = *value == size_mask(operand_size(x, 1));
    return *value + 1;
}

/* Value - 1; borrow: it was 0. */
static uint64_t minus_one(struct exec *x, uint64_t *value, bool *borrow)
{
    *value = read_operand(x, 1);
    *borrow = *value == 0;
    return *value - 1;
}

void x86emu_exec_blsr(struct exec *x)
{
    bool borrow;
    uint64_t value, less = minus_one(x, &value, &borrow);

    finish(x, value & less, borrow);
}

void x86emu_exec_blsmsk(struct exec *x)
{
    bool borrow;
    uint64_t value, less = minus_one(x, &value, &borrow);

    finish(x, value ^ less, borrow);
}

void x86emu_exec_blsi(struct exec *x)
{
    uint64_t value = read_operand(x, 1);

    finish(x, value & (0 - value), value != 0);
}

void x86emu_exec_blcfill(struct exec *x)
{
    bool carry;
    uint64_t value, more = plus_one(x, &value, &carry);

    finish(x, value & more, carry);
}

void x86emu_exec_blcs(struct exec *x)
{
    bool carry;
    uint64_t value, more = plus_one(x, &value, &carry);

    finish(x, value | more, carry);
}

void x86emu_exec_blcic(struct exec *x)
{
    bool carry;
    uint64_t value, more = plus_one(x, &value, &carry);

    finish(x, ~value & more, carry);
}

void x86emu_exec_blcmsk(struct exec *x)
{
    bool carry;
    uint64_t value, more = plus_one(x, &value, &carry);

    finish(x, value ^ more, carry);
}

void x86emu_exec_blci(struct exec *x)
{
    bool carry;
    uint64_t value, more = plus_one(x, &value, &carry);

    finish(x, value | ~more, carry);
}

void x86emu_exec_t1mskc(struct exec *x)
{
    bool carry;
    uint64_t value, more = plus_one(x, &value, &carry);

    finish(x, ~value | more, carry);
}

void x86emu_exec_blsfill(struct exec *x)
{
    bool borrow;
    uint64_t value, less = minus_one(x, &value, &borrow);

    finish(x, value | less, borrow);
}

void x86emu_exec_blsic(struct exec *x)
{
    bool borrow;
    uint64_t value, less = minus_one(x, &value, &borrow);

    finish(x, ~value | less, borrow);
}

void x86emu_exec_tzmsk(struct exec *x)
{
    bool borrow;
    uint64_t value, less = minus_one(x, &value, &borrow);

    finish(x, ~value & less, borrow);
}

/* --- fields ------------------------------------------------------------------------------------------------------- */

/* The low count bits. */
static uint64_t low_bits(uint64_t value, unsigned count)
{
    return count > 63 ? value : value & ((UINT64_C(1) << count) - 1);
}

void x86emu_exec_bextr(struct exec *x)
{
    uint64_t value = read_operand(x, 1), control = read_operand(x, 2);
    unsigned start = (unsigned)control & 0xff, length = (unsigned)(control >> 8) & 0xff;

    finish(x, start > 63 ? 0 : low_bits(value >> start, length), false);
}

void x86emu_exec_bzhi(struct exec *x)
{
    uint64_t value = read_operand(x, 1);
    unsigned count = (unsigned)read_operand(x, 2) & 0xff;

    finish(x, low_bits(value, count), count >= 8 * operand_size(x, 0));
}

void x86emu_exec_pext(struct exec *x)
{
    uint64_t value = read_operand(x, 1), mask = read_operand(x, 2), result = 0;

    for (unsigned to = 0; mask != 0; mask &= mask - 1, to++)
        result |= (uint64_t)((value & mask & (0 - mask)) != 0) << to;
    write_operand(x, 0, result);
}

void x86emu_exec_pdep(struct exec *x)
{
    uint64_t value = read_operand(x, 1), mask = read_operand(x, 2), result = 0;

    for (; mask != 0; mask &= mask - 1, value >>= 1)
        result |= value & 1 ? mask & (0 - mask) : 0;
    write_operand(x, 0, result);
}

/* --- shifts that leave flags alone -------------------------------------------------------------------------------- */

static unsigned count_of(struct exec *x)
{
    return (unsigned)read_operand(x, 2) & (8 * operand_size(x, 0) - 1);
}

void x86emu_exec_shlx(struct exec *x)
{
    uint64_t value = read_operand(x, 1);

    write_operand(x, 0, value << count_of(x));
}

void x86emu_exec_shrx(struct exec *x)
{
    uint64_t value = read_operand(x, 1);

    write_operand(x, 0, value >> count_of(x));
}

void x86emu_exec_sarx(struct exec *x)
{
    int64_t value = (int64_t)sign_extend(read_operand(x, 1), operand_size(x, 1));

    write_operand(x, 0, (uint64_t)(value >> count_of(x)));
}

void x86emu_exec_rorx(struct exec *x)
{
    uint64_t value = read_operand(x, 1);
    unsigned bits = 8 * operand_size(x, 0), count = count_of(x);

    write_operand(x, 0, value >> count | value << ((bits - count) & (bits - 1)));
}
