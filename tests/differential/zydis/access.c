/* SPDX-License-Identifier: BSD-2-Clause */
/* What an instruction would do, described without executing it, held against Zydis's operands: memory, registers, address. */
#include "both.h"

#include <stdio.h>
#include <string.h>
#include <x86emu/insn.h>

/* --- registers ---------------------------------------------------------------------------------------------------- */

static void add(struct x86emu_registers *set, ZydisRegister reg)
{
    struct x86emu_reg ours = our_register(reg);
    uint32_t bit = UINT32_C(1) << (ours.number & 31);

    if (ours.reg_class >= X86EMU_REG_GPR8 && ours.reg_class <= X86EMU_REG_GPR64)
        set->gpr |= bit;
    else if (ours.reg_class >= X86EMU_REG_XMM && ours.reg_class <= X86EMU_REG_ZMM)
        set->vector |= bit;
    else if (ours.reg_class == X86EMU_REG_MASK)
        set->mask |= (uint8_t)bit;
    else if (ours.reg_class == X86EMU_REG_MMX)
        set->mmx |= (uint8_t)bit;
    else if (ours.reg_class == X86EMU_REG_SEGMENT)
        set->segment |= (uint8_t)bit;
    else if (ours.reg_class == X86EMU_REG_CR)
        set->control |= bit;
    else if (ours.reg_class == X86EMU_REG_DR)
        set->debug |= (uint16_t)bit;
    else if (ours.reg_class == X86EMU_REG_ST)
        set->x87 |= (uint8_t)bit;
    else if (ours.reg_class == X86EMU_REG_TMM)
        set->tile |= (uint8_t)bit;
}

static void their_registers(const struct both *both, struct x86emu_registers *read, struct x86emu_registers *written)
{
    memset(read, 0, sizeof(*read));
    memset(written, 0, sizeof(*written));
    for (unsigned n = 0; n < both->theirs.operand_count; n++) {
        const ZydisDecodedOperand *op = &both->operands[n];

        if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            add(read, op->mem.base);
            add(read, op->mem.index);
        } else if (op->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            if (op->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
                add(read, op->reg.value);
            if (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
                add(written, op->reg.value);
        }
    }
}

static bool same_set(const struct x86emu_registers *a, const struct x86emu_registers *b)
{
    return a->gpr == b->gpr && a->vector == b->vector && a->mask == b->mask && a->mmx == b->mmx &&
           a->segment == b->segment && a->control == b->control && a->debug == b->debug && a->x87 == b->x87 &&
           a->tile == b->tile;
}

static bool same_registers(const struct both *both, char *text, size_t room)
{
    struct x86emu_registers read, written, their_read, their_written;

    x86emu_insn_registers(&both->ours, &read, &written);
    their_registers(both, &their_read, &their_written);
    if (same_set(&read, &their_read) && same_set(&written, &their_written))
        return true;
    snprintf(text, room, "%s: registers read %x/%x written %x/%x, vectors %x/%x %x/%x, segments %x/%x %x/%x, x87 %x/%x",
             ZydisMnemonicGetString(both->theirs.mnemonic), read.gpr, their_read.gpr, written.gpr, their_written.gpr,
             read.vector, their_read.vector, written.vector, their_written.vector, read.segment, their_read.segment,
             written.segment, their_written.segment, read.x87, their_read.x87);
    return false;
}

/* --- transfers ---------------------------------------------------------------------------------------------------- */

/* Memory that isn't the stack's. */
static bool is_data(const ZydisDecodedOperand *op)
{
    ZydisRegister base = op->mem.base;
    bool stack = base == ZYDIS_REGISTER_SP || base == ZYDIS_REGISTER_ESP || base == ZYDIS_REGISTER_RSP ||
                 base == ZYDIS_REGISTER_BP || base == ZYDIS_REGISTER_EBP || base == ZYDIS_REGISTER_RBP;

    return op->type == ZYDIS_OPERAND_TYPE_MEMORY &&
           (op->mem.type == ZYDIS_MEMOP_TYPE_MEM || op->mem.type == ZYDIS_MEMOP_TYPE_VSIB) &&
           !(stack && op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN);
}

static const ZydisDecodedOperand *data_operand(const struct both *both)
{
    for (unsigned n = 0; n < both->theirs.operand_count; n++)
        if (is_data(&both->operands[n]))
            return &both->operands[n];
    return NULL;
}

static bool is_in(ZydisMnemonic mnemonic, ZydisMnemonic a, ZydisMnemonic b, ZydisMnemonic c)
{
    return mnemonic == a || mnemonic == b || mnemonic == c;
}

/* What their mnemonic, operands and their order mean in our terms. */
static unsigned their_kind(const struct both *both)
{
    ZydisMnemonic mnemonic = both->theirs.mnemonic;
    bool string = both->theirs.meta.category == ZYDIS_CATEGORY_STRINGOP;

    if (is_in(mnemonic, ZYDIS_MNEMONIC_MOV, ZYDIS_MNEMONIC_MOVNTI, ZYDIS_MNEMONIC_MOV))
        return both->operands[0].type != ZYDIS_OPERAND_TYPE_MEMORY      ? X86EMU_TRANSFER_LOAD
               : both->operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? X86EMU_TRANSFER_STORE_IMM
                                                                        : X86EMU_TRANSFER_STORE;
    if (mnemonic == ZYDIS_MNEMONIC_MOVZX)
        return X86EMU_TRANSFER_LOAD_ZERO;
    if (is_in(mnemonic, ZYDIS_MNEMONIC_MOVSX, ZYDIS_MNEMONIC_MOVSXD, ZYDIS_MNEMONIC_MOVSX))
        return X86EMU_TRANSFER_LOAD_SIGN;
    if (is_in(mnemonic, ZYDIS_MNEMONIC_LODSB, ZYDIS_MNEMONIC_LODSW, ZYDIS_MNEMONIC_LODSD) ||
        mnemonic == ZYDIS_MNEMONIC_LODSQ)
        return X86EMU_TRANSFER_STRING_LOAD;
    if (is_in(mnemonic, ZYDIS_MNEMONIC_STOSB, ZYDIS_MNEMONIC_STOSW, ZYDIS_MNEMONIC_STOSD) ||
        mnemonic == ZYDIS_MNEMONIC_STOSQ)
        return X86EMU_TRANSFER_STRING_STORE;
    if (string && (is_in(mnemonic, ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSW, ZYDIS_MNEMONIC_MOVSQ) ||
                   mnemonic == ZYDIS_MNEMONIC_MOVSD))
        return X86EMU_TRANSFER_STRING_MOVE;
    return X86EMU_TRANSFER_OTHER;
}

/* The register that memory is loaded to or stored from. */
static bool same_partner(const struct both *both, const struct x86emu_transfer *transfer)
{
    for (unsigned n = 0; n < both->theirs.operand_count; n++) {
        const ZydisDecodedOperand *op = &both->operands[n];
        struct x86emu_reg reg;

        if (op->type != ZYDIS_OPERAND_TYPE_REGISTER)
            continue;
        reg = our_register(op->reg.value);
        return reg.reg_class == transfer->reg.reg_class && reg.number == transfer->reg.number &&
               (transfer->reg_size * 8u == op->size || reg.reg_class == X86EMU_REG_SEGMENT);
    }
    return false;
}

static bool same_stored(const struct both *both, const struct x86emu_transfer *transfer)
{
    uint64_t mask = transfer->size == 8 ? ~UINT64_C(0) : (UINT64_C(1) << 8 * transfer->size) - 1;

    return ((transfer->imm ^ both->operands[1].imm.value.u) & mask) == 0;
}

static bool same_access_bits(const struct x86emu_transfer *transfer, const ZydisDecodedOperand *op)
{
    unsigned reads = transfer->access & (X86EMU_OPERAND_READ | X86EMU_OPERAND_MAY_READ);
    unsigned writes = transfer->access & (X86EMU_OPERAND_WRITTEN | X86EMU_OPERAND_MAY_WRITE);

    return (reads != 0) == ((op->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0) &&
           (writes != 0) == ((op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) && transfer->size * 8u == op->size;
}

static bool same_transfer(const struct both *both, char *text, size_t room)
{
    const ZydisDecodedOperand *op = data_operand(both);
    struct x86emu_transfer transfer;
    unsigned kind = op != NULL ? their_kind(both) : X86EMU_TRANSFER_NONE;
    bool same;

    x86emu_insn_transfer(&both->ours, &transfer);
    same = transfer.kind == kind && (op == NULL || same_access_bits(&transfer, op));
    if (kind == X86EMU_TRANSFER_STORE_IMM)
        same = same && same_stored(both, &transfer);
    else if (kind != X86EMU_TRANSFER_NONE && kind != X86EMU_TRANSFER_OTHER && kind != X86EMU_TRANSFER_STRING_MOVE)
        same = same && same_partner(both, &transfer);
    if (!same)
        snprintf(text, room, "%s: transfer kind %u/%u, access %u, size %u, register %u.%u of %u bytes, value %llx",
                 ZydisMnemonicGetString(both->theirs.mnemonic), transfer.kind, kind, transfer.access, transfer.size,
                 transfer.reg.reg_class, transfer.reg.number, transfer.reg_size, (unsigned long long)transfer.imm);
    return same;
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */

/* Where the instruction stands, and what is in register n: something with bits everywhere. */
static const uint64_t place = UINT64_C(0x123456789abcdef0);

static uint64_t value_of(unsigned n)
{
    return (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static const ZydisRegisterContext *context(void)
{
    static ZydisRegisterContext registers;

    if (registers.values[ZYDIS_REGISTER_RAX] != 0)
        return &registers;
    for (unsigned n = 0; n < 16; n++) {
        registers.values[ZYDIS_REGISTER_RAX + n] = value_of(n);
        registers.values[ZYDIS_REGISTER_EAX + n] = (uint32_t)value_of(n);
        registers.values[ZYDIS_REGISTER_AX + n] = (uint16_t)value_of(n);
    }
    return &registers;
}

static uint64_t truncated(uint64_t value, unsigned bytes)
{
    return bytes == 8 ? value : value & ((UINT64_C(1) << 8 * bytes) - 1);
}

/* The SDM's sum (Vol. 1, 3.7.5). */
static uint64_t our_address(const struct x86emu_insn *insn, const struct x86emu_operand *op)
{
    uint64_t sum = (uint64_t)op->mem.disp;

    if (op->mem.base.reg_class == X86EMU_REG_IP)
        sum += place + insn->length;
    else if (op->mem.base.reg_class != X86EMU_REG_NONE)
        sum += truncated(value_of(op->mem.base.number), insn->address_size);
    if (op->mem.index.reg_class != X86EMU_REG_NONE)
        sum += truncated(value_of(op->mem.index.number), insn->address_size) * op->mem.scale;
    return truncated(sum, insn->address_size);
}

static bool same_address(const struct both *both, char *text, size_t room)
{
    const ZydisDecodedOperand *other = data_operand(both);
    struct x86emu_transfer transfer;
    struct x86emu_operand op;
    ZyanU64 theirs;

    x86emu_insn_transfer(&both->ours, &transfer);
    if (other == NULL || other->mem.type != ZYDIS_MEMOP_TYPE_MEM ||
        !x86emu_insn_operand(&both->ours, transfer.operand, &op) ||
        !ZYAN_SUCCESS(ZydisCalcAbsoluteAddressEx(&both->theirs, other, place, context(), &theirs)) ||
        our_address(&both->ours, &op) == theirs)
        return true;
    snprintf(text, room, "%s: address %llx, theirs %llx", ZydisMnemonicGetString(both->theirs.mnemonic),
             (unsigned long long)our_address(&both->ours, &op), (unsigned long long)theirs);
    return false;
}

enum difference compare_access(const struct both *both, char *text, size_t room)
{
    bool same = same_transfer(both, text, room) && same_address(both, text, room) && same_registers(both, text, room);

    return same ? SAME : DIFFERENT_EFFECT;
}
