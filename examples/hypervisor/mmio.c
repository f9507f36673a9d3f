/* SPDX-License-Identifier: BSD-2-Clause */
/* Where devices are in the guest's physical address space. */
#include "mmio.h"

#include "machine.h"

#include <string.h>

uint64_t mmio_element(const void *data, unsigned size, unsigned n)
{
    uint64_t value = 0;

    memcpy(&value, (const uint8_t *)data + (size_t)n * size, size);
    return value;
}

void mmio_set_element(void *data, unsigned size, unsigned n, uint64_t value)
{
    memcpy((uint8_t *)data + (size_t)n * size, &value, size);
}

/* --- nothing ------------------------------------------------------------------------------------------------------ */

/* Where nothing is, reads give ones and writes are lost: so guests find out. */
static bool read_nothing(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data)
{
    (void)opaque, (void)offset, (void)stride;
    memset(data, 0xff, (size_t)size * count);
    return true;
}

static bool write_nothing(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, const void *data)
{
    (void)opaque, (void)offset, (void)size, (void)count, (void)stride, (void)data;
    return true;
}

/* --- I/O APIC: registers of 4 bytes ------------------------------------------------------------------------------- */

static bool read_ioapic(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data)
{
    struct machine *machine = opaque;

    machine_lock(machine);
    for (unsigned n = 0; n < count; n++, offset += (uint64_t)(int64_t)stride)
        mmio_set_element(data, size, n, ioapic_read(&machine->ioapic, (unsigned)offset));
    machine_unlock(machine);
    return true;
}

static bool write_ioapic(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, const void *data)
{
    struct machine *machine = opaque;

    machine_lock(machine);
    for (unsigned n = 0; n < count; n++, offset += (uint64_t)(int64_t)stride)
        ioapic_write(&machine->ioapic, (unsigned)offset, (uint32_t)mmio_element(data, size, n));
    machine_unlock(machine);
    return true;
}

/* --- HPET: registers of 8 bytes, accessed whole or by halves ------------------------------------------------------ */

static bool read_hpet(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data)
{
    struct machine *machine = opaque;

    machine_lock(machine);
    for (unsigned n = 0; n < count; n++, offset += (uint64_t)(int64_t)stride) {
        uint64_t value = hpet_read(&machine->hpet, (unsigned)offset & ~7u, machine_now(machine));

        mmio_set_element(data, size, n, value >> 8 * (offset & 7));
    }
    machine_unlock(machine);
    return true;
}

static bool write_hpet(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, const void *data)
{
    struct machine *machine = opaque;

    machine_lock(machine);
    for (unsigned n = 0; n < count; n++, offset += (uint64_t)(int64_t)stride) {
        unsigned shift = 8 * (offset & 7);
        uint64_t mask = size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;

        hpet_write(&machine->hpet, (unsigned)offset & ~7u, mmio_element(data, size, n) << shift, mask << shift,
                   machine_now(machine));
    }
    machine_unlock(machine);
    return true;
}

/* --- local APIC --------------------------------------------------------------------------------------------------- */

/* One aligned piece of up to 4 bytes. */
static void access_apic(struct cpu *cpu, unsigned offset, unsigned size, void *data, bool write)
{
    uint32_t value = 0;

    machine_lock(cpu->machine);
    if (write) {
        memcpy(&value, data, size);
        cpu_write_apic(cpu, offset, size, value);
    } else {
        value = cpu_read_apic(cpu, offset, size);
        memcpy(data, &value, size);
    }
    machine_unlock(cpu->machine);
}

/* The library can't write there, so it asks: nothing happens. What it reads in order to write is answered too. */
static void answer_rom(const struct machine *machine, struct x86emu_request *r)
{
    for (unsigned n = 0; r->kind == X86EMU_REQUEST_READ && n < r->count; n++)
        memcpy(r->data.bytes + (size_t)n * r->size, machine->ram + r->gpa + (uint64_t)((int64_t)n * r->stride),
               r->size);
}

bool mmio_is_rom(const struct machine *machine, uint64_t gpa)
{
    const struct x86emu_region *rom = &machine->memory[MACHINE_ROM];

    return gpa >= rom->gpa && gpa - rom->gpa < rom->size;
}

bool mmio_answer(struct cpu *cpu, struct x86emu_vcpu *vcpu, struct x86emu_request *r)
{
    bool write = r->kind != X86EMU_REQUEST_READ;

    if (mmio_is_rom(cpu->machine, r->gpa) && !(r->flags & X86EMU_REQUEST_SPLIT)) {
        answer_rom(cpu->machine, r);
        return true;
    }
    if (r->gpa < APIC_BASE || r->gpa >= APIC_BASE + APIC_SIZE || r->flags & X86EMU_REQUEST_SPLIT || r->size > 4)
        return false;
    cpu_take_cr8(cpu, vcpu->cr8);
    for (unsigned n = 0; n < r->count; n++) {
        uint64_t offset = r->gpa - APIC_BASE + (uint64_t)((int64_t)n * r->stride);

        access_apic(cpu, (unsigned)offset, r->size, r->data.bytes + (size_t)n * r->size, write);
    }
    vcpu->cr8 = cpu->apic.task_priority >> 4;
    return true;
}

/* --- the map ------------------------------------------------------------------------------------------------------ */

static struct x86emu_region device(struct machine *machine, uint64_t gpa, uint64_t size, uint8_t width,
                                   x86emu_region_read *read, x86emu_region_write *write)
{
    return (struct x86emu_region){.gpa = gpa,
                                  .size = size,
                                  .kind = X86EMU_REGION_MMIO,
                                  .protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE,
                                  .max_width = width,
                                  .read = read,
                                  .write = write,
                                  .opaque = machine};
}

static bool insert(struct machine *machine, struct x86emu_region *region)
{
    return x86emu_region_insert(&machine->map, region) == X86EMU_REGION_OK;
}

static bool fill_holes(struct machine *machine)
{
    const uint64_t limit = UINT64_C(1) << MACHINE_ADDRESS_BITS;
    uint64_t at = 0;

    for (unsigned n = 0; at < limit;) {
        struct x86emu_region *here = x86emu_region_find(&machine->map, NULL, at), *next;

        if (here != NULL) {
            at = here->gpa + here->size;
            continue;
        }
        if (n == MMIO_HOLES)
            return false;
        next = x86emu_region_next(&machine->map, at);
        machine->mmio.hole[n] =
            device(machine, at, (next != NULL ? next->gpa : limit) - at, 8, read_nothing, write_nothing);
        if (!insert(machine, &machine->mmio.hole[n++]))
            return false;
    }
    return true;
}

bool mmio_start(struct machine *machine)
{
    struct mmio *mmio = &machine->mmio;

    mmio->apic = device(machine, APIC_BASE, APIC_SIZE, 4, NULL, NULL);
    mmio->ioapic = device(machine, IOAPIC_BASE, IOAPIC_SIZE, 4, read_ioapic, write_ioapic);
    mmio->hpet = device(machine, HPET_BASE, HPET_SIZE, 8, read_hpet, write_hpet);
    mmio->pci = device(machine, PCI_WINDOW, PCI_WINDOW_SIZE, 64, pci_read_window, pci_write_window);
    return insert(machine, &mmio->pci) && insert(machine, &mmio->apic) && insert(machine, &mmio->ioapic) &&
           insert(machine, &mmio->hpet) && fill_holes(machine);
}

/* One piece, within one region and no wider than it takes. */
static void access_piece(struct cpu *cpu, struct x86emu_region *region, uint64_t gpa, unsigned size, uint8_t *data,
                         bool write)
{
    uint64_t offset = gpa - region->gpa;
    bool done;

    if (region == &cpu->machine->mmio.apic) {
        access_apic(cpu, (unsigned)offset, size, data, write);
        return;
    }
    if (write)
        done = region->write != NULL && region->write(region->opaque, offset, size, 1, 0, data);
    else
        done = region->read != NULL && region->read(region->opaque, offset, size, 1, 0, data);
    if (!done && !write)
        memset(data, 0xff, size);
}

void mmio_access(struct cpu *cpu, uint64_t gpa, unsigned size, void *data, bool write)
{
    uint8_t *bytes = data;

    while (size > 0) {
        struct x86emu_region *region = x86emu_region_find(&cpu->machine->map, NULL, gpa);
        unsigned piece = 1;

        if (region == NULL || region->kind != X86EMU_REGION_MMIO) {
            if (!write)
                *bytes = 0xff;
        } else {
            while (piece * 2 <= size && piece < region->max_width && gpa % (piece * 2) == 0)
                piece *= 2;
            access_piece(cpu, region, gpa, piece, bytes, write);
        }
        gpa += piece;
        bytes += piece;
        size -= piece;
    }
}
