/* SPDX-License-Identifier: BSD-2-Clause */
/* The last step of a run: the staged state becomes the vCPU's. */
#ifndef X86EMU_EXEC_COMMIT_H
#define X86EMU_EXEC_COMMIT_H

#include "exec.h"

void x86emu_commit(struct exec *x);

#endif
