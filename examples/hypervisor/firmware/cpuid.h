/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID as the guest sees it. */
#ifndef HYPERVISOR_CPUID_H
#define HYPERVISOR_CPUID_H

#include <stdint.h>

struct cpu;

/* How much of a processor the guest is offered. VMX and SVM never are. */
enum cpuid_policy {
    CPUID_COMMON = 0, /* what the guests here need, and the library emulates */
    CPUID_LEAST,      /* what every 64-bit processor has */
    CPUID_MOST,       /* what the back end can do */
};

/* Where the hypervisor's own leaves begin; its signature. */
#define CPUID_HYPERVISOR 0x40000000u
#define CPUID_SIGNATURE "x86emux86emu"

/* EAX, EBX, ECX, EDX; cpu says whose. */
void cpuid_answer(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t answer[4]);

/* Leaf number of those that have an answer other than zeroes; 0 when there are no more. */
uint32_t cpuid_leaf(unsigned n);

#endif
