/* SPDX-License-Identifier: BSD-2-Clause */
/* Host memory behind guest RAM: accesses that other threads may race with. */
#ifndef X86EMU_EXEC_RAM_H
#define X86EMU_EXEC_RAM_H

#include <x86emu/paging.h>

/* Copies to or from RAM; an aligned 1, 2, 4 or, on a 64-bit host, 8 bytes are one access, as on the processor. */
void x86emu_ram_load(void *to, const uint8_t *ram, unsigned size);
void x86emu_ram_store(uint8_t *ram, const void *from, unsigned size);

enum ram_exchange {
    RAM_EXCHANGED = 0,
    RAM_LOST = 1,       /* old_value was not there; it now holds what is */
    RAM_NOT_ATOMIC = 2, /* this host can't do it atomically; nothing changed */
};

/* Atomically replaces size bytes (1 to 16). RAM begins and ends at a multiple of the host's word. */
enum ram_exchange x86emu_ram_exchange(uint8_t *ram, unsigned size, void *old_value, const void *new_value);

/* Answers a page walk's question from RAM. False: it can't be done as one access here. */
bool x86emu_ram_entry(struct x86emu_walk *walk, enum x86emu_walk_status status, uint8_t *ram);

#endif
