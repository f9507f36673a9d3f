/* SPDX-License-Identifier: BSD-2-Clause */
/* How each decoder is called. */
#include "bench.h"

#include <Zydis/Zydis.h>
#include <capstone/capstone.h>
#include <stdlib.h>
#include <x86emu/insn.h>

static ZydisDecoder full, minimal;
static csh capstone;
static cs_insn *capstone_insn;

/* One pass over a corpus, with the decoder in the loop itself: what a call through a pointer costs isn't the decoder's. */
static inline __attribute__((always_inline)) uint64_t pass_with(decode_function *decode, const struct corpus *corpus)
{
    size_t at = corpus->begin;
    uint64_t sum = 0;

    for (size_t n = 0; corpus->order != NULL && n < corpus->slots; n++)
        sum += decode(corpus->bytes + (size_t)corpus->order[n] * SLOT_SIZE, SLOT_SIZE);
    for (size_t n = 0; corpus->order == NULL && n < corpus->window && at < corpus->size; n++) {
        unsigned length = decode(corpus->bytes + at, corpus->size + SLOT_SIZE - at);

        at += length != 0 ? length : 1; /* what a contestant doesn't know */
        sum += length;
    }
    return sum;
}

#define PASS(decode)                                           \
    static uint64_t decode##_pass(const struct corpus *corpus) \
    {                                                          \
        return pass_with(decode, corpus);                      \
    }

static unsigned decode_struct(const uint8_t *bytes, size_t size)
{
    struct x86emu_insn insn;

    return x86emu_decode(&insn, bytes, size, X86EMU_MODE_64) == X86EMU_DECODE_OK ? insn.length : 0;
}
PASS(decode_struct)

static unsigned decode_operands(const uint8_t *bytes, size_t size)
{
    struct x86emu_insn insn;
    struct x86emu_operand operands[X86EMU_MAX_OPERANDS];

    if (x86emu_decode(&insn, bytes, size, X86EMU_MODE_64) != X86EMU_DECODE_OK)
        return 0;
    x86emu_insn_operands(&insn, operands, X86EMU_MAX_OPERANDS);
    __asm__ volatile("" : : "r"(operands) : "memory");
    return insn.length;
}
PASS(decode_operands)

static unsigned zydis_with(const ZydisDecoder *decoder, const uint8_t *bytes, size_t size)
{
    ZydisDecodedInstruction insn;

    return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(decoder, NULL, bytes, size, &insn)) ? insn.length : 0;
}

static unsigned zydis_minimal(const uint8_t *bytes, size_t size)
{
    return zydis_with(&minimal, bytes, size);
}
PASS(zydis_minimal)

static unsigned zydis_no_operands(const uint8_t *bytes, size_t size)
{
    return zydis_with(&full, bytes, size);
}
PASS(zydis_no_operands)

static unsigned zydis_full(const uint8_t *bytes, size_t size)
{
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&full, bytes, size, &insn, operands)) ? insn.length : 0;
}
PASS(zydis_full)

static unsigned capstone_text(const uint8_t *bytes, size_t size)
{
    uint64_t address = 0;

    return cs_disasm_iter(capstone, &bytes, &size, &address, capstone_insn) ? capstone_insn->size : 0;
}
PASS(capstone_text)

#define CONTESTANT(name, decode)    \
    {                               \
        name, decode, decode##_pass \
    }

const struct contestant contestants[] = {
    CONTESTANT("x86emu", decode_struct),        CONTESTANT("x86emu+operands", decode_operands),
    CONTESTANT("zydis-minimal", zydis_minimal), CONTESTANT("zydis-no-operands", zydis_no_operands),
    CONTESTANT("zydis-full", zydis_full),       CONTESTANT("capstone", capstone_text),
};
const size_t contestant_count = sizeof(contestants) / sizeof(contestants[0]);

void contestants_init(void)
{
    ZydisDecoderInit(&full, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecoderInit(&minimal, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecoderEnableMode(&minimal, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) != CS_ERR_OK)
        abort();
    capstone_insn = cs_malloc(capstone);
}
