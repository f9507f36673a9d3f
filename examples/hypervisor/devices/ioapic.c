/* SPDX-License-Identifier: BSD-2-Clause */
/* The I/O APIC: which message a pin sends, and when (Intel 82093AA data sheet). */
#include "ioapic.h"

#include <stddef.h>

enum {
    SELECT = 0x00,
    WINDOW = 0x10,

    INDEX_ID = 0,
    INDEX_VERSION = 1,
    INDEX_ARBITRATION = 2,
    INDEX_REDIRECTION = 0x10,

    VERSION = 0x11 | (IOAPIC_PINS - 1) << 16,

    /* A redirection entry (3.2.4). */
    LOGICAL = 1 << 11,
    REMOTE_IRR = 1 << 14,
    LEVEL = 1 << 15,
    MASKED = 1 << 16,
    READ_ONLY = REMOTE_IRR | 1 << 12,
    WRITABLE_LOW = 0x1afff,
};

void ioapic_reset(struct ioapic *ioapic, uint8_t id)
{
    ioapic->id = id;
    ioapic->index = 0;
    ioapic->lines = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        ioapic->redirection[pin] = MASKED;
}

static void send(struct ioapic *ioapic, unsigned pin)
{
    uint64_t *entry = &ioapic->redirection[pin];
    struct apic_message message = {.destination = (uint8_t)(*entry >> 56),
                                   .delivery = *entry >> 8 & 7,
                                   .vector = (uint8_t)*entry,
                                   .logical = *entry & LOGICAL,
                                   .level = *entry & LEVEL};

    if (*entry & LEVEL)
        *entry |= REMOTE_IRR;
    if (ioapic->send != NULL)
        ioapic->send(ioapic->opaque, &message);
}

/* A level-triggered pin sends as long as it is active, once until the end of the interrupt. */
static void send_level(struct ioapic *ioapic, unsigned pin)
{
    uint64_t entry = ioapic->redirection[pin];

    if (entry & LEVEL && !(entry & (MASKED | REMOTE_IRR)) && ioapic->lines >> pin & 1)
        send(ioapic, pin);
}

/* An edge that comes while the pin is masked is lost (3.2.4, interrupt mask). */
void ioapic_set_pin(struct ioapic *ioapic, unsigned pin, bool active)
{
    uint32_t bit;
    bool rises;

    if (pin >= IOAPIC_PINS)
        return;
    bit = UINT32_C(1) << pin;
    rises = active && !(ioapic->lines & bit);
    ioapic->lines = active ? ioapic->lines | bit : ioapic->lines & ~bit;
    if (ioapic->redirection[pin] & LEVEL)
        send_level(ioapic, pin);
    else if (rises && !(ioapic->redirection[pin] & MASKED))
        send(ioapic, pin);
}

void ioapic_end(struct ioapic *ioapic, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if (!(ioapic->redirection[pin] & LEVEL) || (uint8_t)ioapic->redirection[pin] != vector)
            continue;
        ioapic->redirection[pin] &= ~(uint64_t)REMOTE_IRR;
        send_level(ioapic, pin);
    }
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static uint32_t read_window(const struct ioapic *ioapic)
{
    unsigned entry = ioapic->index - INDEX_REDIRECTION;

    switch (ioapic->index) {
    case INDEX_ID:
    case INDEX_ARBITRATION:
        return (uint32_t)ioapic->id << 24;
    case INDEX_VERSION:
        return VERSION;
    default:
        if (ioapic->index < INDEX_REDIRECTION || entry >= 2 * IOAPIC_PINS)
            return 0xffffffff;
        return (uint32_t)(ioapic->redirection[entry / 2] >> (entry % 2 ? 32 : 0));
    }
}

/* Becoming edge-triggered ends what a level had begun: the remote IRR has no meaning then. */
static void write_low(struct ioapic *ioapic, unsigned pin, uint32_t value)
{
    uint64_t *entry = &ioapic->redirection[pin];
    uint64_t kept = *entry & (UINT64_C(0xffffffff00000000) | READ_ONLY);

    *entry = kept | (value & WRITABLE_LOW);
    if (!(value & LEVEL))
        *entry &= ~(uint64_t)REMOTE_IRR;
    send_level(ioapic, pin);
}

static void write_window(struct ioapic *ioapic, uint32_t value)
{
    unsigned entry = ioapic->index - INDEX_REDIRECTION;

    if (ioapic->index == INDEX_ID) {
        ioapic->id = value >> 24 & 0xf;
        return;
    }
    if (ioapic->index < INDEX_REDIRECTION || entry >= 2 * IOAPIC_PINS)
        return;
    if (entry % 2 == 0)
        write_low(ioapic, entry / 2, value);
    else
        ioapic->redirection[entry / 2] = (ioapic->redirection[entry / 2] & 0xffffffff) | (uint64_t)(value & 0xff000000)
                                                                                             << 32;
}

uint32_t ioapic_read(const struct ioapic *ioapic, unsigned offset)
{
    switch (offset) {
    case SELECT:
        return ioapic->index;
    case WINDOW:
        return read_window(ioapic);
    default:
        return 0;
    }
}

void ioapic_write(struct ioapic *ioapic, unsigned offset, uint32_t value)
{
    if (offset == SELECT)
        ioapic->index = (uint8_t)value;
    else if (offset == WINDOW)
        write_window(ioapic, value);
}
