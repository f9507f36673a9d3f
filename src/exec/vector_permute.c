/* SPDX-License-Identifier: BSD-2-Clause */
/* Elements in another order: shuffles and permutations (SDM Vol. 2, PSHUF to VPERM). */
#include "generated/functions.h"
#include "vector.h"

/* --- PSHUF, SHUF, VPERMIL by immediate ---------------------------------------------------------------------------- */

/* Four elements of b, from element first of each lane on, two bits of the immediate each. */
static NOINLINE void shuffle_four(struct vector_op *op, unsigned size, unsigned first)
{
    unsigned per_lane = lane_of(op) / size;

    op->r = op->b;
    for (unsigned i = 0; i < op->size / size; i++) {
        unsigned lane = i - i % per_lane, place = i % per_lane - first;

        if (place < 4)
            set_element(&op->r, i, size, element_of(&op->b, lane + first + (op->imm >> 2 * place & 3), size));
    }
}

static void op_pshufd(struct vector_op *op)
{
    shuffle_four(op, 4, 0);
}

static void op_pshuflw(struct vector_op *op)
{
    shuffle_four(op, 2, 0);
}

static void op_pshufhw(struct vector_op *op)
{
    shuffle_four(op, 2, 4);
}

UNARY(pshufd, 4, op_pshufd)
UNARY(pshuflw, 2, op_pshuflw)
UNARY(pshufhw, 2, op_pshufhw)
UNARY(pshufw, 2, op_pshuflw)

/* Two of four from a, two from b. */
static void op_shufps(struct vector_op *op)
{
    for (unsigned i = 0; i < op->size / 4; i++)
        set_element(&op->r, i, 4, element_of(i & 2 ? &op->b : &op->a, (i & ~3u) + (op->imm >> 2 * (i & 3) & 3), 4));
}

static void op_shufpd(struct vector_op *op)
{
    for (unsigned i = 0; i < op->size / 8; i++)
        set_element(&op->r, i, 8, element_of(i & 1 ? &op->b : &op->a, (i & ~1u) + (op->imm >> i & 1), 8));
}

BINARY(shufps, 4, op_shufps)
BINARY(shufpd, 8, op_shufpd)

static void op_permilpd(struct vector_op *op)
{
    for (unsigned i = 0; i < op->size / 8; i++)
        set_element(&op->r, i, 8, element_of(&op->b, (i & ~1u) + (op->imm >> i & 1), 8));
}

UNARY(permilpd_imm, 8, op_permilpd)

/* PSHUFB: an index for each byte; bit 7 gives 0. */
static void op_pshufb(struct vector_op *op)
{
    unsigned lane = lane_of(op);

    for (unsigned i = 0; i < op->size; i++)
        op->r.u8[i] = op->b.u8[i] & 0x80 ? 0 : op->a.u8[i - i % lane + op->b.u8[i] % lane];
}

BINARY(pshufb, 1, op_pshufb)

/* VPERMILPS, VPERMILPD by a vector of indices. */
static void op_permilps_var(struct vector_op *op)
{
    for (unsigned i = 0; i < op->size / 4; i++)
        set_element(&op->r, i, 4, element_of(&op->a, (i & ~3u) + (op->b.u8[4 * i] & 3), 4));
}

static void op_permilpd_var(struct vector_op *op)
{
    for (unsigned i = 0; i < op->size / 8; i++)
        set_element(&op->r, i, 8, element_of(&op->a, (i & ~1u) + (op->b.u8[8 * i] >> 1 & 1), 8));
}

BINARY(permilps_var, 4, op_permilps_var)
BINARY(permilpd_var, 8, op_permilpd_var)

/* VPERMQ, VPERMPD by immediate: in lanes of 32 bytes. */
static void op_permq(struct vector_op *op)
{
    for (unsigned i = 0; i < op->size / 8; i++)
        set_element(&op->r, i, 8, element_of(&op->b, (i & ~3u) + (op->imm >> 2 * (i & 3) & 3), 8));
}

UNARY(permq_imm, 8, op_permq)

/* VPERMB, VPERMW, VPERMD, VPERMQ, VPERMPS, VPERMPD: a holds indices into all of b. */
static NOINLINE void op_perm(struct vector_op *op)
{
    unsigned count = op->size / op->element;

    for (unsigned i = 0; i < count; i++)
        set_element(&op->r, i, op->element,
                    element_of(&op->b, (unsigned)element_of(&op->a, i, op->element) % count, op->element));
}

BINARY(perm_1, 1, op_perm)
BINARY(perm_2, 2, op_perm)
BINARY(perm_4, 4, op_perm)
BINARY(perm_8, 8, op_perm)

/* VPERM2F128, VPERM2I128: four bits for each half: which of four halves, or 0. */
static void op_perm2x128(struct vector_op *op)
{
    for (unsigned half = 0; half < 2; half++) {
        unsigned control = op->imm >> 4 * half & 0xf;
        const vec *from = control & 2 ? &op->b : &op->a;

        for (unsigned i = 0; i < 2; i++)
            op->r.u64[2 * half + i] = control & 8 ? 0 : from->u64[2 * (control & 1) + i];
    }
}

BINARY(perm2x128, 8, op_perm2x128)

/* VSHUFF32X4 and its kin: 16-byte lanes, the lower half of them from a, the upper from b. */
static NOINLINE void op_shuf_lanes(struct vector_op *op)
{
    unsigned lanes = op->size / 16, bits = lanes == 4 ? 2 : 1;

    for (unsigned i = 0; i < lanes; i++) {
        const vec *from = i < lanes / 2 ? &op->a : &op->b;
        unsigned lane = op->imm >> bits * i & (lanes - 1);

        op->r.u64[2 * i] = from->u64[2 * lane];
        op->r.u64[2 * i + 1] = from->u64[2 * lane + 1];
    }
}

BINARY(shuf_lanes_4, 4, op_shuf_lanes)
BINARY(shuf_lanes_8, 8, op_shuf_lanes)

/*
 * VPERMI2 and VPERMT2: indices into two tables one after the other, of which the second is the last operand. The
 * destination holds the indices, or the first table.
 */
static NOINLINE void permute_two(struct vector_op *op, const vec *indices, const vec *first)
{
    unsigned count = op->size / op->element;

    for (unsigned i = 0; i < count; i++) {
        unsigned index = (unsigned)element_of(indices, i, op->element) & (2 * count - 1);

        set_element(&op->r, i, op->element, element_of(index < count ? first : &op->b, index % count, op->element));
    }
}

static void op_permi2(struct vector_op *op)
{
    vec dest;

    if (x86emu_vector_load(op->x, 0, 0, ANYHOW, &dest))
        permute_two(op, &dest, &op->a);
}

static void op_permt2(struct vector_op *op)
{
    vec dest;

    if (x86emu_vector_load(op->x, 0, 0, ANYHOW, &dest))
        permute_two(op, &op->a, &dest);
}

BINARY(permi2_1, 1, op_permi2)
BINARY(permi2_2, 2, op_permi2)
BINARY(permi2_4, 4, op_permi2)
BINARY(permi2_8, 8, op_permi2)
BINARY(permt2_1, 1, op_permt2)
BINARY(permt2_2, 2, op_permt2)
BINARY(permt2_4, 4, op_permt2)
BINARY(permt2_8, 8, op_permt2)
