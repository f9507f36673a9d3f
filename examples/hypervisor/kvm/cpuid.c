/* SPDX-License-Identifier: BSD-2-Clause */
/* What KVM is told of the processor: CPUID, and that model-specific registers it doesn't know are the machine's. */
#include "kvm.h"

#include <stdlib.h>
#include <sys/ioctl.h>

enum {
    ENTRIES = 256,
    HYPERVISOR = 31, /* bit of leaf 1's ECX */
    APIC = 9,        /* of its EDX: the local APIC is the machine's, whatever KVM has */
};

struct entries {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entry[ENTRIES];
};

/* Subleaf 0 of what KVM can do; NULL: nothing. */
static const struct kvm_cpuid_entry2 *find(const struct entries *entries, uint32_t leaf)
{
    for (unsigned i = 0; i < entries->head.nent; i++)
        if (entries->entry[i].function == leaf && entries->entry[i].index == 0)
            return &entries->entry[i];
    return NULL;
}

/* Of the leaves that are features, no more than KVM has. */
static void limit(struct kvm_cpuid_entry2 *e, const struct entries *supported)
{
    const struct kvm_cpuid_entry2 none = {.function = e->function}, *can = find(supported, e->function);

    can = can != NULL ? can : &none;
    switch (e->function) {
    case 1:
        e->ecx &= can->ecx | UINT32_C(1) << HYPERVISOR;
        e->edx &= can->edx | UINT32_C(1) << APIC;
        break;
    case 7:
        e->ebx &= can->ebx;
        e->ecx &= can->ecx;
        break;
    case 0x80000001:
        e->ecx &= can->ecx;
        e->edx &= can->edx;
        break;
    default:
        break;
    }
}

static void fill(struct entries *entries, const struct kvm *kvm, const struct entries *supported)
{
    for (unsigned i = 0; i == 0 || cpuid_leaf(i) != 0; i++) {
        struct kvm_cpuid_entry2 *e = &entries->entry[entries->head.nent++];
        uint32_t answer[4];

        cpuid_answer(kvm->vcpu, cpuid_leaf(i), 0, answer);
        *e = (struct kvm_cpuid_entry2){
            .function = cpuid_leaf(i), .eax = answer[0], .ebx = answer[1], .ecx = answer[2], .edx = answer[3]};
        if (e->function == 7)
            e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
        limit(e, supported);
    }
}

bool kvm_set_cpuid(struct kvm *kvm)
{
    struct entries *supported = calloc(2, sizeof(*supported)), *entries = supported + 1;
    bool done = false;

    if (supported == NULL)
        return false;
    supported->head.nent = ENTRIES;
    if (ioctl(kvm->system, KVM_GET_SUPPORTED_CPUID, supported) == 0) {
        fill(entries, kvm, supported);
        done = ioctl(kvm->cpu, KVM_SET_CPUID2, entries) == 0;
    }
    free(supported);
    return done || kvm_failed("CPUID");
}

/* --- model-specific registers --------------------------------------------------------------------------------------- */

/* Where KVM lacks this, it refuses what it doesn't know. */
void kvm_ask_for_msrs(struct kvm *kvm)
{
    struct kvm_enable_cap capability = {.cap = KVM_CAP_X86_USER_SPACE_MSR,
                                        .args = {KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL}};

    ioctl(kvm->vm, KVM_ENABLE_CAP, &capability);
}

void kvm_msr(struct kvm *kvm)
{
    struct kvm_run *run = kvm->run;
    bool known;

    machine_lock(kvm->machine);
    if (run->exit_reason == KVM_EXIT_X86_RDMSR) {
        uint64_t value;

        known = msr_read(kvm->vcpu, run->msr.index, &value);
        run->msr.data = value;
    } else {
        known = msr_write(kvm->vcpu, run->msr.index, run->msr.data);
    }
    machine_unlock(kvm->machine);
    run->msr.error = !known; /* #GP */
}
