/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares the emulator with QEMU and Bochs in what only ring 0 can run. */
#include "../coverage.h"
#include "judge.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MOST_SHOWN = 20,
    QUICK = 4096, /* cases */
    DISK_SIZE = RESULT_SECTOR * SECTOR + (24 << 20),
    SECONDS = 240, /* for one disk */
};

static struct options {
    struct case_options cases;
    unsigned long first, count;
    long only_case; /* -1: none */
    unsigned shown;
    const char *coverage;
    bool use[MODEL_COUNT], quick;
} options = {.cases = {.seed = 1, .environment = -1}, .count = 65536, .only_case = -1, .shown = MOST_SHOWN};

static struct tally {
    unsigned long executed[3]; /* by enum x86emu_mode */
    unsigned long retired, unexplained, explained;
} tallies[X86EMU_FORM_COUNT];

static unsigned long executions, unexplained, unanswered;
static struct test_case cases[BATCH];
static struct outcome outcomes[MODEL_COUNT][BATCH];
static char folder[200];

/* --- one disk, on every model ------------------------------------------------------------------------------------- */

static bool disk_path(enum model model, char *path, size_t room)
{
    return (size_t)snprintf(path, room, "%s/%s", folder, model_names[model]) < room;
}

static bool store_disk(const char *path, const uint8_t *disk)
{
    /* Zeroes, most of it: a sparse file. */
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    bool ok = file >= 0;

    for (size_t at = 0; ok && at < DISK_SIZE; at += 65536) {
        static const uint8_t zeroes[65536];

        if (memcmp(disk + at, zeroes, sizeof(zeroes)) != 0)
            ok = pwrite(file, disk + at, sizeof(zeroes), (off_t)at) == (ssize_t)sizeof(zeroes);
    }
    ok = ok && ftruncate(file, DISK_SIZE) == 0;
    if (file >= 0)
        close(file);
    return ok;
}

static bool load_disk(const char *path, uint8_t *disk)
{
    int file = open(path, O_RDONLY);
    bool ok = file >= 0 && pread(file, disk, DISK_SIZE, 0) == DISK_SIZE;

    if (file >= 0)
        close(file);
    return ok;
}

static void remove_files(enum model model)
{
    static const char *const endings[4] = {"", ".rc", ".debugger", ".log"};
    char path[300];

    for (unsigned i = 0; i < 4 && getenv("X86EMU_SHOW_MACHINES") == NULL; i++) {
        snprintf(path, sizeof(path), "%s/%s%s", folder, model_names[model], endings[i]);
        unlink(path);
    }
}

static unsigned first_missing(enum model model, unsigned count)
{
    unsigned i = 0;

    while (i < count && (outcomes[model][i].present || !model_runs(model, &cases[i])))
        i++;
    return i < count ? cases[i].number : 0;
}

static void collect(enum model model, const uint8_t *disk, unsigned count)
{
    unsigned found = image_results(disk, DISK_SIZE, model, cases, count, outcomes[model]), given = 0;

    for (unsigned i = 0; i < count; i++)
        given += model_runs(model, &cases[i]);
    unanswered += given - found;
    if (found != given)
        printf("%s: answered %u of %u cases, case %u not\n", model_names[model], found, given,
               first_missing(model, count));
}

static void run_models(uint8_t *disk, unsigned count, uint8_t templates[3][WORLD_SIZE])
{
    char path[MODEL_COUNT][300];
    pid_t pids[MODEL_COUNT] = {0};

    for (unsigned i = 0; i < MODEL_COUNT; i++)
        for (unsigned n = 0; n < count; n++)
            outcomes[i][n].present = false;
    for (unsigned i = 1; i < MODEL_COUNT; i++)
        if (options.use[i] && image_make(disk, DISK_SIZE, i, cases, count, templates) &&
            disk_path(i, path[i], sizeof(path[i])) && store_disk(path[i], disk))
            machine_start(i, options.cases.amd, path[i], &pids[i]);
    image_make(disk, DISK_SIZE, MODEL_LIBRARY, cases, count, templates);
    library_run(disk, DISK_SIZE, options.cases.amd);
    collect(MODEL_LIBRARY, disk, count);
    for (unsigned i = 1; i < MODEL_COUNT; i++) {
        if (pids[i] <= 0)
            continue;
        if (machine_wait(i, pids[i], SECONDS) && load_disk(path[i], disk))
            collect(i, disk, count);
        else
            unanswered += count;
        remove_files(i);
    }
}

/* --- verdicts ----------------------------------------------------------------------------------------------------- */

static void count_one(const struct test_case *c, const struct outcome *o, const struct judgement *j)
{
    static unsigned shown;
    struct tally *tally = &tallies[c->form];
    struct outcome all[MODEL_COUNT];

    executions++;
    tally->executed[c->mode]++;
    tally->retired += o->present && !o->shutdown && get32(o->world, W_VECTOR) == X86EMU_VECTOR_BP;
    tally->explained += j->verdict == VERDICT_EXPLAINED;
    if (j->verdict != VERDICT_UNEXPLAINED)
        return;
    unexplained++;
    tally->unexplained++;
    if (shown++ >= options.shown)
        return;
    for (unsigned i = 0; i < MODEL_COUNT; i++)
        all[i] = outcomes[i][c - cases];
    print_case(c, all);
}

static void judge_batch(unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        struct outcome all[MODEL_COUNT];
        struct judgement j;

        for (unsigned i = 0; i < MODEL_COUNT; i++)
            all[i] = outcomes[i][n];
        judge(&cases[n], all, &j);
        count_one(&cases[n], &all[MODEL_LIBRARY], &j);
        if (options.only_case >= 0 && j.verdict != VERDICT_UNEXPLAINED) {
            print_case(&cases[n], all);
            printf("%s\n", j.verdict == VERDICT_AGREE ? "all agree" : j.reason);
        }
    }
}

static void run_all(void)
{
    static uint8_t templates[3][WORLD_SIZE];
    uint8_t *disk = malloc(DISK_SIZE);
    unsigned long first = options.only_case >= 0 ? (unsigned long)options.only_case : options.first;
    unsigned long last = options.only_case >= 0 ? first + 1 : options.first + options.count;

    world_templates(templates);
    while (disk != NULL && first < last) {
        unsigned count = (unsigned)(last - first < BATCH ? last - first : BATCH);

        for (unsigned n = 0; n < count; n++)
            cases_make(&options.cases, (uint32_t)(first + n), &cases[n]);
        run_models(disk, count, templates);
        judge_batch(count);
        first += count;
    }
    free(disk);
}

/* --- the report --------------------------------------------------------------------------------------------------- */

static const char *name(unsigned form)
{
    return form == 0 ? "invalid" : x86emu_mnemonic_name(x86emu_form_mnemonic(form));
}

static struct coverage coverage_of(unsigned form)
{
    const struct tally *t = &tallies[form];

    return (struct coverage){{t->executed[0], t->executed[1], t->executed[2]}, t->retired, 0, t->unexplained};
}

static int report(void)
{
    unsigned rows = 0;

    for (unsigned form = 0; form < X86EMU_FORM_COUNT; form++) {
        rows += form > 0 && tallies[form].executed[0] + tallies[form].executed[1] + tallies[form].executed[2] > 0;
        if (tallies[form].unexplained > 0)
            printf("unexplained: %s, row %u: %lu\n", name(form), form, tallies[form].unexplained);
    }
    judge_report();
    if (options.coverage != NULL)
        write_coverage(options.coverage, coverage_of);
    if (unanswered > 0)
        printf("not answered: %lu\n", unanswered);
    printf("%lu executions, %u rows, %lu unexplained\n", executions, rows, unexplained);
    return unexplained == 0 && unanswered == 0 && executions > 0 ? 0 : 1;
}

/* --- arguments ---------------------------------------------------------------------------------------------------- */

static const char help[] =
    "usage: x86emu-differential-system [--quick] [--count N] [--seed N] [--only MNEMONIC] [--case N]\n"
    "           [--environment protected|long|real] [--amd] [--shown N] [--coverage FILE]\n\n"
    "Runs one guest program on the emulator, on QEMU (TCG) and on Bochs: instructions that change segments, levels, "
    "tasks\n"
    "and modes, privileged ones, exceptions and their delivery. Compares registers, descriptors, tasks and stacks "
    "after\n"
    "each case. Where QEMU and Bochs differ, the manual decides: such cases are explained by name, or unexplained.\n\n"
    "  --quick          a slice\n"
    "  --count N        so many cases (default: 65536)\n"
    "  --first N        from this case on\n"
    "  --seed N         other random numbers (default: 1)\n"
    "  --only MNEMONIC  cases of this instruction\n"
    "  --case N         that case alone, in words (with the same --seed, --only, --environment and --amd)\n"
    "  --environment E  cases that begin in this mode\n"
    "  --amd            as AMD's processors do it, not Intel's\n"
    "  --shown N        print so many unexplained cases (default: 20)\n"
    "  --coverage FILE  how often each row ran, as CSV\n"
    "  --help           this text\n\n"
    "The last line says: N executions, R rows, M unexplained. Exit status: 0 without unexplained cases, 1 with some, "
    "2\n"
    "when it couldn't run.\n";

static long number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 0);

    if (*text == 0 || *end != 0 || value < 0) {
        fprintf(stderr, "x86emu-differential-system: not a number: %s\n", text);
        exit(2);
    }
    return value;
}

static int environment(const char *text)
{
    static const char *const names[3] = {"protected", "long", "real"};

    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    fprintf(stderr, "x86emu-differential-system: no such environment: %s\n", text);
    exit(2);
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"quick", 0, NULL, 'q'},    {"count", 1, NULL, 'c'}, {"seed", 1, NULL, 's'},        {"only", 1, NULL, 'o'},
        {"coverage", 1, NULL, 'f'}, {"case", 1, NULL, 'n'},  {"environment", 1, NULL, 'e'}, {"amd", 0, NULL, 'a'},
        {"shown", 1, NULL, 'm'},    {"first", 1, NULL, 'i'}, {"help", 0, NULL, 'h'},        {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'q')
            options.count = QUICK;
        else if (c == 'c')
            options.count = (unsigned long)number(optarg);
        else if (c == 's')
            options.cases.seed = (uint64_t)number(optarg);
        else if (c == 'o')
            options.cases.only = optarg;
        else if (c == 'f')
            options.coverage = optarg;
        else if (c == 'n')
            options.only_case = number(optarg);
        else if (c == 'e')
            options.cases.environment = environment(optarg);
        else if (c == 'a')
            options.cases.amd = true;
        else if (c == 'i')
            options.first = (unsigned long)number(optarg);
        else if (c == 'm')
            options.shown = (unsigned)number(optarg);
        else {
            fputs(help, c == 'h' ? stdout : stderr);
            exit(c == 'h' ? 0 : 2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "x86emu-differential-system: unknown argument: %s\n", argv[optind]);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    const char *temporary = getenv("TMPDIR");

    parse(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    snprintf(folder, sizeof(folder), "%s/x86emu-system-XXXXXX", temporary != NULL ? temporary : "/tmp");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 2;
    }
    for (unsigned i = 1; i < MODEL_COUNT; i++) {
        const char *missing = machine_missing(i);

        options.use[i] = missing == NULL;
        if (missing != NULL)
            printf("skipped: %s: %s\n", model_names[i], missing);
    }
    run_all();
    rmdir(folder);
    return report();
}
