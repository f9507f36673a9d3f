/* SPDX-License-Identifier: BSD-2-Clause */
/* Breakpoints in the debug registers, where the caller has loaded them. */
#ifndef X86EMU_EXEC_BREAKPOINT_H
#define X86EMU_EXEC_BREAKPOINT_H

#include "exec.h"

/* Whether any of the four is enabled. Who never loads the debug registers pays nothing and has no breakpoints. */
static inline bool breakpoints_enabled(const struct exec *x)
{
    return x->vcpu->loaded & X86EMU_STATE_DEBUG && x->vcpu->dr[7] & 0xff;
}

/* With any enabled, an instruction breakpoint at RIP: raises #DB, a fault, unless RF is set. True: stopped. */
bool x86emu_breakpoint_code(struct exec *x);
/* Notes the data breakpoints that an access meets: a trap follows the instruction. */
void x86emu_breakpoint_data(struct exec *x, uint64_t la, unsigned size, unsigned access);
/* The same for ports, with CR4.DE. */
void x86emu_breakpoint_port(struct exec *x, uint16_t port, unsigned size);

#endif
