/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a transaction: begin, run, suspend, run again, commit, end. */
#include "step.h"
#include "breakpoint.h"
#include "cache.h"
#include "commit.h"
#include "fetch.h"
#include "interrupt.h"
#include "memory.h"

/* Exchanges that may be lost in a row before the caller gets control back. */
#define MAX_LOST_EXCHANGES 64

void x86emu_end_run(struct exec *x, enum x86emu_status status)
{
    if (x->stopped)
        return;
    x->stopped = true;
    x->status = (uint8_t)status;
}

void x86emu_not_emulated(struct exec *x, enum x86emu_reason reason)
{
    if (!x->stopped)
        x->emu->outcome.reason = (uint8_t)reason;
    x86emu_end_run(x, X86EMU_NOT_EMULATED);
}

void x86emu_unmapped(struct exec *x, uint64_t gpa, unsigned access)
{
    if (!x->stopped) {
        x->emu->outcome.gpa = gpa;
        x->emu->outcome.access = (uint8_t)access;
    }
    x86emu_end_run(x, X86EMU_UNMAPPED);
}

void x86emu_raise(struct exec *x, enum x86emu_vector vector)
{
    if (!x->stopped)
        x->emu->outcome.exception = (struct x86emu_exception){.vector = (uint8_t)vector};
    x86emu_end_run(x, X86EMU_EXCEPTION);
}

void x86emu_raise_code(struct exec *x, enum x86emu_vector vector, uint32_t code)
{
    bool real_mode = !(x->vcpu->cr0 & X86EMU_CR0_PE);

    if (!x->stopped)
        x->emu->outcome.exception = (struct x86emu_exception){
            .vector = (uint8_t)vector, .error_code = real_mode ? 0 : code, .has_error_code = !real_mode};
    x86emu_end_run(x, X86EMU_EXCEPTION);
}

/* --- one run ------------------------------------------------------------------------------------------------------ */

void x86emu_find_mode(struct exec *x)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    uint32_t attributes = vcpu->segment[X86EMU_CS].attributes;

    if (vcpu->efer & X86EMU_EFER_LMA && attributes & X86EMU_SEGMENT_L)
        x->mode = X86EMU_MODE_64;
    else
        x->mode = attributes & X86EMU_SEGMENT_DB ? X86EMU_MODE_32 : X86EMU_MODE_16;
    if (vcpu->rflags & X86EMU_RFLAGS_VM)
        x->cpl = 3;
    else
        x->cpl = vcpu->cr0 & X86EMU_CR0_PE ? vcpu->segment[X86EMU_CS].selector & 3 : 0;
}

/* What the instruction's memory operands do together. */
struct memory_operands {
    unsigned count;
    unsigned accesses; /* enum x86emu_access */
    unsigned size;     /* of the last one */
};

static void count_operand(struct memory_operands *all, const struct x86emu_operand *op)
{
    if (op->kind != X86EMU_OPERAND_MEM || op->access == 0)
        return;
    all->count++;
    all->size = op->size;
    if (op->access & (X86EMU_OPERAND_READ | X86EMU_OPERAND_MAY_READ))
        all->accesses |= X86EMU_ACCESS_READ;
    if (op->access & (X86EMU_OPERAND_WRITTEN | X86EMU_OPERAND_MAY_WRITE))
        all->accesses |= X86EMU_ACCESS_WRITE;
}

/* Most are expanded already, or will be needed. */
static struct memory_operands memory_operands(struct exec *x)
{
    struct memory_operands all = {0};
    struct x86emu_operand more;
    unsigned n = 0;

    while (n < X86EMU_CACHE_OPERANDS && operand(x, n)->kind != X86EMU_OPERAND_NONE)
        count_operand(&all, operand(x, n++));
    while (n >= X86EMU_CACHE_OPERANDS && x86emu_insn_operand(x->insn, n++, &more))
        count_operand(&all, &more);
    return all;
}

/*
 * Whether the hint alone locates the operand. One at a page's first byte may be a crossing access's second half, and one
 * whose bytes reach into the next page tells nothing about that one. With a linear address to compare, the operand's is
 * computed.
 */
static bool hint_suffices(const struct x86emu_insn *insn, const struct x86emu_hint *hint,
                          const struct memory_operands *all)
{
    unsigned offset = hint->gpa % X86EMU_PAGE_SIZE;

    if ((hint->flags & ~X86EMU_HINT_ACCESS) != X86EMU_HINT_GPA || all->count != 1 || insn->modrm >= 0xc0)
        return false;
    if (all->size > 512)
        return false; /* an XSAVE area has more bytes than the smallest one, of which its row tells */
    return all->size == 1 || (offset != 0 && offset + all->size <= X86EMU_PAGE_SIZE);
}

/* Holds the exit's report against the instruction and decides how its address may be used. */
static void apply_hint(struct exec *x)
{
    const struct x86emu_hint *hint = &x->emu->transaction.hint;
    struct memory_operands all;

    if (hint->flags == 0)
        return;
    all = memory_operands(x);
    if (all.accesses == 0)
        x86emu_end_run(x, X86EMU_NO_ACCESS);
    if (hint->flags & X86EMU_HINT_ACCESS)
        all.accesses &= hint->access;
    else if (all.count > 1)
        return; /* can't tell whose address it is */
    if (all.accesses == 0)
        x86emu_end_run(x, X86EMU_NOT_THIS_INSN);
    if (hint->flags & (X86EMU_HINT_GPA | X86EMU_HINT_GPA_PAGE))
        x->hint_access = (uint8_t)all.accesses;
    x->hint_direct = !breakpoints_enabled(x) && hint_suffices(x->insn, hint, &all);
}

static void prepare(struct exec *x)
{
    const struct x86emu_transaction *t = &x->emu->transaction;

    if (!need(x, X86EMU_STATE_RIP | X86EMU_STATE_CS | X86EMU_STATE_CONTROL))
        return;
    x86emu_find_mode(x);
    if (x->cache != NULL)
        cache_check(x);
    if (!t->decoded && ((breakpoints_enabled(x) && x86emu_breakpoint_code(x)) || !x86emu_fetch(x)))
        return;
    if (t->restricted && !x86emu_insn_allowed(x->insn, &t->config.features)) {
        x86emu_raise(x, X86EMU_VECTOR_UD);
        return;
    }
    x->emu->transaction.decoded = true;
    x->rip = (x->vcpu->rip + x->insn->length) & rip_mask(x);
    x->rflags = x->vcpu->rflags;
    x->locked = x->insn->prefixes & X86EMU_PREFIX_LOCK;
    apply_hint(x);
    if (x->cpl != 0 && x86emu_form_is_privileged(x->insn->form))
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
}

static void deliver(struct exec *x)
{
    if (!need(x, X86EMU_STATE_RIP | X86EMU_STATE_CS | X86EMU_STATE_CONTROL))
        return;
    x86emu_find_mode(x);
    if (x->cache != NULL)
        cache_check(x);
    x->rip = x->vcpu->rip;
    x->rflags = x->vcpu->rflags;
    x->locked = false;
    x86emu_interrupt(x, &x->emu->transaction.event, x->rip);
}

static void run_once(struct exec *x)
{
    struct x86emu_transaction *t = &x->emu->transaction;

    if (t->delivering)
        deliver(x);
    else
        prepare(x);
    if (!x->stopped && !t->delivering)
        x86emu_dispatch(x, x->insn->form);
    if (!x->stopped && !x->restart && x->hint_access != 0 && !t->hint_used)
        x86emu_end_run(x, X86EMU_NOT_THIS_INSN);
    if (x->stopped || x->restart || !x86emu_perform_effects(x))
        return;
    x86emu_commit(x);
    x86emu_end_run(x, X86EMU_RETIRED);
}

void x86emu_begin_run(struct exec *x, struct x86emu *emu, struct x86emu_vcpu *vcpu)
{
    struct x86emu_transaction *t = &emu->transaction;

    x->emu = emu;
    x->vcpu = vcpu;
    x->insn = &emu->insn;
    x->cache = t->config.options & X86EMU_OPTION_TRANSLATE ? NULL : t->config.cache;
    x->operands = t->operands;
    x->operand_count = &t->operand_count;
    x->ldtr = &vcpu->ldtr;
    clear_run(x);
}

/* Too many exchanges lost: nothing has happened, and the instruction can be tried again later. */
static void give_up(struct x86emu *emu)
{
    emu->outcome.repeats = true;
    emu->outcome.changed = 0;
}

/* Exceptions that make a double fault of a second one (SDM Vol. 3, table 6-4). */
static bool is_contributory(unsigned vector)
{
    return vector == X86EMU_VECTOR_DE || (vector >= X86EMU_VECTOR_TS && vector <= X86EMU_VECTOR_GP) ||
           vector == X86EMU_VECTOR_CP;
}

/* An exception while delivering another one. */
static enum x86emu_status nested_exception(struct x86emu *emu)
{
    const struct x86emu_event *first = &emu->transaction.event;
    unsigned second = emu->outcome.exception.vector;
    bool both;

    if (first->kind != X86EMU_EVENT_EXCEPTION)
        return X86EMU_EXCEPTION;
    if (first->vector == X86EMU_VECTOR_DF)
        return X86EMU_SHUTDOWN;
    both = (is_contributory(first->vector) && is_contributory(second)) ||
           (first->vector == X86EMU_VECTOR_PF && (second == X86EMU_VECTOR_PF || is_contributory(second)));
    if (both)
        emu->outcome.exception = (struct x86emu_exception){
            .vector = X86EMU_VECTOR_DF, .has_error_code = true, .cr2 = emu->outcome.exception.cr2};
    return X86EMU_EXCEPTION;
}

enum x86emu_status x86emu_end_transaction(struct x86emu *emu, enum x86emu_status status)
{
    struct x86emu_transaction *t = &emu->transaction;

    if (status == X86EMU_REQUEST || status == X86EMU_BAD_ANSWER)
        return status;
    if (t->delivering && status == X86EMU_EXCEPTION)
        status = nested_exception(emu);
    t->begun = false;
    t->hint.flags = 0;
    t->hint.byte_count = 0;
    return status;
}

enum x86emu_status x86emu_run_to_end(struct exec *x)
{
    struct x86emu *emu = x->emu;

    while (!x->stopped) {
        if (x->restart) {
            if (++emu->transaction.lost_exchanges >= MAX_LOST_EXCHANGES) {
                give_up(emu);
                x86emu_end_run(x, X86EMU_RETIRED);
                break;
            }
            x86emu_begin_run(x, emu, x->vcpu);
        }
        run_once(x);
    }
    if (emu->transaction.delivering && x->status == X86EMU_EXCEPTION)
        x86emu_interrupt_failed(&emu->transaction.event, &emu->outcome.exception, x->vcpu);
    return x86emu_end_transaction(emu, (enum x86emu_status)x->status);
}

/* --- the public functions ----------------------------------------------------------------------------------------- */

void x86emu_begin_transaction(struct x86emu *emu)
{
    struct x86emu_transaction *t = &emu->transaction;

    t->begun = true;
    t->decoded = t->walking = t->delivering = t->outside = false;
    t->effects_done = t->operand_count = 0;
    t->bytes_done = 0;
    t->lost_exchanges = 0;
    forget_answers(t);
    emu->outcome = (struct x86emu_outcome){0};
    x86emu_fetch_begin(emu);
}

enum x86emu_status x86emu_step(struct x86emu *emu, struct x86emu_vcpu *vcpu)
{
    struct exec x;

    if (emu->transaction.magic != MAGIC)
        return X86EMU_BAD_CONFIG;
    if (emu->transaction.begun)
        return X86EMU_REQUEST;
    x86emu_begin_transaction(emu);
    x86emu_begin_run(&x, emu, vcpu);
    return x86emu_run_to_end(&x);
}

enum x86emu_status x86emu_deliver(struct x86emu *emu, struct x86emu_vcpu *vcpu, const struct x86emu_event *event)
{
    struct exec x;

    if (emu->transaction.magic != MAGIC)
        return X86EMU_BAD_CONFIG;
    if (emu->transaction.begun)
        return X86EMU_REQUEST;
    x86emu_begin_transaction(emu);
    emu->transaction.delivering = true;
    emu->transaction.event = *event;
    emu->transaction.hint.flags = 0;
    emu->insn = (struct x86emu_insn){0};
    x86emu_begin_run(&x, emu, vcpu);
    return x86emu_run_to_end(&x);
}

enum x86emu_status x86emu_complete(struct x86emu *emu, struct x86emu_vcpu *vcpu)
{
    struct exec x;

    if (emu->transaction.magic != MAGIC)
        return X86EMU_BAD_CONFIG;
    if (!emu->transaction.begun)
        return X86EMU_NO_REQUEST;
    x86emu_begin_run(&x, emu, vcpu);
    if (!x86emu_accept(&x))
        return X86EMU_BAD_ANSWER;
    return x86emu_run_to_end(&x);
}

static bool lacks_features(const struct x86emu_features *features)
{
    uint64_t absent = 0;

    for (unsigned n = 0; n < sizeof(features->absent) / sizeof(features->absent[0]); n++)
        absent |= features->absent[n];
    return absent != 0;
}

void x86emu_init(struct x86emu *emu, const struct x86emu_config *config)
{
    clear_bytes(emu, sizeof(*emu));
    emu->transaction.magic = MAGIC;
    x86emu_rebind(emu, config);
}

void x86emu_rebind(struct x86emu *emu, const struct x86emu_config *config)
{
    struct x86emu_transaction *t = &emu->transaction;

    t->config = config != NULL ? *config : (struct x86emu_config){0};
    if (t->config.maxphyaddr == 0)
        t->config.maxphyaddr = 52;
    t->config.decode_options |= x86emu_features_options(&t->config.features);
    t->restricted = lacks_features(&t->config.features);
    t->cache = (struct x86emu_region_cache){0};
}

void x86emu_hint(struct x86emu *emu, const struct x86emu_hint *hint)
{
    if (!emu->transaction.begun)
        emu->transaction.hint = *hint;
}

void x86emu_cancel(struct x86emu *emu)
{
    x86emu_end_transaction(emu, X86EMU_RETIRED);
}
