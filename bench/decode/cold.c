/* SPDX-License-Identifier: BSD-2-Clause */
/* One decode with nothing of it in any cache. */
#include "../common/timing.h"
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <x86intrin.h>

enum {
    SWEEP = 64 << 20,
    CODE = 512 << 10,
    ROUNDS = 101
};

/* Instructions that push everything else out of the instruction cache, and jumps that fill the branch predictor. */
static void (*filler_code(void))(void)
{
    uint8_t *code = mmap(NULL, CODE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    union {
        uint8_t *bytes;
        void (*function)(void);
    } pointer = {.bytes = code};

    if (code == MAP_FAILED)
        return NULL;
    memset(code, 0x90, CODE);
    for (size_t at = 0; at + 64 < CODE; at += 32)
        memcpy(code + at, "\xeb\x1e", 2); /* jmp over 30 bytes */
    code[CODE - 1] = 0xc3;
    return pointer.function;
}

static void evict(volatile uint8_t *memory, void (*code)(void))
{
    for (size_t at = 0; at < SWEEP; at += 64)
        memory[at]++;
    if (code != NULL)
        code();
}

/* What is the least: one call, one byte of a table read. */
unsigned cold_least(const uint8_t *bytes, size_t size)
{
    static const uint8_t table[2 * 4096] __attribute__((aligned(4096))) = {[0x90] = 1};

    return table[bytes[0] + (size & 1)];
}

double cold_cycles(decode_function *decode, const struct corpus *corpus)
{
    static uint8_t *memory;
    static void (*code)(void);
    double cycles[ROUNDS];
    uint8_t bytes[32] = {0};

    if (memory == NULL) {
        memory = calloc(1, SWEEP);
        code = filler_code();
    }
    if (memory == NULL)
        abort();
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned aux;
        uint64_t start;

        memcpy(bytes, corpus->bytes + (size_t)corpus->order[round] * SLOT_SIZE, SLOT_SIZE);
        evict(memory, code);
        memcpy(bytes + 16, bytes, 1); /* the bytes themselves are at hand */
        start = __rdtscp(&aux);
        decode(bytes, SLOT_SIZE);
        cycles[round] = (double)(__rdtscp(&aux) - start);
    }
    return median(cycles, ROUNDS);
}
