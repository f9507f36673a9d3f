/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI bus: who answers which configuration or memory access (PCI 3.0, 3.2.2.3 and 6.2). */
#include "pci.h"

#include "machine.h"

#include <string.h>

enum {
    INTEL = 0x8086,
    AMD = 0x1022,
    BRIDGE_440FX = 0x1237,
    BRIDGE_AMD = 0x7432,

    COMMAND = 0x04,
    STATUS = 0x06,
    BAR = 0x10,
    INTERRUPT_LINE = 0x3c,
    INTERRUPT_PIN = 0x3d,

    MEMORY = 1 << 1, /* of COMMAND */
    INTERRUPT_STATUS = 1 << 3,
};

static void put(uint8_t *at, uint32_t value, unsigned size)
{
    memcpy(at, &value, size);
}

static uint32_t get(const uint8_t *at, unsigned size)
{
    uint32_t value = 0;

    memcpy(&value, at, size);
    return value;
}

void pci_init_device(struct pci_device *device, uint16_t vendor, uint16_t id, uint32_t class_and_revision)
{
    *device = (struct pci_device){.slot = 0};
    put(device->config, vendor | (uint32_t)id << 16, 4);
    put(device->config + 8, class_and_revision, 4);
    device->writable[COMMAND] = 0x47;     /* ports, memory, bus master, parity */
    device->writable[COMMAND + 1] = 0x05; /* system errors, no interrupts */
    device->writable[INTERRUPT_LINE] = 0xff;
}

void pci_reset(struct pci *pci, uint16_t vendor)
{
    *pci = (struct pci){.address = 0};
    pci_init_device(&pci->bridge, vendor != 0 ? vendor : INTEL, vendor == AMD ? BRIDGE_AMD : BRIDGE_440FX, 0x06000002);
    pci->device[0] = &pci->bridge;
}

enum pci_status pci_add(struct pci *pci, struct pci_device *device)
{
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        if (pci->device[slot] != NULL)
            continue;
        pci->device[slot] = device;
        device->slot = slot;
        device->config[INTERRUPT_PIN] = 1; /* INTA */
        device->config[INTERRUPT_LINE] = (uint8_t)pci_irq(slot, 0);
        for (unsigned n = 0; n < PCI_BARS; n++)
            if (device->bar[n].size != 0)
                put(device->writable + BAR + 4 * n, ~(device->bar[n].size - 1), 4);
        return PCI_OK;
    }
    return PCI_NO_SLOT;
}

/* --- base addresses ----------------------------------------------------------------------------------------------- */

static bool in_window(uint32_t address, uint32_t size)
{
    return address >= PCI_WINDOW && address - PCI_WINDOW <= PCI_WINDOW_SIZE - size;
}

/* An address that another device has already stays switched off. */
static void switch_on(struct pci *pci, struct pci_device *device, unsigned n)
{
    struct pci_bar *bar = &device->bar[n];
    uint32_t address = get(device->config + BAR + 4 * n, 4);

    if (!(device->config[COMMAND] & MEMORY) || !in_window(address, bar->size))
        return;
    bar->region.gpa = address;
    bar->region.size = bar->size;
    bar->region.kind = X86EMU_REGION_MMIO;
    bar->region.protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE;
    bar->inserted = x86emu_region_insert(&pci->map, &bar->region) == X86EMU_REGION_OK;
}

/* Brings the map up to what the registers say. */
static void update_map(struct pci *pci, struct pci_device *device)
{
    for (unsigned n = 0; n < PCI_BARS; n++) {
        if (device->bar[n].inserted)
            x86emu_region_remove(&pci->map, &device->bar[n].region);
        device->bar[n].inserted = false;
    }
    for (unsigned n = 0; n < PCI_BARS; n++)
        if (device->bar[n].size != 0)
            switch_on(pci, device, n);
}

static bool try_address(struct pci *pci, struct pci_device *device, unsigned n, uint32_t address)
{
    put(device->config + BAR + 4 * n, address, 4);
    update_map(pci, device);
    return device->bar[n].inserted;
}

/* Beyond each base address that is in the way; at most one more try than there are regions. */
static enum pci_status find_room(struct pci *pci, struct pci_device *device, unsigned n)
{
    uint32_t size = device->bar[n].size;
    uint64_t at = PCI_WINDOW;

    for (unsigned tries = 0; tries <= PCI_SLOTS * PCI_BARS; tries++) {
        const struct x86emu_region *other;

        at = (at + size - 1) & ~((uint64_t)size - 1);
        if (at > PCI_WINDOW + (uint64_t)PCI_WINDOW_SIZE - size)
            break;
        if (try_address(pci, device, n, (uint32_t)at))
            return PCI_OK;
        other = x86emu_region_find(&pci->map, NULL, at);
        if (other == NULL)
            other = x86emu_region_next(&pci->map, at);
        if (other == NULL)
            break;
        at = other->gpa + other->size;
    }
    return PCI_NO_ROOM;
}

enum pci_status pci_allocate(struct pci *pci, struct pci_device *device, unsigned n, uint32_t address)
{
    enum pci_status status = PCI_OK;
    uint32_t size = device->bar[n].size;

    device->config[COMMAND] |= MEMORY;
    if (address == 0)
        status = find_room(pci, device, n);
    else if (address & (size - 1) || !try_address(pci, device, n, address))
        status = PCI_NO_ROOM;
    if (status != PCI_OK)
        try_address(pci, device, n, 0);
    return status;
}

/* --- configuration ------------------------------------------------------------------------------------------------ */

/* Function 0 of a slot of bus 0; NULL: nobody. */
static struct pci_device *addressed(const struct pci *pci)
{
    unsigned slot = pci->address >> 11 & 31;

    if (!(pci->address >> 31) || pci->address & 0x00ff0700 || slot >= PCI_SLOTS)
        return NULL;
    return pci->device[slot];
}

static uint32_t ones(unsigned size)
{
    return size == 4 ? UINT32_MAX : (UINT32_C(1) << 8 * size) - 1;
}

uint32_t pci_read(const struct pci *pci, unsigned offset, unsigned size)
{
    const struct pci_device *device = addressed(pci);

    if (device == NULL || offset + size > 4)
        return ones(size);
    return get(device->config + (pci->address & 0xfc) + offset, size);
}

void pci_write(struct pci *pci, unsigned offset, unsigned size, uint32_t value)
{
    struct pci_device *device = addressed(pci);
    unsigned reg = (pci->address & 0xfc) + offset;

    if (device == NULL || offset + size > 4)
        return;
    for (unsigned i = 0; i < size; i++, reg++) {
        uint8_t mask = device->writable[reg];

        device->config[reg] = (uint8_t)((device->config[reg] & ~mask) | (value >> 8 * i & mask));
    }
    update_map(pci, device);
}

void pci_set_interrupt(struct machine *machine, const struct pci_device *device, bool active)
{
    uint8_t *status = &machine->pci.device[device->slot]->config[STATUS];
    bool allowed = !(device->config[COMMAND + 1] & 4);

    *status = (uint8_t)((*status & ~INTERRUPT_STATUS) | (active ? INTERRUPT_STATUS : 0));
    machine_set_irq(machine, pci_irq(device->slot, 0), active && allowed);
}

/* --- the window --------------------------------------------------------------------------------------------------- */

/* The region at an offset of the window, if all of the access lies in it and is no wider than it takes. */
static struct x86emu_region *region_at(struct machine *machine, uint64_t offset, unsigned size)
{
    struct x86emu_region *region = x86emu_region_find(&machine->pci.map, NULL, PCI_WINDOW + offset);

    if (region == NULL || size > region->max_width || PCI_WINDOW + offset - region->gpa > region->size - size)
        return NULL;
    return region;
}

bool pci_read_window(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data)
{
    struct machine *machine = opaque;

    machine_lock(machine);
    for (unsigned n = 0; n < count; n++, offset += (uint64_t)(int64_t)stride) {
        struct x86emu_region *region = region_at(machine, offset, size);
        uint8_t *element = (uint8_t *)data + (size_t)n * size;

        if (region == NULL || !region->read(region->opaque, PCI_WINDOW + offset - region->gpa, size, 1, 0, element))
            memset(element, 0xff, size); /* master abort */
    }
    machine_unlock(machine);
    return true;
}

bool pci_write_window(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, const void *data)
{
    struct machine *machine = opaque;

    machine_lock(machine);
    for (unsigned n = 0; n < count; n++, offset += (uint64_t)(int64_t)stride) {
        struct x86emu_region *region = region_at(machine, offset, size);

        if (region != NULL)
            region->write(region->opaque, PCI_WINDOW + offset - region->gpa, size, 1, 0,
                          (const uint8_t *)data + (size_t)n * size);
    }
    machine_unlock(machine);
    return true;
}
