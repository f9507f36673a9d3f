/* SPDX-License-Identifier: BSD-2-Clause */
/* Delivery through the interrupt vector table or the IDT. */
#ifndef X86EMU_EXEC_INTERRUPT_H
#define X86EMU_EXEC_INTERRUPT_H

#include "far.h"

/* Delivers the event; return_rip is what the handler returns to. */
void x86emu_interrupt(struct exec *x, const struct x86emu_event *event, uint64_t return_rip);

/*
 * Delivery has met another exception: CR2 and DR6 say why all the same, for processors write them before they look for the
 * handler (SDM Vol. 3, 6.15, page-fault exception; 17.2.3).
 */
void x86emu_interrupt_failed(const struct x86emu_event *event, const struct x86emu_exception *second,
                             struct x86emu_vcpu *vcpu);

#endif
