/* SPDX-License-Identifier: BSD-2-Clause */
/* Division (SDM Vol. 2, DIV and IDIV). */
#include "flags.h"
#include "generated/functions.h"

/* A dividend of up to 128 bits, then quotient and remainder. */
struct division {
    uint64_t high, low;
    uint64_t quotient, remainder;
};

/* Schoolbook division bit by bit: hosts without a wider type need no library for it. high < divisor. */
static void divide_bitwise(struct division *d, uint64_t divisor)
{
    uint64_t remainder = d->high, quotient = 0;

    for (int bit = 63; bit >= 0; bit--) {
        bool beyond = remainder >> 63;

        remainder = remainder << 1 | (d->low >> bit & 1);
        quotient <<= 1;
        if (beyond || remainder >= divisor) {
            remainder -= divisor;
            quotient |= 1;
        }
    }
    d->quotient = quotient;
    d->remainder = remainder;
}

/* high < divisor */
static void divide(struct division *d, uint64_t divisor)
{
    if (sizeof(uintptr_t) == 8 && d->high == 0) {
        d->quotient = d->low / divisor;
        d->remainder = d->low % divisor;
    } else {
        divide_bitwise(d, divisor);
    }
}

/* The register that holds the upper half of the dividend, then the remainder. */
static uint64_t upper_half(struct exec *x, unsigned size)
{
    return size == 1 ? gpr(x, X86EMU_RAX) >> 8 & 0xff : gpr(x, X86EMU_RDX) & size_mask(size);
}

static struct division dividend(struct exec *x, unsigned size)
{
    uint64_t low = gpr(x, X86EMU_RAX) & size_mask(size), high = upper_half(x, size);

    if (size == 8)
        return (struct division){.high = high, .low = low};
    return (struct division){.low = low | high << 8 * size};
}

static void finish(struct exec *x, const struct division *d, unsigned size)
{
    x86emu_gpr_stage(x, X86EMU_RAX, size, d->quotient);
    if (size == 1)
        x86emu_gpr_stage_high(x, 0, d->remainder);
    else
        x86emu_gpr_stage(x, X86EMU_RDX, size, d->remainder);
}

void x86emu_exec_div(struct exec *x)
{
    unsigned size = operand_size(x, 0);
    uint64_t divisor = read_operand(x, 0);
    struct division d = dividend(x, size);

    if (x->stopped)
        return;
    if (divisor == 0 || upper_half(x, size) >= divisor) {
        x86emu_raise(x, X86EMU_VECTOR_DE);
        return;
    }
    divide(&d, divisor);
    finish(x, &d, size);
}

static void negate(struct division *d)
{
    d->low = 0 - d->low;
    d->high = ~d->high + (d->low == 0);
}

/* Sign-extends a dividend of 2 * size bytes to 128 bits. */
static void extend(struct division *d, unsigned size)
{
    if (size == 8)
        return;
    d->low = sign_extend(d->low, 2 * size);
    d->high = (uint64_t)((int64_t)d->low >> 63);
}

/* Divides magnitudes. False: the quotient doesn't fit. The remainder has the dividend's sign. */
static bool divide_signed(struct division *d, int64_t divisor, unsigned size)
{
    bool negative = d->high >> 63, differ = negative != (divisor < 0);
    uint64_t magnitude = divisor < 0 ? 0 - (uint64_t)divisor : (uint64_t)divisor;
    uint64_t most = (UINT64_C(1) << (8 * size - 1)) - 1 + differ;

    if (negative)
        negate(d);
    if (d->high >= magnitude) /* also when the divisor is 0 */
        return false;
    divide(d, magnitude);
    if (d->quotient > most)
        return false;
    d->quotient = differ ? 0 - d->quotient : d->quotient;
    d->remainder = negative ? 0 - d->remainder : d->remainder;
    return true;
}

void x86emu_exec_idiv(struct exec *x)
{
    unsigned size = operand_size(x, 0);
    int64_t divisor = (int64_t)sign_extend(read_operand(x, 0), size);
    struct division d = dividend(x, size);

    if (x->stopped)
        return;
    extend(&d, size);
    if (divide_signed(&d, divisor, size))
        finish(x, &d, size);
    else
        x86emu_raise(x, X86EMU_VECTOR_DE);
}
