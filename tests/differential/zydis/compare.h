/* SPDX-License-Identifier: BSD-2-Clause */
/* One encoding decoded by both, and how they differ. */
#ifndef TESTS_DIFFERENTIAL_COMPARE_H
#define TESTS_DIFFERENTIAL_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What differs, worst first. */
enum difference {
    SAME = 0,
    DIFFERENT_VALIDITY,
    DIFFERENT_LENGTH,
    DIFFERENT_MNEMONIC,
    DIFFERENT_OPERANDS, /* those that are written: kind, place, order */
    DIFFERENT_SIZES,    /* of memory */
    DIFFERENT_ACCESS,   /* what is read, written, or perhaps so */
    DIFFERENT_IMPLICIT, /* operands that are not written */
    DIFFERENT_FLAGS,
    DIFFERENT_FIELDS,    /* parts of the encoding, prefixes that count, privilege */
    DIFFERENT_EFFECT,    /* registers, transfer and address, described without executing */
    DIFFERENT_TRUNCATED, /* not from Zydis, but from a shorter buffer */
    DIFFERENT_CAPSTONE,  /* Capstone has another length */
    DIFFERENCES,
};

const char *difference_name(enum difference difference);

/* False: there is not enough memory. */
bool compare_init(void);

/* Decodes size bytes in a mode (enum x86emu_mode) with both. text: what to tell about a difference. */
enum difference compare(const uint8_t *bytes, size_t size, unsigned mode, char *text, size_t text_size);

#endif
