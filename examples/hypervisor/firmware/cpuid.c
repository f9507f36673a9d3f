/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID as the guest sees it (SDM Vol. 2, CPUID): features by policy, identity, frequencies, the hypervisor's leaf. */
#include "cpuid.h"

#include "machine.h"

#include <string.h>

#define BIT(n) (UINT32_C(1) << (n))

struct features {
    uint32_t leaf_1_ecx, leaf_1_edx, leaf_7_ebx, leaf_7_ecx, extended_ecx, extended_edx;
};

enum {
    /* FPU PSE TSC MSR PAE CX8 APIC SEP PGE CMOV PAT CLFSH MMX FXSR SSE SSE2 */
    BASE_1_EDX = 1 << 0 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 11 | 1 << 13 | 1 << 15 | 1 << 16 |
                 1 << 19 | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26,
    COMMON_1_ECX = 1 << 13 | 1 << 22 | 1 << 23, /* CX16 MOVBE POPCNT */
    DEADLINE = 1 << 24,
    COMMON_7_EBX = 1 << 3 | 1 << 8,           /* BMI1 BMI2 */
    BASE_X_EDX = 1 << 11 | 1 << 20 | 1 << 29, /* SYSCALL NX long mode */
    RDTSCP = 1 << 27,
    COMMON_X_ECX = 1 << 0 | 1 << 5, /* LAHF in 64-bit mode, LZCNT */

    /* FSGSBASE SMEP ERMS INVPCID ADX SMAP CLFLUSHOPT CLWB */
    MOST_7_EBX = 1 << 0 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 19 | 1 << 20 | 1 << 23 | 1 << 24,
    MOST_7_ECX = 1 << 2 | 1 << 22 | 1 << 27 | 1 << 28, /* UMIP RDPID MOVDIRI MOVDIR64B */
    PCID = 1 << 17,
};

/* By enum cpuid_policy. */
static const struct features features[] = {
    [CPUID_COMMON] = {.leaf_1_ecx = COMMON_1_ECX | DEADLINE,
                      .leaf_1_edx = BASE_1_EDX,
                      .leaf_7_ebx = COMMON_7_EBX,
                      .extended_ecx = COMMON_X_ECX,
                      .extended_edx = BASE_X_EDX | RDTSCP},
    [CPUID_LEAST] = {.leaf_1_edx = BASE_1_EDX, .extended_edx = BASE_X_EDX},
    [CPUID_MOST] = {.leaf_1_ecx = COMMON_1_ECX | DEADLINE | PCID,
                    .leaf_1_edx = BASE_1_EDX,
                    .leaf_7_ebx = COMMON_7_EBX | MOST_7_EBX,
                    .leaf_7_ecx = MOST_7_ECX,
                    .extended_ecx = COMMON_X_ECX,
                    .extended_edx = BASE_X_EDX | RDTSCP},
};

static const uint32_t leaves[] = {0,          1,          7,          0x15,       CPUID_HYPERVISOR, 0x80000000,
                                  0x80000001, 0x80000002, 0x80000003, 0x80000007, 0x80000008};

uint32_t cpuid_leaf(unsigned n)
{
    return n < sizeof(leaves) / sizeof(leaves[0]) ? leaves[n] : 0;
}

static void text(uint32_t answer[4], const char *sixteen)
{
    memcpy(answer, sixteen, 16);
}

static void identity(const struct cpu *cpu, const struct features *f, uint32_t answer[4])
{
    bool has_apic = cpu->apic.base >> 11 & 1;

    answer[0] = 0x000006f1;                            /* family 6 */
    answer[1] = 8 << 8 | (uint32_t)cpu->apic.id << 24; /* CLFLUSH: 64 bytes */
    answer[2] = f->leaf_1_ecx | BIT(31);
    answer[3] = f->leaf_1_edx & ~(has_apic ? 0 : BIT(9));
    if (!cpu->machine->has_deadline)
        answer[2] &= ~(uint32_t)DEADLINE;
}

/* The crystal is the APIC timer's clock; the time-stamp counter runs at a multiple of it. */
static void frequencies(const struct machine *machine, uint32_t answer[4])
{
    answer[0] = 1000;
    answer[1] = machine->tsc_mhz != 0 ? machine->tsc_mhz : 1000;
    answer[2] = APIC_HZ;
}

void cpuid_answer(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t answer[4])
{
    const struct features *f = &features[cpu->machine->cpuid];

    memset(answer, 0, 16);
    switch (leaf) {
    case 0:
        answer[0] = 0x15;
        memcpy(&answer[1], "Genu", 4);
        memcpy(&answer[3], "ineI", 4);
        memcpy(&answer[2], "ntel", 4);
        break;
    case 1:
        identity(cpu, f, answer);
        break;
    case 7:
        answer[1] = subleaf == 0 ? f->leaf_7_ebx : 0;
        answer[2] = subleaf == 0 ? f->leaf_7_ecx : 0;
        break;
    case 0x15:
        frequencies(cpu->machine, answer);
        break;
    case CPUID_HYPERVISOR:
        answer[0] = CPUID_HYPERVISOR;
        memcpy(&answer[1], CPUID_SIGNATURE, 12);
        break;
    case 0x80000000:
        answer[0] = 0x80000008;
        break;
    case 0x80000001:
        answer[2] = f->extended_ecx;
        answer[3] = f->extended_edx;
        break;
    case 0x80000002:
        text(answer, "x86emu hyperviso");
        break;
    case 0x80000003:
        text(answer, "r               ");
        break;
    case 0x80000007:
        answer[3] = 1 << 8; /* invariant TSC */
        break;
    case 0x80000008:
        answer[0] = MACHINE_ADDRESS_BITS | 48 << 8;
        break;
    default:
        break;
    }
}
