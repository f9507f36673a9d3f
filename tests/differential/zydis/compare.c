/* SPDX-License-Identifier: BSD-2-Clause */
/* What Zydis's answer means in our terms. */
#include "compare.h"

#include "capstone.h"
#include "exceptions.h"

#include <Zydis/Zydis.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <x86emu/format.h>
#include <x86emu/insn.h>

static ZydisDecoder decoders[3];

const char *difference_name(enum difference difference)
{
    static const char *const names[DIFFERENCES] = {"same",     "validity", "length",    "mnemonic",
                                                   "operands", "flags",    "truncated", "capstone"};

    return names[difference];
}

bool compare_init(void)
{
    static const ZydisMachineMode modes[3] = {ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
                                              ZYDIS_MACHINE_MODE_LONG_64};
    static const ZydisStackWidth widths[3] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64};

    for (int mode = 0; mode < 3; mode++) {
        ZydisDecoderInit(&decoders[mode], modes[mode], widths[mode]);
        ZydisDecoderEnableMode(&decoders[mode], ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_TRUE);
    }
    return capstone_init();
}

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

static struct x86emu_reg our_register(ZydisRegister reg)
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
    if (theirs->type == ZYDIS_OPERAND_TYPE_MEMORY && theirs->mem.type == ZYDIS_MEMOP_TYPE_MEM)
        return ours->access == 0 || ours->size * 8u == theirs->size;
    return 1;
}

static int same_operand(const struct x86emu_operand *ours, const ZydisDecodedOperand *theirs)
{
    unsigned access = theirs->actions;

    if (theirs->type == ZYDIS_OPERAND_TYPE_MEMORY && !is_accessed(theirs))
        access = 0;
    if (theirs->type == ZYDIS_OPERAND_TYPE_IMMEDIATE || theirs->type == ZYDIS_OPERAND_TYPE_POINTER)
        access = ours->access;
    if (ours->access == 0 && ours->kind == X86EMU_OPERAND_MEM)
        access = 0; /* an address that is named but not accessed; Zydis says read */
    return same_place(ours, theirs) && same_size(ours, theirs) && ours->access == access;
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
        return (size_t)snprintf(text, room, " {reg %s a%u}", reg_text(op->reg, a), op->access);
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
        return (size_t)snprintf(text, room, " {reg %s a%u}", ZydisRegisterGetString(op->reg.value), op->actions);
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

struct both {
    struct x86emu_insn ours;
    ZydisDecodedInstruction theirs;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static void describe_both(const struct both *both, char *text, size_t room)
{
    struct x86emu_operand op;
    size_t at = 0;

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

static int has_operand(const struct both *both, const ZydisDecodedOperand *theirs)
{
    struct x86emu_operand op;

    for (unsigned n = 0; x86emu_insn_operand(&both->ours, n, &op); n++)
        if (same_operand(&op, theirs))
            return 1;
    return 0;
}

/* Every operand of theirs is one of ours, and there are as many. */
static int same_operands(const struct both *both)
{
    unsigned ours = 0, theirs = 0;
    struct x86emu_operand op;

    for (unsigned n = 0; x86emu_insn_operand(&both->ours, n, &op); n++)
        ours += !is_ours_ignored(&op);
    for (unsigned i = 0; i < both->theirs.operand_count; i++) {
        if (is_ignored(&both->operands[i]))
            continue;
        theirs++;
        if (!has_operand(both, &both->operands[i]))
            return 0;
    }
    return ours == theirs;
}

/* Operands that are written in assembly stand in the same order. */
static int same_order(const struct both *both)
{
    struct x86emu_operand op;
    unsigned n = 0;

    for (unsigned i = 0; i < both->theirs.operand_count; i++) {
        if (both->operands[i].visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
            continue;
        while (x86emu_insn_operand(&both->ours, n, &op) && !same_operand(&op, &both->operands[i]))
            n++;
        if (!x86emu_insn_operand(&both->ours, n++, &op))
            return 0;
    }
    return 1;
}

/* --- flags -------------------------------------------------------------------------------------------------------- */

static int same_flags(const struct both *both, char *text, size_t room)
{
    const uint32_t iopl_high = 1u << 13; /* Zydis names only the lower bit of IOPL */
    const struct x86emu_form_flags *row = x86emu_form_flags(both->ours.form);
    struct x86emu_form_flags wanted = {0}, masked = *row, *ours = &masked;
    const ZydisAccessedFlags *theirs = both->theirs.cpu_flags;

    masked.read &= ~iopl_high;
    masked.written &= ~iopl_high;

    if (theirs != NULL)
        wanted = (struct x86emu_form_flags){theirs->tested, theirs->modified, theirs->undefined, theirs->set_1,
                                            theirs->set_0};
    snprintf(text, room, "read %x/%x written %x/%x undefined %x/%x set %x/%x cleared %x/%x", ours->read, wanted.read,
             ours->written, wanted.written, ours->undefined, wanted.undefined, ours->set, wanted.set, ours->cleared,
             wanted.cleared);
    return ours->read == wanted.read && ours->written == wanted.written && ours->undefined == wanted.undefined &&
           ours->set == wanted.set && ours->cleared == wanted.cleared;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static enum difference compare_decoded(const struct both *both, char *text, size_t room)
{
    if (both->ours.length != both->theirs.length) {
        snprintf(text, room, "ours %u, theirs %u", both->ours.length, both->theirs.length);
        return DIFFERENT_LENGTH;
    }
    if (!same_operands(both) || !same_order(both)) {
        describe_both(both, text, room);
        return DIFFERENT_OPERANDS;
    }
    return same_flags(both, text, room) ? SAME : DIFFERENT_FLAGS;
}

/* SIB without base, 67 and REX.B: Zydis 4.0.0 takes r13d as the base (SDM Vol. 2, table 2-3, note 1). */
static int is_zydis_r13_bug(const struct both *both)
{
    const struct x86emu_insn *insn = &both->ours;

    return insn->mode == X86EMU_MODE_64 && insn->address_size == 4 && insn->rex & X86EMU_REX_B &&
           (insn->modrm & 0xc7) == 4 && (insn->sib & 7) == 5;
}

/* Every proper prefix of a valid instruction is truncated, and the bound is more than there is and at most the length. */
static enum difference check_prefixes(const struct x86emu_insn *insn, const uint8_t *bytes, unsigned mode, char *text,
                                      size_t room)
{
    for (unsigned size = 0; size < insn->length; size++) {
        struct x86emu_insn part;
        enum x86emu_decode_status status = x86emu_decode(&part, bytes, size, mode);

        if (status == X86EMU_DECODE_TRUNCATED && part.length > size && part.length <= insn->length)
            continue;
        snprintf(text, room, "%u of %u bytes: status %d, bound %u", size, insn->length, (int)status, part.length);
        return DIFFERENT_TRUNCATED;
    }
    return SAME;
}

/* Not what only Knights Corner had: EVEX with bit 10 of its payload clear (SDM Vol. 2, 2.7.1: fixed to 1). */
static int decode_theirs(struct both *both, const uint8_t *bytes, size_t size, unsigned mode)
{
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoders[mode & 3], bytes, size, &both->theirs, both->operands)) &&
           both->theirs.encoding != ZYDIS_INSTRUCTION_ENCODING_MVEX;
}

enum difference compare(const uint8_t *bytes, size_t size, unsigned mode, char *text, size_t text_size)
{
    struct both both;
    int ours = x86emu_decode(&both.ours, bytes, size, mode) == X86EMU_DECODE_OK;
    int theirs = decode_theirs(&both, bytes, size, mode);
    const char *our_name = ours ? x86emu_mnemonic_name(x86emu_form_mnemonic(both.ours.form)) : "invalid";
    const char *their_name = theirs ? ZydisMnemonicGetString(both.theirs.mnemonic) : "invalid";
    enum difference difference = SAME;

    snprintf(text, text_size, "ours %s, theirs %s", our_name, their_name);
    if (ours != theirs)
        difference = DIFFERENT_VALIDITY;
    else if (strcmp(our_name, their_name) != 0)
        difference = DIFFERENT_MNEMONIC;
    else if (ours)
        difference = compare_decoded(&both, text, text_size);
    if (ours && !capstone_agrees(&both.ours, bytes, size, text, text_size))
        return DIFFERENT_CAPSTONE;
    if (ours && (bytes[both.ours.length - 1u] & 3) == 0 && check_prefixes(&both.ours, bytes, mode, text, text_size))
        return DIFFERENT_TRUNCATED;
    if (difference == SAME || is_exception(difference, our_name, their_name) ||
        (difference == DIFFERENT_OPERANDS && is_zydis_r13_bug(&both)))
        return SAME;
    return difference;
}
