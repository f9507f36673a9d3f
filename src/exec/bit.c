/* SPDX-License-Identifier: BSD-2-Clause */
/* Single bits and bit counts: BT family, BSF/BSR, LZCNT/TZCNT, POPCNT, BSWAP. */
#include "flags.h"
#include "generated/functions.h"
#include "memory.h"

/* --- BT, BTS, BTR, BTC -------------------------------------------------------------------------------------------- */

enum bit_change {
    BIT_KEEP,
    BIT_SET,
    BIT_RESET,
    BIT_COMPLEMENT
};

static uint64_t change_bit(uint64_t value, unsigned bit, enum bit_change change)
{
    uint64_t mask = UINT64_C(1) << bit;

    switch (change) {
    case BIT_SET:
        return value | mask;
    case BIT_RESET:
        return value & ~mask;
    case BIT_COMPLEMENT:
        return value ^ mask;
    default:
        return value;
    }
}

/*
 * With a memory operand and the bit offset in a register, the offset reaches beyond the operand: the address moves by
 * whole operands (SDM Vol. 2, 3.1.1.9, BitBase[BitOffset]).
 */
static void move_to_bit(struct exec *x, uint64_t offset)
{
    unsigned size = operand_size(x, 0);
    unsigned shift = size == 8 ? 6 : size == 4 ? 5 : 4;
    int64_t signed_offset = (int64_t)sign_extend(offset, size);

    if (operand(x, 0)->kind == X86EMU_OPERAND_MEM && operand(x, 1)->kind == X86EMU_OPERAND_REG)
        x->address_bias = (uint64_t)(signed_offset >> shift) * size;
}

static void bit_test(struct exec *x, enum bit_change change)
{
    uint64_t offset = read_operand(x, 1);
    unsigned bit = (unsigned)offset & (8 * operand_size(x, 0) - 1);
    uint64_t value;

    move_to_bit(x, offset);
    value = read_operand(x, 0);
    if (change != BIT_KEEP)
        write_operand(x, 0, change_bit(value, bit, change));
    stage_flags(x, (x->rflags & STATUS_FLAGS & ~(uint64_t)X86EMU_RFLAGS_CF) | (value >> bit & 1));
}

void x86emu_exec_bt(struct exec *x)
{
    bit_test(x, BIT_KEEP);
}

void x86emu_exec_bts(struct exec *x)
{
    bit_test(x, BIT_SET);
}

void x86emu_exec_btr(struct exec *x)
{
    bit_test(x, BIT_RESET);
}

void x86emu_exec_btc(struct exec *x)
{
    bit_test(x, BIT_COMPLEMENT);
}

/* --- searching and counting --------------------------------------------------------------------------------------- */

static unsigned trailing_zeros(uint64_t value)
{
    return (uint32_t)value != 0 ? (unsigned)__builtin_ctz((uint32_t)value)
                                : 32 + (unsigned)__builtin_ctz((uint32_t)(value >> 32));
}

static unsigned highest_bit(uint64_t value)
{
    return value >> 32 != 0 ? 63 - (unsigned)__builtin_clz((uint32_t)(value >> 32))
                            : 31 - (unsigned)__builtin_clz((uint32_t)value);
}

/* A source of 0 leaves the destination as it is, all 64 bits of it, and sets ZF. */
static void bit_scan(struct exec *x, uint64_t source, unsigned found)
{
    if (source != 0)
        write_operand(x, 0, found);
    stage_flags(x, source == 0 ? X86EMU_RFLAGS_ZF | flag_parity(0) : flag_parity(found));
}

void x86emu_exec_bsf(struct exec *x)
{
    uint64_t source = read_operand(x, 1);

    bit_scan(x, source, source == 0 ? 0 : trailing_zeros(source));
}

void x86emu_exec_bsr(struct exec *x)
{
    uint64_t source = read_operand(x, 1);

    bit_scan(x, source, source == 0 ? 0 : highest_bit(source));
}

static void finish_count(struct exec *x, uint64_t source, unsigned count)
{
    write_operand(x, 0, count);
    stage_flags(x, (uint64_t)(source == 0) | (uint64_t)(count == 0) << 6);
}

void x86emu_exec_tzcnt(struct exec *x)
{
    uint64_t source = read_operand(x, 1);

    finish_count(x, source, source == 0 ? 8 * operand_size(x, 0) : trailing_zeros(source));
}

void x86emu_exec_lzcnt(struct exec *x)
{
    uint64_t source = read_operand(x, 1);
    unsigned bits = 8 * operand_size(x, 0);

    finish_count(x, source, source == 0 ? bits : bits - 1 - highest_bit(source));
}

static unsigned ones(uint64_t value)
{
    unsigned count = 0;

    for (; value != 0; value &= value - 1)
        count++;
    return count;
}

void x86emu_exec_popcnt(struct exec *x)
{
    uint64_t source = read_operand(x, 1);

    write_operand(x, 0, ones(source));
    stage_flags(x, (uint64_t)(source == 0) << 6);
}

static uint64_t reversed(uint64_t value, unsigned size)
{
    uint64_t result = 0;

    for (unsigned i = 0; i < size; i++)
        result = result << 8 | (value >> (8 * i) & 0xff);
    return result;
}

/* A 16-bit BSWAP is undefined; processors give 0. */
void x86emu_exec_bswap(struct exec *x)
{
    unsigned size = operand_size(x, 0);

    write_operand(x, 0, size == 2 ? 0 : reversed(read_operand(x, 0), size));
}

void x86emu_exec_movbe(struct exec *x)
{
    write_operand(x, 0, reversed(read_operand(x, 1), operand_size(x, 1)));
}
