/* SPDX-License-Identifier: BSD-2-Clause */
/* What must hold when any bytes are decoded, in any mode, with any options. */
#include "check.h"

#include <x86emu/insn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two bytes of input choose mode and options, the rest is decoded: two more bytes than any instruction has. */
#define MAX_BYTES (X86EMU_MAX_INSN_LENGTH + 2)

/* The widest operand, in bytes: XSAVE areas and the like have no fixed size and say so otherwise. */
#define MAX_OPERAND_SIZE 16384

struct result {
    struct x86emu_insn insn;
    enum x86emu_decode_status status;
};

/* Decodes from a heap block of exactly size bytes, so that AddressSanitizer sees a read beyond them. */
static struct result decode(const uint8_t *bytes, size_t size, unsigned mode)
{
    struct result result;
    uint8_t *copy = malloc(size);

    memset(&result, 0, sizeof(result));
    if (size > 0)
        memcpy(copy, bytes, size);
    result.status = x86emu_decode(&result.insn, copy, size, mode);
    free(copy);
    return result;
}

static bool same(const struct result *a, const struct result *b)
{
    return a->status == b->status && memcmp(&a->insn, &b->insn, sizeof(a->insn)) == 0;
}

static void check_register(const struct x86emu_reg *reg)
{
    CHECK(reg->reg_class <= X86EMU_REG_SYSTEM);
    CHECK(reg->number < 32);
}

static void check_memory(const struct x86emu_operand *operand)
{
    unsigned scale = operand->mem.scale;

    CHECK(operand->mem.segment <= X86EMU_GS || operand->mem.segment == X86EMU_NO_SEGMENT);
    CHECK(operand->mem.index.reg_class == X86EMU_REG_NONE || scale == 1 || scale == 2 || scale == 4 || scale == 8);
    check_register(&operand->mem.base);
    check_register(&operand->mem.index);
}

static void check_operand(const struct x86emu_operand *operand)
{
    CHECK(operand->kind >= X86EMU_OPERAND_REG && operand->kind <= X86EMU_OPERAND_FAR);
    CHECK(operand->access < 16);
    CHECK(operand->size <= MAX_OPERAND_SIZE);
    if (operand->kind == X86EMU_OPERAND_REG) {
        CHECK(operand->reg.reg_class != X86EMU_REG_NONE);
        check_register(&operand->reg);
    }
    if (operand->kind == X86EMU_OPERAND_MEM)
        check_memory(operand);
    if (operand->kind >= X86EMU_OPERAND_IMM)
        CHECK(operand->access == X86EMU_OPERAND_READ);
}

static void check_operands(const struct x86emu_insn *insn)
{
    struct x86emu_operand operand;
    unsigned count = 0;

    while (x86emu_insn_operand(insn, count, &operand)) {
        check_operand(&operand);
        CHECK(++count <= X86EMU_MAX_OPERANDS);
    }
    CHECK(!x86emu_insn_operand(insn, X86EMU_MAX_OPERANDS, &operand));
    CHECK(!x86emu_insn_operand(insn, ~0u, &operand));
}

/* What is described without executing: NONE is all zero, all else has memory that is accessed. */
static void check_description(const struct x86emu_insn *insn)
{
    static const struct x86emu_transfer none;
    struct x86emu_registers read, written;
    struct x86emu_transfer transfer;
    struct x86emu_operand operand;

    memset(&transfer, 0, sizeof(transfer));
    x86emu_insn_registers(insn, &read, &written);
    x86emu_insn_transfer(insn, &transfer);
    CHECK(transfer.kind <= X86EMU_TRANSFER_OTHER);
    if (transfer.kind == X86EMU_TRANSFER_NONE) {
        CHECK(memcmp(&transfer, &none, sizeof(none)) == 0);
        return;
    }
    CHECK(x86emu_insn_operand(insn, transfer.operand, &operand) && operand.kind == X86EMU_OPERAND_MEM);
    CHECK(transfer.access != 0 && transfer.access == operand.access && transfer.size == operand.size);
}

static void check_form(unsigned form)
{
    const struct x86emu_form_flags *flags = x86emu_form_flags(form);

    CHECK(form > 0 && form < X86EMU_FORM_COUNT);
    CHECK(x86emu_form_mnemonic(form) != 0);
    CHECK((flags->set & flags->cleared) == 0);
    x86emu_form_feature(form);
    x86emu_form_is_privileged(form);
}

/* A decoded instruction: its length decides, and nothing behind it matters. */
static void check_ok(const struct result *result, const uint8_t *bytes, size_t size, unsigned mode)
{
    const struct x86emu_insn *insn = &result->insn;
    struct result again;

    CHECK(insn->length >= 1 && insn->length <= X86EMU_MAX_INSN_LENGTH && insn->length <= size);
    CHECK(insn->mode == (mode & 0xff));
    CHECK(insn->opcode_offset < insn->length);
    CHECK(insn->disp_size + insn->imm_size < insn->length);
    again = decode(bytes, insn->length, mode);
    CHECK(same(result, &again));
    for (size_t less = 0; less < insn->length; less++) {
        again = decode(bytes, less, mode);
        CHECK(again.status == X86EMU_DECODE_TRUNCATED);
        CHECK(again.insn.length > less && again.insn.length <= insn->length);
    }
    check_form(insn->form);
    check_operands(insn);
    check_description(insn);
}

/* What can't become an instruction can't do so with more bytes either. */
static void check_refused(const struct result *result, const uint8_t *bytes, size_t size, unsigned mode)
{
    uint8_t longer[MAX_BYTES + 1];

    memcpy(longer, bytes, size);
    for (unsigned last = 0; last < 256; last += 51) {
        struct result again;

        longer[size] = (uint8_t)last;
        again = decode(longer, size + 1, mode);
        CHECK(again.status == result->status);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *bytes = data + 2;
    struct result result;
    unsigned mode;

    if (size < 2)
        return 0;
    mode = (data[0] & 0x83) | (unsigned)data[1] << 8;
    size = size - 2 < MAX_BYTES ? size - 2 : MAX_BYTES;
    result = decode(bytes, size, mode);
    switch (result.status) {
    case X86EMU_DECODE_OK:
        check_ok(&result, bytes, size, mode);
        break;
    case X86EMU_DECODE_TRUNCATED:
        CHECK(result.insn.length > size && result.insn.length <= X86EMU_MAX_INSN_LENGTH);
        break;
    case X86EMU_DECODE_INVALID:
    case X86EMU_DECODE_TOO_LONG:
        check_refused(&result, bytes, size, mode);
        break;
    default:
        CHECK(result.status == X86EMU_DECODE_BAD_MODE && (mode & 0xff) > X86EMU_MODE_64);
        break;
    }
    CHECK((result.status == X86EMU_DECODE_BAD_MODE) == ((mode & 0xff) > X86EMU_MODE_64));
    return 0;
}
