/* SPDX-License-Identifier: BSD-2-Clause */
/* How instructions look to a person: a line each, fields and operands below it. */
#include "program.h"

#include <inttypes.h>
#include <x86emu/forms.h>

/* --- the line ----------------------------------------------------------------------------------------------------- */

static enum part part_of(const struct layout *layout, unsigned at)
{
    if (at < layout->opcode)
        return PART_PREFIX;
    if (at < layout->modrm || at >= layout->end)
        return PART_OPCODE;
    if (at < layout->displacement)
        return PART_MODRM;
    return at < layout->immediate ? PART_DISPLACEMENT : PART_IMMEDIATE;
}

static void print_address(const struct step *step)
{
    colour(PART_ADDRESS);
    printf("%0*" PRIx64 "  ", step->mode == X86EMU_MODE_64 ? 16 : 8, step->address);
    colour(PART_PLAIN);
}

/* Much faster than printf(), of which there would be a call for each byte of a file. */
static void put_byte(uint8_t byte)
{
    putchar("0123456789abcdef"[byte >> 4]);
    putchar("0123456789abcdef"[byte & 15]);
}

static void print_instruction_bytes(const struct step *step)
{
    struct layout layout = layout_of(step->insn);

    for (unsigned n = 0; n < step->size; n++) {
        colour(part_of(&layout, n));
        put_byte(step->bytes[n]);
        colour(PART_PLAIN);
        putchar(' ');
    }
}

static void pad(size_t bytes)
{
    for (; bytes < 10; bytes++)
        fputs("   ", stdout);
    putchar(' ');
}

/* An address relative to RIP is known here. */
static void print_rip_note(const struct step *step)
{
    struct x86emu_operand op;

    for (unsigned n = 0; x86emu_insn_operand(step->insn, n, &op); n++) {
        uint64_t address;

        if (op.kind != X86EMU_OPERAND_MEM || op.mem.base.reg_class != X86EMU_REG_IP)
            continue;
        address = step->address + step->size + (uint64_t)op.mem.disp;
        colour(PART_NOTE);
        printf("  # 0x%" PRIx64, step->insn->address_size == 4 ? address & UINT32_MAX : address);
        colour(PART_PLAIN);
    }
}

static void print_instruction(const struct step *step)
{
    char text[X86EMU_FORMAT_ROOM];

    print_address(step);
    print_instruction_bytes(step);
    pad(step->size);
    x86emu_format(step->insn, step->address, text, sizeof(text));
    colour(PART_TEXT);
    fputs(text, stdout);
    colour(PART_PLAIN);
    print_rip_note(step);
    putchar('\n');
}

static void print_failure(const struct step *step)
{
    print_address(step);
    for (size_t n = 0; n < step->size; n++)
        printf("%02x ", step->bytes[n]);
    pad(step->size);
    colour(PART_ERROR);
    printf("(%s", status_text(step->status));
    if (step->status == X86EMU_DECODE_TRUNCATED)
        printf(": %u bytes at least", step->insn->length);
    putchar(')');
    colour(PART_PLAIN);
    putchar('\n');
}

/* --- fields ------------------------------------------------------------------------------------------------------- */

static void print_bits(const char *title, unsigned bits, const char *const *names, unsigned count)
{
    printf(" %s", title);
    for (unsigned n = 0; n < count; n++)
        if (bits & 1u << n)
            printf(" %s", names[n]);
    if (bits == 0)
        fputs(" none", stdout);
}

static void print_prefixes(const struct x86emu_insn *insn)
{
    static const char *const prefixes[] = {"lock", "repne", "rep", "66", "67", "segment"};
    static const char *const rex[] = {"b", "x", "r", "w", "b4", "x4", "r4", "present"};
    static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs"};

    fputs("   ", stdout);
    print_bits("prefixes:", insn->prefixes, prefixes, 6);
    print_bits("| rex:", insn->rex, rex, 8);
    printf(" | segment: %s\n", insn->segment < 6 ? segments[insn->segment] : "none");
}

/* EVEX by the names that the SDM has for its bits (Vol. 2, 2.7.1). */
static void print_vector(const struct x86emu_insn *insn)
{
    if (insn->vector_length == 0)
        return;
    printf("    vector: length %u, vvvv %u", insn->vector_length, insn->vvvv);
    if (insn->encoding == X86EMU_ENCODING_EVEX)
        printf(", evex %02x (z %u, L'L %u, b %u, aaa %u)", insn->evex, insn->evex >> 7, insn->evex >> 5 & 3,
               insn->evex >> 4 & 1, insn->evex & 7);
    putchar('\n');
}

static void print_encoding(const struct x86emu_insn *insn)
{
    printf("    encoding: %s, map %u, opcode %02x at %u", encoding_name(insn->encoding), insn->map, insn->opcode,
           insn->opcode_offset);
    if (layout_of(insn).modrm < layout_of(insn).displacement)
        printf(", modrm %02x (mod %u, reg %u, rm %u)", insn->modrm, insn->modrm >> 6, insn->modrm >> 3 & 7,
               insn->modrm & 7);
    if (layout_of(insn).displacement - layout_of(insn).modrm > 1)
        printf(", sib %02x", insn->sib);
    putchar('\n');
    print_vector(insn);
}

static void print_sizes(const struct x86emu_insn *insn)
{
    printf("    sizes: length %u, operand %u, address %u, displacement %u, immediate %u; mode %s\n", insn->length,
           insn->operand_size, insn->address_size, insn->disp_size, insn->imm_size, mode_name(insn->mode));
    if (insn->disp_size != 0)
        printf("    displacement: %s0x%" PRIx64 "\n", insn->disp < 0 ? "-" : "",
               insn->disp < 0 ? 0 - (uint64_t)insn->disp : (uint64_t)insn->disp);
    if (insn->imm_size != 0)
        printf("    immediate: 0x%" PRIx64 ", 0x%x\n", insn->imm, insn->imm2);
}

static void print_flags(const char *title, uint32_t flags)
{
    if (flags == 0)
        return;
    printf(" %s", title);
    for (unsigned bit = 0; bit < 32; bit++)
        if (flags & UINT32_C(1) << bit && flag_name(bit) != NULL)
            printf(" %s", flag_name(bit));
    putchar(';');
}

static void print_form(const struct x86emu_insn *insn)
{
    const struct x86emu_form_flags *flags = x86emu_form_flags(insn->form);

    printf("    form: %u, feature %s%s\n", insn->form, x86emu_feature_name(x86emu_form_feature(insn->form)),
           x86emu_form_is_privileged(insn->form) ? ", privileged" : "");
    if (!(flags->read | flags->written | flags->undefined | flags->set | flags->cleared))
        return;
    fputs("    flags:", stdout);
    print_flags("read", flags->read);
    print_flags("written", flags->written);
    print_flags("undefined", flags->undefined);
    print_flags("set", flags->set);
    print_flags("cleared", flags->cleared);
    putchar('\n');
}

/* What it does with memory that may be a device's. */
static void print_transfer(const struct x86emu_insn *insn)
{
    char text[X86EMU_FORMAT_ROOM];
    struct x86emu_transfer transfer;

    x86emu_insn_transfer(insn, &transfer);
    if (transfer.kind == X86EMU_TRANSFER_NONE)
        return;
    printf("    transfer: %s, operand %u", transfer_name(transfer.kind), transfer.operand);
    if (transfer.size != 0)
        printf(", %u bytes", transfer.size);
    printf(", %s", access_text(transfer.access));
    if (transfer.reg.reg_class != X86EMU_REG_NONE) {
        x86emu_format_register(transfer.reg, text, sizeof(text));
        printf(", %s", text);
    }
    if (transfer.kind == X86EMU_TRANSFER_STORE_IMM)
        printf(", 0x%" PRIx64, transfer.imm);
    puts(transfer.repeats ? ", repeated" : "");
}

/* --- operands ----------------------------------------------------------------------------------------------------- */

static void print_operands(const struct step *step)
{
    char text[X86EMU_FORMAT_ROOM];
    struct x86emu_operand op;

    for (unsigned n = 0; x86emu_insn_operand(step->insn, n, &op); n++) {
        x86emu_format_operand(step->insn, &op, step->address, text, sizeof(text));
        printf("    operand %u: %s: %s", n, kind_name(op.kind), text);
        if (op.size != 0)
            printf(", %u bytes", op.size);
        if (op.kind == X86EMU_OPERAND_REG || op.kind == X86EMU_OPERAND_MEM)
            printf(", %s", access_text(op.access));
        puts(op.implicit ? ", implicit" : "");
    }
}

void print_text(const struct step *step, const struct options *options)
{
    if (step->status != X86EMU_DECODE_OK) {
        print_failure(step);
        return;
    }
    print_instruction(step);
    if (options->fields) {
        print_prefixes(step->insn);
        print_encoding(step->insn);
        print_sizes(step->insn);
        print_form(step->insn);
        print_transfer(step->insn);
    }
    if (options->operands)
        print_operands(step);
}
