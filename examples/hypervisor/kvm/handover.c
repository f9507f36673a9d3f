/* SPDX-License-Identifier: BSD-2-Clause */
/* The processor's state goes from KVM to the library and back: kvm->state holds it while kvm->here. */
#include "control.h"
#include "events.h"
#include "kvm.h"

#include <stdio.h>
#include <sys/ioctl.h>

bool kvm_report(struct kvm *kvm, const struct x86emu_vcpu *vcpu, const char *why, unsigned detail)
{
    printf("\nKVM: %s (%u)\n", why, detail);
    report_vcpu(vcpu, kvm->emu.bytes, kvm->emu.byte_count);
    return false;
}

bool kvm_in_kernel(const struct kvm *kvm)
{
    return (kvm->state.segment[X86EMU_SS].attributes >> 5 & 3) == 0;
}

bool kvm_deliver(struct kvm *kvm, struct x86emu_event event)
{
    const char *failure = events_deliver(&kvm->emu, &kvm->state, event);

    return failure == NULL || kvm_report(kvm, &kvm->state, failure, event.vector);
}

/* --- events that KVM has taken, and not delivered yet ---------------------------------------------------------------- */

/* The first of them; a software interrupt comes again by its instruction. False: none. */
static bool undelivered(const struct kvm_vcpu_events *events, struct x86emu_event *event)
{
    if (events->exception.injected)
        *event = (struct x86emu_event){.kind = X86EMU_EVENT_EXCEPTION,
                                       .vector = events->exception.nr,
                                       .has_error_code = events->exception.has_error_code != 0,
                                       .error_code = events->exception.error_code};
    else if (events->nmi.injected || events->nmi.pending)
        *event = (struct x86emu_event){.kind = X86EMU_EVENT_NMI, .vector = 2};
    else if (events->interrupt.injected && !events->interrupt.soft)
        *event = (struct x86emu_event){.kind = X86EMU_EVENT_INTERRUPT, .vector = events->interrupt.nr};
    else
        return false;
    return true;
}

/* They become the library's to deliver. KVM keeps #UD in mind where its emulator has failed: that is void. */
static bool take_undelivered(struct kvm *kvm, bool failed)
{
    struct x86emu_event event;
    struct kvm_vcpu_events events;
    bool any;

    if (ioctl(kvm->cpu, KVM_GET_VCPU_EVENTS, &events) != 0)
        return kvm_failed("reading events");
    if (failed)
        events.exception.injected = 0;
    any = undelivered(&events, &event);
    if (!any && !failed && !events.interrupt.injected)
        return true;
    if (any && event.kind == X86EMU_EVENT_EXCEPTION && event.vector == X86EMU_VECTOR_PF)
        event.cr2 = kvm->state.cr2;
    events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
    events.exception.injected = events.exception.pending = 0;
    events.interrupt.injected = events.nmi.injected = events.nmi.pending = 0;
    if (ioctl(kvm->cpu, KVM_SET_VCPU_EVENTS, &events) != 0)
        return kvm_failed("writing events");
    return !any || kvm_deliver(kvm, event);
}

/* --- there and back --------------------------------------------------------------------------------------------------- */

/* What KVM will finish before it goes on. */
static bool is_half_done(const struct kvm *kvm)
{
    const uint32_t reason = kvm->run->exit_reason;

    return reason == KVM_EXIT_IO || reason == KVM_EXIT_MMIO || reason == KVM_EXIT_X86_RDMSR ||
           reason == KVM_EXIT_X86_WRMSR;
}

bool kvm_fetch(struct kvm *kvm)
{
    if (kvm->here)
        return true;
    if (is_half_done(kvm) && !kvm_settle(kvm))
        return false;
    if (kvm->here) /* what had to be settled first led to it */
        return true;
    if (!kvm_load(kvm, &kvm->state))
        return false;
    kvm->here = true;
    kvm->run->ready_for_interrupt_injection = 0; /* what the last exit said is old */
    x86emu_cache_flush(&kvm->cache);
    /* Where KVM has done a part of the kernel, that may have invalidated what the library had changed. */
    if (kvm->kernel_here && kvm_in_kernel(kvm) && !kvm_at_entry(kvm))
        kvm->stale = true;
    return take_undelivered(kvm, kvm->run->exit_reason == KVM_EXIT_INTERNAL_ERROR);
}

bool kvm_give(struct kvm *kvm)
{
    if (!kvm->here)
        return true;
    kvm->here = false;
    cpu_take_cr8(kvm->vcpu, kvm->state.cr8);
    return (!kvm->stale || kvm_renew_memory(kvm)) && kvm_watch_entries(kvm) &&
           kvm_store(kvm, &kvm->state, kvm->state.changed);
}

void kvm_stop_here(struct kvm *kvm)
{
    const struct control_view view = {.index = kvm->vcpu->index, .vcpu = &kvm->state, .emu = &kvm->emu};

    control_stop_here(kvm->machine, &view, 1);
}

bool kvm_stop(struct kvm *kvm)
{
    if (!kvm_fetch(kvm))
        return false;
    kvm_stop_here(kvm);
    return true;
}
