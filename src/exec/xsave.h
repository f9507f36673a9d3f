/* SPDX-License-Identifier: BSD-2-Clause */
/* The save area of FXSAVE and the XSAVE family: its legacy region, and how it is written and read. */
#ifndef X86EMU_EXEC_XSAVE_H
#define X86EMU_EXEC_XSAVE_H

#include "memory.h"

/* The legacy region (SDM Vol. 1, 10.5.1). */
enum {
    AT_MXCSR = 24,
    AT_ST = 32,
    AT_XMM = 160,
    LEGACY_SIZE = 416, /* what FXSAVE writes; the last 96 bytes are software's */
    CHUNK = 64,        /* the area is accessed in pieces of at most this size */
};

#define MXCSR_MASK UINT64_C(0xffff)

/* How many XMM, YMM and low ZMM registers the mode has. */
static inline unsigned register_count(const struct exec *x)
{
    return x->mode == X86EMU_MODE_64 ? 16 : 8;
}

/* The area's address, once segment and alignment are found good. False: stopped. */
bool x86emu_area_address(struct exec *x, unsigned size, unsigned alignment, unsigned access, struct logical *a);
/* Stages a write of a part of the area, reads a part into the log. False: stopped. */
bool x86emu_area_write(struct exec *x, struct logical a, unsigned at, const uint8_t *bytes, unsigned size);
bool x86emu_area_read(struct exec *x, struct logical a, unsigned at, uint8_t *bytes, unsigned size);
/* Bytes that are not written must be writable all the same. */
void x86emu_area_probe(struct exec *x, struct logical a, unsigned at, unsigned size);

/* A piece of what was read, from the first entry of the log on. */
const uint8_t *x86emu_area_logged(const struct exec *x, unsigned piece);
/* Several of them, size bytes in all. */
void x86emu_area_copy(const struct exec *x, unsigned first, uint8_t *to, unsigned size);

/* The legacy region with x87, MXCSR and count XMM registers, LEGACY_SIZE bytes; x87 back from one. */
void x86emu_legacy_make(const struct exec *x, uint8_t *area, unsigned count);
void x86emu_legacy_take_x87(struct exec *x, const uint8_t *area);

/* Components that are enabled and not as after INIT: XGETBV with ECX = 1 (SDM Vol. 1, 13.6). 0 when stopped. */
uint64_t x86emu_xinuse(struct exec *x);

#endif
