/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line. */
#include "options.h"

#include "machine.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: x86emu-hypervisor --kernel FILE [OPTIONS]\n\n"
    "Boots a 64-bit Linux kernel, its console on standard output.\n\n"
    "  --kernel FILE   bzImage or vmlinux\n"
    "  --initrd FILE   initial RAM file system\n"
    "  --append TEXT   more words for the kernel's command line\n"
    "  --memory MIB    of the guest (default: 256)\n"
    "  --seconds N     give up after so long (default: 1200)\n"
    "  --input TEXT    typed at the console, from the beginning\n"
    "  --interactive   keys go to the guest's console, for as long as it runs; Ctrl-A x ends it\n"
    "  --progress      a line on standard error, renewed each second\n"
    "  --cpu=WHICH     interpreter (the default), or kvm\n"
    "  --cpus=N        processors of the guest, 1 to 16 (default: 1)\n"
    "  --cpuid=HOW     common: what the guests here need (default); least: what every 64-bit\n"
    "                  processor has; most: what can be done\n"
    "  --pci-vendor=V  of the host bridge: intel (default), amd\n"
    "  --msr=HOW       unknown model-specific registers: refuse, #GP (default); ignore\n"
    "  --strict        an access to a port where nothing is ends the run\n"
    "  --test-device   a PCI device with registers at E1000000H and memory wherever there is room\n"
    "  --mmio=WHO      kvm: who does device accesses in memory: x86emu, the library, where KVM lets it\n"
    "                  (default); kvm; check: KVM, and the library holds each against its own\n"
    "  --ring0=WHO     kvm: who does the guest's kernel: kvm; x86emu, the library, programs being KVM's; auto:\n"
    "                  the library where KVM would emulate it, which is slower (default)\n"
    "  --lockstep=N    compares KVM and the library after each of N instructions of ring 3; one processor\n"
    "  --stride=N      with --lockstep: after each N instead, 64 at most; a difference is looked for in those again\n"
    "  --dirty-rate=MS memory is given on demand, and dirty pages are counted every MS milliseconds\n"
    "  --dirty-copy    with --dirty-rate: keeps a copy by dirty pages alone, compared at the end\n"
    "  --control=PATH  a Unix socket for commands: registers, pause, resume, save FILE, save-mmio FILE, nmi [N], "
    "memory\n"
    "  --paused        with --control: waits for resume before it begins\n"
    "  --restore=FILE  goes on with a machine that was saved, instead of --kernel\n"
    "  --help          this text\n\n"
    "Exit status: 0 when the guest powered itself off, 1 when it could not go on, 2 for bad arguments.\n";

/* --- the options: one line each ------------------------------------------------------------------------------------- */

enum kind {
    TEXT,
    NUMBER, /* uint64_t */
    CHOICE, /* unsigned: the place among choices */
    FLAG,   /* bool */
};

static const char *const processors[] = {"interpreter", "kvm", NULL};
static const char *const policies[] = {"common", "least", "most", NULL}; /* enum cpuid_policy */
static const char *const unknown_msrs[] = {"refuse", "ignore", NULL};
static const char *const vendors[] = {"intel", "amd", NULL};
static const char *const mmio_modes[] = {"x86emu", "kvm", "check", NULL}; /* enum mmio_mode */

static const char *const kernels[] = {"auto", "kvm", "x86emu", NULL}; /* enum ring0 */

#define FIELD(name) offsetof(struct options, name)
static const struct row {
    const char *name;
    enum kind kind;
    size_t field;
    const char *const *choices;
} rows[] = {
    {"kernel", TEXT, FIELD(kernel), NULL},
    {"initrd", TEXT, FIELD(initrd), NULL},
    {"append", TEXT, FIELD(append), NULL},
    {"memory", NUMBER, FIELD(memory), NULL},
    {"seconds", NUMBER, FIELD(seconds), NULL},
    {"input", TEXT, FIELD(input), NULL},
    {"cpu", CHOICE, FIELD(kvm), processors},
    {"cpus", NUMBER, FIELD(cpus), NULL},
    {"cpuid", CHOICE, FIELD(cpuid), policies},
    {"pci-vendor", CHOICE, FIELD(vendor), vendors},
    {"msr", CHOICE, FIELD(ignores_msrs), unknown_msrs},
    {"strict", FLAG, FIELD(strict), NULL},
    {"test-device", FLAG, FIELD(test_device), NULL},
    {"mmio", CHOICE, FIELD(mmio), mmio_modes},
    {"dirty-rate", NUMBER, FIELD(dirty_rate), NULL},
    {"dirty-copy", FLAG, FIELD(dirty_copy), NULL},
    {"control", TEXT, FIELD(control), NULL},
    {"interactive", FLAG, FIELD(interactive), NULL},
    {"progress", FLAG, FIELD(progress), NULL},
    {"paused", FLAG, FIELD(paused), NULL},
    {"restore", TEXT, FIELD(restore), NULL},
    {"lockstep", NUMBER, FIELD(lockstep), NULL},
    {"stride", NUMBER, FIELD(stride), NULL},
    {"ring0", CHOICE, FIELD(ring0), kernels},
};

enum {
    ROWS = sizeof(rows) / sizeof(rows[0])
};

static void bad(const char *name, const char *text)
{
    fprintf(stderr, "x86emu-hypervisor: --%s: not understood: %s\n", name, text);
    exit(2);
}

static void take(void *field, const struct row *row, const char *text)
{
    char *end;

    switch (row->kind) {
    case TEXT:
        *(const char **)field = text;
        break;
    case NUMBER:
        *(uint64_t *)field = strtoul(text, &end, 10);
        if (*text < '0' || *text > '9' || *end != 0)
            bad(row->name, text);
        break;
    case CHOICE:
        for (unsigned i = 0; row->choices[i] != NULL; i++)
            if (strcmp(text, row->choices[i]) == 0) {
                *(unsigned *)field = i;
                return;
            }
        bad(row->name, text);
        break;
    case FLAG:
        *(bool *)field = true;
        break;
    }
}

void options_parse(struct options *options, int argc, char **argv)
{
    struct option known[ROWS + 2] = {{"help", no_argument, NULL, 0}};
    int found = 0;

    *options = (struct options){.append = "", .memory = 256, .seconds = 1200, .cpus = 1, .stride = 1};
    for (unsigned i = 0; i < ROWS; i++)
        known[i + 1] = (struct option){rows[i].name, rows[i].kind != FLAG, NULL, 0};
    for (int result; (result = getopt_long(argc, argv, "", known, &found)) != -1;) {
        if (result != 0)
            exit(2);
        if (found == 0) {
            fputs(help, stdout);
            exit(0);
        }
        take((char *)options + rows[found - 1].field, &rows[found - 1], optarg);
    }
    if (optind < argc || (options->paused && options->control == NULL) ||
        (options->kernel == NULL) == (options->restore == NULL) || options->memory < 32 || options->memory > 3072 ||
        options->stride < 1 || options->stride > MAX_STRIDE || options->cpus < 1 || options->cpus > MACHINE_MAX_CPUS) {
        fputs(help, stderr);
        exit(2);
    }
}
