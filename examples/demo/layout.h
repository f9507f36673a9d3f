/* SPDX-License-Identifier: BSD-2-Clause */
/* Where things are in the demo guest: shared by the guest's assembly and the hypervisor's C. */
#ifndef DEMO_LAYOUT_H
#define DEMO_LAYOUT_H

/* Guest-physical addresses. */
#define RAM_SIZE 0x200000
#define IMAGE_GPA 0x10000 /* the image begins with the guest's PML4 */
#define ENTRY_GPA 0x14000
#define STACK_TOP 0x80000
#define DATA_GPA 0x100000 /* three pages that the guest maps at LA_DATA, LA_SPLIT and behind it */

#define DEVICES_GPA 0xfe000000
#define UART_GPA (DEVICES_GPA + 0x0000)
#define LEDGER_GPA (DEVICES_GPA + 0x1000)
#define LEDGER2_GPA (DEVICES_GPA + 0x2000)
#define EXIT_GPA (DEVICES_GPA + 0x3000)
#define DEVICES_SIZE 0x4000

/* Linear addresses in the guest. RAM is mapped one to one by a 2 MiB page; these are 4 KiB pages. */
#define LA_DATA 0x400000   /* RAM, and right behind it… */
#define LA_LEDGER 0x401000 /* …a device */
#define LA_LEDGER2 0x402000
#define LA_EXIT 0x403000
#define LA_UART 0x404000
#define LA_SPLIT 0x405000 /* RAM; the next page is other RAM, lower in memory */

/* Registers of the ledger device (offsets). */
#define LEDGER_STORE 0x00   /* 0x000 to 0x7ff: storage */
#define LEDGER_TICKET 0x800 /* read: a number that grows by one with every read */
#define LEDGER_SUM 0x808    /* write: added to a sum; read: the sum */

/* Registers of the UART (16550). */
#define UART_THR 0
#define UART_LSR 5
#define UART_LSR_EMPTY 0x60

#endif
