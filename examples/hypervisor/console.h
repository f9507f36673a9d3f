/* SPDX-License-Identifier: BSD-2-Clause */
/* The terminal that the hypervisor was started from: the guest's console, and how far the run is. */
#ifndef HYPERVISOR_CONSOLE_H
#define HYPERVISOR_CONSOLE_H

#include <stdbool.h>

struct machine;

/* Keys go to the guest's serial line, until Ctrl-A x ends the run. False: there is no terminal, which is reported. */
bool console_start(struct machine *machine);
/* A line on standard error, renewed each second. */
bool console_start_progress(struct machine *machine);
/* The terminal as it was. */
void console_stop(void);

#endif
