/* SPDX-License-Identifier: BSD-2-Clause */
/* The arithmetic of the status flags: OF, SF, ZF, AF, PF and CF from operands and result (SDM Vol. 1, appendix A). */
#ifndef X86EMU_EXEC_FLAGS_H
#define X86EMU_EXEC_FLAGS_H

#include "exec.h"

#define STATUS_FLAGS \
    (X86EMU_RFLAGS_CF | X86EMU_RFLAGS_PF | X86EMU_RFLAGS_AF | X86EMU_RFLAGS_ZF | X86EMU_RFLAGS_SF | X86EMU_RFLAGS_OF)

/* A result and the status flags that go with it. */
struct result {
    uint64_t value;
    uint64_t flags;
};

static inline uint64_t sign_bit(uint64_t value, unsigned size)
{
    return value >> (8 * size - 1) & 1;
}

/* PF: even number of ones in the low byte. */
static inline uint64_t flag_parity(uint64_t value)
{
    unsigned nibbles = (unsigned)(value ^ value >> 4) & 0xf;

    return (UINT64_C(0x9669) >> nibbles & 1) << 2;
}

/* SF, ZF and PF of a result of size bytes. */
static inline uint64_t flags_of_result(uint64_t value, unsigned size)
{
    value &= size_mask(size);
    return sign_bit(value, size) << 7 | (uint64_t)(value == 0) << 6 | flag_parity(value);
}

/* OF, AF and CF from the carries out of each bit position. */
static inline uint64_t flags_of_carries(uint64_t carries, uint64_t overflow, unsigned size)
{
    return sign_bit(overflow, size) << 11 | (carries >> 3 & 1) << 4 | sign_bit(carries, size);
}

static inline struct result add_with_carry(uint64_t a, uint64_t b, unsigned carry, unsigned size)
{
    uint64_t sum = (a + b + carry) & size_mask(size);
    uint64_t carries = (a & b) | ((a | b) & ~sum);

    return (struct result){sum, flags_of_carries(carries, (a ^ sum) & (b ^ sum), size) | flags_of_result(sum, size)};
}

static inline struct result subtract_with_borrow(uint64_t a, uint64_t b, unsigned borrow, unsigned size)
{
    uint64_t difference = (a - b - borrow) & size_mask(size);
    uint64_t borrows = (~a & b) | ((~a | b) & difference);

    return (struct result){difference, flags_of_carries(borrows, (a ^ b) & (a ^ difference), size) |
                                           flags_of_result(difference, size)};
}

/* AND, OR, XOR, TEST: OF and CF are clear; AF too, though the manual leaves it undefined. */
static inline struct result logical_result(uint64_t value, unsigned size)
{
    value &= size_mask(size);
    return (struct result){value, flags_of_result(value, size)};
}

/* Stages the status flags. Those that the row of the table doesn't name stay as they are. */
static inline void stage_flags(struct exec *x, uint64_t flags)
{
    x->rflags = (x->rflags & ~(uint64_t)STATUS_FLAGS) | flags;
}

/* Whether condition cc, 0 to 15, holds (SDM Vol. 2, table B-10). */
static inline bool condition(uint64_t rflags, unsigned cc)
{
    bool cf = rflags & X86EMU_RFLAGS_CF, zf = rflags & X86EMU_RFLAGS_ZF, sf = rflags & X86EMU_RFLAGS_SF;
    bool of = rflags & X86EMU_RFLAGS_OF, pf = rflags & X86EMU_RFLAGS_PF;
    const bool truth[8] = {of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of};

    return truth[cc >> 1 & 7] != (cc & 1);
}

#endif
