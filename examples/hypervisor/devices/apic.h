/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC of one processor (SDM Vol. 3, chapter 10), without x2APIC mode. */
#ifndef HYPERVISOR_APIC_H
#define HYPERVISOR_APIC_H

#include <stdbool.h>
#include <stdint.h>

#define APIC_BASE UINT64_C(0xfee00000)
#define APIC_SIZE UINT64_C(0x1000)
#define APIC_HZ 1000000000u /* of the timer, before its divider: what CPUID 15H gives as the crystal */

/* Local vector table, in the order of the registers from 320H on (figure 10-8). */
enum apic_lvt {
    APIC_LVT_TIMER = 0,
    APIC_LVT_THERMAL,
    APIC_LVT_COUNTER,
    APIC_LVT_LINT0,
    APIC_LVT_LINT1,
    APIC_LVT_ERROR,
    APIC_LVTS,
};

/* Delivery modes of vectors, messages and redirections (figure 10-12). */
enum apic_delivery {
    APIC_FIXED = 0,
    APIC_LOWEST_PRIORITY = 1,
    APIC_SMI = 2,
    APIC_NMI = 4,
    APIC_INIT = 5,
    APIC_STARTUP = 6,
    APIC_EXTINT = 7,
};

/* An interrupt on its way to the processors that it names. */
struct apic_message {
    uint8_t destination;
    uint8_t delivery; /* enum apic_delivery */
    uint8_t vector;
    bool logical, level;
};

struct apic {
    uint64_t base; /* IA32_APIC_BASE */
    uint8_t id;
    uint8_t task_priority;
    uint8_t logical_id, model; /* LDR bits 31:24, DFR bits 31:28 */
    uint32_t spurious, errors, errors_latched;
    uint32_t command[2];
    uint32_t lvt[APIC_LVTS];
    uint32_t service[8], request[8], level[8]; /* ISR, IRR, TMR */
    uint32_t initial_count;
    uint8_t divide;
    uint64_t due;      /* ns when the timer expires; UINT64_MAX: stopped */
    uint64_t deadline; /* IA32_TSC_DEADLINE; 0: not armed */

    /* For the processor to take. */
    bool nmi, init, startup;
    uint8_t startup_page;
};

/* What a write asks of the others. */
struct apic_result {
    bool send; /* message, to those that the shorthand names */
    struct apic_message message;
    uint8_t shorthand; /* 0: by destination, 1: self, 2: all, 3: all but self */
    bool end;          /* of the level-triggered interrupt end_vector: for the I/O APIC */
    uint8_t end_vector;
};

void apic_reset(struct apic *apic, uint8_t id, bool bootstrap);
/* As firmware leaves it for the bootstrap processor: 8259 on LINT0, NMI on LINT1 (MP specification, 3.6.2.2). */
void apic_set_virtual_wire(struct apic *apic);
void apic_set_base(struct apic *apic, uint64_t value);

/* An aligned register, now in ns. */
uint32_t apic_read(struct apic *apic, unsigned offset, uint64_t now);
struct apic_result apic_write(struct apic *apic, unsigned offset, uint32_t value, uint64_t now);

/* Whether a message's destination means this one. */
bool apic_is_addressed(const struct apic *apic, const struct apic_message *message);
void apic_accept(struct apic *apic, const struct apic_message *message);
/* PPR: what must be surpassed. */
uint8_t apic_priority(const struct apic *apic);
bool apic_pending(const struct apic *apic);
/* The vector to deliver, which is in service then; the spurious one when none is above the priority any more. */
uint8_t apic_acknowledge(struct apic *apic);
/* Whether the 8259's interrupts come in here. */
bool apic_takes_extint(const struct apic *apic);

void apic_set_deadline(struct apic *apic, uint64_t tsc);
/* When the timer interrupts; UINT64_MAX: never. */
uint64_t apic_next(const struct apic *apic);
void apic_run(struct apic *apic, uint64_t now);

#endif
