/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest that the benchmark runs, and the two that run it. */
#ifndef BENCH_EXECUTE_H
#define BENCH_EXECUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Guest-physical and linear addresses alike: page tables, code, stack below TOP_OF_STACK, data. */
enum guest_layout {
    GUEST_TABLES = 0x1000,
    GUEST_CODE = 0x10000,
    GUEST_TOP_OF_STACK = 0x80000,
    GUEST_DATA = 0x100000,
    GUEST_SIZE = 0x400000,
    GUEST_DEVICE = 0x10000000,
};

/* A program of the guest: compiled C, started with RDI = GUEST_DATA and RSI = a number of rounds. */
struct workload {
    const char *name;
    uint64_t (*function)(uint8_t *data, uint64_t rounds);
    uint64_t rounds;
    uint64_t result; /* what it returns here, run natively */
};

extern const struct workload workloads[];
extern const size_t workload_count;

/* The code of all workloads. */
extern const uint8_t guest_begin[] __asm__("__start_guest"), guest_end[] __asm__("__stop_guest");

/* Where a workload's code is in the guest. */
static inline uint64_t guest_entry(const struct workload *workload)
{
    return GUEST_CODE + ((uintptr_t)workload->function - (uintptr_t)guest_begin);
}

/* Runs a workload to its end; the instructions it took, 0 when that is unknown. *result: what it returned. */
typedef uint64_t run_workload(uint8_t *memory, const struct workload *workload, uint64_t *result);

run_workload emulator_run, unicorn_run;

/* Fills the guest's memory: page tables, code, the data that workloads begin with. */
void guest_fill(uint8_t *memory);

/* One MMIO access, from bytes to retired; ns. */
struct access_form {
    const char *name;
    uint8_t bytes[12];
    uint8_t size;
};

extern const struct access_form access_forms[];
extern const size_t access_form_count;

/* Runs the form count times; suspended: the request goes to the caller and back, else it is answered by the region. */
void emulator_access(const struct access_form *form, bool suspended, unsigned long count);

#endif
