/* SPDX-License-Identifier: BSD-2-Clause */
/* Two spellings of Intel syntax made one. */
#ifndef TESTS_DIFFERENTIAL_NORMAL_H
#define TESTS_DIFFERENTIAL_NORMAL_H

#include <stddef.h>
#include <x86emu/insn.h>

#define TEXT_ROOM 160

/* ours: as x86emu_format() writes it; theirs: as objdump does. Both have room bytes and are the same text afterwards. */
void normalise(char *ours, char *theirs, size_t room, const struct x86emu_insn *insn);

#endif
