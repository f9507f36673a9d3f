/* SPDX-License-Identifier: BSD-2-Clause */
/* What far transfers share: code segments by privilege, stacks of other levels (SDM Vol. 3, 5.8). */
#include "far.h"

#include "stack.h"

/* --- stacks ------------------------------------------------------------------------------------------------------- */

static unsigned stack_width(const struct far_stack *stack)
{
    if (stack->is_64)
        return 8;
    return stack->ss.attributes & X86EMU_SEGMENT_DB ? 4 : 2;
}

void x86emu_far_stack_here(struct exec *x, struct far_stack *stack)
{
    *stack = (struct far_stack){.cpl = x->cpl, .is_64 = x->mode == X86EMU_MODE_64, .current = true};
    stack->pointer = gpr(x, X86EMU_RSP);
    if (need(x, X86EMU_STATE_SS))
        stack->ss = x->vcpu->segment[X86EMU_SS];
}

/* Whether size bytes at offset may be pushed on a stack that is not loaded yet. */
static bool fits(struct exec *x, const struct far_stack *stack, uint64_t offset, unsigned size, uint64_t *la)
{
    const struct x86emu_segment *ss = &stack->ss;
    bool allowed;

    if (stack->is_64) {
        *la = offset;
        allowed = x86emu_is_canonical(offset, x->vcpu->cr4) && x86emu_is_canonical(offset + size - 1, x->vcpu->cr4);
    } else {
        *la = (ss->base + offset) & 0xffffffff;
        allowed = x86emu_limit_allows(ss, offset, size);
    }
    if (!allowed)
        x86emu_raise_selector(x, X86EMU_VECTOR_SS, stack->is_64 ? 0 : ss->selector, 0);
    return allowed && !x->stopped;
}

void x86emu_far_push(struct exec *x, struct far_stack *stack, uint64_t value, unsigned size)
{
    uint64_t offset, mask = size_mask(stack_width(stack)), la;
    uint8_t bytes[8];

    store_le(bytes, value, 8);
    stack->pointer = (stack->pointer & ~mask) | ((stack->pointer - size) & mask);
    offset = stack->pointer & mask;
    if (stack->current)
        x86emu_memory_write(x, (struct logical){stack->is_64 ? FLAT : X86EMU_SS, offset}, size, bytes);
    else if (fits(x, stack, offset, size, &la))
        x86emu_memory_write(x, (struct logical){LINEAR, la}, size, bytes);
}

uint64_t x86emu_far_pop(struct exec *x, struct far_stack *stack, unsigned size)
{
    uint64_t mask = size_mask(stack_width(stack)), offset = stack->pointer & mask;
    uint8_t bytes[8] = {0};

    stack->pointer = (stack->pointer & ~mask) | ((stack->pointer + size) & mask);
    x86emu_memory_read(x, (struct logical){X86EMU_SS, offset}, size, USE_PLAIN, bytes);
    return load_le(bytes, 8);
}

unsigned x86emu_far_pop_selector(struct exec *x, struct far_stack *stack, unsigned size)
{
    uint64_t pointer = stack->pointer, mask = size_mask(stack_width(stack));
    unsigned selector = (unsigned)x86emu_far_pop(x, stack, 2);

    stack->pointer = (pointer & ~mask) | ((pointer + size) & mask);
    return selector;
}

void x86emu_far_pop_pointer(struct exec *x, struct far_stack *stack, unsigned size, unsigned *selector,
                            uint64_t *offset)
{
    struct far_stack behind = *stack;
    uint64_t mask = size_mask(stack_width(stack));

    behind.pointer = (behind.pointer & ~mask) | ((behind.pointer + size) & mask);
    *selector = x86emu_far_pop_selector(x, &behind, size);
    *offset = x86emu_far_pop(x, stack, size);
    stack->pointer = behind.pointer;
}

void x86emu_far_stack_stage(struct exec *x, const struct far_stack *stack)
{
    uint64_t mask = size_mask(stack_width(stack)), kept = gpr(x, X86EMU_RSP) & ~mask;

    if (!stack->is_64)
        kept &= 0xffffffff; /* also when coming from 64-bit code */
    x86emu_gpr_stage(x, X86EMU_RSP, 8, kept | (stack->pointer & mask));
    if (!stack->current)
        x86emu_segment_stage(x, X86EMU_SS, &stack->ss);
}

bool x86emu_outer_segment(struct exec *x, unsigned selector, const struct code_target *target, struct far_stack *outer)
{
    bool is_64 = x86emu_target_is_64(x, &target->cs);

    outer->is_64 = is_64;
    if (!is_null(selector))
        return x86emu_stack_segment(x, selector, target->cpl, X86EMU_VECTOR_GP, 0, &outer->ss);
    if (!is_64 || target->cpl == 3 || rpl_of(selector) != target->cpl) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return false;
    }
    outer->ss = (struct x86emu_segment){.selector = (uint16_t)selector,
                                        .attributes = X86EMU_SEGMENT_UNUSABLE | target->cpl << 5};
    return true;
}

/* The TSS's stack pointer of a level, in a TSS of either size. */
static bool legacy_inner_stack(struct exec *x, unsigned cpl, unsigned ext, struct far_stack *stack)
{
    const struct x86emu_segment *tr = &x->vcpu->tr;
    bool is_32 = tr->attributes & 8;
    unsigned size = is_32 ? 4 : 2, offset = size + 2 * size * cpl, selector;

    if (offset + size + 1 > tr->limit) {
        x86emu_raise_selector(x, X86EMU_VECTOR_TS, tr->selector, ext);
        return false;
    }
    stack->pointer = x86emu_system_load(x, tr->base + offset, size);
    selector = (unsigned)x86emu_system_load(x, tr->base + offset + size, 2);
    if (!x->stopped && is_null(selector))
        x86emu_raise_selector(x, X86EMU_VECTOR_TS, selector, ext);
    return !x->stopped && x86emu_stack_segment(x, selector, cpl, X86EMU_VECTOR_TS, ext, &stack->ss);
}

static bool long_inner_stack(struct exec *x, unsigned cpl, unsigned ext, struct far_stack *stack)
{
    const struct x86emu_segment *tr = &x->vcpu->tr;
    unsigned offset = 4 + 8 * cpl;

    if (offset + 7 > tr->limit) {
        x86emu_raise_selector(x, X86EMU_VECTOR_TS, tr->selector, ext);
        return false;
    }
    stack->is_64 = true;
    stack->pointer = x86emu_system_load(x, tr->base + offset, 8);
    stack->ss = (struct x86emu_segment){.selector = (uint16_t)cpl, .attributes = X86EMU_SEGMENT_UNUSABLE | cpl << 5};
    return !x->stopped;
}

bool x86emu_inner_stack(struct exec *x, unsigned cpl, unsigned ext, struct far_stack *stack)
{
    *stack = (struct far_stack){.cpl = cpl};
    if (!need(x, X86EMU_STATE_TABLES))
        return false;
    return is_long_mode(x) ? long_inner_stack(x, cpl, ext, stack) : legacy_inner_stack(x, cpl, ext, stack);
}

/* --- code segments ------------------------------------------------------------------------------------------------ */

bool x86emu_target_is_64(const struct exec *x, const struct x86emu_segment *cs)
{
    return is_long_mode(x) && cs->attributes & X86EMU_SEGMENT_L;
}

void x86emu_far_go(struct exec *x, const struct code_target *target, unsigned ext)
{
    bool is_64 = x86emu_target_is_64(x, &target->cs);
    uint64_t rip = is_64 ? target->rip : target->rip & 0xffffffff;

    if (is_64 ? !x86emu_is_canonical(rip, x->vcpu->cr4) : rip > target->cs.limit)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, ext);
    x86emu_segment_stage(x, X86EMU_CS, &target->cs);
    x->rip = rip;
}

/* The two size bits together mean nothing in long mode. */
static bool size_is_reserved(const struct exec *x, const struct descriptor *d)
{
    return is_long_mode(x) && d->low >> 53 & 1 && d->low >> 54 & 1;
}

static void make_target(struct exec *x, const struct descriptor *d, unsigned cpl, struct code_target *target)
{
    x86emu_descriptor_access(x, d);
    target->cs = x86emu_segment_of(d);
    target->cs.selector = (uint16_t)((d->selector & 0xfffc) | cpl);
    target->cpl = cpl;
}

static bool absent(struct exec *x, const struct descriptor *d, unsigned ext)
{
    if (!is_present(d))
        x86emu_raise_selector(x, X86EMU_VECTOR_NP, d->selector, ext);
    return x->stopped;
}

/* The descriptor is that of code already. */
static bool direct_from(struct exec *x, const struct descriptor *d, struct code_target *target)
{
    bool conforming = descriptor_type(d) & TYPE_CONFORMING;
    bool allowed =
        conforming ? descriptor_dpl(d) <= x->cpl : rpl_of(d->selector) <= x->cpl && descriptor_dpl(d) == x->cpl;

    if (!allowed || size_is_reserved(x, d))
        x86emu_raise_selector(x, X86EMU_VECTOR_GP, d->selector, 0);
    if (x->stopped || absent(x, d, 0))
        return false;
    make_target(x, d, x->cpl, target);
    return !x->stopped;
}

bool x86emu_code_direct(struct exec *x, unsigned selector, struct code_target *target)
{
    struct descriptor d;

    if (is_null(selector)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return false;
    }
    if (!x86emu_descriptor_read(x, selector, X86EMU_VECTOR_GP, 0, &d))
        return false;
    if (!is_code(&d)) {
        x86emu_raise_selector(x, X86EMU_VECTOR_GP, selector, 0);
        return false;
    }
    return direct_from(x, &d, target);
}

bool x86emu_code_return(struct exec *x, unsigned selector, struct code_target *target)
{
    unsigned cpl = rpl_of(selector);
    struct descriptor d;
    bool allowed;

    if (is_null(selector)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return false;
    }
    if (!x86emu_descriptor_read(x, selector, X86EMU_VECTOR_GP, 0, &d))
        return false;
    allowed = is_code(&d) && cpl >= x->cpl && !size_is_reserved(x, &d) &&
              (descriptor_type(&d) & TYPE_CONFORMING ? descriptor_dpl(&d) <= cpl : descriptor_dpl(&d) == cpl);
    if (!allowed)
        x86emu_raise_selector(x, X86EMU_VECTOR_GP, selector, 0);
    if (x->stopped || absent(x, &d, 0))
        return false;
    make_target(x, &d, cpl, target);
    return !x->stopped;
}

bool x86emu_code_of_gate(struct exec *x, unsigned selector, unsigned ext, struct descriptor *d,
                         struct code_target *target)
{
    bool wrong_size;

    if (is_null(selector)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, ext);
        return false;
    }
    if (!x86emu_descriptor_read(x, selector, X86EMU_VECTOR_GP, ext, d))
        return false;
    wrong_size = is_long_mode(x) && (d->low >> 53 & 3) != 1; /* L set, D clear */
    if (!is_code(d) || descriptor_dpl(d) > x->cpl || wrong_size)
        x86emu_raise_selector(x, X86EMU_VECTOR_GP, selector, ext);
    if (x->stopped || absent(x, d, ext))
        return false;
    make_target(x, d, descriptor_type(d) & TYPE_CONFORMING ? x->cpl : descriptor_dpl(d), target);
    return !x->stopped;
}

/* --- data segments ------------------------------------------------------------------------------------------------ */

void x86emu_drop_inner_segments(struct exec *x, unsigned cpl)
{
    static const uint8_t names[] = {X86EMU_ES, X86EMU_DS, X86EMU_FS, X86EMU_GS};

    if (!need(x, X86EMU_STATE_DATA | X86EMU_STATE_FSGS))
        return;
    for (unsigned i = 0; i < sizeof(names); i++) {
        const struct x86emu_segment *segment = &x->vcpu->segment[names[i]];
        bool conforming = (segment->attributes & 0xc) == 0xc, system = !(segment->attributes & X86EMU_SEGMENT_S);
        struct x86emu_segment null = *segment;

        if (segment->attributes & X86EMU_SEGMENT_UNUSABLE ||
            (!system && (conforming || (segment->attributes >> 5 & 3) >= cpl)))
            continue;
        null.selector = 0;
        null.attributes = X86EMU_SEGMENT_UNUSABLE;
        x86emu_segment_stage(x, names[i], &null);
    }
}
