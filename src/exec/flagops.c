/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that do nothing, or whose row of the table says it all: flags that are always set or cleared. */
#include "flags.h"
#include "generated/functions.h"

void x86emu_exec_nop(struct exec *x)
{
    (void)x;
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
