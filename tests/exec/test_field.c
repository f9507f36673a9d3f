/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions on devices that made other emulators fail for somebody, each with the bytes that did it. */
#include "runner.h"

#include <criterion/criterion.h>
#include <string.h>

#define DEVICE (WORLD_DEVICE + 0x10)

/* RBX at a device register that holds 8081828384858687; RAX, RCX, RDX random; the carry set. */
static void on_device(struct world *world)
{
    struct x86emu_vcpu *vcpu = &world->vcpu;

    vcpu->gpr[X86EMU_RBX] = DEVICE;
    vcpu->gpr[X86EMU_RAX] = 0x1122334455667788;
    vcpu->gpr[X86EMU_RCX] = 0x0102030405060708;
    vcpu->gpr[X86EMU_RSP] = WORLD_STACK;
    vcpu->rflags |= X86EMU_RFLAGS_CF;
    world_store(world, DEVICE, 0x8081828384858687, 8);
}

/* The device saw these accesses: kind, address, size, value. */
static void expect(const struct world *world, unsigned n, unsigned kind, uint64_t address, unsigned size,
                   uint64_t value)
{
    cr_assert_lt(n, world->event_count, "only %u accesses", world->event_count);
    cr_assert_eq(world->event[n].kind, kind, "access %u: kind %u", n, world->event[n].kind);
    cr_assert_eq(world->event[n].address, address, "access %u: %llx", n, (unsigned long long)world->event[n].address);
    cr_assert_eq(world->event[n].size, size, "access %u: size %u", n, world->event[n].size);
    cr_assert_eq(world->event[n].value, value, "access %u: %llx", n, (unsigned long long)world->event[n].value);
}

static void expect_read(const struct world *world, unsigned size, uint64_t value)
{
    cr_assert_eq(world->event_count, 1);
    expect(world, 0, X86EMU_REQUEST_READ, DEVICE, size, value);
}

/* Read once, written once. */
static void expect_change(const struct world *world, unsigned size, uint64_t from, uint64_t to)
{
    cr_assert_eq(world->event_count, 2);
    expect(world, 0, X86EMU_REQUEST_READ, DEVICE, size, from);
    expect(world, 1, X86EMU_REQUEST_WRITE, DEVICE, size, to);
}

/* --- C2: TEST with an immediate, /0 and its alias /1 ---------------------------------------------------------------- */

static void check_test_32(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_read(world, 4, 0x84858687);
    cr_assert(!(world->vcpu.rflags & (X86EMU_RFLAGS_ZF | X86EMU_RFLAGS_CF | X86EMU_RFLAGS_OF)));
}

static void check_test_8(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_read(world, 1, 0x87);
    cr_assert(world->vcpu.rflags & X86EMU_RFLAGS_ZF, "87 and 10H");
}

Test(field, C2_test_immediate)
{
    const struct test_case cases[] = {
        {.name = "f7 /0", CODE(0xf7, 0x03, 0x80, 0, 0, 0), .check = check_test_32},
        {.name = "f7 /1", CODE(0xf7, 0x0b, 0x80, 0, 0, 0), .check = check_test_32},
        {.name = "f6 /0", CODE(0xf6, 0x03, 0x10), .check = check_test_8},
        {.name = "f6 /1", CODE(0xf6, 0x0b, 0x10), .check = check_test_8},
    };

    RUN_CASES(cases, X86EMU_MODE_64, on_device);
}

/* --- C3: TEST and XCHG with a register ------------------------------------------------------------------------------ */

static void check_xchg_8(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_change(world, 1, 0x87, 0x88);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x1122334455667787);
}

static void check_xchg_32(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_change(world, 4, 0x84858687, 0x55667788);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x84858687);
}

static void check_test_al(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_read(world, 1, 0x87);
    cr_assert(world->vcpu.rflags & X86EMU_RFLAGS_SF, "87H and 88H is 80H");
}

static void check_test_eax(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_read(world, 4, 0x84858687);
    cr_assert(!(world->vcpu.rflags & (X86EMU_RFLAGS_SF | X86EMU_RFLAGS_ZF)));
}

Test(field, C3_test_and_xchg)
{
    const struct test_case cases[] = {
        {.name = "84 test [rbx], al", CODE(0x84, 0x03), .check = check_test_al},
        {.name = "85 test [rbx], eax", CODE(0x85, 0x03), .check = check_test_eax},
        {.name = "86 xchg [rbx], al", CODE(0x86, 0x03), .check = check_xchg_8},
        {.name = "87 xchg [rbx], eax", CODE(0x87, 0x03), .check = check_xchg_32},
    };

    RUN_CASES(cases, X86EMU_MODE_64, on_device);
}

Test(field, C3_xchg_is_locked_without_a_prefix)
{
    static struct world world;
    static struct x86emu emu;
    enum x86emu_status status;

    world_init(&world, X86EMU_MODE_64);
    world_code(&world, (const uint8_t[]){0x87, 0x03}, 2);
    on_device(&world);
    x86emu_init(&emu, NULL);
    status = x86emu_step(&emu, &world.vcpu);
    while (status == X86EMU_REQUEST && emu.request.kind != X86EMU_REQUEST_RMW) {
        world_answer(&world, &emu.request);
        status = x86emu_complete(&emu, &world.vcpu);
    }
    cr_assert_eq(status, X86EMU_REQUEST);
    cr_assert(emu.request.flags & X86EMU_REQUEST_LOCKED);
    cr_assert_eq(emu.request.old_data.value & 0xffffffff, 0x84858687);
    cr_assert_eq(emu.request.data.value & 0xffffffff, 0x55667788);
}

/* --- C4: PUSH from and POP to a device ------------------------------------------------------------------------------ */

static void check_push(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_read(world, 8, 0x8081828384858687);
    cr_assert_eq(world_load(world, WORLD_STACK - 8, 8), 0x8081828384858687);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RSP], WORLD_STACK - 8);
}

static void something_to_pop(struct world *world)
{
    on_device(world);
    world_store(world, WORLD_STACK, 0x123456789abcdef0, 8);
}

static void check_pop(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    expect(world, 0, X86EMU_REQUEST_WRITE, DEVICE, 8, 0x123456789abcdef0);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RSP], WORLD_STACK + 8);
}

Test(field, C4_push_and_pop)
{
    const struct test_case cases[] = {
        {.name = "ff /6", CODE(0xff, 0x33), .check = check_push},
        {.name = "8f /0", CODE(0x8f, 0x03), .setup = something_to_pop, .check = check_pop},
    };

    RUN_CASES(cases, X86EMU_MODE_64, on_device);
}

/* --- C5, C11: string instructions keep the width; F2 repeats as F3 does --------------------------------------------- */

static void three_to_device(struct world *world)
{
    on_device(world);
    world->vcpu.gpr[X86EMU_RSI] = WORLD_DATA;
    world->vcpu.gpr[X86EMU_RDI] = DEVICE;
    world->vcpu.gpr[X86EMU_RCX] = 3;
    for (unsigned i = 0; i < 24; i++)
        world->ram[WORLD_DATA + i] = (uint8_t)(i + 1);
}

static void expect_elements(const struct world *world, unsigned size)
{
    cr_assert_eq(world->event_count, 3, "%u accesses", world->event_count);
    for (unsigned i = 0; i < 3; i++)
        expect(world, i, X86EMU_REQUEST_WRITE, DEVICE + size * i, size, world_load(world, WORLD_DATA + size * i, size));
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], 0);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RSI], WORLD_DATA + 3 * size);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDI], DEVICE + 3 * size);
}

static void check_movsw(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_elements(world, 2);
}

static void check_movsd(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_elements(world, 4);
}

static void check_movsq(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_elements(world, 8);
}

static void check_stosw(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 3);
    for (unsigned i = 0; i < 3; i++)
        expect(world, i, X86EMU_REQUEST_WRITE, DEVICE + 2 * i, 2, 0x7788);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], 0);
}

Test(field, C5_C6_C11_string_moves)
{
    const struct test_case cases[] = {
        {.name = "C5 f2 66 ab", CODE(0xf2, 0x66, 0xab), .setup = three_to_device, .check = check_stosw},
        {.name = "C5 f2 a5", CODE(0xf2, 0xa5), .setup = three_to_device, .check = check_movsd},
        {.name = "C6 rep movsw", CODE(0x66, 0xf3, 0xa5), .setup = three_to_device, .check = check_movsw},
        {.name = "C11 rep movsd", CODE(0xf3, 0xa5), .setup = three_to_device, .check = check_movsd},
        {.name = "C6 C11 rep movsq", CODE(0xf3, 0x48, 0xa5), .setup = three_to_device, .check = check_movsq},
    };

    RUN_CASES(cases, X86EMU_MODE_64, on_device);
}

/* --- C6: OR with a byte register; moffs with a 64-bit address -------------------------------------------------------- */

static void check_or(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_change(world, 1, 0x87, 0x8f);
    cr_assert(!(world->vcpu.rflags & X86EMU_RFLAGS_CF));
}

static void check_moffs_al(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_read(world, 1, 0x87);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x1122334455667787);
}

static void check_moffs_eax(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_read(world, 4, 0x84858687);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x84858687);
}

static void check_moffs_store_al(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    expect(world, 0, X86EMU_REQUEST_WRITE, DEVICE, 1, 0x88);
}

static void check_moffs_store_rax(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    expect(world, 0, X86EMU_REQUEST_WRITE, DEVICE, 8, 0x1122334455667788);
}

Test(field, C6_or_and_moffs)
{
    const struct test_case cases[] = {
        {.name = "08 or [rbx], cl", CODE(0x08, 0x0b), .check = check_or},
        {.name = "a0", CODE(0xa0, 0x10, 0, 8, 0, 0, 0, 0, 0), .check = check_moffs_al},
        {.name = "a1", CODE(0xa1, 0x10, 0, 8, 0, 0, 0, 0, 0), .check = check_moffs_eax},
        {.name = "a2", CODE(0xa2, 0x10, 0, 8, 0, 0, 0, 0, 0), .check = check_moffs_store_al},
        {.name = "REX.W a3", CODE(0x48, 0xa3, 0x10, 0, 8, 0, 0, 0, 0, 0), .check = check_moffs_store_rax},
    };

    RUN_CASES(cases, X86EMU_MODE_64, on_device);
}

/* --- C7: arithmetic with a memory destination ----------------------------------------------------------------------- */

static void check_add_16(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_change(world, 2, 0x8687, 0x8d8f);
}

static void check_sub_32(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_change(world, 4, 0x84858687, 0x84858687 - 0x05060708);
}

static void check_xor_64(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_change(world, 8, 0x8081828384858687, 0x8081828384858687 ^ 0x0102030405060708);
}

static void check_cmp_16(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_read(world, 2, 0x8687);
    cr_assert(!(world->vcpu.rflags & (X86EMU_RFLAGS_ZF | X86EMU_RFLAGS_CF)));
}

static void check_mov_16(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    expect(world, 0, X86EMU_REQUEST_WRITE, DEVICE, 2, 0x1234);
}

Test(field, C7_arithmetic_with_memory)
{
    const struct test_case cases[] = {
        {.name = "add [rbx], cx", CODE(0x66, 0x01, 0x0b), .check = check_add_16},
        {.name = "sub [rbx], ecx", CODE(0x29, 0x0b), .check = check_sub_32},
        {.name = "xor [rbx], rcx", CODE(0x48, 0x31, 0x0b), .check = check_xor_64},
        {.name = "cmp word [rbx], 1", CODE(0x66, 0x83, 0x3b, 0x01), .check = check_cmp_16},
        {.name = "mov word [rbx], 1234", CODE(0x66, 0xc7, 0x03, 0x34, 0x12), .check = check_mov_16},
    };

    RUN_CASES(cases, X86EMU_MODE_64, on_device);
}

/* --- C10: INS to memory, no help from the exit ---------------------------------------------------------------------- */

static void ins_to_device(struct world *world)
{
    on_device(world);
    world->vcpu.gpr[X86EMU_RDX] = 0x71;
    world->vcpu.gpr[X86EMU_RDI] = DEVICE;
    world->vcpu.gpr[X86EMU_RCX] = 2;
}

/* Ports give 5A here. Batched or not, the device and the port see two bytes each. */
static void check_ins(const struct world *world, const struct x86emu *emu)
{
    unsigned written = 0;

    (void)emu;
    for (unsigned i = 0; i < world->event_count; i++)
        if (world->event[i].kind == X86EMU_REQUEST_WRITE) {
            cr_assert_eq(world->event[i].address, DEVICE + written);
            cr_assert_eq(world->event[i].value, 0x5a);
            written++;
        }
    cr_assert_eq(written, 2);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], 0);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDI], DEVICE + 2);
}

Test(field, C10_F11_rep_insb_to_a_device)
{
    const struct test_case cases[] = {
        {.name = "f3 6c", CODE(0xf3, 0x6c), .setup = ins_to_device, .check = check_ins},
    };

    RUN_CASES(cases, X86EMU_MODE_64, on_device);
}

/* --- C12: control and status of SSE --------------------------------------------------------------------------------- */

static void sse_enabled(struct world *world)
{
    on_device(world);
    world->vcpu.cr4 |= X86EMU_CR4_OSFXSR;
    world->vcpu.mxcsr = 0x1f80;
    world_store(world, DEVICE, 0x1fa1, 4);
}

static void check_ldmxcsr(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_read(world, 4, 0x1fa1);
    cr_assert_eq(world->vcpu.mxcsr, 0x1fa1);
}

static void check_stmxcsr(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    expect(world, 0, X86EMU_REQUEST_WRITE, DEVICE, 4, 0x1f80);
}

Test(field, C12_mxcsr)
{
    const struct test_case cases[] = {
        {.name = "ldmxcsr [rbx]", CODE(0x0f, 0xae, 0x13), .setup = sse_enabled, .check = check_ldmxcsr},
        {.name = "stmxcsr [rbx]", CODE(0x0f, 0xae, 0x1b), .setup = sse_enabled, .check = check_stmxcsr},
    };

    RUN_CASES(cases, X86EMU_MODE_64, on_device);
}

/* --- C13: bit offsets beyond the operand ---------------------------------------------------------------------------- */

static void bit_37(struct world *world)
{
    on_device(world);
    world->vcpu.gpr[X86EMU_RCX] = 37; /* of a 32-bit operand: bit 5 of the next one, which holds 80818283 */
}

static void expect_bit(const struct world *world, uint64_t address, unsigned size, uint64_t from, uint64_t to, bool old)
{
    cr_assert_eq(world->event_count, 2);
    expect(world, 0, X86EMU_REQUEST_READ, address, size, from);
    expect(world, 1, X86EMU_REQUEST_WRITE, address, size, to);
    cr_assert_eq((world->vcpu.rflags & X86EMU_RFLAGS_CF) != 0, old, "CF is the old bit");
}

static void check_bts(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_bit(world, DEVICE + 4, 4, 0x80818283, 0x808182a3, false);
}

static void check_btr(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_bit(world, DEVICE - 4, 4, 0x40, 0, true);
}

static void check_btc(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_bit(world, DEVICE, 8, 0x8081828384858687, 0x808182a384858687, false);
}

static void bit_below(struct world *world)
{
    on_device(world);
    world->vcpu.gpr[X86EMU_RCX] = (uint64_t)-26; /* bit 6 of the operand before */
    world_store(world, DEVICE - 4, 0x40, 4);
}

static void lock_taken(struct world *world)
{
    bit_37(world);
    world_store(world, DEVICE + 4, 0x20, 4);
}

static void check_lock_taken(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    expect_bit(world, DEVICE + 4, 4, 0x20, 0x20, true);
}

Test(field, C13_bit_strings)
{
    const struct test_case cases[] = {
        {.name = "bts [rbx], ecx", CODE(0x0f, 0xab, 0x0b), .setup = bit_37, .check = check_bts},
        {.name = "btr [rbx], ecx", CODE(0x0f, 0xb3, 0x0b), .setup = bit_below, .check = check_btr},
        {.name = "btc [rbx], rcx", CODE(0x48, 0x0f, 0xbb, 0x0b), .setup = bit_37, .check = check_btc},
        {.name = "lock bts, free", CODE(0xf0, 0x0f, 0xab, 0x0b), .setup = bit_37, .check = check_bts},
        {.name = "lock bts, taken", CODE(0xf0, 0x0f, 0xab, 0x0b), .setup = lock_taken, .check = check_lock_taken},
    };

    RUN_CASES(cases, X86EMU_MODE_64, on_device);
}

/* --- C15: REP over pages, downwards, with short addresses, interrupted ---------------------------------------------- */

/* The device's two pages, from the last bytes of one into the other. */
static void over_the_page(struct world *world)
{
    on_device(world);
    world->vcpu.gpr[X86EMU_RSI] = WORLD_DATA;
    world->vcpu.gpr[X86EMU_RDI] = WORLD_DEVICE + 0xffe;
    world->vcpu.gpr[X86EMU_RCX] = 5;
    memcpy(world->ram + WORLD_DATA, "abcde", 5);
}

static void check_over_the_page(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 5);
    for (unsigned i = 0; i < 5; i++)
        expect(world, i, X86EMU_REQUEST_WRITE, WORLD_DEVICE + 0xffe + i, 1, "abcde"[i]);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDI], WORLD_DEVICE + 0x1003);
}

static void downwards(struct world *world)
{
    over_the_page(world);
    world->vcpu.rflags |= X86EMU_RFLAGS_DF;
    world->vcpu.gpr[X86EMU_RSI] = WORLD_DATA + 4;
    world->vcpu.gpr[X86EMU_RDI] = WORLD_DEVICE + 0x1002;
}

static void check_downwards(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 5);
    for (unsigned i = 0; i < 5; i++)
        expect(world, i, X86EMU_REQUEST_WRITE, WORLD_DEVICE + 0x1002 - i, 1, "edcba"[i]);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDI], WORLD_DEVICE + 0xffd);
}

/* Address size 32: the upper halves of the registers are ignored, and cleared where they are written. */
static void short_addresses(struct world *world)
{
    over_the_page(world);
    world->vcpu.gpr[X86EMU_RSI] |= UINT64_C(7) << 32;
    world->vcpu.gpr[X86EMU_RDI] |= UINT64_C(7) << 32;
    world->vcpu.gpr[X86EMU_RCX] |= UINT64_C(7) << 32;
}

Test(field, C15_rep_movsb)
{
    const struct test_case cases[] = {
        {.name = "over a page", CODE(0xf3, 0xa4), .setup = over_the_page, .check = check_over_the_page},
        {.name = "downwards", CODE(0xf3, 0xa4), .setup = downwards, .check = check_downwards},
        {.name = "address size 32", CODE(0x67, 0xf3, 0xa4), .setup = short_addresses, .check = check_over_the_page},
    };

    RUN_CASES(cases, X86EMU_MODE_64, on_device);
}

/* In real mode SI and DI wrap at 64 KiB. */
static void real_mode(struct world *world)
{
    over_the_page(world);
    world->vcpu.segment[X86EMU_ES].base = WORLD_DEVICE - 0xf000;
    world->vcpu.gpr[X86EMU_RDI] = 0xfffe;
    world->vcpu.segment[X86EMU_DS].base = WORLD_DATA;
    world->vcpu.gpr[X86EMU_RSI] = 0;
    world->vcpu.gpr[X86EMU_RCX] = 2;
}

static void check_real_mode(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 2);
    expect(world, 0, X86EMU_REQUEST_WRITE, WORLD_DEVICE + 0xffe, 1, 'a');
    expect(world, 1, X86EMU_REQUEST_WRITE, WORLD_DEVICE + 0xfff, 1, 'b');
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDI], 0);
}

Test(field, C15_C27_rep_movsb_with_16_bit_addresses)
{
    const struct test_case test = {
        .name = "real mode", .mode = X86EMU_MODE_16, CODE(0xf3, 0xa4), .setup = real_mode, .check = check_real_mode};

    run_case(&test);
}

/* Between two elements the caller has control, with registers that say how far it has come. */
Test(field, C15_interrupted_between_elements)
{
    static struct world world;
    static struct x86emu emu;
    const struct x86emu_config config = {.options = X86EMU_OPTION_NO_BATCH};

    world_init(&world, X86EMU_MODE_64);
    world_code(&world, (const uint8_t[]){0xf3, 0xa4}, 2);
    over_the_page(&world);
    x86emu_init(&emu, &config);
    for (unsigned done = 1; done <= 5; done++) {
        cr_assert_eq(run_step(&world, &emu), X86EMU_RETIRED);
        cr_assert_eq(world.event_count, done);
        cr_assert_eq(world.vcpu.gpr[X86EMU_RCX], 5 - done);
        cr_assert_eq(world.vcpu.gpr[X86EMU_RSI], WORLD_DATA + done);
        cr_assert_eq(world.vcpu.gpr[X86EMU_RDI], WORLD_DEVICE + 0xffe + done);
        cr_assert_eq(world.vcpu.rip, done < 5 ? WORLD_CODE : WORLD_CODE + 2);
        cr_assert_eq(emu.outcome.repeats, done < 5);
    }
}

/* --- C29: what to do with what is not emulated is the caller's choice ------------------------------------------------ */

static struct world refused;
static struct x86emu refuser;

/* SQRTSS is arithmetic: decoded, not emulated. */
static void refuse(void)
{
    const struct x86emu_vcpu before = (world_init(&refused, X86EMU_MODE_64), refused.vcpu);

    world_code(&refused, (const uint8_t[]){0xf3, 0x0f, 0x51, 0xca}, 4);
    x86emu_init(&refuser, NULL);
    cr_assert_eq(run_step(&refused, &refuser), X86EMU_NOT_EMULATED);
    cr_assert_eq(refuser.outcome.reason, X86EMU_REASON_NO_FUNCTION);
    cr_assert_eq(refused.vcpu.rip, before.rip, "stop: nothing has changed");
    cr_assert_eq(refuser.insn.length, 4);
    cr_assert(memcmp(refuser.bytes, refused.ram + WORLD_CODE, 4) == 0);
}

Test(field, C29_skip)
{
    refuse();
    refused.vcpu.rip += refuser.insn.length;
    refused.ram[WORLD_CODE + 4] = 0x90;
    cr_assert_eq(run_step(&refused, &refuser), X86EMU_RETIRED);
    cr_assert_eq(refused.vcpu.rip, WORLD_CODE + 5);
}

/* The gate of vector n leads to WORLD_CODE + 0x100 + n. */
static void build_gate(unsigned vector)
{
    const uint64_t handler = WORLD_CODE + 0x100 + vector;

    refused.vcpu.idtr = (struct x86emu_table_register){.base = WORLD_DATA, .limit = 0xfff};
    refused.vcpu.gdtr = (struct x86emu_table_register){.base = WORLD_DATA + 0x1000, .limit = 0xff};
    refused.vcpu.gpr[X86EMU_RSP] = WORLD_STACK;
    world_store(&refused, WORLD_DATA + 0x1000 + 8, UINT64_C(0x00209b0000000000), 8); /* 64-bit code at selector 8 */
    world_store(&refused, WORLD_DATA + 16 * vector, (handler & 0xffff) | 8 << 16 | UINT64_C(0x8e00) << 32, 8);
    world_store(&refused, WORLD_DATA + 16 * vector + 8, 0, 8);
}

static void inject(uint8_t vector, bool has_error_code)
{
    const struct x86emu_event event = {
        .kind = X86EMU_EVENT_EXCEPTION, .vector = vector, .has_error_code = has_error_code};
    enum x86emu_status status;

    build_gate(vector);
    status = x86emu_deliver(&refuser, &refused.vcpu, &event);
    while (status == X86EMU_REQUEST) {
        world_answer(&refused, &refuser.request);
        status = x86emu_complete(&refuser, &refused.vcpu);
    }
    cr_assert_eq(status, X86EMU_RETIRED);
    cr_assert_eq(refused.vcpu.rip, WORLD_CODE + 0x100u + vector);
    cr_assert_eq(world_load(&refused, refused.vcpu.gpr[X86EMU_RSP] + (has_error_code ? 8 : 0), 8), WORLD_CODE,
                 "the handler returns to the instruction");
}

Test(field, C29_inject_ud)
{
    refuse();
    inject(X86EMU_VECTOR_UD, false);
}

Test(field, C29_inject_gp)
{
    refuse();
    inject(X86EMU_VECTOR_GP, true);
}
