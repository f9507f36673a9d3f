/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that starts all processors (SDM Vol. 3, 8.4.4.1), each of which counts itself in real mode and halts; then wakes
 * them by an NMI, which each counts as well; prints both counts and powers off. It waits for the three of --cpus 4.
 */
.set TRAMPOLINE, 0x10000
.set COUNTS, 0x11000 /* started, NMIs: 4 bytes each */
.set OTHERS, 3
.set APIC, 0xfee00000
.set NMI_VECTOR, 2 * 4 /* in the real-mode interrupt vector table */

.text
.code64
.globl _start
_start:
    lea trampoline(%rip), %rsi
    mov $TRAMPOLINE, %edi
    mov $(trampoline_end - trampoline), %ecx
    rep movsb
    movl $0, COUNTS
    movl $0, COUNTS + 4
    movl $((TRAMPOLINE >> 4) << 16 | (nmi - trampoline)), NMI_VECTOR

    mov $APIC, %ebx
    movl $0x1ff, 0xf0(%rbx)
    movl $0x000c4500, 0x300(%rbx) /* INIT to all but self */
    movl $(0x000c4600 | TRAMPOLINE >> 12), 0x300(%rbx)
1:  pause
    cmpl $OTHERS, COUNTS
    jne 1b

    movl $0x000c4400, 0x300(%rbx) /* NMI to all but self */
2:  pause
    cmpl $OTHERS, COUNTS + 4
    jne 2b

    mov $0x3f8, %edx
    lea text(%rip), %rsi
3:  lodsb
    out %al, %dx
    cmp $'\n', %al
    jne 3b
    mov $0x600, %edx
    mov $1, %al
    out %al, %dx
4:  hlt
    jmp 4b

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
5:  hlt
    jmp 5b
nmi:
    lock incl 4
    iret
trampoline_end:
