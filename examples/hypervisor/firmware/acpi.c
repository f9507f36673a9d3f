/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables (ACPI 4.0, chapters 5 and 20): RSDP, XSDT, FADT, FACS, DSDT, MADT, HPET. */
#include "machine.h"

#include <string.h>

/* Writes one thing after the other. */
struct writer {
    uint8_t *ram;
    uint32_t at;
};

static void put(struct writer *w, uint64_t value, unsigned size)
{
    memcpy(w->ram + w->at, &value, size);
    w->at += size;
}

static void put_text(struct writer *w, const char *text)
{
    size_t length = strlen(text);

    memcpy(w->ram + w->at, text, length);
    w->at += (uint32_t)length;
}

static void align(struct writer *w, uint32_t to)
{
    w->at = (w->at + to - 1) & ~(to - 1);
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

enum {
    LENGTH = 4,
    CHECKSUM = 9,
};

/* 5.2.6: the header that all have; where it begins. */
static uint32_t begin(struct writer *w, const char *signature, unsigned revision)
{
    uint32_t start;

    align(w, 64);
    start = w->at;
    put_text(w, signature);
    put(w, 0, 4);
    put(w, revision, 1);
    put(w, 0, 1);
    put_text(w, "X86EMUHYPERVIS");
    put(w, 1, 4);
    put_text(w, "X86E");
    put(w, 1, 4);
    return start;
}

static void end(struct writer *w, uint32_t start)
{
    uint32_t length = w->at - start;

    memcpy(w->ram + start + LENGTH, &length, 4);
    w->ram[start + CHECKSUM] = firmware_checksum(w->ram + start, length);
}

/* 5.2.3.1: a generic address; size in bits. */
static void put_address(struct writer *w, bool port, unsigned bits, uint64_t address)
{
    put(w, port, 1);
    put(w, bits, 1);
    put(w, 0, 2);
    put(w, address, 8);
}

static uint32_t write_facs(struct writer *w)
{
    uint32_t start;

    align(w, 64);
    start = w->at;
    put_text(w, "FACS");
    put(w, 64, 4);
    w->at = start + 64;
    return start;
}

/* 5.2.9. */
static uint32_t write_fadt(struct writer *w, uint32_t facs, uint32_t dsdt)
{
    enum {
        WBINVD = 1 << 0,
        C1 = 1 << 2,
        NO_BUTTONS = 3 << 4,
        NO_FIXED_ALARM = 1 << 6,
        TIMER_32_BITS = 1 << 8,
        RESET = 1 << 10,
        LEGACY_DEVICES = 1 << 0,
        NO_VGA = 1 << 2,
        CENTURY = 0x32,
    };
    uint32_t start = begin(w, "FACP", 3);
    uint8_t *table = w->ram + start;

    put(w, facs, 4);
    put(w, dsdt, 4);
    table[46] = PM_IRQ;
    w->at = start + 56;
    put(w, PM_EVENT, 8);
    put(w, PM_CONTROL, 4);
    w->at = start + 76;
    put(w, PM_TIMER, 4);
    w->at = start + 88;
    put(w, 4, 1); /* lengths of the blocks */
    put(w, 2, 2);
    put(w, 4, 1);
    w->at = start + 96;
    put(w, 101, 2);  /* neither C2 */
    put(w, 1001, 2); /* nor C3 */
    table[108] = CENTURY;
    w->at = start + 109;
    put(w, LEGACY_DEVICES | NO_VGA, 2);
    w->at = start + 112;
    put(w, WBINVD | C1 | NO_BUTTONS | NO_FIXED_ALARM | TIMER_32_BITS | RESET, 4);
    put_address(w, true, 8, 0xcf9);
    put(w, 6, 1);
    w->at = start + 132;
    put(w, facs, 8);
    put(w, dsdt, 8);
    put_address(w, true, 32, PM_EVENT);
    w->at = start + 172;
    put_address(w, true, 16, PM_CONTROL);
    w->at = start + 208;
    put_address(w, true, 32, PM_TIMER);
    w->at = start + 244;
    end(w, start);
    return start;
}

/* 5.2.12. All ISA lines are at the pin of their number, edge-triggered as the bus has it, but for the SCI. */
static uint32_t write_madt(struct writer *w, const struct machine *machine)
{
    enum {
        LOCAL_APIC = 0 | 8 << 8,
        IO_APIC = 1 | 12 << 8,
        OVERRIDE = 2 | 10 << 8,
        LOCAL_NMI = 4 | 6 << 8,
        HAS_8259 = 1,
        HIGH_LEVEL = 0xd,
    };
    uint32_t start = begin(w, "APIC", 3);

    put(w, APIC_BASE, 4);
    put(w, HAS_8259, 4);
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        put(w, LOCAL_APIC, 2);
        put(w, n, 1);
        put(w, machine->cpu[n].apic.id, 1);
        put(w, 1, 4); /* enabled */
    }
    put(w, IO_APIC, 2);
    put(w, machine->ioapic.id, 2);
    put(w, IOAPIC_BASE, 4);
    put(w, 0, 4); /* its first global interrupt */
    put(w, OVERRIDE, 2);
    put(w, PM_IRQ << 8, 2);
    put(w, PM_IRQ, 4);
    put(w, HIGH_LEVEL, 2);
    put(w, LOCAL_NMI, 2);
    put(w, 0xff, 1); /* all processors, conforming, LINT1 */
    put(w, 0, 2);
    put(w, 1, 1);
    end(w, start);
    return start;
}

/* IA-PC HPET specification 1.0a, 3.2.4. */
static uint32_t write_hpet(struct writer *w)
{
    uint32_t start = begin(w, "HPET", 1);

    put(w, HPET_ID, 4);
    put_address(w, false, 64, HPET_BASE);
    put(w, 0, 1);
    put(w, 1000, 2); /* the shortest period without losses, in ticks */
    put(w, 0, 1);
    end(w, start);
    return start;
}

static uint32_t write_xsdt(struct writer *w, const uint32_t *tables, unsigned count)
{
    uint32_t start = begin(w, "XSDT", 1);

    for (unsigned i = 0; i < count; i++)
        put(w, tables[i], 8);
    end(w, start);
    return start;
}

/* 5.2.5.3: the first 20 bytes have a checksum of their own. */
static void write_rsdp(struct writer *w, uint32_t xsdt)
{
    uint8_t *start = w->ram + w->at;

    put_text(w, "RSD PTR ");
    put(w, 0, 1);
    put_text(w, "X86EMU");
    put(w, 2, 1);
    put(w, 0, 4); /* no RSDT */
    put(w, 36, 4);
    put(w, xsdt, 8);
    put(w, 0, 4);
    start[8] = firmware_checksum(start, 20);
    start[32] = firmware_checksum(start, 36);
}

void acpi_write_tables(struct machine *machine)
{
    struct writer w = {.ram = machine->ram, .at = FIRMWARE_ACPI + 64};
    uint32_t tables[3], facs, dsdt;

    memset(machine->ram + FIRMWARE_ACPI, 0, FIRMWARE_MP - FIRMWARE_ACPI);
    facs = write_facs(&w);
    dsdt = begin(&w, "DSDT", 2);
    w.at += dsdt_write(w.ram + w.at);
    end(&w, dsdt);
    tables[0] = write_fadt(&w, facs, dsdt);
    tables[1] = write_madt(&w, machine);
    tables[2] = write_hpet(&w);
    dsdt = write_xsdt(&w, tables, 3);
    w.at = FIRMWARE_ACPI;
    write_rsdp(&w, dsdt);
}
