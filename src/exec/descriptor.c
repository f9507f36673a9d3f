/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptor tables, and loading segment registers from them (SDM Vol. 3, 3.4 and 5.5 to 5.7). */
#include "descriptor.h"

/* --- the processor's own accesses --------------------------------------------------------------------------------- */

bool x86emu_system_read(struct exec *x, uint64_t la, unsigned size, void *data)
{
    return x86emu_memory_read(x, (struct logical){LINEAR, la}, size, USE_PLAIN, data);
}

bool x86emu_system_write(struct exec *x, uint64_t la, unsigned size, const void *data)
{
    return x86emu_memory_write(x, (struct logical){LINEAR, la}, size, data);
}

uint64_t x86emu_system_load(struct exec *x, uint64_t la, unsigned size)
{
    uint8_t bytes[8] = {0};

    return x86emu_system_read(x, la, size, bytes) ? load_le(bytes, 8) : 0;
}

/* Sets the bits of mask in one byte to value, as a locked read-modify-write. */
static void update_byte(struct exec *x, uint64_t la, unsigned mask, unsigned value)
{
    const struct logical address = {LINEAR, la};
    bool locked = x->locked;
    uint8_t byte, changed;

    if (!x86emu_memory_read(x, address, 1, USE_RMW, &byte))
        return;
    changed = (uint8_t)((byte & ~mask) | value);
    x->locked = true;
    x86emu_memory_modify(x, address, 1, &changed);
    x->locked = locked;
    x->rmw_read = NO_READ;
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

void x86emu_raise_selector(struct exec *x, enum x86emu_vector vector, unsigned selector, unsigned ext)
{
    x86emu_raise_code(x, vector, (selector & 0xfffc) | ext);
}

bool x86emu_descriptor_find(struct exec *x, unsigned selector, unsigned size, uint64_t *la)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    uint64_t base = 0;
    uint32_t limit = 0, last = (selector & 0xfff8u) + size - 1;

    if (!need(x, X86EMU_STATE_TABLES))
        return false;
    if (!(selector & 4)) {
        base = vcpu->gdtr.base;
        limit = vcpu->gdtr.limit;
    } else if (!(x->ldtr->attributes & X86EMU_SEGMENT_UNUSABLE) && !is_null(x->ldtr->selector)) {
        base = x->ldtr->base;
        limit = x->ldtr->limit;
    }
    *la = base + (selector & 0xfff8u);
    return last <= limit;
}

bool x86emu_descriptor_read(struct exec *x, unsigned selector, enum x86emu_vector vector, unsigned ext,
                            struct descriptor *d)
{
    *d = (struct descriptor){.selector = (uint16_t)selector};
    if (!x86emu_descriptor_find(x, selector, 8, &d->la)) {
        x86emu_raise_selector(x, vector, selector, ext);
        return false;
    }
    d->low = x86emu_system_load(x, d->la, 8);
    return !x->stopped;
}

bool x86emu_descriptor_read_high(struct exec *x, enum x86emu_vector vector, unsigned ext, struct descriptor *d)
{
    uint64_t la;

    if (!x86emu_descriptor_find(x, d->selector, 16, &la)) {
        x86emu_raise_selector(x, vector, d->selector, ext);
        return false;
    }
    d->high = x86emu_system_load(x, la + 8, 8);
    if (!x->stopped && (d->high >> 40 & 0x1f) != 0)
        x86emu_raise_selector(x, vector, d->selector, ext);
    return !x->stopped;
}

void x86emu_descriptor_access(struct exec *x, const struct descriptor *d)
{
    if (!(descriptor_type(d) & TYPE_ACCESSED))
        update_byte(x, d->la + 5, TYPE_ACCESSED, TYPE_ACCESSED);
}

void x86emu_descriptor_busy(struct exec *x, const struct descriptor *d, bool busy)
{
    update_byte(x, d->la + 5, 2, busy ? 2 : 0);
}

/* --- segment registers -------------------------------------------------------------------------------------------- */

struct x86emu_segment x86emu_segment_of(const struct descriptor *d)
{
    uint32_t limit = (uint32_t)((d->low & 0xffff) | (d->low >> 32 & 0xf0000));
    struct x86emu_segment segment = {.selector = d->selector};

    segment.base = (d->low >> 16 & 0xffffff) | (d->low >> 32 & 0xff000000) | d->high << 32;
    segment.attributes = (uint32_t)((d->low >> 40 & 0xff) | (d->low >> 40 & 0xf000));
    segment.limit = segment.attributes & X86EMU_SEGMENT_G ? limit << 12 | 0xfff : limit;
    if (is_code_or_data(d))
        segment.attributes |= TYPE_ACCESSED;
    return segment;
}

void x86emu_segment_stage(struct exec *x, unsigned name, const struct x86emu_segment *segment)
{
    static const uint32_t group[6] = {
        [X86EMU_ES] = X86EMU_STATE_DATA, [X86EMU_CS] = X86EMU_STATE_CS,   [X86EMU_SS] = X86EMU_STATE_SS,
        [X86EMU_DS] = X86EMU_STATE_DATA, [X86EMU_FS] = X86EMU_STATE_FSGS, [X86EMU_GS] = X86EMU_STATE_FSGS,
    };

    x86emu_stage(x, group[name], &x->vcpu->segment[name], segment, SEGMENT_BYTES);
}

/* In real mode limit and the other attributes stay ("unreal" mode); in virtual-8086 mode they are fixed. */
struct x86emu_segment x86emu_segment_real(const struct exec *x, unsigned name, unsigned selector)
{
    struct x86emu_segment segment = x->vcpu->segment[name];

    segment.selector = (uint16_t)selector;
    segment.base = (uint64_t)selector << 4;
    segment.attributes = (segment.attributes & ~0xffu & ~(uint32_t)X86EMU_SEGMENT_UNUSABLE) | 0x93;
    if (x->vcpu->rflags & X86EMU_RFLAGS_VM) {
        segment.limit = 0xffff;
        segment.attributes = 0xf3;
    }
    return segment;
}

bool x86emu_stack_segment(struct exec *x, unsigned selector, unsigned cpl, enum x86emu_vector vector, unsigned ext,
                          struct x86emu_segment *segment)
{
    struct descriptor d;

    if (!x86emu_descriptor_read(x, selector, vector, ext, &d))
        return false;
    if (rpl_of(selector) != cpl || !is_code_or_data(&d) || is_code(&d) || !(descriptor_type(&d) & TYPE_WRITABLE) ||
        descriptor_dpl(&d) != cpl)
        x86emu_raise_selector(x, vector, selector, ext);
    else if (!is_present(&d))
        x86emu_raise_selector(x, X86EMU_VECTOR_SS, selector, ext);
    x86emu_descriptor_access(x, &d);
    *segment = x86emu_segment_of(&d);
    return !x->stopped;
}

/* SS by MOV, POP, LSS: a null selector only in 64-bit mode below CPL 3. */
static void load_stack(struct exec *x, unsigned selector)
{
    struct x86emu_segment segment = {.selector = (uint16_t)selector};

    if (!is_null(selector)) {
        if (!x86emu_stack_segment(x, selector, x->cpl, X86EMU_VECTOR_GP, 0, &segment))
            return;
    } else if (x->mode != X86EMU_MODE_64 || x->cpl == 3 || rpl_of(selector) != x->cpl) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    } else {
        segment.attributes = X86EMU_SEGMENT_UNUSABLE | (uint32_t)x->cpl << 5;
    }
    x86emu_segment_stage(x, X86EMU_SS, &segment);
}

/* A null selector leaves a segment unusable. Intel's processors clear its base; AMD's keep it (APM Vol. 2, 4.5.3). */
static struct x86emu_segment null_segment(const struct exec *x, unsigned name, unsigned selector)
{
    struct x86emu_segment segment = {.selector = (uint16_t)selector, .attributes = X86EMU_SEGMENT_UNUSABLE};

    if (is_amd(x)) {
        segment.base = x->vcpu->segment[name].base;
        segment.limit = x->vcpu->segment[name].limit;
    }
    return segment;
}

bool x86emu_segment_data(struct exec *x, unsigned name, unsigned selector, struct x86emu_segment *segment)
{
    struct descriptor d;
    bool conforming;

    if (!need(x, X86EMU_STATE_FSGS | X86EMU_STATE_DATA))
        return false;
    if (is_null(selector)) {
        *segment = null_segment(x, name, selector);
        return true;
    }
    if (!x86emu_descriptor_read(x, selector, X86EMU_VECTOR_GP, 0, &d))
        return false;
    conforming = is_code(&d) && descriptor_type(&d) & TYPE_CONFORMING;
    if (!is_code_or_data(&d) || (is_code(&d) && !(descriptor_type(&d) & TYPE_READABLE)) ||
        (!conforming && (rpl_of(selector) > descriptor_dpl(&d) || x->cpl > descriptor_dpl(&d))))
        x86emu_raise_selector(x, X86EMU_VECTOR_GP, selector, 0);
    else if (!is_present(&d))
        x86emu_raise_selector(x, X86EMU_VECTOR_NP, selector, 0);
    x86emu_descriptor_access(x, &d);
    *segment = x86emu_segment_of(&d);
    return !x->stopped;
}

void x86emu_segment_load(struct exec *x, unsigned name, unsigned selector)
{
    struct x86emu_segment segment;

    if (x->stopped)
        return;
    if (!is_protected(x)) {
        if (!need(x, X86EMU_STATE_SS | X86EMU_STATE_DATA | X86EMU_STATE_FSGS))
            return;
        segment = x86emu_segment_real(x, name, selector);
        x86emu_segment_stage(x, name, &segment);
    } else if (name == X86EMU_SS) {
        load_stack(x, selector);
    } else if (x86emu_segment_data(x, name, selector, &segment)) {
        x86emu_segment_stage(x, name, &segment);
    }
}
