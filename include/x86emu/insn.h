/* SPDX-License-Identifier: BSD-2-Clause */
/* Decoding: instruction bytes to struct x86emu_insn, and the questions one can ask about the result. */
#ifndef X86EMU_INSN_H
#define X86EMU_INSN_H

#include <x86emu/forms.h>
#include <x86emu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The architectural limit on the length of an instruction, in bytes (SDM Vol. 2, 2.3.11). */
#define X86EMU_MAX_INSN_LENGTH 15

/* The most operands one instruction has, implicit ones included. */
#define X86EMU_MAX_OPERANDS 12

/* How the opcode was reached. */
enum x86emu_encoding {
    X86EMU_ENCODING_LEGACY = 0,
    X86EMU_ENCODING_3DNOW = 1, /* 0F 0F, the opcode is the trailing byte */
    X86EMU_ENCODING_XOP = 2,
    X86EMU_ENCODING_VEX = 3,
    X86EMU_ENCODING_EVEX = 4,
};

/* Bits of x86emu_insn.prefixes. */
enum x86emu_prefix {
    X86EMU_PREFIX_LOCK = 1 << 0,  /* F0 */
    X86EMU_PREFIX_REPNE = 1 << 1, /* F2; the last of F2/F3 wins */
    X86EMU_PREFIX_REP = 1 << 2,   /* F3 */
    X86EMU_PREFIX_66 = 1 << 3,
    X86EMU_PREFIX_67 = 1 << 4,
    X86EMU_PREFIX_SEGMENT = 1 << 5, /* any of 26 2E 36 3E 64 65; x86emu_insn.segment holds the effective one */
};

/* Bits of x86emu_insn.rex. REX, VEX, XOP and EVEX all land here, un-inverted. */
enum x86emu_rex {
    X86EMU_REX_B = 1 << 0,
    X86EMU_REX_X = 1 << 1,
    X86EMU_REX_R = 1 << 2,
    X86EMU_REX_W = 1 << 3,
    X86EMU_REX_B4 = 1 << 4,      /* EVEX: bit 4 of ModRM.rm as a GPR base (APX) */
    X86EMU_REX_X4 = 1 << 5,      /* bit 4 of the VSIB index (EVEX.V') or of a GPR index (APX) */
    X86EMU_REX_R4 = 1 << 6,      /* EVEX.R' */
    X86EMU_REX_PRESENT = 1 << 7, /* a REX byte stood before the opcode: SPL..DIL instead of AH..BH */
};

/*
 * One decoded instruction (SDM Vol. 2, chapter 2). Plain data without pointers: it may be copied, kept, and read by
 * several threads. After X86EMU_DECODE_OK every field is valid; what an encoding doesn't have is 0 where nothing else
 * is said. Operands are not stored: ask for them with x86emu_insn_operand(), or read the fields.
 */
struct x86emu_insn {
    int64_t disp;  /* displacement, sign-extended, in bytes (EVEX disp8 has been multiplied); moffs: the address */
    uint64_t imm;  /* first immediate, extended to 64 bits as the form says; branch displacement: signed; far offset */
    uint16_t imm2; /* second immediate: ENTER level, EXTRQ/INSERTQ index, far selector, is4 byte */
    uint8_t prefixes; /* enum x86emu_prefix: bytes that stand there, also mandatory ones and those without effect */
    uint8_t segment;  /* effective override (ES..GS; in 64-bit mode FS, GS only), else X86EMU_NO_SEGMENT */
    uint8_t encoding; /* enum x86emu_encoding */
    uint8_t vvvv;     /* VEX/XOP/EVEX.vvvv with V' as bit 4, un-inverted; 0 when there is none */
    uint8_t vector_length; /* VEX, XOP, EVEX: 16, 32 or 64 bytes by L or L'L, also where a scalar ignores it; else 0 */
    uint8_t evex;          /* EVEX P2: aaa in bits 2:0, b in bit 4, L'L in 6:5, z in bit 7; else 0 */
    uint16_t form;         /* the row of the instruction table */
    uint8_t operand_size;  /* effective, in bytes: 1 for byte forms, else 2, 4 or 8; of no meaning for vectors */
    uint8_t length;        /* in bytes, 1 to 15, prefixes included */
    uint8_t rex;           /* enum x86emu_rex */
    uint8_t map;           /* 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A; VEX/XOP/EVEX: their map number */
    uint8_t opcode_offset; /* of the opcode byte itself, after prefixes and escapes; 3DNow!: it is the last byte */
    uint8_t opcode;
    uint8_t modrm;        /* 0xC0 when the form has none, so that "is memory" is modrm < 0xC0 */
    uint8_t sib;          /* 0 when there is none */
    uint8_t disp_size;    /* bytes of displacement in the encoding: 0, 1, 2, 4, 8 */
    uint8_t imm_size;     /* bytes of all immediates in the encoding */
    uint8_t mode;         /* enum x86emu_mode */
    uint8_t address_size; /* effective, in bytes: 2, 4 or 8 */
    uint8_t unused[2];
};

/* What decoding found. */
enum x86emu_decode_status {
    X86EMU_DECODE_OK = 0,        /* insn is filled */
    X86EMU_DECODE_TRUNCATED = 1, /* size bytes are not enough; insn->length: at least so many in all, at most 15 */
    X86EMU_DECODE_INVALID = 2,   /* the processor raises #UD */
    X86EMU_DECODE_TOO_LONG = 3,  /* more than 15 bytes: #GP(0) */
    X86EMU_DECODE_BAD_MODE = 4,  /* mode is not an enum x86emu_mode with x86emu_decode_option bits */
};

/*
 * Options, or-ed to the mode. Without any: the newest Intel processor.
 */
enum x86emu_decode_option {
    X86EMU_DECODE_AMD = 1 << 8,       /* 66-prefixed near branches, SYSCALL/SYSENTER by mode, … as AMD has them */
    X86EMU_DECODE_NO_LZCNT = 1 << 9,  /* F3 0F BD is BSR */
    X86EMU_DECODE_NO_TZCNT = 1 << 10, /* F3 0F BC is BSF */
    X86EMU_DECODE_NO_CET = 1 << 11,   /* ENDBR, RDSSP, … are reserved NOPs where they were */
    X86EMU_DECODE_NO_MPX = 1 << 12,   /* BND instructions are reserved NOPs */
    X86EMU_DECODE_NO_CLDEMOTE = 1 << 13,
    X86EMU_DECODE_NO_WBNOINVD = 1 << 14,
    X86EMU_DECODE_NO_PREFETCHI = 1 << 15,
};

/*
 * Decodes the instruction that begins at bytes, of which it reads no more than size, and no more than 15. mode: enum
 * x86emu_mode, or-ed with enum x86emu_decode_option. Pure: writes *insn, nothing else; bytes may be null if size is 0.
 *
 * After OK the instruction is legal by its encoding. That it may still raise #UD, #NM or #GP by the processor's state
 * (a feature that CPUID or CR4 lacks, CR0.TS, CPL) is not looked at: see x86emu_insn_allowed() and
 * x86emu_form_is_privileged(). After TRUNCATED only insn->length is valid; after the other failures no field is. An
 * answer other than TRUNCATED would be the same with more bytes behind these.
 */
enum x86emu_decode_status x86emu_decode(struct x86emu_insn *insn, const void *bytes, size_t size, unsigned mode);

/*
 * Whether a processor with these features has a decoded instruction; if not, it raises #UD. Decoded with
 * x86emu_features_options(), it is what that processor takes it for.
 */
bool x86emu_insn_allowed(const struct x86emu_insn *insn, const struct x86emu_features *features);

/* Kinds of operand. */
enum x86emu_operand_kind {
    X86EMU_OPERAND_NONE = 0,
    X86EMU_OPERAND_REG = 1,
    X86EMU_OPERAND_MEM = 2, /* memory, or an address that is not accessed (LEA, NOP, prefetch: access 0) */
    X86EMU_OPERAND_IMM = 3,
    X86EMU_OPERAND_REL = 4, /* branch displacement, relative to the next instruction */
    X86EMU_OPERAND_FAR = 5, /* ptr16:16 or ptr16:32 */
};

/* Register classes; a register is a class and a number. */
enum x86emu_reg_class {
    X86EMU_REG_NONE = 0,
    X86EMU_REG_GPR8,      /* AL CL DL BL SPL BPL SIL DIL R8B… */
    X86EMU_REG_GPR8_HIGH, /* AH CH DH BH, numbered 0 to 3 */
    X86EMU_REG_GPR16,
    X86EMU_REG_GPR32,
    X86EMU_REG_GPR64,
    X86EMU_REG_SEGMENT, /* enum x86emu_segment_name */
    X86EMU_REG_CR,
    X86EMU_REG_DR,
    X86EMU_REG_ST,
    X86EMU_REG_MMX,
    X86EMU_REG_XMM,
    X86EMU_REG_YMM,
    X86EMU_REG_ZMM,
    X86EMU_REG_MASK,
    X86EMU_REG_BND,
    X86EMU_REG_TMM,
    X86EMU_REG_IP,     /* RIP as an address base or written by a branch */
    X86EMU_REG_SYSTEM, /* enum x86emu_system_reg */
};

/* Numbers in X86EMU_REG_SYSTEM. */
enum x86emu_system_reg {
    X86EMU_SYSREG_FLAGS = 0,
    X86EMU_SYSREG_GDTR,
    X86EMU_SYSREG_IDTR,
    X86EMU_SYSREG_LDTR,
    X86EMU_SYSREG_TR,
    X86EMU_SYSREG_MXCSR,
    X86EMU_SYSREG_PKRU,
    X86EMU_SYSREG_XCR0,
    X86EMU_SYSREG_X87CONTROL,
    X86EMU_SYSREG_X87STATUS,
    X86EMU_SYSREG_X87TAG,
    X86EMU_SYSREG_SSP,
    X86EMU_SYSREG_UIF,
    X86EMU_SYSREG_MSR,
    X86EMU_SYSREG_TSC,
    X86EMU_SYSREG_TSCAUX,
};

struct x86emu_reg {
    uint8_t reg_class; /* enum x86emu_reg_class */
    uint8_t number;
};

/* How an operand is used: bits. */
enum x86emu_operand_access {
    X86EMU_OPERAND_READ = 1,
    X86EMU_OPERAND_WRITTEN = 2,
    X86EMU_OPERAND_MAY_READ = 4, /* only under a condition (CMOVcc, masks, REP with a zero count) */
    X86EMU_OPERAND_MAY_WRITE = 8,
};

/*
 * One operand, expanded. Fields that its kind has no use for are undefined: reg is for REG, mem and broadcast for MEM,
 * imm for IMM, REL and FAR, selector for FAR.
 *
 * The effective address is base + index * scale + disp, cut to insn->address_size; a base of class X86EMU_REG_IP stands
 * for the address of the next instruction (SDM Vol. 1, 3.7.5). BT, BTS, BTR and BTC with a register may access memory
 * beyond it (SDM Vol. 2, BT). The target of a REL is the address of the next instruction + imm, cut to the operand
 * size.
 */
struct x86emu_operand {
    uint8_t kind;      /* enum x86emu_operand_kind */
    uint8_t access;    /* enum x86emu_operand_access; IMM, REL and FAR are read */
    uint8_t implicit;  /* not written in assembly: stack memory, flags, fixed registers that the mnemonic names */
    uint8_t broadcast; /* EVEX.b on memory: number of elements the one read element is spread over, else 0 */
    uint16_t size;     /* bytes that take part; memory of tiles: 0, it depends; of XSAVE: 576, or more */
    struct x86emu_reg reg;
    struct {
        uint8_t segment; /* effective segment: override, or SS for a stack base, or DS; ES for string destinations */
        uint8_t scale;   /* 1, 2, 4 or 8, with an index */
        struct x86emu_reg base;
        struct x86emu_reg index; /* a vector register in VSIB addressing */
        int64_t disp;
    } mem;
    uint64_t imm;      /* value of IMM and REL (sign-extended where the form says so), offset of FAR */
    uint16_t selector; /* of FAR */
};

/*
 * Expands operand number n of a decoded instruction: explicit ones first, in Intel order, the mask of EVEX behind what
 * it masks; then implicit ones. False when there is none, and *operand is as it was. Flags are no operands: see
 * x86emu_form_flags().
 */
bool x86emu_insn_operand(const struct x86emu_insn *insn, unsigned n, struct x86emu_operand *operand);

/*
 * Expands all of them, or the first ones for which there is room, which is faster than one by one; answers how many there
 * are. Beyond that number operands[] is undefined.
 */
unsigned x86emu_insn_operands(const struct x86emu_insn *insn, struct x86emu_operand *operands, unsigned room);

/*
 * Registers as masks: bit n stands for number n, whatever part of it takes part; AH to BH count as AX to BX. What is
 * only perhaps read or written (see X86EMU_OPERAND_MAY_READ) is in the masks; registers that form an address are read,
 * and those that a string moves are written too. RIP is in none. Flags: x86emu_form_flags().
 */
struct x86emu_registers {
    uint32_t gpr;
    uint32_t vector; /* XMM, YMM, ZMM */
    uint32_t control;
    uint32_t system; /* enum x86emu_system_reg */
    uint16_t debug;
    uint8_t segment; /* enum x86emu_segment_name */
    uint8_t mask;    /* k0 to k7 */
    uint8_t x87;     /* ST(0) to ST(7), relative to the top */
    uint8_t mmx;
    uint8_t tile;
    uint8_t bound;
};

void x86emu_insn_registers(const struct x86emu_insn *insn, struct x86emu_registers *read,
                           struct x86emu_registers *written);

/*
 * What an instruction does with the memory that a device may be behind. Loads and stores are plain moves of general and
 * segment registers: a handler can finish them with what is here. All else is OTHER.
 */
enum x86emu_transfer_kind {
    X86EMU_TRANSFER_NONE = 0,        /* no memory but code and stack */
    X86EMU_TRANSFER_LOAD = 1,        /* memory to reg; 32-bit registers are extended with zeroes, smaller ones merged */
    X86EMU_TRANSFER_LOAD_ZERO = 2,   /* memory, extended with zeroes, to reg */
    X86EMU_TRANSFER_LOAD_SIGN = 3,   /* memory, sign-extended, to reg */
    X86EMU_TRANSFER_STORE = 4,       /* reg to memory */
    X86EMU_TRANSFER_STORE_IMM = 5,   /* imm to memory */
    X86EMU_TRANSFER_STRING_LOAD = 6, /* LODS: to reg */
    X86EMU_TRANSFER_STRING_STORE = 7, /* STOS: from reg */
    X86EMU_TRANSFER_STRING_MOVE = 8,  /* MOVS: operand reads, second operand writes, or the other way round */
    X86EMU_TRANSFER_OTHER = 9,        /* more than a transfer; access says whether it reads, writes or both */
};

/* An access described without executing it, for handlers of #VE and #VC and the like. */
struct x86emu_transfer {
    uint8_t kind;          /* enum x86emu_transfer_kind */
    uint8_t access;        /* enum x86emu_operand_access of the memory */
    uint8_t operand;       /* the number of the memory operand: see x86emu_insn_operand() */
    bool repeats;          /* REP: as often as rCX says, by address size; CMPS and SCAS: until ZF ends it */
    uint16_t size;         /* bytes of memory; of one element of a string; as x86emu_operand.size */
    uint16_t reg_size;     /* bytes of reg that take part: written, for LOAD_ZERO and LOAD_SIGN more than size */
    struct x86emu_reg reg; /* LOAD…, STORE, STRING_LOAD, STRING_STORE */
    uint64_t imm;          /* STORE_IMM, sign-extended as it is stored */
};

/*
 * Describes what a decoded instruction does with its first memory operand that is accessed and not the stack; kind is
 * NONE if there is none, and the other fields are 0. CMPS, MOVS to and from devices, and a few others, access a second
 * one: ask x86emu_insn_operand() for those behind transfer->operand. Where in memory: the operand's mem.
 */
void x86emu_insn_transfer(const struct x86emu_insn *insn, struct x86emu_transfer *transfer);

#ifdef __cplusplus
}
#endif

#endif
