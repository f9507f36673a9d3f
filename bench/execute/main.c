/* SPDX-License-Identifier: BSD-2-Clause */
/* Times the emulator: device accesses from bytes to retired, and compiled code in RAM; prints tables. */
#define _GNU_SOURCE
#include "../common/timing.h"
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_ROUNDS = 32
};

static unsigned rounds = 9;
static unsigned long accesses = 200000;
static FILE *csv;
static uint8_t memory[GUEST_SIZE] __attribute__((aligned(4096)));

static void time_accesses(void)
{
    printf("%-24s %14s %14s\n", "device access", "answered, ns", "suspended, ns");
    for (size_t f = 0; f < access_form_count; f++) {
        double samples[2][MOST_ROUNDS], ns[2];

        for (unsigned round = 0; round < rounds; round++) {
            for (unsigned suspended = 0; suspended < 2; suspended++) {
                double start = now();

                emulator_access(&access_forms[f], suspended != 0, accesses);
                samples[suspended][round] = (now() - start) / (double)accesses;
            }
        }
        ns[0] = median(samples[0], rounds);
        ns[1] = median(samples[1], rounds);
        printf("%-24s %14.1f %14.1f\n", access_forms[f].name, ns[0], ns[1]);
        if (csv != NULL)
            fprintf(csv, "access,\"%s\",%.2f,%.2f\n", access_forms[f].name, ns[0], ns[1]);
    }
}

static double time_workload(run_workload *run, const struct workload *workload, uint64_t expected, uint64_t *steps)
{
    uint64_t result, count;
    double start = now(), end;

    count = run(memory, workload, &result);
    end = now();
    if (count != 0)
        *steps = count;
    if (result != expected) {
        fprintf(stderr, "%s: wrong result\n", workload->name);
        exit(1);
    }
    return end - start;
}

static void time_workloads(void)
{
    printf("\n%-24s %14s %14s %14s\n", "compiled code", "instructions", "x86emu, MIPS", "unicorn, MIPS");
    for (size_t w = 0; w < workload_count; w++) {
        double samples[2][MOST_ROUNDS], mips[2];
        uint64_t expected, steps = 0;

        guest_fill(memory);
        expected = workloads[w].function(memory + GUEST_DATA, workloads[w].rounds);
        for (unsigned round = 0; round < rounds; round++) {
            samples[0][round] = time_workload(emulator_run, &workloads[w], expected, &steps);
            samples[1][round] = time_workload(unicorn_run, &workloads[w], expected, &steps);
        }
        mips[0] = (double)steps * 1e3 / median(samples[0], rounds);
        mips[1] = (double)steps * 1e3 / median(samples[1], rounds);
        printf("%-24s %14llu %14.1f %14.1f\n", workloads[w].name, (unsigned long long)steps, mips[0], mips[1]);
        if (csv != NULL)
            fprintf(csv, "code,%s,%.2f,%.2f\n", workloads[w].name, mips[0], mips[1]);
    }
}

static const char help[] =
    "usage: x86emu-bench-execute [--quick] [--csv FILE]\n\n"
    "Device accesses, from instruction bytes and guest-physical address to retired: answered at once by a region's\n"
    "handler, and through a request to the caller. Then compiled code in RAM, with libunicorn, a translator, for "
    "scale.\n\n"
    "  --quick     fewer rounds\n"
    "  --csv FILE  kind,name,and the two figures of the row\n"
    "  --help      this text\n";

static void parse(int argc, char **argv)
{
    static const struct option known[] = {{"quick", 0, NULL, 'q'}, {"csv", 1, NULL, 'c'}, {"help", 0, NULL, 'h'}, {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'q':
            rounds = 3;
            accesses = 50000;
            break;
        case 'c':
            csv = fopen(optarg, "w");
            if (csv == NULL) {
                perror(optarg);
                exit(2);
            }
            fprintf(csv, "kind,name,first,second\n");
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "x86emu-bench-execute: unknown argument: %s\n", argv[optind]);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    time_accesses();
    time_workloads();
    if (csv != NULL && fclose(csv) != 0)
        perror("--csv");
    return 0;
}
