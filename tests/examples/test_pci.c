/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI bus by configuration mechanism 1 (PCI 3.0, 3.2.2.3 and chapter 6), with the test device on it. */
#include "../../examples/hypervisor/devices/testdev.h"
#include "machine_fixture.h"

#include <string.h>

enum {
    ADDRESS = 0xcf8,
    DATA = 0xcfc,
    FIXED = 0xe1000000,
};

static struct testdev device;

static struct machine *start(uint32_t address)
{
    struct machine *machine = fixture_start(1);

    cr_assert_eq(testdev_add(&device, machine, address), PCI_OK);
    return machine;
}

static uint32_t read_config(struct machine *machine, unsigned slot, unsigned reg)
{
    machine_port_out(machine, ADDRESS, 4, 0x80000000 | slot << 11 | reg);
    return machine_port_in(machine, DATA, 4);
}

static void write_config(struct machine *machine, unsigned slot, unsigned reg, uint32_t value)
{
    machine_port_out(machine, ADDRESS, 4, 0x80000000 | slot << 11 | reg);
    machine_port_out(machine, DATA, 4, value);
}

static uint32_t read_memory(struct machine *machine, uint64_t gpa)
{
    uint32_t value = 0;

    mmio_access(&machine->cpu[0], gpa, 4, &value, false);
    return value;
}

static void write_memory(struct machine *machine, uint64_t gpa, uint32_t value)
{
    mmio_access(&machine->cpu[0], gpa, 4, &value, true);
}

Test(pci, F29_the_bridge_has_the_vendor_of_choice)
{
    static struct machine machine;

    machine = (struct machine){.now = fixture_now, .bridge_vendor = 0x1022};
    cr_assert(machine_start(&machine, 64 << 20));
    cr_assert_eq(read_config(&machine, 0, 0) & 0xffff, 0x1022);
    cr_assert_eq(read_config(&machine, 0, 8) >> 16, 0x0600, "a host bridge");
    machine_free(&machine);
}

Test(pci, F29_nobody_answers_elsewhere)
{
    struct machine *machine = start(FIXED);

    cr_assert_eq(read_config(machine, 2, 0), 0xffffffff, "no such slot");
    cr_assert_eq(read_config(machine, 31, 0), 0xffffffff);
    machine_port_out(machine, ADDRESS, 4, 0x80000900);
    cr_assert_eq(machine_port_in(machine, DATA, 4), 0xffffffff, "function 1");
    machine_port_out(machine, ADDRESS, 4, 0x80010800);
    cr_assert_eq(machine_port_in(machine, DATA, 4), 0xffffffff, "bus 1");
    machine_port_out(machine, ADDRESS, 4, 0x00000800);
    cr_assert_eq(machine_port_in(machine, DATA, 4), 0xffffffff, "not enabled");
    machine_free(machine);
}

Test(pci, F29_base_address_as_given)
{
    struct machine *machine = start(FIXED);

    cr_assert_eq(read_config(machine, 1, 0), TESTDEV_ID << 16 | TESTDEV_VENDOR);
    cr_assert_eq(read_config(machine, 1, 0x10), FIXED);
    cr_assert_eq(read_memory(machine, FIXED), TESTDEV_SIGNATURE);
    write_memory(machine, FIXED + TESTDEV_SCRATCH, 0x12345678);
    cr_assert_eq(read_memory(machine, FIXED + TESTDEV_SCRATCH), 0x12345678);
    machine_free(machine);
}

Test(pci, F29_base_address_wherever_there_is_room)
{
    struct machine *machine = start(0);
    uint32_t registers = read_config(machine, 1, 0x10), memory = read_config(machine, 1, 0x14);

    cr_assert_geq(registers, PCI_WINDOW);
    cr_assert_eq(registers % TESTDEV_REGISTERS, 0);
    cr_assert_geq(memory, PCI_WINDOW);
    cr_assert_eq(memory % TESTDEV_MEMORY, 0);
    cr_assert(memory >= registers + TESTDEV_REGISTERS || registers >= memory + TESTDEV_MEMORY, "they don't overlap");
    cr_assert_eq(read_memory(machine, registers), TESTDEV_SIGNATURE);
    write_memory(machine, memory + 0x100, 7);
    cr_assert_eq(device.memory[0x100], 7);
    machine_free(machine);
}

Test(pci, F29_addresses_that_are_not_to_be_had)
{
    static struct testdev second;
    struct machine *machine = start(FIXED);

    cr_assert_eq(testdev_add(&second, machine, FIXED), PCI_NO_ROOM, "taken");
    cr_assert_eq(pci_allocate(&machine->pci, &second.pci, 0, FIXED + 0x1010), PCI_NO_ROOM, "not aligned");
    cr_assert_eq(pci_allocate(&machine->pci, &second.pci, 0, 0x1000), PCI_NO_ROOM, "outside the window");
    cr_assert_eq(pci_allocate(&machine->pci, &second.pci, 0, FIXED + 0x1000), PCI_OK);
    cr_assert_eq(read_memory(machine, FIXED + 0x1000), TESTDEV_SIGNATURE);
    machine_free(machine);
}

/* 6.2.5.1: how its size is found out, and how it is moved. */
Test(pci, F29_base_address_is_sized_and_moved)
{
    struct machine *machine = start(FIXED);

    write_config(machine, 1, 0x10, 0xffffffff);
    cr_assert_eq(read_config(machine, 1, 0x10), 0xfffff000, "4096 bytes of 32-bit memory");
    cr_assert_eq(read_memory(machine, FIXED), 0xffffffff, "nothing is there now");
    write_config(machine, 1, 0x10, 0xe2000000);
    cr_assert_eq(read_memory(machine, 0xe2000000), TESTDEV_SIGNATURE);
    write_config(machine, 1, 0x18, 0xffffffff);
    cr_assert_eq(read_config(machine, 1, 0x18), 0, "there is no third");
    write_config(machine, 1, 0x04, 0);
    cr_assert_eq(read_memory(machine, 0xe2000000), 0xffffffff, "memory switched off");
    write_config(machine, 1, 0x04, 2);
    cr_assert_eq(read_memory(machine, 0xe2000000), TESTDEV_SIGNATURE);
    machine_free(machine);
}

Test(pci, F29_interrupt_of_a_slot)
{
    struct machine *machine = start(FIXED);
    unsigned pin = 17; /* as the MP table and _PRT say for INTA of slot 1 */

    cr_assert_eq(read_config(machine, 1, 0x3c) >> 8 & 0xff, 1, "INTA");
    cr_assert_eq(read_config(machine, 1, 0x3c) & 0xff, pin);
    write_memory(machine, FIXED + TESTDEV_INTERRUPT, 1);
    cr_assert_eq(machine->ioapic.lines >> pin & 1, 1);
    cr_assert_eq(read_config(machine, 1, 0x04) >> 16 & 8, 8, "interrupt status");
    write_memory(machine, FIXED + TESTDEV_INTERRUPT, 0);
    cr_assert_eq(machine->ioapic.lines >> pin & 1, 0);
    machine_free(machine);
}

/* The widths that a region takes: 4 bytes for registers, 64 for memory; the library hands each on as it is (C9). */
Test(pci, C9_wide_accesses_reach_the_device_whole)
{
    struct machine *machine = start(FIXED);
    uint32_t memory = read_config(machine, 1, 0x14);
    uint8_t data[64];

    memset(data, 0x5a, sizeof(data));
    device.writes = 0;
    mmio_access(&machine->cpu[0], memory + 64, 64, data, true);
    cr_assert_eq(device.writes, 1);
    cr_assert_eq(device.memory[127], 0x5a);
    machine_free(machine);
}
