/* SPDX-License-Identifier: BSD-2-Clause */
/* The XSAVE family (SDM Vol. 1, 13): components, their places, which of them are written and read. */
#include "xsave.h"

#include "generated/functions.h"

enum {
    AT_HEADER = 512,
    HEADER_SIZE = 64,
    AT_EXTENDED = 576,
};

/* Components by their number in XCR0. Those of a vCPU end here: AMX tiles, supervisor state and others are not in it. */
enum {
    X87 = 0,
    SSE = 1,
    AVX = 2,
    OPMASK = 5,
    ZMM_HIGH = 6,
    ZMM_16 = 7,
    KEYS = 9,
    COMPONENTS = X86EMU_XSAVE_COMPONENTS,
};

#define BIT(c) (UINT64_C(1) << (c))
#define SUPPORTED (BIT(X87) | BIT(SSE) | BIT(AVX) | BIT(OPMASK) | BIT(ZMM_HIGH) | BIT(ZMM_16) | BIT(KEYS))
#define NEEDED                                                                                             \
    (X86EMU_STATE_GPR | X86EMU_STATE_X87 | X86EMU_STATE_VECTOR | X86EMU_STATE_OPMASK | X86EMU_STATE_XCR0 | \
     X86EMU_STATE_KEYS)
#define COMPACTED (UINT64_C(1) << 63)

/* Sizes, and where Intel's processors have them in the standard format. */
static const struct component {
    uint16_t size, at;
} components[COMPONENTS] = {
    [AVX] = {256, 576}, [OPMASK] = {64, 1088}, [ZMM_HIGH] = {512, 1152}, [ZMM_16] = {1024, 1664}, [KEYS] = {8, 2688},
};

/* Components that the instruction may name: supervisor ones only in XSAVES and XRSTORS. */
static uint64_t enabled(const struct exec *x, bool supervisor)
{
    return x->vcpu->xcr0 | (supervisor ? x->vcpu->xss : 0);
}

static uint64_t requested(const struct exec *x, bool supervisor)
{
    const uint64_t *gpr = x->vcpu->gpr;

    return ((gpr[X86EMU_RDX] & 0xffffffff) << 32 | (gpr[X86EMU_RAX] & 0xffffffff)) & enabled(x, supervisor);
}

static bool xsave_usable(struct exec *x, bool supervisor)
{
    if (!(x->vcpu->cr4 & X86EMU_CR4_OSXSAVE))
        x86emu_raise(x, X86EMU_VECTOR_UD);
    else if (supervisor && x->cpl != 0)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    else if (x->vcpu->cr0 & X86EMU_CR0_TS)
        x86emu_raise(x, X86EMU_VECTOR_NM);
    return !x->stopped && need(x, NEEDED);
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
        x86emu_area_write(x, a, at + done, bytes, least(CHUNK, size - done));
    }
}

/* Reads a component into the log, whole. */
static bool log_component(struct exec *x, struct logical a, unsigned at, unsigned c)
{
    uint8_t bytes[CHUNK];

    for (unsigned done = 0; done < components[c].size; done += CHUNK)
        if (!x86emu_area_read(x, a, at + done, bytes, least(CHUNK, components[c].size - done)))
            return false;
    return true;
}

/* Takes it from the log, from piece on; or makes it initial. */
static void take_component(struct exec *x, unsigned c, bool present, unsigned piece)
{
    static const uint8_t zero[CHUNK];
    unsigned size = moved_size(x, c);

    for (unsigned done = 0; done < size; done += CHUNK)
        move_piece(x->vcpu, c, done, least(CHUNK, size - done), NULL,
                   present ? x86emu_area_logged(x, piece + done / CHUNK) : zero);
}

/* Components that are not as after INIT. */
static uint64_t in_use(const struct exec *x)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    const struct x86emu_x87 *x87 = &vcpu->x87;
    bool initial = x87->control == 0x37f && x87->status == 0 && x87->tag == 0xffff && x87->ip == 0 && x87->dp == 0 &&
                   x87->opcode == 0 && all_zero((const uint8_t *)x87->st, sizeof(x87->st));
    uint64_t used = initial ? 0 : BIT(X87);

    for (unsigned i = 0; i < 16; i++) {
        used |= all_zero(vcpu->zmm[i].u8, 16) ? 0 : BIT(SSE);
        used |= all_zero(vcpu->zmm[i].u8 + 16, 16) ? 0 : BIT(AVX);
        used |= all_zero(vcpu->zmm[i].u8 + 32, 32) ? 0 : BIT(ZMM_HIGH);
        used |= all_zero(vcpu->zmm[16 + i].u8, 64) || x->mode != X86EMU_MODE_64 ? 0 : BIT(ZMM_16);
    }
    used |= all_zero((const uint8_t *)vcpu->k, sizeof(vcpu->k)) ? 0 : BIT(OPMASK);
    return used | (vcpu->pkru == 0 ? 0 : BIT(KEYS));
}

/* Where component c is in an area of this format. */
static unsigned place_of(const struct exec *x, unsigned c, uint64_t format)
{
    const uint16_t *offsets = x->emu->transaction.config.xsave_offsets;
    unsigned at = AT_EXTENDED;

    if (!(format & COMPACTED))
        return offsets[c] != 0 ? offsets[c] : components[c].at;
    for (unsigned i = AVX; i < c; i++)
        if (format & BIT(i))
            at += components[i].size;
    return at;
}

/* --- XSAVE -------------------------------------------------------------------------------------------------------- */

struct saving {
    struct logical area;
    uint64_t wanted;  /* the bitmap of components requested */
    uint64_t used;    /* those that are not as after INIT */
    uint64_t written; /* those whose bytes are written */
    uint64_t format;  /* XCOMP_BV; 0: standard */
};

static void save_legacy(struct exec *x, const struct saving *s)
{
    uint8_t bytes[LEGACY_SIZE];
    bool mxcsr = s->format != 0 ? s->written & BIT(SSE) : s->wanted & (BIT(SSE) | BIT(AVX));

    x86emu_legacy_make(x, bytes, register_count(x));
    if (s->written & BIT(X87)) {
        x86emu_area_write(x, s->area, 0, bytes, AT_MXCSR);
        x86emu_area_write(x, s->area, AT_ST, bytes + AT_ST, AT_XMM - AT_ST);
    }
    if (mxcsr)
        x86emu_area_write(x, s->area, AT_MXCSR, bytes + AT_MXCSR, 8);
    if (s->written & BIT(SSE))
        x86emu_area_write(x, s->area, AT_XMM, bytes + AT_XMM, 16 * register_count(x));
}

static void save_extended(struct exec *x, const struct saving *s)
{
    for (unsigned c = AVX; c < COMPONENTS; c++) {
        unsigned at = place_of(x, c, s->format);

        if (moved_size(x, c) != components[c].size && s->wanted & BIT(c))
            x86emu_area_probe(x, s->area, at, components[c].size);
        if (s->written & BIT(c))
            write_component(x, s->area, at, c);
    }
}

/* The compacted forms write all of XSTATE_BV and XCOMP_BV; the others what they were asked for of XSTATE_BV. */
static void save_header(struct exec *x, struct saving *s)
{
    uint8_t bytes[16];

    if (s->format != 0) {
        store_le64(bytes, s->written);
        store_le64(bytes + 8, s->format);
        x86emu_area_write(x, s->area, AT_HEADER, bytes, sizeof(bytes));
        return;
    }
    s->area = beyond(x, s->area, AT_HEADER);
    if (!x86emu_memory_read(x, s->area, 8, USE_RMW | USE_UNALIGNED, bytes))
        return;
    store_le64(bytes, (load_le64(bytes) & ~s->wanted) | (s->wanted & s->used));
    x86emu_memory_modify(x, s->area, 8, bytes);
}

/* optimised: components as after INIT are not written. */
static void save(struct exec *x, bool optimised, bool compacted, bool supervisor)
{
    struct saving s;

    if (!xsave_usable(x, supervisor) || !x86emu_area_address(x, AT_EXTENDED, 64, X86EMU_ACCESS_WRITE, &s.area))
        return;
    s.wanted = requested(x, supervisor);
    if (s.wanted & ~SUPPORTED) {
        x86emu_not_emulated(x, X86EMU_REASON_COMPONENT);
        return;
    }
    s.used = in_use(x);
    s.format = compacted ? s.wanted | COMPACTED : 0;
    s.written = optimised ? s.wanted & s.used : s.wanted;
    if (compacted && x->vcpu->mxcsr != 0x1f80)
        s.written |= s.wanted & BIT(SSE);
    save_legacy(x, &s);
    save_extended(x, &s);
    save_header(x, &s);
}

void x86emu_exec_xsave(struct exec *x)
{
    save(x, false, false, false);
}

/* The optimisation for what has not changed since the last XRSTOR is left to processors. */
void x86emu_exec_xsaveopt(struct exec *x)
{
    save(x, true, false, false);
}

void x86emu_exec_xsavec(struct exec *x)
{
    save(x, true, true, false);
}

void x86emu_exec_xsaves(struct exec *x)
{
    save(x, true, true, true);
}

/* XCR1: the components that are enabled and in use. */
uint64_t x86emu_xinuse(struct exec *x)
{
    if (!need(x, NEEDED))
        return 0;
    if (x->vcpu->xcr0 & ~SUPPORTED)
        x86emu_not_emulated(x, X86EMU_REASON_COMPONENT);
    return (in_use(x) | (x->vcpu->mxcsr != 0x1f80 ? BIT(SSE) : 0)) & x->vcpu->xcr0;
}

/* --- XRSTOR ------------------------------------------------------------------------------------------------------- */

struct restoring {
    uint64_t wanted; /* the bitmap of components requested */
    uint64_t loaded; /* those of them that the area holds; the others become as after INIT */
    uint64_t format; /* XCOMP_BV */
    bool mxcsr;      /* MXCSR is loaded */
};

/* Both runs, the checking one and the committing one, walk through the area in the same order. */
static struct restoring plan_restore(const struct exec *x, const uint8_t *header, bool supervisor)
{
    struct restoring r = {.wanted = requested(x, supervisor), .format = load_le64(header + 8)};

    r.loaded = r.wanted & load_le64(header);
    if (r.format & COMPACTED)
        r.mxcsr = r.loaded & BIT(SSE);
    else
        r.mxcsr = r.wanted & (BIT(SSE) | BIT(AVX));
    return r;
}

static bool header_valid(const struct exec *x, const uint8_t *header, bool supervisor)
{
    uint64_t present = load_le64(header), format = load_le64(header + 8), known = enabled(x, supervisor);

    if (format & COMPACTED)
        return (format & ~COMPACTED & ~known) == 0 && (present & ~format) == 0 &&
               all_zero(header + 16, HEADER_SIZE - 16);
    return !supervisor && (present & ~known) == 0 && format == 0 && all_zero(header + 16, 8);
}

static void finish_legacy(struct exec *x, const struct restoring *r)
{
    uint8_t bytes[LEGACY_SIZE];

    x86emu_area_copy(x, 1, bytes, LEGACY_SIZE);
    if (r->loaded & BIT(X87))
        x86emu_legacy_take_x87(x, bytes);
    else if (r->wanted & BIT(X87))
        x->vcpu->x87 = (struct x86emu_x87){.control = 0x37f, .tag = 0xffff};
    if (r->mxcsr)
        x->vcpu->mxcsr = (uint32_t)load_le(bytes + AT_MXCSR, 4);
    else if (r->wanted & BIT(SSE))
        x->vcpu->mxcsr = 0x1f80;
    for (unsigned i = 0; r->wanted & BIT(SSE) && i < register_count(x); i++) {
        if (r->loaded & BIT(SSE))
            copy_bytes(x->vcpu->zmm[i].u8, bytes + AT_XMM + 16 * i, 16);
        else
            clear_bytes(x->vcpu->zmm[i].u8, 16);
    }
}

static void finish_restore(struct exec *x, bool supervisor)
{
    const struct restoring r = plan_restore(x, x86emu_area_logged(x, 0), supervisor);
    unsigned piece = 1 + LEGACY_SIZE / CHUNK + 1;

    finish_legacy(x, &r);
    for (unsigned c = AVX; c < COMPONENTS; c++) {
        if (components[c].size == 0 || !(r.wanted & BIT(c)))
            continue;
        take_component(x, c, r.loaded & BIT(c), piece);
        if (r.loaded & BIT(c))
            piece += (components[c].size + CHUNK - 1u) / CHUNK;
    }
}

static void finish_xrstor(struct exec *x)
{
    finish_restore(x, false);
}

static void finish_xrstors(struct exec *x)
{
    finish_restore(x, true);
}

/* The area's header, found valid. False: stopped. */
static bool read_header(struct exec *x, struct logical a, bool supervisor, struct restoring *r)
{
    uint8_t header[HEADER_SIZE];

    if (!x86emu_area_read(x, a, AT_HEADER, header, HEADER_SIZE))
        return false;
    if (!header_valid(x, header, supervisor)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return false;
    }
    *r = plan_restore(x, header, supervisor);
    if (r->wanted & ~SUPPORTED)
        x86emu_not_emulated(x, X86EMU_REASON_COMPONENT);
    return !x->stopped;
}

static void restore(struct exec *x, bool supervisor)
{
    uint8_t bytes[LEGACY_SIZE];
    struct restoring r;
    struct logical a;

    if (!xsave_usable(x, supervisor) || !x86emu_area_address(x, AT_EXTENDED, 64, X86EMU_ACCESS_READ, &a))
        return;
    x->log_all = true;
    if (!read_header(x, a, supervisor, &r) || !x86emu_area_read(x, a, 0, bytes, LEGACY_SIZE))
        return;
    if (r.mxcsr && load_le(bytes + AT_MXCSR, 4) & ~MXCSR_MASK)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    for (unsigned c = AVX; c < COMPONENTS; c++)
        if (components[c].size != 0 && r.loaded & BIT(c) && !log_component(x, a, place_of(x, c, r.format), c))
            return;
    x->staged |= X86EMU_STATE_X87 | X86EMU_STATE_VECTOR | X86EMU_STATE_OPMASK | X86EMU_STATE_KEYS;
    x->finish = supervisor ? finish_xrstors : finish_xrstor;
}

void x86emu_exec_xrstor(struct exec *x)
{
    restore(x, false);
}

void x86emu_exec_xrstors(struct exec *x)
{
    restore(x, true);
}
