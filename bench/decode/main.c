/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs decoders against each other, interleaved, and prints the table. */
#define _GNU_SOURCE
#include "../common/counting.h"
#include "../common/csv.h"
#include "../common/timing.h"
#include "bench.h"

#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86emu/insn.h>

enum {
    CONTESTANTS_MOST = 8,
    ROUNDS_MOST = 256,
    WINDOW = 20000 /* instructions of a pass: short, so that some passes are undisturbed */
};

static struct corpus corpora[CORPUS_MOST];
static size_t corpus_count;
static unsigned rounds = 200;

/* *bytes: how many were decoded. */
static double time_pass(const struct contestant *contestant, const struct corpus *corpus, uint64_t *bytes)
{
    double start = now();

    *bytes = contestant->pass(corpus);
    return now() - start;
}

/* What follows the bytes of a stream, its beginning if there isn't enough; slots in another order. */
static void move_on(struct corpus *corpus, uint64_t bytes)
{
    if (corpus->order != NULL)
        corpus_shuffle(corpus);
    else
        corpus->begin += bytes;
    if (corpus->begin + (size_t)WINDOW * X86EMU_MAX_INSN_LENGTH > corpus->size)
        corpus->begin = 0;
}

/* ns[contestant]: each decodes the same instructions in turn, others in each round. */
static void time_corpus(struct corpus *corpus, double *ns)
{
    static double samples[CONTESTANTS_MOST][ROUNDS_MOST];
    uint64_t bytes[CONTESTANTS_MOST] = {0}; /* the library's count: the corpora are what it has decoded */

    corpus->window = corpus->count < WINDOW ? corpus->count : WINDOW;
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t c = 0; c < contestant_count; c++)
            samples[c][round] = time_pass(&contestants[c], corpus, &bytes[c]) / (double)corpus->window;
        move_on(corpus, bytes[0]);
    }
    for (size_t c = 0; c < contestant_count; c++)
        ns[c] = best_fifth(samples[c], rounds);
}

/* --- counting instructions: this program runs itself under callgrind ----------------------------------------------- */

static size_t counted_window(const struct corpus *corpus)
{
    return corpus->count < 2 * WINDOW ? corpus->count : 2 * WINDOW;
}

/* What callgrind counts. */
__attribute__((noinline, noclone)) static void measured(const struct contestant *contestant,
                                                        const struct corpus *corpus)
{
    contestant->pass(corpus);
    __asm__ volatile("" : : : "memory");
}

static int count_here(const char *what)
{
    size_t c = (size_t)atoi(what), n = (size_t)atoi(strchr(what, ',') + 1);

    if (c >= contestant_count || n >= corpus_count)
        return 2;
    corpora[n].window = counted_window(&corpora[n]);
    measured(&contestants[c], &corpora[n]);
    return 0;
}

/* Instructions per decode, 0 when callgrind isn't there. */
static double count_instructions(size_t contestant, size_t corpus)
{
    char what[32];

    snprintf(what, sizeof(what), "%zu,%zu", contestant, corpus);
    return count_instructions_of(what) / (double)counted_window(&corpora[corpus]);
}

/* --- the table ------------------------------------------------------------------------------------------------------ */

static void print_corpus(struct corpus *corpus, bool count, FILE *csv)
{
    double ns[CONTESTANTS_MOST];
    const char *name = corpus->order != NULL ? "mmioshuf" : corpus->name;

    time_corpus(corpus, ns);
    printf("%s: %zu instructions\n", name, corpus->count);
    for (size_t c = 0; c < contestant_count; c++) {
        double instructions = count ? count_instructions(c, (size_t)(corpus - corpora)) : 0;

        printf("    %-18s %7.1f ns %6.2f times", contestants[c].name, ns[c], ns[c] / ns[0]);
        if (instructions > 0)
            printf(" %7.0f instructions", instructions);
        if (corpus->order != NULL)
            printf(" %7.0f cycles cold", cold_cycles(contestants[c].decode, corpus));
        printf("\n");
        fflush(stdout);
        if (csv != NULL)
            fprintf(csv, "%s,%s,%.2f,%.0f\n", contestants[c].name, name, ns[c], instructions);
    }
    if (corpus->order != NULL)
        printf("    %-62s %7.0f cycles cold\n", "(one call that reads one byte)", cold_cycles(cold_least, corpus));
}

static void usage(void)
{
    puts("usage: x86emu-bench-decode [--quick] [--no-count] [--csv FILE]\n"
         "Compares decoders: nanoseconds and (with valgrind) instructions per instruction decoded.\n"
         "  --quick     fewer rounds\n"
         "  --no-count  don't count instructions\n"
         "  --csv FILE  also write contestant,corpus,ns_per_insn,instructions_per_insn\n"
         "X86EMU_BENCH_CODE names the folder with vmlinux and dav1d, which scripts/bench fetches.");
}

static void pin(void)
{
    cpu_set_t set;
    int cpu = sched_getcpu();

    CPU_ZERO(&set);
    CPU_SET(cpu < 0 ? 0 : (unsigned)cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        fputs("could not pin to one processor\n", stderr);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'},     {"no-count", no_argument, NULL, 'n'},
        {"csv", required_argument, NULL, 'c'}, {"count", required_argument, NULL, 'i'},
        {"help", no_argument, NULL, 'h'},      {NULL, 0, NULL, 0}};
    const char *counted = NULL;
    bool count = true;
    FILE *csv = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'q') {
            rounds = 40;
        } else if (option == 'n') {
            count = false;
        } else if (option == 'i') {
            counted = optarg;
        } else if (option == 'c') {
            csv = csv_open(optarg, "contestant,corpus,ns_per_insn,instructions_per_insn");
        } else {
            usage();
            return option == 'h' ? 0 : 2;
        }
    }
    no_arguments(argc, argv, optind);
    contestants_init();
    corpus_count = corpora_collect(corpora);
    if (counted != NULL)
        return count_here(counted);
    pin();
    for (size_t n = 0; n < corpus_count; n++)
        print_corpus(&corpora[n], count, csv);
    return csv_close(csv);
}
