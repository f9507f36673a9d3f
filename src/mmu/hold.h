/* SPDX-License-Identifier: BSD-2-Clause */
/* How a change that takes guest pages away stays clear of those that are held. */
#ifndef X86EMU_MMU_HOLD_H
#define X86EMU_MMU_HOLD_H

#include <x86emu/nested.h>

/* Announces that the range is taken away. False: a page of it is held, and nothing is announced. */
bool x86emu_take_away(struct x86emu_nested *table, uint64_t gpa, uint64_t size);
void x86emu_taken_away(struct x86emu_nested *table);

#endif
