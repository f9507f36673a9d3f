/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts and NMIs for the guest: KVM delivers them, or the library where it does the guest's kernel. */
#include "kvm.h"

#include <sys/ioctl.h>

/* --- by KVM ------------------------------------------------------------------------------------------------------------ */

static bool interrupt(struct kvm *kvm)
{
    struct kvm_interrupt vector;

    kvm->vcpu->halted = false;
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

static bool give_to_kvm(struct kvm *kvm)
{
    return (!cpu_has_nmi(kvm->vcpu) || nmi(kvm)) && (!cpu_has_interrupt(kvm->vcpu) || interrupt(kvm));
}

/* --- by the library ---------------------------------------------------------------------------------------------------- */

/* Whether KVM is to stop for them; asks it to say when it may, if not now. */
static bool is_due(struct kvm *kvm)
{
    if (kvm->here || cpu_has_nmi(kvm->vcpu))
        return !kvm->here;
    if (!cpu_has_interrupt(kvm->vcpu))
        return false;
    kvm->run->request_interrupt_window = 1;
    return kvm->run->ready_for_interrupt_injection && kvm->run->if_flag;
}

/* --- either ------------------------------------------------------------------------------------------------------------ */

bool kvm_take_events(struct kvm *kvm)
{
    bool ok = true, due = false;

    kvm->run->request_interrupt_window = 0;
    machine_lock(kvm->machine);
    if (kvm->kernel_here)
        due = is_due(kvm);
    else
        ok = give_to_kvm(kvm);
    machine_unlock(kvm->machine);
    return ok && (!due || kvm_fetch(kvm));
}
