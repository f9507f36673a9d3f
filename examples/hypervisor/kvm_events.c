/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions, interrupts and NMIs for the guest: KVM delivers them. */
#include "kvm.h"

#include <sys/ioctl.h>

bool kvm_inject(struct kvm *kvm)
{
    const struct x86emu_exception *e = &kvm->emu.outcome.exception;
    struct kvm_vcpu_events events;
    struct kvm_sregs sregs;

    if (e->vector == X86EMU_VECTOR_PF) {
        if (ioctl(kvm->cpu, KVM_GET_SREGS, &sregs) != 0)
            return kvm_failed("CR2");
        sregs.cr2 = e->cr2;
        if (ioctl(kvm->cpu, KVM_SET_SREGS, &sregs) != 0)
            return kvm_failed("CR2");
    }
    if (ioctl(kvm->cpu, KVM_GET_VCPU_EVENTS, &events) != 0)
        return kvm_failed("reading events");
    events.exception.injected = 1;
    events.exception.nr = e->vector;
    events.exception.has_error_code = e->has_error_code;
    events.exception.error_code = e->error_code;
    return ioctl(kvm->cpu, KVM_SET_VCPU_EVENTS, &events) == 0 || kvm_failed("injecting an exception");
}

static bool interrupt(struct kvm *kvm)
{
    struct kvm_interrupt vector;

    if (!kvm->run->ready_for_interrupt_injection || !kvm->run->if_flag) {
        kvm->run->request_interrupt_window = 1;
        return true;
    }
    vector.irq = cpu_acknowledge(kvm->vcpu);
    kvm->machine->statistics.interrupts++;
    return ioctl(kvm->cpu, KVM_INTERRUPT, &vector) == 0 || kvm_failed("interrupting");
}

/* KVM holds an NMI back by itself while another is handled, and opens the window when that has returned. */
static bool nmi(struct kvm *kvm)
{
    kvm->vcpu->apic.nmi = false;
    kvm->vcpu->halted = false;
    kvm->machine->statistics.interrupts++;
    return ioctl(kvm->cpu, KVM_NMI, 0) == 0 || kvm_failed("sending an NMI");
}

bool kvm_take_events(struct kvm *kvm)
{
    kvm->run->request_interrupt_window = 0;
    if (cpu_has_nmi(kvm->vcpu) && !nmi(kvm))
        return false;
    if (!cpu_has_interrupt(kvm->vcpu))
        return true;
    kvm->vcpu->halted = false;
    return interrupt(kvm);
}
