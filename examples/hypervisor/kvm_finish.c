/* SPDX-License-Identifier: BSD-2-Clause */
/* An instruction that KVM can't do is done by the library, and with it the stretch of the guest's kernel that follows. */
#include "control.h"
#include "kvm.h"

#include <stdio.h>
#include <sys/ioctl.h>

enum {
    LOOK = 32, /* instructions between two looks at interrupts */
};

bool kvm_report(struct kvm *kvm, const struct x86emu_vcpu *vcpu, const char *why, unsigned detail)
{
    printf("\nKVM: %s (%u)\n", why, detail);
    report_vcpu(vcpu, kvm->emu.bytes, kvm->emu.byte_count);
    return false;
}

static void stop_here(struct kvm *kvm, struct x86emu_vcpu *vcpu)
{
    const struct control_view view = {.index = kvm->vcpu->index, .vcpu = vcpu, .emu = &kvm->emu};

    control_stop_here(kvm->machine, &view, 1);
}

/* The control socket wants it: what KVM was about to finish is finished before. */
bool kvm_stop(struct kvm *kvm)
{
    struct x86emu_vcpu vcpu;

    if (!kvm_settle(kvm) || !kvm_load(kvm, &vcpu))
        return false;
    stop_here(kvm, &vcpu);
    return true;
}

/* Does one instruction, with all iterations of REP. */
static enum x86emu_status one_instruction(struct kvm *kvm, struct x86emu_vcpu *vcpu)
{
    enum x86emu_status status;

    do {
        status = x86emu_step(&kvm->emu, vcpu);
        if (status == X86EMU_REQUEST) {
            if (atomic_load(&kvm->machine->defers))
                stop_here(kvm, vcpu); /* with this request open */
            status = machine_complete(kvm->vcpu, &kvm->emu, vcpu);
        }
    } while (status == X86EMU_RETIRED && kvm->emu.outcome.repeats);
    if (status == X86EMU_RETIRED && kvm->emu.outcome.invalidation != X86EMU_INVALIDATE_NONE &&
        kvm->emu.outcome.invalidation != X86EMU_INVALIDATE_CACHES)
        kvm->stale = true;
    return status;
}

/* Something waits that only KVM_RUN's loop does: events are KVM's to deliver. */
static bool event_due(struct kvm *kvm, const struct x86emu_vcpu *vcpu)
{
    bool nmi, interrupt, init;

    if (kvm->run->immediate_exit) {
        kvm->run->immediate_exit = 0;
        kvm->kicks++;
        machine_run_devices(kvm->machine);
    }
    machine_lock(kvm->machine);
    cpu_take_cr8(kvm->vcpu, vcpu->cr8);
    nmi = cpu_has_nmi(kvm->vcpu);
    interrupt = cpu_has_interrupt(kvm->vcpu);
    init = kvm->vcpu->apic.init;
    machine_unlock(kvm->machine);
    if (init || (nmi && !(vcpu->interruptibility & (X86EMU_BLOCKED_BY_NMI | X86EMU_BLOCKED_BY_MOV_SS))))
        return true;
    return interrupt && vcpu->rflags & X86EMU_RFLAGS_IF &&
           !(vcpu->interruptibility & (X86EMU_BLOCKED_BY_STI | X86EMU_BLOCKED_BY_MOV_SS));
}

/* The guest's kernel, and nothing to tell anybody. Programs in ring 3 run on the processor, which is far faster. */
static bool may_follow(const struct kvm *kvm, const struct x86emu_vcpu *vcpu)
{
    return (vcpu->segment[X86EMU_SS].attributes >> 5 & 3) == 0 && !kvm->emu.outcome.trap && !kvm->vcpu->halted &&
           kvm->machine->end == MACHINE_RUNS;
}

/*
 * What an instruction that KVM can't do is made of comes again soon, and KVM that has to emulate its neighbours as well
 * does so more slowly than the library: it goes on, until an exception or an interrupt is to be delivered, the guest
 * halts, or its kernel returns to a program.
 */
static enum x86emu_status follow(struct kvm *kvm, struct x86emu_vcpu *vcpu)
{
    enum x86emu_status status = X86EMU_RETIRED;

    for (uint64_t n = 0; n < kvm->options->follow && may_follow(kvm, vcpu); n++) {
        if (n % LOOK == 0 && event_due(kvm, vcpu))
            break;
        status = one_instruction(kvm, vcpu);
        if (status != X86EMU_RETIRED)
            break;
        kvm->followed++;
    }
    return status;
}

/* Back to KVM, with what the last instruction raised. */
static bool hand_back(struct kvm *kvm, struct x86emu_vcpu *vcpu, enum x86emu_status status)
{
    kvm->run->ready_for_interrupt_injection = 0; /* what the last exit said of IF is old */
    cpu_take_cr8(kvm->vcpu, vcpu->cr8);
    return (!kvm->stale || kvm_renew_memory(kvm)) && kvm_watch_syscall(kvm, vcpu) &&
           kvm_store(kvm, vcpu, vcpu->changed) && (status != X86EMU_EXCEPTION || kvm_inject(kvm));
}

bool kvm_finish(struct kvm *kvm, const struct x86emu_hint *hint)
{
    enum x86emu_status status;
    struct x86emu_vcpu vcpu;

    if (!kvm_load(kvm, &vcpu))
        return false;
    x86emu_cache_flush(&kvm->cache);
    if (hint != NULL)
        x86emu_hint(&kvm->emu, hint);
    status = one_instruction(kvm, &vcpu);
    if (status == X86EMU_NOT_THIS_INSN || status == X86EMU_NO_ACCESS)
        return true; /* another processor has changed it meanwhile: the guest tries again */
    if (status != X86EMU_RETIRED && status != X86EMU_EXCEPTION)
        return kvm_report(kvm, &vcpu, "the library can't finish the instruction either, status", status);
    if (status == X86EMU_RETIRED) {
        kvm->finished[x86emu_form_mnemonic(kvm->emu.insn.form) % KVM_MNEMONICS]++;
        status = follow(kvm, &vcpu);
    }
    return hand_back(kvm, &vcpu, status);
}

bool kvm_page_fault(struct kvm *kvm)
{
    enum x86emu_status status = X86EMU_RETIRED;
    struct x86emu_vcpu vcpu;

    if (!kvm_load(kvm, &vcpu))
        return false;
    x86emu_cache_flush(&kvm->cache);
    if (!kvm_repair_syscall(kvm, &vcpu))
        status = one_instruction(kvm, &vcpu); /* past the breakpoint */
    if (status == X86EMU_RETIRED)
        status = follow(kvm, &vcpu);
    return hand_back(kvm, &vcpu, status);
}
