/* SPDX-License-Identifier: BSD-2-Clause */
/* Random numbers, and a pool of random vectors. */
#include "random.h"

#include <stddef.h>
#include <string.h>

enum {
    VECTOR = 64,
    POOL = 1024,
};

uint64_t random_state;
static uint8_t pool[POOL][VECTOR];

uint64_t random_value(void)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     UINT64_C(1) << 32,
                                     INT64_MAX,
                                     UINT64_C(1) << 63,
                                     UINT64_MAX,
                                     UINT64_MAX - 1};

    switch (below(7)) {
    case 0:
        return edges[below(sizeof(edges) / sizeof(edges[0]))];
    case 1:
        return below(80);
    case 2:
        return (uint64_t)0 - below(80);
    case 3:
        return (uint32_t)random_64();
    case 4:
        return random_64() >> below(64);
    default:
        return random_64();
    }
}

static void random_vector(uint8_t bytes[VECTOR])
{
    for (unsigned i = 0; i < VECTOR; i += 8)
        memcpy(bytes + i, &(uint64_t){random_64()}, 8);
    if (one_in(4))
        for (unsigned i = 0; i < VECTOR; i += 8)
            memcpy(bytes + i, &(uint64_t){random_value()}, 8);
    if (one_in(4)) /* bytes and words that are equal, sign bits alone, … */
        for (unsigned i = 0; i < VECTOR; i++)
            bytes[i] = one_in(2) ? 0 : bytes[i] | 0x80;
}

/* Vectors are expensive to make, and many are needed at once: they come out of a pool that is renewed bit by bit. */
const uint8_t *random_vectors(unsigned count)
{
    random_vector(pool[below(POOL)]);
    return pool[below(POOL - count)];
}

void random_start(uint64_t seed)
{
    random_state = seed * 2 + 1;
    for (unsigned i = 0; i < POOL; i++)
        random_vector(pool[i]);
}
