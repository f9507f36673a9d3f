/* SPDX-License-Identifier: BSD-2-Clause */
/* Decimal adjustment (SDM Vol. 2, DAA, DAS, AAA, AAS, AAM, AAD). */
#include "flags.h"
#include "generated/functions.h"

static unsigned accumulator(struct exec *x)
{
    return (unsigned)gpr(x, X86EMU_RAX) & 0xffff;
}

static uint64_t carries(bool adjust, bool carry)
{
    return (adjust ? X86EMU_RFLAGS_AF : 0) | (carry ? X86EMU_RFLAGS_CF : 0);
}

/* Packed: what is added to, or subtracted from, AL. */
static void adjust_packed(struct exec *x, bool subtract)
{
    unsigned al = accumulator(x) & 0xff, amount = 0;
    bool adjust = (al & 0xf) > 9 || x->rflags & X86EMU_RFLAGS_AF;
    bool carry = al > 0x99 || x->rflags & X86EMU_RFLAGS_CF;
    bool borrow = subtract && adjust && al < 6; /* DAS: CF also tells of a borrow by the first step */

    amount = (adjust ? 6u : 0) + (carry ? 0x60u : 0);
    al = (subtract ? al - amount : al + amount) & 0xff;
    x86emu_gpr_stage(x, X86EMU_RAX, 1, al);
    stage_flags(x, flags_of_result(al, 1) | carries(adjust, carry || borrow));
}

void x86emu_exec_daa(struct exec *x)
{
    adjust_packed(x, false);
}

void x86emu_exec_das(struct exec *x)
{
    adjust_packed(x, true);
}

/* Unpacked: AX changes by 0x106, which carries from AL into AH. */
static void adjust_unpacked(struct exec *x, unsigned amount)
{
    unsigned ax = accumulator(x);
    bool adjust = (ax & 0xf) > 9 || x->rflags & X86EMU_RFLAGS_AF;

    if (adjust)
        ax += amount;
    ax &= 0xff0f;
    x86emu_gpr_stage(x, X86EMU_RAX, 2, ax);
    stage_flags(x, flags_of_result(ax, 1) | carries(adjust, adjust));
}

void x86emu_exec_aaa(struct exec *x)
{
    adjust_unpacked(x, 0x106);
}

void x86emu_exec_aas(struct exec *x)
{
    adjust_unpacked(x, 0u - 0x106);
}

void x86emu_exec_aam(struct exec *x)
{
    unsigned al = accumulator(x) & 0xff, base = (unsigned)x->insn->imm & 0xff;

    if (x->stopped)
        return;
    if (base == 0) {
        x86emu_raise(x, X86EMU_VECTOR_DE);
        return;
    }
    x86emu_gpr_stage(x, X86EMU_RAX, 2, al / base << 8 | al % base);
    stage_flags(x, flags_of_result(al % base, 1));
}

void x86emu_exec_aad(struct exec *x)
{
    unsigned ax = accumulator(x), al = ((ax & 0xff) + (ax >> 8) * ((unsigned)x->insn->imm & 0xff)) & 0xff;

    x86emu_gpr_stage(x, X86EMU_RAX, 2, al);
    stage_flags(x, flags_of_result(al, 1));
}
