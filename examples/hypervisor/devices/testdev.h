/* SPDX-License-Identifier: BSD-2-Clause */
/* A PCI device for tests: registers and memory behind base addresses, an interrupt. */
#ifndef HYPERVISOR_TESTDEV_H
#define HYPERVISOR_TESTDEV_H

#include "pci.h"

enum {
    TESTDEV_VENDOR = 0x1234,
    TESTDEV_ID = 0x6e75,
    TESTDEV_SIGNATURE = 0x36387865, /* "ex86" in memory */

    /* Registers of 4 bytes behind base address 0. */
    TESTDEV_READ_SIGNATURE = 0,
    TESTDEV_SCRATCH = 4,
    TESTDEV_WRITES = 8,     /* how many there were, to all of the device */
    TESTDEV_INTERRUPT = 12, /* bit 0: INTA */
    TESTDEV_REGISTERS = 4096,
    TESTDEV_MEMORY = 65536, /* behind base address 1, accesses of up to 64 bytes */
};

struct testdev {
    struct pci_device pci;
    struct machine *machine;
    uint32_t scratch, writes, interrupt;
    uint8_t memory[TESTDEV_MEMORY];
};

/* Registers at the address given, memory wherever there is room. */
enum pci_status testdev_add(struct testdev *device, struct machine *machine, uint32_t address);

#endif
