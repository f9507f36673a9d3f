/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lockstep's other half: KVM with a memory of its own, which runs to where it is told and stops. A HLT is put there, that
 * ring 3 may not execute, and so the guest's handler of #GP, which tells of it by a port. Single steps by RFLAGS.TF would
 * end in the guest as well: some KVM without hardware virtualization gives it all exceptions of ring 3, also those that
 * KVM_SET_GUEST_DEBUG asks for; and the guest's program could see and lose TF.
 */
#define _GNU_SOURCE
#include "lockstep.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

enum {
    STOP = 0xf4, /* HLT */
    STOP_PORT = 0x80,
    PAGE = 4096,
    PATIENCE = 10, /* seconds that KVM is given for one stretch */
};

/* --- setting up ------------------------------------------------------------------------------------------------------ */

static struct kvm_run *running;
static volatile sig_atomic_t seconds_passed;

static void tick(int number)
{
    (void)number;
    seconds_passed++;
    running->immediate_exit = 1;
}

static bool start_clock(struct lockstep *l)
{
    const struct itimerval second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};
    const struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};

    running = l->kvm.run;
    return (sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &second, NULL) == 0) ||
           kvm_failed("clock");
}

bool lockstep_is_late(const struct lockstep *l)
{
    return (uint64_t)seconds_passed > l->seconds;
}

bool lockstep_open_twin(struct lockstep *l)
{
    l->twin.cpu_count = 1;
    l->twin.cpuid = l->machine->cpuid;
    if (!machine_start(&l->twin, l->machine->ram_size) || !kvm_open(&l->kvm) || !kvm_open_cpu(&l->kvm, 0) ||
        !kvm_set_cpuid(&l->kvm) || !start_clock(l))
        return false;
    memcpy(l->twin.ram, l->machine->ram, l->machine->ram_size);
    return true;
}

void lockstep_close_twin(struct lockstep *l)
{
    const struct itimerval never = {.it_value = {.tv_sec = 0}};

    setitimer(ITIMER_REAL, &never, NULL);
    kvm_close(&l->kvm);
    machine_free(&l->twin);
}

void lockstep_forget_frame(struct lockstep *l)
{
    const uint64_t first = l->frame - l->frame % PAGE; /* the handler's stack, down to where it has pushed something */
    const uint64_t size = l->frame % PAGE + sizeof(struct kvm_frame);

    memcpy(l->twin.ram + first, l->machine->ram + first, size);
}

bool lockstep_carry(struct lockstep *l)
{
    lockstep_carry_changes(l);
    lockstep_forget_frame(l);
    l->carried++;
    return kvm_store(&l->kvm, l->vcpu, X86EMU_STATE_ALL);
}

/* --- running --------------------------------------------------------------------------------------------------------- */

/* *came: false when it runs on and on. */
static bool enter(struct lockstep *l, bool *came)
{
    const sig_atomic_t start = seconds_passed;

    *came = true;
    while (*came && ioctl(l->kvm.cpu, KVM_RUN, 0) != 0) {
        if (errno != EINTR)
            return kvm_failed("running");
        l->kvm.run->immediate_exit = 0;
        *came = seconds_passed - start <= PATIENCE;
    }
    return true;
}

/* The program's registers, once it has been stopped. */
static bool load_program(struct lockstep *l, struct x86emu_vcpu *after)
{
    struct kvm_frame frame;

    if (!kvm_load_general(&l->kvm, after))
        return false;
    if (!machine_translate(&l->twin, l->vcpu, after->gpr[X86EMU_RSP], &l->frame) ||
        l->frame > l->twin.ram_size - sizeof(frame))
        return lockstep_fail(l, "the guest has no stack for exceptions");
    memcpy(&frame, l->twin.ram + l->frame, sizeof(frame));
    after->rip = frame.rip;
    after->rflags = frame.rflags & ~(uint64_t)X86EMU_RFLAGS_RF; /* exceptions push it set */
    after->gpr[X86EMU_RSP] = frame.rsp;
    return true;
}

static bool stopped(const struct kvm_run *run)
{
    return run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT && run->io.port == STOP_PORT;
}

bool lockstep_run_to(struct lockstep *l, uint64_t rip, struct x86emu_vcpu *after, bool *came)
{
    uint64_t gpa;

    if (!machine_translate(l->machine, l->vcpu, rip, &gpa) || gpa >= l->machine->ram_size)
        return lockstep_fail(l, "the library has gone to where no memory is");
    l->twin.ram[gpa] = STOP;
    if (!enter(l, came))
        return false;
    l->twin.ram[gpa] = l->machine->ram[gpa];
    *came = *came && stopped(l->kvm.run);
    return *came ? load_program(l, after) : kvm_load_general(&l->kvm, after);
}
