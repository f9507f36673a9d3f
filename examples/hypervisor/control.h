/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: commands from outside to a machine that runs. */
#ifndef HYPERVISOR_CONTROL_H
#define HYPERVISOR_CONTROL_H

#include <x86emu/x86emu.h>

#include <stdbool.h>

struct machine;
struct control;

/* Listens at path, a Unix socket. paused: the machine begins with the command resume. NULL: reported why not. */
struct control *control_start(struct machine *machine, const char *path, bool paused);
/* The machine has ended. */
void control_stop(struct control *control);

/* What a processor shows of itself while it is stopped. emu's request may be open. */
struct control_view {
    unsigned index; /* of the processor */
    struct x86emu_vcpu *vcpu;
    const struct x86emu *emu;
};

/* For processors, between two instructions and often: whether they are wanted to stop. */
bool control_wanted(const struct machine *machine);
/* Stops these processors until they may go on. */
void control_stop_here(struct machine *machine, const struct control_view *views, unsigned count);

#endif
