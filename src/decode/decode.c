/* SPDX-License-Identifier: BSD-2-Clause */
/* The short ways through the decoder: what nearly all code consists of, in few instructions and hardly a branch. */
#include "../common/mem.h"
#include "careful.h"

#include <x86emu/insn.h>

/*
 * The length of an instruction depends on opcode, ModRM and SIB only, and is a sum: what is found out about the row
 * meanwhile doesn't delay the next instruction. What is rare, invalid or doesn't fit into the buffer is given up and
 * decoded from its beginning by x86emu_decode_carefully().
 */

enum {
    ENOUGH = X86EMU_MAX_INSN_LENGTH, /* with so many bytes no load below can end too late */
    MOST_PREFIXES = 3 /* with REX and two escapes the opcode is at 6, and 8 bytes from there are readable */
};

/* What is known when the opcode is reached. */
struct start {
    const uint8_t *bytes;
    unsigned at; /* the opcode's place */
    unsigned map_number;
    unsigned prefixes, segment, rex;
    unsigned encoding;       /* enum x86emu_encoding */
    bool is_flat;            /* the opcode's entry is a struct flat_opcode */
    bool is_far;             /* displacement and immediate may be too far back for a load of eight bytes */
    unsigned options;        /* for rare nodes; 0 where they are given up */
    unsigned state;          /* enum state but what ModRM and the mode decide */
    unsigned register_state; /* what it is besides if ModRM names registers */
    uint64_t selectors;      /* values for nodes, but what ModRM and the mode decide */
    unsigned vvvv, evex;
    unsigned vector_length; /* 0, 1, 2 */
    const struct mode_state *mode;
};

static const struct decode_tables *const tables = &x86emu_decode_tables;

/* The row that an opcode and the selectors lead to, 0 for none or if that is hard to say. Most need one step or none. */
static ALWAYS_INLINE unsigned find_form(const struct opcode *opcode, uint64_t selectors, const struct start *start,
                                        unsigned modrm)
{
    unsigned entry = ((const uint16_t *)tables)[opcode->base + (selectors >> opcode->shift & 0xf)], kind;

    while (UNLIKELY((kind = entry >> ENTRY_KIND) != NODE_LEAF)) {
        const uint16_t *node = &tables->nodes[2 * (entry & ENTRY_VALUE)];

        if (kind != NODE_RARE)
            entry = node[selectors >> 4 * kind & 0xf];
        else if (start->options != 0)
            entry = rare_step(node, modrm, start->rex, start->prefixes, start->options);
        else
            entry = 0;
    }
    return entry;
}

/* Of an opcode without nodes its entry alone is looked at: rows' shapes are somewhere else. */
static ALWAYS_INLINE const struct form_shape *find_shape(const struct opcode *opcode, unsigned form, bool is_flat)
{
    const struct flat_opcode *flat = (const struct flat_opcode *)(const void *)opcode;

    if (!is_flat)
        return &tables->shapes[tables->forms[form].shape];
    return &tables->shapes[flat->shape | tables->forms[form & (unsigned)flat->has_node].shape];
}

/* The eight bytes from a place on. */
static ALWAYS_INLINE uint64_t load_fields(const struct start *start, unsigned at)
{
    unsigned last = ENOUGH - WIDE, from = start->is_far && at > last ? last : at;

    return load_le64(start->bytes + from) >> 8 * (at - from);
}

/* What is known when the opcode has been reached. */
static ALWAYS_INLINE void fill(struct x86emu_insn *insn, const struct start *start, unsigned opcode)
{
    insn->imm2 = 0;
    insn->prefixes = (uint8_t)start->prefixes;
    insn->segment = (uint8_t)start->segment;
    insn->encoding = (uint8_t)start->encoding;
    insn->vvvv = (uint8_t)start->vvvv;
    insn->vector_length = (uint8_t)(start->encoding >= X86EMU_ENCODING_XOP ? 16u << start->vector_length : 0);
    insn->evex = (uint8_t)start->evex;
    put_byte(&insn->rex, start->rex);
    put_byte(&insn->map, start->map_number);
    put_byte(&insn->opcode_offset, start->at);
    put_byte(&insn->opcode, opcode);
    copy_bytes(&insn->mode, start->mode->mode_and_size, 2);
}

static ALWAYS_INLINE void fill_layout(struct x86emu_insn *insn, const struct layout *layout, uint64_t bytes)
{
    put_byte(&insn->modrm, layout->modrm);
    put_byte(&insn->sib, (unsigned)(bytes >> 16) & (0 - layout->has_sib));
    put_byte(&insn->disp_size, layout->displacement);
}

/* What struct x86emu_insn has of a REX. */
static ALWAYS_INLINE unsigned rex_of(unsigned byte)
{
    return (byte ^ 0x40 ^ X86EMU_REX_PRESENT) & 0xff;
}

/* Everything from the opcode on; bytes: from there. False: to be decoded carefully. */
static ALWAYS_INLINE bool finish(struct x86emu_insn *insn, const struct start *start, const struct opcode *opcode,
                                 uint64_t bytes)
{
    unsigned kind = opcode->length & LENGTH_IMMEDIATE, registers, form, immediate, at, size;
    const struct layout layout = find_layout(opcode->length, start->mode->layouts, bytes);
    const struct form_shape *shape;
    uint64_t selectors, fields;

    fill(insn, start, bytes & 0xff);
    fill_layout(insn, &layout, bytes);
    registers = (layout.modrm + 0x40) >> 8;
    selectors = start->mode->selectors | start->selectors | (layout.modrm & 0x38) << (4 * NODE_REG - 3) |
                registers << 4 * NODE_MOD3;
    form = find_form(opcode, selectors, start, layout.modrm);
    shape = find_shape(opcode, form, start->is_flat);
    if (UNLIKELY(kind == IMMEDIATE_BY_FORM))
        kind = shape->immediate;
    immediate = start->mode->immediates[kind];
    size = immediate & 0xf;
    at = start->at + 1 + layout.has_modrm + layout.has_sib;
    insn->length = (uint8_t)(at + layout.displacement + size);
    if (UNLIKELY(shape->forbidden & (start->mode->state | start->state | STATE_HURRY | (STATE_MEMORY + registers) |
                                     (start->register_state & (0 - registers)))))
        return false;
    if (start->is_far && UNLIKELY(at + layout.displacement + size > X86EMU_MAX_INSN_LENGTH))
        return false;

    fields = load_fields(start, at);
    insn->operand_size = start->mode->operand_sizes[shape->rule];
    insn->disp = (int64_t)field(fields, layout.displacement, layout.displacement);
    if (start->encoding == X86EMU_ENCODING_EVEX)
        insn->disp *= INT64_C(1) << (displacement_scale(shape, start->evex, start->vector_length, insn->operand_size) &
                                     (0 - opaque(layout.displacement == 1)));
    insn->imm = field(fields >> 8 * layout.displacement, size, immediate >> 4);
    insn->form = (uint16_t)form;
    put_byte(&insn->imm_size, size);
    return true;
}

/* --- legacy prefixes, REX, escapes --------------------------------------------------------------------------------- */

/* Notes a legacy prefix. */
static ALWAYS_INLINE void take_prefix(struct start *start, unsigned byte, unsigned mode)
{
    unsigned bit = tables->flat[MAP_ONE_BYTE][byte].form, names_segment = (byte & 0xfe) == 0x64;
    unsigned segment = X86EMU_FS + (byte & 1), repeat = X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE;

    if (UNLIKELY(!(mode & X86EMU_MODE_64)) && bit == X86EMU_PREFIX_SEGMENT && !names_segment) {
        names_segment = 1;
        segment = byte >> 3 & 3;
    }
    start->segment ^= (start->segment ^ segment) & (0 - names_segment);
    start->prefixes = (start->prefixes & ~(repeat & (0 - (unsigned)((bit & repeat) != 0)))) | bit;
}

/* 0: none, 1: 66, 2: F3, 3: F2, by the bits for F2, F3 and 66. */
static ALWAYS_INLINE unsigned mandatory_prefix(unsigned prefixes)
{
    _Static_assert(X86EMU_PREFIX_REPNE == 2 && X86EMU_PREFIX_REP == 4 && X86EMU_PREFIX_66 == 8, "an index");
    return 0x02310230u >> (prefixes >> 1 & 7) * 4 & 0xf;
}

/* Takes the escape before an opcode, if there is one: the map. */
static ALWAYS_INLINE unsigned take_escape(uint64_t *word, unsigned *at)
{
    unsigned escape = (*word & 0xff) == 0x0f, second = *word >> 8 & 0xff, more = 0;

    if (UNLIKELY(escape != 0 && (second & 0xfd) == 0x38))
        more = 1;
    *word >>= 8 * (escape + more);
    *at += escape + more;
    return more == 0 ? escape : second == 0x38 ? MAP_0F38 : MAP_0F3A;
}

static ALWAYS_INLINE bool decode_prefixed(struct x86emu_insn *insn, const uint8_t *bytes, unsigned mode)
{
    struct start start = {.bytes = bytes, .segment = X86EMU_NO_SEGMENT, .is_far = true, .options = mode | 1};
    const struct opcode *opcode;
    unsigned mandatory, is_rex;
    uint64_t word;

    for (unsigned byte = bytes[0]; start.at < MOST_PREFIXES && is_prefix(byte); byte = bytes[start.at]) {
        take_prefix(&start, byte, mode);
        start.at++;
    }
    if (UNLIKELY(start.prefixes & X86EMU_PREFIX_67))
        return false;
    word = load_le64(bytes + start.at);
    is_rex = (unsigned)((word & 0xf0) == 0x40) & (mode >> 1 & 1);
    start.rex = rex_of((unsigned)word) & (0 - is_rex);
    word >>= 8 * is_rex;
    start.at += is_rex;
    start.map_number = take_escape(&word, &start.at);
    opcode = find_opcode(start.map_number, word & 0xff);
    mandatory = mandatory_prefix(start.prefixes);
    start.mode = &tables->modes[4 * mode_number(mode) + (start.prefixes >> 2 & 2) + (start.rex >> 3 & 1)];
    start.state = STATE_VL0 | (unsigned)STATE_PP0 << mandatory | bit_if(STATE_REG_HIGH, start.rex & X86EMU_REX_R) |
                  bit_if(STATE_LOCK, start.prefixes & X86EMU_PREFIX_LOCK);
    start.register_state = bit_if(STATE_LOCK_REGISTER, start.prefixes & X86EMU_PREFIX_LOCK);
    start.selectors = (uint64_t)mandatory << 4 * NODE_PP;
    return finish(insn, &start, opcode, word);
}

#ifndef X86EMU_NO_VECTOR_MAPS

/* --- VEX and EVEX in 64-bit mode (SDM Vol. 2, 2.3 and 2.7) ---------------------------------------------------------- */

/* What pp and the vector length say, by length << 2 | pp. */
static const struct vector_kind {
    uint64_t selectors;
    uint32_t state;
} vector_kinds[12] = {
#define KIND(pp, length)                                                                                     \
    {                                                                                                        \
        (uint64_t)(pp) << 4 * NODE_PP | (uint64_t)(pp) << 4 * NODE_PP_W | (uint64_t)(length) << 4 * NODE_VL, \
            STATE_PP##pp | STATE_VL##length                                                                  \
    }
#define KINDS(length) KIND(0, length), KIND(1, length), KIND(2, length), KIND(3, length)
    KINDS(0),
    KINDS(1),
    KINDS(2),
#undef KINDS
#undef KIND
};

/* What W vvvv L pp, or W vvvv 1 pp, says. */
static ALWAYS_INLINE void take_wvvvv(struct start *start, unsigned payload, unsigned vvvv)
{
    const struct vector_kind *kind = &vector_kinds[start->vector_length << 2 | (payload & 3)];

    start->mode = &tables->modes[4 * X86EMU_MODE_64 + (payload >> 7)];
    start->selectors = kind->selectors;
    start->state |= kind->state | bit_if(STATE_VVVV, vvvv != 0) | bit_if(STATE_VVVV_HIGH, vvvv >> 3 & 1);
    start->vvvv = vvvv;
}

static ALWAYS_INLINE bool decode_vex(struct x86emu_insn *insn, const uint8_t *bytes)
{
    struct start start = {.bytes = bytes, .segment = X86EMU_NO_SEGMENT, .encoding = X86EMU_ENCODING_VEX};
    uint64_t word = load_le64(bytes);
    unsigned three = ~(unsigned)word & 1, first = word >> 8 & 0xff, second; /* C4 has three bytes, C5 two */

    second = first ^ ((first ^ (unsigned)(word >> 16)) & (0 - opaque(three)) & 0xff);
    second &= 0x7f | three << 7;
    first ^= (first ^ ((first & 0x80) | 0x61)) & (opaque(three) - 1);
    start.rex = (~first >> 5 & 7) | (second >> 7) << 3;
    start.at = 2 + three;
    start.map_number = first & 0x1f;
    if (UNLIKELY(start.map_number - 1 > 2))
        return false;
    start.vector_length = second >> 2 & 1;
    start.state = bit_if(STATE_REG_HIGH, start.rex & X86EMU_REX_R);
    take_wvvvv(&start, second, ~second >> 3 & 0xf);
    word = word >> 16 >> 8 * three;
    return finish(insn, &start, &tables->dense[start.map_number - 1][word & 0xff], word);
}

/* EVEX.b with registers is rounding control or SAE, and the vector length is 512 bits (SDM Vol. 2, 2.7.11). */
static ALWAYS_INLINE void take_evex_third(struct start *start, unsigned third, unsigned registers)
{
    unsigned zeroing = third >> 7, masked = (third & EVEX_AAA) != 0, b = third >> 4 & 1, length = third >> 5 & 3;

    start->evex = third;
    start->vector_length = length ^ ((length ^ 2) & (0 - opaque(b & registers)));
    start->state = bit_if(STATE_AAA, masked) | bit_if(STATE_Z, zeroing) | bit_if(STATE_Z_UNMASKED, zeroing & ~masked) |
                   bit_if(STATE_Z_MEMORY, zeroing & ~registers) | bit_if(STATE_B_MEMORY, b & ~registers) |
                   bit_if(STATE_B_REGISTER, b & registers);
}

/* An opcode of an EVEX map; null where there is no such map. */
static ALWAYS_INLINE const struct opcode *evex_opcode(unsigned map, unsigned opcode)
{
    _Static_assert(MAP_EVEX_0F38 == MAP_EVEX_0F + 1 && MAP_EVEX_0F3A == MAP_EVEX_0F + 2 &&
                       MAP_EVEX_M6 == MAP_EVEX_M5 + 1,
                   "maps 1 to 3, 5 and 6");
    if (map - 1 < 3)
        return &tables->dense[MAP_EVEX_0F - MAP_VEX_0F + map - 1][opcode];
    return map - 5 < 2 ? find_block(MAP_EVEX_M5 + map - 5, opcode) : NULL;
}

static ALWAYS_INLINE bool decode_evex(struct x86emu_insn *insn, const uint8_t *bytes)
{
    struct start start = {.bytes = bytes, .at = 4, .segment = X86EMU_NO_SEGMENT, .encoding = X86EMU_ENCODING_EVEX};
    uint64_t word = load_le64(bytes);
    unsigned first = word >> 8 & 0xff, second = word >> 16 & 0xff, third = word >> 24 & 0xff;
    const struct opcode *opcode = evex_opcode(first & 7, word >> 32 & 0xff);

    start.rex = (~first >> 5 & 7) | (second >> 7) << 3 | (~first & 0x10) << 2; /* R' is X86EMU_REX_R4 */
    start.map_number = first & 7;
    take_evex_third(&start, third, (word >> 40 & 0xff) >= 0xc0);
    if (UNLIKELY(opcode == NULL || first & 8 || !(second & 4) || start.vector_length == 3))
        return false;
    start.state |= bit_if(STATE_REG_HIGH, start.rex & (X86EMU_REX_R | X86EMU_REX_R4)) |
                   bit_if(STATE_R4, start.rex & X86EMU_REX_R4);
    take_wvvvv(&start, second, (~second >> 3 & 0xf) | (~third & EVEX_V4) << 1);
    return finish(insn, &start, opcode, word >> 32);
}

#endif

/* --- all of them -------------------------------------------------------------------------------------------------- */

/*
 * Each of them takes and answers what x86emu_decode() does, which knows by the first byte where to go on: calls are the
 * last thing that happens, and cost a jump.
 */

static NOINLINE enum x86emu_decode_status from_prefix(struct x86emu_insn *insn, const uint8_t *bytes, unsigned mode)
{
    if (decode_prefixed(insn, bytes, mode))
        return X86EMU_DECODE_OK;
    return x86emu_decode_carefully(insn, bytes, ENOUGH, mode);
}

#ifndef X86EMU_NO_VECTOR_MAPS
static NOINLINE enum x86emu_decode_status from_evex(struct x86emu_insn *insn, const uint8_t *bytes, unsigned mode)
{
    if (decode_evex(insn, bytes))
        return X86EMU_DECODE_OK;
    return x86emu_decode_carefully(insn, bytes, ENOUGH, mode);
}

static NOINLINE enum x86emu_decode_status from_vex(struct x86emu_insn *insn, const uint8_t *bytes, unsigned mode)
{
    if (decode_vex(insn, bytes))
        return X86EMU_DECODE_OK;
    return x86emu_decode_carefully(insn, bytes, ENOUGH, mode);
}
#endif

/* REX, 0F or the opcode comes first. */
static ALWAYS_INLINE enum x86emu_decode_status from_opcode(struct x86emu_insn *insn, const uint8_t *bytes,
                                                           unsigned mode)
{
    struct start start = {.bytes = bytes, .segment = X86EMU_NO_SEGMENT, .is_flat = true};
    uint64_t word = load_le64(bytes);
    unsigned is_rex = (unsigned)((word & 0xf0) == 0x40) & (mode >> 1 & 1);
    unsigned escape = (unsigned)((word & 0xff) == 0x0f) | (((word >> 8 & 0xff) == 0x0f) & is_rex);

    start.rex = rex_of((unsigned)word) & (0 - is_rex);
    start.at = is_rex + escape;
    word >>= 8 * start.at;
    start.map_number = escape;
    start.mode =
        &tables->modes[4 * (mode & 3) + (start.rex >> 3 & 1)]; /* vendors differ only in what isn't done here */
    start.state = STATE_VL0 | STATE_PP0;
    if (finish(insn, &start, &tables->flat[escape][word & 0xff].opcode, word))
        return X86EMU_DECODE_OK;
    return from_prefix(insn, bytes, mode);
}

enum x86emu_decode_status x86emu_decode(struct x86emu_insn *insn, const void *bytes, size_t size, unsigned mode)
{
    unsigned first;

    if (UNLIKELY(size < ENOUGH || (mode & ~(unsigned)KNOWN_OPTIONS) > X86EMU_MODE_64))
        return x86emu_decode_carefully(insn, bytes, size, mode);
    first = *(const uint8_t *)bytes;
    if (!UNLIKELY(tables->flat[MAP_ONE_BYTE][first].opcode.length & LENGTH_ELSEWHERE))
        return from_opcode(insn, bytes, mode);
#ifndef X86EMU_NO_VECTOR_MAPS
    if ((first & 0xfe) == 0xc4 && mode & X86EMU_MODE_64)
        return from_vex(insn, bytes, mode);
    if (first == 0x62 && mode & X86EMU_MODE_64)
        return from_evex(insn, bytes, mode);
#endif
    return from_prefix(insn, bytes, mode);
}
