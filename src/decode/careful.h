/* SPDX-License-Identifier: BSD-2-Clause */
/* The way through the decoder that every instruction can take, and what it shares with the short ones. */
#ifndef X86EMU_DECODE_CAREFUL_H
#define X86EMU_DECODE_CAREFUL_H

#include "generated/tables.h"

#include "../common/inline.h"

#include <x86emu/insn.h>

#define COLD __attribute__((cold)) /* small rather than fast */
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

enum {
    WIDE = 8,        /* bytes of one load */
    ENTRY_KIND = 12, /* an entry's kind is above this bit, its form or its node's half place below */
    ENTRY_VALUE = 0xfff,
    NO_MODRM = 0xc0,
    KNOWN_OPTIONS = 0xff00 /* all of enum x86emu_decode_option */
};

enum evex_bit {
    EVEX_AAA = 7,
    EVEX_V4 = 1 << 3,
    EVEX_B = 1 << 4,
    EVEX_Z = 1 << 7
};

/* x86emu_decode() for any bytes, size and mode at all. */
enum x86emu_decode_status x86emu_decode_carefully(struct x86emu_insn *insn, const uint8_t *bytes, size_t size,
                                                  unsigned mode);

/* Which of .modes; mode: with options, of which only the vendor matters. */
static ALWAYS_INLINE unsigned mode_number(unsigned mode)
{
    return (mode & 3) + (mode >> 1 & mode >> 8 & 1);
}

/* What follows the opcode, apart from the immediate; lengths and places in bytes. */
struct layout {
    unsigned modrm; /* NO_MODRM: there is none */
    unsigned has_modrm, has_sib;
    unsigned displacement;
};

/* The same value, of which the compiler knows nothing: it would make a branch of what can't be predicted. */
static ALWAYS_INLINE unsigned opaque(unsigned value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* A byte in a store of its own: gcc would rather put neighbours together by shifts, which costs more than the stores. */
static ALWAYS_INLINE void put_byte(uint8_t *to, unsigned value)
{
    *to = (uint8_t)value;
    __asm__("" : "+m"(*to));
}

/* An opcode's entry, by the kind of its map. */
static ALWAYS_INLINE const struct opcode *find_block(unsigned map, unsigned opcode)
{
    return &x86emu_decode_tables.opcodes[x86emu_decode_tables.blocks[map - FLAT_MAPS][opcode / BLOCK]][opcode % BLOCK];
}

static ALWAYS_INLINE const struct opcode *find_opcode(unsigned map, unsigned opcode)
{
#ifndef X86EMU_NO_VECTOR_MAPS
    if (map >= MAP_VEX_0F)
        return &x86emu_decode_tables.dense[map - MAP_VEX_0F][opcode];
#endif
    return map < FLAT_MAPS ? &x86emu_decode_tables.flat[map][opcode].opcode : find_block(map, opcode);
}

/* A legacy prefix; nothing else has these bits alone. */
static ALWAYS_INLINE bool is_prefix(unsigned byte)
{
    return x86emu_decode_tables.flat[MAP_ONE_BYTE][byte].opcode.length == (LENGTH_SPECIAL | LENGTH_ELSEWHERE);
}

/* A step on what few opcodes depend on. mode: with options. */
static ALWAYS_INLINE unsigned rare_step(const uint16_t *node, unsigned modrm, unsigned rex, unsigned prefixes,
                                        unsigned mode)
{
    unsigned word = (modrm & 7) | (rex & X86EMU_REX_B) << RARE_B | (mode & KNOWN_OPTIONS) >> 8 << RARE_AMD |
                    (prefixes & X86EMU_PREFIX_66 ? 1u << RARE_P66 : 0) | ((modrm & 0xc7) != 5 ? 1u << RARE_NO_RIP : 0);

    return node[2 + (word >> (node[1] & 0xff) & node[1] >> 8)];
}

/* length_bits: enum opcode_length. layouts: of the address size. bytes: from the opcode on. */
static ALWAYS_INLINE struct layout find_layout(unsigned length_bits, const uint8_t *layouts, uint64_t bytes)
{
    unsigned raw = bytes >> 8 & 0xff, has_modrm = length_bits >> 7, bits;
    struct layout layout = {.has_modrm = has_modrm};

    bits = layouts[(raw >> 3 & 0x18) | (raw & 7)] & (0 - has_modrm);
    layout.modrm = ((raw ^ NO_MODRM) & (0 - has_modrm)) ^ NO_MODRM;
    layout.has_sib = bits >> 7;
    layout.displacement = bits & 7;
    if (UNLIKELY(((bits & LAYOUT_BASE) | (bytes >> 16 & 7)) == (LAYOUT_BASE | 5)))
        layout.displacement = 4;
    return layout;
}

/* A field at the low end, of 0 to 8 bytes, sign-extended from as many or from none. */
static ALWAYS_INLINE uint64_t field(uint64_t bytes, unsigned size, unsigned sign_size)
{
    uint64_t sign = x86emu_decode_tables.signs[sign_size];

    return ((bytes & x86emu_decode_tables.masks[size]) ^ sign) - sign;
}

/* log2 of N in disp8*N (SDM Vol. 2, 2.7.5). */
static ALWAYS_INLINE unsigned displacement_scale(const struct form_shape *shape, unsigned evex, unsigned vector_length,
                                                 unsigned operand_size)
{
    unsigned scale = (shape->scale & SCALE_LOG2) + (vector_length & (0 - (shape->scale >> 3 & 1u)));

    if (UNLIKELY((shape->scale & 0xf) == SCALE_BY_SIZE))
        scale = operand_size == 8 ? 3 : 2;
    return evex & EVEX_B ? shape->scale >> SCALE_BROADCAST : scale;
}

/* 1 << bit when the condition holds. */
static ALWAYS_INLINE unsigned bit_if(unsigned bit, bool condition)
{
    return bit * (unsigned)condition;
}

#endif
