/* SPDX-License-Identifier: BSD-2-Clause */
/* Shifts (SDM Vol. 2, SAL/SAR/SHL/SHR), with the flags that processors give where the manual leaves them undefined. */
#include "flags.h"
#include "generated/functions.h"

/* The count, masked to 5 or 6 bits. */
static unsigned shift_count(struct exec *x)
{
    return (unsigned)read_operand(x, 1) & (operand_size(x, 0) == 8 ? 63 : 31);
}

/* A count of 0 changes no flag; the destination is written all the same. */
static void finish(struct exec *x, uint64_t value, unsigned count, uint64_t carry, uint64_t overflow)
{
    unsigned size = operand_size(x, 0);

    write_operand(x, 0, value);
    if (count != 0)
        stage_flags(x, flags_of_result(value, size) | (carry & 1) | (overflow & 1) << 11);
}

void x86emu_exec_shl(struct exec *x)
{
    uint64_t value = read_operand(x, 0);
    unsigned count = shift_count(x), bits = 8 * operand_size(x, 0);
    uint64_t shifted = value << count;
    uint64_t carry = count == 0 || count > bits ? 0 : value >> (bits - count);

    finish(x, shifted, count, carry, carry ^ shifted >> (bits - 1));
}

void x86emu_exec_shr(struct exec *x)
{
    uint64_t value = read_operand(x, 0);
    unsigned count = shift_count(x), size = operand_size(x, 0);
    uint64_t carry = count == 0 ? 0 : value >> (count - 1);

    finish(x, value >> count, count, carry, count == 1 ? sign_bit(value, size) : 0);
}

void x86emu_exec_sar(struct exec *x)
{
    unsigned size = operand_size(x, 0);
    int64_t value = (int64_t)sign_extend(read_operand(x, 0), size);
    unsigned count = shift_count(x);
    uint64_t carry = count == 0 ? 0 : (uint64_t)(value >> (count - 1));

    finish(x, (uint64_t)(value >> count), count, carry, 0);
}
