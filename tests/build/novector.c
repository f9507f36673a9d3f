/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints a digest of what the decoder says of every legacy opcode with every ModRM; with X86EMU_NO_VECTOR_MAPS, also checks
 * that vector encodings are invalid. */
#include <stdio.h>
#include <string.h>
#include <x86emu/format.h>
#include <x86emu/insn.h>

static uint64_t digest = 14695981039346656037u;
static unsigned long valid;

static void add(const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ ((const unsigned char *)data)[i]) * 1099511628211u;
}

static int take(const uint8_t *bytes, unsigned mode)
{
    struct x86emu_insn insn;
    struct x86emu_operand operands[X86EMU_MAX_OPERANDS];
    char text[X86EMU_FORMAT_ROOM];
    enum x86emu_decode_status status = x86emu_decode(&insn, bytes, 16, mode);

    if (status == X86EMU_DECODE_OK && insn.encoding >= X86EMU_ENCODING_XOP) {
#ifdef X86EMU_NO_VECTOR_MAPS
        return printf("%02x %02x %02x %02x is valid\n", bytes[0], bytes[1], bytes[2], bytes[3]);
#else
        return 0;
#endif
    }
    if (status == X86EMU_DECODE_OK) {
        add(text, x86emu_format(&insn, 0, text, sizeof(text)));
        add(&insn.length, 1);
        for (unsigned n = 0, count = x86emu_insn_operands(&insn, operands, X86EMU_MAX_OPERANDS); n < count; n++)
            add(&operands[n].size, 2);
        valid++;
    }
    return 0;
}

int main(void)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3, 0x67, 0xf0, 0x48}, maps[] = {0, 0x0f, 0x38, 0x3a};

    for (unsigned round = 0; round < 3 * sizeof(prefixes) * sizeof(maps) * 256 * 256; round++) {
        unsigned modrm = round & 0xff, opcode = round >> 8 & 0xff, map = round >> 16 & 3, rest = round >> 18;
        uint8_t bytes[16] = {0}, *at = bytes;

        if (prefixes[rest % sizeof(prefixes)] != 0)
            *at++ = prefixes[rest % sizeof(prefixes)];
        if (map > 0)
            *at++ = 0x0f;
        if (map > 1)
            *at++ = maps[map];
        *at++ = (uint8_t)opcode;
        *at++ = (uint8_t)modrm;
        memset(at, 0x25, 6);
        if (take(bytes, rest / sizeof(prefixes)) != 0)
            return 1;
    }
    printf("%lu valid, digest %016llx\n", valid, (unsigned long long)digest);
    return 0;
}
