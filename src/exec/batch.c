/* SPDX-License-Identifier: BSD-2-Clause */
/* Batches: how many elements of a string can be accessed at once, and their access as one. */
#include "breakpoint.h"
#include "memory.h"
#include "ram.h"

/* Elements that fit between offset and the end (or, downwards, the beginning) of size bytes. */
static unsigned elements_in(const struct batch *batch, uint64_t offset, uint64_t size)
{
    uint64_t room = batch->step > 0 ? size - offset : offset + batch->size;

    return least(batch->count, least(X86EMU_PAGE_SIZE, room) / batch->size);
}

/* The lowest address of count elements. */
static struct logical lowest(const struct batch *batch, unsigned count)
{
    struct logical address = batch->address;

    if (batch->step < 0)
        address.offset -= (uint64_t)(count - 1) * batch->size;
    return address;
}

unsigned x86emu_batch_limit(struct exec *x, const struct batch *batch, unsigned access, struct batch_place *place)
{
    struct span span;
    unsigned count;

    if (!x86emu_locate(x, batch->address, batch->size, access, USE_PLAIN, &span))
        return 0;
    place->gpa = span.gpa;
    place->target = x86emu_target(x, span.gpa, batch->size, access);
    if (span.first_size < batch->size || place->target.size < batch->size)
        return 1;
    if (x->vcpu->rflags & X86EMU_RFLAGS_TF || breakpoints_enabled(x))
        return 1; /* a trap follows each element */
    count = elements_in(batch, span.gpa % X86EMU_PAGE_SIZE, X86EMU_PAGE_SIZE);
    if (place->target.region != NULL)
        count = least(count, elements_in(batch, span.gpa - place->target.region->gpa, place->target.region->size));
    count = least(count, X86EMU_REQUEST_DATA / batch->size);
    return x86emu_range_allowed(x, lowest(batch, count), count * batch->size) ? count : 1;
}

/* Copies elements that lie step bytes apart in RAM, one access each. */
static void load_elements(uint8_t *to, const uint8_t *ram, const struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        x86emu_ram_load(to + i * batch->size, ram + (int)i * batch->step, batch->size);
}

static bool request_batch(struct exec *x, const struct batch *batch, const struct span *span)
{
    struct x86emu_request *request = x86emu_ask(x, X86EMU_REQUEST_READ, span->gpa, batch->size, batch->count);

    request->gva = span->la;
    request->stride = batch->step;
    return x86emu_present(x);
}

static bool read_elements(struct exec *x, const struct batch *batch, const struct span *span, uint8_t *data)
{
    struct target target = x86emu_target(x, span->gpa, batch->size, X86EMU_ACCESS_READ);

    switch (target.kind) {
    case TARGET_RAM:
        load_elements(data, target.ram, batch);
        return true;
    case TARGET_DEVICE:
        return x86emu_device_read(x, &target, batch->count, batch->step, data);
    case TARGET_REQUEST:
        return request_batch(x, batch, span);
    default:
        return false;
    }
}

bool x86emu_batch_read(struct exec *x, const struct batch *batch, void *data)
{
    unsigned bytes = (unsigned)batch->size * batch->count;
    struct x86emu_read *read;
    struct span span;
    uint8_t *answer;

    if (batch->count == 1)
        return x86emu_memory_read(x, batch->address, batch->size, USE_PLAIN, data);
    if (!x86emu_locate(x, batch->address, batch->size, X86EMU_ACCESS_READ, USE_PLAIN, &span))
        return false;
    read = x86emu_next_read(x, X86EMU_REQUEST_READ, span.gpa, bytes);
    if (read == NULL)
        return false;
    answer = &x->emu->transaction.read_bytes[read->data];
    if (read->done == 0 && !read_elements(x, batch, &span, answer))
        return false;
    read->done = (uint16_t)bytes;
    copy_bytes(data, answer, bytes);
    return true;
}

bool x86emu_batch_write(struct exec *x, const struct batch *batch, const void *data)
{
    struct x86emu_effect *effect;
    struct span span;

    if (batch->count == 1)
        return x86emu_memory_write(x, batch->address, batch->size, data);
    if (!x86emu_locate(x, batch->address, batch->size, X86EMU_ACCESS_WRITE, USE_PLAIN, &span))
        return false;
    effect = x86emu_effect_add(x, X86EMU_REQUEST_WRITE, batch->size, batch->count, data);
    if (effect == NULL)
        return false;
    x86emu_effect_place(effect, &span);
    effect->stride = batch->step;
    return true;
}
