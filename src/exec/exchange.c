/* SPDX-License-Identifier: BSD-2-Clause */
/* Compare-and-exchange and exchange-and-add (SDM Vol. 2, CMPXCHG, CMPXCHG8B/CMPXCHG16B, XADD, CMPccXADD). */
#include "flags.h"
#include "generated/functions.h"
#include "memory.h"

/*
 * Memory is written in either case, which a lock needs; a register only when they are equal, so that a 32-bit one keeps
 * its upper half. The accumulator is written only when they differ.
 */
void x86emu_exec_cmpxchg(struct exec *x)
{
    unsigned size = operand_size(x, 0);
    uint64_t destination = read_operand(x, 0);
    uint64_t source = read_operand(x, 1);
    uint64_t accumulator = gpr(x, X86EMU_RAX) & size_mask(size);
    struct result comparison = subtract_with_borrow(accumulator, destination, 0, size);
    bool equal = comparison.value == 0;

    if (equal || operand(x, 0)->kind == X86EMU_OPERAND_MEM)
        write_operand(x, 0, equal ? source : destination);
    if (!equal)
        x86emu_gpr_stage(x, X86EMU_RAX, size, destination);
    stage_flags(x, comparison.flags);
}

void x86emu_exec_xadd(struct exec *x)
{
    uint64_t destination = read_operand(x, 0);
    uint64_t source = read_operand(x, 1);
    struct result sum = add_with_carry(destination, source, 0, operand_size(x, 0));

    write_operand(x, 1, destination);
    write_operand(x, 0, sum.value);
    stage_flags(x, sum.flags);
}

/* Two registers as one value, each of half the operand's size. */
static void load_pair(struct exec *x, unsigned high, unsigned low, unsigned half, uint8_t *bytes)
{
    store_le(bytes, gpr(x, low), half);
    store_le(bytes + half, gpr(x, high), half);
}

/* #GP(0) unless the memory operand lies at a multiple of its size; found before any other fault of the address. */
static bool operand_aligned(struct exec *x, unsigned n)
{
    struct logical address;

    if (x->hint_direct)
        return true;
    if (!x86emu_operand_address(x, n, &address))
        return false;
    if ((address.offset + x86emu_segment_base(x, address.segment)) % operand_size(x, n) != 0)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return !x->stopped;
}

/* As with CMPXCHG, the destination is written in either case. */
void x86emu_exec_cmpxchg8b(struct exec *x)
{
    unsigned half = operand_size(x, 0) / 2;
    uint8_t found[16], expected[16], wanted[16];
    bool equal = true;

    if ((half == 8 && !operand_aligned(x, 0)) || !x86emu_operand_load(x, 0, found))
        return;
    load_pair(x, X86EMU_RDX, X86EMU_RAX, half, expected);
    load_pair(x, X86EMU_RCX, X86EMU_RBX, half, wanted);
    for (unsigned n = 0; n < 2 * half; n++)
        equal &= found[n] == expected[n];
    if (!x86emu_operand_store(x, 0, equal ? wanted : found))
        return;
    if (!equal) {
        x86emu_gpr_stage(x, X86EMU_RAX, half, load_le(found, half));
        x86emu_gpr_stage(x, X86EMU_RDX, half, load_le(found + half, half));
    }
    stage_flags(x, (x->rflags & STATUS_FLAGS & ~(uint64_t)X86EMU_RFLAGS_ZF) | (equal ? X86EMU_RFLAGS_ZF : 0));
}

/* Always locked, and naturally aligned. The condition is that of the comparison it makes itself. */
void x86emu_exec_cmpccxadd(struct exec *x)
{
    uint64_t destination, compared, added;
    struct result comparison;

    if (!operand_aligned(x, 0))
        return;
    x->locked = true;
    destination = read_operand(x, 0);
    compared = read_operand(x, 1);
    added = read_operand(x, 2);
    comparison = subtract_with_borrow(destination, compared, 0, operand_size(x, 0));
    write_operand(x, 0, condition(comparison.flags, x->insn->opcode & 0xf) ? destination + added : destination);
    write_operand(x, 1, destination);
    stage_flags(x, comparison.flags);
}

/* --- remote atomic operations (SDM Vol. 2, AADD, AAND, AOR, AXOR): no flags, no result but in memory ---------------- */

/* Naturally aligned, and atomic to other processors. False: stopped. */
static bool begin_remote(struct exec *x, uint64_t *there, uint64_t *operand_value)
{
    if (!operand_aligned(x, 0))
        return false;
    x->locked = true;
    *there = read_operand(x, 0);
    *operand_value = read_operand(x, 1);
    return !x->stopped;
}

#define REMOTE(name, expression)             \
    void x86emu_exec_##name(struct exec *x)  \
    {                                        \
        uint64_t a, b;                       \
                                             \
        if (begin_remote(x, &a, &b))         \
            write_operand(x, 0, expression); \
    }

REMOTE(aadd, a + b)
REMOTE(aand, a &b)
REMOTE(aor, a | b)
REMOTE(axor, a ^ b)
