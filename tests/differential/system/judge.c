/* SPDX-License-Identifier: BSD-2-Clause */
/* Holds the models' outcomes against the library's. */
#include "judge.h"

#include <stdio.h>

/* How often each deviation explained a case. */
static unsigned long needed[MAX_DEVIATIONS];

/* Dwords that differ, when they do, by chance: the word beside LDTR is TR, and only long mode stores it. */
uint32_t outcome_difference(const struct test_case *c, const struct outcome *a, const struct outcome *b,
                            unsigned offset)
{
    if (offset == W_LDTR && c->environment != ENVIRONMENT_LONG)
        return 0;
    return get32(a->world, offset) ^ get32(b->world, offset);
}

static bool outcomes_differ(const struct test_case *c, const struct outcome *a, const struct outcome *b)
{
    if (a->shutdown || b->shutdown)
        return a->shutdown != b->shutdown;
    for (unsigned offset = 0; offset < WORLD_SIZE; offset += 4)
        if (outcome_difference(c, a, b, offset))
            return true;
    return false;
}

/* The deviation of single dwords that explains this one, or deviation_count. */
static unsigned excuse(const struct comparison *k, unsigned offset)
{
    unsigned i = 0;

    while (i < deviation_count &&
           !(deviations[i].model == k->model && deviations[i].excuses != NULL && deviations[i].excuses(k, offset)))
        i++;
    return i;
}

bool difference_counts(const struct comparison *k, unsigned offset)
{
    return !k->ours->shutdown && !k->theirs->shutdown && outcome_difference(k->c, k->ours, k->theirs, offset) != 0 &&
           excuse(k, offset) == deviation_count;
}

/* Whether all dwords that differ are of those that the deviations of single dwords explain. */
static bool all_excused(const struct comparison *k, bool use[MAX_DEVIATIONS])
{
    if (k->ours->shutdown || k->theirs->shutdown)
        return false;
    for (unsigned offset = 0; offset < WORLD_SIZE; offset += 4) {
        unsigned i;

        if (!outcome_difference(k->c, k->ours, k->theirs, offset))
            continue;
        i = excuse(k, offset);
        if (i == deviation_count)
            return false;
        use[i] = true;
    }
    return true;
}

/* The deviation that explains the whole case, or deviation_count. */
static unsigned whole_case(const struct comparison *k)
{
    unsigned i = 0;

    while (i < deviation_count &&
           !(deviations[i].model == k->model && deviations[i].applies != NULL && deviations[i].applies(k)))
        i++;
    return i;
}

static bool explained(const struct comparison *k, const char **reason)
{
    bool use[MAX_DEVIATIONS] = {false};
    unsigned whole;

    if (!all_excused(k, use)) {
        whole = whole_case(k);
        if (whole == deviation_count)
            return false;
        memset(use, 0, sizeof(use));
        use[whole] = true;
    }
    for (unsigned i = 0; i < deviation_count; i++) {
        needed[i] += use[i];
        if (use[i])
            *reason = deviations[i].what;
    }
    return true;
}

/* Whether the other model was given the case, and differs from the library at most in single dwords that are explained. */
static bool other_agrees(const struct test_case *c, const struct outcome outcomes[MODEL_COUNT], enum model model)
{
    bool agrees = false, ignored[MAX_DEVIATIONS];

    for (unsigned i = 1; i < MODEL_COUNT; i++) {
        const struct comparison k = {.c = c, .model = i, .ours = &outcomes[MODEL_LIBRARY], .theirs = &outcomes[i]};

        if (i != model && outcomes[i].present)
            agrees = !outcomes_differ(c, k.ours, k.theirs) || all_excused(&k, ignored);
    }
    return agrees;
}

void judge(const struct test_case *c, const struct outcome outcomes[MODEL_COUNT], struct judgement *judgement)
{
    *judgement = (struct judgement){.verdict = VERDICT_AGREE};
    for (unsigned i = 1; i < MODEL_COUNT; i++) {
        struct comparison k = {.c = c, .model = i, .ours = &outcomes[MODEL_LIBRARY], .theirs = &outcomes[i]};

        if (!outcomes[i].present || !outcomes[0].present || !outcomes_differ(c, &outcomes[0], &outcomes[i]))
            continue;
        k.other_agrees = other_agrees(c, outcomes, i);
        if (!explained(&k, &judgement->reason))
            judgement->verdict = VERDICT_UNEXPLAINED;
        else if (judgement->verdict == VERDICT_AGREE)
            judgement->verdict = VERDICT_EXPLAINED;
    }
}

void judge_report(void)
{
    for (unsigned i = 0; i < deviation_count; i++)
        if (needed[i] > 0)
            printf("explained: %s: %s (%s): %lu\n", model_names[deviations[i].model], deviations[i].what,
                   deviations[i].source, needed[i]);
}
