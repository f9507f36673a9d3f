/* SPDX-License-Identifier: BSD-2-Clause */
/* The differences from objdump that are meant, each with the manual's section that decides. */
#include "exceptions.h"

#include <string.h>

/* Names of ours, separated by blanks, a trailing * standing for any rest; "": any. theirs: what their text contains. */
static const struct {
    const char *names, *theirs, *reason;
} exceptions[] = {
    /* What it does not know. */
    {"lkgs pbndkb urdmsr uwrmsr vsha512* vpdpwu* vpdpwsud*", "(bad", "newer than binutils 2.40 (SDM Vol. 2)"},
    {"vsm3* vsm4*", "(bad", "newer than binutils 2.40 (SDM Vol. 2, VSM3MSG1; VSM4KEY4)"},
    {"tcmmrlfp16ps tcmmimfp16ps", "(bad", "newer than binutils 2.40 (SDM Vol. 2, TCMMIMFP16PS)"},
    {"rmpread", "(bad", "newer than binutils 2.40 (APM Vol. 3, RMPREAD)"},
    {"erets eretu", "clac", "newer than binutils 2.40 (SDM Vol. 2, ERETS)"},
    {"prefetchit*", "nop", "a hint or a NOP, which is a hint (SDM Vol. 2, PREFETCHh)"},
    {"fcom fcomp fxch fstp fstpnce", "(bad", "aliases at DC D0, D0 to DF of D9 to DF (APM Vol. 3, appendix A, x87)"},
    {"sfence lfence mfence", "(bad", "ModRM.rm is ignored (SDM Vol. 2, SFENCE)"},
    {"nop", "prefetch", "0F 0D with a register is a reserved NOP (SDM Vol. 2, table A-3)"},
    {"nop", "nop ", "the second operand of a reserved NOP isn't written"},
    {"nop", "xchg", "66 90"},
    {"salc", "(bad", "prefixes change nothing"},
    {"vmmcall", "vmgexit", "F2, F3: the same outside of SEV-ES (APM Vol. 3, VMGEXIT)"},
    /* Prefixes. */
    {"bsf bsr wbinvd rdpru vmmcall", "(bad", "66 or F2 without a meaning is ignored (SDM Vol. 2, 2.1.1)"},
    {"fwait", "rex", "9B is a prefix there"},
    {"k* vpmovm2* vpbroadcastm*", "(bad", "mask registers: VEX.B, EVEX.B and X are ignored; a processor says so too"},
    /* Widths of registers, where they don't matter. */
    {"vmovmskp* vpmovmskb pmovmskb lar lsl movmskp*", "r", "REX.W changes nothing (SDM Vol. 2, MOVMSKPS; LAR)"},
    {"mov", "s,", "a segment register takes 16 bits (SDM Vol. 2, MOV)"},
    {"ud0 ud1", "ud", "operands have 32 bits (SDM Vol. 2, UD)"},
    {"movsxd", "", "66: 16 bits are read, unless REX.W is there (SDM Vol. 2, MOVSXD)"},
    {"pclmulqdq vpclmulqdq", "hq", "only bits 0 and 4 of the immediate count (SDM Vol. 2, PCLMULQDQ)"},
    {"lfs lgs lss", "word", "REX.W: m16:64 (SDM Vol. 2, LDS/LES/LFS/LGS/LSS)"},
    {"jmp call", "far fword", "REX.W: m16:64 (SDM Vol. 2, JMP)"},
    {"vmovss vmovsd vmovsh", "mm", "L is ignored (SDM Vol. 2, MOVSD)"},
    {"lea", "s:[", "no segment takes part (SDM Vol. 2, LEA)"},
    {"vcvtdq2pd vcvtudq2pd", "-bad", "embedded rounding is ignored (SDM Vol. 2, VCVTDQ2PD)"},
    {"xbegin", "xbegin", "a displacement of 16 bits does not cut RIP (SDM Vol. 2, XBEGIN)"},
    {"vcvt*si2sd", "-bad", "EVEX.b changes nothing for 32-bit integers; a processor says so too"},
};

static bool matches(const char *pattern, size_t length, const char *name, size_t size)
{
    const char *star = memchr(pattern, '*', length);
    size_t head = star != NULL ? (size_t)(star - pattern) : length, rest = star != NULL ? length - head - 1 : 0;

    return size >= head + rest && (star != NULL || size == length) && strncmp(pattern, name, head) == 0 &&
           (star == NULL || strncmp(name + size - rest, star + 1, rest) == 0);
}

static bool in_list(const char *names, const char *text)
{
    while (*names != 0) {
        size_t length = strcspn(names, " ");

        if (matches(names, length, text, strcspn(text, " ")))
            return true;
        names += length + (names[length] == ' ');
    }
    return false;
}

/* 3DNow! with 66: they take XMM registers; there are none (APM Vol. 3, PFADD). */
static bool is_3dnow_mistake(const struct x86emu_insn *insn)
{
    return insn->encoding == X86EMU_ENCODING_3DNOW && insn->prefixes & X86EMU_PREFIX_66;
}

bool is_exception(const struct x86emu_insn *insn, const char *ours, const char *theirs)
{
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
        if (in_list(exceptions[i].names, ours) && strstr(theirs, exceptions[i].theirs) != NULL)
            return true;
    return is_3dnow_mistake(insn);
}
