/* SPDX-License-Identifier: BSD-2-Clause */
/* Lengths by Capstone. */
#ifndef TESTS_DIFFERENTIAL_CAPSTONE_H
#define TESTS_DIFFERENTIAL_CAPSTONE_H

#include <stddef.h>
#include <x86emu/insn.h>

bool capstone_init(void);

/* Whether Capstone finds the same length, doesn't know the instruction, or is known to be wrong. Else: text says how. */
bool capstone_agrees(const struct x86emu_insn *insn, const uint8_t *bytes, size_t size, char *text, size_t room);

/* How many of those it was asked about it knew. */
unsigned long long capstone_known(void);

#endif
