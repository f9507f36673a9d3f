/* SPDX-License-Identifier: BSD-2-Clause */
/* Many instructions in a row, taken from the cache as long as nothing has to be looked at between them. */
#include "breakpoint.h"
#include "cache.h"
#include "commit.h"
#include "fetch.h"
#include "memory.h"
#include "step.h"

/* State without which nothing is taken from the cache. */
#define RUN_STATE (X86EMU_STATE_GPR | X86EMU_STATE_RIP | X86EMU_STATE_CS | X86EMU_STATE_CONTROL)

/* State that an instruction may write without the caller looking at it. */
#define RUN_WRITES (uint32_t)(X86EMU_STATE_X87 | X86EMU_STATE_VECTOR | X86EMU_STATE_OPMASK)

/* Whether the next instructions may come from the cache. */
static bool runs_quickly(const struct exec *x)
{
    const struct x86emu_transaction *t = &x->emu->transaction;
    const struct x86emu_vcpu *vcpu = x->vcpu;

    return x->cache != NULL && (t->hint.flags | t->hint.byte_count) == 0 && (vcpu->loaded & RUN_STATE) == RUN_STATE &&
           !(vcpu->rflags & X86EMU_RFLAGS_TF) && (vcpu->interruptibility | vcpu->pending_debug) == 0 &&
           !breakpoints_enabled(x);
}

/* The instruction at RIP, if the cache has it and it is allowed here. */
static struct x86emu_cached_insn *begin_cached(struct exec *x)
{
    const struct x86emu_transaction *t = &x->emu->transaction;
    struct x86emu_cached_insn *slot = x86emu_fetch_cached(x);

    if (slot == NULL || (x->cpl != 0 && x86emu_form_is_privileged(slot->insn.form)) ||
        (t->restricted && !x86emu_insn_allowed(&slot->insn, &t->config.features)))
        return NULL;
    cache_take(x, slot);
    x->rip = (x->vcpu->rip + slot->insn.length) & rip_mask(x);
    x->rflags = x->vcpu->rflags;
    x->locked = slot->insn.prefixes & X86EMU_PREFIX_LOCK;
    return slot;
}

/* Runs it. False: it has stopped, or lost an exchange. */
static bool run_cached(struct exec *x)
{
    struct x86emu_transaction *t = &x->emu->transaction;

    x86emu_dispatch(x, x->insn->form);
    if (x->stopped || x->restart || ((t->effect_count | t->page_count) != 0 && !x86emu_perform_effects(x)))
        return false;
    x86emu_commit(x);
    return true;
}

/* Whether the caller has to look at the instruction that has retired. */
static bool is_notable(const struct exec *x, uint64_t old_rflags)
{
    const struct x86emu_outcome *outcome = &x->emu->outcome;
    const struct x86emu_vcpu *vcpu = x->vcpu;

    return x->emu->transaction.outside || (x->staged & ~RUN_WRITES) != 0 || outcome->trap ||
           outcome->invalidation != X86EMU_INVALIDATE_NONE || vcpu->interruptibility != 0 ||
           vcpu->rflags & ~old_rflags & (X86EMU_RFLAGS_IF | X86EMU_RFLAGS_TF);
}

/* One instruction as x86emu_step() does it, in the transaction that has begun. */
static enum x86emu_status run_one(struct exec *x, uint64_t *retired, bool *notable)
{
    uint64_t old_rflags = x->vcpu->rflags;
    enum x86emu_status status = x86emu_run_to_end(x);

    *retired += status == X86EMU_RETIRED;
    *notable = is_notable(x, old_rflags);
    return status;
}

/* As when a transaction begins. */
static void begin_next(struct exec *x)
{
    struct x86emu_transaction *t = &x->emu->transaction;

    t->effects_done = 0;
    t->bytes_done = 0;
    forget_answers(t);
    clear_run(x);
}

/* True: an instruction is under way and goes on by the long way. False: the row is at an end, for whatever reason. */
static bool run_row(struct exec *x, uint64_t limit, uint64_t *retired, bool *notable)
{
    x86emu_find_mode(x);
    cache_check(x);
    while (*retired < limit && !*notable) {
        const struct x86emu_cached_insn *slot = begin_cached(x);
        uint64_t old_rflags = x->vcpu->rflags;

        if (slot == NULL)
            break;
        if (!run_cached(x)) {
            cache_publish(x, slot);
            return true;
        }
        ++*retired;
        *notable = is_notable(x, old_rflags);
        if (*notable || *retired == limit)
            cache_publish(x, slot);
        begin_next(x);
    }
    x86emu_begin_run(x, x->emu, x->vcpu);
    return false;
}

enum x86emu_status x86emu_steps(struct x86emu *emu, struct x86emu_vcpu *vcpu, uint64_t limit, uint64_t *retired)
{
    enum x86emu_status status = X86EMU_RETIRED;
    bool notable = false;
    struct exec x;

    *retired = 0;
    if (emu->transaction.magic != MAGIC)
        return X86EMU_BAD_CONFIG;
    if (emu->transaction.begun)
        return X86EMU_REQUEST;
    while (*retired < limit && !notable && status == X86EMU_RETIRED) {
        x86emu_begin_transaction(emu);
        x86emu_begin_run(&x, emu, vcpu);
        if ((runs_quickly(&x) && run_row(&x, limit, retired, &notable)) || (*retired < limit && !notable))
            status = run_one(&x, retired, &notable);
        else
            x86emu_end_transaction(emu, X86EMU_RETIRED);
    }
    return status;
}
