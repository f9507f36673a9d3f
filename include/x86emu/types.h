/* SPDX-License-Identifier: BSD-2-Clause */
/* The constants that decoder, memory management and emulator share: modes, access kinds, exception vectors. */
#ifndef X86EMU_TYPES_H
#define X86EMU_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Operand and address size of the code segment (SDM Vol. 3, 3.4.5; 64-bit mode: CS.L). */
enum x86emu_mode {
    X86EMU_MODE_16 = 0, /* real mode, virtual-8086 mode, 16-bit protected and compatibility mode */
    X86EMU_MODE_32 = 1, /* 32-bit protected and compatibility mode */
    X86EMU_MODE_64 = 2, /* 64-bit mode */
};

/* Segment registers in their encoding order (SDM Vol. 2, table B-8). */
enum x86emu_segment_name {
    X86EMU_ES = 0,
    X86EMU_CS = 1,
    X86EMU_SS = 2,
    X86EMU_DS = 3,
    X86EMU_FS = 4,
    X86EMU_GS = 5,
    X86EMU_NO_SEGMENT = 7,
};

/* General-purpose registers in their encoding order; r8 to r15 follow. */
enum x86emu_gpr {
    X86EMU_RAX = 0,
    X86EMU_RCX = 1,
    X86EMU_RDX = 2,
    X86EMU_RBX = 3,
    X86EMU_RSP = 4,
    X86EMU_RBP = 5,
    X86EMU_RSI = 6,
    X86EMU_RDI = 7,
};

/* What an access does. A bit mask, used for translations, regions and requests alike. */
enum x86emu_access {
    X86EMU_ACCESS_READ = 1,
    X86EMU_ACCESS_WRITE = 2,
    X86EMU_ACCESS_EXECUTE = 4,
};

/* Exception vectors (SDM Vol. 3, table 6-1). */
enum x86emu_vector {
    X86EMU_VECTOR_DE = 0,
    X86EMU_VECTOR_DB = 1,
    X86EMU_VECTOR_BP = 3,
    X86EMU_VECTOR_OF = 4,
    X86EMU_VECTOR_BR = 5,
    X86EMU_VECTOR_UD = 6,
    X86EMU_VECTOR_NM = 7,
    X86EMU_VECTOR_DF = 8,
    X86EMU_VECTOR_TS = 10,
    X86EMU_VECTOR_NP = 11,
    X86EMU_VECTOR_SS = 12,
    X86EMU_VECTOR_GP = 13,
    X86EMU_VECTOR_PF = 14,
    X86EMU_VECTOR_MF = 16,
    X86EMU_VECTOR_AC = 17,
    X86EMU_VECTOR_MC = 18,
    X86EMU_VECTOR_XM = 19,
    X86EMU_VECTOR_VE = 20,
    X86EMU_VECTOR_CP = 21,
};

/* RFLAGS bits (SDM Vol. 1, 3.4.3). */
enum x86emu_rflags {
    X86EMU_RFLAGS_CF = 1 << 0,
    X86EMU_RFLAGS_FIXED = 1 << 1, /* always 1 */
    X86EMU_RFLAGS_PF = 1 << 2,
    X86EMU_RFLAGS_AF = 1 << 4,
    X86EMU_RFLAGS_ZF = 1 << 6,
    X86EMU_RFLAGS_SF = 1 << 7,
    X86EMU_RFLAGS_TF = 1 << 8,
    X86EMU_RFLAGS_IF = 1 << 9,
    X86EMU_RFLAGS_DF = 1 << 10,
    X86EMU_RFLAGS_OF = 1 << 11,
    X86EMU_RFLAGS_IOPL = 3 << 12,
    X86EMU_RFLAGS_NT = 1 << 14,
    X86EMU_RFLAGS_RF = 1 << 16,
    X86EMU_RFLAGS_VM = 1 << 17,
    X86EMU_RFLAGS_AC = 1 << 18,
    X86EMU_RFLAGS_VIF = 1 << 19,
    X86EMU_RFLAGS_VIP = 1 << 20,
    X86EMU_RFLAGS_ID = 1 << 21,
};

/* CR0, CR4, DR6, DR7 and EFER bits (SDM Vol. 3, 2.5, 17.2 and 2.2.1). */
#define X86EMU_CR0_PE (UINT64_C(1) << 0)
#define X86EMU_CR0_MP (UINT64_C(1) << 1)
#define X86EMU_CR0_EM (UINT64_C(1) << 2)
#define X86EMU_CR0_TS (UINT64_C(1) << 3)
#define X86EMU_CR0_ET (UINT64_C(1) << 4)
#define X86EMU_CR0_NE (UINT64_C(1) << 5)
#define X86EMU_CR0_WP (UINT64_C(1) << 16)
#define X86EMU_CR0_AM (UINT64_C(1) << 18)
#define X86EMU_CR0_NW (UINT64_C(1) << 29)
#define X86EMU_CR0_CD (UINT64_C(1) << 30)
#define X86EMU_CR0_PG (UINT64_C(1) << 31)
#define X86EMU_CR4_VME (UINT64_C(1) << 0)
#define X86EMU_CR4_PVI (UINT64_C(1) << 1)
#define X86EMU_CR4_TSD (UINT64_C(1) << 2)
#define X86EMU_CR4_DE (UINT64_C(1) << 3)
#define X86EMU_CR4_PSE (UINT64_C(1) << 4)
#define X86EMU_CR4_PAE (UINT64_C(1) << 5)
#define X86EMU_CR4_MCE (UINT64_C(1) << 6)
#define X86EMU_CR4_PGE (UINT64_C(1) << 7)
#define X86EMU_CR4_PCE (UINT64_C(1) << 8)
#define X86EMU_CR4_OSFXSR (UINT64_C(1) << 9)
#define X86EMU_CR4_OSXMMEXCPT (UINT64_C(1) << 10)
#define X86EMU_CR4_UMIP (UINT64_C(1) << 11)
#define X86EMU_CR4_LA57 (UINT64_C(1) << 12)
#define X86EMU_CR4_FSGSBASE (UINT64_C(1) << 16)
#define X86EMU_CR4_PCIDE (UINT64_C(1) << 17)
#define X86EMU_CR4_OSXSAVE (UINT64_C(1) << 18)
#define X86EMU_CR4_SMEP (UINT64_C(1) << 20)
#define X86EMU_CR4_SMAP (UINT64_C(1) << 21)
#define X86EMU_CR4_PKE (UINT64_C(1) << 22)
#define X86EMU_CR4_CET (UINT64_C(1) << 23)
#define X86EMU_CR4_PKS (UINT64_C(1) << 24)
#define X86EMU_CR4_LASS (UINT64_C(1) << 27)
#define X86EMU_CR4_LAM_SUP (UINT64_C(1) << 28)
#define X86EMU_DR6_BD (UINT64_C(1) << 13)
#define X86EMU_DR6_BS (UINT64_C(1) << 14)
#define X86EMU_DR6_BT (UINT64_C(1) << 15)
#define X86EMU_DR7_GD (UINT64_C(1) << 13)
#define X86EMU_EFER_SCE (UINT64_C(1) << 0)
#define X86EMU_EFER_LME (UINT64_C(1) << 8)
#define X86EMU_EFER_LMA (UINT64_C(1) << 10)
#define X86EMU_EFER_NXE (UINT64_C(1) << 11)
#define X86EMU_EFER_FFXSR (UINT64_C(1) << 14)

#endif
