/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest whose kernel is done partly by KVM and partly by the library: what either has changed the other must see. A
 * program asks its kernel by UD2 with the number in EAX, and prints a letter for each of these, the small one if it went
 * wrong:
 *
 *     T  the kernel changes a translation, sleeps until an interrupt, and then invalidates it
 *     Z  the program clears the vector registers that the kernel then looks at
 *     X  the kernel loads vector registers that were clear
 *     S  the kernel sees the program's MXCSR
 *     F  bases of FS and GS, written by the kernel as model-specific registers
 *     M  the kernel works on memory that the program has mapped, and the program sees it
 *     P  the program's page fault: address, error code, and the instruction again
 *     C  the same in the kernel, in an instruction that KVM can't do
 *
 * POPCNT stands for whatever a KVM can't emulate.
 */
#include "guest.inc"
#include "../../examples/hypervisor/guest/tables.inc"
.set IDT, gates
.set WINDOW, 0x100000000                /* the page whose translation changes */
.set USER, 7

.macro ask number
    mov $\number, %eax
    ud2
.endm

/* Prints the letter, the small one unless the flags say equal. */
.macro verdict letter
    mov $(\letter + 32), %ebx
    mov $\letter, %ecx
    cmove %ecx, %ebx
    ask 0
.endm

.text
.code64
.globl _start
_start:
    mov $stack_top, %esp
    map_one_to_one
    movl $(window2 + USER), level3 + 4 * 8 /* the window follows them */
    movl $(level1 + USER), window2
    movl $(first + USER), level1
    lgdt gdt_pointer(%rip)
    gate 6, kernel
    gate 14, page_fault
    gate 0x40, interrupt
    lidt idt_pointer(%rip)
    mov $tss, %eax
    mov %ax, gdt + 0x3a
    shr $16, %eax
    mov %al, gdt + 0x3c
    mov $0x38, %eax
    ltr %ax
    enable_apic
    movl $0, 0x310(%rbx)
    push $0x2b
    push $user_stack_top
    push $0x2
    push $0x33
    push $program
    iretq

/* --- ring 3 ------------------------------------------------------------------------------------------------------- */

program:
    mov $WINDOW, %rbp
    cmpb $1, (%rbp)
    jne 1f
    ask 1
    cmpb $2, (%rbp)
1:  verdict 'T'

    pcmpeqd %xmm5, %xmm5
    ask 2
    pxor %xmm5, %xmm5
    ask 2
    pcmpeqd seen(%rip), %xmm5
    pmovmskb %xmm5, %eax
    cmp $0xffff, %eax
    verdict 'Z'

    call clear_vectors
    ask 2
    call clear_vectors
    ask 3
    pcmpeqd pattern(%rip), %xmm9
    pmovmskb %xmm9, %eax
    cmp $0xffff, %eax
    verdict 'X'

    movl $0x5fa0, seen(%rip)            /* rounds up; a result was inexact */
    ldmxcsr seen(%rip)
    movl $0, seen(%rip)
    ask 4
    cmpl $0x5fa0, seen(%rip)
    verdict 'S'

    ask 5
    mov %fs:8, %rax
    sub pattern(%rip), %rax
    mov %gs:8, %rdx
    sub pattern+8(%rip), %rdx
    or %rdx, %rax
    verdict 'F'

    mov $0x1234, %eax
    mov %eax, 64(%rbp)
    ask 6
    cmpl $0x1235, 64(%rbp)
    verdict 'M'

    movb $1, 0x1234(%rbp)               /* writes, in ring 3: error code 6 */
    mov %rbp, %rax
    add $0x1234, %rax
    xor fault(%rip), %rax
    mov fault+8(%rip), %rcx
    xor $6, %rcx
    or %rcx, %rax
    cmpb $1, 0x1234(%rbp)
    setne %cl
    or %cl, %al
    test %rax, %rax
    verdict 'P'

    ask 7
    mov %rbp, %rdx
    add $0x2100, %rdx
    xor fault(%rip), %rdx
    or fault+8(%rip), %rdx              /* reads, in ring 0: error code 0 */
    cmp $8, %eax
    setne %al
    or %al, %dl
    test %rdx, %rdx
    verdict 'C'

    mov $'\n', %ebx
    ask 0
    ask 8

clear_vectors:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    pxor %xmm\n, %xmm\n
    .endr
    ret

/* --- ring 0 ------------------------------------------------------------------------------------------------------- */

kernel:
    addq $2, (%rsp)
    mov $SERIAL, %edx
    jmp *calls(, %rax, 8)

print:
    mov %ebx, %eax
    out %al, %dx
    iretq

change_translation:
    popcnt %rax, %rax
    movl $(second + USER), level1
    mov $APIC, %ebx
    send SELF | 0x40
    sti
    hlt
    cli
    invlpg (%rbp)
    iretq

save_vector:
    popcnt %rax, %rax
    movdqu %xmm5, seen(%rip)
    iretq

load_vector:
    popcnt %rax, %rax
    movdqu pattern(%rip), %xmm9
    iretq

save_mxcsr:
    popcnt %rax, %rax
    stmxcsr seen(%rip)
    iretq

/* FS before the instruction that KVM can't do, GS after it. */
write_bases:
    mov $0xc0000100, %ecx
    mov $(pattern - 8), %eax
    xor %edx, %edx
    wrmsr
    popcnt %rax, %rax
    inc %ecx
    mov $pattern, %eax
    wrmsr
    iretq

touch_memory:
    popcnt %rax, %rax
    incl 64(%rbp)
    iretq

count_bits:                             /* of 02020202_02020202H */
    popcnt 0x2100(%rbp), %rax
    iretq

power_off:
    power_down

/* Notes what it was, and gives the page. */
page_fault:
    pop fault+8(%rip)
    push %rax
    mov %cr2, %rax
    mov %rax, fault(%rip)
    shr $12, %rax
    and $0x1ff, %eax
    movl $(second + USER), level1(, %rax, 8)
    pop %rax
    iretq

interrupt:
    push %rbx
    mov $APIC, %ebx
    end_of_interrupt
    pop %rbx
    iretq

.data
.balign 16
pattern:
    .quad 0x0123456789abcdef, 0xfedcba9876543210
seen:
    .quad 0, 0
fault:                                  /* address, error code */
    .quad 0, 0
calls:
    .quad print, change_translation, save_vector, load_vector, save_mxcsr, write_bases, touch_memory, count_bits, power_off
gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff            /* 0x10: kernel code */
    .quad 0x00cf93000000ffff            /* 0x18: kernel data */
    .quad 0
    .quad 0x00cff3000000ffff            /* 0x28: user data */
    .quad 0x00affb000000ffff            /* 0x30: user code */
    .word 103, 0                        /* 0x38: task state; its address is put in by _start */
    .byte 0, 0x89, 0, 0
    .quad 0
gdt_pointer:
    .word . - gdt - 1
    .quad gdt
idt_pointer:
    .word 0x41 * 16 - 1
    .quad gates
tss:
    .long 0
    .quad stack_top                     /* RSP0 */
    .fill 92, 1, 0
.balign 4096
first:
    .fill 4096, 1, 1
second:
    .fill 4096, 1, 2

.bss
.balign 4096
level4: .skip 4096
level3: .skip 4096
level2: .skip 4 * 4096
window2: .skip 4096
level1: .skip 4096
gates:  .skip 4096
        .skip 4096
stack_top:
        .skip 4096
user_stack_top:

.section .note.GNU-stack, "", @progbits
