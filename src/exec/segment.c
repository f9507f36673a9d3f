/* SPDX-License-Identifier: BSD-2-Clause */
/* From logical to linear addresses: segment types and limits, canonical form (SDM Vol. 3, 5.3 and 5.4; Vol. 1, 3.3.7). */
#include "memory.h"

static const uint32_t segment_group[6] = {
    [X86EMU_ES] = X86EMU_STATE_DATA, [X86EMU_CS] = X86EMU_STATE_CS,   [X86EMU_SS] = X86EMU_STATE_SS,
    [X86EMU_DS] = X86EMU_STATE_DATA, [X86EMU_FS] = X86EMU_STATE_FSGS, [X86EMU_GS] = X86EMU_STATE_FSGS,
};

static void raise_segment_fault(struct exec *x, unsigned segment)
{
    x86emu_raise_code(x, segment == X86EMU_SS ? X86EMU_VECTOR_SS : X86EMU_VECTOR_GP, 0);
}

uint64_t x86emu_segment_base(struct exec *x, unsigned segment)
{
    if (x->mode == X86EMU_MODE_64 && segment != X86EMU_FS && segment != X86EMU_GS)
        return 0;
    return need(x, segment_group[segment]) ? x->vcpu->segment[segment].base : 0;
}

static bool canonical(struct exec *x, unsigned segment, uint64_t first, unsigned size, uint64_t *la)
{
    if (!x86emu_is_canonical(first, x->vcpu->cr4) || !x86emu_is_canonical(first + size - 1, x->vcpu->cr4)) {
        raise_segment_fault(x, segment);
        return false;
    }
    *la = first;
    return true;
}

static bool linear_64(struct exec *x, struct logical address, unsigned size, uint64_t *la)
{
    uint64_t first = address.offset + x86emu_segment_base(x, address.segment);

    return !x->stopped && canonical(x, address.segment, first, size, la);
}

/* Whether the type of a protected-mode segment allows the access (SDM Vol. 3, table 3-1). */
static bool type_allows(const struct x86emu_segment *segment, unsigned access)
{
    bool code = segment->attributes & 8, readable_or_writable = segment->attributes & 2;

    if (segment->attributes & X86EMU_SEGMENT_UNUSABLE || !(segment->attributes & X86EMU_SEGMENT_P))
        return false;
    if (access & X86EMU_ACCESS_WRITE)
        return !code && readable_or_writable;
    return !code || readable_or_writable;
}

/*
 * Whether size bytes at offset lie within the limit, expand-down segments included (SDM Vol. 3, 5.3). With a limit of 4
 * GiB nothing is beyond it, and what passes its end goes on at 0: the manual allows that, and processors do it.
 */
bool x86emu_limit_allows(const struct x86emu_segment *segment, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;
    bool expand_down = (segment->attributes & (X86EMU_SEGMENT_S | 0xc)) == (X86EMU_SEGMENT_S | 4);

    if (!expand_down)
        return last <= segment->limit || segment->limit == UINT32_MAX;
    return offset > segment->limit && last <= (segment->attributes & X86EMU_SEGMENT_DB ? 0xffffffff : 0xffff);
}

bool x86emu_range_allowed(const struct exec *x, struct logical address, unsigned size)
{
    if (address.offset + size - 1 > size_mask(x->insn->address_size))
        return false;
    return x->mode == X86EMU_MODE_64 || x86emu_limit_allows(&x->vcpu->segment[address.segment], address.offset, size);
}

bool x86emu_linear(struct exec *x, struct logical address, unsigned size, unsigned access, uint64_t *la)
{
    const struct x86emu_segment *segment;

    if (x->stopped)
        return false;
    if (address.segment == LINEAR) {
        *la = x->vcpu->efer & X86EMU_EFER_LMA ? address.offset : address.offset & 0xffffffff;
        return true;
    }
    if (address.segment == FLAT)
        return canonical(x, X86EMU_SS, address.offset, size, la);
    if (x->mode == X86EMU_MODE_64)
        return linear_64(x, address, size, la);
    if (!need(x, segment_group[address.segment]))
        return false;
    segment = &x->vcpu->segment[address.segment];
    if ((is_protected(x) && !type_allows(segment, access)) || !x86emu_limit_allows(segment, address.offset, size)) {
        raise_segment_fault(x, address.segment);
        return false;
    }
    *la = (segment->base + address.offset) & 0xffffffff;
    return true;
}
