/* SPDX-License-Identifier: BSD-2-Clause */
/* Random numbers that repeat for a seed, most of them where mistakes are: at edges. */
#ifndef DIFFERENTIAL_RANDOM_H
#define DIFFERENTIAL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

void random_start(uint64_t seed);

extern uint64_t random_state;

/* SplitMix64. */
static inline uint64_t random_64(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 to bound - 1. */
static inline unsigned below(unsigned bound)
{
    return (unsigned)((random_64() >> 32) * bound >> 32);
}

static inline bool one_in(unsigned n)
{
    return below(n) == 0;
}

/* Often a small number or an edge. */
uint64_t random_value(void);

/* count vectors of 64 bytes, at most 256, side by side. Valid until the next call. */
const uint8_t *random_vectors(unsigned count);

#endif
