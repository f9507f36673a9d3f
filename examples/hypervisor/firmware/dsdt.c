/* SPDX-License-Identifier: BSD-2-Clause */
/* What ACPI tells of devices, in its machine language (ACPI 4.0, chapter 19): host bridge, serial port, power off. */
#include "firmware.h"
#include "pci.h"

#include <string.h>

enum {
    ZERO_OP = 0x00,
    NAME_OP = 0x08,
    BYTE = 0x0a,
    WORD = 0x0b,
    DWORD = 0x0c,
    SCOPE_OP = 0x10,
    BUFFER_OP = 0x11,
    PACKAGE_OP = 0x12,
    EXTENDED = 0x5b,
    DEVICE_OP = 0x82,
    LENGTH_BYTES = 3,
};

struct aml {
    uint8_t *bytes;
    unsigned used;
};

static void put(struct aml *aml, uint32_t value, unsigned size)
{
    memcpy(aml->bytes + aml->used, &value, size);
    aml->used += size;
}

static void put_text(struct aml *aml, const char *text)
{
    memcpy(aml->bytes + aml->used, text, strlen(text));
    aml->used += (unsigned)strlen(text);
}

/* Something with a length, which end() fills in, in three bytes whatever it is (19.2.4). */
static unsigned begin(struct aml *aml, unsigned op)
{
    if (op == DEVICE_OP)
        put(aml, EXTENDED, 1);
    put(aml, op, 1);
    aml->used += LENGTH_BYTES;
    return aml->used - LENGTH_BYTES;
}

static void end(struct aml *aml, unsigned start)
{
    unsigned length = aml->used - start;

    aml->bytes[start] = (uint8_t)(2 << 6 | (length & 0xf));
    aml->bytes[start + 1] = (uint8_t)(length >> 4);
    aml->bytes[start + 2] = (uint8_t)(length >> 12);
}

static void put_name(struct aml *aml, const char *name)
{
    put(aml, NAME_OP, 1);
    put_text(aml, name);
}

static void put_number(struct aml *aml, uint32_t value)
{
    put(aml, DWORD, 1);
    put(aml, value, 4);
}

/* 19.3.4: three letters in 5 bits each and four digits, the first byte most significant. */
static void put_id(struct aml *aml, const char *name, uint32_t id)
{
    put_name(aml, name);
    put_number(aml, id);
}

/* Name (\_S5, Package () {5, 5, 0, 0}) */
static void write_sleep(struct aml *aml)
{
    unsigned package;

    put_name(aml, "\\_S5_");
    package = begin(aml, PACKAGE_OP);
    put(aml, 4, 1);
    put(aml, BYTE | PM_S5 << 8, 2);
    put(aml, BYTE | PM_S5 << 8, 2);
    put(aml, ZERO_OP, 1);
    put(aml, ZERO_OP, 1);
    end(aml, package);
}

/* --- resources (6.4) ---------------------------------------------------------------------------------------------- */

/* Name (_CRS, Buffer () {…}): the buffer's size, a word, is filled in by end_resources(). */
struct resources {
    unsigned buffer, size;
};

static struct resources begin_resources(struct aml *aml)
{
    struct resources resources;

    put_name(aml, "_CRS");
    resources.buffer = begin(aml, BUFFER_OP);
    put(aml, WORD, 1);
    resources.size = aml->used;
    put(aml, 0, 2);
    return resources;
}

static void end_resources(struct aml *aml, struct resources resources)
{
    unsigned size;

    put(aml, 0x79, 2); /* no checksum */
    size = aml->used - resources.size - 2;
    memcpy(aml->bytes + resources.size, &size, 2);
    end(aml, resources.buffer);
}

enum {
    SPACE_MEMORY = 0,
    SPACE_IO = 1,
    SPACE_BUS = 2,
    FIXED = 0xc, /* both ends */
};

/* 6.4.3.5: an address space of words or doublewords. */
static void put_space(struct aml *aml, unsigned size, unsigned space, unsigned flags, uint32_t first, uint32_t last)
{
    put(aml, size == 2 ? 0x88 : 0x87, 1);
    put(aml, 3 + 5 * size, 2);
    put(aml, space, 1);
    put(aml, FIXED, 1);
    put(aml, flags, 1);
    put(aml, 0, size); /* granularity */
    put(aml, first, size);
    put(aml, last, size);
    put(aml, 0, size); /* translation */
    put(aml, last - first + 1, size);
}

/* 6.4.2.5: ports that are decoded in full. */
static void put_ports(struct aml *aml, unsigned first, unsigned count)
{
    put(aml, 0x47, 1);
    put(aml, 1, 1);
    put(aml, first, 2);
    put(aml, first, 2);
    put(aml, 1, 1);
    put(aml, count, 1);
}

/* --- devices ------------------------------------------------------------------------------------------------------ */

/* 6.2.12: {slot and function, pin, 0, global interrupt} */
static void write_routes(struct aml *aml)
{
    unsigned table, route;

    put_name(aml, "_PRT");
    table = begin(aml, PACKAGE_OP);
    put(aml, (PCI_SLOTS - 1) * 4, 1);
    for (unsigned n = 4; n < PCI_SLOTS * 4; n++) {
        route = begin(aml, PACKAGE_OP);
        put(aml, 4, 1);
        put_number(aml, n / 4 << 16 | 0xffff);
        put(aml, BYTE | n % 4 << 8, 2);
        put(aml, ZERO_OP, 1);
        put(aml, BYTE | pci_irq(n / 4, n % 4) << 8, 2);
        end(aml, route);
    }
    end(aml, table);
}

static void write_bridge(struct aml *aml)
{
    unsigned device = begin(aml, DEVICE_OP);
    struct resources resources;

    put_text(aml, "PCI0");
    put_id(aml, "_HID", 0x030ad041); /* PNP0A03 */
    resources = begin_resources(aml);
    put_space(aml, 2, SPACE_BUS, 0, 0, 0);
    put_ports(aml, 0xcf8, 8);
    put_space(aml, 2, SPACE_IO, 3, 0, 0xcf7);
    put_space(aml, 2, SPACE_IO, 3, 0xd00, 0xffff);
    put_space(aml, 4, SPACE_MEMORY, 1, PCI_WINDOW, PCI_WINDOW + PCI_WINDOW_SIZE - 1);
    end_resources(aml, resources);
    write_routes(aml);
    end(aml, device);
}

static void write_serial(struct aml *aml)
{
    unsigned device = begin(aml, DEVICE_OP);
    struct resources resources;

    put_text(aml, "COM1");
    put_id(aml, "_HID", 0x0105d041); /* PNP0501 */
    resources = begin_resources(aml);
    put_ports(aml, 0x3f8, 8);
    put(aml, 0x22, 1); /* 6.4.2.1: a mask of interrupts */
    put(aml, 1 << 4, 2);
    end_resources(aml, resources);
    end(aml, device);
}

unsigned dsdt_write(uint8_t *bytes)
{
    struct aml aml = {.bytes = bytes};
    unsigned scope;

    write_sleep(&aml);
    scope = begin(&aml, SCOPE_OP);
    put_text(&aml, "\\_SB_");
    write_bridge(&aml);
    write_serial(&aml);
    end(&aml, scope);
    return aml.used;
}
