/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest on /dev/kvm: devices and interrupt controllers are ours, and what KVM can't finish the library does. */
#define _GNU_SOURCE
#include "kvm.h"
#include "events.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <x86emu/format.h>

enum {
    IDENTITY_MAP = 0xfeffc000u,
};

static uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t power_on;

static uint64_t real_now(const struct machine *machine)
{
    (void)machine;
    return clock_ns() - power_on;
}

/* --- setting up --------------------------------------------------------------------------------------------------- */

static uint64_t host_tsc(void)
{
    return __builtin_ia32_rdtsc();
}

/* The guest's time-stamp counter is the host's: also where KVM lets ring 3 read that one. */
static bool set_tsc(struct kvm *kvm)
{
    uint64_t offset = 0;
    struct kvm_device_attr attribute = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uint64_t)(uintptr_t)&offset};
    int khz = ioctl(kvm->cpu, KVM_GET_TSC_KHZ, 0);

    if (khz <= 0 || ioctl(kvm->cpu, KVM_SET_DEVICE_ATTR, &attribute) != 0)
        return kvm_failed("time-stamp counter");
    kvm->machine->tsc_mhz = (uint32_t)khz / 1000;
    kvm->machine->tsc = host_tsc;
    return true;
}

/* A slot for each piece of memory, or none. */
static bool set_memory(struct kvm *kvm, bool there)
{
    const struct machine *machine = kvm->machine;

    for (unsigned i = 0; i < MACHINE_MEMORY_REGIONS; i++) {
        const struct x86emu_region *piece = &machine->memory[i];
        struct kvm_userspace_memory_region region = {.slot = i,
                                                     .flags = i == MACHINE_ROM ? KVM_MEM_READONLY : 0,
                                                     .guest_phys_addr = piece->gpa,
                                                     .memory_size = there ? piece->size : 0,
                                                     .userspace_addr = (uint64_t)(uintptr_t)machine->ram + piece->gpa};

        if (ioctl(kvm->vm, KVM_SET_USER_MEMORY_REGION, &region) != 0)
            return kvm_failed("memory");
    }
    return true;
}

/*
 * There is no other way to tell KVM that the guest has invalidated translations. Without nested paging it doesn't even
 * see that guest's tables were written here: what it has made of them lives as long as the memory slot.
 */
bool kvm_renew_memory(struct kvm *kvm)
{
    bool done;

    kvm->stale = false;
    kvm->renewed++;
    kvm_stop_others(kvm);
    done = set_memory(kvm, false) && set_memory(kvm, true);
    kvm_let_others();
    return done;
}

bool kvm_open_vm(struct kvm *kvm)
{
    kvm->vm = ioctl(kvm->system, KVM_CREATE_VM, 0);
    if (kvm->vm < 0)
        return kvm_failed("creating a virtual machine");
    ioctl(kvm->vm, KVM_SET_TSS_ADDR, IDENTITY_MAP + 0x1000);
    return true;
}

bool kvm_open_cpu(struct kvm *kvm, unsigned number)
{
    kvm->cpu = kvm_create_cpu(kvm->system, kvm->vm, number, &kvm->run, &kvm->run_size);
    return kvm->cpu >= 0;
}

bool kvm_open(struct kvm *kvm)
{
    kvm->system = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm->system < 0)
        return kvm_failed("/dev/kvm");
    if (!kvm_open_vm(kvm))
        return false;
    kvm_ask_for_msrs(kvm);
    return set_memory(kvm, true);
}

void kvm_close(struct kvm *kvm)
{
    kvm_close_cpu(kvm->cpu, kvm->run, kvm->run_size);
    if (kvm->vm >= 0)
        close(kvm->vm);
    if (kvm->system >= 0)
        close(kvm->system);
}

/* --- exits -------------------------------------------------------------------------------------------------------- */

static void ports(struct kvm *kvm)
{
    const struct kvm_run *run = kvm->run;
    uint8_t *data = (uint8_t *)kvm->run + run->io.data_offset;

    for (unsigned n = 0; n < run->io.count; n++, data += run->io.size) {
        uint32_t value = 0;

        if (run->io.direction == KVM_EXIT_IO_OUT) {
            memcpy(&value, data, run->io.size);
            machine_port_out(kvm->machine, run->io.port, run->io.size, value);
        } else {
            value = machine_port_in(kvm->machine, run->io.port, run->io.size);
            memcpy(data, &value, run->io.size);
        }
    }
}

static bool stop(struct kvm *kvm, const char *why)
{
    return (kvm->here || kvm_load(kvm, &kvm->state)) && kvm_report(kvm, &kvm->state, why, kvm->run->exit_reason);
}

static bool handle_exit(struct kvm *kvm, bool fault)
{
    if (fault)
        return kvm_memory_fault(kvm);
    kvm->exits[kvm->run->exit_reason % 64]++;
    switch (kvm->run->exit_reason) {
    case KVM_EXIT_IO:
        ports(kvm);
        return true;
    case KVM_EXIT_MMIO:
        return kvm_mmio(kvm);
    case KVM_EXIT_HLT:
        kvm->vcpu->halted = true;
        kvm->halts++;
        return true;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_INTR:
    case KVM_EXIT_SET_TPR: /* it was taken already */
        return true;
    case KVM_EXIT_X86_RDMSR:
    case KVM_EXIT_X86_WRMSR:
        kvm_msr(kvm);
        return true;
    case KVM_EXIT_INTERNAL_ERROR:
        return kvm_finish(kvm, NULL);
    case KVM_EXIT_DEBUG:
        return kvm_enters_kernel(kvm);
    default:
        return stop(kvm, "the guest has shut itself down");
    }
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static bool timed_exit(struct kvm *kvm, bool fault)
{
    uint64_t start = clock_ns();
    bool ok = handle_exit(kvm, fault);

    kvm->exit_ns += clock_ns() - start;
    return ok;
}

/* From KVM that has begun on the guest's kernel: the library does that better. */
static bool take_over(struct kvm *kvm)
{
    struct kvm_sregs sregs;

    if (!kvm->kernel_here || kvm->here)
        return true;
    if (ioctl(kvm->cpu, KVM_GET_SREGS, &sregs) != 0)
        return kvm_failed("reading system registers");
    return sregs.ss.dpl != 0 || kvm_fetch(kvm);
}

static bool enter(struct kvm *kvm)
{
    int result;

    if (kvm->vcpu->halted) {
        kvm_sleep();
        return true;
    }
    if (!kvm_give(kvm))
        return false;
    kvm->run->cr8 = kvm->vcpu->apic.task_priority >> 4;
    kvm->run->exit_reason = KVM_EXIT_UNKNOWN;
    result = kvm_enter(kvm);
    cpu_take_cr8(kvm->vcpu, kvm->run->cr8);
    if (result == 0 || result == EFAULT)
        return timed_exit(kvm, result == EFAULT) && take_over(kvm);
    kvm->run->immediate_exit = 0;
    kvm->kicks++;
    errno = result;
    return result == EINTR || result == EAGAIN ? take_over(kvm) : kvm_failed("running");
}

bool kvm_settle(struct kvm *kvm)
{
    for (;;) {
        int result;

        kvm->run->immediate_exit = 1;
        result = kvm_enter(kvm);
        if (result == EINTR) {
            kvm->run->immediate_exit = 0;
            return true;
        }
        if (result != 0 || !timed_exit(kvm, false))
            return false;
        if (kvm->here)
            return true;
    }
}

static bool timed_kernel(struct kvm *kvm)
{
    bool sleeps = kvm->vcpu->halted;
    uint64_t start = clock_ns();
    bool ok = kvm_run_kernel(kvm);

    kvm->kernel_ns += sleeps ? 0 : clock_ns() - start;
    return ok;
}

bool kvm_run_once(struct kvm *kvm)
{
    bool ok = kvm->here && kvm->kernel_here ? timed_kernel(kvm) : enter(kvm);

    machine_run_devices(kvm->machine);
    ok = ok && kvm_take_events(kvm);
    if (ok && kvm->machine->failure[0] != 0)
        return stop(kvm, kvm->machine->failure);
    if (ok && kvm->vcpu->index == 0 && clock_ns() > kvm->end)
        return stop(kvm, "out of time");
    return ok;
}

static void print_finished(const struct kvm *kvm)
{
    bool any = false;

    printf("\nfinished by the library:");
    for (unsigned i = 0; i < KVM_MNEMONICS; i++)
        if (kvm->finished[i] != 0) {
            printf(" %s %u", x86emu_mnemonic_name((enum x86emu_mnemonic)i), kvm->finished[i]);
            any = true;
        }
    printf("%s\n", any ? "" : " nothing");
    if (kvm->kernel_here)
        printf("ring 0 by the library: %llu instructions in %.1f s; translations forgotten %llu times\n",
               (unsigned long long)kvm->kernel_instructions, (double)kvm->kernel_ns * 1e-9,
               (unsigned long long)kvm->renewed);
    printf("%.1f s in exits, of %.1f s\n", (double)kvm->exit_ns * 1e-9, (double)(clock_ns() - power_on) * 1e-9);
}

static void print_exits(const struct kvm *kvm)
{
    static const char *const names[64] = {[KVM_EXIT_IO] = "port",
                                          [KVM_EXIT_MMIO] = "memory",
                                          [KVM_EXIT_HLT] = "halt",
                                          [KVM_EXIT_DEBUG] = "kernel entry",
                                          [KVM_EXIT_IRQ_WINDOW_OPEN] = "interrupt window",
                                          [KVM_EXIT_INTERNAL_ERROR] = "emulation failure"};

    printf("\nprocessor %u: exits: %llu kicks", kvm->vcpu->index, (unsigned long long)kvm->kicks);
    for (unsigned i = 0; i < 64; i++)
        if (kvm->exits[i] != 0)
            printf(", %llu %s", (unsigned long long)kvm->exits[i], names[i] != NULL ? names[i] : "other");
    printf(", %llu device fault", (unsigned long long)kvm->cover_faults);
    print_finished(kvm);
    if (kvm->check != NULL)
        kvm_check_print(kvm->check);
    if (kvm->halves_syscall)
        printf("this KVM does half a SYSCALL in ring 3; the other half of %llu was done here\n",
               (unsigned long long)kvm->repaired);
}

static bool open_devices(struct kvm *kvm)
{
    if (kvm->options->mmio == MMIO_X86EMU)
        return kvm->vcpu->index != 0 || kvm_cover_devices(kvm); /* for all processors */
    if (kvm->options->mmio == MMIO_KVM)
        return true;
    kvm->check = kvm_check_new(kvm);
    return kvm->check != NULL;
}

static struct kvm *new_kvm(struct machine *machine, unsigned number, const struct options *options)
{
    struct kvm *kvm = calloc(1, sizeof(*kvm));
    struct x86emu_config config = {.map = &machine->map, .opaque = &machine->cpu[number]};

    if (kvm == NULL)
        return NULL;
    *kvm = (struct kvm){
        .system = -1, .vm = -1, .cpu = -1, .machine = machine, .vcpu = &machine->cpu[number], .options = options};
    for (unsigned kind = 1; kind < X86EMU_REQUEST_KINDS; kind++)
        config.callbacks[kind] = machine_answer;
    config.cache = &kvm->cache;
    x86emu_init(&kvm->emu, &config);
    kvm->end = clock_ns() + options->seconds * 1000000000u;
    return kvm;
}

/* An instruction that was half done when the machine was saved. */
static bool take_restored(struct kvm *kvm)
{
    struct x86emu_config config = kvm->emu.transaction.config;
    enum x86emu_status status;

    if (kvm->machine->restored == NULL || kvm->vcpu->halted || kvm->vcpu->waiting)
        return true;
    kvm->emu = kvm->machine->restored[kvm->vcpu->index];
    x86emu_rebind(&kvm->emu, &config);
    do {
        status = x86emu_step(&kvm->emu, &kvm->state);
        if (status == X86EMU_REQUEST)
            status = machine_complete(kvm->vcpu, &kvm->emu, &kvm->state);
    } while (status == X86EMU_RETIRED && kvm->emu.outcome.repeats);
    if (status == X86EMU_EXCEPTION)
        return kvm_deliver(kvm, events_exception(&kvm->emu));
    return status == X86EMU_RETIRED ||
           kvm_report(kvm, &kvm->state, "what was half done can't be finished, status", status);
}

/* Ring 0 is the library's, or KVM's: which must run it where its own accesses to devices are wanted. */
static bool kernel_is_here(const struct kvm *kvm)
{
    if (kvm->options->ring0 != RING0_AUTO)
        return kvm->options->ring0 == RING0_X86EMU;
    return kvm->options->mmio == MMIO_X86EMU && kvm_emulates_kernels(kvm);
}

/* What the others need of the first. */
static bool open_first(struct kvm *kvm)
{
    if (!kvm_open(kvm))
        return false;
    kvm->halves_syscall = kvm_halves_syscall(kvm);
    kvm->kernel_here = kernel_is_here(kvm);
    return true;
}

/* The vCPU of a virtual machine that the first has opened. */
static bool open_member(struct kvm *kvm, const struct kvm *first, const struct x86emu_vcpu *vcpu)
{
    kvm->vm = first->vm;
    kvm->system = first->system;
    kvm->halves_syscall = first->halves_syscall;
    kvm->kernel_here = first->kernel_here;
    kvm->state = *vcpu;
    kvm->state.changed = X86EMU_STATE_ALL;
    kvm->here = true;
    return kvm_open_cpu(kvm, kvm->vcpu->index) && set_tsc(kvm) && kvm_set_cpuid(kvm) && take_restored(kvm);
}

static bool open_all(struct kvm **members, struct machine *machine, struct x86emu_vcpu *vcpu,
                     const struct options *options)
{
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        members[n] = new_kvm(machine, n, options);
        if (members[n] == NULL || (n == 0 && !open_first(members[0])) ||
            !open_member(members[n], members[0], &vcpu[n]) || !open_devices(members[n]))
            return false;
    }
    return true;
}

static void close_all(struct kvm **members, unsigned count)
{
    for (unsigned n = count; n-- > 0;) {
        if (members[n] == NULL)
            continue;
        if (n == 0)
            kvm_close(members[n]);
        else
            kvm_close_cpu(members[n]->cpu, members[n]->run, members[n]->run_size);
        free(members[n]->check);
        free(members[n]);
    }
}

bool kvm_run_machine(struct machine *machine, struct x86emu_vcpu *vcpu, const struct options *options)
{
    struct kvm *members[MACHINE_MAX_CPUS] = {NULL};
    bool ok;

    power_on = clock_ns() - machine->virtual_time; /* 0, or when it was saved */
    machine->now = real_now;
    ok = open_all(members, machine, vcpu, options) && kvm_run_threads(members, machine->cpu_count);
    for (unsigned n = 0; n < machine->cpu_count && members[n] != NULL; n++) {
        print_exits(members[n]);
        machine->statistics.instructions += members[n]->kernel_instructions;
        machine->statistics.halts += members[n]->halts;
    }
    close_all(members, machine->cpu_count);
    return ok && machine->end != MACHINE_FAILED;
}
