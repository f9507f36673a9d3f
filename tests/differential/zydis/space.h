/* SPDX-License-Identifier: BSD-2-Clause */
/* Every opcode of every map in every mode, with prefixes, ModRM, SIB and the fields of VEX, XOP and EVEX. */
#ifndef TESTS_DIFFERENTIAL_SPACE_H
#define TESTS_DIFFERENTIAL_SPACE_H

#include <stddef.h>
#include <stdint.h>

/* One-byte, 0F, 0F 38, 0F 3A; 3DNow!; behind C5; those behind C4, 62 and 8F, each; all else behind C4, 62 and 8F. */
enum {
    LEGACY_MAPS = 4,
    MAP_3DNOW = LEGACY_MAPS,
    MAP_C5,
    VECTOR_MAPS,
    MAP_OTHERS = VECTOR_MAPS + 11,
    MAPS,
};

/* Tries one opcode of a map with all that may surround it. */
void try_map(unsigned mode, unsigned map, unsigned opcode);

/* main.c: what is done with each encoding. */
void try_one(unsigned mode, unsigned map, unsigned opcode, unsigned modrm, const uint8_t *bytes, size_t size);

#endif
