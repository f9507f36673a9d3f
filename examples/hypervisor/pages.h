/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's memory page by page: given when it is first touched, dirty pages known, in a nested table of the library. */
#ifndef HYPERVISOR_PAGES_H
#define HYPERVISOR_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct machine;
struct pages;

/* What has happened. */
struct pages_statistics {
    uint64_t missing; /* faults that gave a page */
    uint64_t clean;   /* faults of a write to a clean page */
    uint64_t rounds;  /* looks at the dirty pages */
    uint64_t dirty;   /* pages found dirty, over all rounds */
};

/*
 * Takes machine's memory over, before anything is in it. interval: ms between two looks at the dirty pages; 0: none.
 * copy: keeps a copy of the memory, of which only dirty pages are renewed. NULL: reported why not.
 */
struct pages *pages_start(struct machine *machine, uint64_t interval, bool copy);

/* Ends it; nothing runs any more. False: the copy isn't what is in memory, which is reported. */
bool pages_stop(struct pages *pages);

/* The rate of the last interval and the sum, as one line. */
void pages_print(const struct pages *pages, FILE *out);

struct pages_statistics pages_statistics(const struct pages *pages);

#endif
