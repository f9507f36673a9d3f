/* SPDX-License-Identifier: BSD-2-Clause */
/* The opcode space, exhaustive in structure: which values each part of an encoding takes, and in which order. */
#include "space.h"

#include <stdbool.h>
#include <string.h>

static const char *const legacy_prefixes[] = {
    "",         "\x66",     "\xf3",     "\xf2",         "\x67",         "\xf0",         "\x2e",     "\x64",
    "\x66\xf3", "\x66\xf2", "\x66\x67", "\xf3\xf2",     "\xf2\xf3",     "\xf0\x66",     "\xf0\xf3", "\xf0\xf2",
    "\x67\x64", "\x36",     "\x3e",     "\x66\xf0\x67", "\x65\x66\xf3", "\x26\x66\x67", "\x2e\xf2", "\x3e\xf3",
};
static const uint8_t rex_prefixes[] = {0, 0x40, 0x41, 0x42, 0x44, 0x48, 0x49, 0x4c, 0x4f};
static const uint8_t sibs[] = {0x00, 0x25, 0x64, 0xa5, 0xe8, 0x9c, 0x41};
static const uint8_t tail[] = {0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8, 0x89, 0x9a, 0xab};

static size_t put(uint8_t *bytes, size_t at, const void *more, size_t count)
{
    memcpy(bytes + at, more, count);
    return at + count;
}

static void try_modrms(unsigned mode, unsigned map, unsigned opcode, uint8_t *bytes, size_t at)
{
    for (unsigned modrm = 0; modrm < 256; modrm++) {
        bool sib = modrm < 0xc0 && (modrm & 7) == 4;

        for (size_t i = 0; i < (sib ? sizeof(sibs) : 1); i++) {
            size_t end = at;

            bytes[end++] = (uint8_t)modrm;
            if (sib)
                bytes[end++] = sibs[i];
            put(bytes, end, tail, sizeof(tail));
            try_one(mode, map, opcode, modrm, bytes, 15);
        }
    }
}

static void try_opcode(unsigned mode, unsigned map, unsigned opcode)
{
    static const char *const escapes[LEGACY_MAPS] = {"", "\x0f", "\x0f\x38", "\x0f\x3a"};
    uint8_t bytes[64];

    for (size_t p = 0; p < sizeof(legacy_prefixes) / sizeof(legacy_prefixes[0]); p++) {
        for (size_t r = 0; r < (mode == 2 ? sizeof(rex_prefixes) : 1); r++) {
            size_t at = put(bytes, 0, legacy_prefixes[p], strlen(legacy_prefixes[p]));

            if (rex_prefixes[r] != 0)
                bytes[at++] = rex_prefixes[r];
            at = put(bytes, at, escapes[map], strlen(escapes[map]));
            bytes[at++] = (uint8_t)opcode;
            try_modrms(mode, map, opcode, bytes, at);
        }
    }
}

/* 3DNow!: the opcode stands behind the operand, wherever that ends: all the bytes there are it. */
static void try_3dnow(unsigned mode, unsigned opcode)
{
    for (size_t p = 0; p < sizeof(legacy_prefixes) / sizeof(legacy_prefixes[0]); p++) {
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            uint8_t bytes[64];
            size_t at = put(bytes, 0, legacy_prefixes[p], strlen(legacy_prefixes[p]));

            memset(bytes + at, (int)opcode, sizeof(bytes) - at);
            at = put(bytes, at, "\x0f\x0f", 2);
            bytes[at] = (uint8_t)modrm;
            try_one(mode, MAP_3DNOW, opcode, modrm, bytes, 15);
        }
    }
}

/* --- VEX, XOP, EVEX ----------------------------------------------------------------------------------------------- */

/* The maps behind a vector prefix, in the order of their numbers from VECTOR_MAPS on. */
static const struct vector_map {
    uint8_t prefix, number;
} vector_maps[MAP_OTHERS - VECTOR_MAPS] = {{0xc4, 1}, {0xc4, 2}, {0xc4, 3}, {0x62, 1}, {0x62, 2}, {0x62, 3},
                                           {0x62, 5}, {0x62, 6}, {0x8f, 8}, {0x8f, 9}, {0x8f, 10}};

static const uint8_t vvvv_samples[] = {0xf, 0x0, 0xa};

/* RXB of the first payload byte (stored inverted), and for EVEX R' above them. */
static const uint8_t rxb_samples[] = {0xf, 0xb, 0xd, 0xe, 0x7, 0x0};

static void try_vex(unsigned mode, unsigned map, unsigned opcode, const struct vector_map *vector)
{
    uint8_t bytes[64];

    for (size_t r = 0; r < sizeof(rxb_samples); r++) {
        for (unsigned v = 0; v < sizeof(vvvv_samples) * 16; v++) {
            bytes[0] = vector->prefix;
            bytes[1] = (uint8_t)((rxb_samples[r] & 7u) << 5 | vector->number);
            bytes[2] = (uint8_t)((v & 8) << 4 | vvvv_samples[v / 16] << 3 | (v & 7));
            bytes[3] = (uint8_t)opcode;
            try_modrms(mode, map, opcode, bytes, 4);
        }
    }
}

/* The last payload byte: z L'L b V' aaa, in combinations that each test something. */
static const uint8_t evex_samples[] = {0x08, 0x28, 0x48, 0x68, 0x09, 0x8a, 0xc8,
                                       0x18, 0x38, 0x5b, 0xdc, 0x00, 0x41, 0xa9};

static void try_evex(unsigned mode, unsigned map, unsigned opcode, const struct vector_map *vector)
{
    uint8_t bytes[64];

    for (size_t r = 0; r < sizeof(rxb_samples); r++) {
        for (unsigned v = 0; v < sizeof(vvvv_samples) * 8; v++) {
            for (size_t e = 0; e < sizeof(evex_samples); e++) {
                bytes[0] = vector->prefix;
                bytes[1] = (uint8_t)((rxb_samples[r] & 7u) << 5 | (rxb_samples[r] & 8u) << 1 | vector->number);
                bytes[2] = (uint8_t)((v & 4) << 5 | vvvv_samples[v / 8] << 3 | 4 | (v & 3));
                bytes[3] = evex_samples[e];
                bytes[4] = (uint8_t)opcode;
                try_modrms(mode, map, opcode, bytes, 5);
            }
        }
    }
}

/* Everything that C5 can say. */
static void try_c5(unsigned mode, unsigned opcode)
{
    uint8_t bytes[64] = {0xc5, 0, (uint8_t)opcode};

    for (unsigned payload = 0; payload < 256; payload++) {
        bytes[1] = (uint8_t)payload;
        try_modrms(mode, MAP_C5, opcode, bytes, 3);
    }
}

/* --- what must not stand there ------------------------------------------------------------------------------------ */

static const uint8_t modrm_samples[] = {0x00, 0x04, 0x05, 0x0c, 0x44, 0x6d, 0x84, 0xb1, 0xc0, 0xca, 0xd3, 0xff};

static void try_samples(unsigned mode, unsigned map, unsigned opcode, uint8_t *bytes, size_t at)
{
    for (size_t i = 0; i < sizeof(modrm_samples); i++) {
        bytes[at] = modrm_samples[i];
        put(bytes, at + 1, tail, sizeof(tail));
        try_one(mode, map, opcode, modrm_samples[i], bytes, 15);
    }
}

/* Payload bytes behind C4, 62 or 8F, for 256 combinations of W, L or L'L and b, and pp. */
static size_t put_payload(uint8_t *bytes, size_t at, const struct vector_map *vector, unsigned combination)
{
    uint8_t wpp = (uint8_t)((combination & 4) << 5 | 0x78 | (combination & 3));

    bytes[at++] = vector->prefix;
    if (vector->prefix == 0x62) {
        bytes[at++] = (uint8_t)(0xf0 | vector->number);
        bytes[at++] = wpp | 4;
        bytes[at++] = (uint8_t)(8 | (combination & 0x18) << 2 | (combination & 0x20) >> 1 | (combination & 0x40) >> 6);
        return at;
    }
    bytes[at++] = (uint8_t)(0xe0 | vector->number);
    bytes[at++] = wpp | (combination >> 3 & 1) << 2;
    return at;
}

/* Legacy prefixes in front of VEX, XOP and EVEX: 66, F2, F3, LOCK and REX are refused, 67 and segments count. */
static void try_prefixed(unsigned mode, unsigned map, unsigned opcode, const struct vector_map *vector)
{
    static const char *const prefixes[] = {"\x66", "\xf2",     "\xf3",     "\xf0", "\x67", "\x64",
                                           "\x2e", "\x67\x65", "\x36\x67", "\x40", "\x4f", "\x48\x67"};

    for (size_t p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++) {
        for (unsigned combination = 0; combination < (vector->prefix == 0x62 ? 128 : 16); combination++) {
            uint8_t bytes[64];
            size_t at = put_payload(bytes, put(bytes, 0, prefixes[p], strlen(prefixes[p])), vector, combination);

            bytes[at++] = (uint8_t)opcode;
            try_samples(mode, map, opcode, bytes, at);
        }
    }
}

/* Map numbers that don't exist, and EVEX with its fixed bits cleared or set. */
static void try_others(unsigned mode, unsigned opcode)
{
    static const uint8_t prefixes[] = {0xc4, 0x62, 0x8f};

    for (unsigned n = 0; n < 3 * 32; n++) {
        struct vector_map vector = {prefixes[n / 32], (uint8_t)(n % 32)};

        for (unsigned combination = 0; combination < 32; combination++) {
            uint8_t bytes[64];
            size_t at = put_payload(bytes, 0, &vector, combination);

            bytes[at++] = (uint8_t)opcode;
            try_samples(mode, MAP_OTHERS, opcode, bytes, at);
            bytes[2] ^= 4; /* EVEX: the bit that is 1 */
            if (vector.prefix == 0x62)
                try_samples(mode, MAP_OTHERS, opcode, bytes, at);
        }
    }
}

void try_map(unsigned mode, unsigned map, unsigned opcode)
{
    const struct vector_map *vector;

    if (map < LEGACY_MAPS)
        try_opcode(mode, map, opcode);
    else if (map == MAP_3DNOW)
        try_3dnow(mode, opcode);
    else if (map == MAP_C5)
        try_c5(mode, opcode);
    else if (map == MAP_OTHERS)
        try_others(mode, opcode);
    if (map < VECTOR_MAPS || map == MAP_OTHERS)
        return;
    vector = &vector_maps[map - VECTOR_MAPS];
    if (vector->prefix == 0x62)
        try_evex(mode, map, opcode, vector);
    else
        try_vex(mode, map, opcode, vector);
    try_prefixed(mode, map, opcode, vector);
}
