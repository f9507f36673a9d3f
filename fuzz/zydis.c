/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes, in any mode, decoded by the library and by Zydis: what scripts/differential zydis compares, without its order. */
#include "../tests/differential/binutils/sample.h"
#include "../tests/differential/zydis/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One byte of input chooses the mode, the rest is decoded. */
#define MAX_BYTES (1 + X86EMU_MAX_INSN_LENGTH)

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* Now and then a fresh encoding whose prefixes and payloads are legal; in between its bytes are mutated. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    if (seed % 4 != 0 || max_size < MAX_BYTES)
        return LLVMFuzzerMutate(data, size, max_size < MAX_BYTES ? max_size : MAX_BYTES);
    data[0] = (uint8_t)(seed / 4 % 3);
    sample_attempt(data + 1, (enum x86emu_mode)data[0], seed);
    return MAX_BYTES;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    char text[512];
    enum difference difference;

    if (!ready && !compare_init())
        abort();
    ready = true;
    if (size < 2)
        return 0;
    size = size < MAX_BYTES ? size : MAX_BYTES;
    difference = compare(data + 1, size - 1, data[0] % 3, text, sizeof(text));
    if (difference == SAME)
        return 0;
    fprintf(stderr, "mode %u, %s:", data[0] % 3, difference_name(difference));
    for (size_t n = 1; n < size; n++)
        fprintf(stderr, " %02x", data[n]);
    fprintf(stderr, ": %s\n", text);
    abort();
}
