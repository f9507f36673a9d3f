/* SPDX-License-Identifier: BSD-2-Clause */
/* How benchmarks measure: the time in nanoseconds, the median of samples. */
#ifndef BENCH_COMMON_TIMING_H
#define BENCH_COMMON_TIMING_H

#include <stdlib.h>
#include <time.h>

static inline double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static inline int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The best fifth's worst: other work on the machine makes runs slower, never faster. Sorts the values. */
static inline double best_fifth(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), by_value);
    return values[count / 5];
}

/* Sorts the values. */
static inline double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), by_value);
    return values[count / 2];
}

#endif
