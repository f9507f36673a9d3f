/* SPDX-License-Identifier: BSD-2-Clause */
/* The promises of the step interface: wrong, late, double and missing answers; hints; endings; what is asked for. */
#include "runner.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct world *world;
static struct x86emu *emu;

static void begin(enum x86emu_mode mode)
{
    world = malloc(sizeof(*world));
    emu = malloc(sizeof(*emu));
    world_init(world, mode);
    x86emu_init(emu, NULL);
}

static void end(void)
{
    free(world);
    free(emu);
}

static void begin_64(void)
{
    begin(X86EMU_MODE_64);
    world->vcpu.gpr[X86EMU_RBX] = WORLD_DEVICE + 0x10;
}

TestSuite(contract, .init = begin_64, .fini = end);

#define CODE_AT_RIP(...) world_code(world, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Answers requests until one of this kind is open. */
static enum x86emu_status step_to(unsigned kind)
{
    enum x86emu_status status = x86emu_step(emu, &world->vcpu);

    while (status == X86EMU_REQUEST && emu->request.kind != kind) {
        world_answer(world, &emu->request);
        status = x86emu_complete(emu, &world->vcpu);
    }
    return status;
}

static enum x86emu_status finish(void)
{
    enum x86emu_status status;

    do {
        world_answer(world, &emu->request);
        status = x86emu_complete(emu, &world->vcpu);
    } while (status == X86EMU_REQUEST);
    return status;
}

/* --- answers that don't fit ---------------------------------------------------------------------------------------- */

Test(contract, step_again_while_request_is_open)
{
    struct x86emu_request before;

    CODE_AT_RIP(0x8b, 0x03); /* mov eax, [rbx] */
    cr_assert_eq(step_to(X86EMU_REQUEST_READ), X86EMU_REQUEST);
    before = emu->request;
    cr_assert_eq(x86emu_step(emu, &world->vcpu), X86EMU_REQUEST);
    cr_assert(memcmp(&before, &emu->request, sizeof(before)) == 0);
    cr_assert_eq(finish(), X86EMU_RETIRED);
    cr_assert_eq(world->device_reads, 1);
}

Test(contract, answered_twice)
{
    CODE_AT_RIP(0x8b, 0x03);
    cr_assert_eq(x86emu_complete(emu, &world->vcpu), X86EMU_NO_REQUEST);
    cr_assert_eq(run_step(world, emu), X86EMU_RETIRED);
    cr_assert_eq(x86emu_complete(emu, &world->vcpu), X86EMU_NO_REQUEST);
}

Test(contract, never_answered_then_cancelled)
{
    struct x86emu_vcpu before = world->vcpu;

    CODE_AT_RIP(0x8b, 0x03);
    cr_assert_eq(step_to(X86EMU_REQUEST_READ), X86EMU_REQUEST);
    x86emu_cancel(emu);
    cr_assert(memcmp(&before, &world->vcpu, sizeof(before)) == 0);
    cr_assert_eq(x86emu_complete(emu, &world->vcpu), X86EMU_NO_REQUEST);
    cr_assert_eq(run_step(world, emu), X86EMU_RETIRED);
}

/* Each way in which an answer can fail to fit its question leaves the request open and everything as it was. */
Test(contract, answers_that_do_not_fit)
{
    struct x86emu_vcpu before = world->vcpu;
    struct x86emu_request good;

    CODE_AT_RIP(0x8b, 0x03);
    cr_assert_eq(step_to(X86EMU_REQUEST_READ), X86EMU_REQUEST);
    good = emu->request;
    for (int wrong = 0; wrong < 8; wrong++) {
        emu->request = good;
        emu->request.answer = X86EMU_ANSWER_OK;
        switch (wrong) {
        case 0:
            emu->request.size = 8;
            break;
        case 1:
            emu->request.count = 2;
            break;
        case 2:
            emu->request.gpa += 4;
            break;
        case 3:
            emu->request.kind = X86EMU_REQUEST_WRITE;
            break;
        case 4:
            emu->request.id--;
            break;
        case 5:
            emu->request.answer = X86EMU_ANSWER_NONE;
            break;
        case 6:
            emu->request.answer = X86EMU_ANSWER_CHANGED;
            break;
        default:
            emu->request.answer = 200;
            break;
        }
        cr_assert_eq(x86emu_complete(emu, &world->vcpu), X86EMU_BAD_ANSWER, "answer %d", wrong);
        cr_assert(memcmp(&before, &world->vcpu, sizeof(before)) == 0);
    }
    emu->request = good;
    cr_assert_eq(finish(), X86EMU_RETIRED);
}

Test(contract, state_answered_without_loading)
{
    CODE_AT_RIP(0x8b, 0x03);
    world->vcpu.loaded = 0;
    cr_assert_eq(x86emu_step(emu, &world->vcpu), X86EMU_REQUEST);
    cr_assert_eq(emu->request.kind, X86EMU_REQUEST_STATE);
    emu->request.answer = X86EMU_ANSWER_OK;
    cr_assert_eq(x86emu_complete(emu, &world->vcpu), X86EMU_BAD_ANSWER);
    cr_assert_eq(finish(), X86EMU_RETIRED);
}

Test(contract, context_never_initialised)
{
    memset(emu, 0, sizeof(*emu));
    cr_assert_eq(x86emu_step(emu, &world->vcpu), X86EMU_BAD_CONFIG);
    cr_assert_eq(x86emu_complete(emu, &world->vcpu), X86EMU_BAD_CONFIG);
}

/* --- F5: what crosses the boundary is the request ------------------------------------------------------------------ */

Test(contract, F5_request_is_enough_to_answer)
{
    struct x86emu_request carried;

    CODE_AT_RIP(0x89, 0x03); /* mov [rbx], eax */
    world->vcpu.gpr[X86EMU_RAX] = 0xcafe;
    cr_assert_eq(step_to(X86EMU_REQUEST_WRITE), X86EMU_REQUEST);
    carried = emu->request;
    memset(&emu->request, 0, sizeof(emu->request)); /* it has gone to another process */
    cr_assert_eq(carried.gpa, WORLD_DEVICE + 0x10);
    cr_assert_eq(carried.size, 4);
    cr_assert_eq(carried.count, 1);
    cr_assert_eq(carried.data.value, 0xcafe);
    world_answer(world, &carried);
    emu->request = carried;
    cr_assert_eq(x86emu_complete(emu, &world->vcpu), X86EMU_RETIRED);
    cr_assert_eq(world_load(world, WORLD_DEVICE + 0x10, 4), 0xcafe);
}

/* --- F7: the exit's guest-physical address is used as is ----------------------------------------------------------- */

Test(contract, F7_hinted_address_needs_no_walk_and_no_registers)
{
    const uint8_t code[] = {0xc7, 0x44, 0x8b, 0x20, 0x78, 0x56, 0x34, 0x12}; /* mov dword [rbx+rcx*4+32], imm32 */
    struct x86emu_hint hint = {.gpa = WORLD_DEVICE + 0x44,
                               .access = X86EMU_ACCESS_WRITE,
                               .flags = X86EMU_HINT_GPA | X86EMU_HINT_ACCESS,
                               .byte_count = sizeof(code)};

    memcpy(hint.bytes, code, sizeof(code));
    world->vcpu.cr3 = 0x123456000; /* leads nowhere */
    world->vcpu.loaded = X86EMU_STATE_RIP | X86EMU_STATE_CS | X86EMU_STATE_CONTROL;
    x86emu_hint(emu, &hint);
    cr_assert_eq(x86emu_step(emu, &world->vcpu), X86EMU_REQUEST);
    cr_assert_eq(emu->request.kind, X86EMU_REQUEST_WRITE);
    cr_assert_eq(emu->request.gpa, WORLD_DEVICE + 0x44);
    cr_assert_eq(emu->request.data.value & 0xffffffff, 0x12345678);
    cr_assert_eq(finish(), X86EMU_RETIRED);
    cr_assert_eq(world->vcpu.rip, WORLD_CODE + sizeof(code));
}

/* --- C24: an exit address that lost its low bits -------------------------------------------------------------------- */

Test(contract, C24_page_aligned_exit_address)
{
    struct x86emu_hint hint = {.gpa = WORLD_DEVICE, .flags = X86EMU_HINT_GPA_PAGE};

    CODE_AT_RIP(0x8b, 0x43, 0x04); /* mov eax, [rbx+4] */
    x86emu_hint(emu, &hint);
    cr_assert_eq(step_to(X86EMU_REQUEST_READ), X86EMU_REQUEST);
    cr_assert_eq(emu->request.gpa, WORLD_DEVICE + 0x14);
    cr_assert_eq(finish(), X86EMU_RETIRED);
}

/* --- C25, C26: the instruction there now isn't the one that exited -------------------------------------------------- */

static void expect_refusal(struct x86emu_hint hint, enum x86emu_status status)
{
    struct x86emu_vcpu before = world->vcpu;

    x86emu_hint(emu, &hint);
    cr_assert_eq(run_step(world, emu), status);
    cr_assert(memcmp(&before, &world->vcpu, sizeof(before)) == 0);
    cr_assert_eq(world->event_count, 0);
}

Test(contract, C25_exit_was_a_write_but_this_reads)
{
    CODE_AT_RIP(0x8b, 0x03); /* mov eax, [rbx] */
    expect_refusal((struct x86emu_hint){.gpa = WORLD_DEVICE + 0x10,
                                        .access = X86EMU_ACCESS_WRITE,
                                        .flags = X86EMU_HINT_GPA | X86EMU_HINT_ACCESS},
                   X86EMU_NOT_THIS_INSN);
}

Test(contract, C25_exit_was_at_another_address)
{
    CODE_AT_RIP(0xa4); /* movsb */
    world->vcpu.gpr[X86EMU_RSI] = WORLD_DATA;
    world->vcpu.gpr[X86EMU_RDI] = WORLD_DEVICE + 0x20;
    expect_refusal((struct x86emu_hint){.gpa = WORLD_DEVICE + 0x24,
                                        .access = X86EMU_ACCESS_WRITE,
                                        .flags = X86EMU_HINT_GPA | X86EMU_HINT_ACCESS},
                   X86EMU_NOT_THIS_INSN);
}

Test(contract, C25_linear_address_is_held_against_the_operand)
{
    CODE_AT_RIP(0x8b, 0x03); /* mov eax, [rbx] */
    expect_refusal((struct x86emu_hint){.gpa = WORLD_DEVICE + 0x18,
                                        .gva = WORLD_DEVICE + 0x18,
                                        .flags = X86EMU_HINT_GPA | X86EMU_HINT_GVA},
                   X86EMU_NOT_THIS_INSN);
}

Test(contract, C26_no_memory_operand)
{
    struct x86emu_hint hint = {.gpa = WORLD_DEVICE, .flags = X86EMU_HINT_GPA};

    CODE_AT_RIP(0x90); /* nop */
    expect_refusal(hint, X86EMU_NO_ACCESS);
    CODE_AT_RIP(0xf3, 0x0f, 0x1e, 0xfa); /* endbr64 */
    expect_refusal(hint, X86EMU_NO_ACCESS);
    CODE_AT_RIP(0x48, 0x8d, 0x03); /* lea rax, [rbx]: an address, but no access */
    expect_refusal(hint, X86EMU_NO_ACCESS);
}

Test(contract, C25_bytes_are_fetched_once)
{
    CODE_AT_RIP(0x8b, 0x03); /* mov eax, [rbx] */
    cr_assert_eq(step_to(X86EMU_REQUEST_READ), X86EMU_REQUEST);
    CODE_AT_RIP(0x89, 0x03); /* another vCPU makes it mov [rbx], eax */
    cr_assert_eq(finish(), X86EMU_RETIRED);
    cr_assert_eq(world->event_count, 1);
    cr_assert_eq(world->event[0].kind, X86EMU_REQUEST_READ);
}

/* --- F1, C21: fetch -------------------------------------------------------------------------------------------------- */

static void code_at(uint64_t rip, const uint8_t *bytes, size_t size)
{
    memcpy(world->ram + rip, bytes, size);
    world->vcpu.rip = rip;
}

Test(contract, F1_instruction_crosses_a_page)
{
    const uint8_t code[] = {0xb8, 0x78, 0x56, 0x34, 0x12}; /* mov eax, imm32 */

    code_at(0x8ffd, code, sizeof(code));
    cr_assert_eq(run_step(world, emu), X86EMU_RETIRED);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RAX], 0x12345678);
}

Test(contract, C21_second_page_only_if_needed)
{
    const uint8_t short_code[] = {0xb0, 0x12}; /* mov al, imm8: ends with the page */
    const uint8_t long_code[] = {0xb8, 0x78};

    world_store(world, 0x4000 + 9 * 8, 0, 8); /* the page at 9000 is absent */
    code_at(0x8ffe, short_code, sizeof(short_code));
    cr_assert_eq(run_step(world, emu), X86EMU_RETIRED);
    code_at(0x8ffe, long_code, sizeof(long_code));
    cr_assert_eq(run_step(world, emu), X86EMU_EXCEPTION);
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_PF);
    cr_assert_eq(emu->outcome.exception.cr2, 0x9000);
    cr_assert_eq(emu->outcome.exception.error_code, 0x10); /* instruction fetch, not present, supervisor */
}

Test(contract, too_long_and_undefined)
{
    uint8_t code[16];

    memset(code, 0x66, sizeof(code));
    code[15] = 0x90;
    code_at(WORLD_CODE, code, sizeof(code));
    cr_assert_eq(run_step(world, emu), X86EMU_EXCEPTION);
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_GP);
    CODE_AT_RIP(0xf0, 0x8b, 0x03); /* lock mov eax, [rbx] */
    cr_assert_eq(run_step(world, emu), X86EMU_EXCEPTION);
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_UD);
    cr_assert_eq(emu->outcome.exception.has_error_code, false);
}

/* --- F8, C16, C23: not emulated, nothing there ---------------------------------------------------------------------- */

Test(contract, F8_C16_not_emulated_has_bytes_and_reason)
{
    const uint8_t addps[] = {0x0f, 0x58, 0xc1};
    struct x86emu_vcpu before = world->vcpu;

    code_at(WORLD_CODE, addps, sizeof(addps));
    before.rip = WORLD_CODE;
    cr_assert_eq(run_step(world, emu), X86EMU_NOT_EMULATED);
    cr_assert_eq(emu->outcome.reason, X86EMU_REASON_NO_FUNCTION);
    cr_assert(emu->byte_count >= sizeof(addps));
    cr_assert(memcmp(emu->bytes, addps, sizeof(addps)) == 0);
    cr_assert(memcmp(&before, &world->vcpu, sizeof(before)) == 0);
}

static void expect_unmapped(uint64_t gpa, unsigned access)
{
    struct x86emu_vcpu before = world->vcpu;

    cr_assert_eq(run_step(world, emu), X86EMU_UNMAPPED);
    cr_assert_eq(emu->outcome.gpa, gpa);
    cr_assert_eq(emu->outcome.access, access);
    cr_assert(memcmp(&before, &world->vcpu, sizeof(before)) == 0);
}

Test(contract, F8_no_such_region)
{
    struct x86emu_config config = {.map = &world->map};

    CODE_AT_RIP(0x89, 0x03);
    world->vcpu.gpr[X86EMU_RBX] = WORLD_NOWHERE + 8;
    expect_unmapped(WORLD_NOWHERE_GPA + 8, X86EMU_ACCESS_WRITE);
    world_map(world, false, 8);
    x86emu_init(emu, &config);
    expect_unmapped(WORLD_NOWHERE_GPA + 8, X86EMU_ACCESS_WRITE);
}

Test(contract, C23_execution_from_nowhere_and_from_a_device)
{
    struct x86emu_config config = {.map = &world->map};

    world->vcpu.rip = WORLD_NOWHERE;
    expect_unmapped(WORLD_NOWHERE_GPA, X86EMU_ACCESS_EXECUTE);
    world_map(world, false, 8);
    x86emu_init(emu, &config);
    expect_unmapped(WORLD_NOWHERE_GPA, X86EMU_ACCESS_EXECUTE);
    world->vcpu.rip = WORLD_DEVICE;
    expect_unmapped(WORLD_DEVICE, X86EMU_ACCESS_EXECUTE);
    cr_assert_eq(world->event_count, 0);
}

/* Execution from a device that the guest may execute is a read of it (C22). */
Test(contract, C22_execution_from_a_rom_device)
{
    struct x86emu_config config = {.map = &world->map};

    world_map(world, true, 8);
    world->device_region.protection |= X86EMU_ACCESS_EXECUTE;
    x86emu_init(emu, &config);
    world->vcpu.rip = WORLD_DEVICE;
    world_store(world, WORLD_DEVICE, 0x90, 1);
    cr_assert_eq(x86emu_step(emu, &world->vcpu), X86EMU_REQUEST);
    cr_assert_eq(emu->request.kind, X86EMU_REQUEST_FETCH);
    cr_assert_eq(emu->request.gpa, WORLD_DEVICE);
    cr_assert_eq(finish(), X86EMU_RETIRED);
}

/* Accessed and dirty flags are writes too: where the guest may not write they are asked for, and RAM stays as it is (C22). */
Test(contract, C22_page_tables_in_memory_that_is_read_only)
{
    struct x86emu_config config = {.map = &world->map};
    static uint8_t before[WORLD_RAM_SIZE];

    world_map(world, true, 8);
    world->ram_region.protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_EXECUTE;
    x86emu_init(emu, &config);
    CODE_AT_RIP(0x8b, 0x07); /* MOV EAX, [RDI] */
    world->vcpu.gpr[X86EMU_RDI] = WORLD_CLEAN;
    memcpy(before, world->ram, sizeof(before));
    cr_assert_eq(step_to(X86EMU_REQUEST_ENTRY_UPDATE), X86EMU_REQUEST);
    cr_assert_eq(emu->request.data.value, emu->request.old_data.value | 0x20);
    cr_assert_arr_eq(world->ram, before, sizeof(before));
    cr_assert_eq(finish(), X86EMU_RETIRED);
}

/* --- F13: batches ----------------------------------------------------------------------------------------------------- */

Test(contract, F13_rep_stosd_is_one_request)
{
    CODE_AT_RIP(0xf3, 0xab);
    world->vcpu.gpr[X86EMU_RDI] = WORLD_DEVICE;
    world->vcpu.gpr[X86EMU_RCX] = 100;
    world->vcpu.gpr[X86EMU_RAX] = 0x01020304;
    cr_assert_eq(step_to(X86EMU_REQUEST_WRITE), X86EMU_REQUEST);
    cr_assert_eq(emu->request.count, 100);
    cr_assert_eq(emu->request.size, 4);
    cr_assert_eq(emu->request.stride, 4);
    cr_assert_eq(finish(), X86EMU_RETIRED);
    cr_assert_eq(emu->outcome.repeats, false);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RCX], 0);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDI], WORLD_DEVICE + 400);
}

Test(contract, F13_rep_movsw_device_to_ram_downwards)
{
    struct x86emu_config config = {.map = &world->map};

    world_map(world, true, 8);
    x86emu_init(emu, &config);
    CODE_AT_RIP(0xf3, 0x66, 0xa5);
    world->vcpu.rflags |= X86EMU_RFLAGS_DF;
    world->vcpu.gpr[X86EMU_RSI] = WORLD_DEVICE + 0x20;
    world->vcpu.gpr[X86EMU_RDI] = WORLD_DATA + 0x40;
    world->vcpu.gpr[X86EMU_RCX] = 5;
    cr_assert_eq(step_to(X86EMU_REQUEST_READ), X86EMU_REQUEST);
    cr_assert_eq(emu->request.count, 5);
    cr_assert_eq(emu->request.stride, -2);
    cr_assert_eq(emu->request.gpa, WORLD_DEVICE + 0x20);
    cr_assert_eq(finish(), X86EMU_RETIRED);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(world_load(world, (uint64_t)(WORLD_DATA + 0x40 - 2 * i), 2),
                     world_load(world, (uint64_t)(WORLD_DEVICE + 0x20 - 2 * i), 2));
    cr_assert_eq(world->vcpu.gpr[X86EMU_RSI], WORLD_DEVICE + 0x20 - 10);
    cr_assert_eq(world->vcpu.gpr[X86EMU_RDI], WORLD_DATA + 0x40 - 10);
}

/* --- C19: a split lock says so ---------------------------------------------------------------------------------------- */

Test(contract, C19_locked_access_over_two_pages)
{
    CODE_AT_RIP(0xf0, 0x01, 0x03); /* lock add [rbx], eax */
    world->vcpu.gpr[X86EMU_RBX] = WORLD_REMAPPED + 0xffe;
    world->vcpu.gpr[X86EMU_RAX] = 1;
    cr_assert_eq(step_to(X86EMU_REQUEST_RMW), X86EMU_REQUEST);
    cr_assert_eq(emu->request.flags, X86EMU_REQUEST_LOCKED | X86EMU_REQUEST_SPLIT);
    cr_assert_eq(emu->request.size, 4);
    cr_assert_eq(emu->request.first_size, 2);
    cr_assert_eq(emu->request.gpa, WORLD_DATA + 0xffe);
    cr_assert_eq(emu->request.gpa_second, WORLD_DEVICE);
    cr_assert_eq(finish(), X86EMU_RETIRED);
}

Test(contract, C19_locked_access_over_two_lines_of_ram)
{
    struct x86emu_config config = {.map = &world->map};

    world_map(world, true, 8);
    x86emu_init(emu, &config);
    CODE_AT_RIP(0xf0, 0x01, 0x03); /* lock add [rbx], eax */
    world->vcpu.gpr[X86EMU_RBX] = WORLD_DATA + 0x3e;
    world->vcpu.gpr[X86EMU_RAX] = 1;
    cr_assert_eq(x86emu_step(emu, &world->vcpu), X86EMU_REQUEST);
    cr_assert_eq(emu->request.kind, X86EMU_REQUEST_RMW);
    cr_assert_eq(emu->request.flags, X86EMU_REQUEST_LOCKED | X86EMU_REQUEST_SPLIT);
    cr_assert_eq(emu->request.first_size, 2);
    cr_assert_eq(finish(), X86EMU_RETIRED);
    cr_assert_eq(world_load(world, WORLD_DATA + 0x3e, 4), 1);
}

/* --- F4: per region, here or handed on -------------------------------------------------------------------------------- */

Test(contract, F4_region_with_handler_never_surfaces)
{
    struct x86emu_config config = {.map = &world->map};

    world_map(world, false, 4);
    x86emu_init(emu, &config);
    CODE_AT_RIP(0x8b, 0x03);
    cr_assert_eq(x86emu_step(emu, &world->vcpu), X86EMU_RETIRED);
    cr_assert_eq(world->device_reads, 1);
}

/* F9, C9: wider than the region takes is split into its widest accesses, in order. */
Test(contract, C9_split_to_region_width)
{
    struct x86emu_config config = {.map = &world->map};

    world_map(world, false, 2);
    x86emu_init(emu, &config);
    CODE_AT_RIP(0x48, 0x89, 0x03); /* mov [rbx], rax */
    world->vcpu.gpr[X86EMU_RAX] = 0x8877665544332211;
    cr_assert_eq(x86emu_step(emu, &world->vcpu), X86EMU_RETIRED);
    cr_assert_eq(world->event_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(world->event[i].size, 2);
        cr_assert_eq(world->event[i].address, WORLD_DEVICE + 0x10 + 2 * i);
    }
}

/* --- F14: what has a callback never surfaces, what has none comes out ------------------------------------------------- */

/* Answers RAM, and leaves the device to the caller. */
static void ram_only(void *opaque, struct x86emu_vcpu *vcpu, struct x86emu_request *request)
{
    (void)vcpu;
    if (request->gpa < WORLD_RAM_SIZE)
        world_answer(opaque, request);
}

Test(contract, F14_callbacks_registered_beforehand)
{
    struct x86emu_config config = {.opaque = world};
    enum x86emu_status status;

    config.callbacks[X86EMU_REQUEST_FETCH] = config.callbacks[X86EMU_REQUEST_ENTRY_READ] = ram_only;
    config.callbacks[X86EMU_REQUEST_READ] = config.callbacks[X86EMU_REQUEST_WRITE] = ram_only;
    x86emu_init(emu, &config);
    CODE_AT_RIP(0xa4); /* movsb: from RAM to the device */
    world->vcpu.gpr[X86EMU_RSI] = WORLD_DATA;
    world->vcpu.gpr[X86EMU_RDI] = WORLD_DEVICE;
    world_store(world, WORLD_DATA, 0x42, 1);
    status = x86emu_step(emu, &world->vcpu);
    cr_assert_eq(status, X86EMU_REQUEST);
    cr_assert_eq(emu->request.kind, X86EMU_REQUEST_WRITE);
    cr_assert_eq(emu->request.gpa, WORLD_DEVICE);
    cr_assert_eq(emu->request.data.bytes[0], 0x42);
    cr_assert_eq(finish(), X86EMU_RETIRED);
}

/* A callback that answers nonsense leaves the request open for the caller. */
static void nonsense(void *opaque, struct x86emu_vcpu *vcpu, struct x86emu_request *request)
{
    (void)opaque;
    (void)vcpu;
    request->answer = X86EMU_ANSWER_CHANGED; /* not for a read */
}

Test(contract, F14_callback_that_answers_wrongly)
{
    struct x86emu_config config = {.opaque = world};

    config.callbacks[X86EMU_REQUEST_READ] = nonsense;
    x86emu_init(emu, &config);
    CODE_AT_RIP(0x8b, 0x03);
    cr_assert_eq(step_to(X86EMU_REQUEST_NONE), X86EMU_BAD_ANSWER);
    cr_assert_eq(finish(), X86EMU_RETIRED);
    cr_assert_eq(world->device_reads, 1);
}

/* --- page tables that lead nowhere, or into a device ------------------------------------------------------------------ */

Test(contract, page_table_in_no_memory)
{
    CODE_AT_RIP(0x8b, 0x03);
    world->vcpu.cr3 = WORLD_NOWHERE_GPA;
    cr_assert_eq(run_step(world, emu), X86EMU_UNMAPPED);
    cr_assert_eq(emu->outcome.gpa, WORLD_NOWHERE_GPA);
}

Test(contract, page_table_in_a_device)
{
    struct x86emu_config config = {.map = &world->map};

    CODE_AT_RIP(0x8b, 0x03);
    world_map(world, true, 8);
    x86emu_init(emu, &config);
    world->vcpu.cr3 = WORLD_DEVICE;
    memset(world->device, 0, WORLD_DEVICE_SIZE);
    cr_assert_eq(x86emu_step(emu, &world->vcpu), X86EMU_REQUEST);
    cr_assert_eq(emu->request.kind, X86EMU_REQUEST_ENTRY_READ);
    cr_assert_eq(emu->request.gpa, WORLD_DEVICE);
    cr_assert_eq(finish(), X86EMU_EXCEPTION);
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_PF);
}

Test(contract, address_that_is_not_canonical)
{
    CODE_AT_RIP(0x8b, 0x03);
    world->vcpu.gpr[X86EMU_RBX] = UINT64_C(0x0000800000000000);
    cr_assert_eq(run_step(world, emu), X86EMU_EXCEPTION);
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_GP);
    CODE_AT_RIP(0x50); /* push rax: SS */
    world->vcpu.gpr[X86EMU_RSP] = UINT64_C(0x0000800000000008);
    cr_assert_eq(run_step(world, emu), X86EMU_EXCEPTION);
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_SS);
}
