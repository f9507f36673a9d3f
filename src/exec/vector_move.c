/* SPDX-License-Identifier: BSD-2-Clause */
/* Moves between vectors, memory and general registers (SDM Vol. 2, MOVAPS to MOVQ, PEXTR, PINSR, broadcasts). */
#include "flags.h"
#include "generated/functions.h"
#include "vector.h"

/* Whether all of a memory operand can be written, whatever its mask. False: stopped. */
static bool writable(struct exec *x, unsigned n, unsigned size)
{
    struct logical a;
    struct span span;

    return x86emu_operand_address(x, n, &a) &&
           x86emu_locate(x, a, size, X86EMU_ACCESS_WRITE, size > 8 ? USE_UNALIGNED : USE_PLAIN, &span);
}

/* --- whole vectors ------------------------------------------------------------------------------------------------ */

static NOINLINE void move(struct exec *x, unsigned element, enum vector_alignment alignment)
{
    bool mmx = x86emu_is_mmx(x);
    unsigned size;
    vec v;

    if (!x86emu_vector_usable(x))
        return;
    size = x86emu_vector_size(x);
    if (!x86emu_vector_load(x, 1, element, alignment, &v))
        return;
    if (mmx)
        x86emu_mmx_touched(x);
    x86emu_vector_store(x, 0, &v, size, element, alignment);
}

#define MOVE(name, element, alignment)           \
    void x86emu_exec_vmov_##name(struct exec *x) \
    {                                            \
        move(x, element, alignment);             \
    }

MOVE(aligned_4, 4, ALIGNED)
MOVE(aligned_8, 8, ALIGNED)
MOVE(1, 1, ANYHOW)
MOVE(2, 2, ANYHOW)
MOVE(4, 4, ANYHOW)
MOVE(8, 8, ANYHOW)

/* --- one element -------------------------------------------------------------------------------------------------- */

/* MOVD, MOVQ: the low element of vector, general register or memory; a vector's other elements become 0. */
void x86emu_exec_vmov_scalar(struct exec *x)
{
    bool mmx = x86emu_is_mmx(x), to_general, from_general;
    unsigned size;
    vec v = {.u64 = {0}};

    if (!x86emu_vector_usable(x))
        return;
    to_general = operand(x, 0)->reg.reg_class <= X86EMU_REG_GPR64 && x86emu_is_register(x, 0);
    from_general = operand(x, counted(x, 1))->reg.reg_class <= X86EMU_REG_GPR64 && x86emu_is_register(x, 1);
    if (from_general)
        v.u64[0] = read_operand(x, counted(x, 1));
    else if (!x86emu_vector_load(x, 1, 0, ANYHOW, &v))
        return;
    size = x86emu_is_register(x, 0) && !to_general ? operand_size(x, counted(x, 1)) : operand_size(x, 0);
    size = least(size, operand_size(x, counted(x, 1)));
    v = (vec){.u64 = {size >= 8 ? v.u64[0] : v.u64[0] & size_mask(size)}};
    if (mmx)
        x86emu_mmx_touched(x);
    if (to_general)
        write_operand(x, 0, v.u64[0]);
    else if (x86emu_is_register(x, 0))
        x86emu_vector_store(x, 0, &v, mmx ? 8 : 16, 8, ANYHOW);
    else
        x86emu_vector_store(x, 0, &v, size, size, ANYHOW);
}

/* VMOVW: two bytes, whatever the operand's register. */
void x86emu_exec_vmovw(struct exec *x)
{
    bool to_general, from_general;
    vec v = {.u64 = {0}};

    if (!x86emu_vector_usable(x))
        return;
    to_general = operand(x, 0)->reg.reg_class <= X86EMU_REG_GPR64 && x86emu_is_register(x, 0);
    from_general = operand(x, 1)->reg.reg_class <= X86EMU_REG_GPR64 && x86emu_is_register(x, 1);
    if (from_general)
        v.u64[0] = read_operand(x, 1);
    else if (!x86emu_vector_load(x, 1, 0, ANYHOW, &v))
        return;
    v = (vec){.u64 = {v.u64[0] & 0xffff}};
    if (to_general)
        write_operand(x, 0, v.u64[0]);
    else
        x86emu_vector_store(x, 0, &v, x86emu_is_register(x, 0) ? 16 : 2, 2, ANYHOW);
}

/* MOVSS, MOVSD, VMOVSH: between registers the other elements are those of the first source. */
static NOINLINE void move_low(struct exec *x, unsigned element)
{
    bool legacy = x->insn->encoding == X86EMU_ENCODING_LEGACY, three = !legacy && x86emu_is_register(x, 2);
    unsigned source = three ? 2 : 1;
    bool active;
    vec v, r = {.u64 = {0}};

    if (!x86emu_vector_usable(x) || !x86emu_vector_load(x, source, element, ANYHOW, &v))
        return;
    if (!x86emu_is_register(x, 0)) {
        x86emu_vector_store(x, 0, &v, element, element, ANYHOW);
        return;
    }
    if (x86emu_is_register(x, source) && !x86emu_vector_load(x, three ? 1 : 0, 0, ANYHOW, &r))
        return;
    active = x86emu_vector_mask(x, 1);
    if (active)
        copy_bytes(r.u8, v.u8, element);
    else if (x->insn->evex & 0x80)
        set_element(&r, 0, element, 0);
    else
        copy_bytes(r.u8, x->vcpu->zmm[operand(x, 0)->reg.number & 31].u8, element);
    x86emu_vector_extend(x, operand(x, 0)->reg.number, &r, 16);
    x86emu_vector_stage(x, operand(x, 0)->reg.number, &r);
}

void x86emu_exec_vmov_low_2(struct exec *x)
{
    move_low(x, 2);
}

void x86emu_exec_vmov_low_4(struct exec *x)
{
    move_low(x, 4);
}

void x86emu_exec_vmov_low_8(struct exec *x)
{
    move_low(x, 8);
}

/* --- halves ------------------------------------------------------------------------------------------------------- */

/* MOVLPS, MOVHPS and the PD forms: 8 bytes to or from one half; MOVHLPS, MOVLHPS from the other half of a register. */
static NOINLINE void move_half(struct exec *x, unsigned half)
{
    bool legacy = x->insn->encoding == X86EMU_ENCODING_LEGACY;
    unsigned source = legacy ? 1 : 2;
    vec v, r;

    if (!x86emu_vector_usable(x))
        return;
    if (!x86emu_is_register(x, 0)) {
        if (x86emu_vector_load(x, 1, 0, ANYHOW, &v)) {
            r.u64[0] = v.u64[half];
            x86emu_vector_store(x, 0, &r, 8, 8, ANYHOW);
        }
        return;
    }
    if (!x86emu_vector_load(x, legacy ? 0 : 1, 0, ANYHOW, &r) || !x86emu_vector_load(x, source, 0, ANYHOW, &v))
        return;
    r.u64[half] = x86emu_is_register(x, source) ? v.u64[1 - half] : v.u64[0];
    x86emu_vector_extend(x, operand(x, 0)->reg.number, &r, 16);
    x86emu_vector_stage(x, operand(x, 0)->reg.number, &r);
}

void x86emu_exec_vmov_half_low(struct exec *x)
{
    move_half(x, 0);
}

void x86emu_exec_vmov_half_high(struct exec *x)
{
    move_half(x, 1);
}

/* --- duplicates --------------------------------------------------------------------------------------------------- */

static NOINLINE void duplicate(struct vector_op *op, unsigned from, unsigned stride)
{
    for (unsigned i = 0; i < op->size / op->element; i++)
        set_element(&op->r, i, op->element, element_of(&op->b, i - i % stride + from, op->element));
}

static void sldup(struct vector_op *op)
{
    duplicate(op, 0, 2);
}

static void shdup(struct vector_op *op)
{
    duplicate(op, 1, 2);
}

void x86emu_exec_movsldup(struct exec *x)
{
    x86emu_vector_unary_whole(x, 4, sldup);
}

void x86emu_exec_movshdup(struct exec *x)
{
    x86emu_vector_unary_whole(x, 4, shdup);
}

/* The 128-bit form reads 8 bytes alone, and may read them anywhere. */
void x86emu_exec_movddup(struct exec *x)
{
    x86emu_vector_unary_whole(x, 8, sldup);
}

/* The source's first part, count bytes, over the whole vector. */
static void spread(struct vector_op *op)
{
    unsigned part = operand_size(op->x, counted(op->x, 1));

    if (x86emu_is_register(op->x, 1))
        part = op->imm;
    for (unsigned i = 0; i < op->size; i++)
        op->r.u8[i] = op->b.u8[i % part];
}

/* Reads the elements of the part that at least one active element of the result comes from. */
static bool read_part(struct exec *x, struct logical a, unsigned part, unsigned element, struct vector_op *op)
{
    uint64_t mask = x86emu_vector_mask(x, op->size / element), wanted = 0;
    unsigned count = part / element;

    for (unsigned i = 0; i < op->size / element; i++)
        wanted |= (mask >> i & 1) << i % count;
    if (wanted == (UINT64_C(1) << count) - 1)
        return x86emu_memory_read(x, a, part, USE_PLAIN, &op->b);
    return x86emu_masked_read(x, a, count, element, wanted, &op->b);
}

/* VBROADCAST, VPBROADCAST: part: bytes that are repeated; element: by which masks count. */
static NOINLINE void broadcast(struct exec *x, unsigned part, unsigned element)
{
    struct vector_op op = {.x = x, .element = element, .imm = part};
    bool general = x86emu_is_register(x, 1) && operand(x, counted(x, 1))->reg.reg_class <= X86EMU_REG_GPR64;

    if (!x86emu_vector_usable(x))
        return;
    op.size = x86emu_vector_size(x);
    if (general)
        op.b.u64[0] = read_operand(x, counted(x, 1));
    else if (x86emu_is_register(x, 1)) {
        if (!x86emu_vector_load(x, 1, 0, ANYHOW, &op.b))
            return;
    } else {
        struct logical a;

        if (!x86emu_operand_address(x, counted(x, 1), &a) || !read_part(x, a, part, element, &op))
            return;
    }
    spread(&op);
    x86emu_vector_store(x, 0, &op.r, op.size, element, ANYHOW);
}

#define BROADCAST(name, part, element)                \
    void x86emu_exec_broadcast_##name(struct exec *x) \
    {                                                 \
        broadcast(x, part, element);                  \
    }

BROADCAST(1, 1, 1)
BROADCAST(2, 2, 2)
BROADCAST(4, 4, 4)
BROADCAST(8, 8, 8)
BROADCAST(8_by_4, 8, 4)
BROADCAST(16_by_4, 16, 4)
BROADCAST(16_by_8, 16, 8)
BROADCAST(32_by_4, 32, 4)
BROADCAST(32_by_8, 32, 8)

/* --- elements to and from general registers ----------------------------------------------------------------------- */

/* PEXTRB to PEXTRQ, EXTRACTPS: an element to a general register, zero-extended, or to memory. */
static NOINLINE void extract(struct exec *x, unsigned element)
{
    bool mmx = x86emu_is_mmx(x);
    uint64_t value;
    vec v;

    if (!x86emu_vector_usable(x) || !x86emu_vector_load(x, 1, 0, ANYHOW, &v))
        return;
    value = element_of(&v, vector_imm(x) % ((mmx ? 8 : 16) / element), element);
    if (mmx)
        x86emu_mmx_touched(x);
    write_operand(x, 0, value);
}

/* PINSRB to PINSRQ. */
static NOINLINE void insert(struct exec *x, unsigned element)
{
    bool legacy = x->insn->encoding == X86EMU_ENCODING_LEGACY, mmx = x86emu_is_mmx(x);
    unsigned source = legacy ? 1 : 2, size = mmx ? 8 : 16;
    uint64_t value;
    vec v;

    if (!x86emu_vector_usable(x) || !x86emu_vector_load(x, legacy ? 0 : 1, 0, ANYHOW, &v))
        return;
    value = read_operand(x, counted(x, source));
    set_element(&v, vector_imm(x) % (size / element), element, value);
    if (mmx)
        x86emu_mmx_touched(x);
    x86emu_vector_store(x, 0, &v, size, element, ANYHOW);
}

#define EXTRACT_INSERT(element)                      \
    void x86emu_exec_pextr_##element(struct exec *x) \
    {                                                \
        extract(x, element);                         \
    }                                                \
                                                     \
    void x86emu_exec_pinsr_##element(struct exec *x) \
    {                                                \
        insert(x, element);                          \
    }

EXTRACT_INSERT(1)
EXTRACT_INSERT(2)
EXTRACT_INSERT(4)
EXTRACT_INSERT(8)

/* INSERTPS: bits 7:6 choose the source's element, 5:4 the place, 3:0 what becomes 0; memory has one element. */
void x86emu_exec_insertps(struct exec *x)
{
    bool legacy = x->insn->encoding == X86EMU_ENCODING_LEGACY;
    unsigned source = legacy ? 1 : 2, imm = vector_imm(x);
    vec v, r;

    if (!x86emu_vector_usable(x) || !x86emu_vector_load(x, legacy ? 0 : 1, 0, ANYHOW, &r) ||
        !x86emu_vector_load(x, source, 0, ANYHOW, &v))
        return;
    set_element(&r, imm >> 4 & 3, 4, element_of(&v, x86emu_is_register(x, source) ? imm >> 6 : 0, 4));
    for (unsigned i = 0; i < 4; i++)
        if (imm >> i & 1)
            set_element(&r, i, 4, 0);
    x86emu_vector_store(x, 0, &r, 16, 4, ANYHOW);
}

/* --- parts of vectors --------------------------------------------------------------------------------------------- */

/* VEXTRACTF128 and its kin: part bytes, counted by the immediate. */
static NOINLINE void extract_part(struct exec *x, unsigned part, unsigned element)
{
    unsigned size = x86emu_vector_size(x), at;
    vec v, r = {.u64 = {0}};

    if (!x86emu_vector_usable(x) || !x86emu_vector_load(x, 1, 0, ANYHOW, &v))
        return;
    at = vector_imm(x) % (size / part) * part;
    copy_bytes(r.u8, v.u8 + at, part);
    if (!x86emu_is_register(x, 0) && !writable(x, 0, part))
        return;
    x86emu_vector_store(x, 0, &r, part, element, ANYHOW);
}

static NOINLINE void insert_part(struct exec *x, unsigned part, unsigned element)
{
    unsigned size = x86emu_vector_size(x), at;
    vec v, r;

    if (!x86emu_vector_usable(x) || !x86emu_vector_load(x, 1, 0, ANYHOW, &r))
        return;
    if (x86emu_is_register(x, 2)) {
        if (!x86emu_vector_load(x, 2, 0, ANYHOW, &v))
            return;
    } else {
        struct logical a;

        if (!x86emu_operand_address(x, counted(x, 2), &a) || !x86emu_memory_read(x, a, part, USE_PLAIN, &v))
            return;
    }
    at = vector_imm(x) % (size / part) * part;
    copy_bytes(r.u8 + at, v.u8, part);
    x86emu_vector_store(x, 0, &r, size, element, ANYHOW);
}

#define PARTS(name, part, element)                   \
    void x86emu_exec_vextract_##name(struct exec *x) \
    {                                                \
        extract_part(x, part, element);              \
    }                                                \
                                                     \
    void x86emu_exec_vinsert_##name(struct exec *x)  \
    {                                                \
        insert_part(x, part, element);               \
    }

PARTS(16_by_4, 16, 4)
PARTS(16_by_8, 16, 8)
PARTS(32_by_4, 32, 4)
PARTS(32_by_8, 32, 8)

/* --- sign bits ---------------------------------------------------------------------------------------------------- */

static NOINLINE void sign_mask(struct exec *x, unsigned element)
{
    unsigned size = x86emu_vector_size(x);
    uint64_t mask = 0;
    vec v;

    if (!x86emu_vector_usable(x) || !x86emu_vector_load(x, 1, 0, ANYHOW, &v))
        return;
    for (unsigned i = 0; i < size / element; i++)
        mask |= (uint64_t)(v.u8[(i + 1) * element - 1] >> 7) << i;
    if (size == 8)
        x86emu_mmx_touched(x);
    write_operand(x, 0, mask);
}

void x86emu_exec_movmsk_1(struct exec *x)
{
    sign_mask(x, 1);
}

void x86emu_exec_movmsk_4(struct exec *x)
{
    sign_mask(x, 4);
}

void x86emu_exec_movmsk_8(struct exec *x)
{
    sign_mask(x, 8);
}

/* --- between MMX and XMM ------------------------------------------------------------------------------------------ */

void x86emu_exec_movq2dq(struct exec *x)
{
    vec v;

    if (!x86emu_vector_usable(x) || !need(x, X86EMU_STATE_VECTOR) || !x86emu_vector_load(x, 1, 0, ANYHOW, &v))
        return;
    v.u64[1] = 0;
    x86emu_mmx_touched(x);
    x86emu_vector_store(x, 0, &v, 16, 8, ANYHOW);
}

void x86emu_exec_movdq2q(struct exec *x)
{
    vec v;

    if (!x86emu_vector_usable(x) || !need(x, X86EMU_STATE_VECTOR) || !x86emu_vector_load(x, 1, 0, ANYHOW, &v))
        return;
    x86emu_mmx_touched(x);
    x86emu_vector_store(x, 0, &v, 8, 8, ANYHOW);
}

/* --- masked by sign bits ------------------------------------------------------------------------------------------ */

/* Bit i: the sign of element i. */
static uint64_t signs(const vec *v, unsigned count, unsigned element)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < count; i++)
        mask |= (uint64_t)(v->u8[((i + 1) * element - 1) & 63] >> 7) << i;
    return mask;
}

/* MASKMOVQ, MASKMOVDQU: bytes of operand 0 whose mask in operand 1 is set, to DS:rDI. */
void x86emu_exec_maskmov(struct exec *x)
{
    unsigned size = x86emu_is_mmx(x) ? 8 : 16;
    struct logical a;
    vec v, mask;

    if (!x86emu_vector_usable(x))
        return;
    x86emu_vector_load(x, 0, 0, ANYHOW, &v);
    x86emu_vector_load(x, 1, 0, ANYHOW, &mask);
    if (size == 8)
        x86emu_mmx_touched(x);
    if (x86emu_operand_address(x, 2, &a))
        x86emu_masked_write(x, a, size, 1, signs(&mask, size, 1), &v);
}

/* VMASKMOVPS, VPMASKMOVD and the 8-byte forms: load (with zeroes) or store. */
static NOINLINE void vmaskmov(struct exec *x, unsigned element)
{
    bool load = x86emu_is_register(x, 0);
    unsigned size = x86emu_vector_size(x), count = size / element;
    struct logical a;
    vec mask, v;

    if (!x86emu_vector_usable(x) || !x86emu_operand_address(x, counted(x, load ? 2 : 0), &a))
        return;
    x86emu_vector_load(x, 1, 0, ANYHOW, &mask);
    if (load) {
        if (x86emu_masked_read(x, a, count, element, signs(&mask, count, element), &v))
            x86emu_vector_store(x, 0, &v, size, element, ANYHOW);
    } else if (x86emu_vector_load(x, 2, 0, ANYHOW, &v)) {
        x86emu_masked_write(x, a, count, element, signs(&mask, count, element), &v);
    }
}

void x86emu_exec_vmaskmov_4(struct exec *x)
{
    vmaskmov(x, 4);
}

void x86emu_exec_vmaskmov_8(struct exec *x)
{
    vmaskmov(x, 8);
}

/* --- MXCSR, upper halves ------------------------------------------------------------------------------------------ */

#define MXCSR_KNOWN 0xffffu

void x86emu_exec_ldmxcsr(struct exec *x)
{
    uint32_t value;

    if (!x86emu_vector_usable(x))
        return;
    value = (uint32_t)read_operand(x, 0);
    if (value & ~MXCSR_KNOWN)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    x86emu_stage(x, X86EMU_STATE_VECTOR, &x->vcpu->mxcsr, &value, sizeof(value));
}

void x86emu_exec_stmxcsr(struct exec *x)
{
    if (x86emu_vector_usable(x))
        write_operand(x, 0, x->vcpu->mxcsr);
}

static void zero_registers(struct exec *x)
{
    unsigned keep = x->insn->vector_length == 32 ? 0 : 16; /* VZEROALL, VZEROUPPER */
    unsigned count = x->mode == X86EMU_MODE_64 ? 16 : 8;

    for (unsigned n = 0; n < count; n++)
        for (unsigned i = keep; i < 64; i++)
            x->vcpu->zmm[n].u8[i] = 0;
}

void x86emu_exec_vzero(struct exec *x)
{
    if (!x86emu_vector_usable(x))
        return;
    x->staged |= X86EMU_STATE_VECTOR;
    x->finish = zero_registers;
}
