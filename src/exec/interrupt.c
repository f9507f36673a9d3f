/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts and exceptions: gates, stacks, what is pushed (SDM Vol. 3, 6.10 to 6.14, 21.1 and 21.3). */
#include "interrupt.h"

#include "generated/functions.h"
#include "stack.h"

/* Flags that delivery clears besides IF. */
#define CLEARED_BY_GATE (X86EMU_RFLAGS_TF | X86EMU_RFLAGS_NT | X86EMU_RFLAGS_RF | X86EMU_RFLAGS_VM)

static bool is_software(const struct x86emu_event *event)
{
    return event->kind == X86EMU_EVENT_SOFTWARE || event->kind == X86EMU_EVENT_SOFTWARE_EXCEPTION;
}

/* EXT of error codes: the event was not the program's own doing. */
static unsigned ext_of(const struct x86emu_event *event)
{
    return !is_software(event);
}

/*
 * What is pushed as RFLAGS: RF is set for faults, so that an instruction breakpoint isn't taken twice, and clear for
 * instructions that interrupt (SDM Vol. 3, 17.3.1.1).
 */
static uint64_t pushed_flags(const struct exec *x, const struct x86emu_event *event)
{
    bool fault =
        event->kind == X86EMU_EVENT_EXCEPTION && event->vector != X86EMU_VECTOR_BP && event->vector != X86EMU_VECTOR_OF;

    if (event->vector == X86EMU_VECTOR_DB) /* a fault by general detect alone, and by an instruction breakpoint */
        fault = fault && event->dr6 & X86EMU_DR6_BD;

    if (!x->emu->transaction.delivering)
        return x->vcpu->rflags & ~(uint64_t)X86EMU_RFLAGS_RF;
    return x->vcpu->rflags | (fault ? X86EMU_RFLAGS_RF : 0);
}

/* --- real mode ---------------------------------------------------------------------------------------------------- */

static void deliver_real(struct exec *x, const struct x86emu_event *event, uint64_t return_rip)
{
    unsigned at = event->vector * 4u;
    struct code_target target = {.cpl = 0};
    struct far_stack stack;
    uint64_t entry;

    if (!need(x, X86EMU_STATE_TABLES))
        return;
    if (at + 3 > x->vcpu->idtr.limit) {
        x86emu_raise(x, X86EMU_VECTOR_GP);
        return;
    }
    entry = x86emu_system_load(x, x->vcpu->idtr.base + at, 4);
    target.cs = x86emu_segment_real(x, X86EMU_CS, (unsigned)(entry >> 16));
    target.rip = entry & 0xffff;
    x86emu_far_stack_here(x, &stack);
    x86emu_far_push(x, &stack, pushed_flags(x, event), 2);
    x86emu_far_push(x, &stack, x->vcpu->segment[X86EMU_CS].selector, 2);
    x86emu_far_push(x, &stack, return_rip, 2);
    x86emu_far_stack_stage(x, &stack);
    stage_rflags(x, 0, X86EMU_RFLAGS_IF | X86EMU_RFLAGS_TF | X86EMU_RFLAGS_AC | X86EMU_RFLAGS_RF);
    x86emu_far_go(x, &target, 0);
}

/* --- gates -------------------------------------------------------------------------------------------------------- */

struct idt_gate {
    unsigned type, selector, ist, size, error; /* error: the code of faults of the gate itself */
    uint64_t offset;
};

static bool type_is_gate(const struct exec *x, unsigned type)
{
    switch (type) {
    case TYPE_INTERRUPT_GATE_32:
    case TYPE_TRAP_GATE_32:
        return true;
    case TYPE_INTERRUPT_GATE_16:
    case TYPE_TRAP_GATE_16:
    case TYPE_TASK_GATE:
        return !is_long_mode(x);
    default:
        return false;
    }
}

static bool read_idt_gate(struct exec *x, const struct x86emu_event *event, struct idt_gate *gate)
{
    unsigned size = is_long_mode(x) ? 16 : 8, at = event->vector * size;
    uint64_t low, high = 0;

    gate->error = event->vector * 8u | 2u | ext_of(event);
    if (!need(x, X86EMU_STATE_TABLES))
        return false;
    if (at + size - 1 > x->vcpu->idtr.limit) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, gate->error);
        return false;
    }
    low = x86emu_system_load(x, x->vcpu->idtr.base + at, 8);
    if (size == 16)
        high = x86emu_system_load(x, x->vcpu->idtr.base + at + 8, 8);
    gate->type = (unsigned)(low >> 40) & 0x1f;
    gate->selector = (unsigned)(low >> 16) & 0xffff;
    gate->ist = is_long_mode(x) ? (unsigned)(low >> 32) & 7 : 0;
    gate->size = is_long_mode(x) ? 8 : gate->type & 8 ? 4 : 2;
    gate->offset = ((low & 0xffff) | (low >> 32 & 0xffff0000) | high << 32) & size_mask(gate->size);
    if (!x->stopped && (!type_is_gate(x, gate->type) || (is_software(event) && (low >> 45 & 3) < x->cpl)))
        x86emu_raise_code(x, X86EMU_VECTOR_GP, gate->error);
    else if (!x->stopped && !(low >> 47 & 1))
        x86emu_raise_code(x, X86EMU_VECTOR_NP, gate->error);
    return !x->stopped;
}

/* --- the handler's stack ------------------------------------------------------------------------------------------ */

/* One of the TSS's seven interrupt stacks (SDM Vol. 3, 6.14.5). */
static void interrupt_stack(struct exec *x, unsigned ist, unsigned ext, struct far_stack *stack)
{
    const struct x86emu_segment *tr = &x->vcpu->tr;
    unsigned offset = 0x1c + 8 * ist;

    if (offset + 7 > tr->limit)
        x86emu_raise_selector(x, X86EMU_VECTOR_TS, tr->selector, ext);
    stack->pointer = x86emu_system_load(x, tr->base + offset, 8);
}

/* In long mode every handler begins on a stack pointer that is a multiple of 16. */
static bool handler_stack(struct exec *x, const struct idt_gate *gate, unsigned cpl, unsigned ext,
                          struct far_stack *stack)
{
    bool inner = cpl < x->cpl;

    if (!is_long_mode(x)) {
        if (inner)
            return x86emu_inner_stack(x, cpl, ext, stack);
        x86emu_far_stack_here(x, stack);
        return !x->stopped;
    }
    if (!inner || gate->ist != 0) {
        x86emu_far_stack_here(x, stack);
        stack->is_64 = true;
        stack->current = !inner && x->mode == X86EMU_MODE_64;
        if (inner)
            stack->ss =
                (struct x86emu_segment){.selector = (uint16_t)cpl, .attributes = X86EMU_SEGMENT_UNUSABLE | cpl << 5};
        stack->cpl = cpl;
        if (gate->ist != 0)
            interrupt_stack(x, gate->ist, ext, stack);
    } else if (!x86emu_inner_stack(x, cpl, ext, stack)) {
        return false;
    }
    stack->pointer &= ~UINT64_C(15);
    return !x->stopped;
}

/* From virtual-8086 mode the data segments are saved, and null afterwards. */
static void push_vm86_segments(struct exec *x, struct far_stack *stack, unsigned size)
{
    static const uint8_t names[] = {X86EMU_GS, X86EMU_FS, X86EMU_DS, X86EMU_ES};
    const struct x86emu_segment null = {.attributes = X86EMU_SEGMENT_UNUSABLE};

    if (!need(x, X86EMU_STATE_DATA | X86EMU_STATE_FSGS))
        return;
    for (unsigned i = 0; i < sizeof(names); i++) {
        x86emu_far_push(x, stack, x->vcpu->segment[names[i]].selector, size);
        x86emu_segment_stage(x, names[i], &null);
    }
}

static void push_frame(struct exec *x, const struct x86emu_event *event, uint64_t return_rip, unsigned size,
                       bool with_stack, struct far_stack *stack)
{
    struct far_stack old;

    x86emu_far_stack_here(x, &old);
    if (with_stack) {
        x86emu_far_push(x, stack, old.ss.selector, size);
        x86emu_far_push(x, stack, old.pointer, size);
    }
    x86emu_far_push(x, stack, pushed_flags(x, event), size);
    x86emu_far_push(x, stack, x->vcpu->segment[X86EMU_CS].selector, size);
    x86emu_far_push(x, stack, return_rip, size);
    if (event->has_error_code)
        x86emu_far_push(x, stack, event->error_code, size);
    x86emu_far_stack_stage(x, stack);
}

static void deliver_protected(struct exec *x, const struct x86emu_event *event, uint64_t return_rip)
{
    bool vm86 = x->vcpu->rflags & X86EMU_RFLAGS_VM;
    struct code_target target = {.cpl = 0};
    unsigned ext = ext_of(event);
    struct descriptor code;
    struct far_stack stack;
    struct idt_gate gate;

    if (!read_idt_gate(x, event, &gate))
        return;
    if (gate.type == TYPE_TASK_GATE) {
        const struct x86emu_exception with = {
            .error_code = event->error_code, .vector = event->vector, .has_error_code = event->has_error_code};

        x86emu_task_switch(x, gate.selector, TASK_CALL, return_rip, pushed_flags(x, event), &with, ext);
        return;
    }
    if (!x86emu_code_of_gate(x, gate.selector, ext, &code, &target))
        return;
    if (vm86 && target.cpl != 0) {
        x86emu_raise_selector(x, X86EMU_VECTOR_GP, gate.selector, ext);
        return;
    }
    target.rip = gate.offset;
    if (!handler_stack(x, &gate, target.cpl, ext, &stack))
        return;
    if (vm86)
        push_vm86_segments(x, &stack, gate.size);
    push_frame(x, event, return_rip, gate.size, is_long_mode(x) || target.cpl < x->cpl, &stack);
    stage_rflags(x, 0, CLEARED_BY_GATE | (gate.type & 1 ? 0 : X86EMU_RFLAGS_IF));
    x86emu_far_go(x, &target, ext);
}

/* #DB sets its reasons in DR6 and clears DR7.GD, so that the handler can use the registers (SDM Vol. 3, 17.2.4). */
static void enter_debug_handler(struct exec *x, uint64_t dr6)
{
    const uint64_t *dr = x->vcpu->dr;

    if (!need(x, X86EMU_STATE_DEBUG))
        return;
    stage_register(x, X86EMU_STATE_DEBUG, &dr[6], dr[6] | dr6);
    if (dr[7] & X86EMU_DR7_GD)
        stage_register(x, X86EMU_STATE_DEBUG, &dr[7], dr[7] & ~X86EMU_DR7_GD);
}

void x86emu_interrupt(struct exec *x, const struct x86emu_event *event, uint64_t return_rip)
{
    if (event->kind == X86EMU_EVENT_EXCEPTION && event->vector == X86EMU_VECTOR_PF)
        stage_register(x, X86EMU_STATE_CR2, &x->vcpu->cr2, event->cr2);
    if (event->kind == X86EMU_EVENT_EXCEPTION && event->vector == X86EMU_VECTOR_DB)
        enter_debug_handler(x, event->dr6);
    if (x->vcpu->cr0 & X86EMU_CR0_PE)
        deliver_protected(x, event, return_rip);
    else
        deliver_real(x, event, return_rip);
    x->no_step = true; /* TF is clear before a trap could be taken */
    if (event->kind == X86EMU_EVENT_NMI)
        x->shadow = X86EMU_BLOCKED_BY_NMI;
}

static void keep_register(struct x86emu_vcpu *vcpu, uint32_t group, uint64_t *reg, uint64_t value)
{
    if (vcpu->loaded & group && *reg != value) {
        *reg = value;
        vcpu->changed |= group;
    }
}

void x86emu_interrupt_failed(const struct x86emu_event *event, const struct x86emu_exception *second,
                             struct x86emu_vcpu *vcpu)
{
    if (event->kind != X86EMU_EVENT_EXCEPTION)
        return;
    if (event->vector == X86EMU_VECTOR_PF)
        keep_register(vcpu, X86EMU_STATE_CR2, &vcpu->cr2, event->cr2);
    if (second->vector == X86EMU_VECTOR_PF)
        keep_register(vcpu, X86EMU_STATE_CR2, &vcpu->cr2, second->cr2);
    if (event->vector == X86EMU_VECTOR_DB) {
        keep_register(vcpu, X86EMU_STATE_DEBUG, &vcpu->dr[6], vcpu->dr[6] | event->dr6);
        keep_register(vcpu, X86EMU_STATE_DEBUG, &vcpu->dr[7], vcpu->dr[7] & ~X86EMU_DR7_GD);
    }
}

/* --- instructions ------------------------------------------------------------------------------------------------- */

/* In virtual-8086 mode INT n goes to the monitor unless IOPL is 3; the redirection bitmap needs CR4.VME. */
static bool int_allowed(struct exec *x)
{
    bool vm86 = x->vcpu->rflags & X86EMU_RFLAGS_VM;

    if (!vm86 || (x->vcpu->rflags & X86EMU_RFLAGS_IOPL) == X86EMU_RFLAGS_IOPL)
        return true;
    x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return false;
}

/*
 * With CR4.VME the TSS has a bit for each vector: clear means that virtual-8086 mode's own table at address 0 is used
 * (SDM Vol. 3, 21.3.3). True: done, or stopped.
 */
static bool redirected(struct exec *x, unsigned vector)
{
    const uint64_t vme = x->vcpu->cr4 & X86EMU_CR4_VME, vm = x->vcpu->rflags & X86EMU_RFLAGS_VM;
    bool iopl_3 = (x->vcpu->rflags & X86EMU_RFLAGS_IOPL) == X86EMU_RFLAGS_IOPL;
    struct code_target target = {.cpl = 3};
    uint64_t base, entry, flags;
    struct far_stack stack;

    if (!vme || !vm || !need(x, X86EMU_STATE_TABLES))
        return x->stopped;
    base = x86emu_system_load(x, x->vcpu->tr.base + 0x66, 2);
    if (x86emu_system_load(x, x->vcpu->tr.base + base - 32 + vector / 8, 1) >> (vector & 7) & 1)
        return x->stopped;
    entry = x86emu_system_load(x, vector * 4u, 4);
    flags = x->vcpu->rflags;
    if (!iopl_3) {
        flags = (flags & ~(uint64_t)X86EMU_RFLAGS_IF) | X86EMU_RFLAGS_IOPL;
        flags |= flags & X86EMU_RFLAGS_VIF ? X86EMU_RFLAGS_IF : 0;
    }
    target.cs = x86emu_segment_real(x, X86EMU_CS, (unsigned)(entry >> 16));
    target.rip = entry & 0xffff;
    x86emu_far_stack_here(x, &stack);
    x86emu_far_push(x, &stack, flags, 2);
    x86emu_far_push(x, &stack, x->vcpu->segment[X86EMU_CS].selector, 2);
    x86emu_far_push(x, &stack, x->rip, 2);
    x86emu_far_stack_stage(x, &stack);
    stage_rflags(x, 0, X86EMU_RFLAGS_TF | (iopl_3 ? X86EMU_RFLAGS_IF : X86EMU_RFLAGS_VIF));
    x86emu_far_go(x, &target, 0);
    return true;
}

void x86emu_exec_int(struct exec *x)
{
    const struct x86emu_event event = {.kind = X86EMU_EVENT_SOFTWARE, .vector = (uint8_t)read_operand(x, 0)};

    if (!redirected(x, event.vector) && int_allowed(x))
        x86emu_interrupt(x, &event, x->rip);
}

void x86emu_exec_int3(struct exec *x)
{
    const struct x86emu_event event = {.kind = X86EMU_EVENT_SOFTWARE_EXCEPTION, .vector = X86EMU_VECTOR_BP};

    x86emu_interrupt(x, &event, x->rip);
}

void x86emu_exec_into(struct exec *x)
{
    const struct x86emu_event event = {.kind = X86EMU_EVENT_SOFTWARE_EXCEPTION, .vector = X86EMU_VECTOR_OF};

    if (x->rflags & X86EMU_RFLAGS_OF)
        x86emu_interrupt(x, &event, x->rip);
}

/* INT1 (ICEBP): a #DB that no privilege check stops. */
void x86emu_exec_int1(struct exec *x)
{
    const struct x86emu_event event = {.kind = X86EMU_EVENT_EXCEPTION, .vector = X86EMU_VECTOR_DB};

    x86emu_interrupt(x, &event, x->rip);
}

/* Signed bounds: an index outside them is #BR. The second is not read when the first decides. */
void x86emu_exec_bound(struct exec *x)
{
    unsigned size = x->insn->operand_size;
    int64_t index = (int64_t)sign_extend(read_operand(x, 0), size);
    struct logical address;
    uint8_t bytes[4] = {0};

    if (!x86emu_operand_address(x, 1, &address) || !x86emu_memory_read(x, address, size, USE_PLAIN, bytes))
        return;
    if (index < (int64_t)sign_extend(load_le(bytes, size), size)) {
        x86emu_raise(x, X86EMU_VECTOR_BR);
        return;
    }
    address = beyond(x, address, size);
    if (x86emu_memory_read(x, address, size, USE_PLAIN, bytes) &&
        index > (int64_t)sign_extend(load_le(bytes, size), size))
        x86emu_raise(x, X86EMU_VECTOR_BR);
}

void x86emu_exec_ud(struct exec *x)
{
    x86emu_raise(x, X86EMU_VECTOR_UD);
}
