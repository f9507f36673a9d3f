/* SPDX-License-Identifier: BSD-2-Clause */
/* The KVM back end's own. */
#ifndef HYPERVISOR_KVM_H
#define HYPERVISOR_KVM_H

#include "kvm_common.h"
#include "machine.h"
#include "options.h"

#include <linux/kvm.h>
#include <time.h>

enum {
    KVM_MNEMONICS = 2048,
    KVM_WATCHED = 4, /* breakpoints */
};

/* What an exception with an error code pushes in 64-bit mode (SDM Vol. 3, figure 6-9). */
struct kvm_frame {
    uint64_t error_code, rip, cs, rflags, rsp, ss;
};

/* One vCPU. system and vm are the same for all; what the first has opened it closes. */
struct kvm {
    int system, vm, cpu;
    struct kvm_run *run;
    size_t run_size;
    struct machine *machine;
    struct cpu *vcpu; /* as the machine's devices see it */
    const struct options *options;
    uint64_t end;     /* ns on the clock when the run is given up */
    pthread_t thread; /* threads.c */
    timer_t clock;
    bool has_thread;
    struct kvm_check *check;
    uint64_t cover_faults;
    struct x86emu emu;
    struct x86emu_cache cache;
    struct x86emu_vcpu state;      /* the processor, while it is here; changed: what KVM doesn't have yet */
    bool here;                     /* else KVM has it */
    bool kernel_here;              /* the library does ring 0 */
    bool halves_syscall;           /* entries.c */
    uint64_t watched[KVM_WATCHED]; /* linear addresses of breakpoints; 0: none */
    uint64_t repaired;             /* SYSCALL instructions that were finished here */
    uint64_t exits[64];            /* by reason */
    uint64_t halts;
    uint64_t kicks;                   /* KVM_RUN ended by a signal */
    bool stale;                       /* the library has done what invalidates translations; KVM doesn't know yet */
    uint64_t renewed;                 /* times that it was told */
    uint64_t exit_ns;                 /* spent between two KVM_RUN */
    uint64_t kernel_ns;               /* spent in ring 0 by the library */
    uint64_t kernel_instructions;     /* of ring 0, by the library */
    uint32_t finished[KVM_MNEMONICS]; /* instructions that the library finished, by mnemonic */
};

/* All of the state, and back: changed, enum x86emu_state, says which groups the library wrote. */
bool kvm_load(struct kvm *kvm, struct x86emu_vcpu *vcpu);
bool kvm_load_general(struct kvm *kvm, struct x86emu_vcpu *vcpu);
bool kvm_load_vectors(struct kvm *kvm, struct x86emu_vcpu *vcpu); /* SSE's, with the x87 registers */
bool kvm_store_vectors(struct kvm *kvm, const struct x86emu_vcpu *vcpu);
bool kvm_store(struct kvm *kvm, struct x86emu_vcpu *vcpu, uint32_t changed);

/* Parts of setting up: virtual machine of kvm->system, its vCPUs, and what CPUID says. */
bool kvm_open(struct kvm *kvm); /* from /dev/kvm on, with the machine's memory */
bool kvm_open_vm(struct kvm *kvm);
bool kvm_open_cpu(struct kvm *kvm, unsigned number);
bool kvm_set_cpuid(struct kvm *kvm);
/* Registers that KVM doesn't know are asked for, and answered. */
void kvm_ask_for_msrs(struct kvm *kvm);
void kvm_msr(struct kvm *kvm);
void kvm_close(struct kvm *kvm);

/* --- whose the processor is: handover.c --------------------------------------------------------------------------- */

/* To the library; exceptions that KVM had pending are delivered then. To KVM. */
bool kvm_fetch(struct kvm *kvm);
bool kvm_give(struct kvm *kvm);
/* For the control socket: stops until it lets the processor go on. _here: in the library. */
bool kvm_stop(struct kvm *kvm);
void kvm_stop_here(struct kvm *kvm);
/* Of the state that is here. */
bool kvm_in_kernel(const struct kvm *kvm);
bool kvm_deliver(struct kvm *kvm, struct x86emu_event event);

/* --- instructions by the library: finish.c ------------------------------------------------------------------------- */

/* Does the instruction at RIP, which KVM can't. hint: what the exit said of its access; may be NULL. False: reported. */
bool kvm_finish(struct kvm *kvm, const struct x86emu_hint *hint);
/* At a breakpoint. */
bool kvm_enters_kernel(struct kvm *kvm);
/* The state is here, and kernel_here: takes events, goes on in ring 0 for a while, gives the state to KVM for ring 3. */
bool kvm_run_kernel(struct kvm *kvm);

/* --- devices in memory: mmio.c ---------------------------------------------------------------------------------- */

/* Gives devices memory that nobody may touch, so that accesses come as faults. */
bool kvm_cover_devices(struct kvm *kvm);
/* KVM_RUN met such memory. */
bool kvm_memory_fault(struct kvm *kvm);
/* KVM_EXIT_MMIO. */
bool kvm_mmio(struct kvm *kvm);

/* --mmio=check: holds KVM_EXIT_MMIO against the library. Before the device is asked, and after. */
struct kvm_check;
struct kvm_check *kvm_check_new(struct kvm *kvm);
bool kvm_check_before(struct kvm_check *check);
bool kvm_check_after(struct kvm_check *check);
void kvm_check_print(const struct kvm_check *check);

/* Before KVM_RUN: what the machine has for the processor. */
bool kvm_take_events(struct kvm *kvm);

/* --- threads: threads.c ----------------------------------------------------------------------------------------- */

/* Runs all vCPUs, each in a thread, until machine->end is set. False: they couldn't be started. */
bool kvm_run_threads(struct kvm *const *members, unsigned count);
/* KVM_RUN: 0 or errno. */
int kvm_enter(struct kvm *kvm);
/* Between the two no other vCPU is in the guest. */
void kvm_stop_others(struct kvm *kvm);
void kvm_let_others(void);
/* As long as nothing else is to be done. */
void kvm_sleep(void);
/* Completes the exit that was handled last, without entering the guest. */
bool kvm_settle(struct kvm *kvm);
/* Into the guest and out again, and what that leads to. False: reported. */
bool kvm_run_once(struct kvm *kvm);

/* Makes KVM forget all translations. */
bool kvm_renew_memory(struct kvm *kvm);

/* What kvm->system does by itself: trial.c. Leaves SYSCALL half done; emulates ring 0. */
bool kvm_halves_syscall(const struct kvm *kvm);
bool kvm_emulates_kernels(const struct kvm *kvm);

/* Breakpoints where the guest's tables have the entries of its kernel now: entries.c. */
bool kvm_watch_entries(struct kvm *kvm);
bool kvm_at_entry(const struct kvm *kvm);
/* At one of them: true when it was a SYSCALL; the state is then as after it. */
bool kvm_repair_syscall(struct kvm *kvm);

/* Prints the reason and the registers; false. */
bool kvm_report(struct kvm *kvm, const struct x86emu_vcpu *vcpu, const char *why, unsigned detail);

#endif
