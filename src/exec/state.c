/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers: loading groups of them when they are needed, staging what an instruction writes, committing it. */
#include "cache.h"
#include "commit.h"

bool x86emu_need_slow(struct exec *x, uint32_t groups)
{
    uint32_t missing = groups & ~x->vcpu->loaded;

    if (x->stopped)
        return false;
    if (missing == 0)
        return true;
    x86emu_ask(x, X86EMU_REQUEST_STATE, 0, 0, 0)->state = missing;
    return x86emu_present(x);
}

static uint64_t staged_gpr(struct exec *x, unsigned number)
{
    return x->gpr_staged >> number & 1 ? x->gpr[number] : gpr(x, number);
}

/* The group is loaded even for a whole register: a group is written back as a whole. */
static void stage(struct exec *x, unsigned number, uint64_t value)
{
    if (!need(x, X86EMU_STATE_GPR))
        return;
    x->gpr[number] = value;
    x->gpr_staged |= UINT32_C(1) << number;
}

void x86emu_gpr_stage(struct exec *x, unsigned number, unsigned size, uint64_t value)
{
    number &= 15;
    if (size >= 4)
        stage(x, number, value & size_mask(size));
    else
        stage(x, number, (staged_gpr(x, number) & ~size_mask(size)) | (value & size_mask(size)));
}

void x86emu_gpr_stage_high(struct exec *x, unsigned number, uint64_t value)
{
    number &= 3;
    stage(x, number, (staged_gpr(x, number) & ~UINT64_C(0xff00)) | (value & 0xff) << 8);
}

static bool new_field(struct exec *x, unsigned offset, unsigned size)
{
    if (x->field_count == MOST_FIELDS || x->field_bytes_used + size > MOST_FIELD_BYTES) {
        x86emu_not_emulated(x, X86EMU_REASON_LIMIT);
        return false;
    }
    x->fields[x->field_count++] = (struct staged_field){(uint16_t)offset, (uint8_t)size, x->field_bytes_used};
    x->field_bytes_used = (uint8_t)(x->field_bytes_used + size);
    return true;
}

void x86emu_stage(struct exec *x, uint32_t group, const void *field, const void *value, unsigned size)
{
    uint16_t offset = (uint16_t)((uintptr_t)field - (uintptr_t)x->vcpu);
    struct staged_field *staged = x->fields;

    if (!need(x, group))
        return;
    while (staged < &x->fields[x->field_count] && (staged->offset != offset || staged->size != size))
        staged++;
    if (staged == &x->fields[x->field_count] && !new_field(x, offset, size))
        return;
    copy_bytes(&x->field_bytes[staged->at], value, size);
    x->staged |= group;
}

/* RFLAGS with exactly the flags changed that the row names, and RF cleared (SDM Vol. 3, 17.3.1.1). */
static uint64_t committed_rflags(const struct exec *x)
{
    const struct x86emu_form_flags *row = x->flags_of_row != NULL ? x->flags_of_row : x86emu_form_flags(x->insn->form);
    uint64_t taken = row->written | row->undefined;
    uint64_t rflags = (x->vcpu->rflags & ~taken) | (x->rflags & taken);

    rflags = (rflags | row->set) & ~(uint64_t)(row->cleared | X86EMU_RFLAGS_RF);
    return (rflags & ~x->rflags_mask) | (x->rflags & x->rflags_mask) | X86EMU_RFLAGS_FIXED;
}

/* What few instructions have. */
static NOINLINE void commit_staged(struct exec *x)
{
    struct x86emu_vcpu *vcpu = x->vcpu;

    for (unsigned i = 0; i < x->field_count; i++)
        copy_bytes((uint8_t *)vcpu + x->fields[i].offset, &x->field_bytes[x->fields[i].at], x->fields[i].size);
    for (unsigned i = 0; i < x->vector_count; i++)
        vcpu->zmm[x->emu->transaction.vectors[i].number] = x->emu->transaction.vectors[i].value;
    if (x->finish != NULL)
        x->finish(x);
}

static void commit_interruptibility(struct exec *x)
{
    uint32_t *state = &x->vcpu->interruptibility;

    if ((*state | x->shadow) == 0)
        return;
    *state &= ~(uint32_t)(X86EMU_BLOCKED_BY_STI | X86EMU_BLOCKED_BY_MOV_SS | x->unblocked);
    *state |= x->shadow;
}

static NOINLINE void invalidate_cache(struct x86emu_cache *cache, const struct x86emu_outcome *outcome)
{
    if (outcome->invalidation == X86EMU_INVALIDATE_PAGE)
        x86emu_cache_flush_page(cache, outcome->la);
    else
        x86emu_cache_flush(cache);
}

/*
 * After MOV SS and POP SS single steps are suppressed, and breakpoints wait for the end of the next instruction (SDM
 * Vol. 3, 6.8.3). When that ends in the kernel, or in an exception, processors forget them (measured: INT 80H, INT3, UD2,
 * #PF, SYSCALL).
 */
static uint32_t take_debug_traps(struct exec *x, uint64_t new_rflags)
{
    struct x86emu_vcpu *vcpu = x->vcpu;
    uint32_t due = x->dr6;

    if (x->shadow & X86EMU_BLOCKED_BY_MOV_SS) {
        vcpu->pending_debug |= due;
        return 0;
    }
    if ((x->late_step ? new_rflags : vcpu->rflags) & X86EMU_RFLAGS_TF && !x->no_step)
        due |= X86EMU_DR6_BS;
    if (vcpu->pending_debug == 0 || (x->no_step && x->repeats))
        return due;
    if (!x->no_step && !x->late_step)
        due |= vcpu->pending_debug;
    vcpu->pending_debug = 0;
    return due;
}

void x86emu_commit(struct exec *x)
{
    struct x86emu_vcpu *vcpu = x->vcpu;
    struct x86emu_outcome *outcome = &x->emu->outcome;
    uint32_t changed = X86EMU_STATE_RIP | x->staged;
    uint64_t rflags;

    if (x->gpr_staged != 0) {
        changed |= X86EMU_STATE_GPR;
        for (uint32_t left = x->gpr_staged; left != 0; left &= left - 1)
            vcpu->gpr[__builtin_ctz(left)] = x->gpr[__builtin_ctz(left)];
    }
    if (x->staged != 0)
        commit_staged(x);
    rflags = committed_rflags(x);
    outcome->dr6 = take_debug_traps(x, rflags);
    outcome->trap = outcome->dr6 != 0;
    outcome->repeats = x->repeats;
    vcpu->rflags = rflags | (x->repeats ? X86EMU_RFLAGS_RF : 0); /* what goes on meets no breakpoint */
    if (!x->repeats)
        vcpu->rip = x->rip;
    commit_interruptibility(x);
    outcome->changed = changed;
    vcpu->changed |= changed;
    if (outcome->invalidation != X86EMU_INVALIDATE_NONE && x->cache != NULL)
        invalidate_cache(x->cache, outcome);
}
