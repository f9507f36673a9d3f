/* SPDX-License-Identifier: BSD-2-Clause */
/* Which field of KVM's is which of the library's. */
#include "kvm_convert.h"

struct x86emu_segment segment_from_kvm(const struct kvm_segment *s)
{
    uint32_t attributes = s->type | (uint32_t)s->s << 4 | (uint32_t)s->dpl << 5 | (uint32_t)s->present << 7 |
                          (uint32_t)s->avl << 12 | (uint32_t)s->l << 13 | (uint32_t)s->db << 14 | (uint32_t)s->g << 15;

    return (struct x86emu_segment){.base = s->base,
                                   .limit = s->limit,
                                   .selector = s->selector,
                                   .attributes = attributes | (s->unusable ? X86EMU_SEGMENT_UNUSABLE : 0)};
}

struct kvm_segment segment_to_kvm(const struct x86emu_segment *s)
{
    uint32_t a = s->attributes;

    return (struct kvm_segment){.base = s->base,
                                .limit = s->limit,
                                .selector = s->selector,
                                .type = a & 0xf,
                                .s = a >> 4 & 1,
                                .dpl = a >> 5 & 3,
                                .present = a >> 7 & 1,
                                .avl = a >> 12 & 1,
                                .l = a >> 13 & 1,
                                .db = a >> 14 & 1,
                                .g = a >> 15 & 1,
                                .unusable = (a & X86EMU_SEGMENT_UNUSABLE) != 0};
}

struct kvm_segment *kvm_segment_in(struct kvm_sregs *sregs, unsigned name)
{
    struct kvm_segment *const segments[6] = {&sregs->es, &sregs->cs, &sregs->ss, &sregs->ds, &sregs->fs, &sregs->gs};

    return segments[name];
}

void special_from_kvm(struct x86emu_vcpu *vcpu, struct kvm_sregs *s)
{
    for (unsigned n = 0; n < 6; n++)
        vcpu->segment[n] = segment_from_kvm(kvm_segment_in(s, n));
    vcpu->ldtr = segment_from_kvm(&s->ldt);
    vcpu->tr = segment_from_kvm(&s->tr);
    vcpu->gdtr = (struct x86emu_table_register){.base = s->gdt.base, .limit = s->gdt.limit};
    vcpu->idtr = (struct x86emu_table_register){.base = s->idt.base, .limit = s->idt.limit};
    vcpu->cr0 = s->cr0;
    vcpu->cr2 = s->cr2;
    vcpu->cr3 = s->cr3;
    vcpu->cr4 = s->cr4;
    vcpu->cr8 = s->cr8;
    vcpu->efer = s->efer;
}

void general_from_kvm(struct x86emu_vcpu *vcpu, const struct kvm_regs *r)
{
    const uint64_t gprs[16] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
                               r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15};

    for (unsigned n = 0; n < 16; n++)
        vcpu->gpr[n] = gprs[n];
    vcpu->rip = r->rip;
    vcpu->rflags = r->rflags;
}

struct kvm_regs general_to_kvm(const struct x86emu_vcpu *vcpu)
{
    const uint64_t *gpr = vcpu->gpr;

    return (struct kvm_regs){.rax = gpr[0],
                             .rcx = gpr[1],
                             .rdx = gpr[2],
                             .rbx = gpr[3],
                             .rsp = gpr[4],
                             .rbp = gpr[5],
                             .rsi = gpr[6],
                             .rdi = gpr[7],
                             .r8 = gpr[8],
                             .r9 = gpr[9],
                             .r10 = gpr[10],
                             .r11 = gpr[11],
                             .r12 = gpr[12],
                             .r13 = gpr[13],
                             .r14 = gpr[14],
                             .r15 = gpr[15],
                             .rip = vcpu->rip,
                             .rflags = vcpu->rflags};
}
