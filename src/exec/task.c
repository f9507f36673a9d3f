/* SPDX-License-Identifier: BSD-2-Clause */
/* Task switches (SDM Vol. 3, 8.3). */
#include "control.h"
#include "far.h"
#include "stack.h"

/*
 * All checks are made before anything changes, those too that processors make in the new task's context; its segments
 * are read through the old task's page tables.
 */

/* Where things are in a TSS of either size (SDM Vol. 3, figures 8-2 and 8-10). */
struct tss_layout {
    uint8_t registers; /* IP, FLAGS and the eight general registers, size bytes each */
    uint8_t size;
    uint8_t selectors; /* ES, CS, SS, DS and with 32 bits FS, GS, one each 2 or 4 bytes */
    uint8_t selector_count;
    uint8_t ldt;
    uint8_t limit; /* the least */
};

/* DR7: local breakpoints are those of one task. */
#define DR7_LOCAL 0x155

static const struct tss_layout layout_16 = {0x0e, 2, 0x22, 4, 0x2a, 0x2b};
static const struct tss_layout layout_32 = {0x20, 4, 0x48, 6, 0x60, 0x67};

struct task {
    struct descriptor d;
    struct x86emu_segment tr;
    const struct tss_layout *layout;
    uint64_t rip, rflags, gpr[8];
    uint16_t selector[6], ldt;
    uint32_t cr3;
    bool traps; /* T: a debug trap once the task runs */
    struct x86emu_segment ldtr;
};

static const struct tss_layout *layout_of(const struct x86emu_segment *tr)
{
    return tr->attributes & 8 ? &layout_32 : &layout_16;
}

/* --- the new task's TSS ------------------------------------------------------------------------------------------- */

static bool find_task(struct exec *x, unsigned selector, enum task_cause cause, unsigned ext, struct task *task)
{
    enum x86emu_vector vector = cause == TASK_IRET ? X86EMU_VECTOR_TS : X86EMU_VECTOR_GP;
    unsigned type;

    if (selector & 4 || is_null(selector)) {
        x86emu_raise_selector(x, vector, selector, ext);
        return false;
    }
    if (!x86emu_descriptor_read(x, selector, vector, ext, &task->d))
        return false;
    type = descriptor_type(&task->d);
    task->tr = x86emu_segment_of(&task->d);
    task->layout = layout_of(&task->tr);
    if (is_code_or_data(&task->d) || (type & 5) != 1 || ((type & 2) != 0) != (cause == TASK_IRET))
        x86emu_raise_selector(x, vector, selector, ext);
    else if (!is_present(&task->d))
        x86emu_raise_selector(x, X86EMU_VECTOR_NP, selector, ext);
    else if (task->tr.limit < task->layout->limit)
        x86emu_raise_selector(x, X86EMU_VECTOR_TS, selector, ext);
    task->tr.attributes |= 2;
    return !x->stopped;
}

static void read_task(struct exec *x, struct task *task)
{
    const struct tss_layout *l = task->layout;
    uint8_t registers[40] = {0}, selectors[24] = {0};

    x86emu_system_read(x, task->tr.base + l->registers, 10u * l->size, registers);
    x86emu_system_read(x, task->tr.base + l->selectors, (unsigned)l->selector_count * l->size, selectors);
    task->ldt = (uint16_t)x86emu_system_load(x, task->tr.base + l->ldt, 2);
    if (l->size == 4)
        task->cr3 = (uint32_t)x86emu_system_load(x, task->tr.base + 0x1c, 4);
    if (l->size == 4)
        task->traps = x86emu_system_load(x, task->tr.base + 0x64, 1) & 1;
    task->rip = load_le(registers, l->size);
    task->rflags = load_le(registers + l->size, l->size);
    for (unsigned i = 0; i < 8; i++)
        task->gpr[i] = load_le(registers + (2 + i) * l->size, l->size);
    for (unsigned i = 0; i < 6; i++)
        task->selector[i] = i < l->selector_count ? (uint16_t)load_le(selectors + i * l->size, 2) : 0;
}

/* --- the old task's TSS ------------------------------------------------------------------------------------------- */

static void save_task(struct exec *x, uint64_t return_rip, uint64_t rflags)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    const struct tss_layout *l = layout_of(&vcpu->tr);
    uint8_t registers[40], selector[2];

    store_le(registers, return_rip, l->size);
    store_le(registers + l->size, rflags, l->size);
    for (unsigned i = 0; i < 8; i++)
        store_le(registers + (2 + i) * l->size, gpr(x, i), l->size);
    x86emu_system_write(x, vcpu->tr.base + l->registers, 10u * l->size, registers);
    for (unsigned i = 0; i < l->selector_count; i++) {
        store_le(selector, vcpu->segment[i].selector, 2);
        x86emu_system_write(x, vcpu->tr.base + l->selectors + i * l->size, 2, selector);
    }
}

static bool old_task_fits(struct exec *x, unsigned ext)
{
    const struct x86emu_segment *tr = &x->vcpu->tr;

    if (tr->limit < layout_of(tr)->limit)
        x86emu_raise_selector(x, X86EMU_VECTOR_TS, tr->selector, ext);
    return !x->stopped;
}

/* The busy bit of the old task's descriptor, which TR was loaded from. */
static void clear_busy(struct exec *x)
{
    const struct descriptor d = {.la = x->vcpu->gdtr.base + (x->vcpu->tr.selector & 0xfff8u)};

    x86emu_descriptor_busy(x, &d, false);
}

/* --- the new task's segments -------------------------------------------------------------------------------------- */

/* From here on, selectors with TI set mean the new LDT. */
static void load_ldt(struct exec *x, struct task *task)
{
    unsigned selector = task->ldt;
    struct descriptor d;

    task->ldtr = (struct x86emu_segment){.selector = (uint16_t)selector, .attributes = X86EMU_SEGMENT_UNUSABLE};

    if (!is_null(selector)) {
        if (selector & 4) {
            x86emu_raise_selector(x, X86EMU_VECTOR_TS, selector, 0);
            return;
        }
        if (!x86emu_descriptor_read(x, selector, X86EMU_VECTOR_TS, 0, &d))
            return;
        if (is_code_or_data(&d) || descriptor_type(&d) != TYPE_LDT || !is_present(&d))
            x86emu_raise_selector(x, X86EMU_VECTOR_TS, selector, 0);
        task->ldtr = x86emu_segment_of(&d);
    }
    x86emu_stage(x, X86EMU_STATE_TABLES, &x->vcpu->ldtr, &task->ldtr, SEGMENT_BYTES);
    x->ldtr = &task->ldtr;
}

static void load_code(struct exec *x, const struct task *task)
{
    unsigned selector = task->selector[X86EMU_CS], cpl = rpl_of(selector);
    struct code_target target = {.rip = task->rip, .cpl = cpl};
    struct descriptor d;
    bool allowed;

    if (is_null(selector)) {
        x86emu_raise_selector(x, X86EMU_VECTOR_TS, selector, 0);
        return;
    }
    if (!x86emu_descriptor_read(x, selector, X86EMU_VECTOR_TS, 0, &d))
        return;
    allowed =
        is_code(&d) && (descriptor_type(&d) & TYPE_CONFORMING ? descriptor_dpl(&d) <= cpl : descriptor_dpl(&d) == cpl);
    if (!allowed)
        x86emu_raise_selector(x, X86EMU_VECTOR_TS, selector, 0);
    else if (!is_present(&d))
        x86emu_raise_selector(x, X86EMU_VECTOR_NP, selector, 0);
    x86emu_descriptor_access(x, &d);
    target.cs = x86emu_segment_of(&d);
    x86emu_far_go(x, &target, 0);
}

static void load_data(struct exec *x, unsigned name, unsigned selector, unsigned cpl)
{
    struct x86emu_segment segment = {.selector = (uint16_t)selector, .attributes = X86EMU_SEGMENT_UNUSABLE};
    struct descriptor d;
    bool conforming;

    if (!is_null(selector)) {
        if (!x86emu_descriptor_read(x, selector, X86EMU_VECTOR_TS, 0, &d))
            return;
        conforming = is_code(&d) && descriptor_type(&d) & TYPE_CONFORMING;
        if (!is_code_or_data(&d) || (is_code(&d) && !(descriptor_type(&d) & TYPE_READABLE)) ||
            (!conforming && (rpl_of(selector) > descriptor_dpl(&d) || cpl > descriptor_dpl(&d))))
            x86emu_raise_selector(x, X86EMU_VECTOR_TS, selector, 0);
        else if (!is_present(&d))
            x86emu_raise_selector(x, X86EMU_VECTOR_NP, selector, 0);
        x86emu_descriptor_access(x, &d);
        segment = x86emu_segment_of(&d);
    }
    x86emu_segment_stage(x, name, &segment);
}

static void load_vm86(struct exec *x, const struct task *task)
{
    struct x86emu_segment segment = {.limit = 0xffff, .attributes = 0xf3};

    for (unsigned i = 0; i < 6; i++) {
        segment.selector = task->selector[i];
        segment.base = (uint64_t)task->selector[i] << 4;
        x86emu_segment_stage(x, i, &segment);
    }
    x->rip = task->rip & 0xffff;
}

/* The stack that the new task begins with, for an error code. */
static void load_segments(struct exec *x, const struct task *task, struct far_stack *stack)
{
    unsigned cpl = rpl_of(task->selector[X86EMU_CS]);

    *stack = (struct far_stack){.pointer = task->gpr[X86EMU_RSP], .cpl = cpl};
    if (task->rflags & X86EMU_RFLAGS_VM) {
        load_vm86(x, task);
        return;
    }
    if (!x86emu_stack_segment(x, task->selector[X86EMU_SS], cpl, X86EMU_VECTOR_TS, 0, &stack->ss))
        return;
    x86emu_segment_stage(x, X86EMU_SS, &stack->ss);
    load_data(x, X86EMU_ES, task->selector[X86EMU_ES], cpl);
    load_data(x, X86EMU_DS, task->selector[X86EMU_DS], cpl);
    load_data(x, X86EMU_FS, task->selector[X86EMU_FS], cpl);
    load_data(x, X86EMU_GS, task->selector[X86EMU_GS], cpl);
    load_code(x, task);
}

/* --- the switch --------------------------------------------------------------------------------------------------- */

static void load_registers(struct exec *x, const struct task *task)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    unsigned size = task->layout->size;

    for (unsigned i = 0; i < 8; i++)
        x86emu_gpr_stage(x, i, 4, size == 4 ? task->gpr[i] : task->gpr[i] | 0xffff0000);
    x->rflags_mask = ~UINT64_C(0);
    x->rflags = task->rflags & (size == 4 ? 0x3f7fd5 : 0x7fd5);
    stage_register(x, X86EMU_STATE_CONTROL, &vcpu->cr0, vcpu->cr0 | X86EMU_CR0_TS);
    if (size == 4 && vcpu->cr0 & X86EMU_CR0_PG)
        x86emu_load_cr3(x, task->cr3);
    x86emu_stage(x, X86EMU_STATE_TABLES, &vcpu->tr, &task->tr, SEGMENT_BYTES);
    x->dr6 |= task->traps ? X86EMU_DR6_BT : 0;
}

/* Local breakpoints end with their task; the task of a #DB may use the debug registers (SDM Vol. 3, 17.2.4). */
static void load_debug(struct exec *x, const struct x86emu_exception *event)
{
    uint64_t dr7 = x->vcpu->dr[7] & ~(uint64_t)DR7_LOCAL;

    if (event != NULL && event->vector == X86EMU_VECTOR_DB)
        dr7 &= ~X86EMU_DR7_GD;
    stage_register(x, X86EMU_STATE_DEBUG, &x->vcpu->dr[7], dr7);
}

void x86emu_task_switch(struct exec *x, unsigned selector, enum task_cause cause, uint64_t return_rip,
                        uint64_t return_flags, const struct x86emu_exception *event, unsigned ext)
{
    struct task task = {.cr3 = 0};
    struct far_stack stack;
    uint8_t link[2];

    if (!need(x, X86EMU_STATE_TABLES | X86EMU_STATE_SS | X86EMU_STATE_DATA | X86EMU_STATE_FSGS | X86EMU_STATE_GPR |
                     X86EMU_STATE_DEBUG) ||
        !find_task(x, selector, cause, ext, &task) || !old_task_fits(x, ext))
        return;
    read_task(x, &task);
    if (cause != TASK_CALL)
        clear_busy(x);
    if (cause == TASK_IRET)
        return_flags &= ~(uint64_t)X86EMU_RFLAGS_NT;
    else
        x86emu_descriptor_busy(x, &task.d, true);
    save_task(x, return_rip, return_flags);
    if (cause == TASK_CALL) {
        store_le(link, x->vcpu->tr.selector, 2);
        x86emu_system_write(x, task.tr.base, 2, link);
        task.rflags |= X86EMU_RFLAGS_NT;
    }
    load_registers(x, &task);
    load_debug(x, event);
    load_ldt(x, &task);
    load_segments(x, &task, &stack);
    x->ldtr = &x->vcpu->ldtr;
    if (event != NULL && event->has_error_code) {
        x86emu_far_push(x, &stack, event->error_code, task.layout->size);
        x86emu_far_stack_stage(x, &stack);
    }
}
