/* SPDX-License-Identifier: BSD-2-Clause */
/* The reference hypervisor: boots a Linux kernel to its console. */
#include "console.h"
#include "machine.h"
#include "options.h"
#include "pages.h"
#include "state.h"
#include "testdev.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Where the test device's registers are. */
#define TEST_DEVICE 0xe1000000u

/* Some KVM adds features to those that CPUID was told to offer: the kernel is asked to leave them alone. */
#define KVM_WORDS "noxsave nosmap nosmep nopcid noinvpcid nofsgsbase nopku "

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

/* Spent by this process, whatever else the host did meanwhile. */
static double processor_seconds(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

static void print_statistics(const struct statistics *s, double seconds)
{
    printf("\n%.1f s, %.1f s of processor time; ", seconds, processor_seconds());
    if (s->instructions != 0) /* none that the library did: the processor doesn't count */
        printf("%llu instructions, %.1f MIPS; ", (unsigned long long)s->instructions,
               (double)s->instructions / seconds / 1e6);
    printf("%llu interrupts, %llu exceptions, %llu port accesses (%llu to nothing), %llu halts\n",
           (unsigned long long)s->interrupts, (unsigned long long)s->exceptions, (unsigned long long)s->port_accesses,
           (unsigned long long)s->unknown_ports, (unsigned long long)s->halts);
}

static bool boot(struct machine *machine, struct x86emu_vcpu *vcpu, const struct options *options)
{
    char command_line[BOOT_COMMAND_LINE];
    const struct boot_files files = {options->kernel, options->initrd, command_line};
    const char *culprit;
    enum boot_status status;
    int length;

    length = snprintf(command_line, sizeof(command_line),
                      "console=ttyS0 earlyprintk=ttyS0 nokaslr mitigations=off tsc=reliable lpj=1000000 "
                      "no_timer_check panic=-1 reboot=k %s%s",
                      options->kvm ? KVM_WORDS : "", options->append);
    if (length < 0 || length >= BOOT_COMMAND_LINE) {
        fprintf(stderr, "x86emu-hypervisor: --append: too long\n");
        return false;
    }
    for (unsigned i = 1; i < machine->cpu_count; i++)
        cpu_power_up(&vcpu[i]);
    status = boot_load(machine, vcpu, &files, &culprit);
    if (status != BOOT_OK)
        fprintf(stderr, "x86emu-hypervisor: %s: %s\n", culprit, boot_explain(status));
    return status == BOOT_OK;
}

static bool restore(struct machine *machine, struct x86emu_vcpu *vcpu, const char *path)
{
    const char *error = state_restore(machine, vcpu, path);

    if (error != NULL)
        fprintf(stderr, "x86emu-hypervisor: %s: %s\n", path, error);
    return error == NULL;
}

/* The machine as the options have it, at the kernel's entry point or where it was saved. False: said why. */
static bool set_up(struct machine *machine, struct x86emu_vcpu *vcpu, const struct options *options)
{
    static struct testdev test_device;
    uint64_t memory = options->memory << 20;

    machine->output = print_byte;
    machine->typed = options->input;
    machine->cpu_count = (unsigned)options->cpus;
    machine->cpuid = (enum cpuid_policy)options->cpuid;
    machine->strict = options->strict;
    machine->ignores_msrs = options->ignores_msrs;
    machine->bridge_vendor = options->vendor == 1 ? 0x1022 : 0x8086;
    if (options->restore != NULL)
        memory = state_memory(options->restore, &machine->cpu_count);
    if (memory == 0) {
        fprintf(stderr, "x86emu-hypervisor: %s: is no state of a machine\n", options->restore);
        return false;
    }
    if (!machine_start(machine, memory))
        return false;
    if (options->dirty_rate != 0) {
        machine->pages = pages_start(machine, options->dirty_rate, options->dirty_copy);
        if (machine->pages == NULL)
            return false;
    }
    if (options->test_device && testdev_add(&test_device, machine, TEST_DEVICE) != PCI_OK)
        return false;
    if (options->restore != NULL)
        return restore(machine, vcpu, options->restore);
    return boot(machine, vcpu, options);
}

int main(int argc, char **argv)
{
    static struct machine machine;
    static struct x86emu_vcpu vcpu[MACHINE_MAX_CPUS];
    struct options options;
    double start;

    options_parse(&options, argc, argv);
    if (!set_up(&machine, vcpu, &options))
        return 1;
    if (options.control != NULL) {
        machine.control = control_start(&machine, options.control, options.paused);
        if (machine.control == NULL)
            return 1;
    }
    if (options.interactive) {
        machine.interactive = true;
        options.seconds = UINT64_C(1) << 32;
    }
    if ((options.interactive && !console_start(&machine)) || (options.progress && !console_start_progress(&machine)))
        return 1;
    start = seconds_now();
    if (options.lockstep != 0)
        kvm_run_lockstep(&machine, vcpu, &options);
    else if (options.kvm)
        kvm_run_machine(&machine, vcpu, &options);
    else
        interpreter_run(&machine, vcpu, &options);
    console_stop();
    if (machine.control != NULL)
        control_stop(machine.control);
    print_statistics(&machine.statistics, seconds_now() - start);
    if (machine.pages != NULL && !pages_stop(machine.pages))
        machine.end = MACHINE_FAILED;
    free(machine.restored);
    machine_free(&machine);
    return machine.end == MACHINE_POWERED_OFF || machine.end == MACHINE_RESET ? 0 : 1;
}
