/* SPDX-License-Identifier: BSD-2-Clause */
/* How random bytes become encodings that decode: prefixes, payloads and fields that are legal often enough. */
#include "sample.h"

#include <stdlib.h>
#include <string.h>

/* So many attempts reach every row that there is. */
enum {
    ATTEMPTS = 40 * 1000 * 1000
};

static uint64_t state;

/* xorshift64* */
static unsigned random_below(unsigned limit)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (unsigned)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % limit;
}

static uint8_t random_byte(void)
{
    return (uint8_t)random_below(256);
}

static bool is_prefix(uint8_t byte, enum x86emu_mode mode)
{
    return (byte & 0xe7) == 0x26 || (byte & 0xfc) == 0x64 || byte == 0xf0 || (byte & 0xfe) == 0xf2 ||
           (mode == X86EMU_MODE_64 && (byte & 0xf0) == 0x40);
}

/* At most one prefix that may be mandatory, and one more: processors take any number, objdump prints oddities. */
static size_t put_legacy(uint8_t *bytes, enum x86emu_mode mode)
{
    static const uint8_t first[] = {0x66, 0xf2, 0xf3}, second[] = {0x67, 0xf0, 0x64, 0x65};
    size_t at = 0;

    if (random_below(8) == 0)
        bytes[at++] = second[random_below(sizeof(second))];
    if (random_below(2) == 0)
        bytes[at++] = first[random_below(sizeof(first))];
    if (mode == X86EMU_MODE_64 && random_below(2) == 0)
        bytes[at++] = (uint8_t)(0x40 + random_below(16));
    switch (random_below(6)) {
    case 0:
        do
            bytes[at] = random_byte();
        while (is_prefix(bytes[at], mode));
        at++;
        break;
    case 1:
        bytes[at++] = 0x0f;
        bytes[at++] = 0x38;
        break;
    case 2:
        bytes[at++] = 0x0f;
        bytes[at++] = 0x3a;
        break;
    case 3: /* system instructions: the whole ModRM byte is opcode */
        bytes[at++] = 0x0f;
        bytes[at++] = 0x01;
        break;
    default:
        bytes[at++] = 0x0f;
        break;
    }
    return at;
}

/* vvvv and V', stored inverted: unused ones are all ones (SDM Vol. 2, 2.3.5.6). */
static uint8_t random_vvvv(void)
{
    return random_below(2) ? 0x78 : (uint8_t)(random_byte() & 0x78);
}

static size_t put_vex(uint8_t *bytes)
{
    if (random_below(4) == 0) {
        bytes[0] = 0xc5;
        bytes[1] = (uint8_t)((random_byte() & 0x87) | random_vvvv());
        return 2;
    }
    bytes[0] = 0xc4;
    bytes[1] = (uint8_t)((random_byte() & 0xe0) | (1 + random_below(3)));
    bytes[2] = (uint8_t)((random_byte() & 0x87) | random_vvvv());
    return 3;
}

/* Outside 64-bit mode R, X and B are 1: objdump would print registers 8 to 15 for others (APM Vol. 3, 1.5). */
static size_t put_xop(uint8_t *bytes, enum x86emu_mode mode)
{
    bytes[0] = 0x8f;
    bytes[1] = (uint8_t)((mode == X86EMU_MODE_64 ? random_byte() & 0xe0 : 0xe0) | (8 + random_below(3)));
    bytes[2] = (uint8_t)((random_byte() & 0x87) | random_vvvv());
    return 3;
}

static size_t put_evex(uint8_t *bytes)
{
    static const uint8_t maps[] = {1, 2, 3, 5, 6};

    bytes[0] = 0x62;
    bytes[1] = (uint8_t)((random_byte() & 0xf0) | maps[random_below(sizeof(maps))]);
    bytes[2] = (uint8_t)((random_byte() & 0x83) | random_vvvv() | 4);
    bytes[3] = random_byte();
    if (random_below(2))
        bytes[3] = (uint8_t)((bytes[3] & 0x60) | 8);
    return 4;
}

static size_t put_start(uint8_t *bytes, enum x86emu_mode mode)
{
    switch (random_below(6)) {
    case 0:
        return put_vex(bytes);
    case 1:
        return put_xop(bytes, mode);
    case 2:
    case 3:
        return put_evex(bytes);
    default:
        return put_legacy(bytes, mode);
    }
}

static void attempt(uint8_t *bytes, enum x86emu_mode mode)
{
    for (size_t at = put_start(bytes, mode); at < X86EMU_MAX_INSN_LENGTH; at++)
        bytes[at] = random_byte();
}

static void set_seed(uint64_t seed)
{
    state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

void sample_attempt(uint8_t *bytes, enum x86emu_mode mode, uint64_t seed)
{
    set_seed(seed);
    attempt(bytes, mode);
}

struct sample sample_make(enum x86emu_mode mode, unsigned share, uint64_t seed)
{
    static unsigned taken[X86EMU_FORM_COUNT];
    struct sample sample = {.encodings = calloc((size_t)X86EMU_FORM_COUNT * share, sizeof(struct encoding))};

    set_seed(seed);
    memset(taken, 0, sizeof(taken));
    for (unsigned n = 0; n < ATTEMPTS && sample.encodings != NULL; n++) {
        struct encoding *encoding = &sample.encodings[sample.count];
        struct x86emu_insn insn;
        uint8_t bytes[X86EMU_MAX_INSN_LENGTH];

        attempt(bytes, mode);
        if (x86emu_decode(&insn, bytes, sizeof(bytes), mode) != X86EMU_DECODE_OK || taken[insn.form] == share)
            continue;
        sample.rows += taken[insn.form]++ == 0;
        memcpy(encoding->bytes, bytes, insn.length);
        encoding->length = insn.length;
        sample.count++;
    }
    return sample;
}
