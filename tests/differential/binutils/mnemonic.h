/* SPDX-License-Identifier: BSD-2-Clause */
/* Two names for one instruction made one. */
#ifndef TESTS_DIFFERENTIAL_MNEMONIC_H
#define TESTS_DIFFERENTIAL_MNEMONIC_H

#include <stddef.h>

/* Both texts are as normal.c leaves them. */
void plain_mnemonic(char *ours, char *theirs, size_t room);

#endif
