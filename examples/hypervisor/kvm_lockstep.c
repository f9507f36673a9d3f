/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM one instruction at a time beside the library, from the same state, each with a memory of its own: the first
 * difference ends the run. Ring 3 is compared, where KVM leaves the instructions to the processor; ring 0 in between is
 * the library's, and what it has done is carried over.
 *
 * The steps are the processor's own, by RFLAGS.TF, and end in the guest's handler of #DB: OUT and IRETQ. Some KVM without
 * hardware virtualization gives single steps of ring 3 to the guest, also those that KVM_SET_GUEST_DEBUG asks for.
 */
#include "kvm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <x86emu/forms.h>

struct lockstep {
    struct machine *machine; /* the library's */
    struct machine twin;     /* KVM's: its memory is used, and nothing else */
    struct kvm kvm;
    struct x86emu emu;
    struct x86emu_cache cache;
    struct x86emu_vcpu *vcpu;
    uint64_t end, instructions, stretches;
    uint64_t frame; /* where the guest's handler finds the last step's */
};

static uint64_t virtual_now(const struct machine *machine)
{
    return machine->virtual_time;
}

static bool in_ring_3(const struct x86emu_vcpu *vcpu)
{
    return (vcpu->segment[X86EMU_SS].attributes & X86EMU_SEGMENT_DPL) == X86EMU_SEGMENT_DPL;
}

static bool fail(struct lockstep *l, const char *why)
{
    printf("\nlockstep: %s, after %llu instructions\n", why, (unsigned long long)l->instructions);
    report_vcpu(l->vcpu, l->emu.bytes, l->emu.byte_count);
    l->machine->end = MACHINE_FAILED;
    return false;
}

/* --- the library's side ---------------------------------------------------------------------------------------------- */

/* With all iterations of REP; KVM makes a step of each. */
static enum x86emu_status step_library(struct lockstep *l)
{
    enum x86emu_status status;

    do {
        status = x86emu_step(&l->emu, l->vcpu);
        if (status == X86EMU_REQUEST)
            status = machine_complete(&l->machine->cpu[0], &l->emu, l->vcpu);
    } while (status == X86EMU_RETIRED && l->emu.outcome.repeats);
    l->machine->virtual_time++;
    return status;
}

static bool deliver_exception(struct lockstep *l)
{
    const struct x86emu_exception *e = &l->emu.outcome.exception;
    const struct x86emu_event event = {.kind = X86EMU_EVENT_EXCEPTION,
                                       .vector = e->vector,
                                       .error_code = e->error_code,
                                       .has_error_code = e->has_error_code,
                                       .cr2 = e->cr2};

    return x86emu_deliver(&l->emu, l->vcpu, &event) == X86EMU_RETIRED;
}

/* Until a program runs, or the machine has ended. */
static bool leave_ring_0(struct lockstep *l)
{
    while (!in_ring_3(l->vcpu) && l->machine->end == MACHINE_RUNS) {
        enum x86emu_status status = step_library(l);

        if (status != X86EMU_RETIRED && (status != X86EMU_EXCEPTION || !deliver_exception(l)))
            return fail(l, "the library can't go on in ring 0");
    }
    return true;
}

/* --- KVM's side ------------------------------------------------------------------------------------------------------ */

/* What #DB has pushed (SDM Vol. 3, figure 6-9). */
struct frame {
    uint64_t rip, cs, rflags, rsp, ss;
};

/* The program's registers, once its instruction has led to the guest's handler. */
static bool load_program(struct lockstep *l, struct x86emu_vcpu *after)
{
    struct frame frame;

    if (!kvm_load_general(&l->kvm, after))
        return false;
    l->frame = after->gpr[X86EMU_RSP];
    if (l->frame > l->twin.ram_size - sizeof(frame))
        return fail(l, "the guest has no handler for single steps");
    memcpy(&frame, l->twin.ram + l->frame, sizeof(frame));
    after->rip = frame.rip;
    after->rflags = frame.rflags;
    after->gpr[X86EMU_RSP] = frame.rsp;
    return true;
}

static bool step_kvm(struct lockstep *l, struct x86emu_vcpu *after)
{
    const uint64_t before = after->rip;

    do {
        if (ioctl(l->kvm.cpu, KVM_RUN, 0) != 0)
            return kvm_failed("running");
        if (l->kvm.run->exit_reason != KVM_EXIT_IO)
            return fail(l, "KVM doesn't come to the guest's handler for single steps");
        if (!load_program(l, after))
            return false;
    } while (after->rip == before && l->vcpu->rip != before); /* REP */
    return true;
}

/* Memory and registers as the library has them. */
static bool carry_over(struct lockstep *l)
{
    struct x86emu_vcpu vcpu = *l->vcpu;

    vcpu.rflags |= X86EMU_RFLAGS_TF;
    memcpy(l->twin.ram, l->machine->ram, l->machine->ram_size);
    l->stretches++;
    return kvm_store(&l->kvm, &vcpu, X86EMU_STATE_ALL);
}

/* --- comparing ------------------------------------------------------------------------------------------------------- */

/* Flags that the manual leaves undefined are the processor's from here on. */
static bool same_flags(struct lockstep *l, const struct x86emu_vcpu *after)
{
    const uint64_t undefined = x86emu_form_flags(l->emu.insn.form)->undefined;
    const uint64_t ignored = undefined | X86EMU_RFLAGS_RF | X86EMU_RFLAGS_TF;

    if ((l->vcpu->rflags ^ after->rflags) & ~ignored)
        return false;
    l->vcpu->rflags = (l->vcpu->rflags & ~undefined) | (after->rflags & undefined);
    return true;
}

static bool same_vectors(struct lockstep *l, struct x86emu_vcpu *after)
{
    if (!(l->emu.outcome.changed & X86EMU_STATE_VECTOR))
        return true;
    if (!kvm_load_vectors(&l->kvm, after))
        return false;
    for (unsigned n = 0; n < 16; n++)
        if (memcmp(l->vcpu->zmm[n].u8, after->zmm[n].u8, 16) != 0)
            return false;
    return l->vcpu->mxcsr == after->mxcsr;
}

static bool compare(struct lockstep *l, struct x86emu_vcpu *after)
{
    if (l->vcpu->rip == after->rip && memcmp(l->vcpu->gpr, after->gpr, 16 * sizeof(after->gpr[0])) == 0 &&
        same_flags(l, after) && same_vectors(l, after))
        return true;
    printf("\nlockstep: KVM has\n");
    report_vcpu(after, l->emu.bytes, l->emu.byte_count);
    return fail(l, "the library differs");
}

static bool compare_memory(struct lockstep *l)
{
    /* The single steps' frame is KVM's alone. */
    memcpy(l->twin.ram + l->frame, l->machine->ram + l->frame, sizeof(struct frame));
    return memcmp(l->twin.ram, l->machine->ram, l->machine->ram_size) == 0 || fail(l, "memory differs");
}

/* --- running --------------------------------------------------------------------------------------------------------- */

/* One instruction of a program, or one exception and what ring 0 makes of it. */
static bool advance(struct lockstep *l, struct x86emu_vcpu *after)
{
    enum x86emu_status status = step_library(l);

    if (status == X86EMU_EXCEPTION)
        return compare_memory(l) && (deliver_exception(l) || fail(l, "an exception can't be delivered")) &&
               leave_ring_0(l) && carry_over(l);
    if (status != X86EMU_RETIRED)
        return fail(l, "the library can't do the instruction");
    if (!step_kvm(l, after) || !compare(l, after))
        return false;
    l->instructions++;
    return true;
}

static bool run(struct lockstep *l)
{
    struct x86emu_vcpu after;
    bool ok = leave_ring_0(l) && carry_over(l);

    after = *l->vcpu;
    while (ok && l->machine->end == MACHINE_RUNS && l->instructions < l->end) {
        after.rip = l->vcpu->rip;
        ok = advance(l, &after);
    }
    return ok && compare_memory(l);
}

static bool open_twin(struct lockstep *l)
{
    l->kvm = (struct kvm){.system = -1, .vm = -1, .cpu = -1, .machine = &l->twin, .vcpu = &l->twin.cpu[0]};
    l->twin.cpu_count = 1;
    return machine_start(&l->twin, l->machine->ram_size) && kvm_open(&l->kvm) && kvm_open_cpu(&l->kvm, 0) &&
           kvm_set_cpuid(&l->kvm);
}

bool kvm_run_lockstep(struct machine *machine, struct x86emu_vcpu *vcpu, const struct options *options)
{
    struct lockstep *l = calloc(1, sizeof(*l));
    struct x86emu_config config = {.map = &machine->map, .opaque = &machine->cpu[0]};
    bool ok;

    if (l == NULL)
        return false;
    l->machine = machine;
    l->vcpu = vcpu;
    l->end = options->lockstep;
    machine->now = virtual_now;
    config.cache = &l->cache;
    for (unsigned kind = 1; kind < X86EMU_REQUEST_KINDS; kind++)
        config.callbacks[kind] = machine_answer;
    x86emu_init(&l->emu, &config);
    ok = open_twin(l) && run(l);
    if (ok)
        machine->end = MACHINE_POWERED_OFF;
    printf("\nlockstep: %llu instructions of ring 3 %s, %llu stretches of ring 0 between them\n",
           (unsigned long long)l->instructions, ok ? "the same" : "up to there", (unsigned long long)l->stretches);
    kvm_close(&l->kvm);
    machine_free(&l->twin);
    free(l);
    return ok;
}
