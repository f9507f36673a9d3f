/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line. */
#include "options.h"

#include "machine.h"

#include <getopt.h>
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
    "  --cpu=WHICH     interpreter (the default), or kvm\n"
    "  --cpus=N        processors of the guest, 1 to 16 (default: 1)\n"
    "  --cpuid=HOW     common: what the guests here need (default); least: what every 64-bit\n"
    "                  processor has; most: what can be done\n"
    "  --pci-vendor=V  of the host bridge: intel (default), amd\n"
    "  --msr=HOW       unknown model-specific registers: refuse, #GP (default); ignore\n"
    "  --strict        an access to a port where nothing is ends the run\n"
    "  --test-device   a PCI device with registers at E1000000H and memory wherever there is room\n"
    "  --follow=N      kvm: after an instruction that KVM can't do, the library goes on for up to N\n"
    "                  instructions of the guest's kernel; 0: that instruction alone (default: 1000000)\n"
    "  --help          this text\n\n"
    "Exit status: 0 when the guest powered itself off, 1 when it could not go on, 2 for bad arguments.\n";

static const struct option known[] = {
    {"kernel", 1, NULL, 'k'},  {"initrd", 1, NULL, 'i'}, {"append", 1, NULL, 'a'},     {"memory", 1, NULL, 'm'},
    {"seconds", 1, NULL, 's'}, {"input", 1, NULL, 't'},  {"follow", 1, NULL, 'f'},     {"cpu", 1, NULL, 'c'},
    {"cpus", 1, NULL, 'n'},    {"cpuid", 1, NULL, 'p'},  {"pci-vendor", 1, NULL, 'v'}, {"test-device", 0, NULL, 'd'},
    {"strict", 0, NULL, 'S'},  {"msr", 1, NULL, 'M'},    {"help", 0, NULL, 'h'},       {0}};

static void bad(const char *what, const char *text)
{
    fprintf(stderr, "x86emu-hypervisor: %s: %s\n", what, text);
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != 0)
        bad("not a number", text);
    return value;
}

/* The place of text in names, which NULL ends. */
static unsigned choice(const char *const names[], const char *what, const char *text)
{
    for (unsigned i = 0; names[i] != NULL; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    bad(what, text);
    return 0;
}

static void take(struct options *options, int letter, const char *text)
{
    static const char *const processors[] = {"interpreter", "kvm", NULL};
    static const char *const policies[] = {"common", "least", "most", NULL}; /* enum cpuid_policy */
    static const char *const unknown_msrs[] = {"refuse", "ignore", NULL};
    static const char *const vendors[] = {"intel", "amd", NULL};

    switch (letter) {
    case 'k':
        options->kernel = text;
        break;
    case 'i':
        options->initrd = text;
        break;
    case 'a':
        options->append = text;
        break;
    case 'm':
        options->memory = number(text);
        break;
    case 's':
        options->seconds = number(text);
        break;
    case 't':
        options->input = text;
        break;
    case 'f':
        options->follow = number(text);
        break;
    case 'c':
        options->kvm = choice(processors, "no such processor", text) == 1;
        break;
    case 'n':
        options->cpus = (unsigned)number(text);
        if (options->cpus < 1 || options->cpus > MACHINE_MAX_CPUS)
            bad("no such number of processors", text);
        break;
    case 'p':
        options->cpuid = choice(policies, "no such offer of CPUID", text);
        break;
    case 'v':
        options->bridge_vendor = choice(vendors, "no such vendor", text) == 1 ? 0x1022 : 0x8086;
        break;
    case 'S':
        options->strict = true;
        break;
    case 'M':
        options->ignores_msrs = choice(unknown_msrs, "no such treatment of registers", text) == 1;
        break;
    case 'd':
        options->test_device = true;
        break;
    case 'h':
        fputs(help, stdout);
        exit(0);
    default:
        exit(2);
    }
}

void options_parse(struct options *options, int argc, char **argv)
{
    int letter;

    *options = (struct options){.append = "", .memory = 256, .seconds = 1200, .cpus = 1, .follow = 1000000};
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1)
        take(options, letter, optarg);
    if (optind < argc || options->kernel == NULL || options->memory < 32 || options->memory > 3072) {
        fputs(help, stderr);
        exit(2);
    }
}
