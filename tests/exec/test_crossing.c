/* SPDX-License-Identifier: BSD-2-Clause */
/* C18: accesses that cross a page. Both pages are checked before either is touched. */
#include "runner.h"

#include <criterion/criterion.h>

static void device_then_read_only(struct world *world)
{
    world->vcpu.cr4 |= X86EMU_CR4_OSFXSR;
    world->vcpu.gpr[X86EMU_RBX] = WORLD_READ_ONLY - 2;
    world->vcpu.gpr[X86EMU_RAX] = 0x11223344;
}

/* The fault is the second page's, and the device of the first has not been touched. */
static void check_second_page_faults(const struct world *world, const struct x86emu *emu)
{
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_PF);
    cr_assert_eq(emu->outcome.exception.cr2, WORLD_READ_ONLY);
    cr_assert_eq(emu->outcome.exception.error_code, 3);
    cr_assert_eq(world->event_count, 0);
    cr_assert_eq(world->device_reads, 0);
}

Test(crossing, C18_both_pages_are_checked_before_either_is_touched)
{
    const struct test_case cases[] = {
        {.name = "mov [rbx], eax", CODE(0x89, 0x03), .status = X86EMU_EXCEPTION, .check = check_second_page_faults},
        {.name = "add [rbx], eax", CODE(0x01, 0x03), .status = X86EMU_EXCEPTION, .check = check_second_page_faults},
        {.name = "xchg [rbx], eax", CODE(0x87, 0x03), .status = X86EMU_EXCEPTION, .check = check_second_page_faults},
        {.name = "movups [rbx], xmm0",
         CODE(0x0f, 0x11, 0x03),
         .status = X86EMU_EXCEPTION,
         .check = check_second_page_faults},
    };

    RUN_CASES(cases, X86EMU_MODE_64, device_then_read_only);
    RUN_CASES(cases, X86EMU_MODE_32, device_then_read_only);
}

static void read_only_then_ram(struct world *world)
{
    world->vcpu.gpr[X86EMU_RBX] = WORLD_CLEAN - 2;
    world->vcpu.gpr[X86EMU_RAX] = 0x11223344;
}

static void check_first_page_faults(const struct world *world, const struct x86emu *emu)
{
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_PF);
    cr_assert_eq(emu->outcome.exception.cr2, WORLD_CLEAN - 2);
    cr_assert_eq(world_load(world, WORLD_CLEAN, 2), 0);
}

Test(crossing, C18_the_first_page_faults_first)
{
    const struct test_case store = {.name = "mov [rbx], eax",
                                    .mode = X86EMU_MODE_64,
                                    CODE(0x89, 0x03),
                                    .setup = read_only_then_ram,
                                    .status = X86EMU_EXCEPTION,
                                    .check = check_first_page_faults};

    run_case(&store);
}
