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

/* With so many bytes nothing that is decoded here can end too late, and no load can. */
enum {
    ENOUGH = X86EMU_MAX_INSN_LENGTH
};

/* What is known when the opcode is reached. */
struct start {
    const uint8_t *bytes;
    unsigned at;  /* the opcode's place, at most 7 */
    unsigned map; /* enum opcode_map */
    unsigned map_number;
    unsigned state;         /* enum state but what ModRM and the mode decide */
    uint64_t selectors;     /* likewise */
    unsigned front;         /* struct x86emu_insn from prefixes on, four bytes */
    unsigned vector;        /* from vvvv on, three bytes */
    unsigned evex;          /* the third EVEX payload byte */
    unsigned vector_length; /* 0, 1, 2 */
    const struct mode_state *mode;
};

static const struct decode_tables *const tables = &x86emu_decode_tables;

/* The same value, of which the compiler knows nothing: it would make a branch of what can't be predicted. */
static ALWAYS_INLINE unsigned opaque(unsigned value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* The row that an opcode's entry leads to, 0 for none or if that is hard to say. Most need one step or none. */
static ALWAYS_INLINE unsigned find_form(unsigned entry, uint64_t selectors)
{
    unsigned kind = entry >> ENTRY_KIND;
    unsigned next = tables->nodes[2 * (entry & ENTRY_VALUE) + (selectors >> 4 * kind & 0xf)];

    entry = opaque(entry ^ ((entry ^ next) & (0u - (kind != NODE_LEAF)))); /* next is anything if this was a leaf */
    while (UNLIKELY((kind = entry >> ENTRY_KIND) != NODE_LEAF)) {
        if (kind == NODE_RARE)
            return 0;
        entry = tables->nodes[2 * (entry & ENTRY_VALUE) + (selectors >> 4 * kind & 0xf)];
    }
    return entry;
}

/*
 * The fields that are single bytes, in few stores. The length has one of its own: who asks for it first, and it is
 * known first, needn't wait for the rest. bytes: opcode, ModRM, SIB.
 */
static ALWAYS_INLINE void store_bytes(struct x86emu_insn *insn, const struct start *start, uint64_t bytes,
                                      const struct layout *layout, unsigned immediate)
{
    uint64_t behind =
        start->map_number | ((bytes << 8) & (0xff00 | (0u - layout->has_sib) << 24)) | layout->modrm << 16;
    uint64_t sizes = layout->displacement | immediate << 8 | start->mode->sizes;

    _Static_assert(offsetof(struct x86emu_insn, prefixes) == 24 && offsetof(struct x86emu_insn, map) == 28 &&
                       offsetof(struct x86emu_insn, vvvv) == 32 && offsetof(struct x86emu_insn, disp_size) == 36 &&
                       offsetof(struct x86emu_insn, mode) == 38 && sizeof(struct x86emu_insn) == 40,
                   "the order of fields that are stored together");
    store_le64((uint8_t *)insn + offsetof(struct x86emu_insn, prefixes), start->front | behind << 32);
    store_le64((uint8_t *)insn + offsetof(struct x86emu_insn, vvvv), start->vector | start->at << 24 | sizes << 32);
}

/* Everything from the opcode on; bytes: from there. False: to be decoded carefully. */
static ALWAYS_INLINE bool finish(struct x86emu_insn *insn, const struct start *start, uint64_t bytes)
{
    unsigned opcode = bytes & 0xff, length_bits = tables->lengths[start->map][opcode];
    unsigned entry = tables->maps[start->map][opcode], kind = length_bits & LENGTH_IMMEDIATE;
    const struct layout layout = find_layout(length_bits, start->mode->layouts, bytes);
    unsigned registers = (layout.modrm + 0x40) >> 8, form, immediate, at, operand_size;
    uint64_t selectors = start->mode->selectors | start->selectors | (layout.modrm & 0x38) << (4 * NODE_REG - 3) |
                         registers << 4 * NODE_MOD3,
             fields;
    const struct form_shape *shape;

    form = find_form(entry, selectors);
    shape = &tables->shapes[tables->shape_numbers[form]];
    if (UNLIKELY(kind == IMMEDIATE_BY_FORM))
        kind = shape->immediate;
    immediate = start->mode->immediates[kind];
    at = start->at + 1 + layout.has_modrm + layout.has_sib;
    insn->length = (uint8_t)(at + layout.displacement + (immediate & 0xf));
    if (UNLIKELY(shape->forbidden & (start->mode->state | start->state | STATE_HURRY | (STATE_MEMORY + registers))))
        return false;

    fields = load_le64(start->bytes + at);
    operand_size = start->mode->operand_sizes[shape->rule];
    insn->disp = (int64_t)field(fields, layout.displacement, layout.displacement);
    if (start->front >> 24 == X86EMU_ENCODING_EVEX && layout.displacement == 1)
        insn->disp *= INT64_C(1) << displacement_scale(shape, start->evex, start->vector_length, operand_size);
    insn->imm = field(fields >> 8 * layout.displacement, immediate & 0xf, immediate >> 4);
    insn->imm2 = 0;
    insn->form = (uint16_t)form;
    insn->operand_size = (uint8_t)operand_size;
    store_bytes(insn, start, bytes, &layout, immediate & 0xf);
    return true;
}

/* --- one mandatory prefix, REX, escapes --------------------------------------------------------------------------- */

/* Takes a REX, if the mode has them. */
static ALWAYS_INLINE unsigned take_rex(uint64_t *bytes, unsigned mode)
{
    unsigned is_rex = (mode >> 1 & 1) & ((*bytes & 0xf0) == 0x40);
    unsigned rex = ((unsigned)*bytes & 0xf) | X86EMU_REX_PRESENT;

    *bytes >>= 8 * is_rex;
    return rex & (0 - is_rex);
}

static NOINLINE bool decode_escaped(struct x86emu_insn *insn, const uint8_t *bytes, unsigned mode)
{
    static const uint8_t mandatory[4] = {3, 2, 1, 0}; /* by the prefix: F2, F3, 66, none */
    uint64_t word = load_le64(bytes);
    unsigned first = word & 0xff, kind = first == 0xf2 ? 0 : first == 0xf3 ? 1 : first == 0x66 ? 2 : 3, rex, maps;
    unsigned prefixes = kind == 3 ? 0 : (unsigned)X86EMU_PREFIX_REPNE << kind;
    struct start start = {.bytes = bytes};

    word >>= 8 * (kind != 3);
    rex = take_rex(&word, mode);
    start.at = (unsigned)(kind != 3) + (rex != 0);
    maps = (word & 0xff) != 0x0f ? 0 : (word & 0xff00) == 0x3800 ? 2 : (word & 0xff00) == 0x3a00 ? 3 : 1;
    word >>= 8 * (maps > 1 ? 2 : maps);
    if (maps < 2 && tables->lengths[maps][word & 0xff] & LENGTH_SPECIAL)
        return false;
    start.at += maps > 1 ? 2 : maps;
    start.map = start.map_number = maps;
    start.mode = &tables->modes[4 * mode_number(mode) + 2u * (kind == 2) + (rex >> 3 & 1)];
    start.state = STATE_VL0 | (unsigned)STATE_PP0 << mandatory[kind] | bit_if(STATE_REG_HIGH, rex & X86EMU_REX_R);
    start.selectors = (uint64_t)mandatory[kind] << 4 * NODE_PP;
    start.front = prefixes | X86EMU_NO_SEGMENT << 8 | rex << 16;
    return finish(insn, &start, word);
}

/* --- VEX and EVEX in 64-bit mode (SDM Vol. 2, 2.3 and 2.7) ---------------------------------------------------------- */

/* What W vvvv L pp, or W vvvv 1 pp, says. */
static ALWAYS_INLINE void take_wvvvv(struct start *start, unsigned payload, unsigned vvvv)
{
    start->mode = &tables->modes[4 * X86EMU_MODE_64 + (payload >> 7)];
    start->selectors = (payload & 3) << 4 * NODE_PP | start->vector_length << 4 * NODE_VL;
    start->state |= (unsigned)STATE_PP0 << (payload & 3) | (unsigned)STATE_VL0 << start->vector_length |
                    bit_if(STATE_VVVV, vvvv != 0) | bit_if(STATE_VVVV_HIGH, vvvv & 8);
    start->vector = vvvv | 0x1000u << start->vector_length | start->evex << 16;
}

static NOINLINE bool decode_vex(struct x86emu_insn *insn, const uint8_t *bytes)
{
    struct start start = {.bytes = bytes};
    uint64_t word = load_le64(bytes);
    unsigned three = ~(unsigned)word & 1, first = word >> 8 & 0xff, second, rex; /* C4 has three bytes, C5 two */

    second = three ? word >> 16 & 0xff : first & 0x7f;
    first = three ? first : (first & 0x80) | 0x61;
    rex = (~first >> 5 & 7) | (second >> 7) << 3;
    start.at = 2 + three;
    start.map_number = first & 0x1f;
    if (UNLIKELY(start.map_number - 1 > 2))
        return false;
    start.map = MAP_VEX_0F - 1 + start.map_number;
    start.vector_length = second >> 2 & 1;
    start.state = bit_if(STATE_REG_HIGH, rex & X86EMU_REX_R);
    start.front = X86EMU_NO_SEGMENT << 8 | rex << 16 | (unsigned)X86EMU_ENCODING_VEX << 24;
    take_wvvvv(&start, second, ~second >> 3 & 0xf);
    return finish(insn, &start, word >> 16 >> 8 * three);
}

/* EVEX.b with registers is rounding control or SAE, and the vector length is 512 bits (SDM Vol. 2, 2.7.11). */
static ALWAYS_INLINE void take_evex_third(struct start *start, unsigned third, bool registers)
{
    bool zeroing = third & EVEX_Z, masked = third & EVEX_AAA, b = third & EVEX_B;

    start->evex = third;
    start->vector_length = b && registers ? 2 : third >> 5 & 3;
    start->state = bit_if(STATE_AAA, masked) | bit_if(STATE_Z, zeroing) | bit_if(STATE_Z_UNMASKED, zeroing && !masked) |
                   bit_if(STATE_Z_MEMORY, zeroing && !registers) | bit_if(STATE_B_MEMORY, b && !registers) |
                   bit_if(STATE_B_REGISTER, b && registers);
}

static NOINLINE bool decode_evex(struct x86emu_insn *insn, const uint8_t *bytes)
{
    static const uint8_t maps[8] = {0, MAP_EVEX_0F, MAP_EVEX_0F38, MAP_EVEX_0F3A, 0, MAP_EVEX_M5, MAP_EVEX_M6, 0};
    struct start start = {.bytes = bytes, .at = 4};
    uint64_t word = load_le64(bytes);
    unsigned first = word >> 8 & 0xff, second = word >> 16 & 0xff, third = word >> 24 & 0xff, rex;

    rex = (~first >> 5 & 7) | (second >> 7) << 3 | (~first & 0x10) << 2; /* R' is X86EMU_REX_R4 */
    start.map_number = first & 7;
    start.map = maps[first & 7];
    take_evex_third(&start, third, (word >> 40 & 0xff) >= 0xc0);
    if (UNLIKELY(start.map == 0 || first & 8 || !(second & 4) || start.vector_length == 3))
        return false;
    start.state |= bit_if(STATE_REG_HIGH, rex & (X86EMU_REX_R | X86EMU_REX_R4)) | bit_if(STATE_R4, rex & X86EMU_REX_R4);
    start.front = X86EMU_NO_SEGMENT << 8 | rex << 16 | (unsigned)X86EMU_ENCODING_EVEX << 24;
    take_wvvvv(&start, second, (~second >> 3 & 0xf) | (~third & EVEX_V4) << 1);
    return finish(insn, &start, word >> 32);
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

/* What begins with a prefix other than REX, or an escape other than 0F. */
static NOINLINE enum x86emu_decode_status decode_special(struct x86emu_insn *insn, const uint8_t *bytes, size_t size,
                                                         unsigned mode)
{
    unsigned first = bytes[0];
    bool long_mode = mode & X86EMU_MODE_64, done;

    if (long_mode && (first == 0xc4 || first == 0xc5))
        done = decode_vex(insn, bytes);
    else if (long_mode && first == 0x62)
        done = decode_evex(insn, bytes);
    else
        done = decode_escaped(insn, bytes, mode);
    return done ? X86EMU_DECODE_OK : x86emu_decode_carefully(insn, bytes, size, mode);
}

enum x86emu_decode_status x86emu_decode(struct x86emu_insn *insn, const void *bytes, size_t size, unsigned mode)
{
    struct start start = {.bytes = bytes};
    uint64_t word;
    unsigned is_rex, rex, escape;

    if (UNLIKELY(size < ENOUGH || (mode & ~(unsigned)KNOWN_OPTIONS) > X86EMU_MODE_64))
        return x86emu_decode_carefully(insn, bytes, size, mode);
    word = load_le64(bytes);
    is_rex = (unsigned)((word & 0xf0) == 0x40) & (mode >> 1 & 1);
    rex = (((unsigned)word & 0xf) | X86EMU_REX_PRESENT) & (0 - is_rex);
    escape = (unsigned)((word & 0xff) == 0x0f) | (((word >> 8 & 0xff) == 0x0f) & is_rex);
    word >>= 8 * (is_rex + escape);
    if (UNLIKELY(tables->lengths[escape][word & 0xff] & LENGTH_SPECIAL))
        return decode_special(insn, bytes, size, mode);
    start.at = is_rex + escape;
    start.map = start.map_number = escape;
    start.mode = &tables->modes[4 * mode_number(mode) + (rex >> 3 & 1)];
    start.state = STATE_VL0 | STATE_PP0;
    start.front = X86EMU_NO_SEGMENT << 8 | rex << 16;
    if (finish(insn, &start, word))
        return X86EMU_DECODE_OK;
    return x86emu_decode_carefully(insn, bytes, size, mode);
}
