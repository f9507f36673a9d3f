/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a virtual processor as the emulator sees it, in groups that are loaded when an instruction needs them. */
#ifndef X86EMU_VCPU_H
#define X86EMU_VCPU_H

#include <x86emu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Groups of state. A group is valid in struct x86emu_vcpu when its bit is in .loaded. */
enum x86emu_state {
    X86EMU_STATE_GPR = 1 << 0,      /* gpr */
    X86EMU_STATE_RIP = 1 << 1,      /* rip, rflags, interruptibility, pending_debug */
    X86EMU_STATE_CS = 1 << 2,       /* segment[CS] */
    X86EMU_STATE_SS = 1 << 3,       /* segment[SS] */
    X86EMU_STATE_DATA = 1 << 4,     /* segment[DS], segment[ES] */
    X86EMU_STATE_FSGS = 1 << 5,     /* segment[FS], segment[GS] */
    X86EMU_STATE_TABLES = 1 << 6,   /* gdtr, idtr, ldtr, tr */
    X86EMU_STATE_CONTROL = 1 << 7,  /* cr0, cr3, cr4, efer */
    X86EMU_STATE_CR2 = 1 << 8,      /* cr2 */
    X86EMU_STATE_CR8 = 1 << 9,      /* cr8 */
    X86EMU_STATE_DEBUG = 1 << 10,   /* dr */
    X86EMU_STATE_PDPTE = 1 << 11,   /* pdpte: only asked for with PAE paging outside long mode */
    X86EMU_STATE_KEYS = 1 << 12,    /* pkru, pkrs: only asked for when CR4 enables protection keys */
    X86EMU_STATE_XCR0 = 1 << 13,    /* xcr0, xss */
    X86EMU_STATE_X87 = 1 << 14,     /* x87, MMX */
    X86EMU_STATE_VECTOR = 1 << 15,  /* zmm (low parts: XMM, YMM), mxcsr */
    X86EMU_STATE_OPMASK = 1 << 16,  /* k0 to k7 */
    X86EMU_STATE_SYSCALL = 1 << 17, /* star, lstar, cstar, fmask, kernel_gs_base, sysenter_* */
    X86EMU_STATE_ALL = (1 << 18) - 1,
};

/* A segment register with its hidden part. attributes as in the VMCS (SDM Vol. 3, table 25-2). */
struct x86emu_segment {
    uint64_t base;
    uint32_t limit; /* in bytes, granularity applied */
    uint16_t selector;
    uint16_t unused;
    uint32_t attributes; /* enum x86emu_segment_attribute */
};

enum x86emu_segment_attribute {
    X86EMU_SEGMENT_TYPE = 0xf, /* SDM Vol. 3, tables 3-1 and 3-2 */
    X86EMU_SEGMENT_S = 1 << 4, /* code or data */
    X86EMU_SEGMENT_DPL = 3 << 5,
    X86EMU_SEGMENT_P = 1 << 7,
    X86EMU_SEGMENT_AVL = 1 << 12,
    X86EMU_SEGMENT_L = 1 << 13,
    X86EMU_SEGMENT_DB = 1 << 14,
    X86EMU_SEGMENT_G = 1 << 15,
    X86EMU_SEGMENT_UNUSABLE = 1 << 16,
};

struct x86emu_table_register {
    uint64_t base;
    uint16_t limit;
};

/* vcpu.interruptibility: what must not be delivered before the next instruction (SDM Vol. 3, table 25-3). */
enum x86emu_interruptibility {
    X86EMU_BLOCKED_BY_STI = 1 << 0,
    X86EMU_BLOCKED_BY_MOV_SS = 1 << 1,
    X86EMU_BLOCKED_BY_NMI = 1 << 3,
};

union x86emu_vector_register {
    uint8_t u8[64];
    uint64_t u64[8];
};

struct x86emu_x87 {
    struct {
        uint64_t mantissa; /* also the MMX register */
        uint16_t exponent; /* with the sign in bit 15 */
    } st[8];               /* by physical register number */
    uint16_t control, status;
    uint16_t tag; /* two bits for each physical register */
    uint16_t opcode, cs, ds;
    uint64_t ip, dp;
};

/*
 * Filled by the caller, group by group; plain data. Registers that a group does not name stay untouched, and a group
 * whose bit is not in loaded is neither read nor written.
 */
struct x86emu_vcpu {
    uint32_t loaded;  /* enum x86emu_state: set by the caller */
    uint32_t changed; /* enum x86emu_state: groups that retired instructions wrote; cleared by the caller */

    uint64_t gpr[32]; /* 16 to 31: APX */
    uint64_t rip;
    uint64_t rflags;
    uint32_t interruptibility;
    uint32_t pending_debug; /* DR6.B0 to B3 of breakpoints that MOV SS has met: they trap after the next instruction */

    struct x86emu_segment segment[6]; /* by enum x86emu_segment_name */
    struct x86emu_segment ldtr, tr;
    struct x86emu_table_register gdtr, idtr;

    uint64_t cr0, cr2, cr3, cr4, cr8;
    uint64_t efer;
    uint64_t dr[8];
    uint64_t pdpte[4];
    uint64_t xcr0, xss;
    uint32_t pkru, pkrs;

    uint64_t star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;

    struct x86emu_x87 x87;
    union x86emu_vector_register zmm[32];
    uint64_t k[8];
    uint32_t mxcsr;
};

#ifdef __cplusplus
}
#endif

#endif
