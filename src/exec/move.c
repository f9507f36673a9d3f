/* SPDX-License-Identifier: BSD-2-Clause */
/* Moving integers between registers, memory and immediates, with and without extension. */
#include "flags.h"
#include "generated/functions.h"

void x86emu_exec_mov(struct exec *x)
{
    write_operand(x, 0, read_operand(x, 1));
}

void x86emu_exec_movzx(struct exec *x)
{
    write_operand(x, 0, read_operand(x, 1));
}

void x86emu_exec_movsx(struct exec *x)
{
    write_operand(x, 0, sign_extend(read_operand(x, 1), operand_size(x, 1)));
}

void x86emu_exec_movsxd(struct exec *x)
{
    x86emu_exec_movsx(x);
}

/* With a memory operand it is locked, prefix or not. */
void x86emu_exec_xchg(struct exec *x)
{
    uint64_t a = read_operand(x, 0);
    uint64_t b = read_operand(x, 1);

    x->locked = true;
    write_operand(x, 0, b);
    write_operand(x, 1, a);
}

void x86emu_exec_lea(struct exec *x)
{
    struct logical address;

    if (x86emu_operand_address(x, 1, &address))
        write_operand(x, 0, address.offset);
}

/* The source is read, and a 32-bit destination zero-extended, whatever the condition says. */
void x86emu_exec_cmovcc(struct exec *x)
{
    uint64_t source = read_operand(x, 1);

    write_operand(x, 0, condition(x->rflags, x->insn->opcode) ? source : read_operand(x, 0));
}

void x86emu_exec_setcc(struct exec *x)
{
    write_operand(x, 0, condition(x->rflags, x->insn->opcode));
}

/* CBW, CWDE, CDQE */
void x86emu_exec_cbw(struct exec *x)
{
    x86emu_exec_movsx(x);
}

/* CWD, CDQ, CQO */
void x86emu_exec_cwd(struct exec *x)
{
    uint64_t value = read_operand(x, 1);

    write_operand(x, 0, 0 - sign_bit(value, operand_size(x, 1)));
}

void x86emu_exec_xlat(struct exec *x)
{
    x86emu_exec_mov(x);
}

void x86emu_exec_salc(struct exec *x)
{
    write_operand(x, 0, 0 - (x->rflags & X86EMU_RFLAGS_CF));
}

void x86emu_exec_lahf(struct exec *x)
{
    write_operand(x, 0, (x->rflags & STATUS_FLAGS & 0xff) | X86EMU_RFLAGS_FIXED);
}

void x86emu_exec_sahf(struct exec *x)
{
    stage_flags(x, read_operand(x, 0) & STATUS_FLAGS);
}
