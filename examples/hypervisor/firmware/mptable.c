/* SPDX-License-Identifier: BSD-2-Clause */
/* The MP configuration table (MP specification 1.4, chapter 4): ISA interrupts one to one at the I/O APIC. */
#include "machine.h"

#include <string.h>

enum {
    HEADER = 44,
    TABLE = FIRMWARE_MP + 16,

    PROCESSOR = 0,
    BUS = 1,
    IOAPIC = 2,
    IO_INTERRUPT = 3,
    LOCAL_INTERRUPT = 4,

    INT = 0,
    NMI = 1,
    EXTINT = 3,
    LEVEL_LOW = 0xf, /* what PCI interrupts are */
    PCI_BUS = 0,
    ISA_BUS = 1,
};

struct table {
    uint8_t *bytes;
    unsigned used, entries;
};

static void put(uint8_t *at, uint32_t value, unsigned size)
{
    memcpy(at, &value, size);
}

uint8_t firmware_checksum(const uint8_t *bytes, unsigned count)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < count; i++)
        sum += bytes[i];
    return (uint8_t)-sum;
}

static uint8_t *add(struct table *table, unsigned type, unsigned size)
{
    uint8_t *entry = table->bytes + table->used;

    entry[0] = (uint8_t)type;
    table->used += size;
    table->entries++;
    return entry;
}

static void add_processor(struct table *table, const struct machine *machine, unsigned n)
{
    uint8_t *entry = add(table, PROCESSOR, 20);
    uint32_t cpuid[4];

    cpuid_answer(&machine->cpu[n], 1, 0, cpuid);
    entry[1] = machine->cpu[n].apic.id;
    entry[2] = 0x14;
    entry[3] = n == 0 ? 3 : 1; /* enabled; the bootstrap processor */
    put(entry + 4, cpuid[0], 4);
    put(entry + 8, cpuid[3], 4);
}

static void add_bus(struct table *table, unsigned id, const char *name)
{
    uint8_t *entry = add(table, BUS, 8);

    entry[1] = (uint8_t)id;
    memcpy(entry + 2, name, 6);
}

static void add_interrupt(struct table *table, unsigned entry_type, unsigned type, unsigned flags, unsigned bus,
                          unsigned irq, unsigned apic, unsigned pin)
{
    uint8_t *entry = add(table, entry_type, 8);

    entry[1] = (uint8_t)type;
    put(entry + 2, flags, 2);
    entry[4] = (uint8_t)bus;
    entry[5] = (uint8_t)irq;
    entry[6] = (uint8_t)apic;
    entry[7] = (uint8_t)pin;
}

static void add_interrupts(struct table *table, unsigned apic)
{
    for (unsigned irq = 0; irq < 16; irq++)
        if (irq != 2) /* the cascade */
            add_interrupt(table, IO_INTERRUPT, INT, 0, ISA_BUS, irq, apic, irq);
    for (unsigned slot = 1; slot < PCI_SLOTS; slot++)
        for (unsigned pin = 0; pin < 4; pin++)
            add_interrupt(table, IO_INTERRUPT, INT, LEVEL_LOW, PCI_BUS, slot << 2 | pin, apic, pci_irq(slot, pin));
    add_interrupt(table, LOCAL_INTERRUPT, EXTINT, 0, ISA_BUS, 0, 0, 0);
    add_interrupt(table, LOCAL_INTERRUPT, NMI, 0, ISA_BUS, 0, 0xff, 1);
}

static void fill_header(struct table *table)
{
    uint8_t *header = table->bytes;

    memcpy(header, "PCMP", 4);
    put(header + 4, table->used, 2);
    header[6] = 4; /* version 1.4 */
    memcpy(header + 8, "X86EMU  HYPERVISOR  ", 20);
    put(header + 34, table->entries, 2);
    put(header + 36, (uint32_t)APIC_BASE, 4);
    header[7] = firmware_checksum(header, table->used);
}

static void write_pointer(uint8_t *at)
{
    memset(at, 0, 16);
    memcpy(at, "_MP_", 4);
    put(at + 4, TABLE, 4);
    at[8] = 1; /* length, in 16 bytes */
    at[9] = 4;
    at[10] = firmware_checksum(at, 16);
}

void mp_write_table(struct machine *machine)
{
    struct table table = {.bytes = machine->ram + TABLE, .used = HEADER};
    uint8_t *ioapic;

    memset(table.bytes, 0, FIRMWARE_END - TABLE);
    for (unsigned n = 0; n < machine->cpu_count; n++)
        add_processor(&table, machine, n);
    add_bus(&table, PCI_BUS, "PCI   ");
    add_bus(&table, ISA_BUS, "ISA   ");
    ioapic = add(&table, IOAPIC, 8);
    ioapic[1] = machine->ioapic.id;
    ioapic[2] = 0x11;
    ioapic[3] = 1; /* usable */
    put(ioapic + 4, (uint32_t)IOAPIC_BASE, 4);
    add_interrupts(&table, machine->ioapic.id);
    fill_header(&table);
    write_pointer(machine->ram + FIRMWARE_MP);
}
