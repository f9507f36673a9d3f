/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares the emulator with this processor, row by row, and reports what could not be explained. */
#include "../coverage.h"
#include "hardware.h"
#include "random.h"

#include <x86emu/format.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE = 64,            /* bytes of the arena that become new with each situation */
    INVALID_ENOUGH = 500, /* executions of a row that this processor hasn't got */
    MOST_SHOWN = 40,
};

/* What became of a row, in both modes together. */
static struct tally {
    unsigned long executed[3]; /* by enum x86emu_mode; natively and by the emulator, whatever the end */
    unsigned long retired;     /* natively, without an exception */
    unsigned long invalid;     /* #UD here, not by the emulator */
    unsigned long unexplained;
    unsigned long undefined;
    uint32_t undefined_flags;
    struct situation *example; /* of invalid */
} tallies[X86EMU_FORM_COUNT];

static struct options {
    uint64_t seed;
    unsigned long long count;
    const char *only, *coverage;
    bool vectors, paths;
} options = {.seed = 1, .count = 100000000};

static unsigned long long executions;
static uint8_t before[WRITABLE_SIZE];

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* --- a mismatch --------------------------------------------------------------------------------------------------- */

/* #UD, or bytes wanted beyond the instruction: so end rows that the processor hasn't got. */
static bool is_invalid(const struct situation *s, const struct result *result)
{
    const struct x86emu_exception *e = &result->exception;

    if (result->ending != ENDED_EXCEPTION)
        return false;
    return e->vector == X86EMU_VECTOR_UD ||
           (e->vector == X86EMU_VECTOR_PF && (e->error_code & 16) != 0 && e->cr2 == code_address(s) + s->insn.length);
}

static bool still_differs(const struct situation *s, bool invalid)
{
    struct situation trial = *s;
    struct result model, native;
    struct difference difference;

    return compare_run(&trial, before, &model, &native, &difference) && difference.found &&
           invalid == is_invalid(&trial, &native);
}

/* Zeroes what the mismatch doesn't need. */
static void minimise(struct situation *s, bool invalid)
{
    for (unsigned i = 0; i < 16; i++) {
        struct situation trial = *s;

        trial.registers.gpr[i] = 0;
        if (still_differs(&trial, invalid))
            *s = trial;
    }
    for (unsigned bit = 0; bit < 22; bit++) {
        struct situation trial = *s;

        trial.registers.rflags &= ~(UINT64_C(1) << bit) | X86EMU_RFLAGS_FIXED;
        if (trial.registers.rflags != s->registers.rflags && still_differs(&trial, invalid))
            *s = trial;
    }
    for (unsigned i = 0; s->with_vectors && i < 32 + 8; i++) {
        struct situation trial = *s;

        if (i < 32)
            memset(&trial.vectors.zmm[i], 1, sizeof(trial.vectors.zmm[i]));
        else
            trial.vectors.k[i - 32] = 1;
        if (still_differs(&trial, invalid))
            *s = trial;
    }
}

static void show_vectors(const struct vectors *v)
{
    for (unsigned i = 0; i < 32 * 8; i++)
        if (v->zmm[i / 8].u64[i % 8] != 0)
            printf("    zmm%u[%u] = %#" PRIx64 "\n", i / 8, i % 8, v->zmm[i / 8].u64[i % 8]);
    for (unsigned i = 0; i < 8; i++)
        if (v->k[i] != 0)
            printf("    k%u = %#" PRIx64 "\n", i, v->k[i]);
    printf("    mxcsr %#x, x87 control %#x, status %#x, tag %#x\n", v->mxcsr, v->x87.control, v->x87.status,
           v->x87.tag);
}

static void show(struct situation *s, const char *kind)
{
    char text[X86EMU_FORMAT_ROOM];
    struct result model, native;
    struct difference difference;

    compare_run(s, before, &model, &native, &difference);
    x86emu_format(&s->insn, s->registers.rip, text, sizeof(text));
    printf("%s: %s  (%u-bit mode, row %u)\n   ", kind, text, 16u << s->mode, s->insn.form);
    for (unsigned i = 0; i < s->insn.length; i++)
        printf(" %02x", s->bytes[i]);
    printf("\n    at %#" PRIx64 ", flags %#" PRIx64 ", selectors", s->registers.rip, s->registers.rflags);
    for (unsigned i = 0; i < 6; i++)
        printf(" %#x", s->selector[i]);
    printf("\n   ");
    for (unsigned i = 0; i < 16; i++)
        if (s->registers.gpr[i] != 0)
            printf(" r%u=%#" PRIx64, i, s->registers.gpr[i]);
    printf("\n");
    if (s->with_vectors && options.vectors)
        show_vectors(&s->vectors);
    fputs(difference.text, stdout);
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

/* Differences by #UD wait until the end: perhaps this processor hasn't got the row at all. */
static void keep_invalid(struct tally *tally, const struct situation *s)
{
    if (tally->invalid++ > 0)
        return;
    tally->example = malloc(sizeof(*s));
    if (tally->example != NULL)
        *tally->example = *s;
}

static void judge(struct situation *s, const struct result *native, const struct difference *difference)
{
    static unsigned shown;
    struct tally *tally = &tallies[s->insn.form];

    if (difference->undefined != 0) {
        tally->undefined++;
        tally->undefined_flags |= difference->undefined;
    }
    if (!difference->found)
        return;
    if (is_invalid(s, native)) {
        keep_invalid(tally, s);
    } else if (tally->unexplained++ == 0 && shown++ < MOST_SHOWN) {
        minimise(s, false);
        show(s, "MISMATCH");
    }
}

/* False when the emulator doesn't do the row, or this processor evidently doesn't. */
static bool run_one(unsigned n)
{
    static struct situation s;
    static struct result model, native;
    static struct difference difference;
    struct tally *tally;

    if (!cases_make(n, &s))
        return true;
    if (!compare_run(&s, before, &model, &native, &difference))
        return model.ending != ENDED_NOT_EMULATED;
    executions++;
    tally = &tallies[s.insn.form];
    tally->executed[s.mode]++;
    tally->retired += native.ending == ENDED_RETIRED;
    judge(&s, &native, &difference);
    memcpy(before, machine_writable(), WRITABLE_SIZE);
    memcpy(before + executions * LINE % WRITABLE_SIZE, random_vectors(LINE / 64), LINE);
    return tally->retired > 0 || tally->executed[s.mode] < INVALID_ENOUGH || !is_invalid(&s, &native);
}

static void show_progress(double start)
{
    static double said;

    if (!isatty(STDERR_FILENO) || seconds() - said < 1)
        return;
    said = seconds();
    fprintf(stderr, "\r%llu executions, %.0f a second ", executions, (double)executions / (said - start));
}

/* Every pair of row and mode in turn, until there were enough executions. */
static void run_all(unsigned pairs)
{
    bool *skip = calloc(pairs, sizeof(*skip));
    unsigned long long idle = 0;
    double start = seconds();

    memcpy(before, random_vectors(sizeof(before) / 64), sizeof(before));
    for (unsigned turn = 0; skip != NULL && executions < options.count && idle < 64; turn++) {
        unsigned long long had = executions;

        for (unsigned n = 0; n < pairs && executions < options.count; n++) {
            if (!skip[n])
                skip[n] = !run_one(n);
        }
        idle = executions == had ? idle + 1 : 0;
        show_progress(start);
    }
    fprintf(stderr, "%s%.0f executions a second\n", isatty(STDERR_FILENO) ? "\r" : "",
            (double)executions / (seconds() - start));
    free(skip);
}

/* --- the report --------------------------------------------------------------------------------------------------- */

static const char *name(unsigned form)
{
    return x86emu_mnemonic_name(x86emu_form_mnemonic(form));
}

/* Rows that ran nowhere, by name; a row that raised #UD only sometimes is a mismatch. */
static void report_invalid(void)
{
    const char *last = "";
    unsigned count = 0;

    for (unsigned form = 0; form < X86EMU_FORM_COUNT; form++) {
        struct tally *tally = &tallies[form];

        if (tally->invalid == 0)
            continue;
        if (tally->retired > 0) {
            tally->unexplained += tally->invalid;
            if (tally->example != NULL)
                show(tally->example, "MISMATCH");
        } else if (strcmp(last, name(form)) != 0) {
            printf("%s %s", count++ == 0 ? "rows that this processor hasn't got:" : "", last = name(form));
        }
    }
    printf("%s", count > 0 ? "\n" : "");
}

/* Flags that the manual leaves undefined, and that this model sets otherwise than the emulator. */
static void report_undefined(void)
{
    const char *last = "";
    unsigned count = 0;

    for (unsigned form = 0; form < X86EMU_FORM_COUNT; form++) {
        if (tallies[form].undefined == 0 || strcmp(last, name(form)) == 0)
            continue;
        last = name(form);
        printf("%s %s %#x", count++ == 0 ? "undefined flags that differ from this processor's:" : ",", last,
               tallies[form].undefined_flags);
    }
    printf("%s", count > 0 ? "\n" : "");
}

static struct coverage coverage_of(unsigned form)
{
    const struct tally *t = &tallies[form];

    return (struct coverage){{t->executed[0], t->executed[1], t->executed[2]}, t->retired, t->invalid, t->unexplained};
}

static int report(void)
{
    unsigned long long unexplained = 0;
    unsigned rows = 0;

    report_invalid();
    report_undefined();
    for (unsigned form = 0; form < X86EMU_FORM_COUNT; form++) {
        unexplained += tallies[form].unexplained;
        rows += tallies[form].executed[0] + tallies[form].executed[1] + tallies[form].executed[2] > 0;
        if (tallies[form].unexplained > 0)
            printf("unexplained: %s, row %u: %lu\n", name(form), form, tallies[form].unexplained);
        free(tallies[form].example);
    }
    if (options.coverage != NULL)
        write_coverage(options.coverage, coverage_of);
    printf("%llu executions, %u rows, %llu unexplained\n", executions, rows, unexplained);
    return unexplained == 0 && executions > 0 ? 0 : 1;
}

/* --- arguments ---------------------------------------------------------------------------------------------------- */

static const char help[] =
    "usage: x86emu-differential-hardware [--quick] [--count N] [--seed N] [--only MNEMONIC] [--coverage FILE] "
    "[--vectors] [--paths]\n\n"
    "Runs instructions on this processor, in 64-bit, 32-bit and 16-bit mode, and on the emulator, with the same "
    "random\n"
    "registers, flags and memory, and compares what they leave behind. Rows that user mode can't foretell are left "
    "out.\n\n"
    "  --quick          twenty million executions\n"
    "  --count N        so many executions (default: a hundred million)\n"
    "  --seed N         other random numbers (default: 1)\n"
    "  --only MNEMONIC  rows of this name\n"
    "  --coverage FILE  how often each row ran, as CSV\n"
    "  --vectors        print vector registers of a mismatch\n"
    "  --paths          no comparison with the processor: every row, in ring 3 and ring 0, by every way that the\n"
    "                   emulator can be driven (requests, regions, devices, moved contexts, state on demand, lost\n"
    "                   exchanges, faulting answers), which must not make a difference\n"
    "  --help           this text\n\n"
    "A mismatch is printed with what is needed to repeat it. The last line says: N executions, R rows, M unexplained.\n"
    "Exit status: 0 without a mismatch, 1 with one, 2 when it couldn't run.\n";

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 0);

    if (*text == 0 || *end != 0) {
        fprintf(stderr, "x86emu-differential-hardware: not a number: %s\n", text);
        exit(2);
    }
    return value;
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"quick", 0, NULL, 'q'}, {"count", 1, NULL, 'c'},    {"seed", 1, NULL, 's'},
        {"only", 1, NULL, 'o'},  {"coverage", 1, NULL, 'f'}, {"vectors", 0, NULL, 'v'},
        {"paths", 0, NULL, 'p'}, {"help", 0, NULL, 'h'},     {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'q':
            options.count = 20000000;
            break;
        case 'c':
            options.count = number(optarg);
            break;
        case 's':
            options.seed = number(optarg);
            break;
        case 'o':
            options.only = optarg;
            break;
        case 'f':
            options.coverage = optarg;
            break;
        case 'v':
            options.vectors = true;
            break;
        case 'p':
            options.paths = true;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "x86emu-differential-hardware: unknown argument: %s\n", argv[optind]);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    unsigned pairs;

    parse(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    machine_start();
    model_start();
    pairs = cases_start(options.seed, options.only, options.paths);
    if (pairs == 0) {
        fprintf(stderr, "x86emu-differential-hardware: no such row: %s\n", options.only);
        return 2;
    }
    memcpy(model_readable, random_vectors(PAGE / 64), PAGE);
    if (options.paths)
        return paths_run(pairs, options.count) ? 0 : 1;
    machine_set_readable(model_readable);
    run_all(pairs);
    return report();
}
