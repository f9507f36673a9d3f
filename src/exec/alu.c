/* SPDX-License-Identifier: BSD-2-Clause */
/* Addition, subtraction, logic and comparison of integers. */
#include "flags.h"
#include "generated/functions.h"

static void finish(struct exec *x, struct result result)
{
    write_operand(x, 0, result.value);
    stage_flags(x, result.flags);
}

static unsigned carry(const struct exec *x)
{
    return x->rflags & X86EMU_RFLAGS_CF;
}

void x86emu_exec_add(struct exec *x)
{
    uint64_t a = read_operand(x, 0);
    uint64_t b = read_operand(x, 1);

    finish(x, add_with_carry(a, b, 0, operand_size(x, 0)));
}

void x86emu_exec_adc(struct exec *x)
{
    uint64_t a = read_operand(x, 0);
    uint64_t b = read_operand(x, 1);

    finish(x, add_with_carry(a, b, carry(x), operand_size(x, 0)));
}

void x86emu_exec_sub(struct exec *x)
{
    uint64_t a = read_operand(x, 0);
    uint64_t b = read_operand(x, 1);

    finish(x, subtract_with_borrow(a, b, 0, operand_size(x, 0)));
}

void x86emu_exec_sbb(struct exec *x)
{
    uint64_t a = read_operand(x, 0);
    uint64_t b = read_operand(x, 1);

    finish(x, subtract_with_borrow(a, b, carry(x), operand_size(x, 0)));
}

void x86emu_exec_cmp(struct exec *x)
{
    uint64_t a = read_operand(x, 0);
    uint64_t b = read_operand(x, 1);

    stage_flags(x, subtract_with_borrow(a, b, 0, operand_size(x, 0)).flags);
}

void x86emu_exec_and(struct exec *x)
{
    uint64_t a = read_operand(x, 0);
    uint64_t b = read_operand(x, 1);

    finish(x, logical_result(a & b, operand_size(x, 0)));
}

void x86emu_exec_or(struct exec *x)
{
    uint64_t a = read_operand(x, 0);
    uint64_t b = read_operand(x, 1);

    finish(x, logical_result(a | b, operand_size(x, 0)));
}

void x86emu_exec_xor(struct exec *x)
{
    uint64_t a = read_operand(x, 0);
    uint64_t b = read_operand(x, 1);

    finish(x, logical_result(a ^ b, operand_size(x, 0)));
}

void x86emu_exec_test(struct exec *x)
{
    uint64_t a = read_operand(x, 0);
    uint64_t b = read_operand(x, 1);

    stage_flags(x, logical_result(a & b, operand_size(x, 0)).flags);
}

/* INC and DEC leave CF alone: their rows don't name it. */
void x86emu_exec_inc(struct exec *x)
{
    finish(x, add_with_carry(read_operand(x, 0), 1, 0, operand_size(x, 0)));
}

void x86emu_exec_dec(struct exec *x)
{
    finish(x, subtract_with_borrow(read_operand(x, 0), 1, 0, operand_size(x, 0)));
}

void x86emu_exec_neg(struct exec *x)
{
    finish(x, subtract_with_borrow(0, read_operand(x, 0), 0, operand_size(x, 0)));
}

void x86emu_exec_not(struct exec *x)
{
    write_operand(x, 0, ~read_operand(x, 0));
}

/* --- ADX: one carry each ------------------------------------------------------------------------------------------ */

static void add_with_flag(struct exec *x, uint64_t flag)
{
    uint64_t a = read_operand(x, 0);
    uint64_t b = read_operand(x, 1);
    struct result sum = add_with_carry(a, b, (x->rflags & flag) != 0, operand_size(x, 0));

    write_operand(x, 0, sum.value);
    stage_flags(x, sum.flags & X86EMU_RFLAGS_CF ? flag : 0);
}

void x86emu_exec_adcx(struct exec *x)
{
    add_with_flag(x, X86EMU_RFLAGS_CF);
}

void x86emu_exec_adox(struct exec *x)
{
    add_with_flag(x, X86EMU_RFLAGS_OF);
}

/* --- CRC32 -------------------------------------------------------------------------------------------------------- */

/* The reflected polynomial 11EDC6F41h (SDM Vol. 2, CRC32). */
#define CRC32_POLYNOMIAL 0x82f63b78u

void x86emu_exec_crc32(struct exec *x)
{
    uint32_t crc = (uint32_t)read_operand(x, 0);
    uint64_t data = read_operand(x, 1);

    for (unsigned bits = 8 * operand_size(x, 1); bits != 0; bits--, data >>= 1)
        crc = crc >> 1 ^ (CRC32_POLYNOMIAL & (0u - ((crc ^ (uint32_t)data) & 1)));
    write_operand(x, 0, crc);
}
