/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program on the library and on KVM, from the same state, compared after each instruction or after every few: the first
 * that ends differently ends the run. Ring 3 is compared, where KVM leaves the instructions to the processor; ring 0 in
 * between is the library's, and what it has done is carried over.
 */
#include "lockstep.h"

#include "events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86emu/format.h>
#include <x86emu/forms.h>

enum {
    MEMORY_INTERVAL = 100000, /* instructions between two comparisons of all memory, at least */
    VECTOR_INTERVAL = 1000,   /* comparisons between two of vectors that nobody has changed */
    MAX_ROUNDS = 1 << 24,     /* of an instruction that jumps to itself */
};

/* How an instruction ended on the library. */
enum ended {
    ORDINARY,
    BY_ITSELF,    /* what it did can't be had from KVM: it has left ring 3, or asked for the time or CPUID */
    EXCEPTION,    /* and did nothing */
    NOT_EMULATED, /* the same */
    COMES_AGAIN,  /* at a place where KVM can't be stopped, as it has been there */
    FAILED,       /* reported */
};

/* The instructions since the last comparison. */
struct stretch {
    struct x86emu_vcpu first, last; /* before the first, and before the one under way */
    size_t last_change;
    uint32_t last_undefined;
    unsigned count;
    uint64_t place[MAX_STRIDE]; /* RIP of each */
};

static uint64_t virtual_now(const struct machine *machine)
{
    return machine->virtual_time;
}

static bool in_ring_3(const struct x86emu_vcpu *vcpu)
{
    return (vcpu->segment[X86EMU_SS].attributes & X86EMU_SEGMENT_DPL) == X86EMU_SEGMENT_DPL;
}

bool lockstep_fail(struct lockstep *l, const char *why)
{
    printf("\nlockstep: %s, after %llu instructions\n", why, (unsigned long long)l->instructions);
    report_vcpu(l->vcpu, l->emu.bytes, l->emu.byte_count);
    l->machine->end = MACHINE_FAILED;
    return false;
}

/* --- the library's side ---------------------------------------------------------------------------------------------- */

/* With all iterations of REP. */
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

static enum ended do_instruction(struct lockstep *l)
{
    const struct x86emu_form_flags *flags;
    enum x86emu_status status;

    l->asked = false;
    status = step_library(l);
    if (status == X86EMU_EXCEPTION)
        return EXCEPTION;
    if (status == X86EMU_NOT_EMULATED)
        return NOT_EMULATED;
    if (status != X86EMU_RETIRED) {
        lockstep_fail(l, "the library can't go on");
        return FAILED;
    }
    flags = x86emu_form_flags(l->emu.insn.form);
    l->undefined = (l->undefined & ~(flags->written | flags->set | flags->cleared)) | flags->undefined;
    return l->asked || !in_ring_3(l->vcpu) ? BY_ITSELF : ORDINARY;
}

static bool deliver_exception(struct lockstep *l)
{
    const char *failure = events_deliver(&l->emu, l->vcpu, events_exception(&l->emu));

    return failure == NULL || lockstep_fail(l, failure);
}

/* Until a program runs, or the machine has ended. */
static bool leave_ring_0(struct lockstep *l)
{
    while (!in_ring_3(l->vcpu) && l->machine->end == MACHINE_RUNS) {
        enum x86emu_status status = step_library(l);

        if (l->machine->cpu[0].halted)
            return lockstep_fail(l, "the guest has halted");
        if (lockstep_is_late(l))
            return lockstep_fail(l, "out of time in ring 0");
        if (status == X86EMU_EXCEPTION && !deliver_exception(l))
            return false;
        if (status != X86EMU_EXCEPTION && status != X86EMU_RETIRED)
            return lockstep_fail(l, "the library can't go on in ring 0");
    }
    return true;
}

/* --- comparing ------------------------------------------------------------------------------------------------------- */

/* Flags that the manual leaves undefined are the processor's from here on. */
static bool same_flags(struct lockstep *l, const struct x86emu_vcpu *after)
{
    const uint64_t undefined = l->undefined;

    if ((l->vcpu->rflags ^ after->rflags) & ~(undefined | X86EMU_RFLAGS_RF))
        return false;
    l->vcpu->rflags = (l->vcpu->rflags & ~undefined) | (after->rflags & undefined);
    l->undefined = 0;
    return true;
}

static bool same_x87(const struct x86emu_x87 *a, const struct x86emu_x87 *b)
{
    if (a->control != b->control || a->status != b->status)
        return false;
    for (unsigned n = 0; n < 8; n++) {
        bool empty = (a->tag >> 2 * n & 3) == 3;

        if (empty != ((b->tag >> 2 * n & 3) == 3))
            return false;
        if (!empty && (a->st[n].mantissa != b->st[n].mantissa || a->st[n].exponent != b->st[n].exponent))
            return false;
    }
    return true;
}

/* When the library has written some, and from time to time. */
static bool same_vectors(struct lockstep *l, struct x86emu_vcpu *after)
{
    const uint32_t groups = X86EMU_STATE_VECTOR | X86EMU_STATE_X87;

    if (!(l->vcpu->changed & groups) && l->comparisons % VECTOR_INTERVAL != 0)
        return true;
    l->vcpu->changed &= ~groups;
    if (!kvm_load_vectors(&l->kvm, after))
        return false;
    for (unsigned n = 0; n < 16; n++)
        if (memcmp(l->vcpu->zmm[n].u8, after->zmm[n].u8, 16) != 0)
            return false;
    return l->vcpu->mxcsr == after->mxcsr && same_x87(&l->vcpu->x87, &after->x87);
}

static bool compare(struct lockstep *l, struct x86emu_vcpu *after)
{
    l->comparisons++;
    return l->vcpu->rip == after->rip && memcmp(l->vcpu->gpr, after->gpr, 16 * sizeof(after->gpr[0])) == 0 &&
           same_flags(l, after) && same_vectors(l, after) && lockstep_same_changes(l);
}

static bool compare_all_memory(struct lockstep *l)
{
    const uint8_t *ours = l->machine->ram, *kvms = l->twin.ram;
    uint64_t gpa = 0;

    l->memory_due = l->instructions + MEMORY_INTERVAL;
    lockstep_forget_frame(l);
    if (memcmp(ours, kvms, l->machine->ram_size) == 0)
        return true;
    while (ours[gpa] == kvms[gpa])
        gpa++;
    printf("\nlockstep: memory at %#llx, library and KVM: %02x %02x", (unsigned long long)gpa, ours[gpa], kvms[gpa]);
    return lockstep_fail(l, "KVM has written where the library has not");
}

/* rip: of the instruction that has made the difference. */
static bool differ(struct lockstep *l, uint64_t rip, const struct x86emu_vcpu *after)
{
    char text[X86EMU_FORMAT_ROOM] = "";

    x86emu_format(&l->emu.insn, rip, text, sizeof(text));
    printf("\nlockstep: after %s, at %#llx, KVM has\n", text, (unsigned long long)rip);
    report_vcpu(after, l->emu.bytes, l->emu.byte_count);
    for (size_t i = 0; i < l->change_count; i++) {
        const struct lockstep_change *change = &l->changes[i];

        printf("  memory at %#llx, library and KVM:", (unsigned long long)change->gpa);
        for (unsigned n = 0; n < change->size; n++)
            printf(" %02x %02x%s", l->machine->ram[change->gpa + n], l->twin.ram[change->gpa + n],
                   n + 1 < change->size ? "," : "\n");
    }
    return lockstep_fail(l, "the library differs");
}

/* --- a stretch: a few instructions, and KVM after them ----------------------------------------------------------------- */

static bool has_been_at(const struct stretch *s, uint64_t rip)
{
    for (unsigned n = 0; n <= s->count; n++)
        if (s->place[n] == rip)
            return true;
    return false;
}

/* With all rounds, when it jumps to itself. */
static enum ended do_next(struct lockstep *l, struct stretch *s)
{
    enum ended how = ORDINARY;

    s->last = *l->vcpu;
    s->last_change = l->change_count;
    s->last_undefined = l->undefined;
    s->place[s->count] = l->vcpu->rip;
    for (unsigned round = 0; how == ORDINARY && (round == 0 || l->vcpu->rip == s->last.rip); round++) {
        if (round == MAX_ROUNDS) {
            lockstep_fail(l, "the program jumps to where it is, for ever");
            return FAILED;
        }
        how = do_instruction(l);
    }
    return how == ORDINARY && has_been_at(s, l->vcpu->rip) ? COMES_AGAIN : how;
}

/* How the one after them ended, which is taken back, unless it is the only one. */
static enum ended collect(struct lockstep *l, struct stretch *s, uint64_t stride)
{
    enum ended how = ORDINARY;

    s->first = *l->vcpu;
    for (s->count = 0; s->count < stride; s->count++) {
        how = do_next(l, s);
        if (how != ORDINARY)
            break;
    }
    if (s->count != 0 && how != ORDINARY && how != FAILED) {
        *l->vcpu = s->last;
        lockstep_undo(l, s->last_change);
        l->undefined = s->last_undefined;
    }
    return how;
}

/* To the stretch's beginning, and from there one by one. */
static bool go_back(struct lockstep *l, const struct stretch *s)
{
    *l->vcpu = s->first;
    lockstep_undo(l, 0);
    memcpy(l->twin.ram, l->machine->ram, l->machine->ram_size);
    l->undefined = 0;
    l->one_by_one = s->count;
    l->repeated++;
    return lockstep_carry(l);
}

/* The instruction that the library lacks: KVM's registers, and memory where it writes. */
static bool adopt(struct lockstep *l, struct x86emu_vcpu *after)
{
    const struct x86emu_vcpu before = *l->vcpu;
    bool came;

    if (!lockstep_run_to(l, before.rip + l->emu.insn.length, after, &came) || !kvm_load_vectors(&l->kvm, after))
        return false;
    if (!came || after->rip != before.rip + l->emu.insn.length || !lockstep_adopt_memory(l, &before))
        return lockstep_fail(l, "the instruction is not emulated, and can't be left to KVM");
    memcpy(l->vcpu->gpr, after->gpr, 16 * sizeof(after->gpr[0]));
    l->vcpu->rip = after->rip;
    l->vcpu->rflags = after->rflags;
    for (unsigned n = 0; n < 16; n++)
        memcpy(l->vcpu->zmm[n].u8, after->zmm[n].u8, 16);
    l->vcpu->mxcsr = after->mxcsr;
    l->vcpu->x87 = after->x87;
    l->undefined = 0;
    l->adopted++;
    l->missing[x86emu_form_mnemonic(l->emu.insn.form) % KVM_MNEMONICS]++;
    return true;
}

/* One instruction that KVM has no part in. */
static bool do_alone(struct lockstep *l, enum ended how, struct x86emu_vcpu *after)
{
    if (how == FAILED)
        return false;
    if (how == NOT_EMULATED)
        return adopt(l, after);
    if (l->instructions >= l->memory_due && !compare_all_memory(l))
        return false;
    if ((how == EXCEPTION && !deliver_exception(l)) || !leave_ring_0(l))
        return false;
    return lockstep_carry(l);
}

static bool advance(struct lockstep *l, struct stretch *s, struct x86emu_vcpu *after)
{
    enum ended how = collect(l, s, l->one_by_one != 0 ? 1 : l->stride);
    bool came;

    if (s->count == 0)
        return do_alone(l, how, after);
    if (how == FAILED || !lockstep_run_to(l, l->vcpu->rip, after, &came))
        return false;
    if (!came || !compare(l, after))
        return s->count > 1 ? go_back(l, s) : differ(l, s->place[0], after);
    l->change_count = 0;
    l->instructions += s->count;
    l->one_by_one -= l->one_by_one != 0;
    return true;
}

/* --- running --------------------------------------------------------------------------------------------------------- */

static bool run(struct lockstep *l)
{
    struct x86emu_vcpu after = *l->vcpu;
    struct stretch stretch;
    bool ok = leave_ring_0(l) && lockstep_carry(l);

    while (ok && l->machine->end == MACHINE_RUNS && l->instructions < l->end)
        ok = lockstep_is_late(l) ? lockstep_fail(l, "out of time") : advance(l, &stretch, &after);
    return ok && (l->change_count == 0) && compare_all_memory(l);
}

static void print_result(const struct lockstep *l, bool ok)
{
    printf("\nlockstep: %llu instructions of ring 3 %s, %llu comparisons", (unsigned long long)l->instructions,
           ok ? "the same" : "up to there", (unsigned long long)l->comparisons);
    printf("; %llu times the library's state was carried over", (unsigned long long)l->carried);
    if (l->repeated != 0)
        printf("; %llu stretches done again one by one", (unsigned long long)l->repeated);
    printf("\nlockstep: not emulated, left to KVM: %llu", (unsigned long long)l->adopted);
    for (unsigned i = 0; i < KVM_MNEMONICS; i++)
        if (l->missing[i] != 0)
            printf(" %s %u", x86emu_mnemonic_name((enum x86emu_mnemonic)i), l->missing[i]);
    printf("\n");
}

bool kvm_run_lockstep(struct machine *machine, struct x86emu_vcpu *vcpu, const struct options *options)
{
    struct lockstep *l = calloc(1, sizeof(*l));
    struct x86emu_config config = {.map = &machine->map, .opaque = l};
    bool ok;

    if (l == NULL)
        return false;
    *l = (struct lockstep){.machine = machine,
                           .vcpu = vcpu,
                           .kvm = {.system = -1, .vm = -1, .cpu = -1, .machine = &l->twin, .vcpu = &l->twin.cpu[0]},
                           .end = options->lockstep,
                           .stride = options->stride,
                           .seconds = options->seconds};
    machine->now = virtual_now;
    config.cache = &l->cache;
    for (unsigned kind = 1; kind < X86EMU_REQUEST_KINDS; kind++)
        config.callbacks[kind] = lockstep_answer;
    x86emu_init(&l->emu, &config);
    ok = lockstep_watch_memory(l) && lockstep_open_twin(l) && run(l);
    if (ok)
        machine->end = MACHINE_POWERED_OFF;
    print_result(l, ok);
    lockstep_close_twin(l);
    free(l->changes);
    free(l);
    return ok;
}
