/* SPDX-License-Identifier: BSD-2-Clause */
/* Where things are in the guest's memory and on its disk: what guest.S and the host program agree on. */
#ifndef SYSTEM_LAYOUT_H
#define SYSTEM_LAYOUT_H

/* The disk, in sectors: the guest program, the job, one template of the world for each environment, the cases, the results. */
#define GUEST_SECTORS 16
#define JOB_SECTOR 16
#define RESULT_SECTOR 0x10000
#define SECTOR 512

/* Memory. The guest program is at GUEST; what the disk holds from JOB_SECTOR on is loaded to JOB. */
#define GUEST 0x7c00
#define MONITOR_STACK 0x7000
#define VECTOR_TSS 0xc000  /* 32 of them, TSS_SIZE bytes each */
#define MONITOR_TSS 0xcd00 /* the monitor's own */
#define REAL_BLOCK 0x7100  /* a copy of the world's register block, where real mode reaches it */
#define WORLD 0x10000      /* what a case may change */
#define BEFORE 0x14000     /* the world before the case ran */
#define TABLES 0x22000     /* page tables: seven pages; away from what a segment without limit reaches */
#define WINDOW 0x30000     /* eight linear pages whose entries are the case's */
#define JOB 0x100000
#define TEMPLATES (JOB + SECTOR)
#define CASES (TEMPLATES + 3 * WORLD_SIZE)
#define PROGRESS 0x3ff0000 /* survives a reset */
#define RESULTS 0x4000000
#define RAM_SIZE 0x8000000

/* The job: dwords. */
#define JOB_MAGIC 0   /* a number of this run, not 0 */
#define JOB_COUNT 4   /* cases */
#define JOB_SECTORS 8 /* to load from JOB_SECTOR on */

/* Progress, dwords. */
#define PROGRESS_MAGIC 0
#define PROGRESS_CASE 4   /* address of the case that runs */
#define PROGRESS_RESULT 8 /* address of its result */
#define PROGRESS_LEFT 12  /* cases that have not been begun */

/* A case: dwords; then patches of the world, an offset and a dword each. */
#define CASE_SIZE 0
#define CASE_NUMBER 4
#define CASE_ENVIRONMENT 8
#define CASE_PATCHES 12
#define CASE_HEAD 16
#define ENVIRONMENT_PROTECTED 0
#define ENVIRONMENT_LONG 1
#define ENVIRONMENT_REAL 2

/* A result: the number of the case and how many changes follow, an offset in the world and a dword each. */
#define RESULT_SHUTDOWN 0xffffffff /* instead of a count: the processor shut down */

/* The world, by offset. */
#define WORLD_SIZE 0x2000
#define W_IDT 0x000 /* or the interrupt vector table */
#define W_GDT 0x400
#define W_LDT 0x700
#define W_CR0 0x780 /* control registers and what follows: loaded before a case, stored after it */
#define W_CR2 0x784
#define W_CR3 0x788
#define W_CR4 0x78c
#define W_EFER 0x790
#define W_DR 0x794   /* 0 to 3, 6, 7 */
#define W_GDTR 0x7ac /* 6 or 10 bytes, stored only */
#define W_IDTR 0x7b8
#define W_LDTR 0x7c4
#define W_TR 0x7c6
#define W_VECTOR 0x7c8 /* that ended the case */
#define W_PUSHED 0x7cc /* bytes of error code */
#define W_ERROR 0x7d0
#define W_LINK 0x7d4    /* the task that was interrupted */
#define W_ENTRIES 0x7d8 /* eight page-table entries of eight bytes (legacy paging: the low dwords) */
#define W_MSR 0x818     /* MSR_COUNT of eight bytes */
#define MSR_COUNT 10
#define W_GPR 0x870      /* 16 of eight bytes */
#define W_FRAME 0x8f0    /* RIP, CS, RFLAGS, RSP, SS of eight bytes each */
#define W_SELECTOR 0x918 /* ES, CS, SS, DS, FS, GS, two bytes each; LDTR in W_LDTR */
#define W_TSS_A 0xa00    /* the task that a case begins in */
#define W_TSS_B 0xb00
#define W_TSS_C 0xc00
#define W_TSS_D 0xc80
#define W_TSS_64 0xd00
#define W_TSS_E 0xe00
#define W_CODE 0x1000
#define W_HANDLERS 0x1400 /* HANDLER_SIZE bytes for each vector */
#define HANDLER_SIZE 4
#define W_TARGETS 0x1500
#define W_STACKS 0x1800 /* STACK_SIZE bytes for each privilege level */
#define STACK_SIZE 0x100
#define W_IST 0x1c00
#define W_DATA 0x1d00

#define TSS_SIZE 0x68
#define IDT_LIMIT 0x3ff
#define GDT_LIMIT 0x2ff

/* Selectors that every world has. */
#define SEL_CODE32 0x08
#define SEL_DATA32 0x10
#define SEL_CODE64 0x18
#define SEL_CODE16 0x20
#define SEL_DATA16 0x28
#define SEL_MONITOR 0x30
#define SEL_TSS64 0x38
#define SEL_TSS_A 0x48
#define SEL_MENU 0x50    /* from here to SEL_VECTOR: the case's */
#define SEL_VECTOR 0x200 /* 32 TSS, one for each vector */

/* Page tables. */
#define T_PML4 (TABLES + 0x0000)
#define T_PDPT (TABLES + 0x1000)
#define T_PD (TABLES + 0x2000)
#define T_PT (TABLES + 0x3000)
#define T_PD_LEGACY (TABLES + 0x4000)
#define T_PT_LEGACY (TABLES + 0x5000)
#define T_PDPT_PAE (TABLES + 0x6000)

/* In the guest program: what vectors lead to, ENTRY_SIZE bytes each. */
#define LONG_ENTRIES 0x8800
#define REAL_ENTRIES 0x9000
#define ENTRY_SIZE 16

#define PORT_EXIT 0xf4       /* QEMU's isa-debug-exit */
#define PORT_SHUTDOWN 0x8900 /* Bochs */

#endif
