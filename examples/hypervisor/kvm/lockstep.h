/* SPDX-License-Identifier: BSD-2-Clause */
/* A program twice, on the library and on KVM: what the files of lockstep share. */
#ifndef HYPERVISOR_KVM_LOCKSTEP_H
#define HYPERVISOR_KVM_LOCKSTEP_H

#include "kvm.h"

enum {
    LOCKSTEP_PIECE = 64, /* bytes of memory */
};

/* A piece of memory that the library has written, as it was before. */
struct lockstep_change {
    uint64_t gpa;
    uint16_t size;
    uint8_t old[LOCKSTEP_PIECE];
};

struct lockstep {
    struct machine *machine; /* the library's */
    struct machine twin;     /* KVM's: its memory is used, and nothing else */
    struct kvm kvm;
    struct x86emu emu;
    struct x86emu_cache cache;
    struct x86emu_vcpu *vcpu; /* the library's; KVM's is where it stopped last */

    struct lockstep_change *changes; /* since KVM's memory was the same, in order */
    size_t change_count, change_room;
    bool asked; /* the instruction wanted to know what KVM would answer differently, time for instance */

    uint64_t seconds;     /* of real time, until the run is given up */
    uint64_t stride, end; /* instructions: between two comparisons, and in all */
    uint64_t frame;       /* where the guest's handler finds what the last stop has pushed: physical */
    uint32_t undefined;   /* flags that are, since the last comparison */
    uint64_t memory_due;  /* all of it is compared when so many instructions have been */
    uint64_t one_by_one;  /* so many of the next instructions, to find the one that differs */
    uint64_t instructions, comparisons, carried, repeated, adopted;
    uint32_t missing[KVM_MNEMONICS]; /* instructions that only KVM could do */
};

/* Prints why, and the library's state; false. */
bool lockstep_fail(struct lockstep *l, const char *why);

/* --- memory: lockstep_memory.c ------------------------------------------------------------------------------------ */

/* From here on the library asks for each write. False: there is a reason that it can't. */
bool lockstep_watch_memory(struct lockstep *l);
/* Answers the library's requests; opaque is the struct lockstep. */
x86emu_callback lockstep_answer;
/* Takes back the changes from number first on. */
void lockstep_undo(struct lockstep *l, size_t first);
/* Whether KVM has written the same; from there on there are no changes. */
bool lockstep_same_changes(struct lockstep *l);
/* Gives KVM's memory the changes. */
void lockstep_carry_changes(struct lockstep *l);
/* Takes KVM's memory where the instruction, which the library has decoded and not done, writes. False: can't be told. */
bool lockstep_adopt_memory(struct lockstep *l, const struct x86emu_vcpu *before);

/* --- KVM: lockstep_twin.c ----------------------------------------------------------------------------------------- */

bool lockstep_open_twin(struct lockstep *l);
/* The time is up. */
bool lockstep_is_late(const struct lockstep *l);
void lockstep_close_twin(struct lockstep *l);
/* The library's state, memory included, becomes KVM's. */
bool lockstep_carry(struct lockstep *l);
/* Makes memory the same where the last stop has written. */
void lockstep_forget_frame(struct lockstep *l);
/* Lets KVM go on to rip. *came: it stopped there, or at least at a HLT; *after: its general registers. False: reported. */
bool lockstep_run_to(struct lockstep *l, uint64_t rip, struct x86emu_vcpu *after, bool *came);

#endif
