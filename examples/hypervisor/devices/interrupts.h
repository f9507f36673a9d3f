/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts between devices and processors: what each processor has to take, and what lines lead where. */
#ifndef HYPERVISOR_INTERRUPTS_H
#define HYPERVISOR_INTERRUPTS_H

#include "apic.h"

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct x86emu_request;
struct x86emu_vcpu;

/* One of the machine's processors, as its devices see it. */
struct cpu {
    struct machine *machine;
    struct apic apic;
    uint32_t tsc_aux;
    uint8_t index;
    bool halted;  /* until an interrupt */
    bool waiting; /* for a start-up message */
};

void interrupts_reset(struct machine *machine, unsigned cpus);

/* A line of the ISA bus, or of PCI: at the 8259s and, under the same number, at the I/O APIC. */
void machine_set_irq(struct machine *machine, unsigned irq, bool high);

/* Whether there is an NMI, or a maskable interrupt above the priority, to be delivered. */
bool cpu_has_nmi(const struct cpu *cpu);
bool cpu_has_interrupt(const struct cpu *cpu);
/* Takes the interrupt: the vector to be delivered. */
unsigned cpu_acknowledge(struct cpu *cpu);
/* Whether a halted processor goes on. */
bool cpu_is_woken(const struct cpu *cpu, const struct x86emu_vcpu *vcpu);

/* CR8 is bits 7:4 of the task priority (SDM Vol. 3, 10.8.6): carried over after instructions that may have moved it. */
void cpu_take_cr8(struct cpu *cpu, uint64_t cr8);

/* The registers at APIC_BASE, by offset, for accesses of up to 4 bytes that don't cross a multiple of 4. */
uint32_t cpu_read_apic(struct cpu *cpu, unsigned offset, unsigned size);
void cpu_write_apic(struct cpu *cpu, unsigned offset, unsigned size, uint32_t value);

/* The registers after power-up. */
void cpu_power_up(struct x86emu_vcpu *vcpu);

/* INIT and start-up that have come: changes the state of the processor as they say. True: it did. */
bool cpu_take_init(struct cpu *cpu, struct x86emu_vcpu *vcpu);

#endif
