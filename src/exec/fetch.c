/* SPDX-License-Identifier: BSD-2-Clause */
/* Getting the instruction's bytes: from the exit, from the page at RIP, from the next page only if needed. */
#include "fetch.h"
#include "cache.h"

/* The exit's bytes count as fetched; a missing rest is fetched behind them. */
void x86emu_fetch_begin(struct x86emu *emu)
{
    const struct x86emu_hint *hint = &emu->transaction.hint;

    emu->byte_count = (uint8_t)least(hint->byte_count, X86EMU_MAX_INSN_LENGTH);
    if (emu->byte_count != 0)
        copy_bytes(emu->bytes, hint->bytes, emu->byte_count);
}

/* Linear address of instruction byte number offset, and how many may follow it. False: stopped. */
static bool fetch_address(struct exec *x, unsigned offset, uint64_t *la, unsigned *room)
{
    const struct x86emu_segment *cs = &x->vcpu->segment[X86EMU_CS];
    uint64_t ip = (x->vcpu->rip + offset) & rip_mask(x);

    *room = X86EMU_MAX_INSN_LENGTH - offset;
    if (x->mode == X86EMU_MODE_64) {
        *la = ip;
        if (x86emu_is_canonical(ip, x->vcpu->cr4))
            return true;
    } else {
        *la = (cs->base + ip) & 0xffffffff;
        if (ip <= cs->limit) {
            *room = least(*room, cs->limit - ip + 1);
            return true;
        }
    }
    x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return false;
}

static bool request_fetch(struct exec *x, uint64_t la, uint64_t gpa, unsigned size)
{
    x86emu_ask(x, X86EMU_REQUEST_FETCH, gpa, size, 1)->gva = la;
    return x86emu_present(x);
}

/* Fetches size bytes, or as many as the region holds, from RAM or from a device that the guest may execute. */
static bool fetch_from_map(struct exec *x, uint64_t la, uint64_t gpa, unsigned size)
{
    struct x86emu *emu = x->emu;
    uint8_t *to = &emu->bytes[emu->byte_count];
    struct target target = x86emu_target(x, gpa, size, X86EMU_ACCESS_EXECUTE);

    if (target.kind == TARGET_NONE)
        return false;
    if (!(target.region->protection & X86EMU_ACCESS_EXECUTE)) {
        x86emu_unmapped(x, gpa, X86EMU_ACCESS_EXECUTE);
        return false;
    }
    if (target.kind == TARGET_REQUEST)
        return request_fetch(x, la, gpa, target.size);
    if (target.kind == TARGET_RAM)
        copy_bytes(to, target.ram, target.size);
    else if (!x86emu_device_read(x, &target, 1, 0, to))
        return false;
    emu->byte_count = (uint8_t)(emu->byte_count + target.size);
    return true;
}

/* Appends more bytes: as many as the page, the segment and the region hold. False: stopped. */
static bool fetch_more(struct exec *x)
{
    uint64_t la, gpa;
    unsigned room;

    if (!fetch_address(x, x->emu->byte_count, &la, &room))
        return false;
    room = least(room, X86EMU_PAGE_SIZE - la % X86EMU_PAGE_SIZE);
    if (!x86emu_translate(x, la, X86EMU_ACCESS_EXECUTE, &gpa))
        return false;
    if (x->emu->transaction.config.map != NULL)
        return fetch_from_map(x, la, gpa, room);
    return request_fetch(x, la, gpa, room);
}

/*
 * The exit's bytes are mostly all there is to fetch, even when they are few; and decoding is faster when it need not
 * look for their end.
 */
static bool decode_hinted(struct x86emu *emu, unsigned mode)
{
    return emu->byte_count != 0 &&
           x86emu_decode(&emu->insn, emu->bytes, sizeof(emu->bytes), mode) == X86EMU_DECODE_OK &&
           emu->insn.length <= emu->byte_count;
}

/* An address that the cache knows is canonical; a segment's end is left to the long way. */
struct x86emu_cached_insn *x86emu_fetch_cached(struct exec *x)
{
    const struct x86emu_segment *cs = &x->vcpu->segment[X86EMU_CS];
    unsigned mode = x->mode | x->emu->transaction.config.decode_options;
    uint64_t ip = x->vcpu->rip;

    if (x->mode == X86EMU_MODE_64)
        return x86emu_cache_find(x, ip, mode);
    ip &= 0xffffffff;
    if (ip > cs->limit || cs->limit - ip < X86EMU_MAX_INSN_LENGTH - 1)
        return NULL;
    return x86emu_cache_find(x, (cs->base + ip) & 0xffffffff, mode);
}

static bool take_cached(struct exec *x)
{
    struct x86emu_cached_insn *slot = x86emu_fetch_cached(x);

    if (slot == NULL)
        return false;
    cache_take(x, slot);
    cache_publish(x, slot);
    return true;
}

bool x86emu_fetch(struct exec *x)
{
    struct x86emu *emu = x->emu;
    unsigned mode = x->mode | emu->transaction.config.decode_options;

    if (x->cache != NULL && emu->byte_count == 0 && !(emu->transaction.hint.flags & X86EMU_HINT_GPA) && take_cached(x))
        return true;
    if (decode_hinted(emu, mode))
        return true;
    for (;;) {
        switch (x86emu_decode(&emu->insn, emu->bytes, emu->byte_count, mode)) {
        case X86EMU_DECODE_OK:
            return true;
        case X86EMU_DECODE_TRUNCATED:
            if (!fetch_more(x))
                return false;
            break;
        case X86EMU_DECODE_INVALID:
            x86emu_raise(x, X86EMU_VECTOR_UD);
            return false;
        case X86EMU_DECODE_TOO_LONG:
            x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
            return false;
        default:
            x86emu_end_run(x, X86EMU_BAD_CONFIG);
            return false;
        }
    }
}
