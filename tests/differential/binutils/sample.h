/* SPDX-License-Identifier: BSD-2-Clause */
/* A random sample of valid encodings in which every row of the instruction table has its share. */
#ifndef TESTS_DIFFERENTIAL_SAMPLE_H
#define TESTS_DIFFERENTIAL_SAMPLE_H

#include <stddef.h>
#include <x86emu/insn.h>

struct encoding {
    uint8_t bytes[X86EMU_MAX_INSN_LENGTH];
    uint8_t length;
};

struct sample {
    struct encoding *encodings;
    size_t count;
    unsigned rows; /* of the table, that occur in it */
};

/* At most share encodings of each row, valid in mode. encodings are the caller's to free(); null: out of memory. */
struct sample sample_make(enum x86emu_mode mode, unsigned share, uint64_t seed);

/* Writes X86EMU_MAX_INSN_LENGTH bytes that begin with legal prefixes and payloads; what follows is random. */
void sample_attempt(uint8_t *bytes, enum x86emu_mode mode, uint64_t seed);

#endif
