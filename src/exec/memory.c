/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory primitives of semantic functions: reads are answered from the log or asked for, writes are staged. */
#include "control.h"
#include "ram.h"

struct x86emu_read *x86emu_next_read(struct exec *x, enum x86emu_request_kind kind, uint64_t address, unsigned size)
{
    struct x86emu_transaction *t = &x->emu->transaction;
    struct x86emu_read *read = &t->reads[x->read_cursor];

    if (x->stopped)
        return NULL;
    if (x->read_cursor < t->read_count) {
        if (read->kind != kind || read->address != address || read->size != size) {
            x86emu_not_emulated(x, X86EMU_REASON_INCONSISTENT);
            return NULL;
        }
    } else {
        if (t->read_count == X86EMU_MAX_READS || t->read_used + size > sizeof(t->read_bytes)) {
            x86emu_not_emulated(x, X86EMU_REASON_LIMIT);
            return NULL;
        }
        *read = (struct x86emu_read){
            .address = address, .size = (uint16_t)size, .data = t->read_used, .kind = (uint8_t)kind};
        t->read_count++;
        t->read_used = (uint16_t)(t->read_used + size);
    }
    x->read_cursor++;
    return read;
}

struct x86emu_effect *x86emu_effect_add(struct exec *x, enum x86emu_request_kind kind, unsigned size, unsigned count,
                                        const void *data)
{
    struct x86emu_transaction *t = &x->emu->transaction;
    struct x86emu_effect *effect = &t->effects[t->effect_count];
    unsigned bytes = size * count;

    if (x->stopped)
        return NULL;
    if (t->effect_count == X86EMU_MAX_EFFECTS || t->effect_used + bytes > sizeof(t->effect_bytes)) {
        x86emu_not_emulated(x, X86EMU_REASON_LIMIT);
        return NULL;
    }
    *effect = (struct x86emu_effect){.size = (uint16_t)size,
                                     .count = (uint16_t)count,
                                     .first_size = (uint16_t)bytes,
                                     .data = t->effect_used,
                                     .kind = (uint8_t)kind};
    if (bytes != 0)
        copy_bytes(&t->effect_bytes[t->effect_used], data, bytes);
    t->effect_count++;
    t->effect_used = (uint16_t)(t->effect_used + bytes);
    return effect;
}

static bool request_read(struct exec *x, const struct target *target, uint64_t la, unsigned flags)
{
    struct x86emu_request *request = x86emu_ask(x, X86EMU_REQUEST_READ, target->gpa, target->size, 1);

    request->gva = la;
    request->flags = (uint16_t)flags;
    return x86emu_present(x);
}

bool x86emu_device_read(struct exec *x, const struct target *target, unsigned count, int stride, void *data)
{
    const struct x86emu_region *region = target->region;

    x->emu->transaction.outside = true;
    if (region->read(region->opaque, target->gpa - region->gpa, target->size, count, stride, data))
        return true;
    x86emu_unmapped(x, target->gpa, X86EMU_ACCESS_READ);
    return false;
}

/* Reads the next piece of an access: as much as one page, one region and its width allow. */
static bool read_piece(struct exec *x, const struct span *span, unsigned use, struct x86emu_read *read)
{
    unsigned left;
    uint64_t gpa = gpa_of_byte(span, read->size, read->done, &left);
    struct target target = x86emu_target(x, gpa, left, X86EMU_ACCESS_READ);
    uint8_t *data = &x->emu->transaction.read_bytes[read->data + read->done];

    switch (target.kind) {
    case TARGET_RAM:
        x86emu_ram_load(data, target.ram, target.size);
        break;
    case TARGET_DEVICE:
        if (!x86emu_device_read(x, &target, 1, 0, data))
            return false;
        break;
    case TARGET_REQUEST:
        return request_read(x, &target, span->la == 0 ? 0 : span->la + read->done,
                            (use & USE_RMW ? X86EMU_REQUEST_FOR_RMW : 0u) |
                                (target.size < read->size ? X86EMU_REQUEST_PARTIAL : 0u));
    default:
        return false;
    }
    read->done = (uint16_t)(read->done + target.size);
    return true;
}

uint64_t x86emu_physical_load(struct exec *x, uint64_t gpa)
{
    const struct span span = {.gpa = gpa, .first_size = 8};
    struct x86emu_read *read = x86emu_next_read(x, X86EMU_REQUEST_READ, gpa, 8);

    if (read == NULL)
        return 0;
    while (read->done < 8)
        if (!read_piece(x, &span, USE_PLAIN, read))
            return 0;
    return load_le(&x->emu->transaction.read_bytes[read->data], 8);
}

bool x86emu_memory_read(struct exec *x, struct logical address, unsigned size, unsigned use, void *data)
{
    unsigned access = X86EMU_ACCESS_READ | (use & USE_RMW ? X86EMU_ACCESS_WRITE : 0u);
    struct x86emu_read *read;
    struct span span;

    if (!x86emu_locate(x, address, size, access, use, &span))
        return false;
    if (span.host != NULL && !(use & USE_RMW) &&
        !x->log_all) { /* reading RAM again, should the instruction run again, is no harm */
        x86emu_ram_load(data, span.host, size);
        return true;
    }
    read = x86emu_next_read(x, X86EMU_REQUEST_READ, span.gpa, size);
    if (read == NULL)
        return false;
    while (read->done < size)
        if (!read_piece(x, &span, use, read))
            return false;
    if (use & USE_RMW)
        x->rmw_read = (uint8_t)(x->read_cursor - 1);
    copy_bytes(data, &x->emu->transaction.read_bytes[read->data], size);
    return true;
}

void x86emu_effect_place(struct x86emu_effect *effect, const struct span *span)
{
    effect->la = span->la;
    effect->host = span->host;
    effect->gpa = span->gpa;
    effect->gpa_second = span->gpa_second;
    effect->first_size = span->first_size;
}

bool x86emu_memory_write(struct exec *x, struct logical address, unsigned size, const void *data)
{
    return x86emu_memory_store(x, address, size, USE_PLAIN, data);
}

bool x86emu_memory_store(struct exec *x, struct logical address, unsigned size, unsigned use, const void *data)
{
    struct x86emu_effect *effect;
    struct span span;

    if (!x86emu_locate(x, address, size, X86EMU_ACCESS_WRITE, use, &span))
        return false;
    effect = x86emu_effect_add(x, X86EMU_REQUEST_WRITE, size, 1, data);
    if (effect == NULL)
        return false;
    x86emu_effect_place(effect, &span);
    return true;
}

bool x86emu_memory_modify(struct exec *x, struct logical address, unsigned size, const void *data)
{
    struct x86emu_effect *effect;
    struct span span;

    if (!x86emu_locate(x, address, size, X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE, USE_RMW, &span))
        return false;
    effect = x86emu_effect_add(x, X86EMU_REQUEST_RMW, size, 1, data);
    if (effect == NULL)
        return false;
    x86emu_effect_place(effect, &span);
    effect->read = x->rmw_read;
    effect->flags = x->locked ? X86EMU_REQUEST_LOCKED : 0;
    return true;
}
