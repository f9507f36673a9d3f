/* SPDX-License-Identifier: BSD-2-Clause */
/* The vCPU's state between KVM and the library. */
#include "kvm.h"
#include "kvm_convert.h"

#include <string.h>
#include <sys/ioctl.h>

/* --- general and special registers -------------------------------------------------------------------------------- */

static bool load_general(struct kvm *kvm, struct x86emu_vcpu *vcpu)
{
    struct kvm_regs regs;

    if (ioctl(kvm->cpu, KVM_GET_REGS, &regs) != 0)
        return kvm_failed("reading registers");
    general_from_kvm(vcpu, &regs);
    return true;
}

static bool store_general(struct kvm *kvm, const struct x86emu_vcpu *vcpu)
{
    const struct kvm_regs regs = general_to_kvm(vcpu);

    return ioctl(kvm->cpu, KVM_SET_REGS, &regs) == 0 || kvm_failed("writing registers");
}

static bool load_special(struct kvm *kvm, struct x86emu_vcpu *vcpu)
{
    struct kvm_sregs s;

    if (ioctl(kvm->cpu, KVM_GET_SREGS, &s) != 0)
        return kvm_failed("reading system registers");
    special_from_kvm(vcpu, &s);
    return true;
}

static bool store_special(struct kvm *kvm, const struct x86emu_vcpu *vcpu)
{
    struct kvm_sregs s;

    if (ioctl(kvm->cpu, KVM_GET_SREGS, &s) != 0)
        return kvm_failed("reading system registers");
    for (unsigned n = 0; n < 6; n++)
        *kvm_segment_in(&s, n) = segment_to_kvm(&vcpu->segment[n]);
    s.ldt = segment_to_kvm(&vcpu->ldtr);
    s.tr = segment_to_kvm(&vcpu->tr);
    s.gdt.base = vcpu->gdtr.base;
    s.gdt.limit = vcpu->gdtr.limit;
    s.idt.base = vcpu->idtr.base;
    s.idt.limit = vcpu->idtr.limit;
    s.cr0 = vcpu->cr0;
    s.cr2 = vcpu->cr2;
    s.cr3 = vcpu->cr3;
    s.cr4 = vcpu->cr4;
    s.cr8 = vcpu->cr8;
    s.efer = vcpu->efer;
    return ioctl(kvm->cpu, KVM_SET_SREGS, &s) == 0 || kvm_failed("writing system registers");
}

/* --- model-specific registers that are state ---------------------------------------------------------------------- */

enum {
    MSRS = 8
};

static bool move_msrs(struct kvm *kvm, struct x86emu_vcpu *vcpu, bool load)
{
    static const uint32_t numbers[MSRS] = {0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
                                           0xc0000102, 0x174,      0x175,      0x176};
    uint64_t *const fields[MSRS] = {&vcpu->star,         &vcpu->lstar,          &vcpu->cstar,
                                    &vcpu->fmask,        &vcpu->kernel_gs_base, &vcpu->sysenter_cs,
                                    &vcpu->sysenter_esp, &vcpu->sysenter_eip};
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entries[MSRS];
    } msrs = {.head = {.nmsrs = MSRS}};

    for (unsigned n = 0; n < MSRS; n++) {
        msrs.entries[n].index = numbers[n];
        msrs.entries[n].data = load ? 0 : *fields[n];
    }
    if (ioctl(kvm->cpu, load ? KVM_GET_MSRS : KVM_SET_MSRS, &msrs) != MSRS)
        return kvm_failed("model-specific registers");
    for (unsigned n = 0; load && n < MSRS; n++)
        *fields[n] = msrs.entries[n].data;
    return true;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static bool move_interruptibility(struct kvm *kvm, struct x86emu_vcpu *vcpu, bool load)
{
    struct kvm_vcpu_events events;

    if (ioctl(kvm->cpu, KVM_GET_VCPU_EVENTS, &events) != 0)
        return kvm_failed("reading events");
    if (load) {
        vcpu->interruptibility = (events.interrupt.shadow & KVM_X86_SHADOW_INT_STI ? X86EMU_BLOCKED_BY_STI : 0u) |
                                 (events.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS ? X86EMU_BLOCKED_BY_MOV_SS : 0u) |
                                 (events.nmi.masked ? X86EMU_BLOCKED_BY_NMI : 0u);
        return true;
    }
    events.flags = KVM_VCPUEVENT_VALID_SHADOW;
    events.nmi.masked = (vcpu->interruptibility & X86EMU_BLOCKED_BY_NMI) != 0;
    events.interrupt.shadow =
        (__u8)((vcpu->interruptibility & X86EMU_BLOCKED_BY_STI ? KVM_X86_SHADOW_INT_STI : 0) |
               (vcpu->interruptibility & X86EMU_BLOCKED_BY_MOV_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0));
    return ioctl(kvm->cpu, KVM_SET_VCPU_EVENTS, &events) == 0 || kvm_failed("writing events");
}

bool kvm_load_general(struct kvm *kvm, struct x86emu_vcpu *vcpu)
{
    return load_general(kvm, vcpu);
}

bool kvm_load(struct kvm *kvm, struct x86emu_vcpu *vcpu)
{
    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->loaded = X86EMU_STATE_ALL;
    vcpu->dr[6] = 0xffff0ff0;
    vcpu->dr[7] = 0x400;
    vcpu->xcr0 = 1;
    /* A page fault that KVM has pending tells CR2 only with the events: they come first. */
    return move_interruptibility(kvm, vcpu, true) && load_general(kvm, vcpu) && load_special(kvm, vcpu) &&
           kvm_load_vectors(kvm, vcpu) && move_msrs(kvm, vcpu, true);
}

bool kvm_store(struct kvm *kvm, struct x86emu_vcpu *vcpu, uint32_t changed)
{
    const uint32_t system = X86EMU_STATE_CS | X86EMU_STATE_SS | X86EMU_STATE_DATA | X86EMU_STATE_FSGS |
                            X86EMU_STATE_TABLES | X86EMU_STATE_CONTROL | X86EMU_STATE_CR2 | X86EMU_STATE_CR8;

    return (!(changed & system) || store_special(kvm, vcpu)) && store_general(kvm, vcpu) &&
           (!(changed & (X86EMU_STATE_X87 | X86EMU_STATE_VECTOR)) || kvm_store_vectors(kvm, vcpu)) &&
           (!(changed & X86EMU_STATE_SYSCALL) || move_msrs(kvm, vcpu, false)) &&
           move_interruptibility(kvm, vcpu, false);
}
