/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs decoders against each other, interleaved, and prints the table. */
#define _GNU_SOURCE
#include "../common/counting.h"
#include "../common/timing.h"
#include "bench.h"

#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONTESTANTS_MOST = 8,
    ROUNDS_MOST = 64,
    INSTRUCTIONS_COUNTED = 40960
};

static struct corpus corpora[CORPUS_MOST];
static size_t corpus_count;
static unsigned rounds = 14;

static double time_pass(const struct contestant *contestant, struct corpus *corpus)
{
    unsigned repeat = corpus->order != NULL ? 16 : 1;
    double total = 0;

    for (unsigned n = 0; n < repeat; n++) {
        double start;

        if (corpus->order != NULL)
            corpus_shuffle(corpus);
        start = now();
        pass(contestant, corpus);
        total += now() - start;
    }
    return total / repeat / (double)corpus->count;
}

/* ns[contestant], medians of interleaved rounds. */
static void time_corpus(struct corpus *corpus, double *ns)
{
    static double samples[CONTESTANTS_MOST][ROUNDS_MOST];

    for (unsigned round = 0; round < rounds; round++)
        for (size_t c = 0; c < contestant_count; c++)
            samples[c][round] = time_pass(&contestants[c], corpus);
    for (size_t c = 0; c < contestant_count; c++)
        ns[c] = median(samples[c], rounds);
}

/* --- counting instructions: this program runs itself under callgrind ----------------------------------------------- */

/* What callgrind counts. */
__attribute__((noinline)) static void measured(const struct contestant *contestant, const struct corpus *corpus)
{
    pass(contestant, corpus);
    __asm__ volatile("" : : : "memory");
}

static int count_here(const char *what)
{
    size_t c = (size_t)atoi(what), n = (size_t)atoi(strchr(what, ',') + 1);

    if (c >= contestant_count || n >= corpus_count)
        return 2;
    if (corpora[n].count > INSTRUCTIONS_COUNTED)
        corpora[n].count = INSTRUCTIONS_COUNTED;
    measured(&contestants[c], &corpora[n]);
    return 0;
}

/* Instructions per decode, 0 when callgrind isn't there. */
static double count_instructions(size_t contestant, size_t corpus)
{
    size_t count = corpora[corpus].count < INSTRUCTIONS_COUNTED ? corpora[corpus].count : INSTRUCTIONS_COUNTED;
    char what[32];

    snprintf(what, sizeof(what), "%zu,%zu", contestant, corpus);
    return count_instructions_of(what) / (double)count;
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
            printf(" %7.0f cycles cold", cold_cycles(&contestants[c], corpus));
        printf("\n");
        fflush(stdout);
        if (csv != NULL)
            fprintf(csv, "%s,%s,%.2f,%.0f\n", contestants[c].name, name, ns[c], instructions);
    }
}

static void usage(void)
{
    puts("usage: x86emu-bench-decode [--quick] [--no-count] [--csv FILE]\n"
         "Compares decoders: nanoseconds and (with valgrind) instructions per instruction decoded.\n"
         "  --quick     fewer rounds\n"
         "  --no-count  don't count instructions\n"
         "  --csv FILE  also write contestant,corpus,ns_per_insn,instructions_per_insn");
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
            rounds = 5;
        } else if (option == 'n') {
            count = false;
        } else if (option == 'i') {
            counted = optarg;
        } else if (option == 'c') {
            csv = fopen(optarg, "w");
            if (csv == NULL) {
                perror(optarg);
                return 1;
            }
            fputs("contestant,corpus,ns_per_insn,instructions_per_insn\n", csv);
        } else {
            usage();
            return option == 'h' ? 0 : 2;
        }
    }
    contestants_init();
    corpus_count = corpora_collect(corpora);
    if (counted != NULL)
        return count_here(counted);
    pin();
    for (size_t n = 0; n < corpus_count; n++)
        print_corpus(&corpora[n], count, csv);
    if (csv != NULL && fclose(csv) != 0) {
        perror("csv");
        return 1;
    }
    return 0;
}
