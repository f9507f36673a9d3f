/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that interrupts itself through its local APIC and prints in which order what was delivered:
 *
 *     H a L b     with task priority 5, vector 60H comes and 40H waits until CR8 is 0 (SDM Vol. 3, 10.8.6)
 *     1           STI lets one instruction more through (Vol. 2, STI)
 *     N H n L     in the handler of 42H 60H comes in between, 40H, of the same class, after the end (10.8.3.1)
 *     H w         an interrupt ends HLT
 *     M m M m     an NMI waits until the handler of the one before returns (6.7.1)
 */
#include "guest.inc"
.set IDT, 0x12000
.set NMI_TO_0, 0x4400

.macro note what
    movb $\what, (%r8)
    inc %r8
.endm

.text
.code64
.globl _start
_start:
    lea stack_top(%rip), %rsp
    lea events(%rip), %r8
    enable_apic
    xor %r9d, %r9d
    gate 2, nmi
    gate 0x40, low
    gate 0x42, nested
    gate 0x50, shadow
    gate 0x60, high
    lidt idtr(%rip)
    movl $0, 0x310(%rbx)

    mov $5, %eax
    mov %rax, %cr8
    sti
    send SELF | 0x40
    send SELF | 0x60
    nop
    note 'a'
    xor %eax, %eax
    mov %rax, %cr8
    nop
    note 'b'

    cli
    send SELF | 0x50
    xor %ecx, %ecx
    sti
    inc %ecx
    inc %ecx

    send SELF | 0x42
    nop

    cli
    send SELF | 0x60
    sti
    hlt
    note 'w'

    send NMI_TO_0
    nop
    cli

    note '\n'
    lea events(%rip), %rsi
    print_line
    power_down

low:
    note 'L'
    jmp end
high:
    note 'H'
    jmp end
shadow:
    add $'0', %cl
    mov %cl, (%r8)
    inc %r8
    jmp end
nested:
    note 'N'
    sti
    send SELF | 0x40
    send SELF | 0x60
    nop
    note 'n'
    cli
end:
    end_of_interrupt
    iretq
nmi:
    note 'M'
    test %r9d, %r9d
    jne 3f
    inc %r9d
    send NMI_TO_0
    nop
3:  note 'm'
    iretq

idtr:
    .word 0xfff
    .quad IDT
events:
    .fill 64
    .align 16
    .fill 1024
stack_top:
