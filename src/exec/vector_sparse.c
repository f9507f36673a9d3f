/* SPDX-License-Identifier: BSD-2-Clause */
/* Elements that are not side by side: compress, expand, gather, scatter (SDM Vol. 2). */
#include "generated/functions.h"
#include "vector.h"

/* --- compress and expand: the active elements, packed --------------------------------------------------------------- */

static NOINLINE void compress(struct exec *x, unsigned element)
{
    unsigned size, count, used = 0;
    uint64_t mask;
    vec v, r = {.u64 = {0}};

    if (!x86emu_vector_usable(x) || !x86emu_vector_load(x, 1, 0, ANYHOW, &v))
        return;
    size = x86emu_vector_size(x);
    count = size / element;
    mask = x86emu_vector_mask(x, count);
    for (unsigned i = 0; i < count; i++)
        if (mask >> i & 1)
            set_element(&r, used++, element, element_of(&v, i, element));
    if (x86emu_is_register(x, 0)) {
        unsigned number = operand(x, 0)->reg.number;

        for (unsigned i = used; i < count && !(x->insn->evex & 0x80); i++)
            set_element(&r, i, element, element_of(&x->vcpu->zmm[number & 31], i, element));
        x86emu_vector_extend(x, number, &r, size);
        x86emu_vector_stage(x, number, &r);
    } else if (used != 0) {
        struct logical a;

        if (x86emu_operand_address(x, 0, &a))
            x86emu_memory_write(x, a, used * element, r.u8);
    }
}

static NOINLINE void expand(struct exec *x, unsigned element)
{
    unsigned size, count, used = 0;
    struct logical a;
    uint64_t mask;
    vec v = {.u64 = {0}}, r = {.u64 = {0}};

    if (!x86emu_vector_usable(x))
        return;
    size = x86emu_vector_size(x);
    count = size / element;
    mask = x86emu_vector_mask(x, count);
    if (x86emu_is_register(x, 1)) {
        if (!x86emu_vector_load(x, 1, 0, ANYHOW, &v))
            return;
    } else if (mask != 0) {
        unsigned active = 0;

        for (uint64_t left = mask; left != 0; left &= left - 1)
            active++;
        if (!x86emu_operand_address(x, counted(x, 1), &a) ||
            !x86emu_memory_read(x, a, active * element, USE_UNALIGNED, &v))
            return;
    }
    for (unsigned i = 0; i < count; i++)
        if (mask >> i & 1)
            set_element(&r, i, element, element_of(&v, used++, element));
    x86emu_vector_store(x, 0, &r, size, element, ANYHOW);
}

#define COMPRESS_EXPAND(element)                        \
    void x86emu_exec_compress_##element(struct exec *x) \
    {                                                   \
        compress(x, element);                           \
    }                                                   \
                                                        \
    void x86emu_exec_expand_##element(struct exec *x)   \
    {                                                   \
        expand(x, element);                             \
    }

COMPRESS_EXPAND(1)
COMPRESS_EXPAND(2)
COMPRESS_EXPAND(4)
COMPRESS_EXPAND(8)

/* --- gather and scatter ------------------------------------------------------------------------------------------- */

struct sparse {
    unsigned n;       /* the memory operand */
    unsigned count;   /* elements */
    unsigned element; /* bytes of one */
    unsigned index;   /* bytes of an index */
};

/* Where element i is. */
static struct logical element_address(struct exec *x, const struct sparse *s, unsigned i)
{
    const struct x86emu_operand *op = operand(x, counted(x, s->n));
    const vec *indices = &x->vcpu->zmm[op->mem.index.number & 31];
    uint64_t index = sign_extend(element_of(indices, i, s->index), s->index), base = 0;

    if (op->mem.base.reg_class != X86EMU_REG_NONE)
        base = gpr(x, op->mem.base.number);
    return (struct logical){op->mem.segment,
                            (base + index * op->mem.scale + (uint64_t)op->mem.disp) & size_mask(x->insn->address_size)};
}

/* The shape of one: as many elements as the wider of data and indices leaves room for. */
static struct sparse shape(struct exec *x, unsigned n, unsigned element, unsigned index)
{
    unsigned wider = element > index ? element : index;

    return (struct sparse){n, x86emu_vector_size(x) / wider, element, index};
}

/* Another turn follows, as part of the same instruction: no single step between them (SDM Vol. 2, VGATHERDPS). */
static void repeat(struct exec *x)
{
    x->repeats = x->no_step = true;
}

/* The elements of size bytes of mask as all ones or zeroes, and nothing above them. True: it was so already. */
static bool normalise_mask(vec *mask, const struct sparse *s, unsigned size)
{
    vec normal = {.u64 = {0}};
    bool same = true;

    for (unsigned i = 0; i < size / s->element; i++)
        if (mask->u8[(i + 1) * s->element - 1] >> 7)
            set_element(&normal, i, s->element, ~UINT64_C(0));
    for (unsigned i = 0; i < 8; i++)
        same &= mask->u64[i] == normal.u64[i];
    *mask = normal;
    return same;
}

/*
 * VEX gathers: the mask is a vector, whose elements become 0. An element that faults leaves those before it done: here
 * each turn does one element and commits it, as often as there are any left (C20).
 */
static NOINLINE void gather_vex(struct exec *x, unsigned element, unsigned index)
{
    struct sparse s = shape(x, 1, element, index);
    unsigned d = operand(x, 0)->reg.number, m = operand(x, counted(x, 2))->reg.number, i = 0, size = s.count * element;
    vec r, mask;

    if (!x86emu_vector_usable(x))
        return;
    r = x->vcpu->zmm[d & 31];
    mask = x->vcpu->zmm[m & 31];
    if (!normalise_mask(&mask, &s,
                        x86emu_vector_size(x))) { /* a turn of its own: that stays when the first element faults */
        repeat(x);
        x86emu_vector_stage(x, m, &mask);
        return;
    }
    while (i < s.count && !(mask.u8[(i + 1) * element - 1] >> 7))
        i++;
    if (i < s.count) {
        uint8_t bytes[8];

        if (!x86emu_memory_read(x, element_address(x, &s, i), element, USE_UNALIGNED, bytes))
            return;
        copy_bytes(r.u8 + i * element, bytes, element);
        x86emu_vector_extend(x, d, &r, x86emu_vector_size(x));
        set_element(&mask, i, element, 0);
        for (i++; i < s.count && !(mask.u8[(i + 1) * element - 1] >> 7); i++)
            ;
        if (i < s.count)
            repeat(x);
    }
    if (!x->repeats) {
        mask = (vec){.u64 = {0}};
        x86emu_vector_extend(x, d, &r, size < 16 ? 16 : size);
        for (unsigned b = size; b < 16; b++)
            r.u8[b] = 0;
    }
    x86emu_vector_stage(x, d, &r);
    x86emu_vector_stage(x, m, &mask);
}

/* Bits of the mask above the elements become 0 only at the end. */
static void stage_mask_left(struct exec *x, unsigned k, uint64_t left, unsigned count)
{
    uint64_t above = x->repeats ? x->vcpu->k[k] >> count << count : 0;

    stage_register(x, X86EMU_STATE_OPMASK, &x->vcpu->k[k], left | above);
}

static NOINLINE void gather_evex(struct exec *x, unsigned element, unsigned index)
{
    struct sparse s = shape(x, 1, element, index);
    unsigned d = operand(x, 0)->reg.number, k = x->insn->evex & 7, i, size = s.count * element;
    uint64_t mask;
    vec r;

    if (!x86emu_vector_usable(x))
        return;
    r = x->vcpu->zmm[d & 31];
    mask = x86emu_vector_mask(x, s.count);
    if (mask != 0) {
        uint8_t bytes[8];

        i = (unsigned)__builtin_ctzll(mask);
        if (!x86emu_memory_read(x, element_address(x, &s, i), element, USE_UNALIGNED, bytes))
            return;
        copy_bytes(r.u8 + i * element, bytes, element);
        x86emu_vector_extend(x, d, &r, x86emu_vector_size(x));
        mask &= mask - 1;
        if (mask != 0)
            repeat(x);
    }
    if (!x->repeats) {
        x86emu_vector_extend(x, d, &r, size < 16 ? 16 : size);
        for (unsigned b = size; b < 16; b++)
            r.u8[b] = 0;
    }
    x86emu_vector_stage(x, d, &r);
    stage_mask_left(x, k, mask, s.count);
}

static NOINLINE void scatter(struct exec *x, unsigned element, unsigned index)
{
    struct sparse s = shape(x, 0, element, index);
    unsigned k = x->insn->evex & 7, i;
    uint64_t mask;
    vec v;

    if (!x86emu_vector_usable(x) || !x86emu_vector_load(x, 1, 0, ANYHOW, &v))
        return;
    mask = x86emu_vector_mask(x, s.count);
    if (mask != 0) {
        i = (unsigned)__builtin_ctzll(mask);
        x86emu_memory_store(x, element_address(x, &s, i), element, USE_UNALIGNED, v.u8 + i * element);
        mask &= mask - 1;
        if (mask != 0)
            repeat(x);
    }
    stage_mask_left(x, k, mask, s.count);
}

#define SPARSE(element, index)                                   \
    void x86emu_exec_gather_##element##_##index(struct exec *x)  \
    {                                                            \
        if (x->insn->encoding == X86EMU_ENCODING_EVEX)           \
            gather_evex(x, element, index);                      \
        else                                                     \
            gather_vex(x, element, index);                       \
    }                                                            \
                                                                 \
    void x86emu_exec_scatter_##element##_##index(struct exec *x) \
    {                                                            \
        scatter(x, element, index);                              \
    }

SPARSE(4, 4)
SPARSE(4, 8)
SPARSE(8, 4)
SPARSE(8, 8)

/* VGATHERPF, VSCATTERPF: hints. */
void x86emu_exec_sparse_prefetch(struct exec *x)
{
    x86emu_vector_usable(x);
}
