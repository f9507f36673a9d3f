/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of the library's constants, and where the parts of an instruction lie. */
#include "program.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *name_in(const char *const *names, size_t count, unsigned number)
{
    return number < count && names[number] != NULL ? names[number] : "?";
}

const char *mode_name(unsigned mode)
{
    static const char *const names[] = {[X86EMU_MODE_16] = "16", [X86EMU_MODE_32] = "32", [X86EMU_MODE_64] = "64"};

    return name_in(names, COUNT(names), mode);
}

const char *status_text(enum x86emu_decode_status status)
{
    static const char *const names[] = {
        [X86EMU_DECODE_OK] = "ok",
        [X86EMU_DECODE_TRUNCATED] = "truncated",
        [X86EMU_DECODE_INVALID] = "invalid",
        [X86EMU_DECODE_TOO_LONG] = "too long",
        [X86EMU_DECODE_BAD_MODE] = "bad mode",
    };

    return name_in(names, COUNT(names), status);
}

const char *encoding_name(unsigned encoding)
{
    static const char *const names[] = {
        [X86EMU_ENCODING_LEGACY] = "legacy", [X86EMU_ENCODING_3DNOW] = "3dnow", [X86EMU_ENCODING_XOP] = "xop",
        [X86EMU_ENCODING_VEX] = "vex",       [X86EMU_ENCODING_EVEX] = "evex",
    };

    return name_in(names, COUNT(names), encoding);
}

const char *kind_name(unsigned kind)
{
    static const char *const names[] = {
        [X86EMU_OPERAND_NONE] = "none",     [X86EMU_OPERAND_REG] = "register", [X86EMU_OPERAND_MEM] = "memory",
        [X86EMU_OPERAND_IMM] = "immediate", [X86EMU_OPERAND_REL] = "relative", [X86EMU_OPERAND_FAR] = "far",
    };

    return name_in(names, COUNT(names), kind);
}

const char *transfer_name(unsigned kind)
{
    static const char *const names[] = {
        [X86EMU_TRANSFER_NONE] = "none",
        [X86EMU_TRANSFER_LOAD] = "load",
        [X86EMU_TRANSFER_LOAD_ZERO] = "load, zero-extended",
        [X86EMU_TRANSFER_LOAD_SIGN] = "load, sign-extended",
        [X86EMU_TRANSFER_STORE] = "store",
        [X86EMU_TRANSFER_STORE_IMM] = "store of an immediate",
        [X86EMU_TRANSFER_STRING_LOAD] = "string load",
        [X86EMU_TRANSFER_STRING_STORE] = "string store",
        [X86EMU_TRANSFER_STRING_MOVE] = "string move",
        [X86EMU_TRANSFER_OTHER] = "other",
    };

    return name_in(names, COUNT(names), kind);
}

const char *class_name(unsigned reg_class)
{
    static const char *const names[] = {
        [X86EMU_REG_NONE] = "none",       [X86EMU_REG_GPR8] = "gpr8",   [X86EMU_REG_GPR8_HIGH] = "gpr8-high",
        [X86EMU_REG_GPR16] = "gpr16",     [X86EMU_REG_GPR32] = "gpr32", [X86EMU_REG_GPR64] = "gpr64",
        [X86EMU_REG_SEGMENT] = "segment", [X86EMU_REG_CR] = "control",  [X86EMU_REG_DR] = "debug",
        [X86EMU_REG_ST] = "x87",          [X86EMU_REG_MMX] = "mmx",     [X86EMU_REG_XMM] = "xmm",
        [X86EMU_REG_YMM] = "ymm",         [X86EMU_REG_ZMM] = "zmm",     [X86EMU_REG_MASK] = "mask",
        [X86EMU_REG_BND] = "bound",       [X86EMU_REG_TMM] = "tile",    [X86EMU_REG_IP] = "ip",
        [X86EMU_REG_SYSTEM] = "system",
    };

    return name_in(names, COUNT(names), reg_class);
}

const char *access_text(unsigned access)
{
    static const char *const reads[] = {"", "read", "maybe read", "read"};
    static const char *const writes[] = {"", "written", "maybe written", "written"};
    static char text[32];
    unsigned read = (access & X86EMU_OPERAND_READ ? 1u : 0u) | (access & X86EMU_OPERAND_MAY_READ ? 2u : 0u);
    unsigned write = (access & X86EMU_OPERAND_WRITTEN ? 1u : 0u) | (access & X86EMU_OPERAND_MAY_WRITE ? 2u : 0u);

    if (read == 0 && write == 0)
        return "not accessed";
    snprintf(text, sizeof(text), "%s%s%s", reads[read], read != 0 && write != 0 ? ", " : "", writes[write]);
    return text;
}

const char *flag_name(unsigned bit)
{
    static const char *const names[] = {
        [0] = "cf",  [2] = "pf",  [4] = "af",   [6] = "zf",    [7] = "sf",  [8] = "tf",
        [9] = "if",  [10] = "df", [11] = "of",  [12] = "iopl", [14] = "nt", [16] = "rf",
        [17] = "vm", [18] = "ac", [19] = "vif", [20] = "vip",  [21] = "id",
    };

    return bit < COUNT(names) ? names[bit] : NULL;
}

static unsigned modrm_size(const struct x86emu_insn *insn)
{
    return insn->modrm < 0xc0 && (insn->modrm & 7) == 4 && insn->address_size != 2 ? 2 : 1;
}

struct layout layout_of(const struct x86emu_insn *insn)
{
    unsigned length = insn->length;

    /* The opcode stands where others have an immediate. */
    if (insn->encoding == X86EMU_ENCODING_3DNOW) {
        unsigned displacement = length - 1 - insn->disp_size;

        return (struct layout){displacement - modrm_size(insn), displacement - modrm_size(insn), displacement,
                               length - 1, length - 1};
    }
    return (struct layout){insn->opcode_offset, insn->opcode_offset + 1u, length - insn->imm_size - insn->disp_size,
                           length - insn->imm_size, length};
}
