/* SPDX-License-Identifier: BSD-2-Clause */
/* The runner that multiplies a case: one instruction, run in every way that must not make a difference. */
#ifndef TESTS_EXEC_RUNNER_H
#define TESTS_EXEC_RUNNER_H

#include "world.h"

#define CODE(...) .code = (const uint8_t[]){__VA_ARGS__}, .code_size = sizeof((const uint8_t[]){__VA_ARGS__})

/* One instruction in one situation. */
struct test_case {
    const char *name;
    enum x86emu_mode mode;
    bool user;               /* at CPL 3 */
    bool flags_by_condition; /* the status flags change only sometimes (shifts by 0): don't vary them */
    bool requests_alone;     /* a region's plain handlers can't do it */
    const uint8_t *code;
    size_t code_size;
    void (*setup)(struct world *world); /* registers and memory before it; may be NULL */
    enum x86emu_status status;          /* how it ends */
    void (*check)(const struct world *world, const struct x86emu *emu); /* what must be true afterwards */
};

/*
 * Runs the case through requests; through callbacks; through regions, with handlers and handed on; suspended, moved and
 * scribbled over at every request; with all state groups loaded on demand; with every exchange lost once; with every
 * request answered by a fault in turn; and with all status flags that the row doesn't read inverted. check() holds each
 * time, the device sees the same accesses, and RAM and registers end up the same.
 */
void run_case(const struct test_case *test);

/* Runs several cases in one mode; setup is for those that have none. */
void run_cases(const struct test_case *cases, size_t count, enum x86emu_mode mode, void (*setup)(struct world *world));
#define RUN_CASES(cases, mode, setup) run_cases(cases, sizeof(cases) / sizeof((cases)[0]), mode, setup)

/* Checks for test_case.check: #GP(0), #UD. */
void check_gp0(const struct world *world, const struct x86emu *emu);
void check_ud(const struct world *world, const struct x86emu *emu);

/* Runs one step to its end through requests only. */
enum x86emu_status run_step(struct world *world, struct x86emu *emu);

#endif
