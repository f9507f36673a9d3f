/* SPDX-License-Identifier: BSD-2-Clause */
/* The reference hypervisor: boots a Linux kernel to its console. */
#include "machine.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char help[] =
    "usage: x86emu-hypervisor --kernel FILE [--initrd FILE] [--append TEXT] [--memory MIB] [--seconds N] [--input "
    "TEXT]\n\n"
    "Boots a 64-bit Linux kernel, its console on standard output.\n\n"
    "  --kernel FILE   bzImage or vmlinux\n"
    "  --initrd FILE   initial RAM file system\n"
    "  --append TEXT   more words for the kernel's command line\n"
    "  --memory MIB    of the guest (default: 256)\n"
    "  --seconds N     give up after so long (default: 600)\n"
    "  --input TEXT    typed at the console, from the beginning\n"
    "  --cpu=WHICH     interpreter (the default), or kvm\n"
    "  --help          this text\n\n"
    "Exit status: 0 when the guest powered itself off, 1 when it could not go on, 2 for bad arguments.\n";

static struct options {
    const char *kernel, *initrd, *append, *input;
    unsigned long memory, seconds;
    bool kvm;
} options = {.append = "", .memory = 256, .seconds = 600};

static void print_byte(struct machine *machine, uint8_t byte)
{
    (void)machine;
    putchar(byte);
    if (byte == '\n')
        fflush(stdout);
}

static unsigned long number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == 0 || *end != 0) {
        fprintf(stderr, "x86emu-hypervisor: not a number: %s\n", text);
        exit(2);
    }
    return value;
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = {{"kernel", 1, NULL, 'k'}, {"initrd", 1, NULL, 'i'},  {"append", 1, NULL, 'a'},
                                          {"memory", 1, NULL, 'm'}, {"seconds", 1, NULL, 's'}, {"input", 1, NULL, 't'},
                                          {"help", 0, NULL, 'h'},   {"cpu", 1, NULL, 'c'},     {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'k':
            options.kernel = optarg;
            break;
        case 'i':
            options.initrd = optarg;
            break;
        case 'a':
            options.append = optarg;
            break;
        case 'm':
            options.memory = number(optarg);
            break;
        case 's':
            options.seconds = number(optarg);
            break;
        case 't':
            options.input = optarg;
            break;
        case 'c':
            options.kvm = strcmp(optarg, "kvm") == 0;
            if (options.kvm || strcmp(optarg, "interpreter") == 0)
                break;
            fprintf(stderr, "x86emu-hypervisor: no such processor: %s\n", optarg);
            exit(2);
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            exit(2);
        }
    }
    if (optind < argc || options.kernel == NULL || options.memory < 32 || options.memory > 3072) {
        fputs(help, stderr);
        exit(2);
    }
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void print_statistics(const struct statistics *s, double seconds)
{
    printf("\n%llu instructions in %.1f s, %.1f MIPS; %llu interrupts, %llu exceptions, %llu port accesses (%llu to "
           "nothing), %llu halts\n",
           (unsigned long long)s->instructions, seconds, (double)s->instructions / seconds / 1e6,
           (unsigned long long)s->interrupts, (unsigned long long)s->exceptions, (unsigned long long)s->port_accesses,
           (unsigned long long)s->unknown_ports, (unsigned long long)s->halts);
}

int main(int argc, char **argv)
{
    static struct machine machine;
    static struct x86emu_vcpu vcpu;
    char command_line[2048];
    enum boot_status status;
    double start;

    parse(argc, argv);
    machine.output = print_byte;
    if (!machine_start(&machine, options.memory << 20))
        return 1;
    snprintf(command_line, sizeof(command_line),
             "console=ttyS0 earlyprintk=ttyS0 nokaslr mitigations=off tsc=reliable lpj=1000000 no_timer_check nolapic "
             "noapic acpi=off panic=-1 reboot=k %s",
             options.append);
    status = boot_load(&machine, &vcpu, options.kernel, options.initrd, command_line);
    if (status != BOOT_OK) {
        fprintf(stderr, "x86emu-hypervisor: %s: %s\n", options.kernel, boot_explain(status));
        return 1;
    }
    machine.typed = options.input;
    start = seconds_now();
    if (options.kvm)
        kvm_run_machine(&machine, &vcpu, (double)options.seconds);
    else
        interpreter_run(&machine, &vcpu, (double)options.seconds);
    print_statistics(&machine.statistics, seconds_now() - start);
    machine_free(&machine);
    return machine.end == MACHINE_POWERED_OFF || machine.end == MACHINE_RESET ? 0 : 1;
}
