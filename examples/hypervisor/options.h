/* SPDX-License-Identifier: BSD-2-Clause */
/* What the command line can say. */
#ifndef HYPERVISOR_OPTIONS_H
#define HYPERVISOR_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *kernel, *initrd, *append, *input;
    uint64_t memory;  /* MiB */
    uint64_t seconds; /* of real time, until the run is given up */
    bool kvm;
    unsigned cpus;
    unsigned cpuid;         /* enum cpuid_policy */
    uint16_t bridge_vendor; /* of the PCI host bridge; 0: Intel */
    bool test_device, strict, ignores_msrs;
    uint64_t follow; /* instructions that the library does beyond one that KVM can't; kvm_finish.c */
};

/* Fills options from the arguments; ends the process when they are wrong or ask for help. */
void options_parse(struct options *options, int argc, char **argv);

#endif
