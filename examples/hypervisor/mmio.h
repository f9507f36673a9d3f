/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices in the guest's physical address space, as regions of the library. */
#ifndef HYPERVISOR_MMIO_H
#define HYPERVISOR_MMIO_H

#include <x86emu/x86emu.h>

struct machine;
struct cpu;

enum {
    MMIO_HOLES = 8
};

struct mmio {
    struct x86emu_region apic, ioapic, hpet, pci;
    struct x86emu_region hole[MMIO_HOLES]; /* where nothing is */
};

/* Inserts the devices, and fills the rest of the address space with nothing. RAM is in the map already. */
bool mmio_start(struct machine *machine);

/* An access by the region that holds gpa; where no device answers, ones are read and writes are lost. */
void mmio_access(struct cpu *cpu, uint64_t gpa, unsigned size, void *data, bool write);

/* The library's requests for what it can't do: each processor's own local APIC (F4), and writes to ROM. */
bool mmio_answer(struct cpu *cpu, struct x86emu_vcpu *vcpu, struct x86emu_request *request);

/* Memory that the guest can't write. */
bool mmio_is_rom(const struct machine *machine, uint64_t gpa);

/* Helpers for devices: element n of an access. */
uint64_t mmio_element(const void *data, unsigned size, unsigned n);
void mmio_set_element(void *data, unsigned size, unsigned n, uint64_t value);

#endif
