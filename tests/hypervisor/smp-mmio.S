/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest whose two processors access their local APICs at the same time, one in 64-bit mode, the other in 32-bit protected
 * mode; prints what they have read and powers off. Each round is ten accesses.
 */
#include "guest.inc"
.set SUMS, 0x11000 /* of the first, of the second, and whether the second is done: 4 bytes each */
.set ROUNDS, 200
.set REGISTER, 0x310 /* destination, upper half of the interrupt command: its upper byte is kept */

/* EBX: the APIC. Leaves the sum in EDX. Written so that both modes assemble it. */
.macro access_apic base
    xor %ecx, %ecx
    xor %edx, %edx
8:  mov %ecx, %eax
    shl $24, %eax
    mov %eax, REGISTER(\base)
    addl $0x01000000, REGISTER(\base)
    mov $0x5a000000, %eax
    xchg %eax, REGISTER(\base)
    imul $31, %edx, %edx
    add %eax, %edx
    xor %eax, REGISTER(\base)
    add REGISTER(\base), %edx
    lea REGISTER(\base), %edi
    mov %edx, %eax
    stosl
    lea REGISTER(\base), %esi
    lodsl
    xor %eax, %edx
    inc %ecx
    cmp $ROUNDS, %ecx
    jne 8b
.endm

.text
.code64
.globl _start
_start:
    copy_trampoline
    movl $0, SUMS + 8
    mov $0x90000, %esp
    enable_apic
    start_others
    access_apic %rbx
    mov %edx, SUMS
1:  pause
    cmpl $1, SUMS + 8
    jne 1b

    mov SUMS, %edi
    call print
    mov SUMS + 4, %edi
    call print
    power_down

/* EDI in hexadecimal, on a line. */
print:
    mov $8, %ecx
    mov $SERIAL, %edx
3:  rol $4, %edi
    mov %edi, %eax
    and $15, %eax
    movb digits(%rax), %al
    out %al, %dx
    dec %ecx
    jnz 3b
    mov $'\n', %al
    out %al, %dx
    ret

digits:
    .ascii "0123456789abcdef"

.code16
trampoline:
    enter_protected protected
    mov $APIC, %ebx
    access_apic %ebx
    mov %edx, SUMS + 4
    movl $1, SUMS + 8
4:  hlt
    jmp 4b
trampoline_end:
