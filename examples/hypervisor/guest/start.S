/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest without an operating system: page tables, descriptors and handlers, then ring 3: guest_main(), or a program. */

#include "tables.inc"

        .set    USER_CODE, 0x33
        .set    USER_DATA, 0x2b
        .set    KERNEL_CODE, 0x10

        .section .text.start, "ax"
        .globl  _start
_start:                                 /* RSI: the boot protocol's zero page */
        mov     %rsi, %rbx
        mov     $stack_end, %rsp
        map_one_to_one
        lgdt    gdt_pointer(%rip)
        call    build_gates
        lidt    idt_pointer(%rip)
        mov     $0x38, %eax
        ltr     %ax
        mov     $USER_DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     0x228(%rbx), %edi         /* cmd_line_ptr */
        mov     %rbx, %rsi
        call    guest_begin             /* RAX, RDX: ring 3's RIP and RSP */
        mov     0x228(%rbx), %edi
        push    $USER_DATA
        push    %rdx
        push    $0x202
        push    $USER_CODE
        push    %rax
        xor     %edx, %edx              /* for a program: nothing to call at its end (AMD64 ABI, 3.4.1) */
        iretq

/* The arguments of a Linux system call, as an array; RCX and R11 are RIP and RFLAGS. */
        .globl  guest_syscall
guest_syscall:
        mov     %rsp, user_rsp
        mov     $stack_end, %rsp
        push    %rcx
        push    %r11
        push    %r9
        push    %r8
        push    %r10
        push    %rdx
        push    %rsi
        push    %rdi
        mov     %rax, %rdi
        mov     %rsp, %rsi
        cld
        call    program_call
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %r10
        pop     %r8
        pop     %r9
        pop     %r11
        pop     %rcx
        mov     user_rsp, %rsp
        sysretq

/* Vector 13 tells the host of a HLT; 2 counts NMIs; UD2 writes AL to port DX for ring 3, or reads it; every other exception ends the run. */
build_gates:
        xor     %ecx, %ecx
1:      lea     stubs(, %rcx, 8), %eax
        call    set_gate
        inc     %ecx
        cmp     $32, %ecx
        jb      1b
        mov     $nmi, %eax
        mov     $2, %ecx
        call    set_gate
        mov     $step, %eax
        mov     $13, %ecx
        call    set_gate
        mov     $output, %eax
        mov     $6, %ecx
        call    set_gate
        ret

/* Gate ECX leads to EAX; code is below 4 GiB. */
set_gate:
        mov     %ecx, %edx
        shl     $4, %edx
        mov     %ax, gates(%rdx)
        movw    $KERNEL_CODE, gates + 2(%rdx)
        movw    $0x8e00, gates + 4(%rdx)
        shr     $16, %eax
        mov     %ax, gates + 6(%rdx)
        ret

output:                                 /* a fault, because some KVM without VT-x or SVM does no INT n of ring 3 */
        mov     (%rsp), %r11
        cmpw    $0x0b0f, (%r11)
        jne     stubs + 6 * 8
        addq    $2, (%rsp)
        btr     $15, %edx               /* set: from the port */
        jc      1f
        out     %al, %dx
        iretq
1:      in      %dx, %al
        iretq

/* HLT in a program is lockstep's: the port makes the host look at what was pushed. It isn't there any more afterwards. */
step:
        push    %rax
        mov     16(%rsp), %rax
        cmpb    $0xf4, (%rax)
        pop     %rax
        jne     stubs + 13 * 8
        out     %al, $0x80
        add     $8, %rsp
        iretq

/* The first may send another, which is not to come before this one returns; so long, it would see the depth. */
nmi:
        push    %rcx
        incl    guest_nmis
        cmpl    $0, guest_depth
        je      1f
        incl    guest_nested
1:      incl    guest_depth
        cmpl    $0, guest_sends
        je      3f
        decl    guest_sends
        mov     $0xfee00300, %ecx
        movl    $0x4400, (%rcx)
        mov     $10000, %ecx
2:      dec     %ecx
        jnz     2b
3:      decl    guest_depth
        pop     %rcx
        iretq

        .balign 8
stubs:
        .set    vector, 0
        .rept   32
        .balign 8
        push    $vector
        jmp     unexpected
        .set    vector, vector + 1
        .endr

unexpected:
        pop     %rax
        add     $0x40, %eax
        mov     $0x600, %edx            /* anything but 1 at the power port: failure, with this code */
        out     %al, %dx
        hlt

        .data
        .balign 16
        .globl  guest_nmis, guest_nested, guest_sends
guest_nmis:                             /* handled */
        .long   0
guest_nested:                           /* that came while another was handled */
        .long   0
guest_sends:                            /* by the handler */
        .long   0
guest_depth:
        .long   0
        .balign 8
user_rsp:
        .quad   0
gdt:
        .quad   0, 0
        .quad   0x00af9b000000ffff      /* 0x10: kernel code */
        .quad   0x00cf93000000ffff      /* 0x18: kernel data */
        .quad   0
        .quad   0x00cff3000000ffff      /* 0x28: user data */
        .quad   0x00affb000000ffff      /* 0x30: user code */
        .word   103, tss_low            /* 0x38: task state */
        .byte   tss_middle, 0x89, 0, 0
        .quad   0
gdt_pointer:
        .word   . - gdt - 1
        .quad   gdt
idt_pointer:
        .word   32 * 16 - 1
        .quad   gates
        .globl  tss
tss:
        .long   0
        .quad   stack_end               /* RSP0 */
        .fill   92, 1, 0

        .bss
        .balign 4096
level4: .skip   4096
level3: .skip   4096
level2: .skip   4 * 4096
gates:  .skip   4096
        .skip   16384
stack_end:
        .skip   65536
        .globl  user_stack_end
user_stack_end:

        .section .note.GNU-stack, "", @progbits
