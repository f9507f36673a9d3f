/* SPDX-License-Identifier: BSD-2-Clause */
/* Elements side by side: interleaving, packing, alignment, blends, extension, shifts (SDM Vol. 2). */
#include "generated/functions.h"
#include "vector.h"

/* Element by element. */
#define EACH(name, element, f)               \
    void x86emu_exec_##name(struct exec *x)  \
    {                                        \
        x86emu_vector_binary(x, element, f); \
    }

/* --- interleaving ------------------------------------------------------------------------------------------------- */

static NOINLINE void interleave(struct vector_op *op, unsigned size, bool high)
{
    unsigned per_lane = lane_of(op) / size;

    for (unsigned i = 0; i < op->size / size; i++) {
        unsigned lane = i - i % per_lane, place = i % per_lane / 2 + (high ? per_lane / 2 : 0);

        set_element(&op->r, i, size, element_of(i & 1 ? &op->b : &op->a, lane + place, size));
    }
}

#define INTERLEAVE(element)                                  \
    static void op_unpackl_##element(struct vector_op *op)   \
    {                                                        \
        interleave(op, element, false);                      \
    }                                                        \
                                                             \
    static void op_unpackh_##element(struct vector_op *op)   \
    {                                                        \
        interleave(op, element, true);                       \
    }                                                        \
                                                             \
    BINARY(unpackl_##element, element, op_unpackl_##element) \
    BINARY(unpackh_##element, element, op_unpackh_##element)

INTERLEAVE(1)
INTERLEAVE(2)
INTERLEAVE(4)
INTERLEAVE(8)

/* --- packing with saturation -------------------------------------------------------------------------------------- */

static uint64_t saturate(uint64_t value, unsigned from, unsigned to, bool to_unsigned)
{
    int64_t v = (int64_t)sign_extend(value, from);
    int64_t most = (int64_t)(size_mask(to) >> (to_unsigned ? 0 : 1)), least_value = to_unsigned ? 0 : -most - 1;

    return (uint64_t)(v > most ? most : v < least_value ? least_value : v);
}

static NOINLINE void pack(struct vector_op *op, unsigned from, bool to_unsigned)
{
    unsigned to = from / 2, half = lane_of(op) / from;

    for (unsigned i = 0; i < op->size / to; i++) {
        unsigned lane = i / (2 * half), place = i % (2 * half);
        const vec *source = place < half ? &op->a : &op->b;

        set_element(&op->r, i, to,
                    saturate(element_of(source, lane * half + place % half, from), from, to, to_unsigned));
    }
}

static void op_packsswb(struct vector_op *op)
{
    pack(op, 2, false);
}

static void op_packuswb(struct vector_op *op)
{
    pack(op, 2, true);
}

static void op_packssdw(struct vector_op *op)
{
    pack(op, 4, false);
}

static void op_packusdw(struct vector_op *op)
{
    pack(op, 4, true);
}

/* The mask counts elements of the result. */
BINARY(packsswb, 1, op_packsswb)
BINARY(packuswb, 1, op_packuswb)

static NOINLINE void pack_words(struct exec *x, void (*f)(struct vector_op *op))
{
    x86emu_vector_binary_whole(x, 2, f);
}

void x86emu_exec_packssdw(struct exec *x)
{
    pack_words(x, op_packssdw);
}

void x86emu_exec_packusdw(struct exec *x)
{
    pack_words(x, op_packusdw);
}

/* --- PALIGNR, VALIGN, byte shifts --------------------------------------------------------------------------------- */

static NOINLINE void op_palignr(struct vector_op *op)
{
    unsigned lane = lane_of(op);

    for (unsigned i = 0; i < op->size; i++) {
        unsigned base = i - i % lane, at = i % lane + op->imm;

        op->r.u8[i] = at < lane ? op->b.u8[base + at] : at < 2 * lane ? op->a.u8[base + at - lane] : 0;
    }
}

BINARY(palignr, 1, op_palignr)

static NOINLINE void op_valign(struct vector_op *op)
{
    unsigned count = op->size / op->element, shift = op->imm % count;

    for (unsigned i = 0; i < count; i++) {
        unsigned at = i + shift;

        set_element(&op->r, i, op->element, element_of(at < count ? &op->b : &op->a, at % count, op->element));
    }
}

BINARY(valign_4, 4, op_valign)
BINARY(valign_8, 8, op_valign)

/* --- blends ------------------------------------------------------------------------------------------------------- */

static NOINLINE void op_blend_imm(struct vector_op *op)
{
    for (unsigned i = 0; i < op->size / op->element; i++)
        set_element(&op->r, i, op->element, element_of(op->imm >> i % 8 & 1 ? &op->b : &op->a, i, op->element));
}

BINARY(blend_imm_2, 2, op_blend_imm)
BINARY(blend_imm_4, 4, op_blend_imm)
BINARY(blend_imm_8, 8, op_blend_imm)

/* By the sign bits of XMM0, or of the register in the immediate's upper half. */
static void op_blend_var(struct vector_op *op)
{
    bool legacy = op->x->insn->encoding == X86EMU_ENCODING_LEGACY;
    const vec *mask = &op->x->vcpu->zmm[legacy ? 0 : operand(op->x, 3)->reg.number & 31];

    for (unsigned i = 0; i < op->size / op->element; i++) {
        bool from_b = mask->u8[(i + 1) * op->element - 1] >> 7;

        set_element(&op->r, i, op->element, element_of(from_b ? &op->b : &op->a, i, op->element));
    }
}

BINARY(blend_var_1, 1, op_blend_var)
BINARY(blend_var_4, 4, op_blend_var)
BINARY(blend_var_8, 8, op_blend_var)

/* VPBLENDM, VBLENDMPS: the mask chooses; with zeroing the others are 0. */
static NOINLINE void blend_by_mask(struct exec *x, unsigned element)
{
    struct vector_op op = {.x = x, .element = element};
    bool zeroing = x->insn->evex & 0x80;
    unsigned number;
    uint64_t mask;

    if (!x86emu_vector_usable(x))
        return;
    op.size = x86emu_vector_size(x);
    if (!x86emu_vector_load(x, 1, 0, ANYHOW, &op.a) || !x86emu_vector_load(x, 2, element, ANYHOW, &op.b))
        return;
    mask = x86emu_vector_mask(x, op.size / element);
    for (unsigned i = 0; i < op.size / element; i++)
        set_element(&op.r, i, element,
                    mask >> i & 1 ? element_of(&op.b, i, element)
                    : zeroing     ? 0
                                  : element_of(&op.a, i, element));
    number = operand(x, 0)->reg.number;
    x86emu_vector_extend(x, number, &op.r, op.size);
    x86emu_vector_stage(x, number, &op.r);
}

#define BLEND_BY_MASK(element)                        \
    void x86emu_exec_blendm_##element(struct exec *x) \
    {                                                 \
        blend_by_mask(x, element);                    \
    }

BLEND_BY_MASK(1)
BLEND_BY_MASK(2)
BLEND_BY_MASK(4)
BLEND_BY_MASK(8)

/* --- extension and truncation ------------------------------------------------------------------------------------- */

/* PMOVZX, PMOVSX: from elements of from bytes to larger ones. The source is narrower than the destination. */
static NOINLINE void extend(struct exec *x, unsigned from, unsigned to, bool sign)
{
    struct vector_op op = {.x = x, .element = to};
    unsigned count;

    if (!x86emu_vector_usable(x))
        return;
    op.size = x86emu_vector_size(x);
    count = op.size / to;
    if (x86emu_is_register(x, 1)) {
        if (!x86emu_vector_load(x, 1, 0, ANYHOW, &op.b))
            return;
    } else {
        struct logical a;
        uint64_t mask = x86emu_vector_mask(x, count);

        if (!x86emu_operand_address(x, counted(x, 1), &a))
            return;
        if (x->insn->encoding == X86EMU_ENCODING_EVEX && x->insn->evex & 7) {
            if (!x86emu_masked_read(x, a, count, from, mask, &op.b))
                return;
        } else if (!x86emu_memory_read(x, a, count * from, USE_PLAIN, &op.b)) {
            return;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t value = element_of(&op.b, i, from);

        set_element(&op.r, i, to, sign ? sign_extend(value, from) : value);
    }
    x86emu_vector_store(x, 0, &op.r, op.size, to, ANYHOW);
}

#define EXTEND(from, to)                                  \
    void x86emu_exec_pmovzx_##from##_##to(struct exec *x) \
    {                                                     \
        extend(x, from, to, false);                       \
    }                                                     \
                                                          \
    void x86emu_exec_pmovsx_##from##_##to(struct exec *x) \
    {                                                     \
        extend(x, from, to, true);                        \
    }

EXTEND(1, 2)
EXTEND(1, 4)
EXTEND(1, 8)
EXTEND(2, 4)
EXTEND(2, 8)
EXTEND(4, 8)

enum narrowing {
    TRUNCATE,
    SIGNED,
    UNSIGNED
};

static uint64_t narrow_value(uint64_t value, unsigned from, unsigned to, enum narrowing how)
{
    if (how == SIGNED)
        return saturate(value, from, to, false);
    if (how == UNSIGNED)
        return value > size_mask(to) ? size_mask(to) : value;
    return value;
}

/* VPMOVWB and its kin: to a narrower vector or memory. */
static NOINLINE void narrow(struct exec *x, unsigned from, unsigned to, enum narrowing how)
{
    vec v, r = {.u64 = {0}};
    unsigned count;

    if (!x86emu_vector_usable(x))
        return;
    count = x86emu_vector_size(x) / from;
    if (!x86emu_vector_load(x, 1, 0, ANYHOW, &v))
        return;
    for (unsigned i = 0; i < count; i++)
        set_element(&r, i, to, narrow_value(element_of(&v, i, from), from, to, how));
    x86emu_vector_store(x, 0, &r, count * to, to, ANYHOW);
}

#define NARROW(from, to)                                   \
    void x86emu_exec_vpmov_##from##_##to(struct exec *x)   \
    {                                                      \
        narrow(x, from, to, TRUNCATE);                     \
    }                                                      \
                                                           \
    void x86emu_exec_vpmovs_##from##_##to(struct exec *x)  \
    {                                                      \
        narrow(x, from, to, SIGNED);                       \
    }                                                      \
                                                           \
    void x86emu_exec_vpmovus_##from##_##to(struct exec *x) \
    {                                                      \
        narrow(x, from, to, UNSIGNED);                     \
    }

NARROW(2, 1)
NARROW(4, 1)
NARROW(8, 1)
NARROW(4, 2)
NARROW(8, 2)
NARROW(8, 4)

/* --- shifts ------------------------------------------------------------------------------------------------------- */

enum shift {
    LEFT,
    RIGHT,
    ARITHMETIC
};

static uint64_t shifted(uint64_t value, uint64_t count, unsigned size, enum shift how)
{
    unsigned bits = 8 * size;

    if (how == ARITHMETIC)
        return (uint64_t)((int64_t)sign_extend(value, size) >> (count < bits ? count : bits - 1));
    if (count >= bits)
        return 0;
    return how == LEFT ? value << count : value >> count;
}

/* By one count: an immediate after the source, or the low 8 bytes of a 16-byte operand. */
static NOINLINE void shift_all(struct exec *x, unsigned element, enum shift how)
{
    bool legacy = x->insn->encoding == X86EMU_ENCODING_LEGACY, by_immediate;
    unsigned source = legacy ? 0 : 1, size;
    uint64_t count;
    vec v, c, r = {.u64 = {0}};

    if (!x86emu_vector_usable(x))
        return;
    by_immediate = operand(x, counted(x, source + 1))->kind == X86EMU_OPERAND_IMM;
    size = x86emu_vector_size(x);
    if (!x86emu_vector_load(x, source, by_immediate ? element : 0, ANYHOW, &v))
        return;
    if (!by_immediate && !x86emu_shift_count(x, source + 1, &c))
        return;
    count = by_immediate ? vector_imm(x) : c.u64[0];
    for (unsigned i = 0; i < size / element; i++)
        set_element(&r, i, element, shifted(element_of(&v, i, element), count, element, how));
    if (size == 8)
        x86emu_mmx_touched(x);
    x86emu_vector_store(x, 0, &r, size, element, ANYHOW);
}

/* The count's operand is read whole, whatever the mask. */
bool x86emu_shift_count(struct exec *x, unsigned n, vec *count)
{
    const struct x86emu_operand *op = operand(x, counted(x, n));
    struct logical a;

    if (op->kind == X86EMU_OPERAND_REG)
        return x86emu_vector_load(x, n, 0, ANYHOW, count);
    if (!x86emu_operand_address(x, counted(x, n), &a))
        return false;
    if (x->insn->encoding == X86EMU_ENCODING_LEGACY && op->size == 16 &&
        ((a.offset + x86emu_segment_base(x, a.segment)) & 15) != 0) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return false;
    }
    return x86emu_memory_read(x, a, op->size, USE_PLAIN, count);
}

static NOINLINE void op_shift_each(struct vector_op *op, enum shift how)
{
    for (unsigned i = 0; i < op->size / op->element; i++)
        set_element(&op->r, i, op->element,
                    shifted(element_of(&op->a, i, op->element), element_of(&op->b, i, op->element), op->element, how));
}

static void op_left(struct vector_op *op)
{
    op_shift_each(op, LEFT);
}

static void op_right(struct vector_op *op)
{
    op_shift_each(op, RIGHT);
}

static void op_arithmetic(struct vector_op *op)
{
    op_shift_each(op, ARITHMETIC);
}

#define SHIFT(element)                              \
    void x86emu_exec_psll_##element(struct exec *x) \
    {                                               \
        shift_all(x, element, LEFT);                \
    }                                               \
                                                    \
    void x86emu_exec_psrl_##element(struct exec *x) \
    {                                               \
        shift_all(x, element, RIGHT);               \
    }                                               \
                                                    \
    void x86emu_exec_psra_##element(struct exec *x) \
    {                                               \
        shift_all(x, element, ARITHMETIC);          \
    }                                               \
                                                    \
    EACH(psllv_##element, element, op_left)         \
    EACH(psrlv_##element, element, op_right)        \
    EACH(psrav_##element, element, op_arithmetic)

SHIFT(2)
SHIFT(4)
SHIFT(8)

/* PSLLDQ, PSRLDQ: bytes, in lanes of 16. */
static NOINLINE void shift_bytes(struct exec *x, bool left)
{
    unsigned source = x->insn->encoding == X86EMU_ENCODING_LEGACY ? 0 : 1, size, count = vector_imm(x);
    vec v, r = {.u64 = {0}};

    if (!x86emu_vector_usable(x))
        return;
    size = x86emu_vector_size(x);
    if (!x86emu_vector_load(x, source, 0, ANYHOW, &v))
        return;
    for (unsigned i = 0; i < size; i++) {
        unsigned at = left ? i % 16 - count : i % 16 + count;

        r.u8[i] = at < 16 ? v.u8[i - i % 16 + at] : 0;
    }
    x86emu_vector_store(x, 0, &r, size, 1, ANYHOW);
}

void x86emu_exec_pslldq(struct exec *x)
{
    shift_bytes(x, true);
}

void x86emu_exec_psrldq(struct exec *x)
{
    shift_bytes(x, false);
}
