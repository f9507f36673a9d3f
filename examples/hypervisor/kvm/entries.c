/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where programs enter the guest's kernel breakpoints stop KVM, for two reasons. The library may be to do the kernel. And
 * some KVM without hardware virtualization does half of a SYSCALL of a 64-bit program: RIP, RCX, R11 and RFLAGS are as
 * they should be, CS and SS are still ring 3's. The first fetch then ends in the guest's page-fault handler. A breakpoint
 * there shows every page fault, and the other half of those that are no page faults is done here.
 */
#include "kvm.h"

#include <string.h>
#include <sys/ioctl.h>

/* --- breakpoints where the guest's kernel begins -------------------------------------------------------------------- */

/* Where the guest's IDT leads; 0: nowhere yet. */
static uint64_t handler(struct kvm *kvm, unsigned vector)
{
    const struct x86emu_vcpu *vcpu = &kvm->state;
    uint64_t gate[2];

    if (!(vcpu->efer & X86EMU_EFER_LMA) || vcpu->idtr.limit < 16 * vector + 15 ||
        !machine_read_linear(kvm->machine, vcpu, vcpu->idtr.base + 16 * vector, gate, sizeof(gate)))
        return 0;
    return (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000) | gate[1] << 32;
}

bool kvm_watch_entries(struct kvm *kvm)
{
    struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP};
    uint64_t entries[KVM_WATCHED] = {0};

    if (!kvm->halves_syscall && !kvm->kernel_here)
        return true;
    entries[0] = handler(kvm, X86EMU_VECTOR_PF);
    if (kvm->kernel_here) {
        entries[1] = handler(kvm, X86EMU_VECTOR_UD);
        entries[2] = handler(kvm, X86EMU_VECTOR_GP);
        entries[3] = kvm->halves_syscall ? 0 : kvm->state.lstar;
    }
    if (memcmp(entries, kvm->watched, sizeof(entries)) == 0)
        return true;
    memcpy(kvm->watched, entries, sizeof(entries));
    debug.arch.debugreg[7] = 0x400;
    for (unsigned n = 0; n < KVM_WATCHED; n++) {
        debug.arch.debugreg[n] = entries[n];
        debug.arch.debugreg[7] |= entries[n] != 0 ? UINT64_C(2) << 2 * n : 0; /* Gn: execution, SDM Vol. 3, 17.2.4 */
    }
    return ioctl(kvm->cpu, KVM_SET_GUEST_DEBUG, &debug) == 0 || kvm_failed("breakpoints");
}

bool kvm_at_entry(const struct kvm *kvm)
{
    for (unsigned n = 0; n < KVM_WATCHED; n++)
        if (kvm->watched[n] == kvm->state.rip)
            return true;
    return false;
}

/* --- the other half ------------------------------------------------------------------------------------------------- */

static struct x86emu_segment flat(uint64_t selector, uint32_t attributes)
{
    return (struct x86emu_segment){.selector = (uint16_t)selector, .limit = ~0u, .attributes = attributes};
}

/* SYSCALL (SDM Vol. 2B): CS and SS from IA32_STAR; the rest has happened. */
bool kvm_repair_syscall(struct kvm *kvm)
{
    struct x86emu_vcpu *vcpu = &kvm->state;
    const uint64_t selector = vcpu->star >> 32 & 0xfffc;
    struct kvm_frame frame;

    if (!kvm->halves_syscall || vcpu->rip != kvm->watched[0] || vcpu->cr2 != vcpu->lstar ||
        !machine_read_linear(kvm->machine, vcpu, vcpu->gpr[X86EMU_RSP], &frame, sizeof(frame)) ||
        frame.rip != vcpu->lstar || (frame.cs & 3) != 3)
        return false;
    /* A program that only jumped there still has IF set, which IA32_FMASK would have cleared. */
    frame.rflags &= ~(uint64_t)X86EMU_RFLAGS_RF;
    if (frame.rflags & vcpu->fmask)
        return false;
    vcpu->rip = vcpu->lstar;
    vcpu->rflags = frame.rflags;
    vcpu->gpr[X86EMU_RSP] = frame.rsp;
    vcpu->segment[X86EMU_CS] = flat(selector, X86EMU_SEGMENT_L | 0x8000 | 0x9b);
    vcpu->segment[X86EMU_SS] = flat(selector + 8, X86EMU_SEGMENT_DB | 0x8000 | 0x93);
    vcpu->changed |= X86EMU_STATE_GPR | X86EMU_STATE_RIP | X86EMU_STATE_CS | X86EMU_STATE_SS;
    kvm->repaired++;
    return true;
}
