/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that do nothing, or next to nothing, or whose row of the table says it all: flags set or cleared. */
#include "flags.h"
#include "generated/functions.h"
#include "memory.h"

void x86emu_exec_nop(struct exec *x)
{
    (void)x;
}

/* Cache lines: the address is checked and translated as for a load; nothing is accessed, a device neither (C1). */
void x86emu_exec_clflush(struct exec *x)
{
    struct logical address;
    uint64_t la, gpa;

    if (x->hint_direct)
        x->emu->transaction.hint_used = true;
    else if (x86emu_operand_address(x, 0, &address) && x86emu_linear(x, address, 1, X86EMU_ACCESS_READ, &la))
        x86emu_translate(x, la, X86EMU_ACCESS_READ, &gpa);
}

void x86emu_exec_clc(struct exec *x)
{
    (void)x;
}

void x86emu_exec_stc(struct exec *x)
{
    (void)x;
}

void x86emu_exec_cld(struct exec *x)
{
    (void)x;
}

void x86emu_exec_std(struct exec *x)
{
    (void)x;
}

void x86emu_exec_cmc(struct exec *x)
{
    x->rflags ^= X86EMU_RFLAGS_CF;
}
