/* SPDX-License-Identifier: BSD-2-Clause */
/* The way through the bytes, one instruction after the other. */
#include "program.h"

/* So much is skipped where no instruction is: one byte, but all that is left if more bytes would be needed. */
static size_t skipped(enum x86emu_decode_status status, size_t left)
{
    return status == X86EMU_DECODE_TRUNCATED ? left : 1;
}

static void print(const struct step *step, const struct options *options)
{
    if (options->output == OUTPUT_JSON)
        print_json(step);
    else
        print_text(step, options);
}

int decode_all(const struct input *input, const struct options *options)
{
    int mode = options->mode >= 0 ? options->mode : input->mode >= 0 ? input->mode : X86EMU_MODE_64;
    uint64_t base = options->has_address ? options->address : input->address;
    size_t at = options->offset < input->size ? (size_t)options->offset : input->size;
    size_t end = options->limit < input->size - at ? at + (size_t)options->limit : input->size;
    int result = EXIT_DECODED;

    if (at == end)
        die("no bytes are left by --offset and --length (there are %zu)", input->size);
    while (at < end) {
        struct x86emu_insn insn;
        struct step step = {.insn = &insn, .bytes = input->bytes + at, .mode = (unsigned)mode, .address = base + at};

        step.status = x86emu_decode(&insn, step.bytes, end - at, (unsigned)mode | options->flags);
        if (step.status == X86EMU_DECODE_OK && !x86emu_insn_allowed(&insn, &options->features))
            step.status = X86EMU_DECODE_INVALID;
        step.size = step.status == X86EMU_DECODE_OK ? insn.length : skipped(step.status, end - at);
        if (step.status != X86EMU_DECODE_OK)
            result = EXIT_UNDECODED;
        print(&step, options);
        at += step.size;
    }
    return result;
}
