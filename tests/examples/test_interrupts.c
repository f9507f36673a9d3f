/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts from device to processor, through 8259 or I/O APIC and the local APICs; INIT and start-up. */
#include "machine_fixture.h"

enum {
    EOI = 0xb0,
    COMMAND = 0x300,
    COMMAND_HIGH = 0x310,
};

/* The local APIC of each is switched on, as a kernel does. */
static struct machine *start(unsigned cpus)
{
    struct machine *machine = fixture_start(cpus);

    for (unsigned i = 0; i < cpus; i++) {
        cpu_write_apic(&machine->cpu[i], 0xf0, 4, 0x1ff);
        cpu_write_apic(&machine->cpu[i], 0xd0, 4, UINT32_C(1) << (24 + i));
    }
    return machine;
}

static void write_memory(struct machine *machine, uint64_t gpa, uint32_t value)
{
    mmio_access(&machine->cpu[0], gpa, 4, &value, true);
}

static uint32_t read_memory(struct machine *machine, uint64_t gpa)
{
    uint32_t value = 0;

    mmio_access(&machine->cpu[0], gpa, 4, &value, false);
    return value;
}

static void redirect(struct machine *machine, unsigned pin, uint32_t high, uint32_t low)
{
    write_memory(machine, IOAPIC_BASE, 0x11 + 2 * pin);
    write_memory(machine, IOAPIC_BASE + 0x10, high);
    write_memory(machine, IOAPIC_BASE, 0x10 + 2 * pin);
    write_memory(machine, IOAPIC_BASE + 0x10, low);
}

Test(interrupts, F28_the_8259_comes_through_the_virtual_wire)
{
    struct machine *machine = fixture_start(2);

    machine_port_out(machine, 0x20, 1, 0x11);
    machine_port_out(machine, 0x21, 1, 0x20);
    machine_port_out(machine, 0x21, 1, 0x04);
    machine_port_out(machine, 0x21, 1, 0x01);
    machine_set_irq(machine, 4, true);
    cr_assert(cpu_has_interrupt(&machine->cpu[0]));
    cr_assert_not(cpu_has_interrupt(&machine->cpu[1]));
    cr_assert_eq(cpu_acknowledge(&machine->cpu[0]), 0x24);
    machine_free(machine);
}

Test(interrupts, F28_ioapic_to_the_processor_named)
{
    struct machine *machine = start(3);

    redirect(machine, 4, 2u << 24, 0x41);
    machine_set_irq(machine, 4, true);
    cr_assert_not(cpu_has_interrupt(&machine->cpu[0]));
    cr_assert_not(cpu_has_interrupt(&machine->cpu[1]));
    cr_assert_eq(cpu_acknowledge(&machine->cpu[2]), 0x41);
    machine_free(machine);
}

Test(interrupts, F28_lowest_priority_goes_to_one)
{
    struct machine *machine = start(3);

    cpu_write_apic(&machine->cpu[0], 0x80, 4, 0x20);
    redirect(machine, 4, 7u << 24, 0x941);
    machine_set_irq(machine, 4, true);
    cr_assert_not(cpu_has_interrupt(&machine->cpu[0]));
    cr_assert_eq(cpu_acknowledge(&machine->cpu[1]), 0x41);
    machine_set_irq(machine, 4, false);
    machine_set_irq(machine, 4, true);
    cr_assert_eq(cpu_acknowledge(&machine->cpu[2]), 0x41, "the second is busy");
    machine_free(machine);
}

Test(interrupts, F28_a_level_ends_at_the_ioapic)
{
    struct machine *machine = start(1);

    redirect(machine, 17, 0, 0xa055);
    machine_set_irq(machine, 17, true);
    cr_assert_eq(cpu_acknowledge(&machine->cpu[0]), 0x55);
    write_memory(machine, APIC_BASE + EOI, 0);
    cr_assert_eq(cpu_acknowledge(&machine->cpu[0]), 0x55, "still active");
    machine_set_irq(machine, 17, false);
    write_memory(machine, APIC_BASE + EOI, 0);
    cr_assert_not(cpu_has_interrupt(&machine->cpu[0]));
    machine_free(machine);
}

Test(interrupts, F28_shorthands)
{
    static const struct {
        uint32_t command;
        bool reaches[3];
    } rows[] = {
        {0x00040041, {true, false, false}}, {0x00080041, {true, true, true}}, {0x000c0041, {false, true, true}}};

    for (unsigned i = 0; i < 3; i++) {
        struct machine *machine = start(3);

        cpu_write_apic(&machine->cpu[0], COMMAND, 4, rows[i].command);
        for (unsigned n = 0; n < 3; n++)
            cr_assert_eq(cpu_has_interrupt(&machine->cpu[n]), rows[i].reaches[n], "row %u, processor %u", i, n);
        machine_free(machine);
    }
}

/* SDM Vol. 3, 8.4.4.1 and table 9-1. */
Test(interrupts, F34_init_and_start_up)
{
    struct machine *machine = start(2);
    struct cpu *second = &machine->cpu[1];
    struct x86emu_vcpu vcpu;

    cpu_power_up(&vcpu);
    cr_assert(second->waiting);
    cr_assert_not(cpu_is_woken(second, &vcpu));
    vcpu.gpr[X86EMU_RAX] = 5;
    cpu_write_apic(&machine->cpu[0], COMMAND_HIGH, 4, 1u << 24);
    cpu_write_apic(&machine->cpu[0], COMMAND, 4, 0x4500);
    cr_assert(cpu_is_woken(second, &vcpu));
    cr_assert(cpu_take_init(second, &vcpu));
    cr_assert(second->waiting);
    cr_assert_eq(vcpu.gpr[X86EMU_RAX], 0);
    cpu_write_apic(&machine->cpu[0], COMMAND, 4, 0x4699);
    cr_assert(cpu_take_init(second, &vcpu));
    cr_assert_not(second->waiting);
    cr_assert_eq(vcpu.segment[X86EMU_CS].selector, 0x9900);
    cr_assert_eq(vcpu.segment[X86EMU_CS].base, 0x99000);
    cr_assert_eq(vcpu.rip, 0);
    cr_assert_eq(vcpu.cr0 & X86EMU_CR0_PE, 0, "real mode");
    vcpu.rip = 0x123;
    cpu_write_apic(&machine->cpu[0], COMMAND, 4, 0x4677);
    cpu_take_init(second, &vcpu);
    cr_assert_eq(vcpu.rip, 0x123, "it runs: a second start-up is ignored");
    machine_free(machine);
}

/* SDM Vol. 3, 10.8.6 */
Test(interrupts, F24_cr8_is_the_task_priority)
{
    struct machine *machine = start(1);

    cpu_take_cr8(&machine->cpu[0], 5);
    cr_assert_eq(read_memory(machine, APIC_BASE + 0x80), 0x50);
    write_memory(machine, APIC_BASE + 0x80, 0x53);
    cpu_take_cr8(&machine->cpu[0], 5);
    cr_assert_eq(read_memory(machine, APIC_BASE + 0x80), 0x53, "the same class: not a MOV to CR8");
    machine_free(machine);
}

Test(interrupts, F4_the_local_apic_is_handed_on_with_its_processor)
{
    struct machine *machine = start(2);
    struct x86emu_request request = {.kind = X86EMU_REQUEST_READ, .gpa = APIC_BASE + 0x20, .size = 4, .count = 1};
    struct x86emu_vcpu vcpu = {.cr8 = 0};
    const struct x86emu_region *apic = x86emu_region_find(&machine->map, NULL, APIC_BASE);
    const struct x86emu_region *ioapic = x86emu_region_find(&machine->map, NULL, IOAPIC_BASE);

    cr_assert(apic->read == NULL && apic->write == NULL);
    cr_assert(ioapic->read != NULL && ioapic->write != NULL, "handled where it is found");
    machine_answer(&machine->cpu[1], &vcpu, &request);
    cr_assert_eq(request.answer, X86EMU_ANSWER_OK);
    cr_assert_eq(request.data.value & 0xffffffff, 1u << 24);
    request.gpa = APIC_BASE + 0x80;
    request.kind = X86EMU_REQUEST_WRITE;
    request.data.value = 0x30;
    machine_answer(&machine->cpu[1], &vcpu, &request);
    cr_assert_eq(vcpu.cr8, 3);
    machine_free(machine);
}

Test(interrupts, F24_hlt_ends_by_what_may_be_delivered)
{
    struct machine *machine = start(1);
    struct cpu *cpu = &machine->cpu[0];
    struct x86emu_vcpu vcpu = {.rflags = 0};

    cpu_write_apic(cpu, COMMAND, 4, 0x00040041);
    cr_assert_not(cpu_is_woken(cpu, &vcpu), "IF is clear");
    vcpu.rflags = X86EMU_RFLAGS_IF;
    cr_assert(cpu_is_woken(cpu, &vcpu));
    cpu_write_apic(cpu, 0x80, 4, 0x40);
    cr_assert_not(cpu_is_woken(cpu, &vcpu), "below the task priority");
    cpu->apic.nmi = true;
    cr_assert(cpu_is_woken(cpu, &vcpu));
    vcpu.interruptibility = X86EMU_BLOCKED_BY_NMI;
    cr_assert_not(cpu_is_woken(cpu, &vcpu));
    machine_free(machine);
}
