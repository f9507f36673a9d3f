/* SPDX-License-Identifier: BSD-2-Clause */
/* What Zydis's answer means in our terms. */
#include "compare.h"

#include "both.h"
#include "capstone.h"
#include "exceptions.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

static ZydisDecoder decoders[3];

const char *difference_name(enum difference difference)
{
    static const char *const names[DIFFERENCES] = {"same",   "validity",  "length",   "mnemonic", "operands",
                                                   "sizes",  "access",    "implicit", "flags",    "fields",
                                                   "effect", "truncated", "capstone"};

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
    enum difference difference;

    if (both->ours.length != both->theirs.length) {
        snprintf(text, room, "ours %u, theirs %u", both->ours.length, both->theirs.length);
        return DIFFERENT_LENGTH;
    }
    difference = compare_operands(both, text, room);
    if (difference == SAME && !same_flags(both, text, room))
        difference = DIFFERENT_FLAGS;
    if (difference == SAME)
        difference = compare_fields(both, text, room);
    if (difference == SAME)
        difference = compare_access(both, text, room);
    return difference;
}

/* SIB without base, 67 and REX.B: Zydis 4.0.0 takes r13d as the base (SDM Vol. 2, table 2-3, note 1). */
static int is_zydis_r13_bug(const struct both *both)
{
    const struct x86emu_insn *insn = &both->ours;

    return insn->mode == X86EMU_MODE_64 && insn->address_size == 4 && insn->rex & X86EMU_REX_B &&
           (insn->modrm & 0xc7) == 4 && (insn->sib & 7) == 5;
}

/* 3E in front of an indirect near branch: DS, and NOTRACK with CET, which is all they see in it (SDM Vol. 1, 17.3.1). */
static int is_notrack(const struct both *both)
{
    const struct x86emu_insn *insn = &both->ours;

    return insn->segment == X86EMU_DS && insn->map == 0 && insn->opcode == 0xff &&
           ((insn->modrm >> 3 & 7) == 2 || (insn->modrm >> 3 & 7) == 4);
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

/* What only Knights Corner had, some of it behind EVEX with its fixed bit cleared: not in the SDM. */
static int is_knights_corner(const ZydisDecodedInstruction *theirs)
{
    return theirs->encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX || theirs->meta.isa_ext == ZYDIS_ISA_EXT_KNC ||
           theirs->meta.isa_ext == ZYDIS_ISA_EXT_KNCE || theirs->meta.isa_ext == ZYDIS_ISA_EXT_KNCV;
}

static int decode_theirs(struct both *both, const uint8_t *bytes, size_t size, unsigned mode)
{
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoders[mode & 3], bytes, size, &both->theirs, both->operands)) &&
           !is_knights_corner(&both->theirs);
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
    if (ours && check_prefixes(&both.ours, bytes, mode, text, text_size))
        return DIFFERENT_TRUNCATED;
    if (difference == SAME || is_exception(difference, our_name, their_name) ||
        (difference == DIFFERENT_OPERANDS && (is_zydis_r13_bug(&both) || is_notrack(&both))))
        return SAME;
    return difference;
}
