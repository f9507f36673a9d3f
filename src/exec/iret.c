/* SPDX-License-Identifier: BSD-2-Clause */
/* IRET in every mode (SDM Vol. 2, IRET/IRETD/IRETQ; Vol. 3, 21.2). */
#include "far.h"
#include "generated/functions.h"
#include "stack.h"

#define ALWAYS                                                                                                         \
    (X86EMU_RFLAGS_CF | X86EMU_RFLAGS_PF | X86EMU_RFLAGS_AF | X86EMU_RFLAGS_ZF | X86EMU_RFLAGS_SF | X86EMU_RFLAGS_TF | \
     X86EMU_RFLAGS_DF | X86EMU_RFLAGS_OF | X86EMU_RFLAGS_NT | X86EMU_RFLAGS_RF | X86EMU_RFLAGS_AC | X86EMU_RFLAGS_ID)

/* The row says that all flags change; those outside mask stay, but RF, which only a 32-bit image sets (SDM Vol. 3, 17.3.1.1). */
static void take_flags(struct exec *x, uint64_t image, uint64_t mask)
{
    if (x->insn->operand_size == 2)
        mask &= 0xffff;
    x->rflags_mask = ~UINT64_C(0);
    x->rflags = (x->vcpu->rflags & ~(mask | X86EMU_RFLAGS_RF)) | (image & mask);
}

/* Flags that a return at this privilege may change. */
static uint64_t changeable(const struct exec *x)
{
    uint64_t mask = ALWAYS;

    if (x->cpl == 0)
        mask |= X86EMU_RFLAGS_IOPL | X86EMU_RFLAGS_VIF | X86EMU_RFLAGS_VIP;
    if (x->cpl <= (x->vcpu->rflags >> 12 & 3))
        mask |= X86EMU_RFLAGS_IF;
    return mask;
}

struct frame {
    struct far_stack stack;
    uint64_t rip, rflags;
    unsigned selector;
};

static bool pop_frame(struct exec *x, struct frame *frame)
{
    bool flags_first = is_protected(x); /* as processors read them */
    unsigned size = x->insn->operand_size;
    struct far_stack flags;

    x86emu_far_stack_here(x, &frame->stack);
    flags = frame->stack;
    flags.pointer += 2 * size;
    if (flags_first)
        frame->rflags = x86emu_far_pop(x, &flags, size);
    x86emu_far_pop_pointer(x, &frame->stack, size, &frame->selector, &frame->rip);
    if (flags_first)
        frame->stack = flags;
    else
        frame->rflags = x86emu_far_pop(x, &frame->stack, size);
    return !x->stopped;
}

static void go_real(struct exec *x, const struct frame *frame, uint64_t flags_mask)
{
    const struct code_target target = {
        .cs = x86emu_segment_real(x, X86EMU_CS, frame->selector), .rip = frame->rip, .cpl = x->cpl};

    take_flags(x, frame->rflags, flags_mask);
    x86emu_far_stack_stage(x, &frame->stack);
    x86emu_far_go(x, &target, 0);
}

/* In virtual-8086 mode below IOPL 3 only with CR4.VME, where IF stands for VIF (SDM Vol. 3, 21.3). */
static void return_vm86(struct exec *x)
{
    uint64_t mask = ALWAYS | X86EMU_RFLAGS_IF, virtual_if;
    struct frame frame;

    if ((x->vcpu->rflags & X86EMU_RFLAGS_IOPL) == X86EMU_RFLAGS_IOPL) {
        if (pop_frame(x, &frame))
            go_real(x, &frame, mask);
        return;
    }
    if (!(x->vcpu->cr4 & X86EMU_CR4_VME) || x->insn->operand_size != 2) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    if (!pop_frame(x, &frame))
        return;
    virtual_if = frame.rflags & X86EMU_RFLAGS_IF ? X86EMU_RFLAGS_VIF : 0;
    if (frame.rflags & X86EMU_RFLAGS_TF || (virtual_if && x->vcpu->rflags & X86EMU_RFLAGS_VIP)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    go_real(x, &frame, mask & ~(uint64_t)X86EMU_RFLAGS_IF);
    stage_rflags(x, virtual_if, X86EMU_RFLAGS_VIF);
}

/* From CPL 0 to virtual-8086 mode: all segment registers follow on the stack. */
static void enter_vm86(struct exec *x, struct frame *frame)
{
    static const uint8_t names[] = {X86EMU_SS, X86EMU_ES, X86EMU_DS, X86EMU_FS, X86EMU_GS};
    struct x86emu_segment segment = {.limit = 0xffff, .attributes = 0xf3};
    struct code_target target = {.rip = frame->rip & 0xffff, .cpl = 3};
    uint64_t pointer = x86emu_far_pop(x, &frame->stack, 4);

    for (unsigned i = 0; i < sizeof(names); i++) {
        segment.selector = (uint16_t)x86emu_far_pop_selector(x, &frame->stack, 4);
        segment.base = (uint64_t)segment.selector << 4;
        x86emu_segment_stage(x, names[i], &segment);
    }
    segment.selector = (uint16_t)frame->selector;
    segment.base = (uint64_t)segment.selector << 4;
    target.cs = segment;
    x->rflags_mask = ~UINT64_C(0);
    x->rflags = frame->rflags & (changeable(x) | X86EMU_RFLAGS_VM);
    x86emu_gpr_stage(x, X86EMU_RSP, 4, pointer);
    x86emu_segment_stage(x, X86EMU_CS, &target.cs);
    x->rip = target.rip;
}

static void return_protected(struct exec *x)
{
    struct code_target target = {.cpl = 0};
    unsigned size = x->insn->operand_size, selector;
    struct far_stack outer;
    struct frame frame;
    uint64_t pointer;

    if (!pop_frame(x, &frame))
        return;
    if (frame.rflags & X86EMU_RFLAGS_VM && x->cpl == 0 && size == 4 && !is_long_mode(x)) {
        enter_vm86(x, &frame);
        return;
    }
    if (!x86emu_code_return(x, frame.selector, &target))
        return;
    target.rip = frame.rip;
    take_flags(x, frame.rflags, changeable(x));
    if (target.cpl > x->cpl || x->mode == X86EMU_MODE_64) {
        x86emu_far_pop_pointer(x, &frame.stack, size, &selector, &pointer); /* SS is read first */
        outer = (struct far_stack){.pointer = pointer, .cpl = target.cpl};
        if (x->stopped || !x86emu_outer_segment(x, selector, &target, &outer))
            return;
        x86emu_far_stack_stage(x, &outer);
        if (target.cpl > x->cpl)
            x86emu_drop_inner_segments(x, target.cpl);
    } else {
        x86emu_far_stack_stage(x, &frame.stack);
    }
    x86emu_far_go(x, &target, 0);
}

/* The back link of the current TSS leads to the task that was interrupted or called this one. */
static void return_task(struct exec *x)
{
    if (is_long_mode(x)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    if (need(x, X86EMU_STATE_TABLES))
        x86emu_task_switch(x, (unsigned)x86emu_system_load(x, x->vcpu->tr.base, 2), TASK_IRET, x->rip, flags_of_task(x),
                           NULL, 0);
}

void x86emu_exec_iret(struct exec *x)
{
    struct frame frame;

    x->unblocked = X86EMU_BLOCKED_BY_NMI;
    if (!(x->vcpu->cr0 & X86EMU_CR0_PE)) {
        if (pop_frame(x, &frame))
            go_real(x, &frame, ALWAYS | X86EMU_RFLAGS_IF | X86EMU_RFLAGS_IOPL);
    } else if (x->vcpu->rflags & X86EMU_RFLAGS_VM) {
        return_vm86(x);
    } else if (x->vcpu->rflags & X86EMU_RFLAGS_NT) {
        return_task(x);
    } else {
        return_protected(x);
    }
}
