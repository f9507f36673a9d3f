/* SPDX-License-Identifier: BSD-2-Clause */
/* The way through the decoder that every instruction can take, and what it shares with the short ones. */
#ifndef X86EMU_DECODE_CAREFUL_H
#define X86EMU_DECODE_CAREFUL_H

#include "generated/tables.h"

#include "../common/inline.h"

#include <x86emu/insn.h>

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

/* length_bits: enum opcode_length. layouts: where in the table. bytes: from the opcode on. */
static ALWAYS_INLINE struct layout find_layout(unsigned length_bits, unsigned layouts, uint64_t bytes)
{
    unsigned raw = bytes >> 8 & 0xff, has_modrm = length_bits >> 7, bits;
    struct layout layout = {.has_modrm = has_modrm};

    bits = x86emu_decode_tables.layouts[layouts + raw] & (0 - has_modrm);
    layout.modrm = ((raw ^ NO_MODRM) & (0 - has_modrm)) ^ NO_MODRM;
    layout.has_sib = bits >> 3 & 1;
    layout.displacement = (bits & 7) + ((bits >> 4 & ((bytes >> 16 & 7) == 5)) << 2);
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
    if (evex & EVEX_B)
        return shape->scale >> SCALE_BROADCAST;
    if ((shape->scale & 0xf) == SCALE_BY_SIZE)
        return operand_size == 8 ? 3 : 2;
    return (shape->scale & SCALE_LOG2) + (shape->scale & SCALE_BY_LENGTH ? vector_length : 0);
}

/* 1 << bit when the condition holds. */
static ALWAYS_INLINE unsigned bit_if(unsigned bit, bool condition)
{
    return bit * (unsigned)condition;
}

#endif
