/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows that few processors have, so that no comparison runs them: held against the manuals' pseudo-code, written again. */
#include "runner.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t samples[] = {0,
                                   1,
                                   2,
                                   3,
                                   0x7f,
                                   0x80,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   0x100000000,
                                   0x123456789abcdef0,
                                   0x8000000000000000,
                                   0x7fffffffffffffff,
                                   0xfffffffffffffffe,
                                   0xffffffffffffffff};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

/* --- TBM (APM Vol. 3): EAX or RAX from ECX or RCX ----------------------------------------------------------------- */

enum carry {
    CARRY_OF_INCREMENT,
    BORROW_OF_DECREMENT
};

static uint64_t blcfill(uint64_t a)
{
    return a & (a + 1);
}

static uint64_t blsfill(uint64_t a)
{
    return a | (a - 1);
}

static uint64_t blcs(uint64_t a)
{
    return a | (a + 1);
}

static uint64_t tzmsk(uint64_t a)
{
    return ~a & (a - 1);
}

static uint64_t blcic(uint64_t a)
{
    return ~a & (a + 1);
}

static uint64_t blsic(uint64_t a)
{
    return ~a | (a - 1);
}

static uint64_t t1mskc(uint64_t a)
{
    return ~a | (a + 1);
}

static uint64_t blcmsk(uint64_t a)
{
    return a ^ (a + 1);
}

static uint64_t blci(uint64_t a)
{
    return a | ~(a + 1);
}

static const struct tbm {
    const char *name;
    uint64_t (*value)(uint64_t);
    enum carry carry;
    uint8_t opcode, reg;
} tbm[] = {
    {"blcfill", blcfill, CARRY_OF_INCREMENT, 1, 1}, {"blsfill", blsfill, BORROW_OF_DECREMENT, 1, 2},
    {"blcs", blcs, CARRY_OF_INCREMENT, 1, 3},       {"tzmsk", tzmsk, BORROW_OF_DECREMENT, 1, 4},
    {"blcic", blcic, CARRY_OF_INCREMENT, 1, 5},     {"blsic", blsic, BORROW_OF_DECREMENT, 1, 6},
    {"t1mskc", t1mskc, CARRY_OF_INCREMENT, 1, 7},   {"blcmsk", blcmsk, CARRY_OF_INCREMENT, 2, 1},
    {"blci", blci, CARRY_OF_INCREMENT, 2, 6},
};

static struct world *make(const uint8_t *code, size_t size)
{
    struct world *world = malloc(sizeof(*world));

    world_init(world, X86EMU_MODE_64);
    world_code(world, code, size);
    return world;
}

static void retire(struct world *world)
{
    struct x86emu emu;

    x86emu_init(&emu, NULL);
    cr_assert_eq(run_step(world, &emu), X86EMU_RETIRED);
}

static void check_flag(const struct world *world, uint64_t flag, bool expected, const char *name)
{
    cr_assert_eq((world->vcpu.rflags & flag) != 0, expected, "%s: flag %llx", name, (unsigned long long)flag);
}

static void check_tbm(const struct tbm *row, uint64_t source, unsigned size)
{
    const uint8_t code[] = {0x8f, 0xe9, size == 8 ? 0xf8 : 0x78, row->opcode, (uint8_t)(0xc1 | row->reg << 3)};
    uint64_t mask = size == 8 ? UINT64_MAX : UINT32_MAX;
    struct world *world = make(code, sizeof(code));
    uint64_t expected = row->value(source) & mask;

    world->vcpu.gpr[X86EMU_RCX] = source;
    world->vcpu.rflags |= X86EMU_RFLAGS_OF;
    retire(world);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], expected, "%s of %llx", row->name, (unsigned long long)source);
    check_flag(world, X86EMU_RFLAGS_CF,
               row->carry == CARRY_OF_INCREMENT ? (source & mask) == mask : (source & mask) == 0, row->name);
    check_flag(world, X86EMU_RFLAGS_ZF, expected == 0, row->name);
    check_flag(world, X86EMU_RFLAGS_SF, expected >> (8 * size - 1) & 1, row->name);
    check_flag(world, X86EMU_RFLAGS_OF, false, row->name);
    free(world);
}

Test(absent, tbm)
{
    for (size_t row = 0; row < sizeof(tbm) / sizeof(tbm[0]); row++) {
        for (size_t i = 0; i < SAMPLES; i++) {
            check_tbm(&tbm[row], samples[i], 4);
            check_tbm(&tbm[row], samples[i], 8);
        }
    }
}

/* BEXTR with an immediate: start in bits 7:0, length in bits 15:8. */
Test(absent, tbm_bextr)
{
    for (unsigned start = 0; start < 72; start += 3) {
        for (unsigned length = 0; length < 72; length += 5) {
            const uint8_t code[] = {0x8f, 0xea, 0xf8, 0x10, 0xc1, (uint8_t)start, (uint8_t)length, 0, 0};
            struct world *world = make(code, sizeof(code));
            uint64_t expected = 0;

            world->vcpu.gpr[X86EMU_RCX] = 0x123456789abcdef0;
            for (unsigned bit = 0; bit < length && start + bit < 64; bit++)
                expected |= (UINT64_C(0x123456789abcdef0) >> (start + bit) & 1) << bit;
            retire(world);
            cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], expected, "start %u, length %u", start, length);
            check_flag(world, X86EMU_RFLAGS_ZF, expected == 0, "bextr");
            free(world);
        }
    }
}

/* --- CMPccXADD (SDM Vol. 2): [RBX], EAX or RAX, ECX or RCX -------------------------------------------------------- */

/* The condition that the opcode's low bits name, of comparing a with b as size bytes: from the meaning, not from flags. */
static bool condition_holds(unsigned code, uint64_t a, uint64_t b, unsigned size)
{
    unsigned shift = 64 - 8 * size;
    int64_t signed_a = (int64_t)(a << shift), signed_b = (int64_t)(b << shift);
    uint64_t difference = (a - b) << shift >> shift;
    bool negative = difference >> (8 * size - 1) & 1;
    bool holds = false;

    switch (code >> 1) {
    case 0:
        holds = negative != (signed_a < signed_b); /* overflow: the sign lies */
        break;
    case 1:
        holds = a << shift < b << shift;
        break;
    case 2:
        holds = difference == 0;
        break;
    case 3:
        holds = a << shift <= b << shift;
        break;
    case 4:
        holds = negative;
        break;
    case 5:
        holds = __builtin_popcount((unsigned)difference & 0xff) % 2 == 0;
        break;
    case 6:
        holds = signed_a < signed_b;
        break;
    case 7:
        holds = signed_a <= signed_b;
        break;
    }
    return holds != (code & 1);
}

static void check_cmpccxadd(unsigned code, uint64_t there, uint64_t compared, unsigned size)
{
    const uint8_t bytes[] = {0xc4, 0xe2, size == 8 ? 0xf1 : 0x71, (uint8_t)(0xe0 | code), 0x03};
    uint64_t mask = size == 8 ? UINT64_MAX : UINT32_MAX, added = 0x1234567890;
    struct world *world = make(bytes, sizeof(bytes));
    bool holds = condition_holds(code, there & mask, compared & mask, size);

    world->vcpu.gpr[X86EMU_RBX] = WORLD_DATA;
    world->vcpu.gpr[X86EMU_RAX] = compared;
    world->vcpu.gpr[X86EMU_RCX] = added;
    world_store(world, WORLD_DATA, there, 8);
    retire(world);
    cr_assert_eq(world_load(world, WORLD_DATA, size), (holds ? there + added : there) & mask,
                 "condition %u, %llx and %llx", code, (unsigned long long)there, (unsigned long long)compared);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], there & mask);
    check_flag(world, X86EMU_RFLAGS_ZF, ((there ^ compared) & mask) == 0, "cmpccxadd");
    check_flag(world, X86EMU_RFLAGS_CF, (there & mask) < (compared & mask), "cmpccxadd");
    free(world);
}

Test(absent, cmpccxadd)
{
    for (unsigned code = 0; code < 16; code++) {
        for (size_t i = 0; i < SAMPLES; i++) {
            for (size_t j = 0; j < SAMPLES; j++) {
                check_cmpccxadd(code, samples[i], samples[j], 4);
                check_cmpccxadd(code, samples[i], samples[j], 8);
            }
        }
    }
}

Test(absent, C19_cmpccxadd_must_be_aligned)
{
    const uint8_t bytes[] = {0xc4, 0xe2, 0x71, 0xe4, 0x03};
    struct world *world = make(bytes, sizeof(bytes));
    struct x86emu emu;

    world->vcpu.gpr[X86EMU_RBX] = WORLD_DATA + 2;
    x86emu_init(&emu, NULL);
    cr_assert_eq(run_step(world, &emu), X86EMU_EXCEPTION);
    cr_assert_eq(emu.outcome.exception.vector, X86EMU_VECTOR_GP);
    free(world);
}

/* --- AADD, AAND, AOR, AXOR (SDM Vol. 2): [RBX], ECX or RCX -------------------------------------------------------- */

static uint64_t remote_result(unsigned which, uint64_t a, uint64_t b)
{
    switch (which) {
    case 0:
        return a + b;
    case 1:
        return a & b;
    case 2:
        return a | b;
    default:
        return a ^ b;
    }
}

static void check_remote(unsigned which, uint64_t there, uint64_t value, unsigned size)
{
    static const uint8_t prefix[4] = {0x3e, 0x66, 0xf2, 0xf3}; /* 3E: no prefix that counts */
    const uint8_t code[] = {prefix[which], size == 8 ? 0x48 : 0x40, 0x0f, 0x38, 0xfc, 0x0b};
    uint64_t mask = size == 8 ? UINT64_MAX : UINT32_MAX;
    struct world *world = make(code, sizeof(code));
    uint64_t flags = world->vcpu.rflags;

    world->vcpu.gpr[X86EMU_RBX] = WORLD_DATA;
    world->vcpu.gpr[X86EMU_RCX] = value;
    world_store(world, WORLD_DATA, there, 8);
    retire(world);
    cr_assert_eq(world_load(world, WORLD_DATA, 8), (remote_result(which, there, value) & mask) | (there & ~mask));
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], value);
    cr_assert_eq(world->vcpu.rflags, flags);
    free(world);
}

Test(absent, remote_atomic_operations)
{
    for (unsigned which = 0; which < 4; which++) {
        for (size_t i = 0; i < SAMPLES; i++) {
            for (size_t j = 0; j < SAMPLES; j++) {
                check_remote(which, samples[i], samples[j], 4);
                check_remote(which, samples[i], samples[j], 8);
            }
        }
    }
}

/* --- LKGS (SDM Vol. 2) -------------------------------------------------------------------------------------------- */

Test(absent, lkgs_leaves_the_base_for_swapgs)
{
    const uint8_t code[] = {0xf2, 0x0f, 0x00, 0xf1}; /* LKGS CX */
    struct world *world = make(code, sizeof(code));

    world->vcpu.gdtr = (struct x86emu_table_register){.base = WORLD_DATA, .limit = 0x1f};
    world_store(world, WORLD_DATA + 0x18, 0x12cf93345678ffff, 8); /* data, base 12345678H */
    world->vcpu.gpr[X86EMU_RCX] = 0x18;
    world->vcpu.segment[X86EMU_GS].base = 0x1111;
    retire(world);
    cr_assert_eq(world->vcpu.segment[X86EMU_GS].selector, 0x18);
    cr_assert_eq(world->vcpu.segment[X86EMU_GS].base, 0x1111);
    cr_assert_eq(world->vcpu.kernel_gs_base, 0x12345678);
    free(world);
}
