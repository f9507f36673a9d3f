/* SPDX-License-Identifier: BSD-2-Clause */
/* Times the emulator: device accesses from bytes to retired, and compiled code in RAM; prints tables. */
#define _GNU_SOURCE
#include "../common/counting.h"
#include "../common/csv.h"
#include "../common/timing.h"
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_ROUNDS = 32,
    ACCESSES_COUNTED = 2000,
};

static unsigned rounds = 9;
static unsigned long accesses = 200000;
static bool count = true;
static FILE *csv;
static uint8_t memory[GUEST_SIZE] __attribute__((aligned(4096)));

/* Nanoseconds and instructions of a form, answered at once or suspended. */
struct cost {
    double ns, instructions;
};

static void time_access(size_t form, struct cost cost[2])
{
    double samples[2][MOST_ROUNDS];

    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned suspended = 0; suspended < 2; suspended++) {
            double start = now();

            emulator_access(&access_forms[form], suspended != 0, accesses);
            samples[suspended][round] = (now() - start) / (double)accesses;
        }
    }
    for (unsigned suspended = 0; suspended < 2; suspended++) {
        char what[32];

        snprintf(what, sizeof(what), "%zu,%u", form, suspended);
        cost[suspended].ns = median(samples[suspended], rounds);
        cost[suspended].instructions = count ? count_instructions_of(what) / ACCESSES_COUNTED : 0;
    }
}

static void time_accesses(void)
{
    printf("%-24s %14s %14s %14s %14s\n", "device access", "answered, ns", "instructions", "suspended, ns",
           "instructions");
    for (size_t f = 0; f < access_form_count; f++) {
        struct cost cost[2];

        time_access(f, cost);
        printf("%-24s %14.1f %14.0f %14.1f %14.0f\n", access_forms[f].name, cost[0].ns, cost[0].instructions,
               cost[1].ns, cost[1].instructions);
        fflush(stdout);
        if (csv != NULL)
            fprintf(csv, "access,\"%s\",%.2f,%.0f,%.2f,%.0f\n", access_forms[f].name, cost[0].ns, cost[0].instructions,
                    cost[1].ns, cost[1].instructions);
    }
}

static int count_here(const char *what)
{
    const char *comma = strchr(what, ',');
    size_t form = (size_t)atoi(what);

    if (form >= access_form_count || comma == NULL)
        return 2;
    emulator_access(&access_forms[form], atoi(comma + 1) != 0, ACCESSES_COUNTED);
    return 0;
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
            fprintf(csv, "code,%s,%.2f,,%.2f,\n", workloads[w].name, mips[0], mips[1]);
    }
}

static const char help[] =
    "usage: x86emu-bench-execute [--quick] [--csv FILE]\n\n"
    "Device accesses, from instruction bytes and guest-physical address to retired: answered at once by a region's\n"
    "handler, and through a request to the caller; instructions are counted by callgrind, if there. Then compiled code "
    "in RAM, with libunicorn, a translator, for "
    "scale.\n\n"
    "  --quick     fewer rounds, nothing counted\n"
    "  --csv FILE  kind,name,and the figures of the row: answered and suspended, or x86emu and unicorn\n"
    "  --help      this text\n";

static void parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"quick", 0, NULL, 'q'}, {"csv", 1, NULL, 'c'}, {"count", 1, NULL, 'n'}, {"help", 0, NULL, 'h'}, {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'q':
            rounds = 3;
            accesses = 50000;
            count = false;
            break;
        case 'n':
            exit(count_here(optarg));
        case 'c':
            csv = csv_open(optarg, "kind,name,first,first_instructions,second,second_instructions");
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            exit(2);
        }
    }
    no_arguments(argc, argv, optind);
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    time_accesses();
    time_workloads();
    return csv_close(csv);
}
