/* SPDX-License-Identifier: BSD-2-Clause */
/* Vector, x87 and save-area accesses to devices and absent pages: how often, how wide, in which order, what is left. */
#include "runner.h"

#include <criterion/criterion.h>
#include <string.h>

static void vectors_enabled(struct world *world)
{
    struct x86emu_vcpu *vcpu = &world->vcpu;

    vcpu->cr4 |= X86EMU_CR4_OSFXSR | X86EMU_CR4_OSXSAVE;
    vcpu->xcr0 = 0xe7;
    vcpu->mxcsr = 0x1f80;
    vcpu->x87 = (struct x86emu_x87){.control = 0x37f, .tag = 0xffff};
    vcpu->gpr[X86EMU_RBX] = WORLD_DEVICE + 0x40;
    for (unsigned n = 0; n < 32; n++)
        for (unsigned i = 0; i < 64; i++)
            vcpu->zmm[n].u8[i] = (uint8_t)(n * 64 + i + 1);
    for (unsigned i = 0; i < WORLD_DEVICE_SIZE; i++)
        world->device[i] = (uint8_t)(i * 7 + 3);
}

static unsigned bytes_seen(const struct world *world, unsigned kind)
{
    unsigned bytes = 0;

    for (unsigned i = 0; i < world->event_count; i++)
        bytes += world->event[i].kind == kind ? world->event[i].size : 0;
    return bytes;
}

/* --- C9: width ---------------------------------------------------------------------------------------------------- */

static const uint8_t store_64[] = {0x62, 0xf1, 0xfe, 0x48, 0x7f, 0x0b}; /* vmovdqu64 [rbx], zmm1 */

static void store_zmm(struct world *world, struct x86emu *emu, bool mapped, bool handed_on, unsigned width)
{
    struct x86emu_config config = {.maxphyaddr = 46};

    world_init(world, X86EMU_MODE_64);
    world_code(world, store_64, sizeof(store_64));
    vectors_enabled(world);
    if (mapped) {
        world_map(world, handed_on, width);
        config.map = &world->map;
    }
    x86emu_init(emu, &config);
    cr_assert_eq(run_step(world, emu), X86EMU_RETIRED);
}

Test(vector, C9_wide_store_is_one_access_up_to_the_devices_width)
{
    static struct world world;
    static struct x86emu emu;
    static const struct {
        bool mapped, handed_on;
        unsigned width, count;
    } cases[] = {{false, false, 0, 1}, {true, false, 64, 1}, {true, true, 64, 1},
                 {true, false, 16, 4}, {true, true, 16, 4},  {true, false, 8, 8}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        store_zmm(&world, &emu, cases[i].mapped, cases[i].handed_on, cases[i].width);
        cr_assert_eq(world.event_count, cases[i].count, "case %zu: %u accesses", i, world.event_count);
        for (unsigned n = 0; n < world.event_count; n++)
            cr_assert_eq(world.event[n].address, WORLD_DEVICE + 0x40 + 64 / cases[i].count * n, "in order");
        cr_assert(memcmp(world.device + 0x40, &world.vcpu.zmm[1], 64) == 0);
    }
}

/* --- F12, C12: on both sides of a page's end ------------------------------------------------------------------------ */

static void half_in_ram(struct world *world)
{
    vectors_enabled(world);
    world->vcpu.gpr[X86EMU_RBX] = WORLD_REMAPPED_DEVICE - 32;
}

static void check_half_in_ram(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert(memcmp(world->ram + WORLD_DATA + 0x1000 - 32, world->vcpu.zmm[1].u8, 32) == 0);
    cr_assert(memcmp(world->device, world->vcpu.zmm[1].u8 + 32, 32) == 0);
    cr_assert_eq(bytes_seen(world, X86EMU_REQUEST_WRITE), 32);
}

static void half_absent(struct world *world)
{
    vectors_enabled(world);
    world->vcpu.gpr[X86EMU_RBX] = WORLD_ABSENT - 32;
}

static void check_half_absent(const struct world *world, const struct x86emu *emu)
{
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_PF);
    cr_assert_eq(emu->outcome.exception.cr2, WORLD_ABSENT);
    cr_assert_eq(world->event_count, 0, "nothing is written before all is checked");
}

/* --- masks -------------------------------------------------------------------------------------------------------- */

static void mask_5(struct world *world)
{
    vectors_enabled(world);
    world->vcpu.k[1] = 0x8005;
}

static void check_mask_5(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 3, "bytes 0, 2 and 15 alone");
    cr_assert_eq(world->event[0].address, WORLD_DEVICE + 0x40);
    cr_assert_eq(world->event[1].address, WORLD_DEVICE + 0x42);
    cr_assert_eq(world->event[2].address, WORLD_DEVICE + 0x4f);
    cr_assert_eq(world->event[1].value, world->vcpu.zmm[1].u8[2]);
}

static void mask_hides_read_only(struct world *world)
{
    vectors_enabled(world);
    world->vcpu.gpr[X86EMU_RBX] = WORLD_READ_ONLY - 4;
    world->vcpu.k[1] = 0xf;
}

static void check_up_to_page_end(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(bytes_seen(world, X86EMU_REQUEST_WRITE), 4);
    cr_assert(memcmp(world->device + 0xffc, world->vcpu.zmm[1].u8, 4) == 0);
}

static void nothing_active(struct world *world)
{
    vectors_enabled(world);
    world->vcpu.k[1] = 0;
    world->vcpu.gpr[X86EMU_RBX] = WORLD_ABSENT;
}

static void check_no_access(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 0);
}

static void unaligned(struct world *world)
{
    vectors_enabled(world);
    world->vcpu.gpr[X86EMU_RBX] = WORLD_DEVICE + 8;
}

static void bytes_by_sign(struct world *world)
{
    vectors_enabled(world);
    world->vcpu.gpr[X86EMU_RDI] = WORLD_DEVICE;
    memset(world->vcpu.zmm[2].u8, 0, 16);
    world->vcpu.zmm[2].u8[3] = world->vcpu.zmm[2].u8[9] = 0x80;
}

static void check_bytes_by_sign(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 2);
    cr_assert_eq(world->event[0].address, WORLD_DEVICE + 3);
    cr_assert_eq(world->event[1].address, WORLD_DEVICE + 9);
}

Test(vector, F12_C12_C20_moves_and_masks)
{
    const struct test_case cases[] = {
        {.name = "half in RAM",
         CODE(0x62, 0xf1, 0xfe, 0x48, 0x7f, 0x0b),
         .setup = half_in_ram,
         .check = check_half_in_ram},
        {.name = "half absent",
         CODE(0x62, 0xf1, 0xfe, 0x48, 0x7f, 0x0b),
         .setup = half_absent,
         .status = X86EMU_EXCEPTION,
         .check = check_half_absent},
        {.name = "vmovdqu8 [rbx]{k1}, xmm1",
         CODE(0x62, 0xf1, 0x7f, 0x09, 0x7f, 0x0b),
         .setup = mask_5,
         .check = check_mask_5},
        {.name = "a masked part in a read-only page",
         CODE(0x62, 0xf1, 0x7f, 0x09, 0x7f, 0x0b),
         .setup = mask_hides_read_only,
         .check = check_up_to_page_end},
        {.name = "nothing active",
         CODE(0x62, 0xf1, 0x7f, 0x09, 0x7f, 0x0b),
         .setup = nothing_active,
         .check = check_no_access},
        {.name = "movdqa, not aligned",
         CODE(0x66, 0x0f, 0x6f, 0x0b),
         .setup = unaligned,
         .status = X86EMU_EXCEPTION,
         .check = check_gp0},
        {.name = "maskmovdqu xmm1, xmm2",
         CODE(0x66, 0x0f, 0xf7, 0xca),
         .setup = bytes_by_sign,
         .check = check_bytes_by_sign},
        {.name = "vmaskmovps [rbx], xmm2, xmm1", CODE(0xc4, 0xe2, 0x69, 0x2e, 0x0b)},
        {.name = "vpexpandd zmm1{k1}{z}, [rbx]", CODE(0x62, 0xf2, 0x7d, 0xc9, 0x89, 0x0b), .setup = mask_5},
        {.name = "vpaddd zmm1, zmm2, [rbx]{1to16}", CODE(0x62, 0xf1, 0x6d, 0x58, 0xfe, 0x0b)},
        {.name = "movups [rbx], xmm1", CODE(0x0f, 0x11, 0x0b)},
        {.name = "movntdq [rbx], xmm1", CODE(0x66, 0x0f, 0xe7, 0x0b)},
        {.name = "pextrb [rbx], xmm1, 3", CODE(0x66, 0x0f, 0x3a, 0x14, 0x0b, 0x03)},
        {.name = "fstp tbyte [rbx]", CODE(0xdb, 0x3b)},
        {.name = "movdir64b rax, [rbx]", CODE(0x66, 0x0f, 0x38, 0xf8, 0x03)},
    };

    RUN_CASES(cases, X86EMU_MODE_64, vectors_enabled);
}

/* --- gather and scatter: one element at a time (C20) ----------------------------------------------------------------- */

static void set_index(union x86emu_vector_register *v, unsigned i, int32_t value)
{
    memcpy(v->u8 + 4 * i, &value, 4);
}

/* Elements 0 to 7 every 8 bytes of the device; all active. */
static void gather_from_device(struct world *world)
{
    vectors_enabled(world);
    for (unsigned i = 0; i < 8; i++)
        set_index(&world->vcpu.zmm[2], i, (int32_t)(2 * i));
    memset(&world->vcpu.zmm[3], 0xff, 32);
}

static void check_gather(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 8, "each element once");
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(world->event[i].address, WORLD_DEVICE + 0x40 + 8 * i);
        cr_assert(memcmp(world->vcpu.zmm[1].u8 + 4 * i, world->device + 0x40 + 8 * i, 4) == 0);
        cr_assert_eq(world->vcpu.zmm[3].u64[i], 0, "the mask is cleared");
    }
}

/* Element 5 is in an absent page. */
static void gather_faults(struct world *world)
{
    gather_from_device(world);
    set_index(&world->vcpu.zmm[2], 5, (WORLD_ABSENT - WORLD_DEVICE - 0x40) / 4);
}

static void check_gather_faults(const struct world *world, const struct x86emu *emu)
{
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_PF);
    cr_assert_eq(emu->outcome.exception.cr2, WORLD_ABSENT);
    cr_assert_eq(world->event_count, 5);
    for (unsigned i = 0; i < 5; i++)
        cr_assert(memcmp(world->vcpu.zmm[1].u8 + 4 * i, world->device + 0x40 + 8 * i, 4) == 0, "done stays done");
    for (unsigned i = 0; i < 8; i++) {
        uint32_t mask;

        memcpy(&mask, world->vcpu.zmm[3].u8 + 4 * i, 4);
        cr_assert_eq(mask, i < 5 ? 0 : UINT32_MAX, "element %u", i);
    }
    cr_assert_eq(world->vcpu.rip, WORLD_CODE, "to be run again");
}

/* Two elements at one place: the later one is what stays (SDM Vol. 2, VPSCATTERDD). */
static void scatter_to_device(struct world *world)
{
    gather_from_device(world);
    world->vcpu.k[1] = 0x83;
    set_index(&world->vcpu.zmm[2], 7, 0);
}

static void check_scatter(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 3);
    cr_assert_eq(world->event[2].address, WORLD_DEVICE + 0x40);
    cr_assert(memcmp(world->device + 0x40, world->vcpu.zmm[1].u8 + 28, 4) == 0);
    cr_assert_eq(world->vcpu.k[1], 0);
}

Test(vector, C20_gather_and_scatter)
{
    const struct test_case cases[] = {
        {.name = "vpgatherdd ymm1, [rbx+ymm2*4], ymm3",
         CODE(0xc4, 0xe2, 0x65, 0x90, 0x0c, 0x93),
         .setup = gather_from_device,
         .check = check_gather},
        {.name = "vpgatherdd, a fault in the middle",
         CODE(0xc4, 0xe2, 0x65, 0x90, 0x0c, 0x93),
         .setup = gather_faults,
         .status = X86EMU_EXCEPTION,
         .check = check_gather_faults},
        {.name = "vpscatterdd [rbx+zmm2*4]{k1}, zmm1",
         CODE(0x62, 0xf2, 0x7d, 0x49, 0xa0, 0x0c, 0x93),
         .setup = scatter_to_device,
         .check = check_scatter},
    };

    RUN_CASES(cases, X86EMU_MODE_64, vectors_enabled);
}

/* However many turns the emulator takes, the guest single-steps over one instruction. */
Test(vector, gather_is_one_single_step)
{
    static const uint8_t code[] = {0xc4, 0xe2, 0x65, 0x90, 0x0c, 0x93};
    static struct world world;
    static struct x86emu emu;
    unsigned traps = 0;

    world_init(&world, X86EMU_MODE_64);
    world_code(&world, code, sizeof(code));
    gather_from_device(&world);
    world.vcpu.rflags |= X86EMU_RFLAGS_TF;
    x86emu_init(&emu, NULL);
    do {
        cr_assert_eq(run_step(&world, &emu), X86EMU_RETIRED);
        traps += emu.outcome.trap;
        cr_assert_eq((world.vcpu.rflags & X86EMU_RFLAGS_RF) != 0, emu.outcome.repeats, "RF in the middle");
    } while (emu.outcome.repeats);
    cr_assert_eq(traps, 1);
    cr_assert_eq(emu.outcome.dr6, X86EMU_DR6_BS);
}

/* --- save areas --------------------------------------------------------------------------------------------------- */

static void all_components(struct world *world)
{
    vectors_enabled(world);
    world->vcpu.gpr[X86EMU_RAX] = 0xffffffff;
    world->vcpu.gpr[X86EMU_RDX] = 0xffffffff;
    for (unsigned i = 0; i < 8; i++)
        world->vcpu.k[i] = i + 1;
    memset(world->device, 0, sizeof(world->device));
}

static void check_xsave(const struct world *world, const struct x86emu *emu)
{
    const uint8_t *area = world->device + 0x40;

    (void)emu;
    cr_assert(memcmp(area + 160, world->vcpu.zmm[0].u8, 16) == 0, "XMM0 (SDM Vol. 1, table 10-2)");
    cr_assert(memcmp(area + 576 + 16, world->vcpu.zmm[1].u8 + 16, 16) == 0, "upper half of YMM1");
    cr_assert(memcmp(area + 1088, world->vcpu.k, 64) == 0, "opmasks");
    cr_assert(memcmp(area + 1664 + 64, world->vcpu.zmm[17].u8, 64) == 0, "ZMM17");
    cr_assert_eq(area[512], 0xe6, "XSTATE_BV: all but x87, which is as after FNINIT");
}

static void compacted_in_ram(struct world *world)
{
    all_components(world);
    world->vcpu.gpr[X86EMU_RBX] = WORLD_DATA;
    world_store(world, WORLD_DATA + 512, 0x20, 8);                     /* XSTATE_BV: opmasks */
    world_store(world, WORLD_DATA + 520, UINT64_C(1) << 63 | 0x24, 8); /* XCOMP_BV: AVX, opmasks */
    world_store(world, WORLD_DATA + 576 + 256 + 8 * 3, 0x1234, 8);     /* after AVX's 256 bytes */
}

static void check_compacted(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.k[3], 0x1234);
    cr_assert_eq(world->vcpu.zmm[1].u64[2], 0, "AVX is not in the area: as after INIT");
    cr_assert_eq(world->vcpu.zmm[17].u64[0], 0);
}

static void supervisor_state(struct world *world)
{
    all_components(world);
    world->vcpu.xss = 1 << 11;
}

static void check_component(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.reason, X86EMU_REASON_COMPONENT);
}

static void reserved_format(struct world *world)
{
    compacted_in_ram(world);
    world_store(world, WORLD_DATA + 520, UINT64_C(1) << 63 | 1 << 11 | 0x24, 8);
}

Test(vector, C20_save_areas)
{
    const struct test_case cases[] = {
        {.name = "xsave to a device", CODE(0x0f, 0xae, 0x23), .setup = all_components, .check = check_xsave},
        {.name = "xrstor, compacted", CODE(0x0f, 0xae, 0x2b), .setup = compacted_in_ram, .check = check_compacted},
        {.name = "fxsave to a device", CODE(0x0f, 0xae, 0x03), .setup = all_components},
        {.name = "xsavec to a device", CODE(0x0f, 0xc7, 0x23), .setup = all_components},
        {.name = "xsaves of CET state",
         CODE(0x0f, 0xc7, 0x2b),
         .setup = supervisor_state,
         .status = X86EMU_NOT_EMULATED,
         .check = check_component},
        {.name = "xrstors, XCOMP_BV beyond IA32_XSS",
         CODE(0x0f, 0xc7, 0x1b),
         .setup = reserved_format,
         .status = X86EMU_EXCEPTION,
         .check = check_gp0},
    };

    RUN_CASES(cases, X86EMU_MODE_64, vectors_enabled);
}

/* AMD's processors have no gap where Intel's had MPX: CPUID says where components are. */
Test(vector, xsave_places_components_where_the_guests_cpuid_says)
{
    static const uint8_t code[] = {0x0f, 0xae, 0x23};
    static struct world world;
    static struct x86emu emu;
    const struct x86emu_config config = {.xsave_offsets = {[5] = 832, [6] = 896, [7] = 1408}};

    world_init(&world, X86EMU_MODE_64);
    world_code(&world, code, sizeof(code));
    all_components(&world);
    world.vcpu.gpr[X86EMU_RBX] = WORLD_DATA;
    x86emu_init(&emu, &config);
    cr_assert_eq(run_step(&world, &emu), X86EMU_RETIRED);
    cr_assert(memcmp(world.ram + WORLD_DATA + 832, world.vcpu.k, 64) == 0);
    cr_assert(memcmp(world.ram + WORLD_DATA + 896 + 32, world.vcpu.zmm[1].u8 + 32, 32) == 0);
    cr_assert(memcmp(world.ram + WORLD_DATA + 1408 + 64, world.vcpu.zmm[17].u8, 64) == 0);
}

static void ask_in_use(struct world *world)
{
    vectors_enabled(world);
    world->vcpu.gpr[X86EMU_RCX] = 1;
    for (unsigned i = 0; i < 32; i++)
        memset(world->vcpu.zmm[i].u8 + 16, 0, 48);
    for (unsigned i = 16; i < 32; i++)
        memset(world->vcpu.zmm[i].u8, 0, 64);
}

static void check_in_use(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 2, "XMM registers alone (SDM Vol. 1, 13.6)");
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDX], 0);
}

static void fast_fxsave(struct world *world)
{
    vectors_enabled(world);
    world->vcpu.efer |= X86EMU_EFER_FFXSR;
    memset(world->device, 0, sizeof(world->device));
}

static void check_fast_fxsave(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->device[0x40 + 24], 0x80, "MXCSR is written");
    cr_assert_eq(world->device[0x40 + 160], 0, "XMM0 is not (APM Vol. 2, 11.4.4.3)");
}

static void check_slow_fxsave(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->device[0x40 + 160], 1, "XMM0: CPL is 3");
}

static void no_sse(struct world *world)
{
    vectors_enabled(world);
    world->vcpu.cr4 &= ~X86EMU_CR4_OSFXSR;
}

Test(vector, state_and_enabling)
{
    const struct test_case cases[] = {
        {.name = "xgetbv, ECX = 1", CODE(0x0f, 0x01, 0xd0), .setup = ask_in_use, .check = check_in_use},
        {.name = "fxsave with EFER.FFXSR", CODE(0x0f, 0xae, 0x03), .setup = fast_fxsave, .check = check_fast_fxsave},
        {.name = "fxsave with EFER.FFXSR in ring 3",
         CODE(0x0f, 0xae, 0x03),
         .user = true,
         .setup = fast_fxsave,
         .check = check_slow_fxsave},
        {.name = "movq2dq without CR4.OSFXSR",
         CODE(0xf3, 0x0f, 0xd6, 0xca),
         .setup = no_sse,
         .status = X86EMU_EXCEPTION,
         .check = check_ud},
    };

    RUN_CASES(cases, X86EMU_MODE_64, vectors_enabled);
}

/* --- ENQCMD -------------------------------------------------------------------------------------------------------- */

/* IA32_PASID, as this world answers for register 0D93H, byte by byte 93H, 94H, 95H, 96H: valid, number 59493H. */
enum {
    PASID = 0x59493
};

static void command_in_ram(struct world *world)
{
    world->vcpu.gpr[X86EMU_RBX] = WORLD_DATA;
    world->vcpu.gpr[X86EMU_RAX] = WORLD_DEVICE;
    for (unsigned i = 0; i < 64; i++)
        world->ram[WORLD_DATA + i] = (uint8_t)i;
}

static void device_is_busy(struct world *world)
{
    command_in_ram(world);
    world->busy = true;
}

static const struct world_event *command_seen(const struct world *world)
{
    cr_assert_eq(world->event_count, 1);
    cr_assert_eq(world->event[0].kind, X86EMU_REQUEST_ENQUEUE);
    cr_assert_eq(world->event[0].size, 64);
    cr_assert(memcmp(world->event[0].bytes + 4, world->ram + WORLD_DATA + 4, 60) == 0);
    return &world->event[0];
}

static void check_enqueued(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(command_seen(world)->value & 0xffffffff, PASID);
    cr_assert(!(world->vcpu.rflags & X86EMU_RFLAGS_ZF));
}

static void check_busy(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    command_seen(world);
    cr_assert(world->vcpu.rflags & X86EMU_RFLAGS_ZF);
}

static void supervisor_command(struct world *world)
{
    command_in_ram(world);
    world_store(world, WORLD_DATA, 0x80012345, 4);
}

static void check_supervisor(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(command_seen(world)->value & 0xffffffff, 0x80012345);
}

static void reserved_bits(struct world *world)
{
    command_in_ram(world);
    world_store(world, WORLD_DATA, 0x00100000, 4);
}

static void not_at_64(struct world *world)
{
    command_in_ram(world);
    world->vcpu.gpr[X86EMU_RAX] += 32;
}

static const struct test_case commands[] = {
    {.name = "enqcmd", CODE(0xf2, 0x0f, 0x38, 0xf8, 0x03), .setup = command_in_ram, .check = check_enqueued},
    {.name = "enqcmd, busy", CODE(0xf2, 0x0f, 0x38, 0xf8, 0x03), .setup = device_is_busy, .check = check_busy},
    {.name = "enqcmds", CODE(0xf3, 0x0f, 0x38, 0xf8, 0x03), .setup = supervisor_command, .check = check_supervisor},
    {.name = "enqcmds, reserved bits",
     CODE(0xf3, 0x0f, 0x38, 0xf8, 0x03),
     .setup = reserved_bits,
     .status = X86EMU_EXCEPTION,
     .check = check_gp0},
    {.name = "enqcmd, not aligned",
     CODE(0xf2, 0x0f, 0x38, 0xf8, 0x03),
     .setup = not_at_64,
     .status = X86EMU_EXCEPTION,
     .check = check_gp0},
    {.name = "enqcmds in ring 3",
     CODE(0xf3, 0x0f, 0x38, 0xf8, 0x03),
     .user = true,
     .setup = supervisor_command,
     .status = X86EMU_EXCEPTION,
     .check = check_gp0},
};

/* Requests: answered at once or late, moved, failing. A region with plain handlers never takes a command. */
Test(vector, enqcmd)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        struct test_case test = commands[i];

        test.mode = X86EMU_MODE_64;
        test.requests_alone = true;
        run_case(&test);
    }
}
