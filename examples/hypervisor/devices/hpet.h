/* SPDX-License-Identifier: BSD-2-Clause */
/* The high precision event timers (IA-PC HPET specification 1.0a). */
#ifndef HYPERVISOR_HPET_H
#define HYPERVISOR_HPET_H

#include <stdbool.h>
#include <stdint.h>

#define HPET_BASE UINT64_C(0xfed00000)
#define HPET_SIZE UINT64_C(0x400)
#define HPET_PERIOD_NS 100u /* 10 MHz */

/* Block ID: revision 1, three timers, a 64-bit counter, no legacy replacement route, vendor 8086. */
#define HPET_ID UINT32_C(0x80862201)

enum {
    HPET_TIMERS = 3
};

struct hpet_timer {
    uint64_t config, comparator, period;
};

struct hpet {
    uint64_t config, status;
    uint64_t counter;           /* when it was started, or stands */
    uint64_t start;             /* ns, when running */
    uint64_t seen[HPET_TIMERS]; /* counter up to which matches have been signalled */
    struct hpet_timer timer[HPET_TIMERS];
    /* The I/O APIC's pins are set by this one. */
    void (*set_pin)(void *opaque, unsigned pin, bool active);
    void *opaque;
};

void hpet_reset(struct hpet *hpet);
/* Aligned registers of 8 bytes; now in ns. */
uint64_t hpet_read(const struct hpet *hpet, unsigned offset, uint64_t now);
/* mask: the bits of the register that are written. */
void hpet_write(struct hpet *hpet, unsigned offset, uint64_t value, uint64_t mask, uint64_t now);
/* When the first timer interrupts; UINT64_MAX: never. */
uint64_t hpet_next(const struct hpet *hpet);
void hpet_run(struct hpet *hpet, uint64_t now);

#endif
