/* SPDX-License-Identifier: BSD-2-Clause */
/* Integer vectors, element by element: logic, comparison, addition, shifts; PTEST. */
#include "flags.h"
#include "generated/functions.h"
#include "vector.h"

/* --- logic -------------------------------------------------------------------------------------------------------- */

#define LOGIC(name, expression)                          \
    static void op_##name(struct vector_op *op)          \
    {                                                    \
        for (unsigned i = 0; i < 8; i++) {               \
            uint64_t a = op->a.u64[i], b = op->b.u64[i]; \
                                                         \
            op->r.u64[i] = expression;                   \
        }                                                \
    }                                                    \
                                                         \
    void x86emu_exec_v##name##_4(struct exec *x)         \
    {                                                    \
        x86emu_vector_binary(x, 4, op_##name);           \
    }                                                    \
                                                         \
    void x86emu_exec_v##name##_8(struct exec *x)         \
    {                                                    \
        x86emu_vector_binary(x, 8, op_##name);           \
    }

LOGIC(and, a &b)
LOGIC(andn, ~a &b)
LOGIC(or, a | b)
LOGIC(xor, a ^ b)

/* VPTERNLOG: bit (a, b, c) of the immediate, a being the destination. */
static NOINLINE void ternary(struct exec *x, unsigned element)
{
    struct vector_op op = {.x = x, .element = element, .imm = vector_imm(x)};
    vec d;

    if (!x86emu_vector_usable(x))
        return;
    op.size = x86emu_vector_size(x);
    if (!x86emu_vector_load(x, 0, 0, ANYHOW, &d) || !x86emu_vector_load(x, 1, 0, ANYHOW, &op.a) ||
        !x86emu_vector_load(x, 2, element, ANYHOW, &op.b))
        return;
    op.r = (vec){.u64 = {0}};
    for (unsigned n = 0; n < 8; n++)
        for (unsigned i = 0; i < 8 && op.imm >> n & 1; i++)
            op.r.u64[i] |= (n & 4 ? d.u64[i] : ~d.u64[i]) & (n & 2 ? op.a.u64[i] : ~op.a.u64[i]) &
                           (n & 1 ? op.b.u64[i] : ~op.b.u64[i]);
    x86emu_vector_store(x, 0, &op.r, op.size, element, ANYHOW);
}

void x86emu_exec_vpternlog_4(struct exec *x)
{
    ternary(x, 4);
}

void x86emu_exec_vpternlog_8(struct exec *x)
{
    ternary(x, 8);
}

/* PTEST, VTESTPS, VTESTPD: ZF when a and b share no bit of mask, CF when b has none outside a. */
static NOINLINE void test(struct exec *x, uint64_t mask)
{
    uint64_t both = 0, outside = 0;
    unsigned size;
    vec a, b;

    if (!x86emu_vector_usable(x))
        return;
    size = x86emu_vector_size(x);
    if (!x86emu_vector_load(x, 0, 0, ANYHOW, &a) || !x86emu_vector_load(x, 1, 0, BY_ENCODING, &b))
        return;
    for (unsigned i = 0; i < size / 8; i++) {
        both |= a.u64[i] & b.u64[i] & mask;
        outside |= ~a.u64[i] & b.u64[i] & mask;
    }
    stage_flags(x, (both == 0 ? X86EMU_RFLAGS_ZF : 0u) | (outside == 0 ? X86EMU_RFLAGS_CF : 0u));
}

void x86emu_exec_ptest(struct exec *x)
{
    test(x, ~UINT64_C(0));
}

void x86emu_exec_vtestps(struct exec *x)
{
    test(x, UINT64_C(0x8000000080000000));
}

void x86emu_exec_vtestpd(struct exec *x)
{
    test(x, UINT64_C(0x8000000000000000));
}

/* --- element by element ------------------------------------------------------------------------------------------- */

typedef uint64_t element_function(uint64_t a, uint64_t b, unsigned size);

static NOINLINE void each(struct vector_op *op, element_function *f)
{
    op->r = (vec){.u64 = {0}};
    for (unsigned i = 0; i < op->size / op->element; i++)
        set_element(&op->r, i, op->element,
                    f(element_of(&op->a, i, op->element), element_of(&op->b, i, op->element), op->element));
}

static int64_t signed_of(uint64_t value, unsigned size)
{
    return (int64_t)sign_extend(value, size);
}

static uint64_t add(uint64_t a, uint64_t b, unsigned size)
{
    (void)size;
    return a + b;
}

static uint64_t sub(uint64_t a, uint64_t b, unsigned size)
{
    (void)size;
    return a - b;
}

static uint64_t clamp(int64_t value, unsigned size)
{
    int64_t most = (int64_t)(size_mask(size) >> 1);

    return (uint64_t)(value > most ? most : value < -most - 1 ? -most - 1 : value);
}

static uint64_t adds(uint64_t a, uint64_t b, unsigned size)
{
    return clamp(signed_of(a, size) + signed_of(b, size), size);
}

static uint64_t subs(uint64_t a, uint64_t b, unsigned size)
{
    return clamp(signed_of(a, size) - signed_of(b, size), size);
}

static uint64_t addus(uint64_t a, uint64_t b, unsigned size)
{
    return a + b > size_mask(size) ? size_mask(size) : a + b;
}

static uint64_t subus(uint64_t a, uint64_t b, unsigned size)
{
    (void)size;
    return a > b ? a - b : 0;
}

static uint64_t average(uint64_t a, uint64_t b, unsigned size)
{
    (void)size;
    return (a + b + 1) >> 1;
}

static uint64_t minu(uint64_t a, uint64_t b, unsigned size)
{
    (void)size;
    return a < b ? a : b;
}

static uint64_t maxu(uint64_t a, uint64_t b, unsigned size)
{
    (void)size;
    return a > b ? a : b;
}

static uint64_t mins(uint64_t a, uint64_t b, unsigned size)
{
    return signed_of(a, size) < signed_of(b, size) ? a : b;
}

static uint64_t maxs(uint64_t a, uint64_t b, unsigned size)
{
    return signed_of(a, size) > signed_of(b, size) ? a : b;
}

/* PSIGN: a, 0 or -a by b's sign. */
static uint64_t sign(uint64_t a, uint64_t b, unsigned size)
{
    return signed_of(b, size) < 0 ? 0 - a : b == 0 ? 0 : a;
}

/* PABS has one source, which is b. */
static uint64_t absolute(uint64_t a, uint64_t b, unsigned size)
{
    (void)a;
    return signed_of(b, size) < 0 ? 0 - b : b;
}

static uint64_t cmpeq(uint64_t a, uint64_t b, unsigned size)
{
    (void)size;
    return a == b ? ~UINT64_C(0) : 0;
}

static uint64_t cmpgt(uint64_t a, uint64_t b, unsigned size)
{
    return signed_of(a, size) > signed_of(b, size) ? ~UINT64_C(0) : 0;
}

#define EACH(f, element)                                      \
    static void op_##f##_##element(struct vector_op *op)      \
    {                                                         \
        each(op, f);                                          \
    }                                                         \
                                                              \
    void x86emu_exec_v##f##_##element(struct exec *x)         \
    {                                                         \
        x86emu_vector_binary(x, element, op_##f##_##element); \
    }

EACH(add, 1)
EACH(add, 2)
EACH(add, 4)
EACH(add, 8)
EACH(sub, 1)
EACH(sub, 2)
EACH(sub, 4)
EACH(sub, 8)
EACH(adds, 1)
EACH(adds, 2)
EACH(subs, 1)
EACH(subs, 2)
EACH(addus, 1)
EACH(addus, 2)
EACH(subus, 1)
EACH(subus, 2)
EACH(average, 1)
EACH(average, 2)
EACH(minu, 1)
EACH(minu, 2)
EACH(minu, 4)
EACH(minu, 8)
EACH(maxu, 1)
EACH(maxu, 2)
EACH(maxu, 4)
EACH(maxu, 8)
EACH(mins, 1)
EACH(mins, 2)
EACH(mins, 4)
EACH(mins, 8)
EACH(maxs, 1)
EACH(maxs, 2)
EACH(maxs, 4)
EACH(maxs, 8)
EACH(sign, 1)
EACH(sign, 2)
EACH(sign, 4)

#define ABSOLUTE(element)                                       \
    static void op_absolute_##element(struct vector_op *op)     \
    {                                                           \
        each(op, absolute);                                     \
    }                                                           \
                                                                \
    void x86emu_exec_vabs_##element(struct exec *x)             \
    {                                                           \
        x86emu_vector_unary(x, element, op_absolute_##element); \
    }

ABSOLUTE(1)
ABSOLUTE(2)
ABSOLUTE(4)
ABSOLUTE(8)

/* --- comparison: a vector of ones and zeroes, or with EVEX a mask register ----------------------------------------- */

static void compare(struct exec *x, unsigned element, element_function *f)
{
    struct vector_op op = {.x = x, .element = element};
    uint64_t mask, result = 0;

    if (!x86emu_vector_usable(x))
        return;
    op.size = x86emu_vector_size(x);
    if (!x86emu_vector_load(x, 1, 0, ANYHOW, &op.a) || !x86emu_vector_load(x, 2, element, ANYHOW, &op.b))
        return;
    mask = x86emu_vector_mask(x, op.size / element);
    for (unsigned i = 0; i < op.size / element; i++)
        result |= (uint64_t)(f(element_of(&op.a, i, element), element_of(&op.b, i, element), element) & 1) << i;
    stage_register(x, X86EMU_STATE_OPMASK, &x->vcpu->k[operand(x, 0)->reg.number & 7], result & mask);
}

#define COMPARE(f, element)                                       \
    static void op_##f##_##element(struct vector_op *op)          \
    {                                                             \
        each(op, f);                                              \
    }                                                             \
                                                                  \
    void x86emu_exec_v##f##_##element(struct exec *x)             \
    {                                                             \
        if (x->insn->encoding == X86EMU_ENCODING_EVEX)            \
            compare(x, element, f);                               \
        else                                                      \
            x86emu_vector_binary(x, element, op_##f##_##element); \
    }

COMPARE(cmpeq, 1)
COMPARE(cmpeq, 2)
COMPARE(cmpeq, 4)
COMPARE(cmpeq, 8)
COMPARE(cmpgt, 1)
COMPARE(cmpgt, 2)
COMPARE(cmpgt, 4)
COMPARE(cmpgt, 8)

/* VPCMP, VPCMPU: bits 2:0 of the immediate say how. */
static uint64_t ordered(bool equal, bool less, unsigned how)
{
    switch (how & 7) {
    case 0:
        return equal;
    case 1:
        return less;
    case 2:
        return less || equal;
    case 3:
        return 0;
    case 4:
        return !equal;
    case 5:
        return !less;
    case 6:
        return !less && !equal;
    default:
        return 1;
    }
}

static void compare_by_immediate(struct exec *x, unsigned element, bool is_signed)
{
    unsigned size, how = vector_imm(x);
    uint64_t mask, result = 0;
    vec a, b;

    if (!x86emu_vector_usable(x))
        return;
    size = x86emu_vector_size(x);
    if (!x86emu_vector_load(x, 1, 0, ANYHOW, &a) || !x86emu_vector_load(x, 2, element, ANYHOW, &b))
        return;
    mask = x86emu_vector_mask(x, size / element);
    for (unsigned i = 0; i < size / element; i++) {
        uint64_t p = element_of(&a, i, element), q = element_of(&b, i, element);
        bool less = is_signed ? signed_of(p, element) < signed_of(q, element) : p < q;

        result |= ordered(p == q, less, how) << i;
    }
    stage_register(x, X86EMU_STATE_OPMASK, &x->vcpu->k[operand(x, 0)->reg.number & 7], result & mask);
}

#define COMPARE_IMMEDIATE(element)                    \
    void x86emu_exec_vpcmp_##element(struct exec *x)  \
    {                                                 \
        compare_by_immediate(x, element, true);       \
    }                                                 \
                                                      \
    void x86emu_exec_vpcmpu_##element(struct exec *x) \
    {                                                 \
        compare_by_immediate(x, element, false);      \
    }

COMPARE_IMMEDIATE(1)
COMPARE_IMMEDIATE(2)
COMPARE_IMMEDIATE(4)
COMPARE_IMMEDIATE(8)

/* VPTESTM, VPTESTNM. */
static uint64_t testm(uint64_t a, uint64_t b, unsigned size)
{
    (void)size;
    return (a & b) != 0;
}

static uint64_t testnm(uint64_t a, uint64_t b, unsigned size)
{
    (void)size;
    return (a & b) == 0;
}

#define TEST_MASK(element)                              \
    void x86emu_exec_vptestm_##element(struct exec *x)  \
    {                                                   \
        compare(x, element, testm);                     \
    }                                                   \
                                                        \
    void x86emu_exec_vptestnm_##element(struct exec *x) \
    {                                                   \
        compare(x, element, testnm);                    \
    }

TEST_MASK(1)
TEST_MASK(2)
TEST_MASK(4)
TEST_MASK(8)
