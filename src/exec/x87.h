/* SPDX-License-Identifier: BSD-2-Clause */
/* The x87 register stack. */
#ifndef X86EMU_EXEC_X87_H
#define X86EMU_EXEC_X87_H

#include "memory.h"

/* #MF when an unmasked exception is pending. False: stopped. */
bool x86emu_x87_no_pending(struct exec *x);

#endif
