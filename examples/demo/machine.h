/* SPDX-License-Identifier: BSD-2-Clause */
/* The demo machine: RAM with the guest image, devices, and the answers to the library's requests. */
#ifndef DEMO_MACHINE_H
#define DEMO_MACHINE_H

#include "device.h"
#include "trace.h"

#include <x86emu/x86emu.h>

struct machine {
    uint8_t *ram;
    struct devices devices;
    struct trace trace;
    bool show_requests;

    struct x86emu_region_map map;
    struct x86emu_host_range ram_range;
    struct x86emu_region ram_region, device_region;

    unsigned long by_library; /* instructions that the library finished */
};

/* How a run ended. */
enum run_end {
    RUN_EXITED,      /* the guest wrote to the exit device; devices.exit_code is its verdict */
    RUN_FAILED,      /* something went wrong; it has been told */
    RUN_UNAVAILABLE, /* this back end can't run here; it has been told why */
};

/* Allocates RAM, loads the guest, registers the regions. False: told why. */
bool machine_init(struct machine *machine, bool quiet, bool show_requests);
void machine_free(struct machine *machine);

/* The vCPU as the guest expects it: 64-bit mode, its own page tables, RIP at its entry; ring: 0 or 3. */
void machine_initial_vcpu(struct x86emu_vcpu *vcpu, unsigned ring);

/* A context that accesses RAM itself and hands device accesses out as requests. */
void machine_init_emulator(struct machine *machine, struct x86emu *emu);

/* Answers a request for memory; the machine's devices do what it says, element by element. */
void machine_answer(struct machine *machine, struct x86emu *emu, const struct x86emu_vcpu *vcpu);

/* Device accesses of a back end that has emulated the instruction itself. */
uint64_t machine_read(struct machine *machine, uint64_t gpa, unsigned size);
void machine_write(struct machine *machine, uint64_t gpa, unsigned size, uint64_t value);

/* Tells how a step ended that neither retired nor asks for anything. */
void machine_report(const struct x86emu *emu, const struct x86emu_vcpu *vcpu, enum x86emu_status status);

#endif
