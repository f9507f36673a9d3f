/* SPDX-License-Identifier: BSD-2-Clause */
/* Fetch and decode of the instruction at RIP. */
#ifndef X86EMU_EXEC_FETCH_H
#define X86EMU_EXEC_FETCH_H

#include "exec.h"

/* Starts with the bytes that the exit handed over, if any. */
void x86emu_fetch_begin(struct x86emu *emu);
/* The instruction at RIP, if the cache has it. NULL: fetch it. */
struct x86emu_cached_insn *x86emu_fetch_cached(struct exec *x);
/* Fetches and decodes into emu->insn. False: stopped. */
bool x86emu_fetch(struct exec *x);

#endif
