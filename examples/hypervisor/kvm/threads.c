/* SPDX-License-Identifier: BSD-2-Clause */
/* The vCPUs' threads: their clocks, how one makes another leave the guest, and how one stops all the others. */
#define _GNU_SOURCE
#include "control.h"
#include "kvm.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK_US = 2000, /* between two looks at the timers */
};

/* The vCPUs of this process's virtual machine. */
static struct {
    struct kvm *member[MACHINE_MAX_CPUS];
    unsigned count;
    pthread_rwlock_t running; /* read: while in KVM_RUN; written: while none may be */
} group;

/* --- leaving the guest ---------------------------------------------------------------------------------------------- */

static _Thread_local struct kvm *mine;

/* Also when the signal comes just before KVM_RUN: that then returns at once. */
static void leave_guest(int number)
{
    (void)number;
    if (mine != NULL)
        mine->run->immediate_exit = 1;
}

static void kick(struct cpu *cpu)
{
    struct kvm *kvm = group.member[cpu->index];

    if (kvm != mine && kvm->has_thread)
        pthread_kill(kvm->thread, SIGALRM);
}

static bool start_clock(struct kvm *kvm)
{
    const struct itimerspec tick = {.it_interval = {.tv_nsec = TICK_US * 1000},
                                    .it_value = {.tv_nsec = TICK_US * 1000}};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};

    event._sigev_un._tid = gettid();
    return (timer_create(CLOCK_MONOTONIC, &event, &kvm->clock) == 0 &&
            timer_settime(kvm->clock, 0, &tick, NULL) == 0) ||
           kvm_failed("clock");
}

/* --- running -------------------------------------------------------------------------------------------------------- */

int kvm_enter(struct kvm *kvm)
{
    int result;

    pthread_rwlock_rdlock(&group.running);
    result = ioctl(kvm->cpu, KVM_RUN, 0) == 0 ? 0 : errno;
    pthread_rwlock_unlock(&group.running);
    return result;
}

void kvm_stop_others(struct kvm *kvm)
{
    for (unsigned n = 0; n < group.count; n++)
        if (group.member[n] != kvm)
            kick(group.member[n]->vcpu);
    pthread_rwlock_wrlock(&group.running);
}

void kvm_let_others(void)
{
    pthread_rwlock_unlock(&group.running);
}

void kvm_sleep(void)
{
    usleep(TICK_US / 4);
}

/* INIT and start-up: the state is the library's to compute, and KVM's to have. */
static bool take_init(struct kvm *kvm)
{
    if (!kvm_fetch(kvm))
        return false;
    machine_lock(kvm->machine);
    cpu_take_init(kvm->vcpu, &kvm->state);
    machine_unlock(kvm->machine);
    kvm->state.changed = X86EMU_STATE_ALL;
    return true;
}

static bool init_has_come(struct kvm *kvm)
{
    bool come;

    machine_lock(kvm->machine);
    come = kvm->vcpu->apic.init || kvm->vcpu->apic.startup;
    machine_unlock(kvm->machine);
    return come;
}

static bool run(struct kvm *kvm)
{
    bool ok = true;

    while (ok && kvm->machine->end == MACHINE_RUNS) {
        if (control_wanted(kvm->machine))
            ok = kvm_stop(kvm);
        else if (init_has_come(kvm))
            ok = take_init(kvm);
        else if (kvm->vcpu->waiting)
            kvm_sleep();
        else
            ok = kvm_run_once(kvm);
    }
    return ok;
}

/* Others may kick it from now on, or no more. */
static void set_reachable(struct kvm *kvm, bool reachable)
{
    machine_lock(kvm->machine);
    kvm->thread = pthread_self();
    kvm->has_thread = reachable;
    machine_unlock(kvm->machine);
}

static void *thread(void *opaque)
{
    struct kvm *kvm = opaque;

    mine = kvm;
    set_reachable(kvm, true);
    if ((!start_clock(kvm) || !run(kvm)) && kvm->machine->end == MACHINE_RUNS)
        kvm->machine->end = MACHINE_FAILED; /* and so the others end too */
    timer_delete(kvm->clock);
    set_reachable(kvm, false);
    mine = NULL;
    return NULL;
}

bool kvm_run_threads(struct kvm *const *members, unsigned count)
{
    /* KVM_RUN ends all the same; output to a slow terminal goes on. */
    const struct sigaction action = {.sa_handler = leave_guest, .sa_flags = SA_RESTART};
    struct machine *machine = members[0]->machine;
    pthread_t threads[MACHINE_MAX_CPUS];
    pthread_rwlockattr_t attributes;
    unsigned started = 1;

    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&group.running, &attributes);
    sigaction(SIGALRM, &action, NULL);
    group.count = count;
    for (unsigned n = 0; n < count; n++)
        group.member[n] = members[n];
    machine->kick = kick;
    while (started < count && pthread_create(&threads[started], NULL, thread, members[started]) == 0)
        started++;
    if (started == count)
        thread(members[0]);
    else
        machine->end = MACHINE_FAILED;
    for (unsigned n = 1; n < started; n++)
        pthread_join(threads[n], NULL);
    machine->kick = NULL;
    return started == count || kvm_failed("threads");
}
