/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest small enough to compare byte by byte: RAM with page tables, a device that counts, a vCPU in any mode. */
#ifndef TESTS_EXEC_WORLD_H
#define TESTS_EXEC_WORLD_H

#include <x86emu/x86emu.h>

/*
 * Guest-physical: RAM from 0, a device of two pages, nothing else. Linear addresses are mapped one to one, but for:
 * REMAPPED leads to RAM_DATA, the page after it to the device; ABSENT is not present; NOWHERE leads to no memory;
 * READ_ONLY may not be written; CLEAN is mapped without accessed and dirty bits, as RAM. In 16-bit mode paging is off.
 */
enum world_address {
    WORLD_RAM_SIZE = 0x40000,
    WORLD_CODE = 0x8000,
    WORLD_DATA = 0x10000,
    WORLD_STACK = 0x20000,
    WORLD_REMAPPED = 0x30000,
    WORLD_REMAPPED_DEVICE = 0x31000,
    WORLD_READ_ONLY = 0x32000,
    WORLD_CLEAN = 0x33000,
    WORLD_DEVICE = 0x80000,
    WORLD_DEVICE_SIZE = 0x2000,
    WORLD_ABSENT = 0x90000,
    WORLD_NOWHERE = 0xa0000,
    WORLD_NOWHERE_GPA = 0x5000000,
    WORLD_MAX_TRACE = 1024,
};

/* One thing the outside world saw. */
struct world_event {
    uint8_t kind; /* enum x86emu_request_kind: READ or WRITE of the device (RMW as WRITE), PORT_IN, PORT_OUT, HALT */
    uint8_t size;
    uint64_t address;
    uint64_t value;    /* the first 8 bytes */
    uint8_t bytes[64]; /* all */
};

struct world {
    struct x86emu_vcpu vcpu;
    uint8_t ram[WORLD_RAM_SIZE];
    uint8_t device[WORLD_DEVICE_SIZE]; /* registers: reads give them, and count in device_reads */
    unsigned device_reads;
    bool busy; /* doesn't take commands */
    unsigned event_count;
    struct world_event event[WORLD_MAX_TRACE];
    struct x86emu_hint hint; /* given to the step when it says anything */

    /* How the region map sees it; filled by world_map(). */
    struct x86emu_region_map map;
    struct x86emu_host_range host;
    struct x86emu_region ram_region, device_region;
};

/* A world at reset for a mode: flat segments, paging on (but in 16-bit mode), CPL 0, RIP at WORLD_CODE. */
void world_init(struct world *world, enum x86emu_mode mode);
/* The same as ring 3. */
void world_set_user(struct world *world);
void world_code(struct world *world, const void *bytes, size_t size);

/* Answers any request as this world does. */
void world_answer(struct world *world, struct x86emu_request *request);
/* The same as a callback, opaque being the world. */
void world_callback(void *opaque, struct x86emu_vcpu *vcpu, struct x86emu_request *request);

/* Fills the map: RAM, and the device with its handlers (or, handed_on, without). */
void world_map(struct world *world, bool handed_on, unsigned max_width);

/* Value of size bytes in RAM or device memory at a guest-physical address. */
uint64_t world_load(const struct world *world, uint64_t gpa, unsigned size);
void world_store(struct world *world, uint64_t gpa, uint64_t value, unsigned size);

#endif
