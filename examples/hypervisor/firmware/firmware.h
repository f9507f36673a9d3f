/* SPDX-License-Identifier: BSD-2-Clause */
/* What firmware would leave in memory for the guest: ACPI tables and the MP table. */
#ifndef HYPERVISOR_FIRMWARE_H
#define HYPERVISOR_FIRMWARE_H

#include <stdbool.h>
#include <stdint.h>

struct machine;

/* Both lie where a guest looks for them: ACPI 4.0, 5.2.5.1; MP specification 1.4, chapter 4. */
enum {
    FIRMWARE_ACPI = 0xe0000,
    FIRMWARE_MP = 0xf0000,
    FIRMWARE_END = 0x100000,
};

/* The ports of the fixed ACPI hardware; its interrupt, SCI. */
enum {
    PM_EVENT = 0x608,   /* status, enable: 2 bytes each */
    PM_CONTROL = 0x60c, /* 2 bytes */
    PM_TIMER = 0x610,   /* 4 bytes */
    PM_IRQ = 9,
    PM_S5 = 5, /* the sleep type that is off */
};

/* Interrupts of PCI devices: pin 0 (INTA) to 3 of a slot. */
static inline unsigned pci_irq(unsigned slot, unsigned pin)
{
    return 16 + (slot + pin) % 4;
}

void acpi_write_tables(struct machine *machine);
/* The machine language behind the DSDT's header; its length. */
unsigned dsdt_write(uint8_t *bytes);
void mp_write_table(struct machine *machine);

/* Bytes that a table's checksum must make 0. */
uint8_t firmware_checksum(const uint8_t *bytes, unsigned count);

/* --- the fixed hardware: devices/power.c ---------------------------------------------------------------------------------- */

struct power {
    uint16_t status, enable, control;
};

bool power_has_port(uint16_t port);
uint8_t power_read(const struct machine *machine, uint16_t port);
void power_write(struct machine *machine, uint16_t port, uint8_t value);

#endif
