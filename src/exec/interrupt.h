/* SPDX-License-Identifier: BSD-2-Clause */
/* Delivery through the interrupt vector table or the IDT. */
#ifndef X86EMU_EXEC_INTERRUPT_H
#define X86EMU_EXEC_INTERRUPT_H

#include "far.h"

/* Delivers the event; return_rip is what the handler returns to. */
void x86emu_interrupt(struct exec *x, const struct x86emu_event *event, uint64_t return_rip);

#endif
