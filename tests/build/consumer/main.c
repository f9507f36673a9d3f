/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that uses the installed library and nothing of the source tree. */
#include <x86emu/x86emu.h>

#include <stdio.h>

int main(void)
{
    static const uint8_t mov[] = {0x8b, 0x43, 0x10}; /* mov eax, [rbx+0x10] */
    struct x86emu_insn insn;

    if (x86emu_decode(&insn, mov, sizeof mov, X86EMU_MODE_64) != X86EMU_DECODE_OK || insn.length != sizeof mov) {
        fprintf(stderr, "mov eax, [rbx+0x10] was not decoded\n");
        return 1;
    }
    static struct x86emu emu;
    static struct x86emu_vcpu vcpu;
    x86emu_init(&emu, NULL);
    if (x86emu_step(&emu, &vcpu) != X86EMU_REQUEST || emu.request.kind != X86EMU_REQUEST_STATE) {
        fprintf(stderr, "an empty vCPU was not asked for its state\n");
        return 1;
    }
    return 0;
}
