/* SPDX-License-Identifier: BSD-2-Clause */
/* From the boot sector to 64-bit C: loads the rest of the disk image, maps 4 GiB one to one. */

/* Where things are; machine.ld and memory.h know the same. */
#define IMAGE 0x10000
#define TABLES 0x4000000
#define STACK 0x90000

        .section .boot, "ax"
        .code16
        .globl _start
_start: cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $0x7c00, %sp
        cld
        sti
        /* Runs of 32 sectors, by LBA. */
        movw    $image_runs, %cx
1:      pushw   %cx
        movw    $packet, %si
        movb    $0x42, %ah
        int     $0x13
        popw    %cx
        addl    $32, packet_lba
        addw    $0x400, packet_segment
        decw    %cx
        jnz     1b
        cli
        inb     $0x92, %al
        orb     $2, %al
        andb    $0xfe, %al
        outb    %al, $0x92
        lgdtl   gdt_pointer
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $8, $protected

        .balign 4
packet: .byte   16, 0
        .word   32, 0
packet_segment:
        .word   IMAGE >> 4
packet_lba:
        .quad   1

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* 08: code, 32-bit */
        .quad   0x00cf93000000ffff      /* 10: data */
        .quad   0x00af9b000000ffff      /* 18: code, 64-bit */
        .quad   0x0000890000000067      /* 20: TSS, which VMX wants to find and nothing uses */
        .quad   0
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt

        .code32
protected:
        movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    %ax, %fs
        movw    %ax, %gs
        movl    $STACK, %esp
        /* PML4, PDPT, four page directories with pages of 2M; PML5 when asked for. */
        movl    $TABLES, %edi
        xorl    %eax, %eax
        movl    $0x7000 / 4, %ecx
        rep stosl
        movl    $TABLES + 0x1003, TABLES
        movl    $TABLES + 0x2003, TABLES + 0x1000
        movl    $TABLES + 0x3003, TABLES + 0x1008
        movl    $TABLES + 0x4003, TABLES + 0x1010
        movl    $TABLES + 0x5003, TABLES + 0x1018
        movl    $TABLES + 0x2000, %edi
        movl    $0x83, %eax
2:      movl    %eax, (%edi)
        addl    $8, %edi
        addl    $0x200000, %eax
        jnc     2b
        movl    $TABLES, %eax
        movl    $0x6a0, %ebx            /* PAE, PGE, OSFXSR, OSXMMEXCPT */
        cmpl    $5, IMAGE + 32          /* levels */
        jne     3f
        movl    $TABLES + 0x6000, %eax
        movl    $TABLES + 3, TABLES + 0x6000
        orl     $0x1000, %ebx           /* LA57 */
3:      movl    %eax, %cr3
        movl    %ebx, %cr4
        movl    $0xc0000080, %ecx
        rdmsr
        orl     $0x900, %eax            /* LME, NXE */
        wrmsr
        movl    $0x80010033, %eax       /* PG, WP, NE, ET, MP, PE */
        movl    %eax, %cr0
        ljmpl   $0x18, $IMAGE + 64      /* behind the parameters */

        .org    510
        .word   0xaa55

        .section .params, "aw"
        .ascii  "X86EMUPG"
        .quad   1, 1000, 0, 4
        .org    64
        .code64
        movw    $0x20, %ax
        ltr     %ax
        call    machine_main
4:      hlt
        jmp     4b
