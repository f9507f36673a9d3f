/* SPDX-License-Identifier: BSD-2-Clause */
/* Model-specific registers that are not part of the vCPU's state: the few that a kernel insists on. */
#include "machine.h"

enum {
    MSR_TSC = 0x10,
    MSR_APIC_BASE = 0x1b,
    MSR_BIOS_SIGN = 0x8b,
    MSR_MTRRCAP = 0xfe,
    MSR_MISC_ENABLE = 0x1a0,
    MSR_PAT = 0x277,
    MSR_MTRR_DEFAULT = 0x2ff,
    MSR_PLATFORM_ID = 0x17,
    MSR_MICROCODE = 0x79,
    MSR_TSC_DEADLINE = 0x6e0,
    MSR_TSC_AUX = 0xc0000103,
    MSR_NB_CFG = 0xc001001f, /* AMD: kernels set a bit in it and expect no fault */
};

bool msr_read(struct cpu *cpu, uint32_t index, uint64_t *value)
{
    *value = 0;
    switch (index) {
    case MSR_TSC:
        *value = machine_tsc(cpu->machine);
        return true;
    case MSR_PAT:
        *value = UINT64_C(0x0007040600070406);
        return true;
    case MSR_MISC_ENABLE:
        *value = 1; /* fast strings */
        return true;
    case MSR_APIC_BASE:
        *value = cpu->apic.base;
        return true;
    case MSR_TSC_DEADLINE:
        *value = cpu->apic.deadline;
        return true;
    case MSR_TSC_AUX:
        *value = cpu->tsc_aux;
        return true;
    case MSR_BIOS_SIGN:
    case MSR_MTRRCAP:
    case MSR_MTRR_DEFAULT:
    case MSR_PLATFORM_ID:
    case MSR_NB_CFG:
        return true;
    default:
        return cpu->machine->ignores_msrs;
    }
}

/* What may be read may be written, and forgotten unless it means something here. */
bool msr_write(struct cpu *cpu, uint32_t index, uint64_t value)
{
    uint64_t ignored;

    switch (index) {
    case MSR_APIC_BASE:
        apic_set_base(&cpu->apic, value);
        return true;
    case MSR_TSC_DEADLINE:
        apic_set_deadline(&cpu->apic, value);
        return true;
    case MSR_TSC_AUX:
        cpu->tsc_aux = (uint32_t)value;
        return true;
    case MSR_MICROCODE:
        return true;
    default:
        return msr_read(cpu, index, &ignored);
    }
}
