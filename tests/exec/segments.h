/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptor tables for tests of the world's guest: where they are and what is in them. */
#ifndef TESTS_EXEC_SEGMENTS_H
#define TESTS_EXEC_SEGMENTS_H

#include "runner.h"

enum segments_address {
    SEGMENTS_GDT = 0x11000,
    SEGMENTS_IDT = 0x12000,
    SEGMENTS_TSS = 0x13000,
    SEGMENTS_LDT = 0x13800,
    SEGMENTS_NEW_TSS = 0x14000,
    SEGMENTS_INNER_STACK = 0x1f000, /* SS0:ESP0, or RSP0 */
    SEGMENTS_IST_1 = 0x1e008,
    SEGMENTS_HANDLER = 0x9000,
};

/* Selectors. All segments are flat but where their names say something else. */
enum segments_selector {
    KERNEL_CODE = 0x08,
    KERNEL_DATA = 0x10,
    USER_CODE = 0x18 | 3,
    USER_DATA = 0x20 | 3,
    TSS = 0x28,       /* 16 bytes in long mode */
    CALL_GATE = 0x38, /* DPL 3, to HANDLER in KERNEL_CODE, 3 parameters; 16 bytes in long mode */
    NEW_TSS = 0x48,   /* 32-bit, available */
    LDT = 0x50,
    ABSENT = 0x58,    /* data, not present */
    TASK_GATE = 0x60, /* DPL 3, to NEW_TSS */
    READ_ONLY = 0x68,
    CONFORMING = 0x70, /* code, DPL 0 */
    SMALL = 0x78,      /* data at 0x12340, 0x5678 bytes and one, not accessed yet */
    CODE_16 = 0x80,
    OF_LDT = 0x0c, /* entry 1 of the LDT: data at 0x15000, not accessed yet */
};

/* Fills GDT, IDT and TSS as the SDM draws them (Vol. 3, figures 3-8, 6-2, 6-8, 8-2, 8-11) and loads their registers. */
void segments_init(struct world *world);
/* A gate in the IDT to HANDLER in KERNEL_CODE. type: 14 interrupt, 15 trap. */
void segments_gate(struct world *world, unsigned vector, unsigned type, unsigned dpl, unsigned ist);

#endif
