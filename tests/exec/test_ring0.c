/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows that no processor or model at hand runs for us, against the pseudo-code of the SDM and the APM. */
#include "runner.h"

#include <criterion/criterion.h>
#include <string.h>

#define FAULTS(check_function) .status = X86EMU_EXCEPTION, .check = check_function

/* --- model-specific registers (Vol. 2, WRMSRNS, RDMSRLIST, WRMSRLIST) ---------------------------------------------- */

static void write_12345678(struct world *world)
{
    world->vcpu.gpr[X86EMU_RCX] = 0x1b;
    world->vcpu.gpr[X86EMU_RAX] = UINT64_C(0xffffffff12345678);
    world->vcpu.gpr[X86EMU_RDX] = UINT64_C(0xffffffff0000009a);
}

static void check_written(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    cr_assert_eq(world->event[0].kind, X86EMU_REQUEST_MSR_WRITE);
    cr_assert_eq(world->event[0].address, 0x1b);
    cr_assert_eq(world->event[0].value, UINT64_C(0x9a12345678));
}

/* Registers number 1 and 5 of the table at RSI: 1BH and LSTAR. */
static void two_of_a_list(struct world *world)
{
    world->vcpu.gpr[X86EMU_RSI] = WORLD_DATA;
    world->vcpu.gpr[X86EMU_RDI] = WORLD_DATA + 0x200;
    world->vcpu.gpr[X86EMU_RCX] = 1 << 1 | 1 << 5;
    world->vcpu.lstar = UINT64_C(0xffffffff81000000);
    world_store(world, WORLD_DATA + 8, 0x1b, 8);
    world_store(world, WORLD_DATA + 40, 0xc0000082, 8);
    world_store(world, WORLD_DATA + 0x208, 0x11, 8);
    world_store(world, WORLD_DATA + 0x228, UINT64_C(0xffffffff82000000), 8);
}

static void check_list_read(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world_load(world, WORLD_DATA + 0x208, 8), UINT64_C(0x2221201f1e1d1c1b), "as this world answers");
    cr_assert_eq(world_load(world, WORLD_DATA + 0x228, 8), UINT64_C(0xffffffff81000000));
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], 0);
}

static void check_list_written(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    cr_assert_eq(world->event[0].address, 0x1b);
    cr_assert_eq(world->event[0].value, 0x11);
    cr_assert_eq(world->vcpu.lstar, UINT64_C(0xffffffff82000000));
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], 0);
}

/* The second number is not one: the first register is done, and RCX says so. */
static void bad_number(struct world *world)
{
    two_of_a_list(world);
    world_store(world, WORLD_DATA + 44, 1, 4);
}

static void check_first_done(const struct world *world, const struct x86emu *emu)
{
    check_gp0(world, emu);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], 1 << 5);
    cr_assert_eq(world_load(world, WORLD_DATA + 0x208, 8), UINT64_C(0x2221201f1e1d1c1b));
}

static void unaligned_list(struct world *world)
{
    two_of_a_list(world);
    world->vcpu.gpr[X86EMU_RDI] += 4;
}

Test(ring0, model_specific_registers)
{
    const struct test_case cases[] = {
        {.name = "wrmsrns", CODE(0x0f, 0x01, 0xc6), .setup = write_12345678, .check = check_written},
        {.name = "wrmsrns in ring 3", CODE(0x0f, 0x01, 0xc6), .user = true, FAULTS(check_gp0)},
        {.name = "rdmsrlist", CODE(0xf2, 0x0f, 0x01, 0xc6), .setup = two_of_a_list, .check = check_list_read},
        {.name = "wrmsrlist", CODE(0xf3, 0x0f, 0x01, 0xc6), .setup = two_of_a_list, .check = check_list_written},
        {.name = "rdmsrlist, a bad number",
         CODE(0xf2, 0x0f, 0x01, 0xc6),
         .setup = bad_number,
         FAULTS(check_first_done)},
        {.name = "wrmsrlist, not aligned", CODE(0xf3, 0x0f, 0x01, 0xc6), .setup = unaligned_list, FAULTS(check_gp0)},
    };

    RUN_CASES(cases, X86EMU_MODE_64, NULL);
}

/* RDPRU (APM Vol. 3): MPERF is register E7H, APERF E8H; CF tells that the number is known. */
static void ask_aperf(struct world *world)
{
    world->vcpu.gpr[X86EMU_RCX] = 1;
}

static void check_aperf(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0xebeae9e8);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDX], 0xefeeedec);
    cr_assert(world->vcpu.rflags & X86EMU_RFLAGS_CF);
}

static void ask_too_much(struct world *world)
{
    world->vcpu.gpr[X86EMU_RCX] = 2;
    world->vcpu.gpr[X86EMU_RAX] = world->vcpu.gpr[X86EMU_RDX] = 1;
}

static void check_nothing_known(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDX], 0);
    cr_assert(!(world->vcpu.rflags & X86EMU_RFLAGS_CF));
}

static void time_forbidden(struct world *world)
{
    world->vcpu.cr4 |= X86EMU_CR4_TSD;
}

Test(ring0, rdpru)
{
    const struct test_case cases[] = {
        {.name = "aperf", CODE(0x0f, 0x01, 0xfd), .user = true, .setup = ask_aperf, .check = check_aperf},
        {.name = "beyond", CODE(0x0f, 0x01, 0xfd), .setup = ask_too_much, .check = check_nothing_known},
        {.name = "CR4.TSD", CODE(0x0f, 0x01, 0xfd), .user = true, .setup = time_forbidden, FAULTS(check_ud)},
    };

    RUN_CASES(cases, X86EMU_MODE_64, NULL);
}

/* --- what only the caller knows ------------------------------------------------------------------------------------- */

static void check_tsc_aux(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x0b0a0908, "bytes 8 to 11 of the answer, zero-extended");
}

static void ask_counter_3(struct world *world)
{
    world->vcpu.gpr[X86EMU_RCX] = 3;
    world->vcpu.cr4 |= X86EMU_CR4_PCE;
}

static void check_counter(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x06050403);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDX], 0x0a090807);
}

static void check_seed(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x04030201, "RDSEED has index 1");
    cr_assert(world->vcpu.rflags & X86EMU_RFLAGS_CF);
    cr_assert(!(world->vcpu.rflags & (X86EMU_RFLAGS_OF | X86EMU_RFLAGS_ZF | X86EMU_RFLAGS_SF)));
}

Test(ring0, queries)
{
    const struct test_case cases[] = {
        {.name = "rdpid rax", CODE(0xf3, 0x0f, 0xc7, 0xf8), .user = true, .check = check_tsc_aux},
        {.name = "rdpmc", CODE(0x0f, 0x33), .user = true, .setup = ask_counter_3, .check = check_counter},
        {.name = "rdpmc without CR4.PCE", CODE(0x0f, 0x33), .user = true, FAULTS(check_gp0)},
        {.name = "rdseed eax", CODE(0x0f, 0xc7, 0xf8), .user = true, .check = check_seed},
    };

    RUN_CASES(cases, X86EMU_MODE_64, NULL);
}

/* --- protection keys ------------------------------------------------------------------------------------------------ */

static void keys_on(struct world *world)
{
    world->vcpu.cr4 |= X86EMU_CR4_PKE;
    world->vcpu.pkru = 0x55555554;
    world->vcpu.gpr[X86EMU_RAX] = 0x12345678;
    world->vcpu.gpr[X86EMU_RCX] = world->vcpu.gpr[X86EMU_RDX] = 0;
}

static void check_read_keys(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x55555554);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDX], 0);
}

static void check_write_keys(const struct world *world, const struct x86emu *emu)
{
    cr_assert_eq(world->vcpu.pkru, 0x12345678);
    cr_assert(emu->outcome.changed & X86EMU_STATE_KEYS);
}

static void keys_with_rdx(struct world *world)
{
    keys_on(world);
    world->vcpu.gpr[X86EMU_RDX] = 1;
}

Test(ring0, protection_keys)
{
    const struct test_case cases[] = {
        {.name = "rdpkru", CODE(0x0f, 0x01, 0xee), .user = true, .setup = keys_on, .check = check_read_keys},
        {.name = "wrpkru", CODE(0x0f, 0x01, 0xef), .user = true, .setup = keys_on, .check = check_write_keys},
        {.name = "wrpkru, EDX not 0", CODE(0x0f, 0x01, 0xef), .setup = keys_with_rdx, FAULTS(check_gp0)},
        {.name = "rdpkru without CR4.PKE", CODE(0x0f, 0x01, 0xee), FAULTS(check_ud)},
    };

    RUN_CASES(cases, X86EMU_MODE_64, NULL);
}

/* --- waiting -------------------------------------------------------------------------------------------------------- */

static void monitor_data(struct world *world)
{
    world->vcpu.gpr[X86EMU_RAX] = WORLD_DATA;
    world->vcpu.gpr[X86EMU_RCX] = world->vcpu.gpr[X86EMU_RDX] = 0;
}

static void monitor_absent(struct world *world)
{
    monitor_data(world);
    world->vcpu.gpr[X86EMU_RAX] = WORLD_ABSENT;
}

static void monitor_extension(struct world *world)
{
    monitor_data(world);
    world->vcpu.gpr[X86EMU_RCX] = 1;
}

static void wait_extension(struct world *world)
{
    world->vcpu.gpr[X86EMU_RCX] = 4;
}

static void check_absent(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_PF);
    cr_assert_eq(emu->outcome.exception.cr2, WORLD_ABSENT);
}

static void check_waits(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    cr_assert_eq(world->event[0].kind, X86EMU_REQUEST_HALT);
}

static void check_no_flags(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.rflags & 0x8d5, 0);
}

static void reserved_control(struct world *world)
{
    world->vcpu.gpr[X86EMU_RCX] = 2;
}

Test(ring0, waiting)
{
    const struct test_case cases[] = {
        {.name = "monitor", CODE(0x0f, 0x01, 0xc8), .setup = monitor_data},
        {.name = "monitor, absent page", CODE(0x0f, 0x01, 0xc8), .setup = monitor_absent, FAULTS(check_absent)},
        {.name = "monitor, ECX not 0", CODE(0x0f, 0x01, 0xc8), .setup = monitor_extension, FAULTS(check_gp0)},
        {.name = "monitor in ring 3", CODE(0x0f, 0x01, 0xc8), .user = true, FAULTS(check_ud)},
        {.name = "mwait", CODE(0x0f, 0x01, 0xc9), .check = check_waits},
        {.name = "mwait, ECX", CODE(0x0f, 0x01, 0xc9), .setup = wait_extension, FAULTS(check_gp0)},
        {.name = "monitorx", CODE(0x0f, 0x01, 0xfa), .user = true, .setup = monitor_data},
        {.name = "mwaitx", CODE(0x0f, 0x01, 0xfb), .user = true, .check = check_waits},
        {.name = "umonitor rax", CODE(0xf3, 0x0f, 0xae, 0xf0), .user = true, .setup = monitor_data},
        {.name = "umwait ecx", CODE(0xf2, 0x0f, 0xae, 0xf1), .user = true, .check = check_no_flags},
        {.name = "tpause ecx", CODE(0x66, 0x0f, 0xae, 0xf1), .user = true, .check = check_no_flags},
        {.name = "tpause, reserved", CODE(0x66, 0x0f, 0xae, 0xf1), .setup = reserved_control, FAULTS(check_gp0)},
        {.name = "umwait, CR4.TSD",
         CODE(0xf2, 0x0f, 0xae, 0xf1),
         .user = true,
         .setup = time_forbidden,
         FAULTS(check_gp0)},
    };

    RUN_CASES(cases, X86EMU_MODE_64, NULL);
}

/* --- translations --------------------------------------------------------------------------------------------------- */

static void invalidate(struct world *world, unsigned type, uint64_t pcid, uint64_t la)
{
    world->vcpu.cr4 |= X86EMU_CR4_PCIDE;
    world->vcpu.gpr[X86EMU_RAX] = type;
    world->vcpu.gpr[X86EMU_RBX] = WORLD_DATA;
    world_store(world, WORLD_DATA, pcid, 8);
    world_store(world, WORLD_DATA + 8, la, 8);
}

static void invalidate_address(struct world *world)
{
    invalidate(world, 0, 5, 0x12345000);
}

static void invalidate_context(struct world *world)
{
    invalidate(world, 1, 5, 0);
}

static void invalidate_all(struct world *world)
{
    invalidate(world, 2, 0, 0);
}

static void invalidate_not_global(struct world *world)
{
    invalidate(world, 3, 0, 0);
}

static void invalidate_how(struct world *world)
{
    invalidate(world, 4, 0, 0);
}

static void invalidate_reserved(struct world *world)
{
    invalidate(world, 1, 0x1000, 0);
}

static void invalidate_not_canonical(struct world *world)
{
    invalidate(world, 0, 0, UINT64_C(1) << 62);
}

static void check_address(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.invalidation, X86EMU_INVALIDATE_PAGE);
    cr_assert_eq(emu->outcome.la, 0x12345000);
    cr_assert_eq(emu->outcome.pcid, 5);
}

static void check_context(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.invalidation, X86EMU_INVALIDATE_PCID);
    cr_assert_eq(emu->outcome.pcid, 5);
}

static void check_all(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.invalidation, X86EMU_INVALIDATE_ALL);
}

static void check_not_global(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.invalidation, X86EMU_INVALIDATE_NOT_GLOBAL);
}

static void check_everywhere(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.invalidation, X86EMU_INVALIDATE_EVERYWHERE);
}

Test(ring0, F20_invalidations)
{
    const struct test_case cases[] = {
        {.name = "invpcid 0", CODE(0x66, 0x0f, 0x38, 0x82, 0x03), .setup = invalidate_address, .check = check_address},
        {.name = "invpcid 1", CODE(0x66, 0x0f, 0x38, 0x82, 0x03), .setup = invalidate_context, .check = check_context},
        {.name = "invpcid 2", CODE(0x66, 0x0f, 0x38, 0x82, 0x03), .setup = invalidate_all, .check = check_all},
        {.name = "invpcid 3",
         CODE(0x66, 0x0f, 0x38, 0x82, 0x03),
         .setup = invalidate_not_global,
         .check = check_not_global},
        {.name = "invpcid 4", CODE(0x66, 0x0f, 0x38, 0x82, 0x03), .setup = invalidate_how, FAULTS(check_gp0)},
        {.name = "invpcid, PCID", CODE(0x66, 0x0f, 0x38, 0x82, 0x03), .setup = invalidate_reserved, FAULTS(check_gp0)},
        {.name = "invpcid, address",
         CODE(0x66, 0x0f, 0x38, 0x82, 0x03),
         .setup = invalidate_not_canonical,
         FAULTS(check_gp0)},
        {.name = "invpcid in ring 3", CODE(0x66, 0x0f, 0x38, 0x82, 0x03), .user = true, FAULTS(check_gp0)},
        {.name = "invlpgb", CODE(0x0f, 0x01, 0xfe), .check = check_everywhere},
        {.name = "invlpgb in ring 3", CODE(0x0f, 0x01, 0xfe), .user = true, FAULTS(check_gp0)},
        {.name = "tlbsync", CODE(0x0f, 0x01, 0xff)},
        {.name = "tlbsync in ring 3", CODE(0x0f, 0x01, 0xff), .user = true, FAULTS(check_gp0)},
    };

    RUN_CASES(cases, X86EMU_MODE_64, NULL);
}

/* --- moves that this vendor hasn't got, and hints --------------------------------------------------------------------- */

static void sse_on(struct world *world)
{
    world->vcpu.cr4 |= X86EMU_CR4_OSFXSR | X86EMU_CR4_OSXSAVE;
    world->vcpu.xcr0 = 0xe7;
    world->vcpu.gpr[X86EMU_RBX] = WORLD_DEVICE;
    world->vcpu.x87.tag = 0;
    for (unsigned i = 0; i < 16; i++)
        world->vcpu.zmm[1].u8[i] = (uint8_t)(i + 1);
}

static void check_movntss(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    cr_assert_eq(world->event[0].size, 4);
    cr_assert_eq(world->event[0].value, 0x04030201);
}

static void check_movntsd(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    cr_assert_eq(world->event[0].size, 8);
    cr_assert_eq(world->event[0].value, UINT64_C(0x0807060504030201));
}

static void check_femms(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.x87.tag, 0xffff, "all empty, as EMMS leaves them");
}

static void check_no_access(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 0);
}

Test(ring0, other_vendors_moves_and_hints)
{
    const struct test_case cases[] = {
        {.name = "movntss [rbx], xmm1", CODE(0xf3, 0x0f, 0x2b, 0x0b), .setup = sse_on, .check = check_movntss},
        {.name = "movntsd [rbx], xmm1", CODE(0xf2, 0x0f, 0x2b, 0x0b), .setup = sse_on, .check = check_movntsd},
        {.name = "femms", CODE(0x0f, 0x0e), .setup = sse_on, .check = check_femms},
        {.name = "vgatherpf0dps [rbx+zmm2*4]{k1}",
         CODE(0x62, 0xf2, 0x7d, 0x49, 0xc6, 0x0c, 0x93),
         .setup = sse_on,
         .check = check_no_access},
        {.name = "serialize", CODE(0x0f, 0x01, 0xe8), .user = true},
    };

    RUN_CASES(cases, X86EMU_MODE_64, NULL);
}
