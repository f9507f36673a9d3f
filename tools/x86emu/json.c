/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions as JSON, an object a line. Numbers that may have 64 bits are strings, which every reader keeps whole. */
#include "program.h"

#include <inttypes.h>
#include <x86emu/forms.h>

/* Everything that is written is ASCII without quotes or backslashes: names of the library, digits. */
static void print_string(const char *name, const char *value)
{
    printf(",\"%s\":\"%s\"", name, value);
}

static void print_number(const char *name, unsigned value)
{
    printf(",\"%s\":%u", name, value);
}

static void print_bool(const char *name, bool value)
{
    printf(",\"%s\":%s", name, value ? "true" : "false");
}

static void print_wide(const char *name, uint64_t value)
{
    printf(",\"%s\":\"0x%" PRIx64 "\"", name, value);
}

static void print_signed(const char *name, int64_t value)
{
    printf(",\"%s\":\"%s0x%" PRIx64 "\"", name, value < 0 ? "-" : "",
           value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void print_register(const char *name, struct x86emu_reg reg)
{
    char text[X86EMU_FORMAT_ROOM];

    if (reg.reg_class == X86EMU_REG_NONE)
        return;
    x86emu_format_register(reg, text, sizeof(text));
    print_string(name, text);
}

static void print_begin(const struct step *step)
{
    printf("{\"address\":\"0x%" PRIx64 "\",\"bytes\":\"", step->address);
    for (size_t n = 0; n < step->size; n++)
        printf("%02x", step->bytes[n]);
    fputc('"', stdout);
    print_string("status", status_text(step->status));
}

static void print_segment(unsigned segment)
{
    if (segment != X86EMU_NO_SEGMENT)
        print_register("segment", (struct x86emu_reg){X86EMU_REG_SEGMENT, (uint8_t)segment});
}

static void print_fields(const struct x86emu_insn *insn)
{
    struct layout layout = layout_of(insn);

    print_number("mode", insn->mode == X86EMU_MODE_64 ? 64 : insn->mode == X86EMU_MODE_32 ? 32 : 16);
    print_string("encoding", encoding_name(insn->encoding));
    print_number("length", insn->length);
    print_number("operand_size", insn->operand_size);
    print_number("address_size", insn->address_size);
    print_number("vector_length", insn->vector_length);
    print_number("prefixes", insn->prefixes);
    print_segment(insn->segment);
    print_number("rex", insn->rex);
    print_number("map", insn->map);
    print_number("opcode", insn->opcode);
    print_number("opcode_offset", insn->opcode_offset);
    if (layout.modrm < layout.displacement)
        print_number("modrm", insn->modrm);
    if (layout.displacement - layout.modrm > 1)
        print_number("sib", insn->sib);
    print_number("vvvv", insn->vvvv);
    print_number("evex", insn->evex);
    print_number("disp_size", insn->disp_size);
    print_number("imm_size", insn->imm_size);
    if (insn->disp_size != 0)
        print_signed("disp", insn->disp);
    if (insn->imm_size != 0) {
        print_wide("imm", insn->imm);
        print_number("imm2", insn->imm2);
    }
}

static void print_flags(const char *name, uint32_t flags)
{
    const char *separator = "";

    printf("\"%s\":[", name);
    for (unsigned bit = 0; bit < 32; bit++) {
        if (!(flags & UINT32_C(1) << bit) || flag_name(bit) == NULL)
            continue;
        printf("%s\"%s\"", separator, flag_name(bit));
        separator = ",";
    }
    fputc(']', stdout);
}

static void print_form(const struct x86emu_insn *insn)
{
    const struct x86emu_form_flags *flags = x86emu_form_flags(insn->form);

    print_number("form", insn->form);
    print_string("feature", x86emu_feature_name(x86emu_form_feature(insn->form)));
    print_bool("privileged", x86emu_form_is_privileged(insn->form));
    fputs(",\"flags\":{", stdout);
    print_flags("read", flags->read);
    fputc(',', stdout);
    print_flags("written", flags->written);
    fputc(',', stdout);
    print_flags("undefined", flags->undefined);
    fputc(',', stdout);
    print_flags("set", flags->set);
    fputc(',', stdout);
    print_flags("cleared", flags->cleared);
    fputc('}', stdout);
}

static void print_memory(const struct x86emu_operand *op)
{
    print_segment(op->mem.segment);
    print_register("base", op->mem.base);
    print_register("index", op->mem.index);
    if (op->mem.index.reg_class != X86EMU_REG_NONE)
        print_number("scale", op->mem.scale);
    print_signed("disp", op->mem.disp);
    print_number("broadcast", op->broadcast);
}

static void print_value(const struct x86emu_operand *op)
{
    switch (op->kind) {
    case X86EMU_OPERAND_REG:
        print_register("register", op->reg);
        print_string("class", class_name(op->reg.reg_class));
        print_number("number", op->reg.number);
        break;
    case X86EMU_OPERAND_MEM:
        print_memory(op);
        break;
    case X86EMU_OPERAND_REL:
        print_signed("displacement", (int64_t)op->imm);
        break;
    case X86EMU_OPERAND_FAR:
        print_number("selector", op->selector);
        print_wide("offset", op->imm);
        break;
    default:
        print_wide("value", op->imm);
        break;
    }
}

static void print_operand(const struct step *step, const struct x86emu_operand *op)
{
    char text[X86EMU_FORMAT_ROOM];

    x86emu_format_operand(step->insn, op, step->address, text, sizeof(text));
    printf("{\"kind\":\"%s\"", kind_name(op->kind));
    print_string("text", text);
    print_number("size", op->size);
    print_bool("implicit", op->implicit);
    print_bool("read", op->access & X86EMU_OPERAND_READ);
    print_bool("written", op->access & X86EMU_OPERAND_WRITTEN);
    print_bool("maybe_read", op->access & X86EMU_OPERAND_MAY_READ);
    print_bool("maybe_written", op->access & X86EMU_OPERAND_MAY_WRITE);
    print_value(op);
    fputc('}', stdout);
}

static void print_operands(const struct step *step)
{
    struct x86emu_operand op;

    fputs(",\"operands\":[", stdout);
    for (unsigned n = 0; x86emu_insn_operand(step->insn, n, &op); n++) {
        if (n > 0)
            fputc(',', stdout);
        print_operand(step, &op);
    }
    fputc(']', stdout);
}

static void print_transfer(const struct x86emu_insn *insn)
{
    struct x86emu_transfer transfer;

    x86emu_insn_transfer(insn, &transfer);
    printf(",\"transfer\":{\"kind\":\"%s\"", transfer_name(transfer.kind));
    if (transfer.kind != X86EMU_TRANSFER_NONE) {
        print_number("operand", transfer.operand);
        print_number("size", transfer.size);
        print_bool("repeats", transfer.repeats);
        print_register("register", transfer.reg);
    }
    if (transfer.kind == X86EMU_TRANSFER_STORE_IMM)
        print_wide("value", transfer.imm);
    fputc('}', stdout);
}

/* Names of the general registers in a mask; the whole registers, by their names in 64-bit mode. */
static void print_mask(const char *name, uint32_t mask)
{
    const char *separator = "";

    printf("\"%s\":[", name);
    for (unsigned n = 0; n < 32; n++) {
        char text[X86EMU_FORMAT_ROOM];

        if (!(mask & UINT32_C(1) << n))
            continue;
        x86emu_format_register((struct x86emu_reg){X86EMU_REG_GPR64, (uint8_t)n}, text, sizeof(text));
        printf("%s\"%s\"", separator, text);
        separator = ",";
    }
    fputc(']', stdout);
}

static void print_general_registers(const struct x86emu_insn *insn)
{
    struct x86emu_registers read, written;

    x86emu_insn_registers(insn, &read, &written);
    fputs(",\"general_registers\":{", stdout);
    print_mask("read", read.gpr);
    fputc(',', stdout);
    print_mask("written", written.gpr);
    fputc('}', stdout);
}

void print_json(const struct step *step)
{
    char text[X86EMU_FORMAT_ROOM];

    print_begin(step);
    if (step->status == X86EMU_DECODE_OK) {
        x86emu_format(step->insn, step->address, text, sizeof(text));
        print_string("text", text);
        print_string("mnemonic", x86emu_mnemonic_name(x86emu_form_mnemonic(step->insn->form)));
        print_form(step->insn);
        print_fields(step->insn);
        print_operands(step);
        print_transfer(step->insn);
        print_general_registers(step->insn);
    } else if (step->status == X86EMU_DECODE_TRUNCATED) {
        print_number("needs", step->insn->length);
    }
    puts("}");
}
