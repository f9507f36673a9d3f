/* SPDX-License-Identifier: BSD-2-Clause */
/* How outcomes are compared, and where the models are known to differ. */
#ifndef SYSTEM_JUDGE_H
#define SYSTEM_JUDGE_H

#include "system.h"

/* A model's outcome beside the library's. */
struct comparison {
    const struct test_case *c;
    enum model model;
    const struct outcome *ours, *theirs;
    bool other_agrees; /* the other model with the library */
};

/* The bits of the dword there that differ and mean something. */
uint32_t outcome_difference(const struct test_case *c, const struct outcome *a, const struct outcome *b,
                            unsigned offset);

/* Whether the dword there differs in a way that no deviation of single dwords explains. */
bool difference_counts(const struct comparison *k, unsigned offset);

enum {
    MAX_DEVIATIONS = 80,
};

/* Something that a model does otherwise than the library, and why the library is right, or may be. */
struct deviation {
    enum model model;
    const char *what;
    const char *source;                                           /* what the manual says, and where */
    bool (*excuses)(const struct comparison *k, unsigned offset); /* of one dword that differs; or */
    bool (*applies)(const struct comparison *k);                  /* of the whole case */
};

extern const struct deviation deviations[];
extern const unsigned deviation_count;

#endif
