/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the memory-management benchmark share: how a row is measured and printed. */
#ifndef BENCH_MMU_H
#define BENCH_MMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does what is measured so many times. */
typedef void measured(void *opaque, unsigned long count);

/* Prints one row: the median time of one of them. unit: "ns", "ms". */
void measure(const char *kind, const char *name, const char *unit, measured *run, void *opaque, unsigned long count);

/* Rows of each part; effort: 1 when quick, 4 else. */
void bench_walks(unsigned effort);
void bench_regions(unsigned effort);
void bench_tables(unsigned effort);

#endif
