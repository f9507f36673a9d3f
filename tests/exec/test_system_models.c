/* SPDX-License-Identifier: BSD-2-Clause */
/* What the comparison with QEMU and Bochs found, against the manual. */
#include "segments.h"

#include <criterion/criterion.h>
#include <string.h>

static struct world world;
static struct x86emu emu;

static enum x86emu_status step(const void *code, size_t size)
{
    world_code(&world, code, size);
    x86emu_init(&emu, NULL);
    return run_step(&world, &emu);
}

/* SDM Vol. 2, LTR, LLDT, LAR, VERR: not recognized in virtual-8086 mode, whatever the privilege and the operand. */
Test(system, C27_no_descriptors_in_virtual_8086_mode)
{
    static const char *const code[] = {"\x0f\x00\xdb", "\x0f\x00\xd3", "\x0f\x02\xd3", "\x0f\x00\xe3",
                                       "\x0f\x00\x1e\xff\xff"};
    static const size_t size[] = {3, 3, 3, 3, 5};

    for (unsigned i = 0; i < 5; i++) {
        world_init(&world, X86EMU_MODE_32);
        segments_init(&world);
        for (unsigned n = 0; n < 6; n++)
            world.vcpu.segment[n] = (struct x86emu_segment){.limit = 0xffff, .attributes = 0xf3};
        world.vcpu.rflags |= X86EMU_RFLAGS_VM;
        cr_assert_eq(step(code[i], size[i]), X86EMU_EXCEPTION);
        cr_assert_eq(emu.outcome.exception.vector, X86EMU_VECTOR_UD, "number %u", i);
    }
}

/* SDM Vol. 3, 17.3.1.1: IRET with a 16-bit operand does not bring RF, and clears it as other instructions do. */
Test(system, F24_short_iret_clears_rf)
{
    world_init(&world, X86EMU_MODE_32);
    segments_init(&world);
    world_store(&world, WORLD_STACK, WORLD_CODE & 0xffff, 2);
    world_store(&world, WORLD_STACK + 2, KERNEL_CODE, 2);
    world_store(&world, WORLD_STACK + 4, X86EMU_RFLAGS_FIXED, 2);
    world.vcpu.rflags |= X86EMU_RFLAGS_RF;
    cr_assert_eq(step("\x66\xcf", 2), X86EMU_RETIRED);
    cr_assert_eq(world.vcpu.rflags & X86EMU_RFLAGS_RF, 0);
}

/* The same section: software interrupts push RF as 0. */
Test(system, F24_int_pushes_no_rf)
{
    world_init(&world, X86EMU_MODE_32);
    segments_init(&world);
    segments_gate(&world, 3, 15, 3, 0);
    world.vcpu.rflags |= X86EMU_RFLAGS_RF;
    cr_assert_eq(step("\xcc", 1), X86EMU_RETIRED);
    cr_assert_eq(world_load(&world, world.vcpu.gpr[X86EMU_RSP] + 8, 4) & X86EMU_RFLAGS_RF, 0);
}

/* SDM Vol. 2, LGDT: in 64-bit mode the operand has ten bytes, with any operand-size prefix. */
Test(system, lgdt_in_64_bit_mode_takes_all_of_the_base)
{
    world_init(&world, X86EMU_MODE_64);
    segments_init(&world);
    world_store(&world, WORLD_STACK, 0x77, 2);
    world_store(&world, WORLD_STACK + 2, 0x123456789abc, 8);
    cr_assert_eq(step("\x66\x0f\x01\x14\x24", 5), X86EMU_RETIRED);
    cr_assert_eq(world.vcpu.gdtr.base, 0x123456789abc);
    cr_assert_eq(world.vcpu.gdtr.limit, 0x77);
}

/* SDM Vol. 3, 17.3.1.1: an instruction breakpoint right after MOV SS is suppressed as if RF were set. */
Test(system, F24_no_instruction_breakpoint_after_mov_ss)
{
    world_init(&world, X86EMU_MODE_32);
    segments_init(&world);
    world.vcpu.dr[0] = WORLD_CODE;
    world.vcpu.dr[7] = 0x402;
    world.vcpu.interruptibility = X86EMU_BLOCKED_BY_MOV_SS;
    cr_assert_eq(step("\x90", 1), X86EMU_RETIRED);
}
