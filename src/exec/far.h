/* SPDX-License-Identifier: BSD-2-Clause */
/* Transfers to another code segment: targets, privilege, and stacks that are not the current one. */
#ifndef X86EMU_EXEC_FAR_H
#define X86EMU_EXEC_FAR_H

#include "descriptor.h"

/* A code segment and where to go on in it. */
struct code_target {
    struct x86emu_segment cs;
    uint64_t rip;
    unsigned cpl;
};

/* A stack while it is filled or emptied: the current one or another privilege level's. */
struct far_stack {
    struct x86emu_segment ss;
    uint64_t pointer; /* as it will be */
    unsigned cpl;
    bool is_64;   /* no limits, 64-bit pointer */
    bool current; /* faults have error code 0, and accesses the current privilege */
};

/* The operand size of far transfers and gates in bytes; the mask of a RIP of that size. */
bool x86emu_target_is_64(const struct exec *x, const struct x86emu_segment *cs);

/* The current stack. */
void x86emu_far_stack_here(struct exec *x, struct far_stack *stack);
void x86emu_far_push(struct exec *x, struct far_stack *stack, uint64_t value, unsigned size);
uint64_t x86emu_far_pop(struct exec *x, struct far_stack *stack, unsigned size);
/* A selector: processors read its two bytes alone. */
unsigned x86emu_far_pop_selector(struct exec *x, struct far_stack *stack, unsigned size);
/* A return address. Processors read the selector first. */
void x86emu_far_pop_pointer(struct exec *x, struct far_stack *stack, unsigned size, unsigned *selector,
                            uint64_t *offset);
/* Stages its pointer, in as many bits as the segment's size gives; for another stack also SS. */
void x86emu_far_stack_stage(struct exec *x, const struct far_stack *stack);

/* SS for a return to an outer level; null only in 64-bit mode below CPL 3. */
bool x86emu_outer_segment(struct exec *x, unsigned selector, const struct code_target *target, struct far_stack *outer);

/* The stack of an inner privilege level from the TSS (SDM Vol. 3, 5.8.5). In long mode SS becomes null. */
bool x86emu_inner_stack(struct exec *x, unsigned cpl, unsigned ext, struct far_stack *stack);

/* Raises #GP(0) (with ext) unless the target's RIP lies in its segment; stages CS and RIP. */
void x86emu_far_go(struct exec *x, const struct code_target *target, unsigned ext);

/* A code descriptor checked for JMP and CALL without gate, and for return to privilege rpl. */
bool x86emu_code_direct(struct exec *x, unsigned selector, struct code_target *target);
bool x86emu_code_return(struct exec *x, unsigned selector, struct code_target *target);
/* A gate's code segment: DPL at most the CPL, 64-bit in long mode. */
bool x86emu_code_of_gate(struct exec *x, unsigned selector, unsigned ext, struct descriptor *d,
                         struct code_target *target);

/* After a return to an outer level: data segments that it may not use become null (SDM Vol. 2, RET). */
void x86emu_drop_inner_segments(struct exec *x, unsigned cpl);

/* --- task.c ------------------------------------------------------------------------------------------------------- */

enum task_cause {
    TASK_JMP,
    TASK_CALL, /* and interrupts: nested */
    TASK_IRET
};

/* What an instruction that switches tasks saves: it has ended, with RF clear (SDM Vol. 3, 17.3.1.1). */
static inline uint64_t flags_of_task(const struct exec *x)
{
    return x->vcpu->rflags & ~(uint64_t)X86EMU_RFLAGS_RF;
}

/*
 * Switches to the task whose TSS descriptor or, via, task gate this is. return_rip and return_flags are what the old task
 * goes on with. event: what is delivered to the new one; NULL: an instruction switches.
 */
void x86emu_task_switch(struct exec *x, unsigned selector, enum task_cause cause, uint64_t return_rip,
                        uint64_t return_flags, const struct x86emu_exception *event, unsigned ext);

#endif
