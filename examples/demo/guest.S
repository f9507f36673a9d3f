/* SPDX-License-Identifier: BSD-2-Clause */
/* The demo guest: 64-bit code with its own page tables that touches devices in every way the demo shows, checks each
   result against values computed by hand, prints through the UART and reports 0, or the number of the failed check, to the
   exit device. It runs unchanged in ring 3 and in ring 0. */
#include "layout.h"

#define P_RW_US 7
#define PS 0x80

    .intel_syntax noprefix
    .code64
    .section .text
    .globl _start

/* --- page tables (SDM Vol. 3, 4.5) --------------------------------------------------------------------------------- */
pml4:
    .quad IMAGE_GPA + 0x1000 + P_RW_US
    .fill 511, 8, 0
pdpt:
    .quad IMAGE_GPA + 0x2000 + P_RW_US
    .fill 511, 8, 0
pd:
    .quad PS + P_RW_US /* 0 to 2 MiB */
    .quad 0
    .quad IMAGE_GPA + 0x3000 + P_RW_US /* from LA_DATA on */
    .fill 509, 8, 0
pt:
    .quad DATA_GPA + P_RW_US
    .quad LEDGER_GPA + P_RW_US
    .quad LEDGER2_GPA + P_RW_US
    .quad EXIT_GPA + P_RW_US
    .quad UART_GPA + P_RW_US
    .quad DATA_GPA + 0x2000 + P_RW_US /* LA_SPLIT */
    .quad DATA_GPA + 0x1000 + P_RW_US
    .fill 505, 8, 0

/* --- checks --------------------------------------------------------------------------------------------------------- */

/* begin number, "what": says what comes; r15 is the number reported when a check fails. */
    .macro begin number:req, what:req
    mov r15d, \number
    lea rsi, [rip + 1f]
    call print
    jmp 2f
1:  .asciz "  \what\n"
2:
    .endm

    .macro expect register:req, value:req
    mov r14, \value
    cmp \register, r14
    jne fail
    .endm

_start:
    lea rsi, [rip + hello]
    call print
    mov rbx, LA_LEDGER
    mov rbp, LA_DATA
    xor r12d, r12d

    begin 1, "MOV of 8, 16, 32 and 64 bits"
    mov rax, 0x8877665544332211
    mov [rbx + 0x10], rax
    mov dword ptr [rbx + 0x18], 0xddccbbaa
    mov word ptr [rbx + 0x1c], 0xffee
    mov [rbx + 0x1e], ah
    mov byte ptr [rbx + 0x1f], 0x99
    mov rcx, [rbx + 0x18]
    expect rcx, 0x9922ffeeddccbbaa
    mov ecx, [rbx + 0x12]
    expect rcx, 0x66554433
    mov cx, [rbx + 0x16]
    expect rcx, 0x66558877
    mov ch, [rbx + 0x10]
    expect rcx, 0x66551177

    begin 2, "MOVZX, MOVSX, MOVSXD"
    movzx eax, byte ptr [rbx + 0x17]
    expect rax, 0x88
    movzx rax, word ptr [rbx + 0x16]
    expect rax, 0x8877
    movsx rax, byte ptr [rbx + 0x17]
    expect rax, 0xffffffffffffff88
    movsx eax, word ptr [rbx + 0x16]
    expect rax, 0xffff8877
    movsxd rax, dword ptr [rbx + 0x14]
    expect rax, 0xffffffff88776655

    begin 3, "OR, AND, XOR, ADD, ADC, SUB, SBB with a device as destination and as source"
    mov dword ptr [rbx + 0x20], 0x0f0f0000
    or dword ptr [rbx + 0x20], 0x00f000ff
    and word ptr [rbx + 0x20], 0x0ff0
    xor byte ptr [rbx + 0x23], 0xff
    mov eax, [rbx + 0x20]
    expect rax, 0xf0ff00f0
    add dword ptr [rbx + 0x20], 0x0f00ff10 /* carries out: 100000000 */
    setc r12b
    adc dword ptr [rbx + 0x20], 5 /* CF is still set: SETcc and MOV leave flags alone */
    mov eax, [rbx + 0x20]
    add rax, r12
    expect rax, 7
    sub dword ptr [rbx + 0x20], 7 /* 6 - 7 borrows */
    sbb eax, [rbx + 0x20]         /* 7 - ffffffff - 1 */
    expect rax, 7

    begin 4, "CMP and TEST"
    mov dword ptr [rbx + 0x24], 0x80000001
    cmp dword ptr [rbx + 0x24], 0x7fffffff
    jbe fail
    jge fail
    test dword ptr [rbx + 0x24], 0x80000000
    jns fail
    test byte ptr [rbx + 0x24], 0xfe
    jnz fail
    mov ecx, 1
    test [rbx + 0x24], ecx
    jz fail

    begin 5, "XCHG, LOCK ADD, LOCK CMPXCHG, LOCK XADD, LOCK BTS beyond the operand"
    mov dword ptr [rbx + 0x28], 1000
    mov eax, 17
    xchg [rbx + 0x28], eax
    expect rax, 1000
    lock add dword ptr [rbx + 0x28], 83
    mov ecx, 5
    lock xadd [rbx + 0x28], ecx
    expect rcx, 100
    mov eax, 105
    mov ecx, 7
    lock cmpxchg [rbx + 0x28], ecx
    jnz fail
    lock cmpxchg [rbx + 0x28], eax /* 105 isn't there any more */
    jz fail
    expect rax, 7
    mov dword ptr [rbx + 0x2c], 0
    mov ecx, 35
    lock bts [rbx + 0x28], ecx
    jc fail
    lock bts [rbx + 0x28], ecx
    jnc fail
    mov eax, [rbx + 0x2c]
    expect rax, 8

    begin 6, "a register that counts its reads: each instruction reads it once"
    mov eax, [rbx + LEDGER_TICKET]
    mov ecx, eax
    add ecx, [rbx + LEDGER_TICKET]
    sub ecx, eax
    sub ecx, eax
    expect rcx, 1
    cmp eax, [rbx + LEDGER_TICKET]
    mov ecx, [rbx + LEDGER_TICKET]
    sub ecx, eax
    expect rcx, 3

    begin 7, "REP STOSD to a device"
    mov eax, 0x01020304
    lea rdi, [rbx + 0x100]
    mov ecx, 40
    rep stosd
    expect rcx, 0
    mov eax, [rbx + 0x100 + 39 * 4]
    expect rax, 0x01020304
    mov eax, [rbx + 0x100 + 40 * 4]
    expect rax, 0
    lea rax, [rbx + 0x100 + 160]
    cmp rdi, rax
    jne fail

    begin 8, "REP MOVSB from device to device"
    mov rax, 0x1716151413121110
    mov [rbx + 0x300], rax
    lea rsi, [rbx + 0x300]
    mov rdi, LA_LEDGER2 + 0x40
    mov ecx, 8
    rep movsb
    mov rcx, LA_LEDGER2 + 0x40
    mov rax, [rcx]
    expect rax, 0x1716151413121110

    begin 9, "MOVSQ from RAM to a device, LODSW backwards"
    mov rax, 0x2726252423222120
    mov [rbp + 0x40], rax
    lea rsi, [rbp + 0x40]
    lea rdi, [rbx + 0x340]
    movsq
    std
    lea rsi, [rbx + 0x346]
    lodsw
    movzx eax, ax
    expect rax, 0x2726
    lodsw
    cld
    movzx eax, ax
    expect rax, 0x2524
    lea rax, [rbx + 0x342]
    cmp rsi, rax
    jne fail

    begin 10, "an access that begins in RAM and ends in a device"
    mov dword ptr [rbp + 0xffe], 0x44332211
    movzx eax, word ptr [rbp + 0xffe]
    expect rax, 0x2211
    movzx eax, word ptr [rbx]
    expect rax, 0x4433
    mov word ptr [rbx], 0x6655
    mov eax, [rbp + 0xffe]
    expect rax, 0x66552211
    add dword ptr [rbp + 0xffe], 0x1000ffff
    mov eax, [rbp + 0xffe]
    expect rax, 0x76562210

    begin 11, "an access over two pages of RAM that are not neighbours"
    mov rcx, LA_SPLIT
    mov rax, 0x3837363534333231
    mov [rcx + 0xffb], rax
    mov rdx, [rcx + 0xffb]
    expect rdx, 0x3837363534333231
    mov eax, DATA_GPA + 0x1000 /* the page behind lies below */
    movzx eax, word ptr [rax]
    expect rax, 0x3736

    begin 12, "moffs with a 64-bit address"
    movabs eax, [LA_LEDGER + 0x10]
    expect rax, 0x44332211
    movabs [LA_LEDGER + 0x60], al
    movzx eax, byte ptr [rbx + 0x60]
    expect rax, 0x11

    begin 13, "PUSH from and POP to a device"
    push qword ptr [rbx + 0x300]
    pop rax
    expect rax, 0x1716151413121110
    push rax
    pop qword ptr [rbx + 0x68]
    mov rax, [rbx + 0x68]
    expect rax, 0x1716151413121110

    begin 14, "INC, DEC, NEG, NOT, SHL, SETcc and CMOVcc"
    mov dword ptr [rbx + 0x70], 41
    inc dword ptr [rbx + 0x70]
    neg dword ptr [rbx + 0x70]
    not dword ptr [rbx + 0x70] /* ~-42 = 41 */
    dec byte ptr [rbx + 0x70]
    shl word ptr [rbx + 0x70], 3
    mov eax, [rbx + 0x70]
    expect rax, 320
    cmp eax, 320
    sete [rbx + 0x74]
    mov ecx, 0
    cmove ecx, [rbx + 0x70]
    expect rcx, 320
    movzx eax, byte ptr [rbx + 0x74]
    expect rax, 1

    begin 15, "a sum kept by the device: nothing written twice"
    mov dword ptr [rbx + LEDGER_SUM], 5
    mov dword ptr [rbx + LEDGER_SUM], 6
    mov eax, [rbx + LEDGER_SUM]
    expect rax, 11

    begin 16, "POPCNT, which KVM's own emulator lacks"
    popcnt eax, [rbx + 0x10]
    expect rax, 10 /* ones in 44332211 */

    lea rsi, [rip + passed]
    call print
    xor r15d, r15d
fail:
    mov rcx, LA_EXIT
    mov [rcx], r15d
    jmp fail /* not reached */

/* --- the UART ------------------------------------------------------------------------------------------------------- */

/* Prints the string at rsi; changes rsi, rdi and al. */
print:
    mov edi, LA_UART
1:  lodsb
    test al, al
    jz 3f
2:  test byte ptr [rdi + UART_LSR], 0x20
    jz 2b
    mov [rdi + UART_THR], al
    jmp 1b
3:  ret

hello:
    .asciz "guest: hello\n"
passed:
    .asciz "guest: all checks passed\n"
