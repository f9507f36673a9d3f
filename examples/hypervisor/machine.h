/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine that the guest sees: memory, devices, interrupts, time. */
#ifndef HYPERVISOR_MACHINE_H
#define HYPERVISOR_MACHINE_H

#include "cpuid.h"
#include "firmware.h"
#include "hpet.h"
#include "interrupts.h"
#include "ioapic.h"
#include "mmio.h"
#include "pci.h"

#include <pthread.h>
#include <x86emu/x86emu.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct machine;

/* --- time: nanoseconds since power-on, as the back end counts them ------------------------------------------------- */

uint64_t machine_now(const struct machine *machine);
uint64_t machine_tsc(const struct machine *machine);

/* --- 8259: devices/pic.c -------------------------------------------------------------------------------------------------- */

struct pic_chip {
    uint8_t request, service, mask, vector, init_step, lines;
    bool auto_end, reads_service, needs_fourth;
};

struct pic {
    struct pic_chip chip[2];
    uint8_t edge[2]; /* ELCR: stored, not used */
};

void pic_reset(struct pic *pic);
void pic_set_line(struct pic *pic, unsigned irq, bool high);
bool pic_pending(const struct pic *pic);
unsigned pic_acknowledge(struct pic *pic);
uint8_t pic_read(struct pic *pic, uint16_t port);
void pic_write(struct pic *pic, uint16_t port, uint8_t value);

/* --- 8254: devices/pit.c -------------------------------------------------------------------------------------------------- */

#define PIT_HZ 1193182u

struct pit_channel {
    uint32_t reload;
    uint64_t start; /* ns when counting began */
    uint16_t latch;
    uint8_t mode, access, latched, toggle_read, toggle_write, low;
    bool running, fired; /* fired: one-shot modes have given their interrupt */
};

struct pit {
    struct pit_channel channel[3];
    uint8_t speaker; /* port 61H */
    uint64_t ticks;  /* periods of channel 0 that have been signalled */
};

void pit_reset(struct pit *pit);
uint8_t pit_read(struct machine *machine, uint16_t port);
void pit_write(struct machine *machine, uint16_t port, uint8_t value);
/* When channel 0 interrupts next; UINT64_MAX: never. */
uint64_t pit_next(const struct machine *machine);
void pit_run(struct machine *machine);

/* --- 16550: devices/serial.c ---------------------------------------------------------------------------------------------- */

struct serial {
    uint8_t enable, line_control, modem_control, scratch, divisor[2], fifo_control;
    uint8_t input[256];
    uint8_t head, tail;
    bool transmitter_empty_pending;
};

void serial_reset(struct serial *serial);
uint8_t serial_read(struct machine *machine, unsigned reg);
void serial_write(struct machine *machine, unsigned reg, uint8_t value);
/* False: no room. */
bool serial_input(struct machine *machine, uint8_t byte);
/* The guest listens, and has taken what it was given. */
bool serial_wants_input(const struct machine *machine);

/* --- bvm console: devices/bvm.c ------------------------------------------------------------------------------------------- */

#define BVM_PORT 0x220

uint32_t bvm_read(struct machine *machine, unsigned size);
void bvm_write(struct machine *machine, unsigned size, uint32_t value);

/* --- MC146818: devices/rtc.c ---------------------------------------------------------------------------------------------- */

struct rtc {
    uint8_t index;
    uint8_t memory[128];
};

void rtc_reset(struct rtc *rtc, uint64_t memory_bytes);
uint8_t rtc_read(struct machine *machine, uint16_t port);
void rtc_write(struct machine *machine, uint16_t port, uint8_t value);

/* --- the machine: machine.c --------------------------------------------------------------------------------------- */

/* Counts of what happened, by name, for the report. */
struct statistics {
    uint64_t instructions, interrupts, exceptions, port_accesses, unknown_ports, halts;
};

/* Where the time-stamp counter goes on when a machine was saved: it must not run backwards. */
struct tsc_start {
    uint64_t count, time; /* ns */
};

enum machine_end {
    MACHINE_RUNS = 0,
    MACHINE_POWERED_OFF,
    MACHINE_RESET,
    MACHINE_FAILED,
};

/* Widths and counts that several files know. */
enum {
    MACHINE_MAX_CPUS = 16,
    MACHINE_ADDRESS_BITS = 36,
    MACHINE_MEMORY_REGIONS = 3, /* RAM, ROM of the firmware's tables, RAM */
    MACHINE_ROM = 1,            /* which of them */
};

struct machine {
    unsigned cpu_count; /* set before machine_start(): 0 is 1 */
    struct cpu cpu[MACHINE_MAX_CPUS];
    void (*kick)(struct cpu *cpu); /* something has come for it; NULL where that is seen anyway */
    pthread_mutex_t lock;          /* of all devices; held by those who begin an access from outside */
    uint64_t activity;             /* how often it was given back: devices may have changed since */
    uint8_t *ram;
    uint64_t ram_size;
    struct x86emu_region_map map;
    struct x86emu_host_range ram_range;
    struct x86emu_region memory[MACHINE_MEMORY_REGIONS];
    struct control *control; /* control.c; NULL: there is none */
    bool interactive;        /* somebody waits for it: sleeping takes real time */
    atomic_bool defers;      /* the next access to a device is left open, to stop in the middle of it: control.c */
    struct x86emu *restored; /* contexts of the processors, out of a file; NULL: begin with new ones */
    struct pages *pages;     /* pages.c; NULL: the host alone cares for memory */
    struct mmio mmio;
    struct ioapic ioapic;
    struct hpet hpet;
    struct pic pic;
    struct pit pit;
    struct serial serial;
    struct rtc rtc;
    struct pci pci;
    uint16_t bridge_vendor; /* set before machine_start(): 0 is Intel's */
    struct power power;
    enum cpuid_policy cpuid;
    bool strict;       /* a port that nothing is at ends the run */
    bool ignores_msrs; /* unknown ones read as 0 and take what is written; else #GP */
    char failure[96];  /* set by a device: why the run has to end; the back end reports it */
    bool has_deadline; /* the APIC timer may be set by time-stamp counter */
    uint32_t tsc_mhz;  /* 0: 1000, a tick each nanosecond */
    struct tsc_start tsc_start;
    _Atomic enum machine_end end; /* set by whoever ends the run, seen by all processors */
    struct statistics statistics;
    uint64_t (*now)(const struct machine *machine);
    uint64_t (*tsc)(void);                                 /* time-stamp counter; NULL: nanoseconds */
    void (*output)(struct machine *machine, uint8_t byte); /* of the serial line */
    const char *typed;                                     /* at the console, as soon as the guest listens */
    uint64_t virtual_time;                                 /* ns, where instructions make time pass */
    uint64_t row; /* instructions of the processor that is running, not in virtual_time yet */
};

bool machine_start(struct machine *machine, uint64_t ram_size);
void machine_free(struct machine *machine);

/* Reads the guest's memory at a linear address, through its page tables; false: some of it is nowhere (linear.c). */
bool machine_read_linear(struct machine *machine, const struct x86emu_vcpu *vcpu, uint64_t la, void *data,
                         uint64_t size);
/* How its instructions are decoded: enum x86emu_mode. */
unsigned machine_mode(const struct x86emu_vcpu *vcpu);
/* Where in guest-physical memory a linear address is. */
bool machine_translate(struct machine *machine, const struct x86emu_vcpu *vcpu, uint64_t la, uint64_t *gpa);
void machine_lock(struct machine *machine);
void machine_unlock(struct machine *machine);

/* Timers that are due and input that is wanted. */
void machine_run_devices(struct machine *machine);
/* When the first timer is due; UINT64_MAX: none runs. */
uint64_t machine_next_timer(struct machine *machine);

/* Port accesses of 1, 2 or 4 bytes; what is nowhere reads as ones, or ends the run when the machine is strict. */
uint32_t machine_port_in(struct machine *machine, uint16_t port, unsigned size);
void machine_port_out(struct machine *machine, uint16_t port, unsigned size, uint32_t value);

/* The processor's state at the kernel's 64-bit entry point is firmware/boot.c's. */
enum boot_status {
    BOOT_OK = 0,
    BOOT_CANNOT_READ,
    BOOT_NOT_A_KERNEL,
    BOOT_TRUNCATED,
    BOOT_TOO_LARGE,
};

/* initrd may be NULL; command_line is of up to BOOT_COMMAND_LINE bytes, with the zero at its end. */
struct boot_files {
    const char *kernel, *initrd, *command_line;
};

#define BOOT_COMMAND_LINE 2048

/* culprit: the file that is to blame. */
enum boot_status boot_load(struct machine *machine, struct x86emu_vcpu *vcpu, const struct boot_files *files,
                           const char **culprit);
const char *boot_explain(enum boot_status status);

/* Model-specific registers: firmware/msr.c. False: #GP. */
bool msr_read(struct cpu *cpu, uint32_t index, uint64_t *value);
bool msr_write(struct cpu *cpu, uint32_t index, uint64_t value);

/* Answers the library's requests, opaque being the struct cpu: requests.c. */
x86emu_callback machine_answer;
/* Answers the open request of a context, and those that follow, until the instruction ends. */
enum x86emu_status machine_complete(struct cpu *cpu, struct x86emu *emu, struct x86emu_vcpu *vcpu);

/* --- back ends ---------------------------------------------------------------------------------------------------- */

struct options;

/* vcpu: one for each processor. Run until machine->end is set or the time that options allow has passed. False: a report was printed. */
bool interpreter_run(struct machine *machine, struct x86emu_vcpu *vcpu, const struct options *options);

/* Both at once, an instruction at a time, with --lockstep: kvm/lockstep.c. */
bool kvm_run_lockstep(struct machine *machine, struct x86emu_vcpu *vcpu, const struct options *options);

bool kvm_run_machine(struct machine *machine, struct x86emu_vcpu *vcpu, const struct options *options);

/* Prints registers and the bytes at RIP. */
void report_vcpu(const struct x86emu_vcpu *vcpu, const uint8_t *bytes, unsigned count);
void report_vcpu_to(FILE *out, const struct x86emu_vcpu *vcpu, const uint8_t *bytes, unsigned count);

#endif
