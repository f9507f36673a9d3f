/* SPDX-License-Identifier: BSD-2-Clause */
/* What system instructions share. */
#ifndef X86EMU_EXEC_CONTROL_H
#define X86EMU_EXEC_CONTROL_H

#include "descriptor.h"

/* Tells the caller what the guest has invalidated. */
void x86emu_invalidate(struct exec *x, enum x86emu_invalidation kind, uint64_t la, unsigned pcid);

/* CR3 as a task switch loads it: with the PDPTE registers where they are used. */
void x86emu_load_cr3(struct exec *x, uint64_t value);

/* #GP(0) when user-mode instruction prevention forbids SGDT, SIDT, SLDT, SMSW, STR. False: stopped. */
bool x86emu_umip_allows(struct exec *x);

/* 8 bytes at a guest-physical address, for the processor itself; 0 when stopped. */
uint64_t x86emu_physical_load(struct exec *x, uint64_t gpa);

/* An answer of size bytes to a request of this kind about a register, leaf or counter. False: stopped. */
bool x86emu_query(struct exec *x, enum x86emu_request_kind kind, uint32_t index, uint32_t subindex, unsigned size,
                  void *answer);

#endif
