/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices programmed at random, under sanitizers in that build: whatever a guest writes, they come to no harm. */
#include "../../examples/hypervisor/devices/testdev.h"
#include "machine_fixture.h"

#include <string.h>

static struct testdev device;

/* xorshift: the same accesses in each run. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint16_t random_port(uint64_t *state)
{
    static const uint16_t ports[] = {0x20,  0x21,  0xa0,  0xa1,  0x4d0, 0x4d1, 0x40,  0x41,  0x42,  0x43,  0x61,  0x70,
                                     0x71,  0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x220, 0xcf8, 0xcf8,
                                     0xcfc, 0xcfd, 0xcfe, 0xcff, 0x608, 0x60a, 0x60c, 0x610, 0x64,  0xcf9};
    uint64_t choice = next_random(state);

    if (choice % 16 == 0)
        return (uint16_t)(choice >> 32);
    return ports[(choice >> 8) % (sizeof(ports) / sizeof(ports[0]))];
}

static uint64_t random_address(struct machine *machine, uint64_t *state)
{
    static const uint64_t bases[] = {APIC_BASE,  APIC_BASE,  IOAPIC_BASE,      HPET_BASE,
                                     0xe1000000, PCI_WINDOW, UINT64_C(1) << 35};
    uint64_t choice = next_random(state);
    uint64_t base = bases[choice % (sizeof(bases) / sizeof(bases[0]))];

    if (choice >> 32 & 1 && base == IOAPIC_BASE)
        return base + (choice >> 33 & 0x10);
    if (choice >> 32 & 0xf)
        return base + (choice >> 40 & 0x3fc);
    return machine->ram_size + (choice >> 12) % (UINT64_C(1) << 35);
}

/* Values of few bits, of all, and small ones. */
static uint64_t random_value(uint64_t *state)
{
    uint64_t value = next_random(state);

    switch (value >> 60) {
    case 0:
        return UINT64_MAX;
    case 1:
        return 0;
    case 2:
    case 3:
        return value & 0xff;
    case 4:
        return next_random(state) & value;
    default:
        return value;
    }
}

static void access_at_random(struct machine *machine, uint64_t *state)
{
    struct cpu *cpu = &machine->cpu[next_random(state) % machine->cpu_count];
    uint64_t kind = next_random(state), value[8] = {random_value(state), random_value(state)};
    unsigned size = 1u << (kind >> 8) % 3;

    switch (kind % 4) {
    case 0:
        machine_port_out(machine, random_port(state), size, (uint32_t)value[0]);
        break;
    case 1:
        machine_port_in(machine, random_port(state), size);
        break;
    case 2:
        mmio_access(cpu, random_address(machine, state), 1u << (kind >> 8) % 7, value, true);
        break;
    default:
        mmio_access(cpu, random_address(machine, state), 1u << (kind >> 8) % 7, value, false);
        break;
    }
}

/* What the back ends do between instructions. */
static void run_at_random(struct machine *machine, uint64_t *state)
{
    struct cpu *cpu = &machine->cpu[next_random(state) % machine->cpu_count];
    static struct x86emu_vcpu vcpu;
    uint64_t next = machine_next_timer(machine), choice = next_random(state);

    fixture_time += choice & 1 && next != UINT64_MAX && next > fixture_time && next - fixture_time < UINT64_C(1) << 40
                        ? next - fixture_time
                        : choice >> 44;
    machine_run_devices(machine);
    if (cpu_has_interrupt(cpu))
        cr_assert_lt(cpu_acknowledge(cpu), 256);
    cpu_take_init(cpu, &vcpu);
    cpu_take_cr8(cpu, choice & 0xf);
    msr_write(cpu, choice & 2 ? 0x6e0 : 0x1b, choice);
    machine->end = MACHINE_RUNS;
}

static void random_run(uint64_t seed, unsigned accesses)
{
    struct machine *machine = fixture_start(3);

    machine->typed = "typed";
    cr_assert_eq(testdev_add(&device, machine, 0xe1000000), PCI_OK);
    for (unsigned i = 0; i < accesses; i++) {
        access_at_random(machine, &seed);
        if (i % 4 == 0)
            run_at_random(machine, &seed);
    }
    machine_free(machine);
}

Test(absurd, F28_random_accesses)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        random_run(seed * UINT64_C(0x9e3779b97f4a7c15), 20000);
}
