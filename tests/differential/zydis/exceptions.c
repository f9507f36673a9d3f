/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of differences that are meant, each with the manual's section that decides. */
#include "exceptions.h"

#include <string.h>

/* Names separated by blanks; a trailing * stands for any rest. The name is ours, or theirs where ours is "invalid". */
static const struct {
    enum difference difference;
    const char *names;
    const char *reason;
} exceptions[] = {
    /* Extensions that are newer than Zydis 4.0.0. */
    {DIFFERENT_VALIDITY, "cmp*xadd", "SDM Vol. 2, CMPccXADD"},
    {DIFFERENT_VALIDITY, "vpdpb* vpmadd52*", "SDM Vol. 2, AVX-VNNI-INT8, AVX-IFMA"},
    {DIFFERENT_VALIDITY, "vsm3* vsm4* vsha512* vpdpw* tcmm*",
     "SDM Vol. 2, SM3, SM4, SHA512, AVX-VNNI-INT16, AMX-COMPLEX"},
    {DIFFERENT_VALIDITY, "urdmsr uwrmsr rdmsr pbndkb erets eretu rmpquery rmpread", "SDM Vol. 2 and 3, APM Vol. 3"},
    {DIFFERENT_MNEMONIC, "prefetchit* vmgexit rmpquery rmpread", "SDM Vol. 2, PREFETCHh; APM Vol. 3, VMGEXIT"},
    {DIFFERENT_VALIDITY, "vbcst* vcvtne*", "SDM Vol. 2, AVX-NE-CONVERT"},
    {DIFFERENT_VALIDITY, "tdpfp16ps wrmsrns rdmsrlist wrmsrlist lkgs aadd aand aor axor", "SDM Vol. 2 and 4"},
    {DIFFERENT_VALIDITY, "xstore xcrypt* xsha* montmul ccs_*", "VIA PadLock: neither SDM nor APM has them"},
    {DIFFERENT_VALIDITY, "vcvtsi2s* vcvtusi2s* vcvtsh2* vcvttsh2*", "W is ignored outside 64-bit mode (SDM Vol. 2)"},
    {DIFFERENT_VALIDITY, "rdpru", "F3 and F2 together: the last one counts"},
    {DIFFERENT_VALIDITY, "tdcall seamret seamops seamcall", "#UD outside 64-bit mode (SDM Vol. 3, TDX)"},
    {DIFFERENT_MNEMONIC, "pfrcpit1 pfrsqrt", "their names lack an r (APM Vol. 5, PFRCPIT1, PFRSQRT)"},
    {DIFFERENT_MNEMONIC, "wbnoinvd", "F3 0F 09 (SDM Vol. 2, WBNOINVD)"},
    /* The vendor is Intel unless asked otherwise; Zydis accepts what either has. */
    {DIFFERENT_VALIDITY, "syscall sysret", "SDM Vol. 2, SYSCALL: #UD outside 64-bit mode"},
    /* Their flags. */
    {DIFFERENT_FLAGS, "sbb", "AF is defined (SDM Vol. 2, SBB)"},
    {DIFFERENT_FLAGS, "rol ror rcl rcr shl shr sar", "OF is defined for shifts and rotates by 1"},
    {DIFFERENT_FLAGS, "cmps* scas*", "REPE tests the ZF that the instruction has written itself"},
    {DIFFERENT_FLAGS, "mov", "MOV to and from CR and DR: flags undefined (SDM Vol. 2)"},
    {DIFFERENT_FLAGS, "vptest vtestps vtestpd", "OF, SF, AF, PF are cleared (SDM Vol. 2, PTEST)"},
    {DIFFERENT_FLAGS, "blsi bextr", "CF, and CF and OF, are defined (SDM Vol. 2)"},
    {DIFFERENT_FLAGS, "clrssbsy rstorssp rdpru mcommit testui",
     "CF is written (SDM Vol. 2, CLRSSBSY; APM Vol. 3, RDPRU)"},
    {DIFFERENT_FLAGS, "uiret vm* syscall sysret int* iret*",
     "flags of the mode that is entered, not of this instruction"},
    /* Operands that are written in assembly. */
    {DIFFERENT_OPERANDS, "nop", "a reserved NOP may have ModRM.reg for an operand, or not (SDM Vol. 2, table A-3)"},
    {DIFFERENT_OPERANDS, "lar lsl", "the selector has 16 bits (SDM Vol. 2, LAR)"},
    {DIFFERENT_OPERANDS, "umwait tpause senduipi", "registers as wide as SDM Vol. 2 has them"},
    {DIFFERENT_OPERANDS, "fucomp", "one operand (SDM Vol. 2, FUCOMP)"},
    {DIFFERENT_OPERANDS, "vmload vmsave vmrun clzero skinit invlpga invlpgb pvalidate psmash rmp*",
     "registers are implied (APM Vol. 3)"},
    {DIFFERENT_OPERANDS, "bndcl bndcu bndcn bndmk bndldx bndstx bndmov", "67 changes nothing (SDM Vol. 1, E.4)"},
    {DIFFERENT_SIZES, "movsxd", "66: 16 bits are read (SDM Vol. 2, MOVSXD)"},
    {DIFFERENT_ACCESS, "cmpxchg*", "the destination is written in either case (SDM Vol. 2, CMPXCHG)"},
    {DIFFERENT_ACCESS, "shld shrd", "written also when the count is 0, with its own value"},
    {DIFFERENT_ACCESS, "bsf bsr", "not written when the source is 0 (SDM Vol. 2, BSF)"},
    {DIFFERENT_ACCESS, "lsl", "written only with ZF, never read (SDM Vol. 2, LSL)"},
    {DIFFERENT_ACCESS, "nop", "a register that is named, not read (SDM Vol. 2, NOP)"},
    {DIFFERENT_ACCESS, "vcmpph vcmpsh vfpclassph vfpclasssh", "a mask result is zeroed, not merged (SDM 15.6.1.2)"},
    {DIFFERENT_ACCESS, "extrq insertq", "the destination is read too (APM Vol. 4, EXTRQ)"},
    {DIFFERENT_ACCESS, "pf2i* pi2f* pfrcp pfrsqrt pswapd", "the destination is only written (APM Vol. 5)"},
    {DIFFERENT_ACCESS, "llwpcb lwpins lwpval", "operands are read (APM Vol. 3, LWPINS)"},
    /* Operands that are implied. */
    {DIFFERENT_IMPLICIT, "call jmp ret iret*", "far: CS is written (SDM Vol. 2, CALL)"},
    {DIFFERENT_IMPLICIT, "pusha*", "rSP is named once (SDM Vol. 2, PUSHA)"},
    {DIFFERENT_IMPLICIT, "leave", "rSP has the width of the stack (SDM Vol. 2, LEAVE)"},
    {DIFFERENT_IMPLICIT, "xlat", "AL is the index (SDM Vol. 2, XLAT)"},
    {DIFFERENT_IMPLICIT, "movdir64b enqcmd*", "the destination is named by its register"},
    {DIFFERENT_IMPLICIT, "encls enclu enclv pconfig", "registers depend on the leaf (SDM Vol. 3, 39.1)"},
    {DIFFERENT_IMPLICIT, "monitor* mwait* vpcmpestr*", "registers that count have 32 bits (SDM Vol. 2, MONITOR)"},
    {DIFFERENT_IMPLICIT, "sysenter sysret", "registers of the mode that is entered (SDM Vol. 2, SYSENTER)"},
    {DIFFERENT_IMPLICIT, "ftst fxam fnstsw", "ST(0) is only read; the status word is (SDM Vol. 2, FXAM)"},
    /* Effects. */
    {DIFFERENT_EFFECT, "cmps* scas* ins* outs*", "rSI, rDI move (SDM Vol. 2, CMPS)"},
    {DIFFERENT_EFFECT, "nop prefetch* clflush* clwb cldemote invlpg vgatherpf* vscatterpf*", "nothing is transferred"},
    /* Fields. */
    {DIFFERENT_FIELDS, "enqcmds lgdt", "#GP(0) unless CPL is 0 (SDM Vol. 2, ENQCMDS; LGDT)"},
    {DIFFERENT_FIELDS, "vmxon vmlaunch vmresume vmxoff clrssbsy", "#GP(0) unless CPL is 0 (SDM Vol. 3, chapter 31)"},
    {DIFFERENT_FIELDS, "bnd* encls enclu enclv", "67 changes nothing (SDM Vol. 1, E.4; SDM Vol. 3, 39.1)"},
    {DIFFERENT_FIELDS, "lldt ltr", "#UD outside protected mode comes before #GP (SDM Vol. 2, LLDT, LTR)"},
    {DIFFERENT_FIELDS, "clac stac monitor mwait", "#UD, not #GP, unless CPL is 0 (SDM Vol. 2, CLAC; MONITOR)"},
};

static int matches(const char *pattern, size_t length, const char *name)
{
    size_t star = 0;

    while (star < length && pattern[star] != '*')
        star++;
    if (strncmp(pattern, name, star) != 0)
        return 0;
    if (star == length)
        return name[length] == 0;
    length -= star + 1;
    return strlen(name) >= star + length && strncmp(name + strlen(name) - length, pattern + star + 1, length) == 0;
}

static int in_list(const char *names, const char *name)
{
    while (*names != 0) {
        size_t length = strcspn(names, " ");

        if (matches(names, length, name))
            return 1;
        names += length + (names[length] == ' ');
    }
    return 0;
}

int is_exception(enum difference difference, const char *our_name, const char *their_name)
{
    const char *name = strcmp(our_name, "invalid") == 0 ? their_name : our_name;

    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
        if (exceptions[i].difference == difference && in_list(exceptions[i].names, name))
            return 1;
    return 0;
}
