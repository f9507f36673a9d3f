/* SPDX-License-Identifier: BSD-2-Clause */
/* FXSAVE, FXRSTOR, and the save area's legacy region (SDM Vol. 1, 10.5). */
#include "xsave.h"

#include "generated/functions.h"

#define FX_SIZE 512

/* --- the legacy region -------------------------------------------------------------------------------------------- */

static bool wide(const struct exec *x)
{
    return x->insn->rex & X86EMU_REX_W;
}

static uint8_t abridged(uint16_t tag)
{
    uint8_t bits = 0;

    for (unsigned i = 0; i < 8; i++)
        bits |= (uint8_t)(((tag >> 2 * i & 3) != 3) << i);
    return bits;
}

static uint16_t full(uint8_t bits)
{
    uint16_t tag = 0;

    for (unsigned i = 0; i < 8; i++)
        tag |= (uint16_t)((bits >> i & 1 ? 0u : 3u) << 2 * i);
    return tag;
}

static void make_x87(const struct exec *x, uint8_t *area)
{
    const struct x86emu_x87 *x87 = &x->vcpu->x87;
    unsigned top = x87->status >> 11 & 7;

    store_le(area, x87->control, 2);
    store_le(area + 2, x87->status, 2);
    area[4] = abridged(x87->tag);
    area[5] = 0;
    store_le(area + 6, x87->opcode, 2);
    store_le(area + 8, x87->ip, wide(x) ? 8 : 4);
    store_le(area + 16, x87->dp, wide(x) ? 8 : 4);
    if (!wide(x)) {
        store_le(area + 12, x87->cs, 4);
        store_le(area + 20, x87->ds, 4);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *st = area + AT_ST + 16 * i;

        store_le(st, x87->st[(top + i) & 7].mantissa, 8);
        store_le(st + 8, x87->st[(top + i) & 7].exponent, 8);
    }
}

void x86emu_legacy_make(const struct exec *x, uint8_t *area, unsigned count)
{
    clear_bytes(area, LEGACY_SIZE);
    make_x87(x, area);
    store_le(area + AT_MXCSR, x->vcpu->mxcsr, 4);
    store_le(area + AT_MXCSR + 4, MXCSR_MASK, 4);
    for (unsigned i = 0; i < count; i++)
        copy_bytes(area + AT_XMM + 16 * i, x->vcpu->zmm[i].u8, 16);
}

void x86emu_legacy_take_x87(struct exec *x, const uint8_t *area)
{
    struct x86emu_x87 *x87 = &x->vcpu->x87;
    unsigned status = (unsigned)load_le(area + 2, 2) & 0x7f7f, top = status >> 11 & 7;

    x87->control = (uint16_t)((load_le(area, 2) & 0x1f3f) | 0x40);
    x87->status = (uint16_t)(status & ~x87->control & 0x3f ? status | 0x8080 : status & ~0x80u);
    x87->tag = full(area[4]);
    x87->opcode = (uint16_t)load_le(area + 6, 2) & 0x7ff;
    x87->ip = load_le(area + 8, wide(x) ? 8 : 4);
    x87->dp = load_le(area + 16, wide(x) ? 8 : 4);
    x87->cs = x87->ds = 0;
    for (unsigned i = 0; i < 8; i++) {
        x87->st[(top + i) & 7].mantissa = load_le(area + AT_ST + 16 * i, 8);
        x87->st[(top + i) & 7].exponent = (uint16_t)load_le(area + AT_ST + 16 * i + 8, 2);
    }
}

/* --- FXSAVE, FXRSTOR ---------------------------------------------------------------------------------------------- */

/* The area's address, once segment and alignment are found good. */
bool x86emu_area_address(struct exec *x, unsigned size, unsigned alignment, unsigned access, struct logical *a)
{
    uint64_t la;

    if (!x86emu_operand_address(x, 0, a) || !x86emu_linear(x, *a, size, access, &la))
        return false;
    if (((a->offset + x86emu_segment_base(x, a->segment)) & (alignment - 1)) != 0 && x86emu_alignment_checked(x, *a, 4))
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return !x->stopped;
}

bool x86emu_area_write(struct exec *x, struct logical a, unsigned at, const uint8_t *bytes, unsigned size)
{
    for (unsigned done = 0; done < size; done += CHUNK) {
        if (!x86emu_memory_write(x, beyond(x, a, at + done), least(CHUNK, size - done), bytes + done))
            return false;
    }
    return true;
}

bool x86emu_area_read(struct exec *x, struct logical a, unsigned at, uint8_t *bytes, unsigned size)
{
    for (unsigned done = 0; done < size; done += CHUNK) {
        if (!x86emu_memory_read(x, beyond(x, a, at + done), least(CHUNK, size - done), USE_UNALIGNED, bytes + done))
            return false;
    }
    return true;
}

static bool fx_usable(struct exec *x)
{
    if (x->vcpu->cr0 & (X86EMU_CR0_EM | X86EMU_CR0_TS))
        x86emu_raise(x, X86EMU_VECTOR_NM);
    return !x->stopped && need(x, X86EMU_STATE_X87 | X86EMU_STATE_VECTOR);
}

/* Bytes that are not written must be writable all the same. */
void x86emu_area_probe(struct exec *x, struct logical a, unsigned at, unsigned size)
{
    struct span span;

    if (x86emu_locate(x, beyond(x, a, at), 1, X86EMU_ACCESS_WRITE, USE_UNALIGNED, &span))
        x86emu_locate(x, beyond(x, a, at + size - 1), 1, X86EMU_ACCESS_WRITE, USE_UNALIGNED, &span);
}

/* AMD's fast form leaves XMM registers to whoever uses them (APM Vol. 2, 11.4.4.3). */
static unsigned fx_count(const struct exec *x)
{
    bool fast = x->vcpu->efer & X86EMU_EFER_FFXSR && x->cpl == 0 && x->mode == X86EMU_MODE_64;

    return fast ? 0 : register_count(x);
}

void x86emu_exec_fxsave(struct exec *x)
{
    uint8_t area[LEGACY_SIZE];
    struct logical a;

    if (!fx_usable(x) || !x86emu_area_address(x, FX_SIZE, 16, X86EMU_ACCESS_WRITE, &a))
        return;
    x86emu_legacy_make(x, area, fx_count(x));
    x86emu_area_write(x, a, 0, area, AT_XMM + 16 * fx_count(x));
    x86emu_area_probe(x, a, 0, FX_SIZE);
}

const uint8_t *x86emu_area_logged(const struct exec *x, unsigned piece)
{
    const struct x86emu_transaction *t = &x->emu->transaction;

    return &t->read_bytes[t->reads[piece].data];
}

void x86emu_area_copy(const struct exec *x, unsigned first, uint8_t *to, unsigned size)
{
    for (unsigned done = 0; done < size; done += CHUNK)
        copy_bytes(to + done, x86emu_area_logged(x, first + done / CHUNK), least(CHUNK, size - done));
}

static void finish_fxrstor(struct exec *x)
{
    uint8_t area[LEGACY_SIZE];

    x86emu_area_copy(x, 0, area, LEGACY_SIZE);
    x86emu_legacy_take_x87(x, area);
    x->vcpu->mxcsr = (uint32_t)load_le(area + AT_MXCSR, 4);
    for (unsigned i = 0; i < fx_count(x); i++)
        copy_bytes(x->vcpu->zmm[i].u8, area + AT_XMM + 16 * i, 16);
}

void x86emu_exec_fxrstor(struct exec *x)
{
    uint8_t area[FX_SIZE];
    struct logical a;

    if (!fx_usable(x) || !x86emu_area_address(x, FX_SIZE, 16, X86EMU_ACCESS_READ, &a))
        return;
    x->log_all = true;
    if (!x86emu_area_read(x, a, 0, area, FX_SIZE))
        return;
    if (load_le(area + AT_MXCSR, 4) & ~MXCSR_MASK)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    x->staged |= X86EMU_STATE_X87 | X86EMU_STATE_VECTOR;
    x->finish = finish_fxrstor;
}
