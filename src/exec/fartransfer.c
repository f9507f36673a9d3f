/* SPDX-License-Identifier: BSD-2-Clause */
/* Far JMP, CALL and RET, with call gates and task gates (SDM Vol. 2; Vol. 3, 5.8). */
#include "far.h"
#include "generated/functions.h"

/* The pointer that the operand names: in the instruction, or in memory. */
static bool far_pointer(struct exec *x, unsigned *selector, uint64_t *offset)
{
    if (operand(x, 0)->kind != X86EMU_OPERAND_FAR)
        return x86emu_far_pointer(x, 0, selector, offset);
    *selector = operand(x, 0)->selector;
    *offset = operand(x, 0)->imm & size_mask(x->insn->operand_size);
    return true;
}

static struct code_target real_target(const struct exec *x, unsigned selector, uint64_t offset)
{
    return (struct code_target){.cs = x86emu_segment_real(x, X86EMU_CS, selector), .rip = offset, .cpl = x->cpl};
}

static void push_return(struct exec *x, struct far_stack *stack, unsigned size)
{
    x86emu_far_push(x, stack, x->vcpu->segment[X86EMU_CS].selector, size);
    x86emu_far_push(x, stack, x->rip, size);
}

/* --- without gate ------------------------------------------------------------------------------------------------- */

static void go_direct(struct exec *x, const struct code_target *target, bool call)
{
    struct far_stack stack;

    if (call) {
        x86emu_far_stack_here(x, &stack);
        stack.is_64 = x86emu_target_is_64(x, &target->cs); /* processors push as the target does */
        push_return(x, &stack, x->insn->operand_size);
        x86emu_far_stack_stage(x, &stack);
    }
    x86emu_far_go(x, target, 0);
}

/* --- call gates --------------------------------------------------------------------------------------------------- */

struct gate {
    unsigned selector, size, parameters;
    uint64_t offset;
};

static bool read_gate(struct exec *x, struct descriptor *d, struct gate *gate)
{
    if (is_long_mode(x) && !x86emu_descriptor_read_high(x, X86EMU_VECTOR_GP, 0, d))
        return false;
    gate->selector = (unsigned)(d->low >> 16) & 0xffff;
    gate->size = is_long_mode(x) ? 8 : descriptor_type(d) == TYPE_CALL_GATE_32 ? 4 : 2;
    gate->parameters = is_long_mode(x) ? 0 : (unsigned)(d->low >> 32) & 31;
    gate->offset = (d->low & 0xffff) | (d->low >> 32 & 0xffff0000) | d->high << 32;
    gate->offset &= size_mask(gate->size);
    return true;
}

/* Through a gate to an inner level: the new stack gets the old one's place, the parameters, and the return address. */
static void call_inner(struct exec *x, const struct gate *gate, const struct code_target *target)
{
    struct far_stack inner, outer, parameters;
    uint64_t values[31];

    if (!x86emu_inner_stack(x, target->cpl, 0, &inner))
        return;
    x86emu_far_stack_here(x, &outer);
    parameters = outer;
    for (unsigned i = 0; i < gate->parameters; i++)
        values[i] = x86emu_far_pop(x, &parameters, gate->size);
    x86emu_far_push(x, &inner, outer.ss.selector, gate->size);
    x86emu_far_push(x, &inner, outer.pointer, gate->size);
    for (unsigned i = gate->parameters; i-- > 0;)
        x86emu_far_push(x, &inner, values[i], gate->size);
    push_return(x, &inner, gate->size);
    x86emu_far_stack_stage(x, &inner);
    x86emu_far_go(x, target, 0);
}

static void call_same(struct exec *x, const struct gate *gate, const struct code_target *target)
{
    struct far_stack stack;

    x86emu_far_stack_here(x, &stack);
    stack.is_64 |= gate->size == 8; /* as the target counts: no base, no limit */
    push_return(x, &stack, gate->size);
    x86emu_far_stack_stage(x, &stack);
    x86emu_far_go(x, target, 0);
}

static void through_gate(struct exec *x, struct descriptor *d, bool call)
{
    struct code_target target = {.cpl = 0};
    struct descriptor code;
    struct gate gate;

    if (!read_gate(x, d, &gate) || !x86emu_code_of_gate(x, gate.selector, 0, &code, &target))
        return;
    target.rip = gate.offset;
    if (target.cpl < x->cpl) {
        if (call)
            call_inner(x, &gate, &target);
        else
            x86emu_raise_selector(x, X86EMU_VECTOR_GP, gate.selector, 0);
    } else if (call) {
        call_same(x, &gate, &target);
    } else {
        x86emu_far_go(x, &target, 0);
    }
}

/* --- JMP, CALL ---------------------------------------------------------------------------------------------------- */

/* Whether the program may use this gate or TSS at all. */
static bool system_allowed(struct exec *x, const struct descriptor *d)
{
    if (descriptor_dpl(d) < x->cpl || descriptor_dpl(d) < rpl_of(d->selector))
        x86emu_raise_selector(x, X86EMU_VECTOR_GP, d->selector, 0);
    else if (!is_present(d))
        x86emu_raise_selector(x, X86EMU_VECTOR_NP, d->selector, 0);
    return !x->stopped;
}

static void through_system(struct exec *x, struct descriptor *d, bool call)
{
    bool legacy = !is_long_mode(x);

    switch (descriptor_type(d)) {
    case TYPE_CALL_GATE_16:
        if (!legacy)
            break;
        /* fallthrough */
    case TYPE_CALL_GATE_32:
        if (system_allowed(x, d))
            through_gate(x, d, call);
        return;
    case TYPE_TASK_GATE:
        if (!legacy)
            break;
        if (system_allowed(x, d))
            x86emu_task_switch(x, (unsigned)(d->low >> 16) & 0xffff, call ? TASK_CALL : TASK_JMP, x->rip,
                               flags_of_task(x), NULL, 0);
        return;
    case TYPE_TSS_16:
    case TYPE_TSS_32:
        if (!legacy)
            break;
        if (system_allowed(x, d))
            x86emu_task_switch(x, d->selector, call ? TASK_CALL : TASK_JMP, x->rip, flags_of_task(x), NULL, 0);
        return;
    default:
        break;
    }
    x86emu_raise_selector(x, X86EMU_VECTOR_GP, d->selector, 0);
}

static void transfer(struct exec *x, bool call)
{
    struct code_target target = {.cpl = 0};
    unsigned selector;
    uint64_t offset;
    struct descriptor d;

    if (!far_pointer(x, &selector, &offset) || x->stopped)
        return;
    if (!is_protected(x)) {
        target = real_target(x, selector, offset);
        go_direct(x, &target, call);
        return;
    }
    if (is_null(selector)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    if (!x86emu_descriptor_read(x, selector, X86EMU_VECTOR_GP, 0, &d))
        return;
    if (!is_code_or_data(&d)) {
        through_system(x, &d, call);
        return;
    }
    target.rip = offset;
    if (x86emu_code_direct(x, selector, &target))
        go_direct(x, &target, call);
}

void x86emu_exec_jmp_far(struct exec *x)
{
    transfer(x, false);
}

void x86emu_exec_call_far(struct exec *x)
{
    transfer(x, true);
}

/* --- RET ---------------------------------------------------------------------------------------------------------- */

/* To an outer level: its stack follows on this one, behind the bytes that RET frees on both. */
static void return_outer(struct exec *x, struct far_stack *stack, const struct code_target *target, unsigned freed)
{
    struct far_stack outer = {.cpl = target->cpl};
    unsigned size = x->insn->operand_size, selector;

    stack->pointer += freed;
    outer.pointer = x86emu_far_pop(x, stack, size);
    selector = x86emu_far_pop_selector(x, stack, size);
    if (!x86emu_outer_segment(x, selector, target, &outer))
        return;
    outer.pointer += freed;
    x86emu_far_stack_stage(x, &outer);
    x86emu_drop_inner_segments(x, target->cpl);
    x86emu_far_go(x, target, 0);
}

void x86emu_exec_ret_far(struct exec *x)
{
    bool frees = operand(x, 0)->kind == X86EMU_OPERAND_IMM && !operand(x, 0)->implicit;
    unsigned size = x->insn->operand_size, selector, freed = frees ? (unsigned)read_operand(x, 0) & 0xffff : 0;
    struct code_target target = {.cpl = 0};
    struct far_stack stack;
    uint64_t offset;

    x86emu_far_stack_here(x, &stack);
    x86emu_far_pop_pointer(x, &stack, size, &selector, &offset);
    if (x->stopped)
        return;
    if (!is_protected(x))
        target = real_target(x, selector, offset);
    else if (!x86emu_code_return(x, selector, &target))
        return;
    target.rip = offset;
    if (target.cpl > x->cpl) {
        return_outer(x, &stack, &target, freed);
        return;
    }
    /* What RET n drops is counted in the width of the target's stack. */
    stack.is_64 |= is_protected(x) && x86emu_target_is_64(x, &target.cs);
    stack.pointer += freed;
    x86emu_far_stack_stage(x, &stack);
    x86emu_far_go(x, &target, 0);
}
