/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables and the MP table, read as their specifications say a system finds them. */
#define _GNU_SOURCE
#include "machine_fixture.h"

#include <string.h>

static uint64_t get(const struct machine *machine, uint64_t at, unsigned size)
{
    uint64_t value = 0;

    cr_assert(at + size <= machine->ram_size);
    memcpy(&value, machine->ram + at, size);
    return value;
}

static bool sums_to_zero(const struct machine *machine, uint64_t at, uint64_t size)
{
    uint8_t sum = 0;

    for (uint64_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + get(machine, at + i, 1));
    return sum == 0;
}

/* ACPI 4.0, 5.2.5.1: on a 16-byte boundary between E0000H and FFFFFH. */
static uint64_t find_rsdp(const struct machine *machine)
{
    for (uint64_t at = 0xe0000; at < 0x100000; at += 16)
        if (memcmp(machine->ram + at, "RSD PTR ", 8) == 0 && sums_to_zero(machine, at, 20))
            return at;
    return 0;
}

static uint64_t find_table(const struct machine *machine, const char *signature)
{
    uint64_t rsdp = find_rsdp(machine), xsdt, length;

    cr_assert_neq(rsdp, 0);
    cr_assert_eq(get(machine, rsdp + 15, 1), 2, "revision");
    cr_assert(sums_to_zero(machine, rsdp, get(machine, rsdp + 20, 4)));
    xsdt = get(machine, rsdp + 24, 8);
    length = get(machine, xsdt + 4, 4);
    cr_assert(memcmp(machine->ram + xsdt, "XSDT", 4) == 0);
    cr_assert(sums_to_zero(machine, xsdt, length));
    for (uint64_t i = 36; i < length; i += 8) {
        uint64_t table = get(machine, xsdt + i, 8);

        if (memcmp(machine->ram + table, signature, 4) != 0)
            continue;
        cr_assert(sums_to_zero(machine, table, get(machine, table + 4, 4)), "%s", signature);
        return table;
    }
    return 0;
}

static struct machine *start(unsigned cpus)
{
    struct machine *machine = fixture_start(cpus);

    acpi_write_tables(machine);
    mp_write_table(machine);
    return machine;
}

/* ACPI 4.0, 5.2.12 */
Test(firmware, F31_madt_names_processors_and_io_apic)
{
    struct machine *machine = start(3);
    uint64_t table = find_table(machine, "APIC"), end = table + get(machine, table + 4, 4);
    unsigned processors = 0, io_apics = 0;

    cr_assert_eq(get(machine, table + 36, 4), 0xfee00000);
    cr_assert_eq(get(machine, table + 40, 4) & 1, 1, "there are 8259s");
    for (uint64_t at = table + 44; at < end; at += get(machine, at + 1, 1)) {
        cr_assert_geq(get(machine, at + 1, 1), 6);
        if (get(machine, at, 1) == 0) {
            cr_assert_eq(get(machine, at + 3, 1), processors++);
            cr_assert_eq(get(machine, at + 4, 4) & 1, 1);
        }
        if (get(machine, at, 1) == 1) {
            io_apics++;
            cr_assert_eq(get(machine, at + 4, 4), 0xfec00000);
            cr_assert_eq(get(machine, at + 8, 4), 0);
        }
        if (get(machine, at, 1) == 2)
            cr_assert_eq(get(machine, at + 3, 1), get(machine, at + 4, 4), "identity");
    }
    cr_assert_eq(processors, 3);
    cr_assert_eq(io_apics, 1);
    machine_free(machine);
}

/* ACPI 4.0, 4.7.3.3 and 5.2.9: as a system powers off, with the sleep type of \_S5. */
Test(firmware, F31_power_off_by_the_fadt)
{
    struct machine *machine = start(1);
    uint64_t fadt = find_table(machine, "FACP"), dsdt = get(machine, fadt + 40, 4),
             control = get(machine, fadt + 64, 4);
    uint64_t length = get(machine, dsdt + 4, 4);
    const uint8_t *s5 = memmem(machine->ram + dsdt, length, "_S5_", 4);

    cr_assert_eq(get(machine, fadt + 4, 4), 244);
    cr_assert_eq(get(machine, fadt + 140, 8), dsdt);
    cr_assert_eq(get(machine, fadt + 152, 8), get(machine, fadt + 56, 4));
    cr_assert_eq(get(machine, fadt + 176, 8), control);
    cr_assert(memcmp(machine->ram + dsdt, "DSDT", 4) == 0);
    cr_assert(sums_to_zero(machine, dsdt, length));
    cr_assert_not_null(s5);
    cr_assert_eq(s5[4], 0x12, "a package");
    cr_assert_eq(s5[9], 0x0a, "whose first element is a byte");
    cr_assert_eq(machine_port_in(machine, (uint16_t)control, 2) & 1, 1, "SCI_EN: in ACPI mode already");
    machine_port_out(machine, (uint16_t)control, 2, 4u << 10 | 1u << 13);
    cr_assert_eq(machine->end, MACHINE_RUNS, "not this sleep type");
    machine_port_out(machine, (uint16_t)control, 2, (uint32_t)s5[10] << 10 | 1u << 13);
    cr_assert_eq(machine->end, MACHINE_POWERED_OFF);
    machine_free(machine);
}

/* ACPI 4.0, 4.7.3.3: 3.579545 MHz. */
Test(firmware, F31_power_management_timer)
{
    struct machine *machine = start(1);
    uint16_t port = (uint16_t)get(machine, find_table(machine, "FACP") + 76, 4);

    cr_assert_eq(machine_port_in(machine, port, 4), 0);
    fixture_time = UINT64_C(10000000000);
    cr_assert_eq(machine_port_in(machine, port, 4), 35795450);
    fixture_time = UINT64_C(2000000000000);
    cr_assert_eq(machine_port_in(machine, port, 4), (uint32_t)UINT64_C(7159090000), "32 bits");
    machine_free(machine);
}

Test(firmware, F31_hpet_table)
{
    struct machine *machine = start(1);
    uint64_t table = find_table(machine, "HPET"), base = get(machine, table + 44, 8);
    uint32_t id = 0;

    cr_assert_eq(get(machine, table + 40, 1), 0, "in memory");
    mmio_access(&machine->cpu[0], base, 4, &id, false);
    cr_assert_eq(get(machine, table + 36, 4), id);
    machine_free(machine);
}

/* MP specification 1.4, chapter 4: the pointer on a 16-byte boundary between F0000H and FFFFFH. */
Test(firmware, F31_mp_table_with_isa_interrupts_one_to_one)
{
    struct machine *machine = start(2);
    uint64_t pointer = 0, table, at, count;
    unsigned processors = 0, isa_bus = 256, isa = 0, local = 0;

    for (at = 0xf0000; pointer == 0 && at < 0x100000; at += 16)
        if (memcmp(machine->ram + at, "_MP_", 4) == 0 && sums_to_zero(machine, at, 16))
            pointer = at;
    cr_assert_neq(pointer, 0);
    table = get(machine, pointer + 4, 4);
    cr_assert(memcmp(machine->ram + table, "PCMP", 4) == 0);
    cr_assert(sums_to_zero(machine, table, get(machine, table + 4, 2)));
    cr_assert_eq(get(machine, table + 36, 4), 0xfee00000);
    count = get(machine, table + 34, 2);
    for (at = table + 44; count > 0; count--) {
        unsigned type = (unsigned)get(machine, at, 1);

        processors += type == 0;
        if (type == 0)
            cr_assert_eq(get(machine, at + 3, 1), processors == 1 ? 3 : 1, "the first is the bootstrap processor");
        if (type == 1 && memcmp(machine->ram + at + 2, "ISA   ", 6) == 0)
            isa_bus = (unsigned)get(machine, at + 1, 1);
        if (type == 2)
            cr_assert_eq(get(machine, at + 4, 4), 0xfec00000);
        if (type == 3 && get(machine, at + 4, 1) == isa_bus) {
            cr_assert_eq(get(machine, at + 5, 1), get(machine, at + 7, 1));
            isa++;
        }
        local += type == 4;
        at += type == 0 ? 20 : 8;
    }
    cr_assert_eq(at - table, get(machine, table + 4, 2));
    cr_assert_eq(processors, 2);
    cr_assert_eq(isa, 15, "all but the cascade");
    cr_assert_eq(local, 2);
    machine_free(machine);
}
