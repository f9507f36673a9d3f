/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiled code for the interpreter: checksums, sorting, copying, a hash map; integer instructions only. */
#pragma GCC target("general-regs-only")
#pragma GCC optimize("O2,no-tree-loop-distribute-patterns,no-stack-protector")
#include "bench.h"

#define GUEST __attribute__((section("guest"), noinline, used))

enum {
    BYTES = 65536,
    NUMBERS = 4096,
    SLOTS = 8192
};

GUEST static uint64_t crc(uint8_t *data, uint64_t rounds)
{
    uint32_t sum = 0xffffffff;

    for (uint64_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < BYTES / 16; i++) {
            sum ^= data[i];
            for (unsigned bit = 0; bit < 8; bit++)
                sum = sum >> 1 ^ (0xedb88320 & (0u - (sum & 1)));
        }
    }
    return sum;
}

/* Heap sort of numbers made by a multiplication. */
GUEST static uint64_t sort(uint8_t *data, uint64_t rounds)
{
    uint64_t *numbers = (uint64_t *)(data + BYTES), sum = 0;

    for (uint64_t round = 0; round < rounds; round++) {
        for (uint64_t i = 0; i < NUMBERS; i++)
            numbers[i] = (i + round) * UINT64_C(0x9e3779b97f4a7c15);
        for (uint64_t end = NUMBERS, start = NUMBERS / 2; end > 1;) {
            uint64_t root, child, moved;

            if (start > 0) {
                moved = numbers[--start];
            } else {
                moved = numbers[--end];
                numbers[end] = numbers[0];
            }
            for (root = start; (child = 2 * root + 1) < end; root = child) {
                if (child + 1 < end && numbers[child] < numbers[child + 1])
                    child++;
                if (moved >= numbers[child])
                    break;
                numbers[root] = numbers[child];
            }
            numbers[root] = moved;
        }
        sum = sum * 31 + numbers[round % NUMBERS];
    }
    return sum;
}

/* Copies with 8-byte and 1-byte moves, as small copies are compiled. */
GUEST static uint64_t copy(uint8_t *data, uint64_t rounds)
{
    volatile uint8_t *end;
    uint64_t sum = 0;

    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t *to = (uint64_t *)(data + BYTES), *from = (uint64_t *)data;

        for (unsigned i = 0; i < BYTES / 8; i++)
            to[i] = from[i];
        end = data + 2 * BYTES;
        for (unsigned i = 0; i < 64; i++)
            end[i] = data[(round + i) % BYTES];
        sum += to[round % (BYTES / 8)] + end[round % 64];
    }
    return sum;
}

/* Open addressing: inserts, finds and deletes. */
GUEST static uint64_t hash_map(uint8_t *data, uint64_t rounds)
{
    struct slot {
        uint64_t key, value;
    } *slots = (struct slot *)(data + 4 * BYTES);
    uint64_t found = 0, key = 1;

    for (unsigned i = 0; i < SLOTS; i++)
        slots[i].key = 0;
    for (uint64_t round = 0; round < rounds * SLOTS / 2; round++) {
        uint64_t at;

        key = key * UINT64_C(6364136223846793005) + 1442695040888963407;
        at = (key >> 40) % SLOTS;
        for (unsigned probes = 0; probes < 8; probes++, at = (at + 1) % SLOTS) {
            if (slots[at].key == (key >> 50 | 1)) {
                found += slots[at].value;
                slots[at].key = 0;
                break;
            }
            if (slots[at].key == 0) {
                slots[at].key = key >> 50 | 1;
                slots[at].value = round;
                break;
            }
        }
    }
    return found;
}

const struct workload workloads[] = {
    {"crc", crc, 40, 0},
    {"sort", sort, 6, 0},
    {"copy", copy, 40, 0},
    {"hash_map", hash_map, 12, 0},
};
const size_t workload_count = sizeof(workloads) / sizeof(workloads[0]);

static void put(uint8_t *memory, uint64_t at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        memory[at + i] = (uint8_t)(value >> 8 * i);
}

/* 4-level tables that map what is below 4 MiB one to one in 4-KiB pages, and the device's. */
static void fill_tables(uint8_t *memory)
{
    enum {
        ENTRY = 0x67 /* present, writable, user, accessed, dirty */
    };
    const uint64_t pdpt = GUEST_TABLES + 0x1000, pd = GUEST_TABLES + 0x2000, pt = GUEST_TABLES + 0x3000;

    put(memory, GUEST_TABLES, pdpt | ENTRY);
    put(memory, pdpt, pd | ENTRY);
    for (uint64_t i = 0; i < 2; i++)
        put(memory, pd + 8 * i, (pt + 0x1000 * i) | ENTRY);
    for (uint64_t i = 0; i < GUEST_SIZE / 4096; i++)
        put(memory, pt + 8 * i, 4096 * i | ENTRY);
    put(memory, pd + 8 * (GUEST_DEVICE >> 21), GUEST_DEVICE | ENTRY | 0x80);
}

void guest_fill(uint8_t *memory)
{
    for (size_t i = 0; i < GUEST_SIZE; i++)
        memory[i] = 0;
    fill_tables(memory);
    for (const uint8_t *byte = guest_begin; byte < guest_end; byte++)
        memory[GUEST_CODE + (byte - guest_begin)] = *byte;
    for (uint32_t i = 0; i < BYTES; i++)
        memory[GUEST_DATA + i] = (uint8_t)(i * 2654435761u >> 11);
}
