/* SPDX-License-Identifier: BSD-2-Clause */
/* Times page walks, region lookups and changes of nested tables, and prints the table. */
#include "../common/csv.h"
#include "../common/timing.h"
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum {
    MOST_ROUNDS = 16,
    ENOUGH_ROUNDS = 3, /* of what takes long */
};
#define LONG_NS 5e9

static unsigned rounds = 9, effort = 4;
static FILE *csv;

void measure(const char *kind, const char *name, const char *unit, measured *run, void *opaque, unsigned long count)
{
    double samples[MOST_ROUNDS], each, first = now();
    unsigned round;

    for (round = 0; round < rounds && (round < ENOUGH_ROUNDS || now() - first < LONG_NS); round++) {
        double start = now();

        run(opaque, count);
        samples[round] = (now() - start) / (double)count;
    }
    each = median(samples, round) / (strcmp(unit, "ms") == 0 ? 1e6 : 1);
    printf("%-10s %-44s %12.2f %s\n", kind, name, each, unit);
    if (csv != NULL)
        fprintf(csv, "%s,\"%s\",%.3f,%s\n", kind, name, each, unit);
}

static const char help[] = "usage: scripts/bench mmu [--quick] [--csv FILE]\n\n"
                           "Page walks by mode, depth and page size, in both dimensions; region lookups; mapping and\n"
                           "unmapping 1 TiB; harvesting dirty pages. Medians.\n\n"
                           "  --quick     fewer rounds\n"
                           "  --csv FILE  kind,name,time,unit\n"
                           "  --help      this text\n";

static void parse(int argc, char **argv)
{
    static const struct option known[] = {{"quick", 0, NULL, 'q'}, {"csv", 1, NULL, 'c'}, {"help", 0, NULL, 'h'}, {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'q':
            rounds = 3;
            effort = 1;
            break;
        case 'c':
            csv = csv_open(optarg, "kind,name,time,unit");
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
    bench_walks(effort);
    bench_regions(effort);
    bench_tables(effort);
    return csv_close(csv);
}
