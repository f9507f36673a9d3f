/* SPDX-License-Identifier: BSD-2-Clause */
/* The comparison of what only ring 0 can run with QEMU and Bochs: cases, the models that run them, verdicts. */
#ifndef SYSTEM_H
#define SYSTEM_H

#include "layout.h"

#include <x86emu/x86emu.h>

#include <x86emu/format.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/* --- cases -------------------------------------------------------------------------------------------------------- */

enum {
    MAX_CODE = 48, /* bytes of the instructions under test */
    BATCH = 4096,  /* cases of one disk */
};

/* The world that a case begins with, and what it is about. */
struct test_case {
    uint32_t number, environment;
    unsigned form; /* row of the instruction under test, 0 if it doesn't decode */
    enum x86emu_mode mode;
    uint32_t code; /* offset of the instructions under test in the world */
    unsigned code_size;
    /*
     * QEMU 7.2 ends with a segmentation fault at some breakpoints, hangs at reserved bits of CR4 and at handlers whose address
     * isn't canonical, and keeps VIP, once it is set, for all later cases.
     */
    bool not_for_qemu;
    uint16_t selectors[10]; /* that the case was made of, ended by 0: for the report */
    uint8_t world[WORLD_SIZE];
};

/* What a model made of it. */
struct outcome {
    bool present, shutdown;
    uint8_t world[WORLD_SIZE];
};

static inline uint32_t get32(const uint8_t *world, unsigned offset)
{
    uint32_t value;

    memcpy(&value, world + offset, sizeof(value));
    return value;
}

static inline void put(uint8_t *world, unsigned offset, uint64_t value, unsigned size)
{
    memcpy(world + offset, &value, size);
}

/* The world of each environment, before a case changes it. */
void world_templates(uint8_t templates[3][WORLD_SIZE]);

struct case_options {
    uint64_t seed;
    const char *only; /* a mnemonic, in capitals; NULL: all */
    int environment;  /* -1: all */
    bool amd;
};

/* Makes the case of that number: always the same one. */
void cases_make(const struct case_options *options, uint32_t number, struct test_case *c);

/* The kinds of cases of each environment: they choose descriptors, registers and the instructions under test. */
void cases_protected(struct test_case *c);
void cases_long(struct test_case *c);
void cases_real(struct test_case *c);

/* Random numbers of the case under construction. */
uint64_t random_number(void);
unsigned random_below(unsigned limit);
bool one_in(unsigned n);

/* --- models ------------------------------------------------------------------------------------------------------- */

enum model {
    MODEL_LIBRARY,
    MODEL_QEMU,
    MODEL_BOCHS,
    MODEL_COUNT,
};

extern const char *const model_names[MODEL_COUNT];

/* Whether the model is given the case. */
bool model_runs(enum model model, const struct test_case *c);

/* The disk that the guest program finds: those of count cases that the model is given. False: it is too small. */
bool image_make(uint8_t *disk, size_t room, enum model model, const struct test_case *cases, unsigned count,
                uint8_t templates[3][WORLD_SIZE]);

/* Reads the results from the disk. Answers how many there are. */
unsigned image_results(const uint8_t *disk, size_t size, enum model model, const struct test_case *cases,
                       unsigned count, struct outcome *outcomes);

/* Runs the disk; its results are on it afterwards. False, with a message: it couldn't be run to its end. */
bool library_run(uint8_t *disk, size_t size, bool amd);

/* NULL, or why it can't be run here. */
const char *machine_missing(enum model model);
bool machine_start(enum model model, bool amd, const char *disk, pid_t *pid);
bool machine_wait(enum model model, pid_t pid, unsigned seconds);

/* --- verdicts ----------------------------------------------------------------------------------------------------- */

enum verdict {
    VERDICT_AGREE,
    VERDICT_EXPLAINED, /* the models differ, and why is known: reason */
    VERDICT_UNEXPLAINED,
};

struct judgement {
    enum verdict verdict;
    const char *reason;
    bool differs[MODEL_COUNT]; /* from the library's */
};

void judge(const struct test_case *c, const struct outcome outcomes[MODEL_COUNT], struct judgement *judgement);

/* How often each explanation was needed. */
void judge_report(void);

/* Prints a case, its outcomes and how they differ. */
void print_case(const struct test_case *c, struct outcome outcomes[MODEL_COUNT]);

#endif
