/* SPDX-License-Identifier: BSD-2-Clause */
/* Performing what an instruction staged: writes, exchanges, port outputs and halts, each exactly once and in order. */
#include "memory.h"
#include "ram.h"

static uint8_t *effect_bytes(struct exec *x, const struct x86emu_effect *effect)
{
    return &x->emu->transaction.effect_bytes[effect->data];
}

static uint8_t *old_bytes(struct exec *x, const struct x86emu_effect *effect)
{
    struct x86emu_transaction *t = &x->emu->transaction;

    return &t->read_bytes[t->reads[effect->read].data];
}

static void advance(struct exec *x, unsigned bytes)
{
    x->emu->transaction.bytes_done = (uint16_t)(x->emu->transaction.bytes_done + bytes);
}

/* A request for size * count bytes of the effect, from byte number done on. */
static struct x86emu_request *ask_for(struct exec *x, const struct x86emu_effect *effect, uint64_t gpa, unsigned size,
                                      unsigned count)
{
    unsigned done = x->emu->transaction.bytes_done;
    struct x86emu_request *request = x86emu_ask(x, (enum x86emu_request_kind)effect->kind, gpa, size, count);

    request->gva = effect->la == 0 ? 0 : effect->la + done;
    request->stride = count > 1 ? effect->stride : 0;
    request->flags = effect->flags;
    if (size * count < (unsigned)effect->size * effect->count)
        request->flags |= X86EMU_REQUEST_PARTIAL;
    copy_bytes(request->data.bytes, effect_bytes(x, effect) + done, (size_t)size * count);
    if (effect->kind == X86EMU_REQUEST_RMW)
        copy_bytes(request->old_data.bytes, old_bytes(x, effect) + done, size);
    return request;
}

static bool device_write(struct exec *x, const struct x86emu_effect *effect, const struct target *target,
                         unsigned count)
{
    const struct x86emu_region *region = target->region;

    x->emu->transaction.outside = true;
    if (!region->write(region->opaque, target->gpa - region->gpa, target->size, count, effect->stride,
                       effect_bytes(x, effect) + x->emu->transaction.bytes_done)) {
        x86emu_unmapped(x, target->gpa, X86EMU_ACCESS_WRITE);
        return false;
    }
    advance(x, target->size * count);
    return true;
}

/* --- batches: one page, one region ------------------------------------------------------------------------------- */

static bool write_batch(struct exec *x, const struct x86emu_effect *effect)
{
    struct target target = x86emu_target(x, effect->gpa, effect->size, X86EMU_ACCESS_WRITE);
    const uint8_t *data = effect_bytes(x, effect);

    switch (target.kind) {
    case TARGET_RAM:
        for (int i = 0; i < effect->count; i++)
            x86emu_ram_store(target.ram + i * effect->stride, data + i * effect->size, effect->size);
        advance(x, (unsigned)effect->size * effect->count);
        return true;
    case TARGET_DEVICE:
        return device_write(x, effect, &target, effect->count);
    case TARGET_REQUEST:
        ask_for(x, effect, effect->gpa, effect->size, effect->count);
        return x86emu_present(x);
    default:
        return false;
    }
}

/* --- exchanges ---------------------------------------------------------------------------------------------------- */

/* A locked exchange that a single atomic access can't do: the caller gets all of it at once, in two parts. */
static bool request_split_lock(struct exec *x, const struct x86emu_effect *effect, unsigned first_size,
                               uint64_t gpa_second)
{
    struct x86emu_request *request = ask_for(x, effect, effect->gpa, effect->size, 1);

    request->flags |= X86EMU_REQUEST_SPLIT;
    request->first_size = (uint16_t)first_size;
    request->gpa_second = gpa_second;
    return x86emu_present(x);
}

/* The value in RAM was another one: that is what was read now. */
static bool lost_exchange(struct exec *x, const struct x86emu_effect *effect, const void *actual)
{
    copy_bytes(old_bytes(x, effect), actual, effect->size);
    x->restart = true;
    return false;
}

/* Exchanges in RAM; what this host has no single instruction for goes to the caller. */
static bool exchange_ram(struct exec *x, const struct x86emu_effect *effect, uint8_t *ram)
{
    unsigned to_line_end = 64 - (unsigned)(effect->gpa & 63);
    uint8_t old_value[16];

    if (to_line_end < effect->size)
        return request_split_lock(x, effect, to_line_end, effect->gpa + to_line_end);
    copy_bytes(old_value, old_bytes(x, effect), effect->size);
    switch (x86emu_ram_exchange(ram, effect->size, old_value, effect_bytes(x, effect))) {
    case RAM_EXCHANGED:
        advance(x, effect->size);
        return true;
    case RAM_LOST:
        return lost_exchange(x, effect, old_value);
    default:
        ask_for(x, effect, effect->gpa, effect->size, 1);
        return x86emu_present(x);
    }
}

/* --- pieces ------------------------------------------------------------------------------------------------------- */

static bool perform_piece(struct exec *x, const struct x86emu_effect *effect)
{
    unsigned done = x->emu->transaction.bytes_done, left;
    const struct span span = {.gpa = effect->gpa, .gpa_second = effect->gpa_second, .first_size = effect->first_size};
    uint64_t gpa = gpa_of_byte(&span, effect->size, done, &left);
    struct target target = x86emu_target(x, gpa, left, X86EMU_ACCESS_WRITE);
    bool locked = effect->flags & X86EMU_REQUEST_LOCKED;

    switch (target.kind) {
    case TARGET_RAM:
        if (locked && target.size < effect->size)
            return request_split_lock(x, effect, target.size, gpa + target.size);
        if (locked)
            return exchange_ram(x, effect, target.ram);
        x86emu_ram_store(target.ram, effect_bytes(x, effect) + done, target.size);
        advance(x, target.size);
        return true;
    case TARGET_DEVICE:
        return device_write(x, effect, &target, 1);
    case TARGET_REQUEST:
        ask_for(x, effect, gpa, target.size, 1);
        return x86emu_present(x);
    default:
        return false;
    }
}

static bool perform_memory(struct exec *x, const struct x86emu_effect *effect)
{
    unsigned bytes = (unsigned)effect->size * effect->count;

    if (effect->count > 1)
        return write_batch(x, effect);
    if (effect->host != NULL && !(effect->flags & X86EMU_REQUEST_LOCKED)) {
        x86emu_ram_store(effect->host, effect_bytes(x, effect), bytes);
        return true;
    }
    if (effect->flags & X86EMU_REQUEST_LOCKED && effect->first_size < effect->size)
        return request_split_lock(x, effect, effect->first_size, effect->gpa_second);
    while (x->emu->transaction.bytes_done < bytes)
        if (!perform_piece(x, effect))
            return false;
    return true;
}

/* --- ports and the rest ------------------------------------------------------------------------------------------- */

static bool perform_other(struct exec *x, const struct x86emu_effect *effect)
{
    struct x86emu_request *request = ask_for(x, effect, 0, effect->size, effect->count);

    request->port = effect->port;
    request->index = effect->index;
    return x86emu_present(x);
}

static bool perform(struct exec *x, const struct x86emu_effect *effect)
{
    if (effect->kind == X86EMU_REQUEST_WRITE || effect->kind == X86EMU_REQUEST_RMW)
        return perform_memory(x, effect);
    return perform_other(x, effect);
}

/* Whether the answer to the request that this effect became has completed it. */
static bool already_done(const struct x86emu_transaction *t, const struct x86emu_effect *effect)
{
    unsigned bytes = (unsigned)effect->size * effect->count;

    return t->bytes_done >= (bytes > 0 ? bytes : 1);
}

bool x86emu_perform_effects(struct exec *x)
{
    struct x86emu_transaction *t = &x->emu->transaction;

    if (t->page_count != 0 && t->effects_done == 0 && t->bytes_done == 0 && !x86emu_dirty_pages(x))
        return false;
    while (t->effects_done < t->effect_count) {
        const struct x86emu_effect *effect = &t->effects[t->effects_done];

        if (!already_done(t, effect) && !perform(x, effect))
            return false;
        t->effects_done++;
        t->bytes_done = 0;
    }
    return true;
}
