/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts between devices and processors. */
#include "interrupts.h"

#include "machine.h"

#include <string.h>

static struct cpu *lowest_priority(struct machine *machine, const struct apic_message *message)
{
    struct cpu *lowest = NULL;

    for (unsigned i = 0; i < machine->cpu_count; i++) {
        struct cpu *cpu = &machine->cpu[i];

        if (apic_is_addressed(&cpu->apic, message) &&
            (lowest == NULL || apic_priority(&cpu->apic) < apic_priority(&lowest->apic)))
            lowest = cpu;
    }
    return lowest;
}

static void accept(struct cpu *cpu, const struct apic_message *message)
{
    apic_accept(&cpu->apic, message);
    if (cpu->machine->kick != NULL)
        cpu->machine->kick(cpu);
}

/* By destination. */
static void deliver(void *opaque, const struct apic_message *message)
{
    struct machine *machine = opaque;
    struct cpu *lowest;

    if (message->delivery == APIC_LOWEST_PRIORITY) {
        lowest = lowest_priority(machine, message);
        if (lowest != NULL)
            accept(lowest, message);
        return;
    }
    for (unsigned i = 0; i < machine->cpu_count; i++)
        if (apic_is_addressed(&machine->cpu[i].apic, message))
            accept(&machine->cpu[i], message);
}

/* By a shorthand of the command register (SDM Vol. 3, 10.6.1). */
static void deliver_from(struct cpu *cpu, const struct apic_result *result)
{
    struct machine *machine = cpu->machine;

    if (result->shorthand == 0) {
        deliver(machine, &result->message);
        return;
    }
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        bool self = &machine->cpu[i] == cpu;

        if (result->shorthand == 1 ? self : result->shorthand == 2 || !self)
            accept(&machine->cpu[i], &result->message);
    }
}

static void set_pin(void *opaque, unsigned pin, bool active)
{
    struct machine *machine = opaque;

    ioapic_set_pin(&machine->ioapic, pin, active);
}

void interrupts_reset(struct machine *machine, unsigned cpus)
{
    machine->cpu_count = cpus;
    for (unsigned i = 0; i < cpus; i++) {
        machine->cpu[i] = (struct cpu){.machine = machine, .index = (uint8_t)i, .waiting = i != 0};
        apic_reset(&machine->cpu[i].apic, (uint8_t)i, i == 0);
    }
    apic_set_virtual_wire(&machine->cpu[0].apic);
    machine->ioapic = (struct ioapic){.send = deliver, .opaque = machine};
    ioapic_reset(&machine->ioapic, (uint8_t)cpus);
    machine->hpet = (struct hpet){.set_pin = set_pin, .opaque = machine};
    hpet_reset(&machine->hpet);
}

void machine_set_irq(struct machine *machine, unsigned irq, bool high)
{
    if (irq < 16)
        pic_set_line(&machine->pic, irq, high);
    ioapic_set_pin(&machine->ioapic, irq, high);
}

/* --- what a processor takes --------------------------------------------------------------------------------------- */

static bool extint(const struct cpu *cpu)
{
    return apic_takes_extint(&cpu->apic) && pic_pending(&cpu->machine->pic);
}

bool cpu_has_nmi(const struct cpu *cpu)
{
    return cpu->apic.nmi;
}

bool cpu_has_interrupt(const struct cpu *cpu)
{
    return apic_pending(&cpu->apic) || extint(cpu);
}

/* The 8259's come first: they know no priority among the APIC's. */
unsigned cpu_acknowledge(struct cpu *cpu)
{
    return extint(cpu) ? pic_acknowledge(&cpu->machine->pic) : apic_acknowledge(&cpu->apic);
}

bool cpu_is_woken(const struct cpu *cpu, const struct x86emu_vcpu *vcpu)
{
    if (cpu->apic.init || cpu->apic.startup)
        return true;
    if (cpu->waiting)
        return false;
    if (cpu_has_nmi(cpu) && !(vcpu->interruptibility & X86EMU_BLOCKED_BY_NMI))
        return true;
    return vcpu->rflags & X86EMU_RFLAGS_IF && cpu_has_interrupt(cpu);
}

void cpu_take_cr8(struct cpu *cpu, uint64_t cr8)
{
    if (cpu->apic.task_priority >> 4 != cr8)
        cpu->apic.task_priority = (uint8_t)(cr8 << 4);
}

uint32_t cpu_read_apic(struct cpu *cpu, unsigned offset, unsigned size)
{
    unsigned within = offset & 0xf;
    uint32_t value;

    if (within + size > 4) /* the other 12 bytes of each register are undefined (SDM Vol. 3, 10.4.1) */
        return 0;
    value = apic_read(&cpu->apic, offset & ~0xfu, machine_now(cpu->machine)) >> 8 * within;
    return size == 4 ? value : value & ((UINT32_C(1) << 8 * size) - 1);
}

void cpu_write_apic(struct cpu *cpu, unsigned offset, unsigned size, uint32_t value)
{
    struct apic_result result;

    if (size != 4 || offset & 0xf)
        return;
    result = apic_write(&cpu->apic, offset, value, machine_now(cpu->machine));
    if (result.send)
        deliver_from(cpu, &result);
    if (result.end)
        ioapic_end(&cpu->machine->ioapic, result.end_vector);
}

/* --- INIT and start-up -------------------------------------------------------------------------------------------- */

/* SDM Vol. 3, table 9-1: what power-up and INIT have in common. */
static void set_registers(struct x86emu_vcpu *vcpu)
{
    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->loaded = X86EMU_STATE_ALL;
    vcpu->changed = X86EMU_STATE_ALL;
    for (unsigned i = 0; i < 6; i++)
        vcpu->segment[i] = (struct x86emu_segment){.limit = 0xffff, .attributes = 0x93};
    vcpu->segment[X86EMU_CS].attributes = 0x9b;
    vcpu->ldtr = (struct x86emu_segment){.limit = 0xffff, .attributes = 0x82};
    vcpu->tr = (struct x86emu_segment){.limit = 0xffff, .attributes = 0x8b};
    vcpu->gdtr.limit = vcpu->idtr.limit = 0xffff;
    vcpu->rflags = X86EMU_RFLAGS_FIXED;
    vcpu->gpr[X86EMU_RDX] = 0x600;
    vcpu->cr0 = X86EMU_CR0_ET | X86EMU_CR0_CD | X86EMU_CR0_NW;
    vcpu->dr[6] = 0xffff0ff0;
    vcpu->dr[7] = 0x400;
    vcpu->xcr0 = 1;
}

void cpu_power_up(struct x86emu_vcpu *vcpu)
{
    set_registers(vcpu);
    vcpu->mxcsr = 0x1f80;
    vcpu->x87.control = 0x40;
    vcpu->x87.tag = 0x5555;
}

/* The same table: x87, SSE, XCR0 and CR0's cache bits stay as they are. */
static void init_registers(struct x86emu_vcpu *vcpu)
{
    struct x86emu_vcpu old = *vcpu;
    const uint64_t caching = X86EMU_CR0_CD | X86EMU_CR0_NW;

    set_registers(vcpu);
    vcpu->cr0 = (vcpu->cr0 & ~caching) | (old.cr0 & caching);
    memcpy(vcpu->zmm, old.zmm, sizeof(vcpu->zmm));
    memcpy(vcpu->k, old.k, sizeof(vcpu->k));
    vcpu->x87 = old.x87;
    vcpu->mxcsr = old.mxcsr;
    vcpu->xcr0 = old.xcr0;
}

/* The local APIC keeps its ID and address (SDM Vol. 3, 10.4.7.3). Without firmware, INIT of the first is a reset. */
static void take_init(struct cpu *cpu, struct x86emu_vcpu *vcpu)
{
    struct apic old = cpu->apic;

    init_registers(vcpu);
    apic_reset(&cpu->apic, old.id, cpu->index == 0);
    cpu->apic.base = old.base;
    cpu->apic.startup = old.startup; /* that came after it */
    cpu->apic.startup_page = old.startup_page;
    cpu->halted = false;
    cpu->waiting = true;
    if (cpu->index == 0)
        cpu->machine->end = MACHINE_RESET;
}

/* SDM Vol. 3, 8.4.3: CS:IP is the page in the message. Without an INIT before it, it is ignored. */
static void take_startup(struct cpu *cpu, struct x86emu_vcpu *vcpu)
{
    cpu->apic.startup = false;
    if (!cpu->waiting)
        return;
    cpu->waiting = false;
    vcpu->segment[X86EMU_CS].selector = (uint16_t)(cpu->apic.startup_page << 8);
    vcpu->segment[X86EMU_CS].base = (uint64_t)cpu->apic.startup_page << 12;
    vcpu->rip = 0;
}

bool cpu_take_init(struct cpu *cpu, struct x86emu_vcpu *vcpu)
{
    bool any = cpu->apic.init || cpu->apic.startup;

    if (cpu->apic.init)
        take_init(cpu, vcpu);
    if (cpu->apic.startup)
        take_startup(cpu, vcpu);
    return any;
}
