/* SPDX-License-Identifier: BSD-2-Clause */
/* Mask registers (SDM Vol. 2, KADD to KXOR; VPMOVM2, VPMOV2M, VPBROADCASTM). */
#include "flags.h"
#include "generated/functions.h"
#include "vector.h"

static uint64_t mask_register(struct exec *x, unsigned n)
{
    return need(x, X86EMU_STATE_OPMASK) ? x->vcpu->k[operand(x, n)->reg.number & 7] : 0;
}

static void stage_mask(struct exec *x, unsigned n, uint64_t value)
{
    stage_register(x, X86EMU_STATE_OPMASK, &x->vcpu->k[operand(x, n)->reg.number & 7], value);
}

/* Mask instructions are VEX-encoded and need AVX-512's state. */
static bool usable(struct exec *x)
{
    if (!x86emu_vector_usable(x))
        return false;
    if ((x->vcpu->xcr0 & 0xe6) != 0xe6)
        x86emu_raise(x, X86EMU_VECTOR_UD);
    return !x->stopped && need(x, X86EMU_STATE_OPMASK);
}

/* --- KMOV --------------------------------------------------------------------------------------------------------- */

static bool is_mask(struct exec *x, unsigned n)
{
    return x86emu_is_register(x, n) && operand(x, n)->reg.reg_class == X86EMU_REG_MASK;
}

static NOINLINE void kmov(struct exec *x, unsigned size)
{
    uint64_t value;

    if (!usable(x))
        return;
    value = is_mask(x, 1) ? mask_register(x, 1) : read_operand(x, 1);
    value &= size_mask(size);
    if (is_mask(x, 0))
        stage_mask(x, 0, value);
    else
        write_operand(x, 0, value);
}

/* --- logic -------------------------------------------------------------------------------------------------------- */

typedef uint64_t mask_function(uint64_t a, uint64_t b, unsigned bits);

static NOINLINE void binary(struct exec *x, unsigned size, mask_function *f)
{
    if (usable(x))
        stage_mask(x, 0,
                   f(mask_register(x, 1) & size_mask(size), mask_register(x, 2) & size_mask(size), 8 * size) &
                       size_mask(size));
}

static uint64_t f_kand(uint64_t a, uint64_t b, unsigned bits)
{
    (void)bits;
    return a & b;
}

static uint64_t f_kandn(uint64_t a, uint64_t b, unsigned bits)
{
    (void)bits;
    return ~a & b;
}

static uint64_t f_kor(uint64_t a, uint64_t b, unsigned bits)
{
    (void)bits;
    return a | b;
}

static uint64_t f_kxor(uint64_t a, uint64_t b, unsigned bits)
{
    (void)bits;
    return a ^ b;
}

static uint64_t f_kxnor(uint64_t a, uint64_t b, unsigned bits)
{
    (void)bits;
    return ~(a ^ b);
}

static uint64_t f_kadd(uint64_t a, uint64_t b, unsigned bits)
{
    (void)bits;
    return a + b;
}

static NOINLINE void knot(struct exec *x, unsigned size)
{
    if (usable(x))
        stage_mask(x, 0, ~mask_register(x, 1) & size_mask(size));
}

static NOINLINE void kshift(struct exec *x, unsigned size, bool left)
{
    unsigned count = vector_imm(x);
    uint64_t value;

    if (!usable(x))
        return;
    value = mask_register(x, 1) & size_mask(size);
    if (count >= 8 * size)
        value = 0;
    else
        value = left ? value << count : value >> count;
    stage_mask(x, 0, value & size_mask(size));
}

static NOINLINE void kortest(struct exec *x, unsigned size)
{
    uint64_t value;

    if (!usable(x))
        return;
    value = (mask_register(x, 0) | mask_register(x, 1)) & size_mask(size);
    stage_flags(x, (value == 0 ? X86EMU_RFLAGS_ZF : 0u) | (value == size_mask(size) ? X86EMU_RFLAGS_CF : 0u));
}

static NOINLINE void ktest(struct exec *x, unsigned size)
{
    uint64_t a, b;

    if (!usable(x))
        return;
    a = mask_register(x, 0);
    b = mask_register(x, 1);
    stage_flags(x, ((a & b & size_mask(size)) == 0 ? X86EMU_RFLAGS_ZF : 0u) |
                       ((~a & b & size_mask(size)) == 0 ? X86EMU_RFLAGS_CF : 0u));
}

#define MASK_BINARY(name, size)                      \
    void x86emu_exec_##name##_##size(struct exec *x) \
    {                                                \
        binary(x, size, f_##name);                   \
    }

#define MASK_SIZE(size)                             \
    MASK_BINARY(kand, size)                         \
    MASK_BINARY(kandn, size)                        \
    MASK_BINARY(kor, size)                          \
    MASK_BINARY(kxor, size)                         \
    MASK_BINARY(kxnor, size)                        \
    MASK_BINARY(kadd, size)                         \
                                                    \
    void x86emu_exec_kmov_##size(struct exec *x)    \
    {                                               \
        kmov(x, size);                              \
    }                                               \
                                                    \
    void x86emu_exec_knot_##size(struct exec *x)    \
    {                                               \
        knot(x, size);                              \
    }                                               \
                                                    \
    void x86emu_exec_kshiftl_##size(struct exec *x) \
    {                                               \
        kshift(x, size, true);                      \
    }                                               \
                                                    \
    void x86emu_exec_kshiftr_##size(struct exec *x) \
    {                                               \
        kshift(x, size, false);                     \
    }                                               \
                                                    \
    void x86emu_exec_kortest_##size(struct exec *x) \
    {                                               \
        kortest(x, size);                           \
    }                                               \
                                                    \
    void x86emu_exec_ktest_##size(struct exec *x)   \
    {                                               \
        ktest(x, size);                             \
    }

MASK_SIZE(1)
MASK_SIZE(2)
MASK_SIZE(4)
MASK_SIZE(8)

/* KUNPCK: the second source below, the first above. */
static NOINLINE void kunpack(struct exec *x, unsigned half)
{
    if (usable(x))
        stage_mask(x, 0, (mask_register(x, 1) & size_mask(half)) << 8 * half | (mask_register(x, 2) & size_mask(half)));
}

void x86emu_exec_kunpck_1(struct exec *x)
{
    kunpack(x, 1);
}

void x86emu_exec_kunpck_2(struct exec *x)
{
    kunpack(x, 2);
}

void x86emu_exec_kunpck_4(struct exec *x)
{
    kunpack(x, 4);
}

/* --- masks and vectors -------------------------------------------------------------------------------------------- */

static NOINLINE void mask_to_vector(struct exec *x, unsigned element)
{
    uint64_t mask;
    unsigned size;
    vec r;

    if (!x86emu_vector_usable(x))
        return;
    mask = mask_register(x, 1);
    size = x86emu_vector_size(x);
    for (unsigned i = 0; i < size / element; i++)
        set_element(&r, i, element, mask >> i & 1 ? ~UINT64_C(0) : 0);
    x86emu_vector_store(x, 0, &r, size, element, ANYHOW);
}

static NOINLINE void vector_to_mask(struct exec *x, unsigned element)
{
    uint64_t mask = 0;
    unsigned size;
    vec v;

    if (!x86emu_vector_usable(x) || !x86emu_vector_load(x, 1, 0, ANYHOW, &v))
        return;
    size = x86emu_vector_size(x);
    for (unsigned i = 0; i < size / element; i++)
        mask |= (uint64_t)(v.u8[(i + 1) * element - 1] >> 7) << i;
    stage_mask(x, 0, mask);
}

/* VPBROADCASTMB2Q, VPBROADCASTMW2D: the low bits of a mask as each element's value. */
static NOINLINE void broadcast_mask(struct exec *x, unsigned element, unsigned bytes)
{
    unsigned size;
    vec r;

    if (!x86emu_vector_usable(x))
        return;
    size = x86emu_vector_size(x);
    for (unsigned i = 0; i < size / element; i++)
        set_element(&r, i, element, mask_register(x, 1) & size_mask(bytes));
    x86emu_vector_store(x, 0, &r, size, element, ANYHOW);
}

#define MASK_VECTOR(element)                           \
    void x86emu_exec_vpmovm2_##element(struct exec *x) \
    {                                                  \
        mask_to_vector(x, element);                    \
    }                                                  \
                                                       \
    void x86emu_exec_vpmov2m_##element(struct exec *x) \
    {                                                  \
        vector_to_mask(x, element);                    \
    }

MASK_VECTOR(1)
MASK_VECTOR(2)
MASK_VECTOR(4)
MASK_VECTOR(8)

void x86emu_exec_vpbroadcastm_8(struct exec *x)
{
    broadcast_mask(x, 8, 1);
}

void x86emu_exec_vpbroadcastm_4(struct exec *x)
{
    broadcast_mask(x, 4, 2);
}
