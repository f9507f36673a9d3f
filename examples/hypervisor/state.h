/* SPDX-License-Identifier: BSD-2-Clause */
/* A stopped machine in a file, and a machine out of it: in the same program, maybe on another processor. */
#ifndef HYPERVISOR_STATE_H
#define HYPERVISOR_STATE_H

#include "control.h"

/* views: of all processors, by number. NULL, or what went wrong. */
const char *state_save(struct machine *machine, const struct control_view *views, const char *path);

/* How much memory the machine in the file has; 0: there is none, or the file is no such file. */
uint64_t state_memory(const char *path, unsigned *cpu_count);

/*
 * Into a machine that was started with that memory and that many processors, instead of boot_load(). The contexts that
 * were in the middle of an instruction are in machine->restored. NULL, or what went wrong.
 */
const char *state_restore(struct machine *machine, struct x86emu_vcpu *vcpu, const char *path);

#endif
