/* SPDX-License-Identifier: BSD-2-Clause */
/* The stack as instructions use it: where it is, pushing and popping. */
#ifndef X86EMU_EXEC_STACK_H
#define X86EMU_EXEC_STACK_H

#include "memory.h"

/* Width of the stack pointer in bytes (SDM Vol. 1, 6.2.3). */
unsigned x86emu_stack_width(struct exec *x);
/* The address offset bytes from where a register, RSP or RBP, pointed before the instruction. */
struct logical x86emu_stack_address(struct exec *x, unsigned pointer, int64_t offset);

/* Stages RSP moved by offset bytes. */
void x86emu_stack_move(struct exec *x, int64_t offset);
/* Writes or reads one element, without moving the pointer. */
void x86emu_push_at(struct exec *x, int64_t offset, uint64_t value, unsigned size);
uint64_t x86emu_stack_read(struct exec *x, unsigned pointer, int64_t offset, unsigned size);
/* For instructions that do one or the other once. */
void x86emu_push(struct exec *x, uint64_t value, unsigned size);
uint64_t x86emu_pop(struct exec *x, unsigned size);

#endif
