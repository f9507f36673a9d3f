/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions on selectors: MOV, PUSH, POP of segment registers, LDS and its kin, LAR, LSL, VERR, VERW, ARPL. */
#include "descriptor.h"
#include "flags.h"
#include "generated/functions.h"
#include "stack.h"

static uint64_t selector_of(struct exec *x, unsigned name)
{
    uint32_t group = name == X86EMU_CS   ? X86EMU_STATE_CS
                     : name == X86EMU_SS ? X86EMU_STATE_SS
                     : name < X86EMU_FS  ? X86EMU_STATE_DATA
                                         : X86EMU_STATE_FSGS;

    return need(x, group) ? x->vcpu->segment[name].selector : 0;
}

/* MOV SS and POP SS hold interrupts and traps back for one instruction (SDM Vol. 3, 6.8.3). */
static void load_for_program(struct exec *x, unsigned name, unsigned selector)
{
    x86emu_segment_load(x, name, selector);
    if (name == X86EMU_SS)
        x->shadow = X86EMU_BLOCKED_BY_MOV_SS;
}

void x86emu_exec_mov_from_segment(struct exec *x)
{
    write_operand(x, 0, selector_of(x, operand(x, 1)->reg.number));
}

void x86emu_exec_mov_to_segment(struct exec *x)
{
    unsigned name = operand(x, 0)->reg.number;

    if (name == X86EMU_CS) {
        x86emu_raise(x, X86EMU_VECTOR_UD);
        return;
    }
    load_for_program(x, name, (unsigned)read_operand(x, 1) & 0xffff);
}

/* With a 32-bit operand processors write the selector's two bytes alone; POP always reads no more than them. */
void x86emu_exec_push_segment(struct exec *x)
{
    int size = x->insn->operand_size;
    uint64_t selector = selector_of(x, operand(x, 0)->reg.number);

    x86emu_push_at(x, -size, selector, size == 4 ? 2 : (unsigned)size);
    x86emu_stack_move(x, -size);
}

void x86emu_exec_pop_segment(struct exec *x)
{
    unsigned size = x->insn->operand_size;
    uint64_t selector = x86emu_stack_read(x, X86EMU_RSP, 0, 2);

    load_for_program(x, operand(x, 0)->reg.number, selector & 0xffff);
    x86emu_stack_move(x, size);
}

bool x86emu_far_pointer(struct exec *x, unsigned n, unsigned *selector, uint64_t *offset)
{
    unsigned size = x->insn->operand_size;
    uint8_t bytes[10] = {0};
    struct logical address;

    if (!x86emu_operand_address(x, n, &address) || !x86emu_memory_read(x, address, size, USE_PLAIN, bytes))
        return false;
    address = beyond(x, address, size);
    if (!x86emu_memory_read(x, address, 2, USE_PLAIN, bytes + size))
        return false;
    *selector = (unsigned)load_le(bytes + size, 2);
    *offset = load_le(bytes, size);
    return true;
}

/* LDS, LES, LFS, LGS, LSS: offset and selector from memory. */
void x86emu_exec_load_far_pointer(struct exec *x)
{
    unsigned selector;
    uint64_t offset;

    if (!x86emu_far_pointer(x, 1, &selector, &offset))
        return;
    x86emu_segment_load(x, operand(x, 2)->reg.number, selector);
    write_operand(x, 0, offset);
}

/* --- looking at descriptors --------------------------------------------------------------------------------------- */

enum {
    LAR_TYPES = 1 << TYPE_TSS_16 | 1 << TYPE_LDT | 1 << TYPE_TSS_16_BUSY | 1 << TYPE_CALL_GATE_16 |
                1 << TYPE_TASK_GATE | 1 << TYPE_TSS_32 | 1 << TYPE_TSS_32_BUSY | 1 << TYPE_CALL_GATE_32,
    LSL_TYPES = 1 << TYPE_TSS_16 | 1 << TYPE_LDT | 1 << TYPE_TSS_16_BUSY | 1 << TYPE_TSS_32 | 1 << TYPE_TSS_32_BUSY,
    LONG_TYPES = 1 << TYPE_LDT | 1 << TYPE_TSS_32 | 1 << TYPE_TSS_32_BUSY | 1 << TYPE_CALL_GATE_32,
};

/* Whether a program at this CPL with this selector may know about the descriptor. */
static bool visible(const struct exec *x, const struct descriptor *d)
{
    bool conforming = is_code(d) && descriptor_type(d) & TYPE_CONFORMING;

    return conforming || (x->cpl <= descriptor_dpl(d) && rpl_of(d->selector) <= descriptor_dpl(d));
}

/*
 * Reads the descriptor that operand n selects; false when the selector is null or beyond its table, or when stopped.
 * Outside protected mode the instruction is #UD, before it reads anything.
 */
static bool look(struct exec *x, unsigned n, struct descriptor *d)
{
    unsigned selector;

    if (!is_protected(x)) {
        x86emu_raise(x, X86EMU_VECTOR_UD);
        return false;
    }
    selector = (unsigned)read_operand(x, n) & 0xffff;
    *d = (struct descriptor){.selector = (uint16_t)selector};
    if (x->stopped || is_null(selector) || !x86emu_descriptor_find(x, selector, 8, &d->la))
        return false;
    d->low = x86emu_system_load(x, d->la, 8);
    return !x->stopped;
}

static bool answers(const struct exec *x, const struct descriptor *d, unsigned types)
{
    if (is_long_mode(x))
        types &= LONG_TYPES;
    return visible(x, d) && (is_code_or_data(d) || types >> descriptor_type(d) & 1);
}

static void stage_zf(struct exec *x, bool set)
{
    stage_flags(x, (x->rflags & STATUS_FLAGS & ~(uint64_t)X86EMU_RFLAGS_ZF) | (set ? X86EMU_RFLAGS_ZF : 0));
}

void x86emu_exec_lar(struct exec *x)
{
    struct descriptor d;
    bool found = look(x, 1, &d) && answers(x, &d, LAR_TYPES);

    if (found)
        write_operand(x, 0, d.low >> 32 & 0xffff00);
    stage_zf(x, found);
}

void x86emu_exec_lsl(struct exec *x)
{
    struct descriptor d;
    bool found = look(x, 1, &d) && answers(x, &d, LSL_TYPES);

    if (found)
        write_operand(x, 0, x86emu_segment_of(&d).limit);
    stage_zf(x, found);
}

void x86emu_exec_verr(struct exec *x)
{
    struct descriptor d;
    bool found = look(x, 0, &d) && is_code_or_data(&d) && visible(x, &d);

    stage_zf(x, found && (!is_code(&d) || descriptor_type(&d) & TYPE_READABLE));
}

void x86emu_exec_verw(struct exec *x)
{
    struct descriptor d;
    bool found = look(x, 0, &d) && is_code_or_data(&d) && visible(x, &d);

    stage_zf(x, found && !is_code(&d) && descriptor_type(&d) & TYPE_WRITABLE);
}

/* The destination's memory, which is read without need to write it. */
static unsigned arpl_memory(struct exec *x, struct logical *address)
{
    uint8_t bytes[2] = {0};

    if (x86emu_operand_address(x, 0, address))
        x86emu_memory_read(x, *address, 2, USE_PLAIN, bytes);
    return (unsigned)load_le(bytes, 2);
}

/* The destination is written only when its RPL is raised. */
void x86emu_exec_arpl(struct exec *x)
{
    bool memory = operand(x, 0)->kind == X86EMU_OPERAND_MEM, raise;
    struct logical address = {0};
    unsigned selector, rpl = rpl_of((unsigned)read_operand(x, 1));
    uint8_t bytes[2];

    if (!is_protected(x)) {
        x86emu_raise(x, X86EMU_VECTOR_UD);
        return;
    }
    selector = memory ? arpl_memory(x, &address) : (unsigned)read_operand(x, 0);
    raise = rpl_of(selector) < rpl;
    store_le(bytes, (selector & 0xfffc) | rpl, 2);
    if (raise && memory)
        x86emu_memory_write(x, address, 2, bytes);
    else if (raise)
        write_operand(x, 0, load_le(bytes, 2));
    stage_zf(x, raise);
}
