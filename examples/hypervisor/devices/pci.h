/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI bus: configuration mechanism 1, a host bridge, devices with base addresses (PCI 3.0, chapters 3 and 6). */
#ifndef HYPERVISOR_PCI_H
#define HYPERVISOR_PCI_H

#include <x86emu/region.h>

struct machine;

/* Where the bridge hands memory accesses on to its bus. */
#define PCI_WINDOW UINT32_C(0xe0000000)
#define PCI_WINDOW_SIZE UINT32_C(0x1ec00000)

enum {
    PCI_SLOTS = 8, /* of bus 0; the first is the host bridge's */
    PCI_BARS = 6,
};

/* What answers at a base address, memory of 32 bits. */
struct pci_bar {
    uint32_t size; /* a power of two, at least 16; 0: there is none */
    struct x86emu_region
        region;    /* the device fills in max_width, read, write, opaque; called with the machine locked */
    bool inserted; /* in the bus's map */
};

struct pci_device {
    uint8_t config[256], writable[256]; /* the registers, and masks of what can be written */
    struct pci_bar bar[PCI_BARS];
    unsigned slot;
};

struct pci {
    uint32_t address; /* CONFIG_ADDRESS */
    struct pci_device *device[PCI_SLOTS];
    struct pci_device bridge;
    struct x86emu_region_map map; /* of the bus: base addresses that are switched on */
};

enum pci_status {
    PCI_OK = 0,
    PCI_NO_SLOT, /* all are taken */
    PCI_NO_ROOM, /* the address is another's or outside the window; or no room is left */
};

/* The bridge's vendor: 0 is Intel's; AMD's makes OpenBSD use MSI. */
void pci_reset(struct pci *pci, uint16_t vendor);

/* Sets the header's identity up; the caller fills in the rest of config and writable. */
void pci_init_device(struct pci_device *device, uint16_t vendor, uint16_t id, uint32_t class_and_revision);
/* Into the first free slot. */
enum pci_status pci_add(struct pci *pci, struct pci_device *device);
/* As firmware does it: gives base address n room in the window, at address or where there is room, and switches it on. */
enum pci_status pci_allocate(struct pci *pci, struct pci_device *device, unsigned n, uint32_t address);

/* CONFIG_DATA */
uint32_t pci_read(const struct pci *pci, unsigned offset, unsigned size);
void pci_write(struct pci *pci, unsigned offset, unsigned size, uint32_t value);

/* INTA of a device. */
void pci_set_interrupt(struct machine *machine, const struct pci_device *device, bool active);

/* The region of the window, opaque being the machine. */
x86emu_region_read pci_read_window;
x86emu_region_write pci_write_window;

#endif
