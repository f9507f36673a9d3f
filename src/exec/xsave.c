/* SPDX-License-Identifier: BSD-2-Clause */
/* FXSAVE, FXRSTOR and the XSAVE family (SDM Vol. 1, 10.5 and 13). AMX tiles are not among the components. */
#include "flags.h"
#include "generated/functions.h"
#include "memory.h"

/* The legacy region. */
enum {
    AT_ST = 32,
    AT_XMM = 160,
    AT_MXCSR = 24,
    LEGACY_SIZE = 416, /* what FXSAVE writes; the last 96 bytes are software's */
    FX_SIZE = 512,
    AT_HEADER = 512,
    HEADER_SIZE = 64,
    AT_EXTENDED = 576,
    CHUNK = 64,
};

enum {
    X87 = 0,
    SSE = 1,
    AVX = 2,
    OPMASK = 5,
    ZMM_HIGH = 6,
    ZMM_16 = 7,
    KEYS = 9,
    COMPONENTS = 10,
};

/* Sizes and standard places (CPUID leaf 0DH on every processor that has them). */
static const struct component {
    uint16_t size, at;
    bool aligned;
} components[COMPONENTS] = {
    [AVX] = {256, 576, false},      [OPMASK] = {64, 1088, false}, [ZMM_HIGH] = {512, 1152, false},
    [ZMM_16] = {1024, 1664, false}, [KEYS] = {8, 2688, false},
};

#define SUPPORTED ((UINT64_C(7)) | (UINT64_C(7) << OPMASK) | (UINT64_C(1) << KEYS))
#define COMPACTED (UINT64_C(1) << 63)

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

static void take_x87(struct exec *x, const uint8_t *area)
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

static void init_x87(struct x86emu_vcpu *vcpu)
{
    vcpu->x87 = (struct x86emu_x87){.control = 0x37f, .tag = 0xffff};
}

static unsigned xmm_count(const struct exec *x)
{
    return x->mode == X86EMU_MODE_64 ? 16 : 8;
}

/* --- FXSAVE, FXRSTOR ---------------------------------------------------------------------------------------------- */

/* The area's address, once segment and alignment are found good. */
static bool area_address(struct exec *x, unsigned size, unsigned alignment, unsigned access, struct logical *a)
{
    uint64_t la;

    if (!x86emu_operand_address(x, 0, a) || !x86emu_linear(x, *a, size, access, &la))
        return false;
    if (((a->offset + x86emu_segment_base(x, a->segment)) & (alignment - 1)) != 0 && x86emu_alignment_checked(x, *a, 4))
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return !x->stopped;
}

static bool write_area(struct exec *x, struct logical a, unsigned at, const uint8_t *bytes, unsigned size)
{
    for (unsigned done = 0; done < size; done += CHUNK) {
        struct logical chunk = {a.segment, (a.offset + at + done) & size_mask(x->insn->address_size)};

        if (!x86emu_memory_write(x, chunk, least(CHUNK, size - done), bytes + done))
            return false;
    }
    return true;
}

static bool read_area(struct exec *x, struct logical a, unsigned at, uint8_t *bytes, unsigned size)
{
    for (unsigned done = 0; done < size; done += CHUNK) {
        struct logical chunk = {a.segment, (a.offset + at + done) & size_mask(x->insn->address_size)};

        if (!x86emu_memory_read(x, chunk, least(CHUNK, size - done), USE_UNALIGNED, bytes + done))
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
static void probe(struct exec *x, struct logical a, unsigned at, unsigned size)
{
    const struct logical first = {a.segment, (a.offset + at) & size_mask(x->insn->address_size)};
    const struct logical last = {a.segment, (a.offset + at + size - 1) & size_mask(x->insn->address_size)};
    struct span span;

    if (x86emu_locate(x, first, 1, X86EMU_ACCESS_WRITE, USE_UNALIGNED, &span))
        x86emu_locate(x, last, 1, X86EMU_ACCESS_WRITE, USE_UNALIGNED, &span);
}

void x86emu_exec_fxsave(struct exec *x)
{
    uint8_t area[LEGACY_SIZE] = {0};
    struct logical a;

    if (!fx_usable(x) || !area_address(x, 512, 16, X86EMU_ACCESS_WRITE, &a))
        return;
    make_x87(x, area);
    store_le(area + AT_MXCSR, x->vcpu->mxcsr, 4);
    store_le(area + AT_MXCSR + 4, 0xffff, 4);
    for (unsigned i = 0; i < xmm_count(x); i++)
        copy_bytes(area + AT_XMM + 16 * i, x->vcpu->zmm[i].u8, 16);
    write_area(x, a, 0, area, AT_XMM + 16 * xmm_count(x));
    probe(x, a, 0, FX_SIZE);
}

/* What was read is in the log, from the first entry of this run on, in pieces of CHUNK. */
static const uint8_t *logged(const struct exec *x, unsigned piece)
{
    const struct x86emu_transaction *t = &x->emu->transaction;

    return &t->read_bytes[t->reads[piece].data];
}

static void copy_logged(const struct exec *x, unsigned first, uint8_t *to, unsigned size)
{
    for (unsigned done = 0; done < size; done += CHUNK)
        copy_bytes(to + done, logged(x, first + done / CHUNK), least(CHUNK, size - done));
}

static void finish_fxrstor(struct exec *x)
{
    uint8_t area[LEGACY_SIZE];

    copy_logged(x, 0, area, LEGACY_SIZE);
    take_x87(x, area);
    x->vcpu->mxcsr = (uint32_t)load_le(area + AT_MXCSR, 4);
    for (unsigned i = 0; i < xmm_count(x); i++)
        copy_bytes(x->vcpu->zmm[i].u8, area + AT_XMM + 16 * i, 16);
}

void x86emu_exec_fxrstor(struct exec *x)
{
    uint8_t area[FX_SIZE];
    struct logical a;

    if (!fx_usable(x) || !area_address(x, 512, 16, X86EMU_ACCESS_READ, &a))
        return;
    x->log_all = true;
    if (!read_area(x, a, 0, area, FX_SIZE))
        return;
    if (load_le(area + AT_MXCSR, 4) & ~UINT64_C(0xffff))
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    x->staged |= X86EMU_STATE_X87 | X86EMU_STATE_VECTOR;
    x->finish = finish_fxrstor;
}

/* --- XSAVE -------------------------------------------------------------------------------------------------------- */

static uint64_t requested(struct exec *x)
{
    return ((gpr(x, X86EMU_RDX) & 0xffffffff) << 32 | (gpr(x, X86EMU_RAX) & 0xffffffff)) & x->vcpu->xcr0;
}

static bool xsave_usable(struct exec *x)
{
    if (!(x->vcpu->cr4 & X86EMU_CR4_OSXSAVE))
        x86emu_raise(x, X86EMU_VECTOR_UD);
    else if (x->vcpu->cr0 & X86EMU_CR0_TS)
        x86emu_raise(x, X86EMU_VECTOR_NM);
    return !x->stopped && need(x, X86EMU_STATE_X87 | X86EMU_STATE_VECTOR | X86EMU_STATE_OPMASK | X86EMU_STATE_XCR0 |
                                      X86EMU_STATE_KEYS);
}

static bool all_zero(const uint8_t *bytes, unsigned size)
{
    uint8_t any = 0;

    for (unsigned i = 0; i < size; i++)
        any |= bytes[i];
    return any == 0;
}

/* Where byte number at of a component is in the vCPU, and how many bytes from there on are together. */
static uint8_t *component_bytes(struct x86emu_vcpu *vcpu, unsigned c, unsigned at, unsigned *together)
{
    switch (c) {
    case AVX:
        *together = 16 - at % 16;
        return vcpu->zmm[at / 16].u8 + 16 + at % 16;
    case OPMASK:
        *together = 64 - at;
        return (uint8_t *)vcpu->k + at;
    case ZMM_HIGH:
        *together = 32 - at % 32;
        return vcpu->zmm[at / 32].u8 + 32 + at % 32;
    case ZMM_16:
        *together = 64 - at % 64;
        return vcpu->zmm[16 + at / 64].u8 + at % 64;
    default:
        *together = at < 4 ? 4 - at : 0;
        return (uint8_t *)&vcpu->pkru + at;
    }
}

/* Copies one piece of a component to or, if from is given, from the vCPU. */
static void move_piece(struct x86emu_vcpu *vcpu, unsigned c, unsigned at, unsigned size, uint8_t *to,
                       const uint8_t *from)
{
    unsigned together;

    for (unsigned done = 0; done < size; done += together) {
        uint8_t *bytes = component_bytes(vcpu, c, at + done, &together);

        if (together == 0)
            return;
        together = least(together, size - done);
        if (from != NULL)
            copy_bytes(bytes, from + done, together);
        else
            copy_bytes(to + done, bytes, together);
    }
}

/* Outside 64-bit mode there are eight registers: how much of a component is moved. */
static unsigned moved_size(const struct exec *x, unsigned c)
{
    if (x->mode == X86EMU_MODE_64)
        return components[c].size;
    return c == AVX || c == ZMM_HIGH ? components[c].size / 2u : c == ZMM_16 ? 0 : components[c].size;
}

static void write_component(struct exec *x, struct logical a, unsigned at, unsigned c)
{
    unsigned size = moved_size(x, c);
    uint8_t bytes[CHUNK];

    for (unsigned done = 0; done < size; done += CHUNK) {
        clear_bytes(bytes, CHUNK);
        move_piece(x->vcpu, c, done, least(CHUNK, size - done), bytes, NULL);
        write_area(x, a, at + done, bytes, least(CHUNK, size - done));
    }
}

/* Reads a component into the log, whole. */
static bool log_component(struct exec *x, struct logical a, unsigned at, unsigned c)
{
    uint8_t bytes[CHUNK];

    for (unsigned done = 0; done < components[c].size; done += CHUNK)
        if (!read_area(x, a, at + done, bytes, least(CHUNK, components[c].size - done)))
            return false;
    return true;
}

/* Takes it from the log, from piece on; or makes it initial. */
static void take_component(struct exec *x, unsigned c, bool present, unsigned piece)
{
    static const uint8_t zero[CHUNK];
    unsigned size = moved_size(x, c);

    for (unsigned done = 0; done < size; done += CHUNK)
        move_piece(x->vcpu, c, done, least(CHUNK, size - done), NULL, present ? logged(x, piece + done / CHUNK) : zero);
}

/* Components that are not as after INIT. */
static uint64_t in_use(const struct exec *x)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    const struct x86emu_x87 *x87 = &vcpu->x87;
    bool initial = x87->control == 0x37f && x87->status == 0 && x87->tag == 0xffff && x87->ip == 0 && x87->dp == 0 &&
                   x87->opcode == 0 && all_zero((const uint8_t *)x87->st, sizeof(x87->st));
    uint64_t used = initial ? 0 : 1 << X87;

    for (unsigned i = 0; i < 16; i++) {
        used |= all_zero(vcpu->zmm[i].u8, 16) ? 0 : 1 << SSE;
        used |= all_zero(vcpu->zmm[i].u8 + 16, 16) ? 0 : 1 << AVX;
        used |= all_zero(vcpu->zmm[i].u8 + 32, 32) ? 0 : 1 << ZMM_HIGH;
        used |= all_zero(vcpu->zmm[16 + i].u8, 64) || x->mode != X86EMU_MODE_64 ? 0 : 1 << ZMM_16;
    }
    used |= all_zero((const uint8_t *)vcpu->k, sizeof(vcpu->k)) ? 0 : 1 << OPMASK;
    return used | (vcpu->pkru == 0 ? 0 : 1 << KEYS);
}

/* Where component c is in an area of this format. */
static unsigned place_of(unsigned c, uint64_t format)
{
    unsigned at = AT_EXTENDED;

    if (!(format & COMPACTED))
        return components[c].at;
    for (unsigned i = AVX; i < c; i++)
        if (format >> i & 1)
            at += components[i].size;
    return at;
}

/* The components to be written, under what is in use for the optimised and compacted forms. */
static void save(struct exec *x, bool optimised, bool compacted)
{
    uint8_t area[AT_XMM + 256] = {0}, bytes[8];
    uint64_t wanted, used, written, format, header;
    struct logical a;

    if (!xsave_usable(x) || !area_address(x, AT_EXTENDED, 64, X86EMU_ACCESS_WRITE, &a))
        return;
    wanted = requested(x);
    if (wanted & ~SUPPORTED) {
        x86emu_not_emulated(x, X86EMU_REASON_COMPONENT);
        return;
    }
    used = in_use(x);
    format = compacted ? wanted | COMPACTED : 0;
    written = optimised || compacted ? wanted & used : wanted;
    if (compacted && wanted & 1 << SSE && x->vcpu->mxcsr != 0x1f80)
        written |= 1 << SSE;
    make_x87(x, area);
    store_le(area + AT_MXCSR, x->vcpu->mxcsr, 4);
    store_le(area + AT_MXCSR + 4, 0xffff, 4);
    for (unsigned i = 0; i < xmm_count(x); i++)
        copy_bytes(area + AT_XMM + 16 * i, x->vcpu->zmm[i].u8, 16);
    if (written & 1 << X87) {
        write_area(x, a, 0, area, AT_MXCSR);
        write_area(x, a, AT_ST, area + AT_ST, 128);
    }
    if (wanted & (1 << SSE | 1 << AVX) && (!compacted || written & 1 << SSE))
        write_area(x, a, AT_MXCSR, area + AT_MXCSR, 8);
    if (written & 1 << SSE)
        write_area(x, a, AT_XMM, area + AT_XMM, 16 * xmm_count(x));
    for (unsigned c = AVX; c < COMPONENTS; c++) {
        if (moved_size(x, c) != components[c].size && wanted >> c & 1)
            probe(x, a, place_of(c, format), components[c].size);
        if (!(written >> c & 1))
            continue;
        write_component(x, a, place_of(c, format), c);
    }
    if (compacted) {
        uint8_t both[16];

        store_le64(both, written);
        store_le64(both + 8, format);
        write_area(x, a, AT_HEADER, both, 16);
        return;
    }
    a.offset = (a.offset + AT_HEADER) & size_mask(x->insn->address_size);
    if (!x86emu_memory_read(x, a, 8, USE_RMW | USE_UNALIGNED, bytes))
        return;
    header = (load_le64(bytes) & ~wanted) | (wanted & used);
    store_le64(bytes, header);
    x86emu_memory_modify(x, a, 8, bytes);
}

void x86emu_exec_xsave(struct exec *x)
{
    save(x, false, false);
}

/* The optimisation for what has not changed since the last XRSTOR is left to processors. */
void x86emu_exec_xsaveopt(struct exec *x)
{
    save(x, true, false);
}

void x86emu_exec_xsavec(struct exec *x)
{
    save(x, true, true);
}

void x86emu_exec_xsaves(struct exec *x)
{
    if (x->cpl != 0)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    else
        save(x, true, true);
}

/* --- XRSTOR ------------------------------------------------------------------------------------------------------- */

struct restore {
    uint64_t wanted, present, format;
};

/* Both runs, the checking one and the committing one, walk through the area in the same order. */
static struct restore read_restore(const struct exec *x, const uint8_t *header)
{
    struct restore r = {.present = load_le64(header), .format = load_le64(header + 8)};

    r.wanted =
        ((x->vcpu->gpr[X86EMU_RDX] & 0xffffffff) << 32 | (x->vcpu->gpr[X86EMU_RAX] & 0xffffffff)) & x->vcpu->xcr0;
    return r;
}

static bool header_valid(const struct exec *x, const uint8_t *header, bool supervisor)
{
    uint64_t present = load_le64(header), format = load_le64(header + 8);

    if (format & COMPACTED)
        return (format & ~COMPACTED & ~x->vcpu->xcr0) == 0 && (present & ~format) == 0 &&
               all_zero(header + 16, HEADER_SIZE - 16);
    return !supervisor && (present & ~x->vcpu->xcr0) == 0 && format == 0 && all_zero(header + 16, 8);
}

static void finish_xrstor(struct exec *x)
{
    const struct restore r = read_restore(x, logged(x, 0));
    uint64_t load = r.wanted & r.present;
    uint8_t bytes[LEGACY_SIZE];
    unsigned piece = 1 + LEGACY_SIZE / CHUNK + 1;

    copy_logged(x, 1, bytes, LEGACY_SIZE);
    if (r.wanted & 1 << X87) {
        if (load & 1 << X87)
            take_x87(x, bytes);
        else
            init_x87(x->vcpu);
    }
    if (r.wanted & (1 << SSE | 1 << AVX) && (!(r.format & COMPACTED) || load & 1 << SSE))
        x->vcpu->mxcsr = (uint32_t)load_le(bytes + AT_MXCSR, 4);
    else if (r.wanted & 1 << SSE)
        x->vcpu->mxcsr = 0x1f80;
    for (unsigned i = 0; r.wanted & 1 << SSE && i < xmm_count(x); i++) {
        if (load & 1 << SSE)
            copy_bytes(x->vcpu->zmm[i].u8, bytes + AT_XMM + 16 * i, 16);
        else
            clear_bytes(x->vcpu->zmm[i].u8, 16);
    }
    for (unsigned c = AVX; c < COMPONENTS; c++) {
        if (components[c].size == 0 || !(r.wanted >> c & 1))
            continue;
        take_component(x, c, load >> c & 1, piece);
        if (load >> c & 1)
            piece += (components[c].size + CHUNK - 1u) / CHUNK;
    }
}

static void restore(struct exec *x, bool supervisor)
{
    uint8_t header[HEADER_SIZE], bytes[LEGACY_SIZE];
    struct logical a;
    struct restore r;

    if (!xsave_usable(x) || !area_address(x, AT_EXTENDED, 64, X86EMU_ACCESS_READ, &a))
        return;
    x->log_all = true;
    if (!read_area(x, a, AT_HEADER, header, HEADER_SIZE))
        return;
    if (!header_valid(x, header, supervisor)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    r = read_restore(x, header);
    if (r.wanted & ~SUPPORTED) {
        x86emu_not_emulated(x, X86EMU_REASON_COMPONENT);
        return;
    }
    if (!read_area(x, a, 0, bytes, LEGACY_SIZE))
        return;
    if (r.wanted & (1 << SSE | 1 << AVX) && (!(r.format & COMPACTED) || r.wanted & r.present & 1 << SSE) &&
        load_le(bytes + AT_MXCSR, 4) & ~UINT64_C(0xffff))
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    for (unsigned c = AVX; c < COMPONENTS; c++)
        if (components[c].size != 0 && r.wanted & r.present & UINT64_C(1) << c &&
            !log_component(x, a, place_of(c, r.format), c))
            return;
    x->staged |= X86EMU_STATE_X87 | X86EMU_STATE_VECTOR | X86EMU_STATE_OPMASK | X86EMU_STATE_KEYS;
    x->finish = finish_xrstor;
}

void x86emu_exec_xrstor(struct exec *x)
{
    restore(x, false);
}

void x86emu_exec_xrstors(struct exec *x)
{
    if (x->cpl != 0)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    else
        restore(x, true);
}

/* --- MOVDIR64B ---------------------------------------------------------------------------------------------------- */

/* 64 bytes from memory to the aligned address in the register, through ES, as one write. */
void x86emu_exec_movdir64b(struct exec *x)
{
    unsigned segment = x->mode == X86EMU_MODE_64 ? X86EMU_DS : X86EMU_ES;
    struct logical to = {(uint8_t)segment, read_operand(x, 0) & size_mask(x->insn->address_size)}, from;
    uint8_t bytes[64];

    if (x->stopped || !x86emu_operand_address(x, 1, &from))
        return;
    if (!x86emu_memory_read(x, from, 64, USE_PLAIN, bytes))
        return;
    if ((to.offset + x86emu_segment_base(x, segment)) & 63)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    x86emu_memory_write(x, to, 64, bytes);
}
