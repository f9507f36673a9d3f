/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that starts all processors (SDM Vol. 3, 8.4.4.1), each of which counts itself in real mode and halts; then wakes
 * them by an NMI, which each counts as well; prints both counts and powers off. It waits for the three of --cpus 4.
 */
#include "guest.inc"
.set COUNTS, 0x11000 /* started, NMIs: 4 bytes each */
.set OTHERS, 3
.set NMI_VECTOR, 2 * 4 /* in the real-mode interrupt vector table */

.text
.code64
.globl _start
_start:
    copy_trampoline
    movl $0, COUNTS
    movl $0, COUNTS + 4
    movl $((TRAMPOLINE >> 4) << 16 | (nmi - trampoline)), NMI_VECTOR

    enable_apic
    start_others
1:  pause
    cmpl $OTHERS, COUNTS
    jne 1b

    send 0x000c4400 /* NMI to all but self */
2:  pause
    cmpl $OTHERS, COUNTS + 4
    jne 2b

    lea text(%rip), %rsi
    print_line
    power_down

text:
    .ascii "smp: 3 started, 3 NMIs\n"

.code16
trampoline:
    mov $(COUNTS >> 4), %ax
    mov %ax, %ds
    mov $(TRAMPOLINE >> 4), %ax
    mov %ax, %ss
    mov $0xff0, %sp
    lock incl 0
3:  hlt
    jmp 3b
nmi:
    lock incl 4
    iret
trampoline_end:
