/* SPDX-License-Identifier: BSD-2-Clause */
/* The reference hypervisor: boots a Linux kernel to its console. */
#include "machine.h"
#include "options.h"

#include <stdio.h>
#include <time.h>

static void print_byte(struct machine *machine, uint8_t byte)
{
    (void)machine;
    putchar(byte);
    if (byte == '\n')
        fflush(stdout);
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
    struct options options;
    char command_line[2048];
    enum boot_status status;
    double start;

    options_parse(&options, argc, argv);
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
        kvm_run_machine(&machine, &vcpu, &options);
    else
        interpreter_run(&machine, &vcpu, &options);
    print_statistics(&machine.statistics, seconds_now() - start);
    machine_free(&machine);
    return machine.end == MACHINE_POWERED_OFF || machine.end == MACHINE_RESET ? 0 : 1;
}
