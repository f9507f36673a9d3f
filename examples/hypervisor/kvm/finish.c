/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions by the library, in KVM's place: one that KVM can't do, or as many as there are in the guest's kernel. */
#include "events.h"
#include "kvm.h"

enum {
    ROW = 1024,  /* instructions between two looks at interrupts */
    ROWS = 1024, /* of them between two looks at everything else */
};

/* --- one --------------------------------------------------------------------------------------------------------------- */

/* Answers what the library asks, and notes what KVM has to be told of. */
static enum x86emu_status complete(struct kvm *kvm, enum x86emu_status status)
{
    enum x86emu_invalidation invalidation;

    if (status == X86EMU_REQUEST) {
        if (atomic_load(&kvm->machine->defers))
            kvm_stop_here(kvm); /* with this request open */
        status = machine_complete(kvm->vcpu, &kvm->emu, &kvm->state);
        kvm->halts += kvm->vcpu->halted;
    }
    invalidation = kvm->emu.outcome.invalidation;
    if (status == X86EMU_RETIRED && invalidation != X86EMU_INVALIDATE_NONE && invalidation != X86EMU_INVALIDATE_CACHES)
        kvm->stale = true;
    return status;
}

static bool raise_exception(struct kvm *kvm, enum x86emu_status status)
{
    if (status == X86EMU_EXCEPTION)
        return kvm_deliver(kvm, events_exception(&kvm->emu));
    return !kvm->emu.outcome.trap || kvm_deliver(kvm, events_trap(&kvm->emu));
}

/* With all iterations of REP. */
static enum x86emu_status one(struct kvm *kvm)
{
    enum x86emu_status status;

    do
        status = complete(kvm, x86emu_step(&kvm->emu, &kvm->state));
    while (status == X86EMU_RETIRED && kvm->emu.outcome.repeats);
    return status;
}

bool kvm_finish(struct kvm *kvm, const struct x86emu_hint *hint)
{
    enum x86emu_status status;

    if (!kvm_fetch(kvm))
        return false;
    if (hint != NULL)
        x86emu_hint(&kvm->emu, hint);
    status = one(kvm);
    if (status == X86EMU_NOT_THIS_INSN || status == X86EMU_NO_ACCESS)
        return true; /* another processor has changed it meanwhile: the guest tries again */
    if (status != X86EMU_RETIRED && status != X86EMU_EXCEPTION)
        return kvm_report(kvm, &kvm->state, "the library can't finish the instruction either, status", status);
    if (status == X86EMU_RETIRED)
        kvm->finished[x86emu_form_mnemonic(kvm->emu.insn.form) % KVM_MNEMONICS]++;
    return raise_exception(kvm, status);
}

bool kvm_enters_kernel(struct kvm *kvm)
{
    if (!kvm_fetch(kvm))
        return false;
    if (kvm_repair_syscall(kvm) || kvm->kernel_here)
        return true;
    return raise_exception(kvm, one(kvm)); /* past the breakpoint */
}

/* --- the guest's kernel ------------------------------------------------------------------------------------------------ */

/* An event whose window is open. */
static bool take_event(struct kvm *kvm)
{
    struct x86emu_event event;
    bool any;

    machine_lock(kvm->machine);
    cpu_take_cr8(kvm->vcpu, kvm->state.cr8);
    any = events_next(kvm->vcpu, &kvm->state, &event);
    machine_unlock(kvm->machine);
    return !any || kvm_deliver(kvm, event);
}

static bool keeps(const struct kvm *kvm)
{
    return kvm_in_kernel(kvm) && !kvm->vcpu->halted && !kvm->run->immediate_exit && kvm->machine->end == MACHINE_RUNS &&
           kvm->machine->failure[0] == 0;
}

/* Instructions in a row, until one that may open a window or end the kernel. *tired: KVM should try. */
static bool run_row(struct kvm *kvm, bool *tired)
{
    bool shadow = (kvm->state.interruptibility & (X86EMU_BLOCKED_BY_STI | X86EMU_BLOCKED_BY_MOV_SS)) != 0;
    enum x86emu_status status;
    uint64_t retired;

    status = complete(kvm, x86emu_steps(&kvm->emu, &kvm->state, shadow ? 1 : ROW, &retired));
    kvm->kernel_instructions += retired;
    *tired = status == X86EMU_NOT_EMULATED;
    if (status != X86EMU_RETIRED && status != X86EMU_EXCEPTION && !*tired)
        return kvm_report(kvm, &kvm->state, "the library can't go on in the guest's kernel, status", status);
    return *tired || raise_exception(kvm, status);
}

bool kvm_run_kernel(struct kvm *kvm)
{
    bool ok = take_event(kvm), tired = false;

    if (kvm->vcpu->halted) {
        kvm_sleep();
        return ok;
    }
    for (unsigned n = 0; ok && n < ROWS && !tired && keeps(kvm); n++)
        ok = run_row(kvm, &tired) && (tired || take_event(kvm));
    if (ok && (tired || !kvm_in_kernel(kvm)))
        ok = kvm_give(kvm);
    if (kvm->run->immediate_exit) {
        kvm->run->immediate_exit = 0;
        kvm->kicks++;
    }
    return ok;
}
