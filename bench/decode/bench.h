/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the decoder benchmark share: code to decode, and those who decode it. */
#ifndef BENCH_DECODE_BENCH_H
#define BENCH_DECODE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 64-bit code. Streams are decoded front to back; slots one by one, 16 bytes each, in the order given. */
struct corpus {
    const char *name;
    uint8_t *bytes;
    size_t size;     /* readable bytes behind it: 16 */
    uint32_t *order; /* slots: which one comes next; NULL for a stream */
    size_t slots;
    size_t count;  /* instructions */
    size_t begin;  /* stream: where the next pass begins, in bytes */
    size_t window; /* and how many instructions it decodes at most */
};

enum {
    SLOT_SIZE = 16,
    CORPUS_MOST = 6
};

/* Fills corpora, answers how many there are; says on stderr which are missing and why. */
size_t corpora_collect(struct corpus *corpora);

/* Puts the slots of a corpus into another order. */
void corpus_shuffle(struct corpus *corpus);

/* Decodes one instruction: its length, or 0. */
typedef unsigned decode_function(const uint8_t *bytes, size_t size);

struct contestant {
    const char *name;
    decode_function *decode;
    uint64_t (*pass)(const struct corpus *corpus); /* a window, or all slots; answers the sum of all lengths */
};

extern const struct contestant contestants[];
extern const size_t contestant_count;

void contestants_init(void);

/* Median processor cycles of one call after everything that can be was evicted from the caches. */
double cold_cycles(decode_function *decode, const struct corpus *corpus);

/* Not a decoder: the least that a call costs then. */
decode_function cold_least;

#endif
