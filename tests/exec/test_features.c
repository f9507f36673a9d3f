/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest whose CPUID lacks features gets #UD for their instructions, or the older instruction (SDM Vol. 3, 6.15). */
#include "runner.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct guest {
    struct world world;
    struct x86emu emu;
    struct x86emu_cache cache;
};

static struct guest *make(bool cached, const struct x86emu_features *features, const uint8_t *code, size_t size)
{
    struct guest *guest = calloc(1, sizeof(*guest));
    struct x86emu_config config = {
        .opaque = &guest->world, .cache = cached ? &guest->cache : NULL, .features = *features};

    cr_assert_not_null(guest);
    world_init(&guest->world, X86EMU_MODE_64);
    world_code(&guest->world, code, size);
    world_map(&guest->world, false, 8);
    config.map = &guest->world.map;
    x86emu_init(&guest->emu, &config);
    return guest;
}

static void step_again(struct guest *guest, enum x86emu_status status)
{
    guest->world.vcpu.rip = WORLD_CODE;
    cr_assert_eq(x86emu_step(&guest->emu, &guest->world.vcpu), status, "not %d", status);
}

static void expect_ud(struct guest *guest)
{
    uint64_t retired;

    step_again(guest, X86EMU_EXCEPTION);
    cr_assert_eq(guest->emu.outcome.exception.vector, X86EMU_VECTOR_UD);
    cr_assert_eq(guest->world.vcpu.rip, WORLD_CODE);
    cr_assert_eq(x86emu_steps(&guest->emu, &guest->world.vcpu, 5, &retired), X86EMU_EXCEPTION, "in a row as well");
    cr_assert_eq(retired, 0);
    cr_assert_eq(guest->emu.outcome.exception.vector, X86EMU_VECTOR_UD);
}

/* VMOVDQU32 zmm1, [RBX] */
static const uint8_t vmovdqu32[] = {0x62, 0xf1, 0x7e, 0x48, 0x6f, 0x0b};

static void without_avx512(bool cached)
{
    struct x86emu_features features = {{0}};
    struct guest *guest;

    x86emu_feature_remove(&features, X86EMU_FEATURE_AVX512F);
    guest = make(cached, &features, vmovdqu32, sizeof(vmovdqu32));
    guest->world.vcpu.gpr[X86EMU_RBX] = WORLD_DATA;
    expect_ud(guest);
    expect_ud(guest); /* also when the cache has it */
    free(guest);
}

Test(features, F2_guest_without_avx512_gets_ud)
{
    without_avx512(false);
    without_avx512(true);
}

/* The same cache before and after the guest's CPUID changes: what it holds is judged each time. */
Test(features, C1_cached_instructions_obey_a_new_cpuid)
{
    static const uint8_t popcnt[] = {0xf3, 0x0f, 0xb8, 0xc3}; /* POPCNT EAX, EBX */
    const struct x86emu_features all = {{0}};
    struct guest *guest = make(true, &all, popcnt, sizeof(popcnt));
    struct x86emu_config config = {.opaque = &guest->world, .cache = &guest->cache, .map = &guest->world.map};

    guest->world.vcpu.gpr[X86EMU_RBX] = 0xff;
    step_again(guest, X86EMU_RETIRED);
    cr_assert_eq(guest->world.vcpu.gpr[X86EMU_RAX], 8);
    x86emu_feature_remove(&config.features, X86EMU_FEATURE_POPCNT);
    x86emu_rebind(&guest->emu, &config);
    expect_ud(guest);
    config.features = all;
    x86emu_rebind(&guest->emu, &config);
    step_again(guest, X86EMU_RETIRED);
    free(guest);
}

/* SDM Vol. 2, LZCNT: without the feature the same bytes are BSR. 0x10: LZCNT finds 27 zeroes, BSR bit 4. */
Test(features, C1_guest_without_lzcnt_gets_bsr)
{
    static const uint8_t lzcnt[] = {0xf3, 0x0f, 0xbd, 0xc3}; /* LZCNT EAX, EBX */
    struct x86emu_features features = {{0}};

    for (unsigned cached = 0; cached < 2; cached++) {
        struct guest *with = make(cached, &(struct x86emu_features){{0}}, lzcnt, sizeof(lzcnt)), *without;

        x86emu_feature_remove(&features, X86EMU_FEATURE_LZCNT);
        without = make(cached, &features, lzcnt, sizeof(lzcnt));
        with->world.vcpu.gpr[X86EMU_RBX] = without->world.vcpu.gpr[X86EMU_RBX] = 0x10;
        step_again(with, X86EMU_RETIRED);
        step_again(without, X86EMU_RETIRED);
        cr_assert_eq(with->world.vcpu.gpr[X86EMU_RAX], 27);
        cr_assert_eq(without->world.vcpu.gpr[X86EMU_RAX], 4);
        free(with);
        free(without);
    }
}

/* #UD comes before the check of the privilege level (SDM Vol. 3, table 6-2). */
Test(features, F2_absent_comes_before_privileged)
{
    static const uint8_t xsetbv[] = {0x0f, 0x01, 0xd1};
    struct x86emu_features features = {{0}};
    struct guest *guest;

    x86emu_feature_remove(&features, X86EMU_FEATURE_XSAVE);
    guest = make(false, &features, xsetbv, sizeof(xsetbv));
    world_set_user(&guest->world);
    expect_ud(guest);
    free(guest);
}
