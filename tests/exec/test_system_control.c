/* SPDX-License-Identifier: BSD-2-Clause */
/* Control, debug and model-specific registers, system calls, ports, and what only the caller knows, against the SDM. */
#include "segments.h"

#include <criterion/criterion.h>

/* --- control registers -------------------------------------------------------------------------------------------- */

static void before_long_mode(struct world *world)
{
    world->vcpu.cr0 = X86EMU_CR0_PE | X86EMU_CR0_ET;
    world->vcpu.cr3 = 0x1000;
    world->vcpu.cr4 = X86EMU_CR4_PAE;
    world->vcpu.efer = X86EMU_EFER_LME;
    world->vcpu.gpr[X86EMU_RAX] = X86EMU_CR0_PG | X86EMU_CR0_PE;
}

static void check_long_mode(const struct world *world, const struct x86emu *emu)
{
    cr_assert_eq(world->vcpu.cr0, X86EMU_CR0_PG | X86EMU_CR0_PE | X86EMU_CR0_ET, "ET can't be cleared");
    cr_assert_eq(world->vcpu.efer, X86EMU_EFER_LME | X86EMU_EFER_LMA);
    cr_assert_eq(emu->outcome.invalidation, X86EMU_INVALIDATE_ALL);
    cr_assert(emu->outcome.changed & X86EMU_STATE_CONTROL);
}

static void long_mode_without_pae(struct world *world)
{
    before_long_mode(world);
    world->vcpu.cr4 = 0;
}

static void paging_without_protection(struct world *world)
{
    before_long_mode(world);
    world->vcpu.gpr[X86EMU_RAX] = X86EMU_CR0_PG;
}

static void not_write_through_without_cache_disable(struct world *world)
{
    before_long_mode(world);
    world->vcpu.gpr[X86EMU_RAX] = X86EMU_CR0_PE | X86EMU_CR0_NW;
}

Test(system, mov_to_cr0)
{
    const struct test_case cases[] = {
        {.name = "long mode begins", CODE(0x0f, 0x22, 0xc0), .setup = before_long_mode, .check = check_long_mode},
        {.name = "without PAE",
         CODE(0x0f, 0x22, 0xc0),
         .setup = long_mode_without_pae,
         .status = 2,
         .check = check_gp0},
        {.name = "PG without PE",
         CODE(0x0f, 0x22, 0xc0),
         .setup = paging_without_protection,
         .status = X86EMU_EXCEPTION,
         .check = check_gp0},
        {.name = "NW without CD",
         CODE(0x0f, 0x22, 0xc0),
         .setup = not_write_through_without_cache_disable,
         .status = X86EMU_EXCEPTION,
         .check = check_gp0},
    };

    RUN_CASES(cases, X86EMU_MODE_32, NULL);
}

/* PAE paging outside long mode: the page directory is the world's own. */
static void pae(struct world *world)
{
    world->vcpu.cr4 = X86EMU_CR4_PAE;
    world->vcpu.cr3 = 0x15000;
    world->vcpu.pdpte[0] = 0x3001;
    world->vcpu.gpr[X86EMU_RAX] = 0x15020;
    for (unsigned n = 0; n < 4; n++)
        world_store(world, 0x15020 + 8 * n, n == 0 ? 0x3001 : 0x7001 + 0x1000 * n, 8);
}

static void check_pae(const struct world *world, const struct x86emu *emu)
{
    cr_assert_eq(world->vcpu.cr3, 0x15020);
    cr_assert_eq(world->vcpu.pdpte[0], 0x3001);
    cr_assert_eq(world->vcpu.pdpte[3], 0xa001);
    cr_assert_eq(emu->outcome.changed & (X86EMU_STATE_PDPTE | X86EMU_STATE_CONTROL),
                 X86EMU_STATE_PDPTE | X86EMU_STATE_CONTROL);
    cr_assert_eq(emu->outcome.invalidation, X86EMU_INVALIDATE_PCID);
}

static void pae_reserved(struct world *world)
{
    pae(world);
    world_store(world, 0x15028, 0x8003, 8); /* bit 1 of a present PDPTE is reserved */
}

Test(system, mov_to_cr3_loads_pdptes)
{
    const struct test_case cases[] = {
        {.name = "mov cr3", CODE(0x0f, 0x22, 0xd8), .setup = pae, .check = check_pae},
        {.name = "reserved bit", CODE(0x0f, 0x22, 0xd8), .setup = pae_reserved, .status = 2, .check = check_gp0},
    };

    RUN_CASES(cases, X86EMU_MODE_32, NULL);
}

static void keep_translations(struct world *world)
{
    world->vcpu.cr4 |= X86EMU_CR4_PCIDE;
    world->vcpu.gpr[X86EMU_RAX] = 1ull << 63 | 0x1005;
}

static void check_kept(const struct world *world, const struct x86emu *emu)
{
    cr_assert_eq(world->vcpu.cr3, 0x1005);
    cr_assert_eq(emu->outcome.invalidation, X86EMU_INVALIDATE_NONE);
}

static void drop_translations(struct world *world)
{
    world->vcpu.cr4 |= X86EMU_CR4_PCIDE;
    world->vcpu.gpr[X86EMU_RAX] = 0x1005;
}

static void check_dropped(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.invalidation, X86EMU_INVALIDATE_PCID);
    cr_assert_eq(emu->outcome.pcid, 5);
}

static void cr3_reserved(struct world *world)
{
    world->vcpu.gpr[X86EMU_RAX] = 1ull << 46 | 0x1000; /* the runner's MAXPHYADDR is 46 */
}

static void cr4_reserved(struct world *world)
{
    world->vcpu.gpr[X86EMU_RAX] = X86EMU_CR4_PAE | 1ull << 31;
}

static void cr4_without_pae(struct world *world)
{
    world->vcpu.gpr[X86EMU_RAX] = X86EMU_CR4_PGE;
}

Test(system, mov_to_cr3_and_cr4_in_64_bit_mode)
{
    const struct test_case cases[] = {
        {.name = "kept", CODE(0x0f, 0x22, 0xd8), .setup = keep_translations, .check = check_kept},
        {.name = "dropped", CODE(0x0f, 0x22, 0xd8), .setup = drop_translations, .check = check_dropped},
        {.name = "above MAXPHYADDR", CODE(0x0f, 0x22, 0xd8), .setup = cr3_reserved, .status = 2, .check = check_gp0},
        {.name = "cr4 reserved", CODE(0x0f, 0x22, 0xe0), .setup = cr4_reserved, .status = 2, .check = check_gp0},
        {.name = "cr4 no PAE", CODE(0x0f, 0x22, 0xe0), .setup = cr4_without_pae, .status = 2, .check = check_gp0},
    };

    RUN_CASES(cases, X86EMU_MODE_64, NULL);
}

static void set_cr8(struct world *world)
{
    world->vcpu.gpr[X86EMU_RAX] = 9;
}

static void check_cr8(const struct world *world, const struct x86emu *emu)
{
    cr_assert_eq(world->vcpu.cr8, 9);
    cr_assert(emu->outcome.changed & X86EMU_STATE_CR8);
}

static void read_cr8(struct world *world)
{
    world->vcpu.cr8 = 7;
}

static void check_r10(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[10], 7);
}

static void bad_cr8(struct world *world)
{
    world->vcpu.gpr[X86EMU_RAX] = 16;
}

Test(system, C8_mov_cr8)
{
    const struct test_case cases[] = {
        {.name = "mov cr8, rax", CODE(0x44, 0x0f, 0x22, 0xc0), .setup = set_cr8, .check = check_cr8},
        {.name = "mov r10, cr8", CODE(0x45, 0x0f, 0x20, 0xc2), .setup = read_cr8, .check = check_r10},
        {.name = "mov cr8, 16", CODE(0x44, 0x0f, 0x22, 0xc0), .setup = bad_cr8, .status = 2, .check = check_gp0},
    };

    RUN_CASES(cases, X86EMU_MODE_64, NULL);
}

static void rax_is_absent_page(struct world *world)
{
    world->vcpu.gpr[X86EMU_RAX] = WORLD_ABSENT + 0x123;
}

static void check_invlpg(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.invalidation, X86EMU_INVALIDATE_PAGE);
    cr_assert_eq(emu->outcome.la, WORLD_ABSENT + 0x123);
}

Test(system, F20_invlpg_tells_the_address_and_accesses_nothing)
{
    const struct test_case test = {.name = "invlpg [rax]",
                                   .mode = X86EMU_MODE_64,
                                   CODE(0x0f, 0x01, 0x38),
                                   .setup = rax_is_absent_page,
                                   .check = check_invlpg};

    run_case(&test);
}

/* --- what the caller knows ---------------------------------------------------------------------------------------- */

static void leaf_4(struct world *world)
{
    world->vcpu.gpr[X86EMU_RAX] = 0xffffffff00000004;
}

static void check_cpuid(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x07060504);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RBX], 0x0b0a0908);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], 0x0f0e0d0c);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDX], 0x13121110);
}

static void check_rdtscp(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x03020100);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDX], 0x07060504);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], 0x0b0a0908);
}

static void check_rdrand(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x03020100);
    cr_assert_eq(world->vcpu.rflags, X86EMU_RFLAGS_FIXED | X86EMU_RFLAGS_CF);
}

static void msr_10(struct world *world)
{
    world->vcpu.gpr[X86EMU_RCX] = 0x10;
}

static void check_rdmsr(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x13121110);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDX], 0x17161514);
}

static void apic_base(struct world *world)
{
    world->vcpu.gpr[X86EMU_RCX] = 0x1b;
    world->vcpu.gpr[X86EMU_RAX] = 0xfee00900;
    world->vcpu.gpr[X86EMU_RDX] = 1;
}

static void check_wrmsr(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    cr_assert_eq(world->event[0].kind, X86EMU_REQUEST_MSR_WRITE);
    cr_assert_eq(world->event[0].address, 0x1b);
    cr_assert_eq(world->event[0].value, 0x1fee00900);
}

static void lstar_not_canonical(struct world *world)
{
    world->vcpu.gpr[X86EMU_RCX] = 0xc0000082;
    world->vcpu.gpr[X86EMU_RDX] = 0x00008000;
}

static void efer_without_lme(struct world *world)
{
    world->vcpu.gpr[X86EMU_RCX] = 0xc0000080;
}

static void check_hypercall(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    cr_assert_eq(world->event[0].kind, X86EMU_REQUEST_HYPERCALL);
}

Test(system, F23_F26_the_caller_answers)
{
    const struct test_case cases[] = {
        {.name = "cpuid", CODE(0x0f, 0xa2), .setup = leaf_4, .check = check_cpuid},
        {.name = "rdtscp", CODE(0x0f, 0x01, 0xf9), .check = check_rdtscp},
        {.name = "rdrand eax", CODE(0x0f, 0xc7, 0xf0), .check = check_rdrand},
        {.name = "rdmsr", CODE(0x0f, 0x32), .setup = msr_10, .check = check_rdmsr},
        {.name = "wrmsr", CODE(0x0f, 0x30), .setup = apic_base, .check = check_wrmsr},
        {.name = "wrmsr LSTAR", CODE(0x0f, 0x30), .setup = lstar_not_canonical, .status = 2, .check = check_gp0},
        {.name = "wrmsr EFER", CODE(0x0f, 0x30), .setup = efer_without_lme, .status = 2, .check = check_gp0},
        {.name = "vmcall", CODE(0x0f, 0x01, 0xc1), .check = check_hypercall},
    };

    RUN_CASES(cases, X86EMU_MODE_64, NULL);
}

static void tsd(struct world *world)
{
    world->vcpu.cr4 |= X86EMU_CR4_TSD;
}

static void umip(struct world *world)
{
    world->vcpu.cr4 |= X86EMU_CR4_UMIP;
    world->vcpu.gpr[X86EMU_RBX] = WORLD_DATA;
}

Test(system, F23_privileged_at_cpl_3)
{
    const struct test_case cases[] = {
        {.name = "rdtsc with TSD", CODE(0x0f, 0x31), .setup = tsd},
        {.name = "sgdt with UMIP", CODE(0x0f, 0x01, 0x03), .setup = umip},
        {.name = "smsw with UMIP", CODE(0x0f, 0x01, 0xe0), .setup = umip},
        {.name = "hlt", CODE(0xf4)},
        {.name = "mov cr0", CODE(0x0f, 0x22, 0xc0)},
        {.name = "mov rax, dr7", CODE(0x0f, 0x21, 0xf8)},
        {.name = "rdmsr", CODE(0x0f, 0x32)},
        {.name = "wbinvd", CODE(0x0f, 0x09)},
        {.name = "cli", CODE(0xfa)},
        {.name = "swapgs", CODE(0x0f, 0x01, 0xf8)},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_case test = cases[i];

        test.mode = X86EMU_MODE_64;
        test.user = true;
        test.status = X86EMU_EXCEPTION;
        test.check = check_gp0;
        run_case(&test);
    }
}

/* --- system calls ------------------------------------------------------------------------------------------------- */

static void before_syscall(struct world *world)
{
    world->vcpu.efer |= X86EMU_EFER_SCE;
    world->vcpu.star = 0x0018000800000000;
    world->vcpu.lstar = 0xffffffff81000000;
    world->vcpu.fmask = X86EMU_RFLAGS_IF | X86EMU_RFLAGS_DF;
    world->vcpu.rflags |= X86EMU_RFLAGS_IF | X86EMU_RFLAGS_DF;
}

static void check_syscall(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.rip, 0xffffffff81000000);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], WORLD_CODE + 2);
    cr_assert_eq(world->vcpu.gpr[11], X86EMU_RFLAGS_FIXED | X86EMU_RFLAGS_IF | X86EMU_RFLAGS_DF);
    cr_assert_eq(world->vcpu.rflags, X86EMU_RFLAGS_FIXED);
    cr_assert_eq(world->vcpu.segment[X86EMU_CS].selector, 8);
    cr_assert_eq(world->vcpu.segment[X86EMU_CS].attributes, 0xa09b);
    cr_assert_eq(world->vcpu.segment[X86EMU_SS].selector, 16);
    cr_assert_eq(world->vcpu.segment[X86EMU_SS].attributes, 0xc093);
}

static void before_sysret(struct world *world)
{
    before_syscall(world);
    world->vcpu.gpr[X86EMU_RCX] = 0x7fff12345678;
    world->vcpu.gpr[11] = 0xffffffffffffffff;
}

static void check_sysret(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.rip, 0x7fff12345678);
    cr_assert_eq(world->vcpu.rflags, 0x3c7fd7, "SDM Vol. 2, SYSRET: RF, VM and reserved bits are clear");
    cr_assert_eq(world->vcpu.segment[X86EMU_CS].selector, 0x2b);
    cr_assert_eq(world->vcpu.segment[X86EMU_CS].attributes, 0xa0fb);
    cr_assert_eq(world->vcpu.segment[X86EMU_SS].selector, 0x23);
    cr_assert_eq(world->vcpu.segment[X86EMU_SS].attributes, 0xc0f3);
}

static void sysret_not_canonical(struct world *world)
{
    before_sysret(world);
    world->vcpu.gpr[X86EMU_RCX] = 0x800000000000;
}

Test(system, syscall_and_sysret)
{
    const struct test_case call = {.name = "syscall",
                                   .mode = X86EMU_MODE_64,
                                   .user = true,
                                   CODE(0x0f, 0x05),
                                   .flags_by_condition = true, /* R11 holds them */
                                   .setup = before_syscall,
                                   .check = check_syscall};
    const struct test_case cases[] = {
        {.name = "sysretq", CODE(0x48, 0x0f, 0x07), .setup = before_sysret, .check = check_sysret},
        {.name = "bad rcx", CODE(0x48, 0x0f, 0x07), .setup = sysret_not_canonical, .status = 2, .check = check_gp0},
    };

    run_case(&call);
    RUN_CASES(cases, X86EMU_MODE_64, NULL);
}

/* --- ports and flags ---------------------------------------------------------------------------------------------- */

static void port_71_allowed(struct world *world)
{
    segments_init(world);
    world->vcpu.gpr[X86EMU_RDX] = 0x71;
    for (unsigned n = 0; n < 32; n++)
        world_store(world, SEGMENTS_TSS + 0x68 + n, 0xff, 1);
    world_store(world, SEGMENTS_TSS + 0x68 + 0x71 / 8, 0xfd, 1);
}

static void check_port(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->event_count, 1);
    cr_assert_eq(world->event[0].kind, X86EMU_REQUEST_PORT_IN);
    cr_assert_eq(world->event[0].address, 0x71);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x5a);
}

static void port_beyond_the_bitmap(struct world *world)
{
    segments_init(world);
    world->vcpu.tr.limit = 0x68 + 0x71 / 8; /* the second byte that is always read lies beyond */
    world->vcpu.gpr[X86EMU_RDX] = 0x71;
}

Test(system, F23_port_permission_bitmap)
{
    const struct test_case cases[] = {
        {.name = "in al, dx", .user = true, CODE(0xec), .setup = port_71_allowed, .check = check_port},
        {.name = "in ax, dx",
         .user = true,
         CODE(0x66, 0xed),
         .setup = port_71_allowed,
         .status = 2,
         .check = check_gp0},
        {.name = "beyond", .user = true, CODE(0xec), .setup = port_beyond_the_bitmap, .status = 2, .check = check_gp0},
    };

    RUN_CASES(cases, X86EMU_MODE_64, NULL);
    RUN_CASES(cases, X86EMU_MODE_32, NULL);
}

static void pop_everything(struct world *world)
{
    world_store(world, WORLD_STACK, 0x3f7fd7 & ~X86EMU_RFLAGS_TF, 8);
}

static void check_popf_user(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.rflags,
                 0x3f7fd7 & ~(X86EMU_RFLAGS_TF | X86EMU_RFLAGS_IF | X86EMU_RFLAGS_IOPL | X86EMU_RFLAGS_RF |
                              X86EMU_RFLAGS_VM | X86EMU_RFLAGS_VIF | X86EMU_RFLAGS_VIP));
}

Test(system, popf_leaves_what_privilege_protects)
{
    const struct test_case test = {.name = "popfq",
                                   .mode = X86EMU_MODE_64,
                                   .user = true,
                                   CODE(0x9d),
                                   .setup = pop_everything,
                                   .check = check_popf_user};

    run_case(&test);
}

/* --- looking at descriptors --------------------------------------------------------------------------------------- */

static void rbx_is_small(struct world *world)
{
    segments_init(world);
    world->vcpu.gpr[X86EMU_RBX] = SMALL;
}

static void rbx_is_kernel_code(struct world *world)
{
    segments_init(world);
    world->vcpu.gpr[X86EMU_RBX] = KERNEL_CODE;
    world->vcpu.gpr[X86EMU_RAX] = 1;
}

static void check_lar(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x409200);
    cr_assert(world->vcpu.rflags & X86EMU_RFLAGS_ZF);
}

static void check_lsl(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x5678);
    cr_assert(world->vcpu.rflags & X86EMU_RFLAGS_ZF);
}

static void check_zf(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert(world->vcpu.rflags & X86EMU_RFLAGS_ZF);
}

static void check_no_zf(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_not(world->vcpu.rflags & X86EMU_RFLAGS_ZF);
}

Test(system, lar_lsl_verr_verw)
{
    const struct test_case cases[] = {
        {.name = "lar eax, ebx", CODE(0x0f, 0x02, 0xc3), .setup = rbx_is_small, .check = check_lar},
        {.name = "lsl eax, ebx", CODE(0x0f, 0x03, 0xc3), .setup = rbx_is_small, .check = check_lsl},
        {.name = "verw small", CODE(0x0f, 0x00, 0xeb), .setup = rbx_is_small, .check = check_zf},
        {.name = "verr code", CODE(0x0f, 0x00, 0xe3), .setup = rbx_is_kernel_code, .check = check_zf},
        {.name = "verw code", CODE(0x0f, 0x00, 0xeb), .setup = rbx_is_kernel_code, .check = check_no_zf},
        {.name = "verr at CPL 3", .user = true, CODE(0x0f, 0, 0xe3), .setup = rbx_is_kernel_code, .check = check_no_zf},
    };

    RUN_CASES(cases, X86EMU_MODE_32, NULL);
}
