/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest of two processors that is interrupted as fast as it can be, and counts. It needs --test-device.
 *
 *     self     interrupts to itself, one after the other
 *     nested   the handler of each class of priority sends one of the next: twelve at once (SDM Vol. 3, 10.8.3.1)
 *     level    a device that holds its line until it has been served so often: one after each end of interrupt (10.8.5)
 *     others   the two processors interrupt each other, and each only its next time when the last has been counted
 *     NMIs     the same by NMI, which is for the first what others are for the second
 *
 * The program that is interrupted computes, and is to come to the same sum: no handler may change its registers.
 */
#include "guest.inc"
.set IOAPIC, 0xfec00000
.set DEVICE_LINE, 0xe100000c
.set PIN, 17 /* INTA of slot 1 */
.set IDT, 0x12000
.set IDT_32, 0x13000
.set ROUNDS, 2000
.set MUTUAL, 100 /* fewer, as each waits until the host lets the other processor run */
.set LEVELS, 1000
.set CLASSES, 12

/* Counts of 4 bytes each: interrupts of both processors, and what ends the second. */
.set COUNTS, 0x14000
.set C_SELF, COUNTS
.set C_NESTED, COUNTS + 4
.set C_LEVEL, COUNTS + 8
.set C_FIRST, COUNTS + 12
.set C_SECOND, COUNTS + 16
.set C_NMI, COUNTS + 20
.set C_STOP, COUNTS + 24
.set C_READY, COUNTS + 28

/* RBX, R14 and R15 hold the local APIC, the I/O APIC and the device. */
.macro select index, value
    movl $(\index), (%r14)
    movl $(\value), 0x10(%r14)
.endm

/* Until memory holds so much more than EAX: a program of its own, whose registers are not to change. */
.macro wait_for count
9:  imul $31, %r12, %r12
    inc %r12
    imul $31, %r13, %r13
    inc %r13
    cmp %r12, %r13
    jne broken
    cmp %eax, \count
    jne 9b
.endm

.text
.code64
.globl _start
_start:
    lea stack_top(%rip), %rsp
    enable_apic
    mov $IOAPIC, %r14d
    mov $DEVICE_LINE, %r15d
    xor %r12d, %r12d
    xor %r13d, %r13d
    mov $COUNTS, %edi
    xor %eax, %eax
    mov $16, %ecx
    rep stosl
    copy_trampoline
    gate 2, nmi
    gate 0x31, self
    gate 0x32, level
    gate 0x33, first
    .irp vector, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240
    gate \vector, nested_\vector
    .endr
    lidt idtr(%rip)
    sti

    movl $0, 0x310(%rbx)
    mov $1, %eax
1:  send SELF | 0x31
    wait_for C_SELF
    inc %eax
    cmp $(ROUNDS + 1), %eax
    jne 1b

    mov $CLASSES, %eax
2:  send SELF | 0x40
    wait_for C_NESTED
    add $CLASSES, %eax
    cmp $(CLASSES * (ROUNDS / 4 + 1)), %eax
    jne 2b

    mov $LEVELS, %eax
    select (0x11+2*PIN), 0
    select (0x10+2*PIN), 0x8032
    movl $1, (%r15)
    wait_for C_LEVEL

    start_others
    mov $1, %eax
    wait_for C_READY
3:  send 0xc0034 /* to all but self */
    wait_for C_SECOND
    inc %eax
    cmp $(MUTUAL + 1), %eax
    jne 3b
    mov $MUTUAL, %eax
    wait_for C_FIRST
    wait_for C_NMI
    movl $1, C_STOP

    lea names(%rip), %rsi
    mov $COUNTS, %ebp
    mov $6, %r9d
4:  call print_name
    mov (%rbp), %eax
    call print_number
    add $4, %ebp
    dec %r9d
    jnz 4b
    mov $'\n', %al
    out %al, %dx
    power_down

broken:
    mov $SERIAL, %edx
    lea broken_text(%rip), %rsi
    call print_name
    cli
    hlt

print_name:
    mov $SERIAL, %edx
6:  lodsb
    test %al, %al
    jz 7f
    out %al, %dx
    jmp 6b
7:  ret

/* EAX, in decimal. */
print_number:
    mov $10, %edi
    xor %ecx, %ecx
6:  xor %edx, %edx
    div %edi
    push %rdx
    inc %ecx
    test %eax, %eax
    jnz 6b
    mov $SERIAL, %edx
7:  pop %rax
    add $'0', %al
    out %al, %dx
    dec %ecx
    jnz 7b
    ret

self:
    incl C_SELF
    end_of_interrupt
    iretq
first:
    incl C_FIRST
    end_of_interrupt
    iretq
level:
    incl C_LEVEL
    cmpl $LEVELS, C_LEVEL
    jne 1f
    movl $0, (%r15)
1:  end_of_interrupt
    iretq
nmi:
    lock incl C_NMI
    iretq

.macro nested vector, next
nested_\vector:
    sti
    .if \next
    send SELF | \next
    .endif
    nop
    incl C_NESTED
    cli
    end_of_interrupt
    iretq
.endm
    nested 64, 80
    nested 80, 96
    nested 96, 112
    nested 112, 128
    nested 128, 144
    nested 144, 160
    nested 160, 176
    nested 176, 192
    nested 192, 208
    nested 208, 224
    nested 224, 240
    nested 240, 0

.code16
trampoline:
    enter_protected protected
    mov $0x9f000, %esp
    movl $((8 << 16) | ((TRAMPOLINE + second - trampoline) & 0xffff)), IDT_32 + 8 * 0x34
    movl $(((TRAMPOLINE + second - trampoline) & 0xffff0000) | 0x8e00), IDT_32 + 8 * 0x34 + 4
    lidtl TRAMPOLINE + idtr_32 - trampoline
    movl $0x1ff, APIC + 0xf0
    sti
    movl $1, C_READY
    mov $1, %eax
1:  movl $0, APIC + 0x310
    movl $0x33, APIC + 0x300
2:  cmp %eax, C_FIRST
    jne 2b
    movl $0x400, APIC + 0x300
3:  cmp %eax, C_NMI
    jne 3b
    inc %eax
    cmp $(MUTUAL + 1), %eax
    jne 1b
4:  hlt
    jmp 4b
second:
    lock incl C_SECOND
    movl $0, APIC + 0xb0
    iretl

idtr_32:
    .word 0x7ff
    .long IDT_32
trampoline_end:

idtr:
    .word 0xfff
    .quad IDT
names:
    .asciz "storm: self "
    .asciz ", nested "
    .asciz ", level "
    .asciz ", first "
    .asciz ", second "
    .asciz ", NMIs "
broken_text:
    .asciz "storm: a handler has changed the program's registers\n"
    .balign 16
    .fill 4096
stack_top:
