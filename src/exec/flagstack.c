/* SPDX-License-Identifier: BSD-2-Clause */
/* PUSHF, POPF, CLI, STI: flags that depend on privilege (SDM Vol. 2; Vol. 3, 21.3 and 21.4). */
#include "descriptor.h"
#include "generated/functions.h"
#include "stack.h"

static unsigned iopl(const struct exec *x)
{
    return (unsigned)(x->vcpu->rflags >> 12) & 3;
}

static bool in_vm86(const struct exec *x)
{
    return x->vcpu->rflags & X86EMU_RFLAGS_VM;
}

/* Virtual-8086 mode with IOPL below 3: with CR4.VME the 16-bit forms work on VIF. */
static bool vm86_virtual(struct exec *x)
{
    if (!in_vm86(x) || iopl(x) == 3)
        return false;
    if (!(x->vcpu->cr4 & X86EMU_CR4_VME) || x->insn->operand_size != 2)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return true;
}

void x86emu_exec_pushf(struct exec *x)
{
    uint64_t image = x->vcpu->rflags & ~(uint64_t)(X86EMU_RFLAGS_RF | X86EMU_RFLAGS_VM);

    if (vm86_virtual(x)) {
        image = (image & ~(uint64_t)X86EMU_RFLAGS_IF) | X86EMU_RFLAGS_IOPL;
        image |= image & X86EMU_RFLAGS_VIF ? X86EMU_RFLAGS_IF : 0;
    }
    x86emu_push(x, image, x->insn->operand_size);
}

/* Flags that POPF changes at this privilege. */
static uint64_t poppable(const struct exec *x)
{
    uint64_t mask = X86EMU_RFLAGS_CF | X86EMU_RFLAGS_PF | X86EMU_RFLAGS_AF | X86EMU_RFLAGS_ZF | X86EMU_RFLAGS_SF |
                    X86EMU_RFLAGS_TF | X86EMU_RFLAGS_DF | X86EMU_RFLAGS_OF | X86EMU_RFLAGS_NT | X86EMU_RFLAGS_AC |
                    X86EMU_RFLAGS_ID;

    if (x->cpl == 0)
        mask |= X86EMU_RFLAGS_IOPL;
    if (x->cpl <= iopl(x))
        mask |= X86EMU_RFLAGS_IF;
    return x->insn->operand_size == 2 ? mask & 0xffff : mask;
}

static void pop_virtual(struct exec *x, uint64_t image)
{
    bool sets_if = image & X86EMU_RFLAGS_IF;

    if (image & X86EMU_RFLAGS_TF || (sets_if && x->vcpu->rflags & X86EMU_RFLAGS_VIP)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    stage_rflags(x, image, poppable(x) & ~(uint64_t)X86EMU_RFLAGS_IF);
    stage_rflags(x, sets_if ? X86EMU_RFLAGS_VIF : 0, X86EMU_RFLAGS_VIF);
}

/* What the row says of flags is more than what privilege may leave; stage_rflags() takes all of them over. */
void x86emu_exec_popf(struct exec *x)
{
    bool is_virtual = vm86_virtual(x);
    uint64_t image = x86emu_pop(x, x->insn->operand_size);

    if (x->stopped)
        return;
    stage_rflags(x, x->vcpu->rflags, ~(uint64_t)X86EMU_RFLAGS_RF);
    if (is_virtual)
        pop_virtual(x, image);
    else
        stage_rflags(x, image, poppable(x));
}

/* Which flag CLI and STI work on: IF, VIF, or none (#GP). */
static uint64_t interrupt_flag(struct exec *x)
{
    bool pvi = x->cpl == 3 && x->vcpu->cr4 & X86EMU_CR4_PVI;

    if (!(x->vcpu->cr0 & X86EMU_CR0_PE) || x->cpl <= iopl(x))
        return X86EMU_RFLAGS_IF;
    if (in_vm86(x) ? x->vcpu->cr4 & X86EMU_CR4_VME : pvi)
        return X86EMU_RFLAGS_VIF;
    x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return 0;
}

void x86emu_exec_cli(struct exec *x)
{
    stage_rflags(x, x->vcpu->rflags & ~interrupt_flag(x), X86EMU_RFLAGS_IF | X86EMU_RFLAGS_VIF);
}

/* Interrupts wait for one more instruction when IF was clear (SDM Vol. 2, STI). */
void x86emu_exec_sti(struct exec *x)
{
    uint64_t flag = interrupt_flag(x);

    if (flag == X86EMU_RFLAGS_VIF && x->vcpu->rflags & X86EMU_RFLAGS_VIP) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    if (flag == X86EMU_RFLAGS_IF && !(x->vcpu->rflags & X86EMU_RFLAGS_IF))
        x->shadow = X86EMU_BLOCKED_BY_STI;
    stage_rflags(x, x->vcpu->rflags | flag, X86EMU_RFLAGS_IF | X86EMU_RFLAGS_VIF);
}
