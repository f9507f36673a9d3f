/* SPDX-License-Identifier: BSD-2-Clause */
/* Near control transfer (SDM Vol. 1, 6.4; Vol. 2, JMP, Jcc, CALL, RET, LOOPcc). */
#include "flags.h"
#include "generated/functions.h"
#include "stack.h"

/* Stages a new RIP, cut to the operand size and checked against the code segment. */
static void branch(struct exec *x, uint64_t target)
{
    target &= size_mask(x->insn->operand_size);
    if (x->stopped)
        return;
    if (x->mode == X86EMU_MODE_64 ? !x86emu_is_canonical(target, x->vcpu->cr4)
                                  : target > x->vcpu->segment[X86EMU_CS].limit) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    x->rip = target;
}

/* The target that operand 0 names: relative to the next instruction, or absolute. */
static uint64_t target_operand(struct exec *x)
{
    uint64_t value = read_operand(x, 0);

    return operand(x, 0)->kind == X86EMU_OPERAND_REL ? x->rip + value : value;
}

void x86emu_exec_jmp(struct exec *x)
{
    branch(x, target_operand(x));
}

void x86emu_exec_jcc(struct exec *x)
{
    if (condition(x->rflags, x->insn->opcode))
        branch(x, target_operand(x));
}

void x86emu_exec_call(struct exec *x)
{
    uint64_t target = target_operand(x);
    uint64_t next = x->rip;

    x86emu_push(x, next, x->insn->operand_size); /* processors find a fault here before one of the target */
    branch(x, target);
}

/* RET and RET imm16, which also frees that many bytes. */
void x86emu_exec_ret(struct exec *x)
{
    uint64_t target = x86emu_pop(x, x->insn->operand_size);

    if (operand(x, 0)->kind == X86EMU_OPERAND_IMM && !operand(x, 0)->implicit)
        x86emu_stack_move(x, x->insn->operand_size + (int64_t)read_operand(x, 0));
    branch(x, target);
}

static uint64_t count_register(struct exec *x)
{
    return gpr(x, X86EMU_RCX) & size_mask(x->insn->address_size);
}

/* RCX counts down whether or not the branch is taken; no flag changes. */
static void loop(struct exec *x, bool zf_allows)
{
    uint64_t count = (count_register(x) - 1) & size_mask(x->insn->address_size);

    x86emu_gpr_stage(x, X86EMU_RCX, x->insn->address_size, count);
    if (count != 0 && zf_allows)
        branch(x, target_operand(x));
}

void x86emu_exec_loop(struct exec *x)
{
    loop(x, true);
}

void x86emu_exec_loope(struct exec *x)
{
    loop(x, x->rflags & X86EMU_RFLAGS_ZF);
}

void x86emu_exec_loopne(struct exec *x)
{
    loop(x, !(x->rflags & X86EMU_RFLAGS_ZF));
}

void x86emu_exec_jcxz(struct exec *x)
{
    if (count_register(x) == 0)
        branch(x, target_operand(x));
}
