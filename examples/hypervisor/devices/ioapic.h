/* SPDX-License-Identifier: BSD-2-Clause */
/* The I/O APIC (Intel 82093AA data sheet). */
#ifndef HYPERVISOR_IOAPIC_H
#define HYPERVISOR_IOAPIC_H

#include "apic.h"

#define IOAPIC_BASE UINT64_C(0xfec00000)
#define IOAPIC_SIZE UINT64_C(0x1000)

enum {
    IOAPIC_PINS = 24
};

struct ioapic {
    uint64_t redirection[IOAPIC_PINS];
    uint32_t lines; /* pins that are high, whatever the polarity says */
    uint8_t id, index;
    /* Messages go to the processors by this one. */
    void (*send)(void *opaque, const struct apic_message *message);
    void *opaque;
};

void ioapic_reset(struct ioapic *ioapic, uint8_t id);
/* active: the device wants an interrupt. */
void ioapic_set_pin(struct ioapic *ioapic, unsigned pin, bool active);
/* A processor has ended a level-triggered interrupt. */
void ioapic_end(struct ioapic *ioapic, uint8_t vector);
uint32_t ioapic_read(const struct ioapic *ioapic, unsigned offset);
void ioapic_write(struct ioapic *ioapic, unsigned offset, uint32_t value);

#endif
