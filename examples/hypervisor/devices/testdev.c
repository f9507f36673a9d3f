/* SPDX-License-Identifier: BSD-2-Clause */
/* A PCI device for tests. */
#include "testdev.h"

#include "machine.h"

#include <string.h>

static bool read_register(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data)
{
    const struct testdev *device = opaque;
    const uint32_t registers[4] = {TESTDEV_SIGNATURE, device->scratch, device->writes, device->interrupt};
    uint32_t value = offset / 4 < 4 ? registers[offset / 4] >> 8 * (offset & 3) : 0;

    (void)count, (void)stride;
    memcpy(data, &value, size);
    return true;
}

static bool write_register(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, const void *data)
{
    struct testdev *device = opaque;
    uint32_t value = 0;

    (void)count, (void)stride;
    memcpy(&value, data, size);
    device->writes++;
    if (offset == TESTDEV_SCRATCH)
        device->scratch = value;
    if (offset != TESTDEV_INTERRUPT)
        return true;
    device->interrupt = value & 1;
    pci_set_interrupt(device->machine, &device->pci, device->interrupt);
    return true;
}

static bool read_memory(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data)
{
    const struct testdev *device = opaque;

    (void)count, (void)stride;
    memcpy(data, device->memory + offset, size);
    return true;
}

static bool write_memory(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, const void *data)
{
    struct testdev *device = opaque;

    (void)count, (void)stride;
    device->writes++;
    memcpy(device->memory + offset, data, size);
    return true;
}

enum pci_status testdev_add(struct testdev *device, struct machine *machine, uint32_t address)
{
    enum pci_status status;

    *device = (struct testdev){.machine = machine};
    pci_init_device(&device->pci, TESTDEV_VENDOR, TESTDEV_ID, 0xff000001);
    device->pci.bar[0] =
        (struct pci_bar){.size = TESTDEV_REGISTERS,
                         .region = {.max_width = 4, .read = read_register, .write = write_register, .opaque = device}};
    device->pci.bar[1] =
        (struct pci_bar){.size = TESTDEV_MEMORY,
                         .region = {.max_width = 64, .read = read_memory, .write = write_memory, .opaque = device}};
    status = pci_add(&machine->pci, &device->pci);
    if (status == PCI_OK)
        status = pci_allocate(&machine->pci, &device->pci, 0, address);
    if (status == PCI_OK)
        status = pci_allocate(&machine->pci, &device->pci, 1, 0);
    return status;
}
