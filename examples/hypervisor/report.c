/* SPDX-License-Identifier: BSD-2-Clause */
/* What is printed when a guest can't go on. */
#include "machine.h"

#include <stdio.h>
#include <x86emu/format.h>

static void print_segments(FILE *out, const struct x86emu_vcpu *vcpu)
{
    static const char *const names[6] = {"es", "cs", "ss", "ds", "fs", "gs"};

    for (unsigned i = 0; i < 6; i++)
        fprintf(out, "  %s %04x base %016llx limit %08x attributes %05x%s", names[i], vcpu->segment[i].selector,
                (unsigned long long)vcpu->segment[i].base, vcpu->segment[i].limit, vcpu->segment[i].attributes,
                i % 2 == 1 ? "\n" : "");
    fprintf(out, "  gdt %016llx limit %04x  idt %016llx limit %04x  tr %04x base %016llx  kernel gs %016llx\n",
            (unsigned long long)vcpu->gdtr.base, vcpu->gdtr.limit, (unsigned long long)vcpu->idtr.base,
            vcpu->idtr.limit, vcpu->tr.selector, (unsigned long long)vcpu->tr.base,
            (unsigned long long)vcpu->kernel_gs_base);
}

static void print_instruction(FILE *out, const struct x86emu_vcpu *vcpu, const uint8_t *bytes, unsigned count)
{
    char text[X86EMU_FORMAT_ROOM] = "";
    struct x86emu_insn insn;

    fprintf(out, "  bytes at RIP:");
    for (unsigned i = 0; i < count; i++)
        fprintf(out, " %02x", bytes[i]);
    if (x86emu_decode(&insn, bytes, count, machine_mode(vcpu)) == X86EMU_DECODE_OK)
        x86emu_format(&insn, vcpu->rip, text, sizeof(text));
    fprintf(out, "  %s\n", text);
}

void report_vcpu_to(FILE *out, const struct x86emu_vcpu *vcpu, const uint8_t *bytes, unsigned count)
{
    static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

    for (unsigned i = 0; i < 16; i++)
        fprintf(out, "%s%-3s %016llx%s", i % 4 == 0 ? "  " : "  ", names[i], (unsigned long long)vcpu->gpr[i],
                i % 4 == 3 ? "\n" : "");
    fprintf(out, "  rip %016llx  rflags %08llx  cs %04x  ss %04x\n", (unsigned long long)vcpu->rip,
            (unsigned long long)vcpu->rflags, vcpu->segment[X86EMU_CS].selector, vcpu->segment[X86EMU_SS].selector);
    fprintf(out, "  cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx  efer %04llx\n", (unsigned long long)vcpu->cr0,
            (unsigned long long)vcpu->cr2, (unsigned long long)vcpu->cr3, (unsigned long long)vcpu->cr4,
            (unsigned long long)vcpu->efer);
    print_segments(out, vcpu);
    print_instruction(out, vcpu, bytes, count);
}

void report_vcpu(const struct x86emu_vcpu *vcpu, const uint8_t *bytes, unsigned count)
{
    report_vcpu_to(stdout, vcpu, bytes, count);
}
