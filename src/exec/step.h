/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of a transaction's life, for whoever drives one. */
#ifndef X86EMU_EXEC_STEP_H
#define X86EMU_EXEC_STEP_H

#include "exec.h"

/* In every context that was set up. */
#define MAGIC 0x75653878u

void x86emu_begin_transaction(struct x86emu *emu);
/* Ends it, unless a request is open. */
enum x86emu_status x86emu_end_transaction(struct x86emu *emu, enum x86emu_status status);

void x86emu_begin_run(struct exec *x, struct x86emu *emu, struct x86emu_vcpu *vcpu);
void x86emu_find_mode(struct exec *x);
/* Runs, and runs again while exchanges are lost, until the transaction ends or a request is open. */
enum x86emu_status x86emu_run_to_end(struct exec *x);

/* Nothing is staged: registers, effects. */
static inline void clear_run(struct exec *x)
{
    x->emu->transaction.effect_count = 0;
    x->emu->transaction.effect_used = 0;
    x->rmw_read = NO_READ;
    clear_bytes(&x->flags_of_row, offsetof(struct exec, gpr) - offsetof(struct exec, flags_of_row));
}

#endif
