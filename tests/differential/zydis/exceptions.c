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
    /* Processors that are neither Intel's nor AMD's current ones: VIA PadLock, Knights Corner. */
    {DIFFERENT_VALIDITY, "xstore xcrypt* xsha* montmul ccs_* vprefetch* clevict* delay spflt jk* kmerge* kandnr", ""},
    {DIFFERENT_VALIDITY, "kconcat* kand kandn kor kxnor kxor knot kmov kortest popcnt tzcnt lzcnt tzcnti kextract", ""},
    {DIFFERENT_VALIDITY, "vcvtsi2s* vcvtusi2s* vcvtsh2* vcvttsh2*", "W is ignored outside 64-bit mode (SDM Vol. 2)"},
    {DIFFERENT_VALIDITY, "rdpru", "F3 and F2 together: the last one counts"},
    {DIFFERENT_VALIDITY, "tdcall seamret seamops seamcall", "#UD outside 64-bit mode (SDM Vol. 3, TDX)"},
    {DIFFERENT_MNEMONIC, "pfrcpit1 pfrsqrt", "their names lack an r (APM Vol. 5, PFRCPIT1, PFRSQRT)"},
    {DIFFERENT_OPERANDS, "pf2i* pi2f* pfrcp pfrsqrt pswapd", "the destination is only written (APM Vol. 5)"},
    {DIFFERENT_MNEMONIC, "wbnoinvd", "F3 0F 09 (SDM Vol. 2, WBNOINVD)"},
    /* The vendor is Intel unless asked otherwise; Zydis accepts what either has. */
    {DIFFERENT_VALIDITY, "syscall sysret", "SDM Vol. 2, SYSCALL: #UD outside 64-bit mode"},
    /* Their flags. */
    {DIFFERENT_FLAGS, "sbb", "AF is defined (SDM Vol. 2, SBB)"},
    {DIFFERENT_FLAGS, "rol ror rcl rcr shl shr sar", "OF is defined for shifts and rotates by 1"},
    {DIFFERENT_FLAGS, "mov", "MOV to and from CR and DR: flags undefined (SDM Vol. 2)"},
    {DIFFERENT_FLAGS, "vptest vtestps vtestpd", "OF, SF, AF, PF are cleared (SDM Vol. 2, PTEST)"},
    {DIFFERENT_FLAGS, "blsi bextr", "CF, and CF and OF, are defined (SDM Vol. 2)"},
    {DIFFERENT_FLAGS, "clrssbsy rstorssp rdpru mcommit testui",
     "CF is written (SDM Vol. 2, CLRSSBSY; APM Vol. 3, RDPRU)"},
    {DIFFERENT_FLAGS, "uiret vm* syscall sysret int* iret*",
     "flags of the mode that is entered, not of this instruction"},
    /* Their operands. */
    {DIFFERENT_OPERANDS, "movs* stos* lods* cmps* scas* ins* outs*", "REP makes accesses conditional by prefix"},
    {DIFFERENT_OPERANDS, "cmpxchg*", "the destination is written in either case (SDM Vol. 2, CMPXCHG)"},
    {DIFFERENT_OPERANDS, "shld shrd", "written also when the count is 0, with its own value"},
    {DIFFERENT_OPERANDS, "bsf bsr", "not written when the source is 0"},
    {DIFFERENT_OPERANDS, "nop prefetch*", "an address or a register that is named, not read"},
    {DIFFERENT_OPERANDS, "movsxd", "66: 16 bits are read (SDM Vol. 2, MOVSXD)"},
    {DIFFERENT_OPERANDS, "lar lsl", "the selector is 16 bits; LSL writes only with ZF"},
    {DIFFERENT_OPERANDS, "vcmpph vcmpsh vfpclassph vfpclasssh", "a mask result is zeroed, not merged (SDM 15.6.1.2)"},
    {DIFFERENT_OPERANDS, "call jmp ret", "far: CS is written"},
    {DIFFERENT_OPERANDS, "iret* pusha* popa* enter leave xlat", "stack frame and XLAT's index as SDM Vol. 2 has them"},
    {DIFFERENT_OPERANDS, "movdir64b enqcmd*", "the destination is named by its register"},
    {DIFFERENT_OPERANDS, "extrq insertq", "the destination is read too (APM Vol. 4)"},
    {DIFFERENT_OPERANDS, "llwpcb slwpcb lwpins lwpval", "LWP operands as APM Vol. 3 has them"},
    {DIFFERENT_OPERANDS, "xsave* xrstor* encl* pconfig getsec", "sizes and registers depend on the leaf or on XCR0"},
    {DIFFERENT_OPERANDS, "monitor* mwait* umwait tpause senduipi vpcmpestr*", "register widths as SDM Vol. 2 has them"},
    {DIFFERENT_OPERANDS, "bndldx bndstx bndmov", "bounds are 64 bits in 64-bit mode whatever 67 says (SDM Vol. 1)"},
    {DIFFERENT_OPERANDS, "sysenter sysexit sysret", "registers of the mode that is entered"},
    {DIFFERENT_OPERANDS, "ftst fxam fnstsw frstor fnsave fldenv fnstenv", "x87: 94 and 14 bytes only with 66"},
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
