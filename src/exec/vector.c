/* SPDX-License-Identifier: BSD-2-Clause */
/* What vector instructions share: whether they may run, operands, masks (SDM Vol. 1, 10 to 15; Vol. 2, 2.4 to 2.7). */
#include "vector.h"

#include "x87.h"

#define XCR0_AVX UINT64_C(6)
#define XCR0_AVX512 UINT64_C(0xe6)

/* --- whether it may run ------------------------------------------------------------------------------------------- */

static bool has_register(struct exec *x, enum x86emu_reg_class reg_class)
{
    for (unsigned n = 0; n < 3; n++) {
        const struct x86emu_operand *op = operand(x, n);

        if (op->kind == X86EMU_OPERAND_REG && op->reg.reg_class == reg_class)
            return true;
    }
    return false;
}

bool x86emu_is_mmx(struct exec *x)
{
    if (x->insn->encoding != X86EMU_ENCODING_LEGACY && x->insn->encoding != X86EMU_ENCODING_3DNOW)
        return false;
    return has_register(x, X86EMU_REG_MMX);
}

static bool usable_vex(struct exec *x)
{
    uint64_t wanted = x->insn->encoding == X86EMU_ENCODING_EVEX ? XCR0_AVX512 : XCR0_AVX;

    if (!is_protected(x) || !(x->vcpu->cr4 & X86EMU_CR4_OSXSAVE)) {
        x86emu_raise(x, X86EMU_VECTOR_UD);
        return false;
    }
    if (!need(x, X86EMU_STATE_XCR0))
        return false;
    if ((x->vcpu->xcr0 & wanted) != wanted)
        x86emu_raise(x, X86EMU_VECTOR_UD);
    return !x->stopped;
}

/* MOVQ2DQ and its like, with registers of both kinds, need what SSE needs too. */
static bool usable_legacy(struct exec *x, bool mmx)
{
    bool sse = !mmx || has_register(x, X86EMU_REG_XMM);

    if (x->vcpu->cr0 & X86EMU_CR0_EM || (sse && !(x->vcpu->cr4 & X86EMU_CR4_OSFXSR)))
        x86emu_raise(x, X86EMU_VECTOR_UD);
    return !x->stopped;
}

bool x86emu_vector_usable(struct exec *x)
{
    bool vex = x->insn->encoding >= X86EMU_ENCODING_XOP, mmx = !vex && x86emu_is_mmx(x);

    if (vex ? !usable_vex(x) : !usable_legacy(x, mmx))
        return false;
    if (x->vcpu->cr0 & X86EMU_CR0_TS) {
        x86emu_raise(x, X86EMU_VECTOR_NM);
        return false;
    }
    if (mmx)
        return need(x, X86EMU_STATE_X87) && x86emu_x87_no_pending(x);
    return need(x, X86EMU_STATE_VECTOR | (x->insn->encoding == X86EMU_ENCODING_EVEX ? X86EMU_STATE_OPMASK : 0));
}

unsigned x86emu_vector_size(struct exec *x)
{
    if (x->insn->vector_length != 0)
        return x->insn->vector_length;
    return x86emu_is_mmx(x) ? 8 : 16;
}

/* --- masks -------------------------------------------------------------------------------------------------------- */

uint64_t x86emu_vector_mask(struct exec *x, unsigned count)
{
    uint64_t all = count == 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1;
    unsigned k = x->insn->encoding == X86EMU_ENCODING_EVEX ? x->insn->evex & 7 : 0;

    return k == 0 ? all : x->vcpu->k[k] & all;
}

/* The run of set bits at or above bit from: its first bit and length. */
static unsigned next_run(uint64_t mask, unsigned from, unsigned *length)
{
    uint64_t left = mask >> from;
    unsigned first = from + (unsigned)__builtin_ctzll(left);
    uint64_t run = ~(mask >> first);

    *length = run == 0 ? 64 : (unsigned)__builtin_ctzll(run);
    return first;
}

/* The parts of an operand follow each other beyond the address size's end, but for 4 GiB outside 64-bit mode. */
static struct logical at_byte(const struct exec *x, struct logical a, unsigned bytes)
{
    a.offset += bytes;
    if (x->mode != X86EMU_MODE_64)
        a.offset &= 0xffffffff;
    return a;
}

/* The segment is checked for all active elements before any page is. */
static bool segment_allows(struct exec *x, struct logical a, unsigned count, unsigned element, unsigned access,
                           uint64_t mask)
{
    unsigned length;
    uint64_t la;

    for (unsigned i = 0; i < count && mask >> i != 0; i += length) {
        i = next_run(mask, i, &length);
        if (!x86emu_linear(x, at_byte(x, a, i * element), length * element, access, &la))
            return false;
    }
    return true;
}

bool x86emu_masked_read(struct exec *x, struct logical a, unsigned count, unsigned element, uint64_t mask, vec *v)
{
    unsigned length;

    *v = (vec){.u64 = {0}};
    if (!segment_allows(x, a, count, element, X86EMU_ACCESS_READ, mask))
        return false;
    for (unsigned i = 0; i < count && mask >> i != 0; i += length) {
        i = next_run(mask, i, &length);
        if (!x86emu_memory_read(x, at_byte(x, a, i * element), length * element, USE_UNALIGNED, v->u8 + i * element))
            return false;
    }
    return true;
}

bool x86emu_masked_write(struct exec *x, struct logical a, unsigned count, unsigned element, uint64_t mask,
                         const vec *v)
{
    unsigned length;

    if (!segment_allows(x, a, count, element, X86EMU_ACCESS_WRITE, mask))
        return false;
    for (unsigned i = 0; i < count && mask >> i != 0; i += length) {
        i = next_run(mask, i, &length);
        if (!x86emu_memory_store(x, at_byte(x, a, i * element), length * element, USE_UNALIGNED, v->u8 + i * element))
            return false;
    }
    return true;
}

/* --- operands ----------------------------------------------------------------------------------------------------- */

bool x86emu_is_register(struct exec *x, unsigned n)
{
    return operand(x, counted(x, n))->kind == X86EMU_OPERAND_REG;
}

static void load_register(const struct exec *x, struct x86emu_reg reg, vec *v)
{
    *v = (vec){.u64 = {0}};
    if (reg.reg_class == X86EMU_REG_MMX)
        v->u64[0] = x->vcpu->x87.st[reg.number & 7].mantissa;
    else if (reg.reg_class == X86EMU_REG_MASK)
        v->u64[0] = x->vcpu->k[reg.number & 7];
    else
        *v = x->vcpu->zmm[reg.number & 31];
}

/* #GP(0) unless the operand lies as it must. */
static bool lies_well(struct exec *x, struct logical a, unsigned size, unsigned element,
                      enum vector_alignment alignment)
{
    bool legacy = x->insn->encoding == X86EMU_ENCODING_LEGACY;

    if (element != 0 && size > element && x86emu_vector_mask(x, size / element) == 0) /* nothing is accessed */
        return true;
    if (alignment == ANYHOW || (alignment == BY_ENCODING && (!legacy || size < 16)))
        return true;
    if (((a.offset + x86emu_segment_base(x, a.segment)) & (size - 1)) != 0)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return !x->stopped;
}

static void broadcast(vec *v, unsigned element, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        copy_bytes(v->u8 + i * element, v->u8, element);
}

bool x86emu_vector_load(struct exec *x, unsigned n, unsigned element, enum vector_alignment alignment, vec *v)
{
    const struct x86emu_operand *op = operand(x, counted(x, n));
    struct logical a;
    unsigned count;
    uint64_t mask;

    if (op->kind == X86EMU_OPERAND_REG) {
        load_register(x, op->reg, v);
        return true;
    }
    if (!x86emu_operand_address(x, counted(x, n), &a) || !lies_well(x, a, op->size, element, alignment))
        return false;
    *v = (vec){.u64 = {0}};
    if (op->broadcast != 0) {
        bool wanted = element == 0 || x86emu_vector_mask(x, op->broadcast) != 0;

        if (wanted && !x86emu_memory_read(x, a, op->size, USE_PLAIN, v))
            return false;
        broadcast(v, op->size, op->broadcast);
        return true;
    }
    if (element == 0)
        return x86emu_memory_read(x, a, op->size, USE_PLAIN, v);
    count = op->size > element ? op->size / element : 1;
    mask = x86emu_vector_mask(x, count);
    if (count > 1 && mask != (count == 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1))
        return x86emu_masked_read(x, a, count, element, mask, v);
    return mask == 0 || x86emu_memory_read(x, a, op->size, USE_PLAIN, v);
}

void x86emu_vector_stage(struct exec *x, unsigned number, const vec *v)
{
    struct x86emu_staged_vector *staged = &x->emu->transaction.vectors[x->vector_count];

    if (x->stopped || x->vector_count == 2) {
        x86emu_not_emulated(x, X86EMU_REASON_LIMIT);
        return;
    }
    staged->number = (uint8_t)(number & 31);
    staged->value = *v;
    x->vector_count++;
    x->staged |= X86EMU_STATE_VECTOR;
}

void x86emu_vector_extend(struct exec *x, unsigned number, vec *v, unsigned size)
{
    const vec *old = &x->vcpu->zmm[number & 31];
    bool legacy = x->insn->encoding == X86EMU_ENCODING_LEGACY;

    for (unsigned i = size; i < sizeof(*v); i++)
        v->u8[i] = legacy ? old->u8[i] : 0;
}

void x86emu_mmx_touched(struct exec *x)
{
    const uint16_t tag = 0, status = x->vcpu->x87.status & (uint16_t)~0x3800;

    x86emu_stage(x, X86EMU_STATE_X87, &x->vcpu->x87.tag, &tag, sizeof(tag));
    x86emu_stage(x, X86EMU_STATE_X87, &x->vcpu->x87.status, &status, sizeof(status));
}

static void store_mmx(struct exec *x, unsigned number, const vec *v)
{
    const uint16_t ones = 0xffff;

    x86emu_stage(x, X86EMU_STATE_X87, &x->vcpu->x87.st[number & 7].mantissa, v, 8);
    x86emu_stage(x, X86EMU_STATE_X87, &x->vcpu->x87.st[number & 7].exponent, &ones, sizeof(ones));
}

static void store_register(struct exec *x, struct x86emu_reg reg, const vec *v, unsigned size, unsigned element)
{
    vec r = *v;

    if (reg.reg_class == X86EMU_REG_MMX) {
        store_mmx(x, reg.number, v);
        return;
    }
    if (x->insn->encoding == X86EMU_ENCODING_EVEX && x->insn->evex & 7) {
        unsigned count = size / element;
        uint64_t mask = x86emu_vector_mask(x, count);
        bool zeroing = x->insn->evex & 0x80;

        for (unsigned i = 0; i < count; i++)
            if (!(mask >> i & 1))
                set_element(&r, i, element, zeroing ? 0 : element_of(&x->vcpu->zmm[reg.number & 31], i, element));
    }
    x86emu_vector_extend(x, reg.number, &r, size);
    x86emu_vector_stage(x, reg.number, &r);
}

void x86emu_vector_store(struct exec *x, unsigned n, const vec *v, unsigned size, unsigned element,
                         enum vector_alignment alignment)
{
    const struct x86emu_operand *op = operand(x, n);
    struct logical a;
    unsigned count;

    if (x->stopped)
        return;
    if (op->kind == X86EMU_OPERAND_REG) {
        store_register(x, op->reg, v, size, element);
        return;
    }
    if (!x86emu_operand_address(x, n, &a) || !lies_well(x, a, size, element, alignment))
        return;
    count = size / element;
    if (x->insn->encoding == X86EMU_ENCODING_EVEX && x->insn->evex & 7)
        x86emu_masked_write(x, a, count, element, x86emu_vector_mask(x, count), v);
    else
        x86emu_memory_write(x, a, size, v);
}

/* --- the common pattern ------------------------------------------------------------------------------------------- */

static void finish(struct exec *x, struct vector_op *op)
{
    if (x86emu_is_mmx(x))
        x86emu_mmx_touched(x);
    x86emu_vector_store(x, 0, &op->r, op->size, op->element, BY_ENCODING);
}

/* How much of a memory source is read: active elements, or all of it. */
static NOINLINE void binary(struct exec *x, unsigned element, bool whole, void (*f)(struct vector_op *op))
{
    bool legacy = x->insn->encoding == X86EMU_ENCODING_LEGACY;
    struct vector_op op = {.x = x, .element = element, .imm = vector_imm(x)};

    if (!x86emu_vector_usable(x))
        return;
    op.size = x86emu_vector_size(x);
    if (!x86emu_vector_load(x, legacy ? 0 : 1, element, ANYHOW, &op.a) ||
        !x86emu_vector_load(x, legacy ? 1 : 2, whole ? 0 : element, BY_ENCODING, &op.b))
        return;
    f(&op);
    finish(x, &op);
}

static NOINLINE void unary(struct exec *x, unsigned element, bool whole, void (*f)(struct vector_op *op))
{
    struct vector_op op = {.x = x, .element = element, .imm = vector_imm(x)};

    if (!x86emu_vector_usable(x))
        return;
    op.size = x86emu_vector_size(x);
    if (!x86emu_vector_load(x, 1, whole ? 0 : element, BY_ENCODING, &op.b))
        return;
    f(&op);
    finish(x, &op);
}

void x86emu_vector_binary(struct exec *x, unsigned element, void (*f)(struct vector_op *op))
{
    binary(x, element, false, f);
}

void x86emu_vector_unary(struct exec *x, unsigned element, void (*f)(struct vector_op *op))
{
    unary(x, element, false, f);
}

void x86emu_vector_binary_whole(struct exec *x, unsigned element, void (*f)(struct vector_op *op))
{
    binary(x, element, true, f);
}

void x86emu_vector_unary_whole(struct exec *x, unsigned element, void (*f)(struct vector_op *op))
{
    unary(x, element, true, f);
}
