/* SPDX-License-Identifier: BSD-2-Clause */
/* The bvm console, one port: FreeBSD finds it by its signature, 'b' and 'v'. */
#include "machine.h"

enum {
    SIGNATURE = 'b' << 8 | 'v',
};

/* 2 bytes: who is there; 4 bytes: a byte that was typed, or -1. */
uint32_t bvm_read(struct machine *machine, unsigned size)
{
    if (size == 2)
        return SIGNATURE;
    if (size == 4 && machine->typed != NULL && *machine->typed != 0)
        return (uint8_t)*machine->typed++;
    return UINT32_MAX;
}

void bvm_write(struct machine *machine, unsigned size, uint32_t value)
{
    if (size == 4 && machine->output != NULL)
        machine->output(machine, (uint8_t)value);
}
