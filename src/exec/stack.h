/* SPDX-License-Identifier: BSD-2-Clause */
/* Pushing and popping, for instructions that do one or the other once. */
#ifndef X86EMU_EXEC_STACK_H
#define X86EMU_EXEC_STACK_H

#include "memory.h"

/* Stages RSP moved by offset bytes. */
void x86emu_stack_move(struct exec *x, int64_t offset);
void x86emu_push(struct exec *x, uint64_t value, unsigned size);
uint64_t x86emu_pop(struct exec *x, unsigned size);

#endif
