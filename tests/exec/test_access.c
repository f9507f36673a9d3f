/* SPDX-License-Identifier: BSD-2-Clause */
/* One instruction against RAM, a device, or both: what is read, written, asked for, and in which order. */
#include "runner.h"

#include <criterion/criterion.h>

static const struct world_event *only_event(const struct world *world)
{
    cr_assert_eq(world->event_count, 1);
    return &world->event[0];
}

static void expect_event(const struct world_event *event, unsigned kind, uint64_t address, unsigned size,
                         uint64_t value)
{
    cr_assert_eq(event->kind, kind);
    cr_assert_eq(event->address, address);
    cr_assert_eq(event->size, size);
    cr_assert_eq(event->value, value, "value %llx", (unsigned long long)event->value);
}

static void rbx_is_device(struct world *world)
{
    world->vcpu.gpr[X86EMU_RBX] = WORLD_DEVICE + 0x10;
    world->vcpu.gpr[X86EMU_RAX] = 0x1122334455667788;
    world_store(world, WORLD_DEVICE + 0x10, 0x8081828384858687, 8);
}

/* --- F9, F10: the instruction determines the size ----------------------------------------------------------------- */

static void check_store_8(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_event(only_event(world), X86EMU_REQUEST_WRITE, WORLD_DEVICE + 0x10, 1, 0x88);
}

static void check_store_16(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_event(only_event(world), X86EMU_REQUEST_WRITE, WORLD_DEVICE + 0x10, 2, 0x7788);
}

static void check_store_32(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_event(only_event(world), X86EMU_REQUEST_WRITE, WORLD_DEVICE + 0x10, 4, 0x55667788);
}

static void check_store_64(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_event(only_event(world), X86EMU_REQUEST_WRITE, WORLD_DEVICE + 0x10, 8, 0x1122334455667788);
}

Test(access, F9_mov_store_sizes)
{
    const struct test_case cases[] = {
        {.name = "mov [rbx], al", CODE(0x88, 0x03), .check = check_store_8},
        {.name = "mov [rbx], ax", CODE(0x66, 0x89, 0x03), .check = check_store_16},
        {.name = "mov [rbx], eax", CODE(0x89, 0x03), .check = check_store_32},
        {.name = "mov [rbx], rax", CODE(0x48, 0x89, 0x03), .check = check_store_64},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_case test = cases[i];

        test.mode = X86EMU_MODE_64;
        test.setup = rbx_is_device;
        run_case(&test);
    }
}

static void check_movzx(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_event(only_event(world), X86EMU_REQUEST_READ, WORLD_DEVICE + 0x10, 1, 0x87);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x87);
}

static void check_movsx(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_event(only_event(world), X86EMU_REQUEST_READ, WORLD_DEVICE + 0x10, 2, 0x8687);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0xffffffffffff8687);
}

Test(access, F10_movzx_movsx)
{
    const struct test_case zero = {.name = "movzx eax, byte [rbx]",
                                   .mode = X86EMU_MODE_64,
                                   CODE(0x0f, 0xb6, 0x03),
                                   .setup = rbx_is_device,
                                   .check = check_movzx};
    const struct test_case sign = {.name = "movsx rax, word [rbx]",
                                   .mode = X86EMU_MODE_64,
                                   CODE(0x48, 0x0f, 0xbf, 0x03),
                                   .setup = rbx_is_device,
                                   .check = check_movsx};

    run_case(&zero);
    run_case(&sign);
}

/* --- C14: answered late or at once, an add happens once ------------------------------------------------------------ */

static void device_is_all_ones(struct world *world)
{
    world->vcpu.gpr[X86EMU_RBX] = WORLD_DEVICE + 0x10;
    world_store(world, WORLD_DEVICE + 0x10, 0xffffffff, 4);
}

static void check_add_once(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 2);
    expect_event(&world->event[0], X86EMU_REQUEST_READ, WORLD_DEVICE + 0x10, 4, 0xffffffff);
    expect_event(&world->event[1], X86EMU_REQUEST_WRITE, WORLD_DEVICE + 0x10, 4, 0);
    cr_assert(world->vcpu.rflags & X86EMU_RFLAGS_CF);
    cr_assert(world->vcpu.rflags & X86EMU_RFLAGS_ZF);
}

Test(access, C14_add_to_device_happens_once)
{
    const struct test_case test = {.name = "add dword [rbx], 1",
                                   .mode = X86EMU_MODE_64,
                                   CODE(0x83, 0x03, 0x01),
                                   .setup = device_is_all_ones,
                                   .check = check_add_once};

    run_case(&test);
}

/* --- F12: RAM on one side, a device on the other ------------------------------------------------------------------- */

static void rbx_before_device(struct world *world)
{
    world->vcpu.gpr[X86EMU_RBX] = WORLD_REMAPPED + 0xffe;
    world->vcpu.gpr[X86EMU_RAX] = 0x44332211;
    world_store(world, WORLD_DATA + 0xffe, 0xbbaa, 2);
    world_store(world, WORLD_DEVICE, 0xddcc, 2);
}

static void check_crossing_store(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world_load(world, WORLD_DATA + 0xffe, 2), 0x2211);
    expect_event(only_event(world), X86EMU_REQUEST_WRITE, WORLD_DEVICE, 2, 0x4433);
}

static void check_crossing_load(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_event(only_event(world), X86EMU_REQUEST_READ, WORLD_DEVICE, 2, 0xddcc);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0xddccbbaa);
}

Test(access, F12_from_ram_into_device)
{
    const struct test_case store = {.name = "mov [rbx], eax over RAM and device",
                                    .mode = X86EMU_MODE_64,
                                    CODE(0x89, 0x03),
                                    .setup = rbx_before_device,
                                    .check = check_crossing_store};
    const struct test_case load = {.name = "mov eax, [rbx] over RAM and device",
                                   .mode = X86EMU_MODE_64,
                                   CODE(0x8b, 0x03),
                                   .setup = rbx_before_device,
                                   .check = check_crossing_load};

    run_case(&store);
    run_case(&load);
}

/* --- F11: MOVS with both operands in a device ----------------------------------------------------------------------- */

static void device_to_device(struct world *world)
{
    world->vcpu.gpr[X86EMU_RSI] = WORLD_DEVICE;
    world->vcpu.gpr[X86EMU_RDI] = WORLD_DEVICE + 0x100;
    world->vcpu.gpr[X86EMU_RCX] = 3;
}

static void check_device_to_device(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 6);
    for (unsigned i = 0; i < 3; i++) {
        expect_event(&world->event[2 * i], X86EMU_REQUEST_READ, WORLD_DEVICE + i, 1, (0xd0 + i * 7) & 0xff);
        expect_event(&world->event[2 * i + 1], X86EMU_REQUEST_WRITE, WORLD_DEVICE + 0x100 + i, 1,
                     (0xd0 + i * 7) & 0xff);
    }
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], 0);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RSI], WORLD_DEVICE + 3);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDI], WORLD_DEVICE + 0x103);
}

Test(access, F11_movs_device_to_device)
{
    const struct test_case test = {.name = "rep movsb, device to device",
                                   .mode = X86EMU_MODE_64,
                                   CODE(0xf3, 0xa4),
                                   .setup = device_to_device,
                                   .check = check_device_to_device};

    run_case(&test);
}
