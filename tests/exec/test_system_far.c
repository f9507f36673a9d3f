/* SPDX-License-Identifier: BSD-2-Clause */
/* Segment loads, far transfers and task switches, against the SDM's pseudo-code and figures. */
#include "segments.h"

#include <criterion/criterion.h>

static uint64_t gdt_access(const struct world *world, unsigned selector)
{
    return world_load(world, SEGMENTS_GDT + (selector & 0xfff8) + 5, 1);
}

static void expect_fault(const struct x86emu *emu, unsigned vector, unsigned code)
{
    cr_assert_eq(emu->outcome.exception.vector, vector, "vector %u", emu->outcome.exception.vector);
    cr_assert(emu->outcome.exception.has_error_code);
    cr_assert_eq(emu->outcome.exception.error_code, code, "error code %x", emu->outcome.exception.error_code);
}

/* --- segment loads ------------------------------------------------------------------------------------------------ */

static void rax_is_small(struct world *world)
{
    segments_init(world);
    world->vcpu.gpr[X86EMU_RAX] = SMALL;
}

static void check_small(const struct world *world, const struct x86emu *emu)
{
    const struct x86emu_segment *ds = &world->vcpu.segment[X86EMU_DS];

    cr_assert_eq(ds->selector, SMALL);
    cr_assert_eq(ds->base, 0x12340);
    cr_assert_eq(ds->limit, 0x5678);
    cr_assert_eq(ds->attributes, 0x4093);
    cr_assert_eq(gdt_access(world, SMALL), 0x93, "the accessed bit is set in memory");
    cr_assert(emu->outcome.changed & X86EMU_STATE_DATA);
}

static void rax_is_absent(struct world *world)
{
    segments_init(world);
    world->vcpu.gpr[X86EMU_RAX] = ABSENT;
}

static void check_absent(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    expect_fault(emu, X86EMU_VECTOR_NP, ABSENT);
}

static void rax_is_read_only(struct world *world)
{
    segments_init(world);
    world->vcpu.gpr[X86EMU_RAX] = READ_ONLY;
}

static void check_read_only_stack(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    expect_fault(emu, X86EMU_VECTOR_GP, READ_ONLY);
}

static void rax_is_beyond(struct world *world)
{
    segments_init(world);
    world->vcpu.gpr[X86EMU_RAX] = 0x8b;
}

static void check_beyond(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    expect_fault(emu, X86EMU_VECTOR_GP, 0x88);
}

static void stack_holds_kernel_data(struct world *world)
{
    segments_init(world);
    world->vcpu.rflags |= X86EMU_RFLAGS_TF;
    world_store(world, WORLD_STACK, KERNEL_DATA, 4);
}

static void check_pop_ss(const struct world *world, const struct x86emu *emu)
{
    cr_assert_eq(world->vcpu.interruptibility, X86EMU_BLOCKED_BY_MOV_SS);
    cr_assert_not(emu->outcome.trap, "SDM Vol. 3, 6.8.3: the single-step trap is held back too");
    cr_assert_eq(world->vcpu.gpr[X86EMU_RSP], WORLD_STACK + 4);
}

Test(system, C17_segment_loads_check_descriptors)
{
    const struct test_case cases[] = {
        {.name = "mov ds, ax", CODE(0x8e, 0xd8), .setup = rax_is_small, .check = check_small},
        {.name = "mov ds, absent", CODE(0x8e, 0xd8), .setup = rax_is_absent, .status = 2, .check = check_absent},
        {.name = "mov ss, read-only",
         CODE(0x8e, 0xd0),
         .setup = rax_is_read_only,
         .status = X86EMU_EXCEPTION,
         .check = check_read_only_stack},
        {.name = "mov es, beyond the limit",
         CODE(0x8e, 0xc0),
         .setup = rax_is_beyond,
         .status = X86EMU_EXCEPTION,
         .check = check_beyond},
        {.name = "pop ss", CODE(0x17), .setup = stack_holds_kernel_data, .check = check_pop_ss},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_case test = cases[i];

        test.mode = X86EMU_MODE_32;
        run_case(&test);
    }
}

static void unreal(struct world *world)
{
    world->vcpu.segment[X86EMU_DS].limit = 0xffffffff;
    world->vcpu.gpr[X86EMU_RAX] = 0x1234;
}

static void check_unreal(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.segment[X86EMU_DS].base, 0x12340);
    cr_assert_eq(world->vcpu.segment[X86EMU_DS].limit, 0xffffffff, "the limit stays");
}

Test(system, C27_unreal_mode_keeps_the_limit)
{
    const struct test_case test = {
        .name = "mov ds, ax", .mode = X86EMU_MODE_16, CODE(0x8e, 0xd8), .setup = unreal, .check = check_unreal};

    run_case(&test);
}

/* --- far JMP, CALL, RET ------------------------------------------------------------------------------------------- */

static void check_jmp(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.segment[X86EMU_CS].selector, CODE_16);
    cr_assert_eq(world->vcpu.segment[X86EMU_CS].limit, 0xffff);
    cr_assert_eq(world->vcpu.rip, 0x9000);
}

static void check_jmp_beyond(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    expect_fault(emu, X86EMU_VECTOR_GP, 0);
}

Test(system, far_jmp)
{
    const struct test_case inside = {.name = "jmp CODE_16:9000",
                                     .mode = X86EMU_MODE_32,
                                     CODE(0xea, 0x00, 0x90, 0, 0, CODE_16, 0),
                                     .setup = segments_init,
                                     .check = check_jmp};
    const struct test_case beyond = {.name = "jmp CODE_16:19000",
                                     .mode = X86EMU_MODE_32,
                                     CODE(0xea, 0x00, 0x90, 1, 0, CODE_16, 0),
                                     .setup = segments_init,
                                     .status = X86EMU_EXCEPTION,
                                     .check = check_jmp_beyond};

    run_case(&inside);
    run_case(&beyond);
}

static void user_with_parameters(struct world *world)
{
    segments_init(world);
    for (unsigned n = 0; n < 3; n++)
        world_store(world, WORLD_STACK + 4 * n, 0xa0 + n, 4);
}

/* SDM Vol. 3, figure 5-13: SS, ESP, parameters in their order, CS, EIP. */
static void check_gate(const struct world *world, const struct x86emu *emu)
{
    const uint32_t frame[] = {WORLD_CODE + 7, KERNEL_CODE | 3, 0xa0, 0xa1, 0xa2, WORLD_STACK, KERNEL_DATA | 3};
    uint64_t sp = SEGMENTS_INNER_STACK - sizeof(frame);

    (void)emu;
    cr_assert_eq(world->vcpu.gpr[X86EMU_RSP], sp);
    for (unsigned n = 0; n < 7; n++)
        cr_assert_eq(world_load(world, sp + 4 * n, 4), frame[n], "element %u", n);
    cr_assert_eq(world->vcpu.segment[X86EMU_CS].selector, KERNEL_CODE);
    cr_assert_eq(world->vcpu.segment[X86EMU_SS].selector, KERNEL_DATA);
    cr_assert_eq(world->vcpu.rip, SEGMENTS_HANDLER);
}

Test(system, C20_call_gate_copies_parameters)
{
    const struct test_case test = {.name = "call CALL_GATE",
                                   .mode = X86EMU_MODE_32,
                                   .user = true,
                                   CODE(0x9a, 0, 0, 0, 0, CALL_GATE, 0),
                                   .setup = user_with_parameters,
                                   .check = check_gate};

    run_case(&test);
}

static void return_frame(struct world *world)
{
    const uint32_t frame[] = {0x9100, USER_CODE, 1, 2, WORLD_STACK - 0x100, USER_DATA};

    segments_init(world);
    for (unsigned n = 0; n < 6; n++)
        world_store(world, WORLD_STACK + 4 * n, frame[n], 4);
    world->vcpu.segment[X86EMU_FS].attributes = 0xc0f3; /* one that may stay */
    world->vcpu.segment[X86EMU_FS].selector = USER_DATA;
}

static void check_return(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.rip, 0x9100);
    cr_assert_eq(world->vcpu.segment[X86EMU_CS].selector, USER_CODE);
    cr_assert_eq(world->vcpu.segment[X86EMU_SS].selector, USER_DATA);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RSP], WORLD_STACK - 0x100 + 8, "both stacks are freed");
    cr_assert(world->vcpu.segment[X86EMU_DS].attributes & X86EMU_SEGMENT_UNUSABLE);
    cr_assert_eq(world->vcpu.segment[X86EMU_DS].selector, 0);
    cr_assert_eq(world->vcpu.segment[X86EMU_FS].selector, USER_DATA);
}

Test(system, far_return_to_an_outer_level)
{
    const struct test_case test = {
        .name = "retf 8", .mode = X86EMU_MODE_32, CODE(0xca, 8, 0), .setup = return_frame, .check = check_return};

    run_case(&test);
}

/* --- task switch -------------------------------------------------------------------------------------------------- */

static void new_task(struct world *world)
{
    const uint32_t registers[] = {
        world->vcpu.cr3 & 0xffffffff, 0x9200, 0x2, 0xc0, 0xc1, 0xc2, 0xc3, 0x1d000, 0xc5, 0xc6, 0xc7};
    const uint16_t selectors[] = {KERNEL_DATA, KERNEL_CODE, KERNEL_DATA, OF_LDT, 0, 0};

    segments_init(world);
    for (unsigned n = 0; n < 11; n++)
        world_store(world, SEGMENTS_NEW_TSS + 0x1c + 4 * n, registers[n], 4);
    for (unsigned n = 0; n < 6; n++)
        world_store(world, SEGMENTS_NEW_TSS + 0x48 + 4 * n, selectors[n], 2);
    world_store(world, SEGMENTS_NEW_TSS + 0x60, LDT, 2);
    world_store(world, SEGMENTS_NEW_TSS + 0x64, 1, 1); /* T */
    world->vcpu.gpr[X86EMU_RDI] = 0x12345678;
    world->vcpu.dr[7] = 0x7ff; /* all four enabled in both ways, with LE and GE */
    world->vcpu.dr[0] = world->vcpu.dr[1] = world->vcpu.dr[2] = world->vcpu.dr[3] = 0xff000;
}

static void check_task(const struct world *world, const struct x86emu *emu)
{
    const struct x86emu_vcpu *vcpu = &world->vcpu;

    cr_assert_eq(vcpu->tr.selector, NEW_TSS);
    cr_assert_eq(vcpu->tr.base, SEGMENTS_NEW_TSS);
    cr_assert_eq(gdt_access(world, TSS), 0x8b, "the old task stays busy");
    cr_assert_eq(gdt_access(world, NEW_TSS), 0x8b);
    cr_assert_eq(world_load(world, SEGMENTS_NEW_TSS, 2), TSS, "back link");
    cr_assert_eq(world_load(world, SEGMENTS_TSS + 0x20, 4), WORLD_CODE + 7, "EIP of the old task");
    cr_assert_eq(world_load(world, SEGMENTS_TSS + 0x44, 4), 0x12345678, "its EDI");
    cr_assert_eq(world_load(world, SEGMENTS_TSS + 0x4c, 2), KERNEL_CODE, "its CS");
    cr_assert_eq(vcpu->rip, 0x9200);
    cr_assert(vcpu->rflags & X86EMU_RFLAGS_NT);
    for (unsigned n = 0; n < 8; n++)
        cr_assert_eq(vcpu->gpr[n], n == X86EMU_RSP ? 0x1d000 : 0xc0 + n);
    cr_assert(vcpu->cr0 & X86EMU_CR0_TS);
    cr_assert_eq(vcpu->ldtr.selector, LDT);
    cr_assert_eq(vcpu->segment[X86EMU_DS].base, 0x15000, "TI means the new task's LDT");
    cr_assert_eq(world_load(world, SEGMENTS_LDT + 8 + 5, 1), 0x93);
    cr_assert(vcpu->segment[X86EMU_GS].attributes & X86EMU_SEGMENT_UNUSABLE);
    cr_assert_eq(vcpu->dr[7] & 0x3ff, 0x2aa, "local breakpoints and LE are off");
    cr_assert(emu->outcome.trap);
    cr_assert_eq(emu->outcome.dr6, X86EMU_DR6_BT);
    cr_assert_eq(emu->outcome.invalidation, X86EMU_INVALIDATE_PCID);
}

Test(system, C20_task_switch)
{
    const struct test_case tss = {.name = "call NEW_TSS",
                                  .mode = X86EMU_MODE_32,
                                  CODE(0x9a, 0, 0, 0, 0, NEW_TSS, 0),
                                  .flags_by_condition = true, /* they are saved in the TSS */
                                  .setup = new_task,
                                  .check = check_task};
    struct test_case gate = tss;

    run_case(&tss);
    gate.name = "call TASK_GATE";
    gate.code = (const uint8_t[]){0x9a, 0, 0, 0, 0, TASK_GATE, 0};
    run_case(&gate);
}

static void nested_task(struct world *world)
{
    new_task(world);
    world_store(world, SEGMENTS_TSS, NEW_TSS, 2);
    world_store(world, SEGMENTS_GDT + NEW_TSS + 5, 0x8b, 1); /* busy: it waits for this one */
    world->vcpu.rflags |= X86EMU_RFLAGS_NT;
}

static void check_task_return(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.tr.selector, NEW_TSS);
    cr_assert_eq(gdt_access(world, TSS), 0x89, "available again");
    cr_assert_eq(gdt_access(world, NEW_TSS), 0x8b);
    cr_assert_eq(world_load(world, SEGMENTS_TSS + 0x24, 4) & X86EMU_RFLAGS_NT, 0);
    cr_assert_not(world->vcpu.rflags & X86EMU_RFLAGS_NT);
    cr_assert_eq(world->vcpu.rip, 0x9200);
}

Test(system, iret_to_the_task_that_called)
{
    const struct test_case test = {.name = "iret with NT",
                                   .mode = X86EMU_MODE_32,
                                   CODE(0xcf),
                                   .flags_by_condition = true,
                                   .setup = nested_task,
                                   .check = check_task_return};

    run_case(&test);
}
