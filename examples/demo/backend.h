/* SPDX-License-Identifier: BSD-2-Clause */
/* The two processors that can run the demo guest. */
#ifndef DEMO_BACKEND_H
#define DEMO_BACKEND_H

#include "machine.h"

/* What a KVM run met, for the summary. */
struct kvm_exits {
    unsigned long memory_faults; /* KVM_RUN failed with EFAULT: host memory without access */
    unsigned long mmio;          /* KVM emulated the instruction and asked for the device */
    unsigned long failures;      /* KVM's emulator gave up */
};

/* Runs the guest on /dev/kvm, in ring 0 or 3; what KVM can't do, the library does. */
enum run_end run_kvm(struct machine *machine, unsigned ring, struct kvm_exits *exits);

/* Runs the guest by interpreting each instruction. */
enum run_end run_interpreter(struct machine *machine, unsigned ring);

/* Finishes the instruction at the vCPU's RIP, all iterations of REP included. load: called when state is missing. */
typedef bool load_state(void *opaque, struct x86emu_vcpu *vcpu, uint32_t groups);
bool finish_instruction(struct machine *machine, struct x86emu *emu, struct x86emu_vcpu *vcpu, load_state *load,
                        void *opaque);

#endif
