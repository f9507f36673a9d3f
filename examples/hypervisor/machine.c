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

/* Where nothing is, reads give ones and writes are lost: so guests find out. */
static bool read_nothing(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data)
{
    (void)opaque, (void)offset, (void)stride;
    memset(data, 0xff, (size_t)size * count);
    return true;
}

static bool write_nothing(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, const void *data)
{
    (void)opaque, (void)offset, (void)size, (void)count, (void)stride, (void)data;
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
    machine->ram_region =
        (struct x86emu_region){.size = ram_size,
                               .kind = X86EMU_REGION_RAM,
                               .protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE | X86EMU_ACCESS_EXECUTE,
                               .host = &machine->ram_range};
    machine->nothing = (struct x86emu_region){.gpa = ram_size,
                                              .size = (UINT64_C(1) << 36) - ram_size,
                                              .kind = X86EMU_REGION_MMIO,
                                              .protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE,
                                              .max_width = 8,
                                              .read = read_nothing,
                                              .write = write_nothing};
    pic_reset(&machine->pic);
    pit_reset(&machine->pit);
    serial_reset(&machine->serial);
    rtc_reset(&machine->rtc, ram_size);
    return x86emu_region_insert(&machine->map, &machine->ram_region) == X86EMU_REGION_OK &&
           x86emu_region_insert(&machine->map, &machine->nothing) == X86EMU_REGION_OK;
}

void machine_free(struct machine *machine)
{
    munmap(machine->ram, machine->ram_size);
}

void machine_run_devices(struct machine *machine)
{
    pit_run(machine);
    if (machine->typed != NULL && *machine->typed != 0 && serial_wants_input(machine))
        serial_input(machine, (uint8_t)*machine->typed++);
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

static uint8_t unknown(struct machine *machine)
{
    machine->statistics.unknown_ports++;
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
    return unknown(machine);
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
    else if ((port == KEYBOARD_COMMAND && value == KEYBOARD_RESET) || (port == RESET_CONTROL && value & 4))
        machine->end = MACHINE_RESET;
    else if (port == POWER && value == 1)
        machine->end = MACHINE_POWERED_OFF;
    else
        unknown(machine);
}

uint32_t machine_port_in(struct machine *machine, uint16_t port, unsigned size)
{
    uint32_t value = 0;

    machine->statistics.port_accesses++;
    if (port == PCI_ADDRESS && size == 4)
        return machine->pci.address;
    if (port >= PCI_DATA && port < PCI_DATA + 4)
        return pci_read(&machine->pci, port - PCI_DATA, size);
    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)byte_in(machine, (uint16_t)(port + i)) << 8 * i;
    return value;
}

void machine_port_out(struct machine *machine, uint16_t port, unsigned size, uint32_t value)
{
    machine->statistics.port_accesses++;
    if (port == PCI_ADDRESS && size == 4) {
        machine->pci.address = value;
        return;
    }
    if (port >= PCI_DATA && port < PCI_DATA + 4)
        return; /* the bridge has nothing to be written */
    for (unsigned i = 0; i < size; i++)
        byte_out(machine, (uint16_t)(port + i), (uint8_t)(value >> 8 * i));
}
