/* SPDX-License-Identifier: BSD-2-Clause */
/* What is run: encodings of each row, with random registers that mostly let its operands be reached. */
#include "hardware.h"
#include "random.h"

#include <x86emu/format.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One way to encode a row, without what is random: registers, addresses, masks. */
struct template
{
    uint8_t encoding, prefix, map, opcode, modrm;
    bool w;
    uint8_t length; /* VEX.L or EVEX.L'L */
};

enum {
    MODES = 3,
    VARIANTS = 3, /* of what a vector prefix asks for beyond opcode and operands */
    KEPT = 24,    /* templates of a row in a mode */
    TRIES = 12,
};

struct row {
    uint16_t form;
    uint8_t mode, kept;
    unsigned seen;
    struct template templates[KEPT];
};

static struct row *rows;
static unsigned row_count;
static bool all_rows;

/* --- rows that are left out --------------------------------------------------------------------------------------- */

/*
 * Rows whose outcome user mode cannot foretell (time, random numbers, and what the kernel emulates or handles), or that
 * would enter the kernel.
 */
static const uint16_t left_out[] = {
    X86EMU_MN_SYSCALL,  X86EMU_MN_SYSENTER, X86EMU_MN_INT,    X86EMU_MN_INT3,     X86EMU_MN_INT1,   X86EMU_MN_INTO,
    X86EMU_MN_CPUID,    X86EMU_MN_RDTSC,    X86EMU_MN_RDTSCP, X86EMU_MN_RDPMC,    X86EMU_MN_RDRAND, X86EMU_MN_RDSEED,
    X86EMU_MN_RDPID,    X86EMU_MN_SGDT,     X86EMU_MN_SIDT,   X86EMU_MN_SLDT,     X86EMU_MN_STR,    X86EMU_MN_SMSW,
    X86EMU_MN_WRFSBASE, X86EMU_MN_WRGSBASE, X86EMU_MN_XBEGIN, X86EMU_MN_UMONITOR, X86EMU_MN_UMWAIT, X86EMU_MN_TPAUSE,
    X86EMU_MN_MONITORX, X86EMU_MN_MWAITX,   X86EMU_MN_VMCALL, X86EMU_MN_VMMCALL,  X86EMU_MN_VMFUNC, X86EMU_MN_WRPKRU,
    X86EMU_MN_RDPKRU,   X86EMU_MN_ENQCMD,   X86EMU_MN_HLT,
};

static bool is_left_out(const struct x86emu_insn *insn)
{
    unsigned mnemonic = x86emu_form_mnemonic(insn->form);

    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
        if (left_out[i] == mnemonic)
            return true;
    return false;
}

/* --- gathering ---------------------------------------------------------------------------------------------------- */

static size_t put_legacy(uint8_t *bytes, const struct template *t, enum x86emu_mode mode, unsigned rex)
{
    size_t at = 0;

    if (t->prefix != 0)
        bytes[at++] = t->prefix;
    rex |= t->w ? 0x48 : 0;
    if (mode == X86EMU_MODE_64 && rex != 0)
        bytes[at++] = (uint8_t)(0x40 | rex);
    if (t->map > 0)
        bytes[at++] = 0x0f;
    if (t->map > 1)
        bytes[at++] = t->map == 2 ? 0x38 : 0x3a;
    bytes[at++] = t->opcode;
    return at;
}

/* random: bits for R, X, B, vvvv and, for EVEX, R', V', z, b and aaa; 0 for the plainest. */
static size_t put_vector(uint8_t *bytes, const struct template *t, enum x86emu_mode mode, uint32_t random)
{
    unsigned rxb = mode == X86EMU_MODE_64 ? ~random & 7 : 6 | (~random & 1);
    unsigned vvvv = ~(random >> 3) & 15;
    unsigned pp = t->prefix;

    if (t->encoding != X86EMU_ENCODING_EVEX) {
        bytes[0] = t->encoding == X86EMU_ENCODING_XOP ? 0x8f : 0xc4;
        bytes[1] = (uint8_t)(rxb << 5 | t->map);
        bytes[2] = (uint8_t)((unsigned)t->w << 7 | vvvv << 3 | (unsigned)(t->length & 1) << 2 | pp);
        bytes[3] = t->opcode;
        return 4;
    }
    bytes[0] = 0x62;
    bytes[1] = (uint8_t)(rxb << 5 | (mode == X86EMU_MODE_64 ? ~(random >> 7) & 1 : 1) << 4 | t->map);
    bytes[2] = (uint8_t)((unsigned)t->w << 7 | vvvv << 3 | 4 | pp);
    bytes[3] = (uint8_t)((random >> 8 & 1) << 7 | (unsigned)t->length << 5 | (random >> 9 & 1) << 4 |
                         (mode == X86EMU_MODE_64 ? ~(random >> 10) & 1 : 1) << 3 | (random >> 11 & 7));
    bytes[4] = t->opcode;
    return 5;
}

static void gather(const struct template *t, unsigned mode, const uint8_t *bytes, const char *only)
{
    struct x86emu_insn insn;
    struct row *row;

    if (x86emu_decode(&insn, bytes, X86EMU_MAX_INSN_LENGTH, mode) != X86EMU_DECODE_OK || insn.encoding != t->encoding)
        return;
    if (only != NULL && strcasecmp(only, x86emu_mnemonic_name(x86emu_form_mnemonic(insn.form))) != 0)
        return;
    if (!all_rows && is_left_out(&insn))
        return;
    row = &rows[insn.form * MODES + mode];
    row->form = insn.form;
    row->mode = (uint8_t)mode;
    if (row->kept < KEPT)
        row->templates[row->kept++] = *t;
    else if (below(++row->seen) < KEPT)
        row->templates[below(KEPT)] = *t;
}

/* With and without a mask (EVEX), a second register in vvvv and an index: gathers need them, others refuse them. */
static void gather_modrms(struct template *t, const char *only)
{
    static const uint32_t variants[VARIANTS] = {0, 1 << 11, 2 << 3 | 1 << 11};

    for (unsigned n = 0; n < VARIANTS * MODES; n++) {
        enum x86emu_mode mode = (enum x86emu_mode)(n / VARIANTS);
        uint8_t bytes[X86EMU_MAX_INSN_LENGTH] = {0};
        bool legacy = t->encoding == X86EMU_ENCODING_LEGACY;
        size_t at = legacy ? put_legacy(bytes, t, mode, 0) : put_vector(bytes, t, mode, variants[n % VARIANTS]);

        if (legacy && (n % VARIANTS != 0 || (t->w && mode != X86EMU_MODE_64)))
            continue;
        bytes[at + 1] = n % VARIANTS != 0 ? 0x08 : 0; /* SIB: index 1 */
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            t->modrm = (uint8_t)modrm;
            bytes[at] = (uint8_t)modrm;
            gather(t, mode, bytes, only);
        }
    }
}

static void gather_legacy(const char *only)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};

    for (unsigned n = 0; n < 4 * 4 * 2 * 256; n++) {
        struct template t = {.map = n >> 11 & 3, .prefix = prefixes[n >> 9 & 3], .w = n >> 8 & 1, .opcode = n & 255};

        gather_modrms(&t, only);
    }
}

static void gather_vector(unsigned encoding, const uint8_t *maps, unsigned map_count, unsigned lengths,
                          const char *only)
{
    for (unsigned m = 0; m < map_count; m++) {
        for (unsigned n = 0; n < lengths * 4 * 2 * 256; n++) {
            struct template t = {.encoding = (uint8_t)encoding,
                                 .map = maps[m],
                                 .length = (uint8_t)(n >> 11),
                                 .prefix = n >> 9 & 3,
                                 .w = n >> 8 & 1,
                                 .opcode = n & 255};

            gather_modrms(&t, only);
        }
    }
}

unsigned cases_start(uint64_t seed, const char *only, bool all)
{
    all_rows = all;
    random_start(seed);
    rows = calloc(X86EMU_FORM_COUNT * MODES, sizeof(*rows));
    if (rows == NULL)
        return 0;
    gather_legacy(only);
    gather_vector(X86EMU_ENCODING_VEX, (const uint8_t[]){1, 2, 3}, 3, 2, only);
    gather_vector(X86EMU_ENCODING_XOP, (const uint8_t[]){8, 9, 10}, 3, 2, only);
    gather_vector(X86EMU_ENCODING_EVEX, (const uint8_t[]){1, 2, 3, 5, 6}, 5, 3, only);
    for (unsigned i = 0; i < X86EMU_FORM_COUNT * MODES; i++)
        if (rows[i].kept > 0)
            rows[row_count++] = rows[i];
    return row_count;
}

static uint16_t random_selector(void)
{
    static const uint16_t flat[] = {USER_CODE_32, USER_CODE_64, USER_DATA, 0, 1, 3};

    switch (below(4)) {
    case 0:
        return flat[below(sizeof(flat) / sizeof(flat[0]))];
    case 1:
        return (uint16_t)random_64() & (GDT_LIMIT | 7);
    default:
        return (uint16_t)(segment_selector((enum ldt_index)(1 + below(SEGMENT_ABSENT))) &
                          (one_in(8) ? 0xfffc : 0xffff));
    }
}

/* --- a situation -------------------------------------------------------------------------------------------------- */

/* A register's value may also be an address in the arena, a selector, or a far pointer. */
static uint64_t random_register(void)
{
    switch (below(9)) {
    case 0:
        return WRITABLE + below(WRITABLE_SIZE);
    case 1:
        return one_in(2) ? random_selector()
                         : (uint64_t)random_selector() << (one_in(2) ? 16 : 32) | (random_64() & 0xffff);
    default:
        return random_value();
    }
}

/* Where an operand of so many bytes is to be. */
static uint32_t random_address(unsigned size)
{
    unsigned near = below(size + 1);

    switch (below(16)) {
    case 0:
        return WRITABLE + PAGE - near; /* over the boundary of two pages */
    case 1:
        return WRITABLE + WRITABLE_SIZE - near; /* into a guard page */
    case 2:
        return WRITABLE - near;
    case 3:
        return READABLE + below(PAGE);
    case 4:
        return READABLE + PAGE - near;
    case 5:
        return READABLE - near;
    case 6:
        return ARENA + below(ARENA_SIZE);
    case 7:
    case 8:
    case 9:
    case 10:
        return (WRITABLE + below(WRITABLE_SIZE - 64)) & ~63u;
    default:
        return WRITABLE + below(WRITABLE_SIZE - 64);
    }
}

static uint64_t random_flags(void)
{
    uint64_t flags = random_64() & (X86EMU_RFLAGS_CF | X86EMU_RFLAGS_PF | X86EMU_RFLAGS_AF | X86EMU_RFLAGS_ZF |
                                    X86EMU_RFLAGS_SF | X86EMU_RFLAGS_OF | X86EMU_RFLAGS_DF);

    return flags | X86EMU_RFLAGS_FIXED | (one_in(16) ? X86EMU_RFLAGS_AC : 0) | (one_in(16) ? X86EMU_RFLAGS_ID : 0);
}

/* The index of VSIB addressing: small numbers, so that elements are found in the arena. */
static void small_indices(struct situation *s)
{
    struct x86emu_operand operand;

    for (unsigned n = 0; x86emu_insn_operand(&s->insn, n, &operand); n++) {
        bool vector = operand.kind == X86EMU_OPERAND_MEM && operand.mem.index.reg_class >= X86EMU_REG_XMM &&
                      operand.mem.index.reg_class <= X86EMU_REG_ZMM;

        if (!vector)
            continue;
        for (unsigned i = 0; i < 16; i++) {
            int32_t small = (int32_t)below(512) - 256;

            memcpy(s->vectors.zmm[operand.mem.index.number].u8 + 4 * i, &small, 4);
            if (one_in(2)) /* as 64-bit numbers */
                memcpy(s->vectors.zmm[operand.mem.index.number].u8 + (4 * i & ~7u), &(int64_t){small}, 8);
        }
    }
}

void cases_vectors(struct situation *s)
{
    struct vectors *v = &s->vectors;

    unsigned size = (machine.xcr0 & 0x40) != 0 ? 64 : (machine.xcr0 & 4) != 0 ? 32 : 16;
    const uint8_t *bytes = random_vectors(32);

    for (unsigned i = 0; i < 32; i++)
        memcpy(v->zmm[i].u8, bytes + 64 * i, size);
    for (unsigned i = 0; i < 8; i++)
        v->k[i] = (machine.xcr0 & 0x20) != 0 ? random_value() : 0;
    if ((machine.xcr0 & 0x40) == 0)
        memset(v->zmm + 16, 0, 16 * sizeof(v->zmm[0]));
    v->mxcsr = (uint32_t)random_64() & 0xffff & machine.mxcsr_mask;
    v->mxcsr |= 0x1f80; /* exceptions stay masked: the way out uses SSE */
    v->x87.control = (uint16_t)(0x37f | (random_64() & 0xc00));
    v->x87.status = (uint16_t)(random_64() & 0x7f00 & ~0x80u);
    v->x87.tag = 0;
    for (unsigned i = 0; i < 8; i++) {
        v->x87.tag |= (uint16_t)((one_in(2) ? 3u : 0u) << (2 * i));
        v->x87.st[i].mantissa = random_value();
        v->x87.st[i].exponent = one_in(4) ? 0xffff : (uint16_t)random_64();
    }
    v->x87.opcode = 0;
    v->x87.ip = random_64() >> 17;
    v->x87.dp = random_64() >> 17;
    small_indices(s);
}

static bool is_general(struct x86emu_reg reg)
{
    return reg.reg_class >= X86EMU_REG_GPR16 && reg.reg_class <= X86EMU_REG_GPR64;
}

static void patch_displacement(struct situation *s, uint64_t value)
{
    unsigned size = s->insn.disp_size, at = s->insn.length - s->insn.imm_size - size;

    memcpy(s->bytes + at, &value, size);
}

/* Lets a memory operand be at a random address of the arena, by its base register or else its displacement. */
static void place_operand(struct situation *s, const struct x86emu_operand *operand)
{
    uint64_t *gpr = s->registers.gpr, target, other = 0;
    const struct x86emu_reg base = operand->mem.base, index = operand->mem.index;

    if (operand->kind != X86EMU_OPERAND_MEM || one_in(32))
        return;
    target = random_address(operand->size != 0 ? operand->size : 1);
    if (s->mode != X86EMU_MODE_64)
        target -= segment_of(s->selector[operand->mem.segment]).base;
    if (s->mode == X86EMU_MODE_64 && operand->mem.segment == X86EMU_FS && s->insn.address_size == 8)
        target -= machine.fs_base;
    if (is_general(index)) {
        if (one_in(2) || !is_general(base))
            gpr[index.number] = (uint64_t)0 - below(64) + 32;
        other = gpr[index.number] * operand->mem.scale;
    }
    if (is_general(base))
        gpr[base.number] = target - other - (uint64_t)operand->mem.disp;
    else if (base.reg_class == X86EMU_REG_IP)
        patch_displacement(s, target - s->registers.rip - s->insn.length); /* 64-bit mode: RIP is linear */
    else if (s->insn.disp_size >= 2)
        patch_displacement(s, target - other);
    if (is_general(base) && s->insn.address_size == 4 && one_in(2))
        gpr[base.number] |= random_64() << 32; /* not part of the address */
}

static bool make_bytes(const struct row *row, struct situation *s)
{
    const struct template *t = &row->templates[below(row->kept)];
    static const uint8_t more[] = {0x67, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0xf0, 0xf2, 0xf3, 0x66};
    uint32_t random = (uint32_t)random_64();
    size_t at = 0;

    while (one_in(6) && at < 3)
        s->bytes[at++] = more[one_in(3) ? 0 : below(t->encoding == X86EMU_ENCODING_LEGACY ? sizeof(more) : 7)];
    if (one_in(2))
        random &= ~UINT32_C(0x3900); /* EVEX: no mask, no z */
    if (one_in(2))
        random &= ~UINT32_C(0x78); /* vvvv = 1111B, where nothing else is allowed */
    if (one_in(2))
        random &= ~UINT32_C(0x600); /* b, V' */
    at += t->encoding == X86EMU_ENCODING_LEGACY ? put_legacy(s->bytes + at, t, row->mode, one_in(2) ? random & 7 : 0)
                                                : put_vector(s->bytes + at, t, row->mode, random);
    s->bytes[at++] = one_in(2)   ? t->modrm
                     : one_in(2) ? (uint8_t)((t->modrm & 0xf8) | below(8))
                                 : (uint8_t)((t->modrm & 0xc0) | below(64));
    for (uint64_t tail; at < X86EMU_MAX_INSN_LENGTH; at += 4) {
        tail = random_register();
        memcpy(s->bytes + at, &tail, at + 8 <= X86EMU_MAX_INSN_LENGTH ? 8 : X86EMU_MAX_INSN_LENGTH - at);
    }
    return x86emu_decode(&s->insn, s->bytes, sizeof(s->bytes), row->mode) == X86EMU_DECODE_OK &&
           s->insn.form == row->form;
}

/* Where the instruction stands: anywhere, sometimes at the end of the page, sometimes reaching over it. */
static uint32_t place_code(const struct situation *s)
{
    if (one_in(32))
        return CODE + CODE_SIZE - s->insn.length;
    if (one_in(64))
        return CODE + CODE_SIZE - 1 - below(s->insn.length);
    return CODE + PAGE + below(CODE_SIZE - 2 * PAGE);
}

/* Flat segments in half of the 32-bit cases; in the others, and in 16-bit ones, whatever may be loaded. */
static void choose_segments(struct situation *s)
{
    static const uint8_t data[] = {SEGMENT_DATA_16,   SEGMENT_DATA_16, SEGMENT_LIMITED, SEGMENT_SMALL,
                                   SEGMENT_READ_ONLY, SEGMENT_DOWN_32, SEGMENT_DOWN_16, SEGMENT_CODE_AS_DATA};
    static const uint8_t stack[] = {SEGMENT_DATA_16, SEGMENT_DATA_16, SEGMENT_LIMITED,
                                    SEGMENT_SMALL,   SEGMENT_DOWN_32, SEGMENT_DOWN_16};

    s->selector[X86EMU_CS] = s->mode == X86EMU_MODE_64 ? USER_CODE_64 : USER_CODE_32;
    s->selector[X86EMU_SS] = s->selector[X86EMU_DS] = s->selector[X86EMU_ES] = USER_DATA;
    s->selector[X86EMU_FS] = s->selector[X86EMU_GS] = 0;
    if (s->mode == X86EMU_MODE_16)
        s->selector[X86EMU_CS] = segment_selector(SEGMENT_CODE_16);
    else if (s->mode == X86EMU_MODE_64 || one_in(2))
        return;
    else if (one_in(2))
        s->selector[X86EMU_CS] = segment_selector(SEGMENT_CODE_32);
    s->selector[X86EMU_SS] = segment_selector(stack[below(sizeof(stack))]);
    s->selector[X86EMU_DS] = segment_selector(data[below(sizeof(data))]);
    s->selector[X86EMU_ES] = segment_selector(data[below(sizeof(data))]);
    if (one_in(2))
        s->selector[X86EMU_GS] = segment_selector(data[below(sizeof(data))]);
}

/* A far pointer in the instruction: mostly to a segment that there is, at a place in it. */
static void place_far_pointer(struct situation *s)
{
    unsigned at = s->insn.length - 2u;
    struct x86emu_operand operand;

    if (!x86emu_insn_operand(&s->insn, 0, &operand) || operand.kind != X86EMU_OPERAND_FAR)
        return;
    memcpy(s->bytes + at, &(uint16_t){random_selector()}, 2);
    if (one_in(2))
        memcpy(s->bytes + at - s->insn.operand_size, &(uint32_t){below(0x10000)}, s->insn.operand_size);
}

bool cases_make(unsigned n, struct situation *s)
{
    const struct row *row = &rows[n];
    struct x86emu_operand operand;
    unsigned tries = 0;

    while (!make_bytes(row, s))
        if (++tries == TRIES)
            return false;
    s->mode = row->mode;
    s->with_vectors = false;
    choose_segments(s);
    for (unsigned i = 0; i < 16; i++)
        s->registers.gpr[i] = random_register();
    s->registers.gpr[X86EMU_RSP] = WRITABLE + PAGE + below(PAGE / 8) * 8;
    if (s->mode != X86EMU_MODE_64)
        s->registers.gpr[X86EMU_RSP] -= segment_of(s->selector[X86EMU_SS]).base;
    if (one_in(2) && (s->insn.prefixes & (X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE)) != 0)
        s->registers.gpr[X86EMU_RCX] = below(64);
    s->registers.rflags = random_flags();
    if (s->insn.encoding == X86EMU_ENCODING_EVEX &&
        (s->insn.evex & 7) != 0) /* no two models check masked accesses alike */
        s->registers.rflags &= ~(uint64_t)X86EMU_RFLAGS_AC;
    s->registers.rip = place_code(s) - (uint32_t)segment_of(s->selector[X86EMU_CS]).base;
    for (unsigned i = 0; x86emu_insn_operand(&s->insn, i, &operand); i++)
        place_operand(s, &operand);
    place_far_pointer(s);
    if (s->mode != X86EMU_MODE_64)
        for (unsigned i = 0; i < 16; i++)
            s->registers.gpr[i] = (uint32_t)s->registers.gpr[i];
    return x86emu_decode(&s->insn, s->bytes, sizeof(s->bytes), row->mode) == X86EMU_DECODE_OK;
}
