/* SPDX-License-Identifier: BSD-2-Clause */
/* Walks the opcode space, exhaustive in structure: what is encoded, in which order, and what is reported. */
#include "capstone.h"
#include "compare.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Differences are gathered by mode, map, opcode, ModRM.reg and kind; each group shows its first example. */
enum {
    LEGACY_MAPS = 4,
    MAPS = 15,
    GROUPS = 3 * MAPS * 256 * 8 * DIFFERENCES
};

static struct group {
    unsigned long count;
    uint8_t bytes[16];
    uint8_t size;
    char text[512];
} * groups;

static unsigned long long encodings, unexplained;
static unsigned long long stride = 1;

static void note(unsigned mode, unsigned map, unsigned opcode, unsigned modrm, enum difference difference,
                 const uint8_t *bytes, size_t size, const char *text)
{
    size_t index = ((((size_t)mode * MAPS + map) * 256 + opcode) * 8 + (modrm >> 3 & 7)) * DIFFERENCES + difference;
    struct group *group = &groups[index];

    unexplained++;
    if (group->count++ > 0)
        return;
    memcpy(group->bytes, bytes, size < 16 ? size : 16);
    group->size = (uint8_t)size;
    snprintf(group->text, sizeof(group->text), "%s", text);
}

static void try_one(unsigned mode, unsigned map, unsigned opcode, unsigned modrm, const uint8_t *bytes, size_t size)
{
    char text[512];
    enum difference difference;

    if (encodings++ % stride != 0)
        return;
    difference = compare(bytes, size, mode, text, sizeof(text));
    if (difference != SAME)
        note(mode, map, opcode, modrm, difference, bytes, size, text);
}

/* --- what is tried ------------------------------------------------------------------------------------------------ */

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

/* --- VEX, XOP, EVEX ----------------------------------------------------------------------------------------------- */

/* The maps behind a vector prefix, as MAPS numbers them from LEGACY_MAPS on. */
static const struct vector_map {
    uint8_t prefix, number;
} vector_maps[MAPS - LEGACY_MAPS] = {{0xc4, 1}, {0xc4, 2}, {0xc4, 3}, {0x62, 1}, {0x62, 2}, {0x62, 3},
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

static void try_map(unsigned mode, unsigned map, unsigned opcode)
{
    const struct vector_map *vector;

    if (map < LEGACY_MAPS) {
        try_opcode(mode, map, opcode);
        return;
    }
    vector = &vector_maps[map - LEGACY_MAPS];
    if (vector->prefix == 0x62)
        try_evex(mode, map, opcode, vector);
    else
        try_vex(mode, map, opcode, vector);
}

/* --- reporting ---------------------------------------------------------------------------------------------------- */

static void report(void)
{
    for (size_t i = 0; i < GROUPS; i++) {
        const struct group *group = &groups[i];

        if (group->count == 0)
            continue;
        printf("%s bits, %lu times, %s:", (const char *[]){"16", "32", "64"}[i / (GROUPS / 3)], group->count,
               difference_name((enum difference)(i % DIFFERENCES)));
        for (unsigned byte = 0; byte < group->size; byte++)
            printf(" %02x", group->bytes[byte]);
        printf(": %s\n", group->text);
    }
}

static void usage(void)
{
    puts("usage: x86emu-differential-zydis [--quick] [--every N] [--map N] [--opcode HEX] [--mode 16|32|64]\n"
         "Compares the decoder with Zydis over the opcode space. --every N tries one encoding of N.");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"every", required_argument, NULL, 'e'},
                                            {"map", required_argument, NULL, 'm'},
                                            {"opcode", required_argument, NULL, 'o'},
                                            {"mode", required_argument, NULL, 'b'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int only_map = -1, only_opcode = -1, only_mode = -1, option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'q':
            stride = 61;
            break;
        case 'e':
            stride = strtoull(optarg, NULL, 10);
            break;
        case 'm':
            only_map = atoi(optarg);
            break;
        case 'o':
            only_opcode = (int)strtol(optarg, NULL, 16);
            break;
        case 'b':
            only_mode = atoi(optarg) == 64 ? 2 : atoi(optarg) == 32 ? 1 : 0;
            break;
        case 'h':
            usage();
            return 0;
        default:
            usage();
            return 2;
        }
    }
    if (stride == 0) {
        usage();
        return 2;
    }
    groups = calloc(GROUPS, sizeof(*groups));
    if (groups == NULL || !compare_init())
        return 1;
    for (unsigned mode = 0; mode < 3; mode++)
        for (unsigned map = 0; map < MAPS; map++)
            for (unsigned opcode = 0; opcode < 256; opcode++)
                if ((only_mode < 0 || mode == (unsigned)only_mode) && (only_map < 0 || map == (unsigned)only_map) &&
                    (only_opcode < 0 || opcode == (unsigned)only_opcode))
                    try_map(mode, map, opcode);
    report();
    printf("lengths of %llu encodings by Capstone too\n", capstone_known());
    printf("%llu encodings, %llu unexplained\n", encodings / stride, unexplained);
    free(groups);
    return unexplained != 0;
}
