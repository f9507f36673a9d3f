/* SPDX-License-Identifier: BSD-2-Clause */
/* What the command line can say. */
#ifndef HYPERVISOR_OPTIONS_H
#define HYPERVISOR_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum mmio_mode {
    MMIO_X86EMU, /* the library, wherever the kernel lets it */
    MMIO_KVM,    /* KVM's emulator */
    MMIO_CHECK,  /* KVM's, and the library beside it */
};

enum ring0 {
    RING0_AUTO,
    RING0_KVM,
    RING0_X86EMU,
};

enum {
    MAX_STRIDE = 64,
};

struct options {
    const char *kernel, *initrd, *append, *input;
    const char *control; /* path of the control socket */
    const char *restore; /* file of a saved machine */
    uint64_t memory;     /* MiB */
    uint64_t seconds;    /* of real time, until the run is given up */
    uint64_t cpus;
    uint64_t dirty_rate; /* ms between two counts of dirty pages; 0: none */
    uint64_t lockstep;   /* instructions of ring 3 to compare; 0: none */
    uint64_t stride;     /* of which so many are between two comparisons */
    unsigned kvm;        /* 1: on KVM */
    unsigned cpuid;      /* enum cpuid_policy */
    unsigned vendor;     /* of the PCI host bridge; 0: Intel, 1: AMD */
    unsigned mmio;       /* enum mmio_mode */
    unsigned ring0;      /* enum ring0 */
    unsigned ignores_msrs;
    bool test_device, strict, dirty_copy, paused, interactive, progress;
};

/* Fills options from the arguments; ends the process when they are wrong or ask for help. */
void options_parse(struct options *options, int argc, char **argv);

#endif
