/* SPDX-License-Identifier: BSD-2-Clause */
/* What Zydis's operands are in our terms. */
#include "both.h"

#include <stdio.h>
#include <string.h>

/* --- registers ---------------------------------------------------------------------------------------------------- */

static struct x86emu_reg system_register(ZydisRegister reg)
{
    static const struct {
        ZydisRegister theirs;
        uint8_t ours;
    } table[] = {
        {ZYDIS_REGISTER_GDTR, X86EMU_SYSREG_GDTR},
        {ZYDIS_REGISTER_IDTR, X86EMU_SYSREG_IDTR},
        {ZYDIS_REGISTER_LDTR, X86EMU_SYSREG_LDTR},
        {ZYDIS_REGISTER_TR, X86EMU_SYSREG_TR},
        {ZYDIS_REGISTER_MXCSR, X86EMU_SYSREG_MXCSR},
        {ZYDIS_REGISTER_PKRU, X86EMU_SYSREG_PKRU},
        {ZYDIS_REGISTER_XCR0, X86EMU_SYSREG_XCR0},
        {ZYDIS_REGISTER_X87CONTROL, X86EMU_SYSREG_X87CONTROL},
        {ZYDIS_REGISTER_X87STATUS, X86EMU_SYSREG_X87STATUS},
        {ZYDIS_REGISTER_X87TAG, X86EMU_SYSREG_X87TAG},
        {ZYDIS_REGISTER_UIF, X86EMU_SYSREG_UIF},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].theirs == reg)
            return (struct x86emu_reg){X86EMU_REG_SYSTEM, table[i].ours};
    return (struct x86emu_reg){X86EMU_REG_NONE, 0};
}

struct x86emu_reg our_register(ZydisRegister reg)
{
    static const uint8_t classes[] = {
        [ZYDIS_REGCLASS_GPR8] = X86EMU_REG_GPR8,   [ZYDIS_REGCLASS_GPR16] = X86EMU_REG_GPR16,
        [ZYDIS_REGCLASS_GPR32] = X86EMU_REG_GPR32, [ZYDIS_REGCLASS_GPR64] = X86EMU_REG_GPR64,
        [ZYDIS_REGCLASS_X87] = X86EMU_REG_ST,      [ZYDIS_REGCLASS_MMX] = X86EMU_REG_MMX,
        [ZYDIS_REGCLASS_XMM] = X86EMU_REG_XMM,     [ZYDIS_REGCLASS_YMM] = X86EMU_REG_YMM,
        [ZYDIS_REGCLASS_ZMM] = X86EMU_REG_ZMM,     [ZYDIS_REGCLASS_TMM] = X86EMU_REG_TMM,
        [ZYDIS_REGCLASS_IP] = X86EMU_REG_IP,       [ZYDIS_REGCLASS_SEGMENT] = X86EMU_REG_SEGMENT,
        [ZYDIS_REGCLASS_CONTROL] = X86EMU_REG_CR,  [ZYDIS_REGCLASS_DEBUG] = X86EMU_REG_DR,
        [ZYDIS_REGCLASS_MASK] = X86EMU_REG_MASK,   [ZYDIS_REGCLASS_BOUND] = X86EMU_REG_BND,
    };
    ZydisRegisterClass reg_class = ZydisRegisterGetClass(reg);
    unsigned id = (unsigned)ZydisRegisterGetId(reg);

    if (reg == ZYDIS_REGISTER_NONE)
        return (struct x86emu_reg){X86EMU_REG_NONE, 0};
    if (reg_class == ZYDIS_REGCLASS_IP)
        return (struct x86emu_reg){X86EMU_REG_IP, 0};
    if (reg_class == ZYDIS_REGCLASS_GPR8 && reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
        return (struct x86emu_reg){X86EMU_REG_GPR8_HIGH, (uint8_t)(reg - ZYDIS_REGISTER_AH)};
    if (reg_class == ZYDIS_REGCLASS_GPR8)
        id = reg <= ZYDIS_REGISTER_BL ? (unsigned)(reg - ZYDIS_REGISTER_AL) : (unsigned)(reg - ZYDIS_REGISTER_SPL) + 4;
    if ((size_t)reg_class < sizeof(classes) && classes[reg_class] != 0)
        return (struct x86emu_reg){classes[reg_class], (uint8_t)id};
    return system_register(reg);
}

static int same_register(struct x86emu_reg a, struct x86emu_reg b)
{
    return a.reg_class == b.reg_class && (a.number == b.number || a.reg_class == X86EMU_REG_NONE);
}

/* --- operands ----------------------------------------------------------------------------------------------------- */

static int same_memory(const struct x86emu_operand *ours, const ZydisDecodedOperand *theirs)
{
    int moffs = ours->mem.base.reg_class == X86EMU_REG_NONE && ours->mem.index.reg_class == X86EMU_REG_NONE;
    struct x86emu_reg segment = our_register(theirs->mem.segment);
    struct x86emu_reg index = our_register(theirs->mem.index);
    int64_t disp = theirs->mem.disp.has_displacement ? theirs->mem.disp.value : 0;
    int64_t mask = !moffs ? -1 : ours->mem.disp >> 16 == 0 ? 0xffff : INT64_C(0xffffffff); /* they extend the sign */

    return ours->kind == X86EMU_OPERAND_MEM && (ours->access == 0 || segment.number == ours->mem.segment) &&
           same_register(ours->mem.base, our_register(theirs->mem.base)) && same_register(ours->mem.index, index) &&
           (index.reg_class == X86EMU_REG_NONE || theirs->mem.scale == 0 || ours->mem.scale == theirs->mem.scale) &&
           ((ours->mem.disp ^ disp) & mask) == 0;
}

static int same_immediate(const struct x86emu_operand *ours, const ZydisDecodedOperand *theirs)
{
    uint64_t value = theirs->imm.value.u;
    uint64_t mask = theirs->size >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << theirs->size) - 1;

    if (theirs->imm.is_relative)
        return ours->kind == X86EMU_OPERAND_REL && ours->imm == value;
    return ours->kind == X86EMU_OPERAND_IMM && ((ours->imm ^ value) & mask) == 0;
}

static int same_place(const struct x86emu_operand *ours, const ZydisDecodedOperand *theirs)
{
    switch (theirs->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        return ours->kind == X86EMU_OPERAND_REG && same_register(ours->reg, our_register(theirs->reg.value));
    case ZYDIS_OPERAND_TYPE_MEMORY:
        return same_memory(ours, theirs);
    case ZYDIS_OPERAND_TYPE_POINTER:
        return ours->kind == X86EMU_OPERAND_FAR && ours->selector == theirs->ptr.segment &&
               (uint32_t)ours->imm == theirs->ptr.offset;
    default:
        return same_immediate(ours, theirs);
    }
}

static int is_accessed(const ZydisDecodedOperand *theirs)
{
    return theirs->mem.type == ZYDIS_MEMOP_TYPE_MEM || theirs->mem.type == ZYDIS_MEMOP_TYPE_VSIB;
}

static int same_size(const struct x86emu_operand *ours, const ZydisDecodedOperand *theirs)
{
    if (theirs->type == ZYDIS_OPERAND_TYPE_MEMORY && is_accessed(theirs))
        return ours->access == 0 || ours->size * 8u == theirs->size;
    return 1;
}

/* An address that is named but not accessed: Zydis says that it is read. */
static int same_access(const struct x86emu_operand *ours, const ZydisDecodedOperand *theirs)
{
    if (ours->kind == X86EMU_OPERAND_MEM && (ours->access == 0 || !is_accessed(theirs)))
        return ours->access == 0;
    if (ours->kind == X86EMU_OPERAND_REG || ours->kind == X86EMU_OPERAND_MEM)
        return ours->access == theirs->actions;
    return 1;
}

static const char *reg_text(struct x86emu_reg reg, char *text)
{
    sprintf(text, "%u.%u", reg.reg_class, reg.number);
    return text;
}

static size_t describe(char *text, size_t room, const struct x86emu_operand *op)
{
    char a[16], b[16];

    switch (op->kind) {
    case X86EMU_OPERAND_REG:
        return (size_t)snprintf(text, room, " {reg %s size %u a%u%s}", reg_text(op->reg, a), op->size, op->access,
                                op->implicit ? " implicit" : "");
    case X86EMU_OPERAND_MEM:
        return (size_t)snprintf(text, room, " {mem s%u %s+%s*%u%+lld size %u a%u}", op->mem.segment,
                                reg_text(op->mem.base, a), reg_text(op->mem.index, b), op->mem.scale,
                                (long long)op->mem.disp, op->size, op->access);
    default:
        return (size_t)snprintf(text, room, " {%s %llx}", op->kind == X86EMU_OPERAND_REL ? "rel" : "imm",
                                (unsigned long long)op->imm);
    }
}

static size_t describe_theirs(char *text, size_t room, const ZydisDecodedOperand *op)
{
    switch (op->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        return (size_t)snprintf(text, room, " {reg %s a%u%s}", ZydisRegisterGetString(op->reg.value), op->actions,
                                op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN ? " hidden" : "");
    case ZYDIS_OPERAND_TYPE_MEMORY:
        return (size_t)snprintf(text, room, " {mem %s:%s+%s*%u%+lld size %u type %d a%u}",
                                ZydisRegisterGetString(op->mem.segment), ZydisRegisterGetString(op->mem.base),
                                ZydisRegisterGetString(op->mem.index), op->mem.scale, (long long)op->mem.disp.value,
                                op->size / 8, op->mem.type, op->actions);
    case ZYDIS_OPERAND_TYPE_POINTER:
        return (size_t)snprintf(text, room, " {far}");
    default:
        return (size_t)snprintf(text, room, " {imm %llx}", (unsigned long long)op->imm.value.u);
    }
}

static void describe_both(const struct both *both, char *text, size_t room)
{
    struct x86emu_operand op;
    size_t at = (size_t)snprintf(text, room, "%s:", ZydisMnemonicGetString(both->theirs.mnemonic));

    for (unsigned n = 0; x86emu_insn_operand(&both->ours, n, &op) && at < room; n++)
        at += describe(text + at, room - at, &op);
    if (at < room)
        at += (size_t)snprintf(text + at, room - at, " //");
    for (unsigned n = 0; n < both->theirs.operand_count && at < room; n++)
        at += describe_theirs(text + at, room - at, &both->operands[n]);
}

/* What neither side's convention settles: RIP, flags (compared as flags) and the x87 status word. */
static int is_ignored(const ZydisDecodedOperand *op)
{
    ZydisRegisterClass reg_class = ZydisRegisterGetClass(op->reg.value);

    return op->type == ZYDIS_OPERAND_TYPE_REGISTER && op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
           (reg_class == ZYDIS_REGCLASS_IP || reg_class == ZYDIS_REGCLASS_FLAGS ||
            op->reg.value == ZYDIS_REGISTER_X87STATUS);
}

static int is_ours_ignored(const struct x86emu_operand *op)
{
    return op->implicit && op->kind == X86EMU_OPERAND_REG && op->reg.reg_class == X86EMU_REG_IP;
}

/* The next operand from *n on that is written in assembly, or is not. */
static int next_ours(const struct both *both, unsigned *n, int implicit, struct x86emu_operand *op)
{
    while (x86emu_insn_operand(&both->ours, (*n)++, op))
        if (op->implicit == implicit && !is_ours_ignored(op))
            return 1;
    return 0;
}

static const ZydisDecodedOperand *next_theirs(const struct both *both, unsigned *n, int implicit)
{
    while (*n < both->theirs.operand_count) {
        const ZydisDecodedOperand *op = &both->operands[(*n)++];

        if ((op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN) == implicit && !is_ignored(op))
            return op;
    }
    return NULL;
}

/* Those that are written: the same ones in the same order. */
static enum difference compare_explicit(const struct both *both)
{
    enum difference worst = SAME;
    unsigned ours = 0, theirs = 0;
    const ZydisDecodedOperand *other;
    struct x86emu_operand op;

    while ((other = next_theirs(both, &theirs, 0)) != NULL) {
        if (!next_ours(both, &ours, 0, &op) || !same_place(&op, other))
            return DIFFERENT_OPERANDS;
        if (!same_size(&op, other))
            worst = DIFFERENT_SIZES;
        else if (!same_access(&op, other) && worst == SAME)
            worst = DIFFERENT_ACCESS;
    }
    return next_ours(both, &ours, 0, &op) ? DIFFERENT_OPERANDS : worst;
}

static int has_operand(const struct both *both, const ZydisDecodedOperand *theirs)
{
    struct x86emu_operand op;
    unsigned n = 0;

    while (next_ours(both, &n, 1, &op))
        if (same_place(&op, theirs) && same_size(&op, theirs) && same_access(&op, theirs))
            return 1;
    return 0;
}

/* Those that are not written: the same ones in any order. */
static int same_implicit(const struct both *both)
{
    unsigned ours = 0, theirs = 0, n = 0;
    const ZydisDecodedOperand *other;
    struct x86emu_operand op;

    for (; (other = next_theirs(both, &n, 1)) != NULL; theirs++)
        if (!has_operand(both, other))
            return 0;
    for (n = 0; next_ours(both, &n, 1, &op);)
        ours++;
    return ours == theirs;
}

/* Strings: memory is written in assembly or not, and REP makes accesses conditional or not; it must be the same memory. */
static bool is_string(const struct both *both)
{
    return both->theirs.meta.category == ZYDIS_CATEGORY_STRINGOP ||
           both->theirs.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

static unsigned count_memory(const struct both *both)
{
    struct x86emu_operand op;
    unsigned count = 0;

    for (unsigned n = 0; x86emu_insn_operand(&both->ours, n, &op); n++)
        count += op.kind == X86EMU_OPERAND_MEM;
    return count;
}

/* Read or written, both counting as such when they are conditional. */
static bool same_direction(const struct x86emu_operand *ours, const ZydisDecodedOperand *theirs)
{
    return ((ours->access & (X86EMU_OPERAND_READ | X86EMU_OPERAND_MAY_READ)) != 0) ==
               ((theirs->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0) &&
           ((ours->access & (X86EMU_OPERAND_WRITTEN | X86EMU_OPERAND_MAY_WRITE)) != 0) ==
               ((theirs->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0);
}

static enum difference compare_string(const struct both *both)
{
    unsigned count = 0, found = 0;

    for (unsigned i = 0; i < both->theirs.operand_count; i++) {
        const ZydisDecodedOperand *other = &both->operands[i];
        struct x86emu_operand op;

        if (other->type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        count++;
        for (unsigned n = 0; x86emu_insn_operand(&both->ours, n, &op); n++)
            found += same_place(&op, other) && same_size(&op, other) && same_direction(&op, other);
    }
    return found == count && count == count_memory(both) ? SAME : DIFFERENT_OPERANDS;
}

enum difference compare_operands(const struct both *both, char *text, size_t room)
{
    enum difference difference = is_string(both) ? compare_string(both) : compare_explicit(both);

    if (difference == SAME && !is_string(both) && !same_implicit(both))
        difference = DIFFERENT_IMPLICIT;
    if (difference != SAME)
        describe_both(both, text, room);
    return difference;
}
