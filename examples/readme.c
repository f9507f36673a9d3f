/* SPDX-License-Identifier: BSD-2-Clause */
/* The README's example: a guest's `mov eax, [rbx+0x10]` from a device, step by step. */
#include <x86emu/x86emu.h>

#include <stdio.h>

int main(void)
{
    static struct x86emu emu;
    static struct x86emu_vcpu vcpu = {.rflags = X86EMU_RFLAGS_FIXED, .loaded = X86EMU_STATE_ALL};
    static const struct x86emu_hint exit = {.bytes = {0x8b, 0x43, 0x10}, .byte_count = 3}; /* from the hypervisor */
    vcpu.cr0 = X86EMU_CR0_PE; /* 32-bit protected mode, paging off, flat segments */
    for (int i = 0; i < 6; i++)
        vcpu.segment[i] = (struct x86emu_segment){.limit = 0xffffffff, .attributes = i == X86EMU_CS ? 0xc09b : 0xc093};
    vcpu.gpr[X86EMU_RBX] = 0xfee00000;

    x86emu_init(&emu, NULL);
    x86emu_hint(&emu, &exit);
    enum x86emu_status status = x86emu_step(&emu, &vcpu);
    while (status == X86EMU_REQUEST) { /* one device register, read once */
        printf("read of %u bytes at %llx\n", emu.request.size, (unsigned long long)emu.request.gpa);
        emu.request.data.value = 0x12345678;
        emu.request.answer = X86EMU_ANSWER_OK;
        status = x86emu_complete(&emu, &vcpu);
    }
    printf("status %d, rax = %llx, rip = %llx\n", (int)status, (unsigned long long)vcpu.gpr[X86EMU_RAX],
           (unsigned long long)vcpu.rip);
    return !(status == X86EMU_RETIRED && vcpu.gpr[X86EMU_RAX] == 0x12345678 && vcpu.rip == 3);
}
