/* SPDX-License-Identifier: BSD-2-Clause */
/* Figures for other programs: --csv FILE. */
#ifndef BENCH_COMMON_CSV_H
#define BENCH_COMMON_CSV_H

#include <stdio.h>
#include <stdlib.h>

/* With its first line; ends the program if that can't be. */
static inline FILE *csv_open(const char *path, const char *columns)
{
    FILE *csv = fopen(path, "w");

    if (csv == NULL) {
        perror(path);
        exit(2);
    }
    fprintf(csv, "%s\n", columns);
    return csv;
}

/* csv: or null. The program's exit status. */
static inline int csv_close(FILE *csv)
{
    if (csv == NULL || fclose(csv) == 0)
        return 0;
    perror("--csv");
    return 1;
}

/* What getopt_long() has left over. */
static inline void no_arguments(int argc, char **argv, int next)
{
    if (next >= argc)
        return;
    fprintf(stderr, "%s: unknown argument: %s\n", argv[0], argv[next]);
    exit(2);
}

#endif
