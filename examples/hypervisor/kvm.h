/* SPDX-License-Identifier: BSD-2-Clause */
/* The KVM back end's own. */
#ifndef HYPERVISOR_KVM_H
#define HYPERVISOR_KVM_H

#include "machine.h"

#include <linux/kvm.h>

struct kvm {
    int system, vm, cpu;
    struct kvm_run *run;
    size_t run_size;
    struct machine *machine;
    struct x86emu emu;
    struct x86emu_cache cache;
    uint64_t exits[64];      /* by reason */
    uint64_t kicks;          /* KVM_RUN ended by a signal */
    uint64_t followed;       /* instructions that the library did after those, before KVM went on */
    uint32_t finished[2048]; /* instructions that the library finished, by mnemonic */
};

/* Prints what failed, with errno; false. */
bool kvm_failed(const char *what);

/* All of the state, and back: changed, enum x86emu_state, says which groups the library wrote. */
bool kvm_load(struct kvm *kvm, struct x86emu_vcpu *vcpu);
bool kvm_store(struct kvm *kvm, struct x86emu_vcpu *vcpu, uint32_t changed);

#endif
