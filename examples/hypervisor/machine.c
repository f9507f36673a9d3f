/* SPDX-License-Identifier: BSD-2-Clause */
/* What is where: RAM, and which device answers at which port. */
#define _GNU_SOURCE
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

uint64_t machine_now(const struct machine *machine)
{
    return machine->now(machine);
}

uint64_t machine_tsc(const struct machine *machine)
{
    const struct tsc_start *start = &machine->tsc_start;

    if (machine->tsc != NULL)
        return machine->tsc();
    return start->count +
           (machine->now(machine) - start->time) * (machine->tsc_mhz != 0 ? machine->tsc_mhz : 1000) / 1000;
}

void machine_lock(struct machine *machine)
{
    pthread_mutex_lock(&machine->lock);
}

void machine_unlock(struct machine *machine)
{
    machine->activity++;
    pthread_mutex_unlock(&machine->lock);
}

/* All of it is one piece of the host's memory. What firmware would have left is not for the guest to write. */
static bool insert_memory(struct machine *machine)
{
    const uint64_t bounds[MACHINE_MEMORY_REGIONS + 1] = {0, FIRMWARE_ACPI, FIRMWARE_END, machine->ram_size};

    for (unsigned i = 0; i < MACHINE_MEMORY_REGIONS; i++) {
        machine->memory[i] = (struct x86emu_region){.gpa = bounds[i],
                                                    .size = bounds[i + 1] - bounds[i],
                                                    .kind = X86EMU_REGION_RAM,
                                                    .protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_EXECUTE |
                                                                  (i == MACHINE_ROM ? 0 : X86EMU_ACCESS_WRITE),
                                                    .host = &machine->ram_range,
                                                    .host_offset = bounds[i]};
        if (x86emu_region_insert(&machine->map, &machine->memory[i]) != X86EMU_REGION_OK)
            return false;
    }
    return true;
}

bool machine_start(struct machine *machine, uint64_t ram_size)
{
    machine->ram_size = ram_size;
    machine->ram = mmap(NULL, ram_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (machine->ram == MAP_FAILED) {
        perror("memory of the guest");
        return false;
    }
    machine->ram_range = (struct x86emu_host_range){.base = machine->ram, .size = ram_size};
    pthread_mutex_init(&machine->lock, NULL);
    pci_reset(&machine->pci, machine->bridge_vendor);
    interrupts_reset(machine, machine->cpu_count != 0 ? machine->cpu_count : 1);
    pic_reset(&machine->pic);
    pit_reset(&machine->pit);
    serial_reset(&machine->serial);
    rtc_reset(&machine->rtc, ram_size);
    return insert_memory(machine) && mmio_start(machine);
}

void machine_free(struct machine *machine)
{
    munmap(machine->ram, machine->ram_size);
}

void machine_run_devices(struct machine *machine)
{
    uint64_t now = machine_now(machine);

    machine_lock(machine);
    pit_run(machine);
    hpet_run(&machine->hpet, now);
    for (unsigned i = 0; i < machine->cpu_count; i++)
        apic_run(&machine->cpu[i].apic, now);
    if (machine->typed != NULL && *machine->typed != 0 && serial_wants_input(machine))
        serial_input(machine, (uint8_t)*machine->typed++);
    machine_unlock(machine);
}

uint64_t machine_next_timer(struct machine *machine)
{
    uint64_t next, at;

    machine_lock(machine);
    next = pit_next(machine);
    at = hpet_next(&machine->hpet);
    next = at < next ? at : next;
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        at = apic_next(&machine->cpu[i].apic);
        next = at < next ? at : next;
    }
    machine_unlock(machine);
    return next;
}

/* --- ports -------------------------------------------------------------------------------------------------------- */

enum {
    KEYBOARD_COMMAND = 0x64,
    KEYBOARD_RESET = 0xfe,
    RESET_CONTROL = 0xcf9,
    PCI_ADDRESS = 0xcf8,
    PCI_DATA = 0xcfc,
    SERIAL = 0x3f8,
    POWER = 0x600, /* this machine's own: writing 1 powers it off */
};

static bool is_pic(uint16_t port)
{
    return port == 0x20 || port == 0x21 || port == 0xa0 || port == 0xa1 || port == 0x4d0 || port == 0x4d1;
}

static bool is_pit(uint16_t port)
{
    return (port >= 0x40 && port <= 0x43) || port == 0x61;
}

static uint8_t unknown(struct machine *machine, uint16_t port, const char *what)
{
    machine->statistics.unknown_ports++;
    if (machine->strict && machine->failure[0] == 0)
        snprintf(machine->failure, sizeof(machine->failure), "%s port %#x, where nothing is", what, port);
    return 0xff;
}

static uint8_t byte_in(struct machine *machine, uint16_t port)
{
    if (is_pic(port))
        return pic_read(&machine->pic, port);
    if (is_pit(port))
        return pit_read(machine, port);
    if (port == 0x70 || port == 0x71)
        return rtc_read(machine, port);
    if (port >= SERIAL && port < SERIAL + 8)
        return serial_read(machine, port - SERIAL);
    if (power_has_port(port))
        return power_read(machine, port);
    return unknown(machine, port, "read from");
}

static void byte_out(struct machine *machine, uint16_t port, uint8_t value)
{
    if (is_pic(port))
        pic_write(&machine->pic, port, value);
    else if (is_pit(port))
        pit_write(machine, port, value);
    else if (port == 0x70 || port == 0x71)
        rtc_write(machine, port, value);
    else if (port >= SERIAL && port < SERIAL + 8)
        serial_write(machine, port - SERIAL, value);
    else if (power_has_port(port))
        power_write(machine, port, value);
    else if ((port == KEYBOARD_COMMAND && value == KEYBOARD_RESET) || (port == RESET_CONTROL && value & 4))
        machine->end = MACHINE_RESET;
    else if (port == POWER && value == 1)
        machine->end = MACHINE_POWERED_OFF;
    else
        unknown(machine, port, "write to");
}

static uint32_t port_in(struct machine *machine, uint16_t port, unsigned size)
{
    uint32_t value = 0;

    machine->statistics.port_accesses++;
    if (port == PCI_ADDRESS && size == 4)
        return machine->pci.address;
    if (port == BVM_PORT)
        return bvm_read(machine, size);
    if (port >= PCI_DATA && port < PCI_DATA + 4)
        return pci_read(&machine->pci, port - PCI_DATA, size);
    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)byte_in(machine, (uint16_t)(port + i)) << 8 * i;
    return value;
}

static void port_out(struct machine *machine, uint16_t port, unsigned size, uint32_t value)
{
    machine->statistics.port_accesses++;
    if (port == PCI_ADDRESS && size == 4) {
        machine->pci.address = value;
        return;
    }
    if (port == BVM_PORT) {
        bvm_write(machine, size, value);
        return;
    }
    if (port >= PCI_DATA && port < PCI_DATA + 4) {
        pci_write(&machine->pci, port - PCI_DATA, size, value);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        byte_out(machine, (uint16_t)(port + i), (uint8_t)(value >> 8 * i));
}

uint32_t machine_port_in(struct machine *machine, uint16_t port, unsigned size)
{
    uint32_t value;

    machine_lock(machine);
    value = port_in(machine, port, size);
    machine_unlock(machine);
    return value;
}

void machine_port_out(struct machine *machine, uint16_t port, unsigned size, uint32_t value)
{
    machine_lock(machine);
    port_out(machine, port, size, value);
    machine_unlock(machine);
}
