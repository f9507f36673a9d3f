/* SPDX-License-Identifier: BSD-2-Clause */
/* Where objdump is known to differ. */
#ifndef TESTS_DIFFERENTIAL_OBJDUMP_EXCEPTIONS_H
#define TESTS_DIFFERENTIAL_OBJDUMP_EXCEPTIONS_H

#include <x86emu/insn.h>

/* ours, theirs: normalised texts that are not the same. */
bool is_exception(const struct x86emu_insn *insn, const char *ours, const char *theirs);

#endif
