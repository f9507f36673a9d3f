/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID as the guest sees it: a 64-bit processor with SSE2 and what the library emulates, and no more. */
#include "machine.h"

#include <string.h>

enum {
    LEAF_1_EDX = 1 << 0 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 11 | 1 << 13 | 1 << 15 | 1 << 16 | 1 << 19 |
                 1 << 23 | 1 << 24 | 1 << 25 |
                 1 << 26,                     /* FPU PSE TSC MSR PAE CX8 SEP PGE CMOV PAT CLFSH MMX FXSR SSE SSE2 */
    LEAF_1_ECX = 1 << 13 | 1 << 22 | 1 << 23, /* CX16 MOVBE POPCNT */
    LEAF_7_EBX = 1 << 3 | 1 << 8,             /* BMI1 BMI2 */
    EXTENDED_EDX = 1 << 11 | 1 << 20 | 1 << 27 | 1 << 29, /* SYSCALL NX RDTSCP long mode */
    EXTENDED_ECX = 1 << 0 | 1 << 5,                       /* LAHF in 64-bit mode, LZCNT */
};

static void text(uint32_t answer[4], const char *sixteen)
{
    memcpy(answer, sixteen, 16);
}

void cpuid_answer(uint32_t leaf, uint32_t subleaf, uint32_t answer[4])
{
    memset(answer, 0, 16);
    switch (leaf) {
    case 0:
        answer[0] = 7;
        memcpy(&answer[1], "Genu", 4);
        memcpy(&answer[3], "ineI", 4);
        memcpy(&answer[2], "ntel", 4);
        break;
    case 1:
        answer[0] = 0x000006f1; /* family 6 */
        answer[1] = 8 << 8;     /* CLFLUSH: 64 bytes */
        answer[2] = LEAF_1_ECX;
        answer[3] = LEAF_1_EDX;
        break;
    case 7:
        answer[1] = subleaf == 0 ? LEAF_7_EBX : 0;
        break;
    case 0x80000000:
        answer[0] = 0x80000008;
        break;
    case 0x80000001:
        answer[2] = EXTENDED_ECX;
        answer[3] = EXTENDED_EDX;
        break;
    case 0x80000002:
        text(answer, "x86emu interpret");
        break;
    case 0x80000003:
        text(answer, "er              ");
        break;
    case 0x80000007:
        answer[3] = 1 << 8; /* invariant TSC */
        break;
    case 0x80000008:
        answer[0] = 36 | 48 << 8;
        break;
    default:
        break;
    }
}
