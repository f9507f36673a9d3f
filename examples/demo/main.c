/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the demo guest on each processor there is, shows what its devices saw, and compares. */
#include "backend.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct options {
    bool kvm, interpreter;
    bool quiet, trace;
};

/* One run of the guest and what came of it. */
struct attempt {
    const char *name;
    bool on_kvm;
    unsigned ring;
    struct machine machine;
    struct kvm_exits exits;
    enum run_end end;
};

static void usage(void)
{
    puts("usage: x86emu-demo [--cpu=kvm|interpreter|auto] [--trace] [--quiet]\n"
         "\n"
         "Runs a guest whose devices are emulated by x86emu: in ring 3 and ring 0 on /dev/kvm, and interpreted by the\n"
         "library alone. The guest checks its own results; the devices must see the same accesses in each run.\n"
         "\n"
         "  --cpu=auto         both, or the interpreter alone where /dev/kvm can't be used (default)\n"
         "  --trace            show the requests of every run, not only of the first\n"
         "  --quiet, --quick   no guest output and no requests\n"
         "  --help             this text");
}

static bool parse_cpu(struct options *options, const char *cpu)
{
    options->kvm = strcmp(cpu, "interpreter") != 0;
    options->interpreter = strcmp(cpu, "kvm") != 0;
    if (strcmp(cpu, "auto") == 0 || options->kvm != options->interpreter)
        return !(options->kvm && strcmp(cpu, "kvm") != 0 && strcmp(cpu, "auto") != 0);
    return false;
}

/* 0: go on; else the exit status plus 1. */
static int parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {{"cpu", required_argument, NULL, 'c'}, {"trace", no_argument, NULL, 't'},
                                          {"quiet", no_argument, NULL, 'q'},     {"quick", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},      {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'c':
            if (parse_cpu(options, optarg))
                break;
            fprintf(stderr, "x86emu-demo: --cpu is kvm, interpreter or auto, not %s\n", optarg);
            return 3;
        case 't':
            options->trace = true;
            break;
        case 'q':
            options->quiet = true;
            break;
        case 'h':
            usage();
            return 1;
        default:
            return 3;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "x86emu-demo: unknown argument: %s\n", argv[optind]);
        return 3;
    }
    return 0;
}

static void summarize(const struct attempt *attempt)
{
    const struct kvm_exits *exits = &attempt->exits;

    printf("%s: %zu device accesses, %lu instructions finished by the library", attempt->name,
           attempt->machine.trace.count, attempt->machine.by_library);
    if (attempt->on_kvm)
        printf(" (%lu memory faults, %lu emulation failures; %lu accesses by KVM's own emulator)", exits->memory_faults,
               exits->failures, exits->mmio);
    printf("\n");
}

static bool judge(const struct attempt *attempt)
{
    if (attempt->end != RUN_EXITED) {
        printf("%s: FAILED\n", attempt->name);
        return false;
    }
    summarize(attempt);
    if (attempt->machine.devices.exit_code == 0)
        return true;
    printf("%s: FAILED: the guest's check %u\n", attempt->name, attempt->machine.devices.exit_code);
    return false;
}

static bool attempt_run(struct attempt *attempt, const struct options *options, bool first)
{
    if (!machine_init(&attempt->machine, options->quiet, !options->quiet && (first || options->trace)))
        return false;
    printf("== %s\n", attempt->name);
    attempt->end = attempt->on_kvm ? run_kvm(&attempt->machine, attempt->ring, &attempt->exits)
                                   : run_interpreter(&attempt->machine, attempt->ring);
    return attempt->end == RUN_UNAVAILABLE || judge(attempt);
}

/* All runs against the first that took place. */
static bool compare(const struct attempt *attempts, unsigned count)
{
    const struct attempt *first = NULL;
    unsigned compared = 0;
    bool same = true;

    for (unsigned i = 0; i < count; i++) {
        if (attempts[i].end != RUN_EXITED)
            continue;
        if (first == NULL)
            first = &attempts[i];
        else
            same &= trace_same(&first->machine.trace, first->name, &attempts[i].machine.trace, attempts[i].name);
        compared++;
    }
    if (same && compared > 1)
        printf("== the devices saw the same in all %u runs\n", compared);
    return same && compared > 0;
}

int main(int argc, char **argv)
{
    struct options options = {.kvm = true, .interpreter = true};
    struct attempt attempts[4] = {{.name = "KVM, ring 3", .on_kvm = true, .ring = 3},
                                  {.name = "KVM, ring 0", .on_kvm = true, .ring = 0},
                                  {.name = "interpreter, ring 3", .ring = 3},
                                  {.name = "interpreter, ring 0", .ring = 0}};
    int outcome = parse(&options, argc, argv);
    bool ok = true, first = true;

    if (outcome != 0)
        return outcome - 1;
    for (unsigned i = 0; i < 4; i++) {
        attempts[i].end = RUN_UNAVAILABLE;
        if (!(attempts[i].on_kvm ? options.kvm : options.interpreter))
            continue;
        ok &= attempt_run(&attempts[i], &options, first);
        if (attempts[i].end == RUN_UNAVAILABLE) {
            printf("%s: not run%s\n", attempts[i].name, options.interpreter ? "; the interpreter runs instead" : "");
            options.kvm = false;
            ok &= options.interpreter;
        } else {
            first = false;
        }
    }
    ok &= compare(attempts, 4);
    for (unsigned i = 0; i < 4; i++)
        if (attempts[i].machine.ram != NULL)
            machine_free(&attempts[i].machine);
    printf("%s\n", ok ? "x86emu-demo: ok" : "x86emu-demo: FAILED");
    return ok ? 0 : 1;
}
