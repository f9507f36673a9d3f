/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest program: prepares one case after the other, runs it, and notes what it changed. It is a boot sector and the
 * sectors after it, linked at GUEST, and wants nothing of a BIOS. How a case begins and ends in each environment:
 *
 * protected: a jump to the case's TSS begins it. INT3 follows the instructions under test and fills every handler; its
 *            gate, and those of most exceptions, are task gates to a TSS of the vector, so that the processor itself
 *            stores the registers in the case's TSS and no stack is touched.
 * long:      IRETQ begins it; interrupt gates on a stack of their own end it.
 * real:      IRET begins it; the interrupt vector table ends it.
 */
#include "layout.h"

        .text
        .code16
        .globl  _start
_start:
        cli
        cld
        xorw    %ax, %ax
        movw    %ax, %ds
        lgdtl   boot_gdtr
        movl    %cr0, %eax
        orl     $1, %eax
        movl    %eax, %cr0
        ljmpl   $SEL_CODE32, $boot32

        .code32
boot32:
        movw    $SEL_DATA32, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    $MONITOR_STACK, %esp
        inb     $0x92, %al              /* the A20 gate */
        orb     $2, %al
        andb    $0xfe, %al
        outb    %al, $0x92
        movb    $0xff, %al              /* no interrupts */
        outb    %al, $0x21
        outb    %al, $0xa1
        movl    $1, %eax
        movl    $GUEST_SECTORS - 1, %ecx
        movl    $GUEST + SECTOR, %edi
        call    read_sectors
        jmp     start

/* --- the disk: the first ATA channel, by programmed input and output ---------------------------------------------- */

/* ECX sectors from number EAX on, to EDI. */
read_sectors:
        pushl   %ecx
        pushl   %eax
        movl    $0x20, %ebx
        call    ata_command
        movl    $SECTOR / 4, %ecx
        movw    $0x1f0, %dx
        rep insl
        popl    %eax
        popl    %ecx
        incl    %eax
        loop    read_sectors
        ret

/* Command EBX for the sector EAX; returns when data can be moved. */
ata_command:
        movl    %eax, %ecx
        movw    $0x1f2, %dx
        movb    $1, %al
        outb    %al, %dx
        incw    %dx
        movb    %cl, %al
        outb    %al, %dx
        incw    %dx
        movb    %ch, %al
        outb    %al, %dx
        incw    %dx
        shrl    $16, %ecx
        movb    %cl, %al
        outb    %al, %dx
        incw    %dx
        movb    $0xe0, %al
        outb    %al, %dx
        incw    %dx
        movb    %bl, %al
        outb    %al, %dx
1:      inb     %dx, %al
        testb   $0x80, %al
        jnz     1b
        testb   $8, %al
        jz      1b
        ret

        .balign 8
boot_gdt:
        .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff
boot_gdtr:
        .word   . - boot_gdt - 1
        .long   boot_gdt

        .org    SECTOR - 2
        .word   0xaa55

/* --- beginning and end -------------------------------------------------------------------------------------------- */

/* ECX sectors from number EAX on, from ESI. */
write_sectors:
        pushl   %ecx
        pushl   %eax
        movl    $0x30, %ebx
        call    ata_command
        movl    $SECTOR / 4, %ecx
        movw    $0x1f0, %dx
        rep outsl
        movw    $0x1f7, %dx
1:      inb     %dx, %al
        testb   $0x80, %al
        jnz     1b
        popl    %eax
        popl    %ecx
        incl    %eax
        loop    write_sectors
        ret

start:
        call    make_tables
        movl    $JOB_SECTOR, %eax
        movl    $1, %ecx
        movl    $0x6000, %edi
        call    read_sectors
        movl    0x6000 + JOB_MAGIC, %eax
        cmpl    %eax, PROGRESS + PROGRESS_MAGIC
        je      after_shutdown
        movl    $JOB_SECTOR, %eax
        movl    0x6000 + JOB_SECTORS, %ecx
        movl    $JOB, %edi
        call    read_sectors
        movl    JOB + JOB_COUNT, %eax
        movl    %eax, PROGRESS + PROGRESS_LEFT
        movl    $CASES, PROGRESS + PROGRESS_CASE
        movl    $RESULTS, PROGRESS + PROGRESS_RESULT
        movl    JOB + JOB_MAGIC, %eax
        movl    %eax, PROGRESS + PROGRESS_MAGIC
        jmp     next_case

/* The processor was reset, while a case ran. */
after_shutdown:
        movl    PROGRESS + PROGRESS_RESULT, %edi
        movl    PROGRESS + PROGRESS_CASE, %esi
        movl    CASE_NUMBER(%esi), %eax
        movl    %eax, (%edi)
        movl    $RESULT_SHUTDOWN, 4(%edi)
        addl    $8, %edi
        movl    %edi, PROGRESS + PROGRESS_RESULT
        jmp     case_done

/* Writes the results to the disk, and ends the machine. */
finish:
        movl    PROGRESS + PROGRESS_RESULT, %ecx
        subl    $RESULTS - SECTOR - SECTOR + 1, %ecx
        shrl    $9, %ecx
        movl    $RESULTS, %esi
        movl    $RESULT_SECTOR, %eax
        call    write_sectors
        movb    $0, %al
        outb    %al, $PORT_EXIT
        movw    $PORT_SHUTDOWN, %dx
        movl    $shutdown, %esi
        movl    $8, %ecx
        rep outsb
1:      hlt
        jmp     1b
shutdown:
        .ascii  "Shutdown"

/* --- tables and tasks ----------------------------------------------------------------------- */

/* The first two MiB, one to one, in all three formats; accessed and dirty. */
make_tables:
        movl    $TABLES, %edi
        xorl    %eax, %eax
        movl    $(0x48000 - TABLES) / 4, %ecx
        rep stosl
        movl    $BEFORE + WORLD_SIZE, %edi
        movl    $(TABLES - BEFORE - WORLD_SIZE) / 4, %ecx
        rep stosl
        movl    $T_PDPT + 0x27, T_PML4
        movl    $T_PD + 0x27, T_PDPT
        movl    $T_PD + 1, T_PDPT_PAE
        movl    $T_PT + 0x27, T_PD
        movl    $T_PT_LEGACY + 0x27, T_PD_LEGACY
        xorl    %ecx, %ecx
1:      movl    %ecx, %eax
        shll    $12, %eax
        orl     $0x67, %eax
        movl    %eax, T_PT_LEGACY(, %ecx, 4)
        cmpl    $512, %ecx
        jae     2f
        movl    %eax, T_PT(, %ecx, 8)
2:      incl    %ecx
        cmpl    $1024, %ecx
        jb      1b
        ret

/* INT3 where a case might go astray. */
fill_low:
        movl    $0x1000, %edi
        movl    $0xcccccccc, %eax
        movl    $0x2800 / 4, %ecx
        rep stosl
        movl    $WORLD + WORLD_SIZE, %edi
        movl    $0x200 / 4, %ecx
        rep stosl
        movl    $WORLD + 0xfff0, %edi   /* what a case may have stored beyond 64 KiB */
        xorl    %eax, %eax
        movl    $(TABLES - WORLD - 0xfff0) / 4, %ecx
        rep stosl
        xorl    %edi, %edi              /* virtual-8086 mode's own vectors, for CR4.VME */
        movl    $WORLD >> 4 << 16 | W_TARGETS, %eax
        movl    $256, %ecx
1:      stosl
        incl    %eax
        andb    $0x7f, %al
        loop    1b
        ret

/* The monitor's TSS and one for each vector, which go on at wake32 with the vector in EAX. */
make_tasks:
        movl    $VECTOR_TSS, %edi
        movl    $33 * TSS_SIZE / 4, %ecx
        xorl    %eax, %eax
        rep stosl
        movl    $VECTOR_TSS, %edi
1:      movl    $wake32, 0x20(%edi)
        movl    $2, 0x24(%edi)
        movl    %eax, 0x28(%edi)
        movl    $MONITOR_STACK, 0x38(%edi)
        movl    $SEL_DATA32, 0x48(%edi)
        movl    $SEL_CODE32, 0x4c(%edi)
        movl    $SEL_DATA32, 0x50(%edi)
        movl    $SEL_DATA32, 0x54(%edi)
        movl    $SEL_DATA32, 0x58(%edi)
        movl    $SEL_DATA32, 0x5c(%edi)
        movl    $TSS_SIZE << 16, 0x64(%edi)
        addl    $TSS_SIZE, %edi
        incl    %eax
        cmpl    $32, %eax
        jb      1b
        ret

/* --- a case ------------------------------------------------------------------------------------------------------- */

case_done:
        movl    PROGRESS + PROGRESS_CASE, %esi
        addl    CASE_SIZE(%esi), %esi
        movl    %esi, PROGRESS + PROGRESS_CASE
        decl    PROGRESS + PROGRESS_LEFT
next_case:
        cmpl    $0, PROGRESS + PROGRESS_LEFT
        je      finish
        movl    PROGRESS + PROGRESS_CASE, %ebp
        call    fill_low
        call    make_tasks
        call    make_world
        lgdtl   monitor_gdtr
        ljmp    $SEL_CODE32, $1f
1:      movw    $SEL_DATA32, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $SEL_MONITOR, %ax
        ltr     %ax
        call    load_msrs
        call    load_debug
        movl    W_CR4 + WORLD, %eax
        movl    %eax, %cr4
        movl    W_CR2 + WORLD, %eax
        movl    %eax, %cr2
        cmpl    $ENVIRONMENT_LONG, CASE_ENVIRONMENT(%ebp)
        je      begin_long
        cmpl    $ENVIRONMENT_REAL, CASE_ENVIRONMENT(%ebp)
        je      begin_real

/* The jump comes back with an exception if the task can't be switched to: as any other end, through a task gate. */
begin_protected:
        lidtl   monitor_idtr
        movl    $0, MONITOR_STACK - 4
        movl    W_CR3 + WORLD, %eax
        movl    %eax, %cr3
        movl    $VECTOR_TSS, %edi
        movl    $32, %ecx
1:      movl    %eax, 0x1c(%edi)
        addl    $TSS_SIZE, %edi
        loop    1b
        movl    W_CR0 + WORLD, %eax
        movl    %eax, %cr0
        jmp     1f
1:      ljmp    $SEL_TSS_A, $0
        movl    $32, %eax               /* a case that switches to the monitor's own task */
        jmp     wake32

/* Copies the template and patches it; keeps a copy; sets the page-table entries of the window. EBP: the case. */
make_world:
        movl    CASE_ENVIRONMENT(%ebp), %esi
        imull   $WORLD_SIZE, %esi
        addl    $TEMPLATES, %esi
        movl    $WORLD, %edi
        movl    $WORLD_SIZE / 4, %ecx
        rep movsl
        leal    CASE_HEAD(%ebp), %esi
        movl    CASE_PATCHES(%ebp), %ecx
        jecxz   2f
1:      lodsl
        leal    WORLD(%eax), %edi
        movsl
        loop    1b
2:      movl    $WORLD, %esi
        movl    $BEFORE, %edi
        movl    $WORLD_SIZE / 4, %ecx
        rep movsl
        movl    $W_ENTRIES + WORLD, %esi
        movl    $T_PT + (WINDOW >> 12) * 8, %edi
        movl    $16, %ecx
        rep movsl
        xorl    %ecx, %ecx
3:      movl    W_ENTRIES + WORLD(, %ecx, 8), %eax
        movl    %eax, T_PT_LEGACY + (WINDOW >> 12) * 4(, %ecx, 4)
        incl    %ecx
        cmpl    $8, %ecx
        jb      3b
        ret

load_debug:
        movl    W_DR + WORLD, %eax
        movl    %eax, %dr0
        movl    W_DR + 4 + WORLD, %eax
        movl    %eax, %dr1
        movl    W_DR + 8 + WORLD, %eax
        movl    %eax, %dr2
        movl    W_DR + 12 + WORLD, %eax
        movl    %eax, %dr3
        movl    W_DR + 16 + WORLD, %eax
        movl    %eax, %dr6
        movl    W_DR + 20 + WORLD, %eax
        movl    %eax, %dr7
        ret

msr_numbers:
        .long   0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0x174, 0x175, 0x176, 0xc0000100, 0xc0000101, 0xc0000102

load_msrs:
        xorl    %esi, %esi
1:      movl    msr_numbers(, %esi, 4), %ecx
        movl    W_MSR + WORLD(, %esi, 8), %eax
        movl    W_MSR + 4 + WORLD(, %esi, 8), %edx
        wrmsr
        incl    %esi
        cmpl    $MSR_COUNT, %esi
        jb      1b
        movl    $0xc0000080, %ecx
        movl    W_EFER + WORLD, %eax
        xorl    %edx, %edx
        wrmsr
        ret

store_msrs:
        xorl    %esi, %esi
1:      movl    msr_numbers(, %esi, 4), %ecx
        rdmsr
        movl    %eax, W_MSR + WORLD(, %esi, 8)
        movl    %edx, W_MSR + 4 + WORLD(, %esi, 8)
        incl    %esi
        cmpl    $MSR_COUNT, %esi
        jb      1b
        movl    $0xc0000080, %ecx
        rdmsr
        movl    %eax, W_EFER + WORLD
        andl    $~0x500, %eax
        wrmsr
        ret

/* The protected environment's end: EAX is the vector. */
wake32:
        cld
        movl    %dr7, %ebx              /* with DR7.GD: once more, with #DB */
        movl    %cr0, %ebx
        movl    %ebx, W_CR0 + WORLD
        movl    $0x11, %ebx             /* no paging */
        movl    %ebx, %cr0
        movl    %eax, W_VECTOR + WORLD
        imull   $TSS_SIZE, %eax, %eax
        movl    VECTOR_TSS(%eax), %eax
        movw    %ax, W_LINK + WORLD
        movl    $MONITOR_STACK, %eax
        subl    %esp, %eax
        movl    %eax, W_PUSHED + WORLD
        movl    MONITOR_STACK - 4, %eax
        movl    %eax, W_ERROR + WORLD
        sgdtl   W_GDTR + WORLD
        sidtl   W_IDTR + WORLD

/* What every environment has in common: CR0, the vector and the table registers are stored already. */
wake:
        lgdtl   monitor_gdtr
        lidtl   monitor_idtr
        movl    $MONITOR_STACK, %esp
        pushl   $2                      /* without NT above all */
        popfl
        movl    %cr2, %eax
        movl    %eax, W_CR2 + WORLD
        movl    %cr3, %eax
        movl    %eax, W_CR3 + WORLD
        movl    %cr4, %eax
        movl    %eax, W_CR4 + WORLD
        xorl    %eax, %eax
        movl    %eax, %cr4
        movl    %dr0, %eax
        movl    %eax, W_DR + WORLD
        movl    %dr1, %eax
        movl    %eax, W_DR + 4 + WORLD
        movl    %dr2, %eax
        movl    %eax, W_DR + 8 + WORLD
        movl    %dr3, %eax
        movl    %eax, W_DR + 12 + WORLD
        movl    %dr6, %eax
        movl    %eax, W_DR + 16 + WORLD
        movl    %dr7, %eax
        movl    %eax, W_DR + 20 + WORLD
        movl    $0x400, %eax
        movl    %eax, %dr7
        call    store_msrs
        call    store_entries
        call    note_changes
        jmp     case_done

/* Those of the format that CR4.PAE chose; legacy ones into the low dwords. */
store_entries:
        movl    $T_PT + (WINDOW >> 12) * 8, %esi
        movl    $W_ENTRIES + WORLD, %edi
        movl    $16, %ecx
        testl   $0x20, W_CR4 + WORLD
        jz      1f
        rep movsl
        ret
1:      xorl    %ecx, %ecx
2:      movl    T_PT_LEGACY + (WINDOW >> 12) * 4(, %ecx, 4), %eax
        movl    %eax, W_ENTRIES + WORLD(, %ecx, 8)
        incl    %ecx
        cmpl    $8, %ecx
        jb      2b
        ret

/* Appends the dwords of the world that are no longer as before to the results. */
note_changes:
        movl    PROGRESS + PROGRESS_CASE, %esi
        movl    PROGRESS + PROGRESS_RESULT, %ebx
        movl    CASE_NUMBER(%esi), %eax
        movl    %eax, (%ebx)
        movl    $0, 4(%ebx)
        leal    8(%ebx), %edx
        movl    $WORLD, %esi
        movl    $BEFORE, %edi
        movl    $WORLD_SIZE / 4, %ecx
1:      repe cmpsl
        je      2f
        leal    -4 - WORLD(%esi), %eax
        movl    %eax, (%edx)
        movl    -4(%esi), %eax
        movl    %eax, 4(%edx)
        addl    $8, %edx
        incl    4(%ebx)
        jecxz   2f
        jmp     1b
2:      movl    %edx, PROGRESS + PROGRESS_RESULT
        ret

        .balign 8
monitor_gdtr:
        .word   GDT_LIMIT
        .long   W_GDT + WORLD, 0
monitor_idtr:
        .word   IDT_LIMIT
        .long   W_IDT + WORLD, 0

#include "guest_long.inc"
#include "guest_real.inc"

        .org    GUEST_SECTORS * SECTOR
