/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts, exceptions, returns from them, and debug traps, against the SDM's pseudo-code and figures. */
#include "segments.h"

#include <criterion/criterion.h>
#include <string.h>

/* --- INT n, IRET -------------------------------------------------------------------------------------------------- */

static void user_int(struct world *world)
{
    segments_init(world);
    segments_gate(world, 0x80, 14, 3, 0);
    world->vcpu.rflags |= X86EMU_RFLAGS_IF | X86EMU_RFLAGS_TF;
}

/* SDM Vol. 3, figure 6-4. */
static void check_int(const struct world *world, const struct x86emu *emu)
{
    const uint64_t flags = X86EMU_RFLAGS_FIXED | X86EMU_RFLAGS_IF | X86EMU_RFLAGS_TF;
    uint64_t sp = SEGMENTS_INNER_STACK - 20;

    cr_assert_eq(world->vcpu.gpr[X86EMU_RSP], sp);
    cr_assert_eq(world_load(world, sp, 4), WORLD_CODE + 2);
    cr_assert_eq(world_load(world, sp + 4, 4), KERNEL_CODE | 3);
    cr_assert_eq(world_load(world, sp + 8, 4), flags);
    cr_assert_eq(world_load(world, sp + 12, 4), WORLD_STACK);
    cr_assert_eq(world_load(world, sp + 16, 4), KERNEL_DATA | 3);
    cr_assert_eq(world->vcpu.rflags, X86EMU_RFLAGS_FIXED, "IF and TF are clear");
    cr_assert_eq(world->vcpu.rip, SEGMENTS_HANDLER);
    cr_assert_not(emu->outcome.trap, "TF is cleared before a trap could be taken");
}

static void user_int_denied(struct world *world)
{
    segments_init(world);
    segments_gate(world, 0x80, 14, 0, 0);
}

static void check_int_denied(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_GP);
    cr_assert_eq(emu->outcome.exception.error_code, 0x80 * 8 + 2);
}

Test(system, int_n_through_a_gate)
{
    const struct test_case allowed = {.name = "int 80h",
                                      .mode = X86EMU_MODE_32,
                                      .user = true,
                                      CODE(0xcd, 0x80),
                                      .flags_by_condition = true, /* they are pushed */
                                      .setup = user_int,
                                      .check = check_int};
    struct test_case denied = allowed;

    run_case(&allowed);
    denied.setup = user_int_denied;
    denied.status = X86EMU_EXCEPTION;
    denied.check = check_int_denied;
    run_case(&denied);
}

static void real_int(struct world *world)
{
    world_store(world, 0x21 * 4, 0x12345678, 4);
    world->vcpu.idtr.limit = 0x3ff;
    world->vcpu.rflags |= X86EMU_RFLAGS_IF;
}

static void check_real_int(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.segment[X86EMU_CS].base, 0x12340);
    cr_assert_eq(world->vcpu.rip, 0x5678);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RSP], 0x7000 - 6);
    cr_assert_eq(world_load(world, 0x6ffa, 2), WORLD_CODE + 2);
    cr_assert_eq(world_load(world, 0x6ffc, 2), 0);
    cr_assert_eq(world_load(world, 0x6ffe, 2), X86EMU_RFLAGS_FIXED | X86EMU_RFLAGS_IF);
    cr_assert_not(world->vcpu.rflags & X86EMU_RFLAGS_IF);
}

Test(system, C27_int_n_in_real_mode)
{
    const struct test_case test = {.name = "int 21h",
                                   .mode = X86EMU_MODE_16,
                                   CODE(0xcd, 0x21),
                                   .flags_by_condition = true,
                                   .setup = real_int,
                                   .check = check_real_int};

    run_case(&test);
}

static void iretq_to_user(struct world *world)
{
    const uint64_t frame[] = {0x9100, USER_CODE, 0x202, 0x1d000, USER_DATA};

    segments_init(world);
    for (unsigned n = 0; n < 5; n++)
        world_store(world, WORLD_STACK + 8 * n, frame[n], 8);
    world->vcpu.interruptibility = X86EMU_BLOCKED_BY_NMI;
}

static void check_iretq(const struct world *world, const struct x86emu *emu)
{
    (void)emu;
    cr_assert_eq(world->vcpu.rip, 0x9100);
    cr_assert_eq(world->vcpu.rflags, 0x202);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RSP], 0x1d000);
    cr_assert_eq(world->vcpu.segment[X86EMU_CS].selector, USER_CODE);
    cr_assert_eq(world->vcpu.segment[X86EMU_CS].attributes, 0xa0fb);
    cr_assert_eq(world->vcpu.segment[X86EMU_SS].selector, USER_DATA);
    cr_assert(world->vcpu.segment[X86EMU_ES].attributes & X86EMU_SEGMENT_UNUSABLE);
    cr_assert_eq(world->vcpu.interruptibility, 0, "NMIs may come again");
}

Test(system, F24_iretq_unblocks_nmi)
{
    const struct test_case test = {
        .name = "iretq", .mode = X86EMU_MODE_64, CODE(0x48, 0xcf), .setup = iretq_to_user, .check = check_iretq};

    run_case(&test);
}

static void iret_to_vm86(struct world *world)
{
    const uint32_t frame[] = {0x100, 0x1000, 0x20202, 0xfffe, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000};

    segments_init(world);
    for (unsigned n = 0; n < 9; n++)
        world_store(world, WORLD_STACK + 4 * n, frame[n], 4);
}

static void check_vm86(const struct world *world, const struct x86emu *emu)
{
    static const uint8_t names[] = {X86EMU_CS, X86EMU_SS, X86EMU_ES, X86EMU_DS, X86EMU_FS, X86EMU_GS};

    (void)emu;
    for (unsigned n = 0; n < 6; n++) {
        const struct x86emu_segment *segment = &world->vcpu.segment[names[n]];

        cr_assert_eq(segment->selector, 0x1000 * (n + 1));
        cr_assert_eq(segment->base, 0x10000 * (n + 1));
        cr_assert_eq(segment->limit, 0xffff);
        cr_assert_eq(segment->attributes, 0xf3);
    }
    cr_assert_eq(world->vcpu.rip, 0x100);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RSP], 0xfffe);
    cr_assert_eq(world->vcpu.rflags, 0x20202);
}

Test(system, C27_iret_to_virtual_8086_mode)
{
    const struct test_case test = {
        .name = "iretd", .mode = X86EMU_MODE_32, CODE(0xcf), .setup = iret_to_vm86, .check = check_vm86};

    run_case(&test);
}

/* --- delivery ----------------------------------------------------------------------------------------------------- */

/* Delivers with every request answered in a context that has moved. */
static enum x86emu_status deliver(struct world *world, struct x86emu *emu, const struct x86emu_event *event)
{
    static struct x86emu moved;
    enum x86emu_status status;

    x86emu_init(emu, NULL);
    status = x86emu_deliver(emu, &world->vcpu, event);
    while (status == X86EMU_REQUEST) {
        memcpy(&moved, emu, sizeof(moved));
        memset(emu, 0xa5, sizeof(*emu));
        world_answer(world, &moved.request);
        memcpy(emu, &moved, sizeof(*emu));
        status = x86emu_complete(emu, &world->vcpu);
    }
    return status;
}

static struct world world;
static struct x86emu emu;

static const struct x86emu_event page_fault = {
    .kind = X86EMU_EVENT_EXCEPTION, .vector = 14, .has_error_code = true, .error_code = 6, .cr2 = 0x123456789};

/* SDM Vol. 3, figure 6-9: SS:RSP always, the stack aligned to 16, IST 1 in use. */
Test(system, deliver_page_fault_on_an_interrupt_stack)
{
    const uint64_t frame[] = {6, WORLD_CODE, KERNEL_CODE | 3, 0x10202, WORLD_STACK, KERNEL_DATA | 3};
    uint64_t sp = (SEGMENTS_IST_1 & ~0xf) - sizeof(frame);

    world_init(&world, X86EMU_MODE_64);
    world_set_user(&world);
    segments_init(&world);
    segments_gate(&world, 14, 14, 0, 1);
    world.vcpu.rflags |= X86EMU_RFLAGS_IF;
    cr_assert_eq(deliver(&world, &emu, &page_fault), X86EMU_RETIRED);
    cr_assert_eq(world.vcpu.gpr[X86EMU_RSP], sp);
    for (unsigned n = 0; n < 6; n++)
        cr_assert_eq(world_load(&world, sp + 8 * n, 8), frame[n], "element %u: %llx", n,
                     (unsigned long long)world_load(&world, sp + 8 * n, 8));
    cr_assert_eq(world.vcpu.cr2, 0x123456789);
    cr_assert_eq(world.vcpu.segment[X86EMU_SS].selector, 0, "null, with RPL 0");
    cr_assert_eq(world.vcpu.segment[X86EMU_CS].selector, KERNEL_CODE);
    cr_assert_eq(world.vcpu.rip, SEGMENTS_HANDLER);
    cr_assert_eq(world.vcpu.rflags, X86EMU_RFLAGS_FIXED);
}

/* SDM Vol. 3, table 6-5. */
Test(system, deliver_double_and_triple_fault)
{
    struct x86emu_event event = page_fault;
    struct x86emu_vcpu before;

    world_init(&world, X86EMU_MODE_64);
    segments_init(&world);
    world.vcpu.idtr.limit = 0;
    before = world.vcpu;
    cr_assert_eq(deliver(&world, &emu, &event), X86EMU_EXCEPTION);
    cr_assert_eq(emu.outcome.exception.vector, X86EMU_VECTOR_DF, "#GP while delivering #PF");
    before.cr2 = event.cr2; /* written before the handler is looked for */
    before.changed |= X86EMU_STATE_CR2;
    cr_assert_eq(emu.outcome.exception.error_code, 0);
    event = (struct x86emu_event){.kind = X86EMU_EVENT_EXCEPTION, .vector = X86EMU_VECTOR_UD};
    cr_assert_eq(deliver(&world, &emu, &event), X86EMU_EXCEPTION);
    cr_assert_eq(emu.outcome.exception.vector, X86EMU_VECTOR_GP, "#UD is benign");
    cr_assert_eq(emu.outcome.exception.error_code, X86EMU_VECTOR_UD * 8 + 3, "IDT and EXT");
    event = (struct x86emu_event){.kind = X86EMU_EVENT_EXCEPTION, .vector = X86EMU_VECTOR_DF, .has_error_code = true};
    cr_assert_eq(deliver(&world, &emu, &event), X86EMU_SHUTDOWN);
    cr_assert(memcmp(&before, &world.vcpu, sizeof(before)) == 0, "the state is as before");
}

Test(system, F24_nmi_blocks_further_ones)
{
    const struct x86emu_event nmi = {.kind = X86EMU_EVENT_NMI, .vector = 2};

    world_init(&world, X86EMU_MODE_32);
    segments_init(&world);
    segments_gate(&world, 2, 15, 0, 0);
    world.vcpu.rflags |= X86EMU_RFLAGS_TF | X86EMU_RFLAGS_IF;
    cr_assert_eq(deliver(&world, &emu, &nmi), X86EMU_RETIRED);
    cr_assert_eq(world.vcpu.interruptibility, X86EMU_BLOCKED_BY_NMI);
    cr_assert_eq(world.vcpu.gpr[X86EMU_RSP], WORLD_STACK - 12, "same privilege: no stack is pushed");
    cr_assert_eq(world.vcpu.rflags, X86EMU_RFLAGS_FIXED | X86EMU_RFLAGS_IF, "a trap gate leaves IF");
    cr_assert_not(emu.outcome.trap);
}

/* SDM Vol. 3, figure 21-4 (from virtual-8086 mode through a gate to CPL 0). */
Test(system, C27_deliver_from_virtual_8086_mode)
{
    const struct x86emu_event event = {.kind = X86EMU_EVENT_INTERRUPT, .vector = 0x20};
    const uint32_t frame[] = {0x100, 0x800, 0x20202, 0x400, 0x1000, 0x30, 0x31, 0x32, 0x33};
    uint64_t sp = SEGMENTS_INNER_STACK - sizeof(frame);
    static const uint8_t data[] = {X86EMU_ES, X86EMU_DS, X86EMU_FS, X86EMU_GS};

    world_init(&world, X86EMU_MODE_32);
    segments_init(&world);
    segments_gate(&world, 0x20, 14, 0, 0);
    for (unsigned n = 0; n < 6; n++)
        world.vcpu.segment[n] = (struct x86emu_segment){.limit = 0xffff, .attributes = 0xf3};
    for (unsigned n = 0; n < 4; n++)
        world.vcpu.segment[data[n]].selector = (uint16_t)(0x30 + n);
    world.vcpu.segment[X86EMU_CS].selector = 0x800;
    world.vcpu.segment[X86EMU_CS].base = 0x8000;
    world.vcpu.segment[X86EMU_SS].selector = 0x1000;
    world.vcpu.segment[X86EMU_SS].base = 0x10000;
    world.vcpu.rip = 0x100;
    world.vcpu.gpr[X86EMU_RSP] = 0x400;
    world.vcpu.rflags = 0x20202;
    cr_assert_eq(deliver(&world, &emu, &event), X86EMU_RETIRED);
    cr_assert_eq(world.vcpu.gpr[X86EMU_RSP], sp);
    for (unsigned n = 0; n < 9; n++)
        cr_assert_eq(world_load(&world, sp + 4 * n, 4), frame[n], "element %u: %llx", n,
                     (unsigned long long)world_load(&world, sp + 4 * n, 4));
    for (unsigned n = 0; n < 4; n++)
        cr_assert(world.vcpu.segment[data[n]].attributes & X86EMU_SEGMENT_UNUSABLE);
    cr_assert_eq(world.vcpu.rflags, X86EMU_RFLAGS_FIXED);
    cr_assert_eq(world.vcpu.segment[X86EMU_CS].selector, KERNEL_CODE);
}

/* --- traps and shadows -------------------------------------------------------------------------------------------- */

static enum x86emu_status step(const void *code, size_t size)
{
    world_code(&world, code, size);
    x86emu_init(&emu, NULL);
    return run_step(&world, &emu);
}

Test(system, F24_single_step)
{
    world_init(&world, X86EMU_MODE_64);
    world.vcpu.rflags |= X86EMU_RFLAGS_TF;
    cr_assert_eq(step("\x90", 1), X86EMU_RETIRED);
    cr_assert(emu.outcome.trap);
    cr_assert_eq(emu.outcome.dr6, X86EMU_DR6_BS);
}

Test(system, F24_single_step_stops_at_each_element)
{
    world_init(&world, X86EMU_MODE_64);
    world.vcpu.rflags |= X86EMU_RFLAGS_TF;
    world.vcpu.gpr[X86EMU_RCX] = 5;
    world.vcpu.gpr[X86EMU_RDI] = WORLD_DATA;
    cr_assert_eq(step("\xf3\xaa", 2), X86EMU_RETIRED);
    cr_assert(emu.outcome.trap && emu.outcome.repeats);
    cr_assert_eq(world.vcpu.gpr[X86EMU_RCX], 4);
}

Test(system, F24_sti_holds_interrupts_back_for_one_instruction)
{
    world_init(&world, X86EMU_MODE_64);
    cr_assert_eq(step("\xfb\x90", 2), X86EMU_RETIRED);
    cr_assert_eq(world.vcpu.interruptibility, X86EMU_BLOCKED_BY_STI);
    cr_assert_eq(run_step(&world, &emu), X86EMU_RETIRED);
    cr_assert_eq(world.vcpu.interruptibility, 0);
}

/* SDM Vol. 3, table 17-2: four bytes from 0x10004 on, written. */
Test(system, data_breakpoints)
{
    static const struct {
        uint64_t rbx, dr7, dr6;
        char code[3];
    } cases[] = {
        {WORLD_DATA + 4, 0xd0001, 1, "\x88\x03"}, /* mov [rbx], al: first byte */
        {WORLD_DATA + 7, 0xd0001, 1, "\x88\x03"}, /* last byte */
        {WORLD_DATA + 8, 0xd0001, 0, "\x88\x03"}, /* behind it */
        {WORLD_DATA + 1, 0xd0001, 1, "\x89\x03"}, /* mov [rbx], eax reaches into it */
        {WORLD_DATA, 0xd0001, 0, "\x89\x03"},     /* ends before it */
        {WORLD_DATA + 4, 0xd0001, 0, "\x8a\x03"}, /* mov al, [rbx]: a read */
        {WORLD_DATA + 4, 0xf0002, 1, "\x8a\x03"}, /* reads too, globally enabled */
        {WORLD_DATA + 4, 0xf0000, 0, "\x8a\x03"}, /* not enabled */
    };

    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        world_init(&world, X86EMU_MODE_64);
        world.vcpu.dr[0] = WORLD_DATA + 4;
        world.vcpu.dr[7] = cases[n].dr7;
        world.vcpu.gpr[X86EMU_RBX] = cases[n].rbx;
        cr_assert_eq(step(cases[n].code, 2), X86EMU_RETIRED);
        cr_assert_eq(emu.outcome.dr6, cases[n].dr6, "case %zu", n);
        cr_assert_eq(emu.outcome.trap, cases[n].dr6 != 0, "case %zu", n);
    }
}

Test(system, instruction_breakpoint_and_rf)
{
    world_init(&world, X86EMU_MODE_64);
    world.vcpu.dr[3] = WORLD_CODE;
    world.vcpu.dr[7] = 0x80;
    cr_assert_eq(step("\x90", 1), X86EMU_EXCEPTION);
    cr_assert_eq(emu.outcome.exception.vector, X86EMU_VECTOR_DB);
    cr_assert_eq(emu.outcome.dr6, 8);
    world.vcpu.rflags |= X86EMU_RFLAGS_RF;
    cr_assert_eq(step("\x90", 1), X86EMU_RETIRED);
    cr_assert_not(world.vcpu.rflags & X86EMU_RFLAGS_RF);
}

Test(system, debug_exception_clears_general_detect)
{
    const struct x86emu_event event = {
        .kind = X86EMU_EVENT_EXCEPTION, .vector = X86EMU_VECTOR_DB, .dr6 = X86EMU_DR6_BD};

    world_init(&world, X86EMU_MODE_64);
    segments_init(&world);
    segments_gate(&world, 1, 14, 0, 0);
    world.vcpu.dr[6] = 0xffff0ff0;
    world.vcpu.dr[7] = X86EMU_DR7_GD | 0x400;
    cr_assert_eq(step("\x0f\x21\xf8", 3), X86EMU_EXCEPTION); /* mov rax, dr7 */
    cr_assert_eq(emu.outcome.dr6, X86EMU_DR6_BD);
    cr_assert_eq(deliver(&world, &emu, &event), X86EMU_RETIRED);
    cr_assert_eq(world.vcpu.dr[6], 0xffff0ff0 | X86EMU_DR6_BD);
    cr_assert_eq(world.vcpu.dr[7], 0x400);
}

/* FMASK keeps single steps out of the kernel; where SYSRET brings TF back, one follows as if SYSCALL had just ended. */
Test(system, F24_single_step_and_system_calls)
{
    static const struct {
        uint64_t fmask, tf_in_r11;
        char code[4];
        size_t size;
        bool tf, trap;
    } cases[] = {
        {.fmask = X86EMU_RFLAGS_TF, .code = "\x0f\x05", .size = 2, .tf = true, .trap = false},
        {.fmask = 0, .code = "\x0f\x05", .size = 2, .tf = true, .trap = true},
        {.tf_in_r11 = X86EMU_RFLAGS_TF, .code = "\x48\x0f\x07", .size = 3, .tf = false, .trap = true},
        {.tf_in_r11 = 0, .code = "\x48\x0f\x07", .size = 3, .tf = true, .trap = false},
    };

    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        world_init(&world, X86EMU_MODE_64);
        world.vcpu.efer |= X86EMU_EFER_SCE;
        world.vcpu.star = 0x0018000800000000;
        world.vcpu.fmask = cases[n].fmask;
        world.vcpu.gpr[11] = X86EMU_RFLAGS_FIXED | cases[n].tf_in_r11;
        world.vcpu.rflags |= cases[n].tf ? X86EMU_RFLAGS_TF : 0;
        cr_assert_eq(step(cases[n].code, cases[n].size), X86EMU_RETIRED);
        cr_assert_eq(emu.outcome.trap, cases[n].trap, "case %zu", n);
    }
}

/* MOV SS from a watched word, with TF; then what code says. */
static void after_mov_ss(const char *code, size_t size)
{
    char bytes[16] = "\x8e\x13"; /* mov ss, [rbx] */

    memcpy(bytes + 2, code, size);
    world_init(&world, X86EMU_MODE_32);
    segments_init(&world);
    segments_gate(&world, 3, 15, 3, 0);
    world_store(&world, WORLD_DATA, KERNEL_DATA, 2);
    world.vcpu.gpr[X86EMU_RBX] = WORLD_DATA;
    world.vcpu.dr[0] = WORLD_DATA;
    world.vcpu.dr[7] = 0x70001; /* two bytes, read or written */
    world.vcpu.rflags |= X86EMU_RFLAGS_TF;
    cr_assert_eq(step(bytes, 2 + size), X86EMU_RETIRED);
    cr_assert_not(emu.outcome.trap, "nothing comes between MOV SS and the next instruction");
    cr_assert_eq(world.vcpu.pending_debug, 1);
    run_step(&world, &emu);
}

/* SDM Vol. 3, 6.8.3; what becomes of the breakpoint before an interrupt as the processor at hand had it. */
Test(system, F24_breakpoint_of_mov_ss_waits_for_the_next_instruction)
{
    after_mov_ss("\x90", 1);
    cr_assert(emu.outcome.trap);
    cr_assert_eq(emu.outcome.dr6, 1 | X86EMU_DR6_BS);
    cr_assert_eq(world.vcpu.pending_debug, 0);
    after_mov_ss("\xcc", 1); /* int3 */
    cr_assert_not(emu.outcome.trap);
    cr_assert_eq(world.vcpu.pending_debug, 0);
}
