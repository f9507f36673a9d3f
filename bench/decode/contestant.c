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
volatile uint64_t bench_sink; /* what was computed, so that it is computed */

static unsigned decode_struct(const uint8_t *bytes, size_t size)
{
    struct x86emu_insn insn;

    return x86emu_decode(&insn, bytes, size, X86EMU_MODE_64) == X86EMU_DECODE_OK ? insn.length : 0;
}

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

static unsigned zydis_with(const ZydisDecoder *decoder, const uint8_t *bytes, size_t size)
{
    ZydisDecodedInstruction insn;

    return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(decoder, NULL, bytes, size, &insn)) ? insn.length : 0;
}

static unsigned zydis_minimal(const uint8_t *bytes, size_t size)
{
    return zydis_with(&minimal, bytes, size);
}

static unsigned zydis_no_operands(const uint8_t *bytes, size_t size)
{
    return zydis_with(&full, bytes, size);
}

static unsigned zydis_full(const uint8_t *bytes, size_t size)
{
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&full, bytes, size, &insn, operands)) ? insn.length : 0;
}

static unsigned capstone_text(const uint8_t *bytes, size_t size)
{
    uint64_t address = 0;

    return cs_disasm_iter(capstone, &bytes, &size, &address, capstone_insn) ? capstone_insn->size : 0;
}

const struct contestant contestants[] = {
    {"x86emu", decode_struct},        {"x86emu+operands", decode_operands},
    {"zydis-minimal", zydis_minimal}, {"zydis-no-operands", zydis_no_operands},
    {"zydis-full", zydis_full},       {"capstone", capstone_text},
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

static uint64_t pass_stream(decode_function *decode, const struct corpus *corpus)
{
    size_t at = 0;
    uint64_t sum = 0;

    for (size_t n = 0; n < corpus->count && at < corpus->size; n++) {
        unsigned length = decode(corpus->bytes + at, corpus->size + SLOT_SIZE - at);

        at += length != 0 ? length : 1; /* what a contestant doesn't know */
        sum += length;
    }
    return sum;
}

uint64_t pass(const struct contestant *contestant, const struct corpus *corpus)
{
    uint64_t sum = 0;

    if (corpus->order == NULL)
        return pass_stream(contestant->decode, corpus);
    for (size_t n = 0; n < corpus->slots; n++)
        sum += contestant->decode(corpus->bytes + (size_t)corpus->order[n] * SLOT_SIZE, SLOT_SIZE);
    return sum;
}
