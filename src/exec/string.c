/* SPDX-License-Identifier: BSD-2-Clause */
/* String instructions: one batch of elements per transaction, with the architectural state in between. */
#include "flags.h"
#include "generated/functions.h"
#include "memory.h"

static int16_t step_of(const struct exec *x, unsigned size)
{
    return (int16_t)(x->rflags & X86EMU_RFLAGS_DF ? -(int)size : (int)size);
}

static bool has_rep(const struct exec *x)
{
    return x->insn->prefixes & (X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE);
}

/* Elements left: 1 without REP. A single step trap is due after every iteration. */
static uint64_t elements_left(struct exec *x)
{
    return has_rep(x) ? gpr(x, X86EMU_RCX) & size_mask(x->insn->address_size) : 1;
}

static uint16_t elements_wanted(struct exec *x)
{
    bool one = x->rflags & X86EMU_RFLAGS_TF || x->emu->transaction.config.options & X86EMU_OPTION_NO_BATCH;

    return (uint16_t)least(one ? 1 : X86EMU_REQUEST_DATA, elements_left(x));
}

/*
 * REP with ECX = 0 and 32-bit addresses in 64-bit mode: Intel's processors clear the upper half of RCX, and those of the
 * index registers that MOVS and STOS write through.
 */
static void skip(struct exec *x)
{
    bool intel = !is_amd(x);
    uint8_t opcode = x->insn->opcode & 0xfe;

    if (!intel || x->mode != X86EMU_MODE_64 || x->insn->address_size != 4)
        return;
    x86emu_gpr_stage(x, X86EMU_RCX, 4, 0);
    if (opcode == 0xa4) /* MOVS */
        x86emu_gpr_stage(x, X86EMU_RSI, 4, gpr(x, X86EMU_RSI));
    if (opcode == 0xa4 || opcode == 0xaa) /* MOVS, STOS */
        x86emu_gpr_stage(x, X86EMU_RDI, 4, gpr(x, X86EMU_RDI));
}

/* Makes a batch of memory operand n. False: stopped, or there is nothing to do. */
static bool batch_of(struct exec *x, unsigned n, struct batch *batch)
{
    batch->size = (uint16_t)operand_size(x, n);
    batch->step = step_of(x, batch->size);
    batch->count = elements_wanted(x);
    if (batch->count == 0)
        skip(x);
    return x86emu_operand_address(x, n, &batch->address) && batch->count != 0;
}

/* Moves an index register over count elements. */
static void advance(struct exec *x, unsigned number, const struct batch *batch)
{
    x86emu_gpr_stage(x, number, x->insn->address_size, gpr(x, number) + (uint64_t)(batch->step * (int)batch->count));
}

static void count_down(struct exec *x, unsigned count)
{
    uint64_t left = elements_left(x) - count;

    if (!has_rep(x))
        return;
    x86emu_gpr_stage(x, X86EMU_RCX, x->insn->address_size, left);
    x->repeats = left != 0;
}

/* --- MOVS --------------------------------------------------------------------------------------------------------- */

/* Elements that can be read before the first is written although the destination overlaps the source. */
static unsigned until_overlap(const struct batch *source, uint64_t from, uint64_t to)
{
    uint64_t distance = source->step > 0 ? to - from : from - to;

    if (distance >= (uint64_t)source->count * source->size)
        return source->count;
    return distance < source->size ? 1 : (unsigned)distance / source->size;
}

/* Device to device goes element by element, so that both see the order that hardware has. */
static unsigned movs_limit(struct exec *x, const struct batch *source, const struct batch *destination)
{
    struct batch_place from, to;
    unsigned readable = x86emu_batch_limit(x, source, X86EMU_ACCESS_READ, &from);
    unsigned writable = x86emu_batch_limit(x, destination, X86EMU_ACCESS_WRITE, &to);

    if (x->stopped)
        return 0;
    if (from.target.kind != TARGET_RAM && to.target.kind != TARGET_RAM)
        return 1;
    return least(least(readable, writable), until_overlap(source, from.gpa, to.gpa));
}

void x86emu_exec_movs(struct exec *x)
{
    uint8_t data[X86EMU_REQUEST_DATA];
    struct batch destination, source;

    if (!batch_of(x, 0, &destination) || !batch_of(x, 1, &source))
        return;
    source.count = destination.count = (uint16_t)movs_limit(x, &source, &destination);
    if (source.count == 0 || !x86emu_batch_read(x, &source, data) || !x86emu_batch_write(x, &destination, data))
        return;
    advance(x, X86EMU_RSI, &source);
    advance(x, X86EMU_RDI, &destination);
    count_down(x, source.count);
}

/* --- STOS, LODS --------------------------------------------------------------------------------------------------- */

static void replicate(uint8_t *data, uint64_t value, const struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        store_le(data + i * batch->size, value, batch->size);
}

void x86emu_exec_stos(struct exec *x)
{
    uint8_t data[X86EMU_REQUEST_DATA];
    struct batch_place place;
    struct batch batch;

    if (!batch_of(x, 0, &batch))
        return;
    batch.count = (uint16_t)x86emu_batch_limit(x, &batch, X86EMU_ACCESS_WRITE, &place);
    if (batch.count == 0)
        return;
    replicate(data, read_operand(x, 1), &batch);
    if (!x86emu_batch_write(x, &batch, data))
        return;
    advance(x, X86EMU_RDI, &batch);
    count_down(x, batch.count);
}

void x86emu_exec_lods(struct exec *x)
{
    uint8_t data[X86EMU_REQUEST_DATA];
    struct batch_place place;
    struct batch batch;

    if (!batch_of(x, 1, &batch))
        return;
    batch.count = (uint16_t)x86emu_batch_limit(x, &batch, X86EMU_ACCESS_READ, &place);
    if (batch.count == 0 || !x86emu_batch_read(x, &batch, data))
        return;
    write_operand(x, 0, load_le(data + (batch.count - 1u) * batch.size, batch.size));
    advance(x, X86EMU_RSI, &batch);
    count_down(x, batch.count);
}

/* --- CMPS, SCAS --------------------------------------------------------------------------------------------------- */

/* Whether REPE or REPNE goes on after a comparison; without either it doesn't. */
static bool goes_on(const struct exec *x, uint64_t flags)
{
    bool equal = flags & X86EMU_RFLAGS_ZF;

    return x->insn->prefixes & X86EMU_PREFIX_REPNE ? !equal : equal;
}

/* Only RAM is read beyond the element that may be the last one. */
static unsigned readable_ahead(struct exec *x, const struct batch *batch)
{
    struct batch_place place;
    unsigned limit = x86emu_batch_limit(x, batch, X86EMU_ACCESS_READ, &place);

    return limit > 1 && place.target.kind != TARGET_RAM ? 1 : limit;
}

/* Compares elements, which are a_step bytes apart in a, until one decides. How many; *last: the last one's flags. */
static unsigned compare(const struct exec *x, const struct batch *batch, const uint8_t *a, unsigned a_step,
                        const uint8_t *b, uint64_t *last)
{
    unsigned used = 0, size = batch->size;
    uint64_t flags;

    do {
        flags = subtract_with_borrow(load_le(a + used * a_step, size), load_le(b + used * size, size), 0, size).flags;
        used++;
    } while (used < batch->count && goes_on(x, flags));
    *last = flags;
    return used;
}

/*
 * Ends the repetition when the last comparison says so. Only then the flags change: a fault in between leaves them as
 * they were before the instruction (SDM Vol. 1, 7.3.9.1).
 */
static void count_down_compared(struct exec *x, unsigned used, uint64_t flags)
{
    count_down(x, used);
    x->repeats = x->repeats && goes_on(x, flags);
    if (!x->repeats)
        stage_flags(x, flags);
}

/* Processors read at RDI first. */
void x86emu_exec_cmps(struct exec *x)
{
    uint8_t a[X86EMU_REQUEST_DATA / 2], b[X86EMU_REQUEST_DATA / 2];
    struct batch source, destination;
    uint64_t flags;

    if (!batch_of(x, 0, &source) || !batch_of(x, 1, &destination))
        return;
    destination.count = (uint16_t)least(readable_ahead(x, &destination), sizeof(b) / destination.size);
    source.count = destination.count = (uint16_t)least(readable_ahead(x, &source), destination.count);
    if (source.count == 0 || !x86emu_batch_read(x, &destination, b) || !x86emu_batch_read(x, &source, a))
        return;
    source.count = destination.count = (uint16_t)compare(x, &source, a, source.size, b, &flags);
    advance(x, X86EMU_RSI, &source);
    advance(x, X86EMU_RDI, &destination);
    count_down_compared(x, source.count, flags);
}

void x86emu_exec_scas(struct exec *x)
{
    uint8_t accumulator[8], b[X86EMU_REQUEST_DATA];
    struct batch batch;
    uint64_t flags;

    if (!batch_of(x, 1, &batch))
        return;
    batch.count = (uint16_t)readable_ahead(x, &batch);
    if (batch.count == 0 || !x86emu_batch_read(x, &batch, b))
        return;
    store_le(accumulator, gpr(x, X86EMU_RAX), 8);
    batch.count = (uint16_t)compare(x, &batch, accumulator, 0, b, &flags);
    advance(x, X86EMU_RDI, &batch);
    count_down_compared(x, batch.count, flags);
}

/* --- INS, OUTS ---------------------------------------------------------------------------------------------------- */

/* All elements come from one port, at once. */
static bool ports_in(struct exec *x, uint16_t port, const struct batch *batch, uint8_t *data)
{
    unsigned bytes = (unsigned)batch->size * batch->count;
    struct x86emu_read *read = x86emu_next_read(x, X86EMU_REQUEST_PORT_IN, port, bytes);

    if (read == NULL)
        return false;
    if (read->done < bytes) {
        x86emu_ask(x, X86EMU_REQUEST_PORT_IN, 0, batch->size, batch->count)->port = port;
        if (!x86emu_present(x))
            return false;
    }
    copy_bytes(data, &x->emu->transaction.read_bytes[read->data], bytes);
    return true;
}

void x86emu_exec_ins(struct exec *x)
{
    uint16_t port = (uint16_t)read_operand(x, 1);
    uint8_t data[X86EMU_REQUEST_DATA];
    struct batch_place place;
    struct batch batch;

    if (!x86emu_port_allowed(x, port, operand_size(x, 0)) || !batch_of(x, 0, &batch))
        return;
    batch.count = (uint16_t)x86emu_batch_limit(x, &batch, X86EMU_ACCESS_WRITE, &place);
    if (batch.count == 0 || !ports_in(x, port, &batch, data) || !x86emu_batch_write(x, &batch, data))
        return;
    advance(x, X86EMU_RDI, &batch);
    count_down(x, batch.count);
}

void x86emu_exec_outs(struct exec *x)
{
    uint16_t port = (uint16_t)read_operand(x, 0);
    uint8_t data[X86EMU_REQUEST_DATA];
    struct x86emu_effect *effect;
    struct batch_place place;
    struct batch batch;

    if (!x86emu_port_allowed(x, port, operand_size(x, 1)) || !batch_of(x, 1, &batch))
        return;
    batch.count = (uint16_t)x86emu_batch_limit(x, &batch, X86EMU_ACCESS_READ, &place);
    if (batch.count == 0 || !x86emu_batch_read(x, &batch, data))
        return;
    effect = x86emu_effect_add(x, X86EMU_REQUEST_PORT_OUT, batch.size, batch.count, data);
    if (effect == NULL)
        return;
    effect->port = port;
    advance(x, X86EMU_RSI, &batch);
    count_down(x, batch.count);
}
