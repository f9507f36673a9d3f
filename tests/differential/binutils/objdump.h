/* SPDX-License-Identifier: BSD-2-Clause */
/* What Debian's objdump makes of encodings. */
#ifndef TESTS_DIFFERENTIAL_OBJDUMP_H
#define TESTS_DIFFERENTIAL_OBJDUMP_H

#include "normal.h"
#include "sample.h"

struct listing {
    char text[TEXT_ROOM];
    unsigned length;
};

/* One listing for each encoding, the caller's to free(); null, after a message: objdump can't be run. */
struct listing *objdump(const struct sample *sample, enum x86emu_mode mode);

#endif
