/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions, NMIs and interrupts, where the library delivers them. */
#ifndef HYPERVISOR_EVENTS_H
#define HYPERVISOR_EVENTS_H

#include "interrupts.h"

#include <x86emu/x86emu.h>

/* What the last step raised: an exception in place of the instruction, a trap after it. */
struct x86emu_event events_exception(const struct x86emu *emu);
struct x86emu_event events_trap(const struct x86emu *emu);

/* Takes the NMI or interrupt whose window is open; false: there is none. The devices are locked. */
bool events_next(struct cpu *cpu, const struct x86emu_vcpu *vcpu, struct x86emu_event *event);

/* Delivers the event, and what that leads to. NULL, or why it can't be. */
const char *events_deliver(struct x86emu *emu, struct x86emu_vcpu *vcpu, struct x86emu_event event);

#endif
