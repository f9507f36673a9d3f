/* SPDX-License-Identifier: BSD-2-Clause */
/* What of an encoding is not in its operands: sizes and bytes, vector controls, privilege, prefixes that count. */
#include "both.h"

#include <stdio.h>
#include <string.h>

struct field {
    const char *name;
    unsigned ours, theirs;
};

static unsigned their_modrm(const ZydisDecodedInstruction *theirs)
{
    bool has = theirs->attributes & ZYDIS_ATTRIB_HAS_MODRM;

    return has ? (unsigned)(theirs->raw.modrm.mod << 6 | theirs->raw.modrm.reg << 3 | theirs->raw.modrm.rm) : 0xc0;
}

static unsigned their_sib(const ZydisDecodedInstruction *theirs)
{
    bool has = theirs->attributes & ZYDIS_ATTRIB_HAS_SIB;

    return has ? (unsigned)(theirs->raw.sib.scale << 6 | theirs->raw.sib.index << 3 | theirs->raw.sib.base) : 0;
}

static unsigned their_encoding(const ZydisDecodedInstruction *theirs)
{
    static const uint8_t encodings[] = {
        [ZYDIS_INSTRUCTION_ENCODING_LEGACY] = X86EMU_ENCODING_LEGACY,
        [ZYDIS_INSTRUCTION_ENCODING_3DNOW] = X86EMU_ENCODING_3DNOW,
        [ZYDIS_INSTRUCTION_ENCODING_XOP] = X86EMU_ENCODING_XOP,
        [ZYDIS_INSTRUCTION_ENCODING_VEX] = X86EMU_ENCODING_VEX,
        [ZYDIS_INSTRUCTION_ENCODING_EVEX] = X86EMU_ENCODING_EVEX,
    };

    return encodings[theirs->encoding];
}

/* Scalars: they answer 128 whatever L'L is; we answer L'L. */
static unsigned vector_length(const struct x86emu_insn *ours, const ZydisDecodedInstruction *theirs)
{
    return theirs->avx.vector_length == 128 && ours->vector_length != 0 ? 128 : ours->vector_length * 8u;
}

/* EVEX.z. A mask that is written is always zeroed, which they count too (SDM Vol. 1, 15.6.1.2). */
static unsigned zeroes(const struct both *both)
{
    struct x86emu_operand op;
    bool to_mask = x86emu_insn_operand(&both->ours, 0, &op) && op.reg.reg_class == X86EMU_REG_MASK;

    return !to_mask && (both->theirs.avx.mask.mode == ZYDIS_MASK_MODE_ZEROING ||
                        both->theirs.avx.mask.mode == ZYDIS_MASK_MODE_CONTROL_ZEROING);
}

/* --- what the text says ------------------------------------------------------------------------------------------- */

/* Rounding and {sae} as a number, by our text and by their fields. */
static unsigned rounding_in(const char *text)
{
    static const char *const names[] = {"{sae}", "{rn-sae}", "{rd-sae}", "{ru-sae}", "{rz-sae}"};

    for (unsigned n = 0; n < 5; n++)
        if (strstr(text, names[n]) != NULL)
            return n + 1;
    return 0;
}

static unsigned their_rounding(const ZydisDecodedInstruction *theirs)
{
    if (theirs->avx.rounding.mode != ZYDIS_ROUNDING_MODE_INVALID)
        return 1 + (unsigned)theirs->avx.rounding.mode;
    return theirs->avx.has_sae;
}

static const struct {
    const char *word;
    ZydisInstructionAttributes attribute;
} words[] = {
    {"lock ", ZYDIS_ATTRIB_HAS_LOCK},         {"rep ", ZYDIS_ATTRIB_HAS_REP}, {"repe ", ZYDIS_ATTRIB_HAS_REPE},
    {"repne ", ZYDIS_ATTRIB_HAS_REPNE},       {"bnd ", ZYDIS_ATTRIB_HAS_BND}, {"xacquire ", ZYDIS_ATTRIB_HAS_XACQUIRE},
    {"xrelease ", ZYDIS_ATTRIB_HAS_XRELEASE},
};

static bool has_word(const char *text, const char *word)
{
    const char *at = strstr(text, word);

    return at != NULL && (at == text || at[-1] == ' ');
}

/* Only looked at where there is something to write: it costs more than all the rest. */
static bool same_words(const struct both *both, char *text, size_t room)
{
    const struct x86emu_insn *ours = &both->ours;
    char line[X86EMU_FORMAT_ROOM];

    if (!(ours->prefixes & (X86EMU_PREFIX_LOCK | X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE)) && !(ours->evex & 0x10))
        return true;
    x86emu_format(ours, 0, line, sizeof(line));
    if (rounding_in(line) != their_rounding(&both->theirs)) {
        snprintf(text, room, "%s: rounding is %u there", line, their_rounding(&both->theirs));
        return false;
    }
    for (size_t n = 0; n < sizeof(words) / sizeof(words[0]); n++) {
        if (has_word(line, words[n].word) == ((both->theirs.attributes & words[n].attribute) != 0))
            continue;
        snprintf(text, room, "%s: '%s' is otherwise there", line, words[n].word);
        return false;
    }
    return true;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

enum difference compare_fields(const struct both *both, char *text, size_t room)
{
    const struct x86emu_insn *ours = &both->ours;
    const ZydisDecodedInstruction *theirs = &both->theirs;
    const struct field fields[] = {
        {"encoding", ours->encoding, their_encoding(theirs)},
        {"opcode", ours->opcode, theirs->opcode},
        {"modrm", ours->modrm, their_modrm(theirs)},
        {"sib", ours->sib, their_sib(theirs)},
        {"displacement size", ours->disp_size * 8u, theirs->raw.disp.size},
        {"immediate size", ours->imm_size * 8u, theirs->raw.imm[0].size + theirs->raw.imm[1].size},
        {"address size", ours->address_size * 8u, theirs->address_width},
        {"vector length", vector_length(ours, theirs), theirs->avx.vector_length},
        {"zeroing", ours->evex >> 7, zeroes(both)},
        {"mask", ours->evex & 7u,
         theirs->avx.mask.reg > ZYDIS_REGISTER_K0 ? theirs->avx.mask.reg - ZYDIS_REGISTER_K0 : 0u},
        {"privilege", x86emu_form_is_privileged(ours->form), (theirs->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0},
    };

    for (size_t n = 0; n < sizeof(fields) / sizeof(fields[0]); n++) {
        if (fields[n].ours == fields[n].theirs)
            continue;
        snprintf(text, room, "%s: %s: ours %u, theirs %u", ZydisMnemonicGetString(theirs->mnemonic), fields[n].name,
                 fields[n].ours, fields[n].theirs);
        return DIFFERENT_FIELDS;
    }
    return same_words(both, text, room) ? SAME : DIFFERENT_FIELDS;
}
