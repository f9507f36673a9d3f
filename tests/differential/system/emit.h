/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes of instructions, and memory that they use. */
#ifndef SYSTEM_EMIT_H
#define SYSTEM_EMIT_H

#include "world.h"

/* Appends bytes; those of a string without its end. */
void emit(struct maker *m, unsigned count, const uint8_t *bytes);
#define EMIT(m, ...) emit((m), sizeof((const uint8_t[]){__VA_ARGS__}), (const uint8_t[]){__VA_ARGS__})
void emit_value(struct maker *m, uint64_t value, unsigned size);

/* Appends a prefix for the operand size, or none. Answers 2, 4 or (with wide, in 64-bit mode, by REX.W) 8 bytes. */
unsigned emit_size(struct maker *m, bool wide);

/*
 * Appends ModRM and displacement of a memory operand in the data area, with reg in its middle. Answers where in the
 * world it is. With paging it may be reached through the window.
 */
unsigned emit_memory(struct maker *m, unsigned reg);
/* Appends ModRM of a register operand. */
void emit_register(struct maker *m, unsigned reg, unsigned rm);
/* Appends a register operand or a memory operand of that value. */
void emit_operand(struct maker *m, unsigned reg, uint64_t value);

/* Stores on the stack, element number index of size bytes. */
void stack_put(struct maker *m, unsigned index, unsigned size, uint64_t value);

/* An offset in a code segment where INT3 is. */
uint32_t code_target(struct maker *m);

#endif
