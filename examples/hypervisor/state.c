/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's state in a file: a header, the plain data of devices, processors and contexts as they are in memory, then
 * those pages that aren't all zeros. For the program that wrote it: the header tells whether it is another.
 */
#include "state.h"

#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 4096,
    MAX_PARTS = 16,
};

#define MAGIC "x86emu-vm state 1"

struct header {
    char magic[24];
    uint64_t ram_size, size; /* of memory; of parts, contexts and processors, to know a file of another build */
    uint32_t cpu_count, unused;
};

/* Plain data of the machine: no pointers in it, or pointers that state_restore() puts back. */
struct part {
    void *data;
    size_t size;
};

static unsigned list_parts(struct machine *m, struct part parts[MAX_PARTS])
{
    const struct part list[] = {
        {&m->cpu, sizeof(m->cpu)},
        {&m->ioapic, sizeof(m->ioapic)},
        {&m->hpet, sizeof(m->hpet)},
        {&m->pic, sizeof(m->pic)},
        {&m->pit, sizeof(m->pit)},
        {&m->serial, sizeof(m->serial)},
        {&m->rtc, sizeof(m->rtc)},
        {&m->pci.address, sizeof(m->pci.address)},
        {m->pci.bridge.config, sizeof(m->pci.bridge.config)},
        {&m->power, sizeof(m->power)},
        {&m->statistics, sizeof(m->statistics)},
        {&m->virtual_time, sizeof(m->virtual_time)},
        {&m->tsc_start, sizeof(m->tsc_start)},
        {&m->tsc_mhz, sizeof(m->tsc_mhz)},
    };

    memcpy(parts, list, sizeof(list));
    return sizeof(list) / sizeof(list[0]);
}

static struct header describe(struct machine *machine)
{
    struct part parts[MAX_PARTS];
    unsigned count = list_parts(machine, parts);
    struct header header = {.magic = MAGIC,
                            .ram_size = machine->ram_size,
                            .size = sizeof(struct x86emu) * 65536 + sizeof(struct x86emu_vcpu),
                            .cpu_count = machine->cpu_count};

    for (unsigned i = 0; i < count; i++)
        header.size = header.size * 31 + parts[i].size;
    return header;
}

/* --- saving -------------------------------------------------------------------------------------------------------------- */

static bool put(FILE *file, const void *data, size_t size)
{
    return fwrite(data, size, 1, file) == 1;
}

/* Each with its address; the last address is the memory's size. */
static bool put_memory(FILE *file, const struct machine *machine)
{
    static const uint8_t zeros[PAGE];
    bool ok = true;

    for (uint64_t gpa = 0; ok && gpa < machine->ram_size; gpa += PAGE)
        if (memcmp(machine->ram + gpa, zeros, PAGE) != 0)
            ok = put(file, &gpa, sizeof(gpa)) && put(file, machine->ram + gpa, PAGE);
    return ok && put(file, &machine->ram_size, sizeof(machine->ram_size));
}

static bool put_all(FILE *file, struct machine *machine, const struct control_view *views)
{
    const struct header header = describe(machine);
    struct part parts[MAX_PARTS];
    unsigned count = list_parts(machine, parts);
    bool ok = put(file, &header, sizeof(header));

    for (unsigned i = 0; ok && i < count; i++)
        ok = put(file, parts[i].data, parts[i].size);
    for (unsigned n = 0; ok && n < machine->cpu_count; n++)
        ok = put(file, views[n].vcpu, sizeof(*views[n].vcpu)) && put(file, views[n].emu, sizeof(*views[n].emu));
    return ok && put_memory(file, machine);
}

const char *state_save(struct machine *machine, const struct control_view *views, const char *path)
{
    FILE *file;
    bool ok;

    for (unsigned slot = 1; slot < PCI_SLOTS; slot++)
        if (machine->pci.device[slot] != NULL)
            return "a PCI device whose state can't be saved";
    file = fopen(path, "wb");
    if (file == NULL)
        return "the file can't be written";
    machine->tsc_start = (struct tsc_start){.count = machine_tsc(machine), .time = machine_now(machine)};
    machine->virtual_time = machine->tsc_start.time;
    machine_lock(machine);
    ok = put_all(file, machine, views);
    machine_unlock(machine);
    ok = fclose(file) == 0 && ok;
    return ok ? NULL : "the file can't be written";
}

/* --- restoring ----------------------------------------------------------------------------------------------------------- */

static bool get(FILE *file, void *data, size_t size)
{
    return fread(data, size, 1, file) == 1;
}

uint64_t state_memory(const char *path, unsigned *cpu_count)
{
    FILE *file = fopen(path, "rb");
    struct header header;
    bool ok;

    if (file == NULL)
        return 0;
    ok = get(file, &header, sizeof(header)) && memcmp(header.magic, MAGIC, sizeof(MAGIC)) == 0 &&
         header.cpu_count >= 1 && header.cpu_count <= MACHINE_MAX_CPUS && header.ram_size % PAGE == 0;
    fclose(file);
    *cpu_count = ok ? header.cpu_count : 0;
    return ok ? header.ram_size : 0;
}

static bool get_memory(FILE *file, struct machine *machine)
{
    uint64_t gpa;

    while (get(file, &gpa, sizeof(gpa))) {
        if (gpa == machine->ram_size)
            return true;
        if (gpa > machine->ram_size - PAGE || !get(file, machine->ram + gpa, PAGE))
            return false;
    }
    return false;
}

/* What the parts have of pointers is this process's. */
static bool get_parts(FILE *file, struct machine *machine)
{
    const struct ioapic ioapic = machine->ioapic;
    const struct hpet hpet = machine->hpet;
    struct part parts[MAX_PARTS];
    unsigned count = list_parts(machine, parts);
    bool ok = true;

    for (unsigned i = 0; ok && i < count; i++)
        ok = get(file, parts[i].data, parts[i].size);
    machine->ioapic.send = ioapic.send;
    machine->ioapic.opaque = ioapic.opaque;
    machine->hpet.set_pin = hpet.set_pin;
    machine->hpet.opaque = hpet.opaque;
    for (unsigned n = 0; n < MACHINE_MAX_CPUS; n++)
        machine->cpu[n].machine = machine;
    return ok;
}

static bool get_all(FILE *file, struct machine *machine, struct x86emu_vcpu *vcpu)
{
    bool ok = get_parts(file, machine);

    machine->restored = calloc(machine->cpu_count, sizeof(*machine->restored));
    if (machine->restored == NULL)
        return false;
    for (unsigned n = 0; ok && n < machine->cpu_count; n++)
        ok = get(file, &vcpu[n], sizeof(vcpu[n])) && get(file, &machine->restored[n], sizeof(machine->restored[n]));
    return ok && get_memory(file, machine);
}

/* Whether the context waits for an answer; asked on copies. */
static bool in_access(struct x86emu emu, struct x86emu_vcpu vcpu)
{
    emu.request.answer = X86EMU_ANSWER_NONE;
    return x86emu_complete(&emu, &vcpu) == X86EMU_BAD_ANSWER;
}

static void tell_accesses(const struct machine *machine, const struct x86emu_vcpu *vcpu)
{
    for (unsigned n = 0; n < machine->cpu_count; n++)
        if (in_access(machine->restored[n], vcpu[n]))
            fprintf(stderr, "processor %u was saved in the middle of an access to %#llx\n", n,
                    (unsigned long long)machine->restored[n].request.gpa);
}

const char *state_restore(struct machine *machine, struct x86emu_vcpu *vcpu, const char *path)
{
    const struct header expected = describe(machine);
    struct header header;
    FILE *file = fopen(path, "rb");
    bool ok;

    if (file == NULL)
        return "can't be read";
    if (!get(file, &header, sizeof(header)) || memcmp(&header, &expected, sizeof(header)) != 0) {
        fclose(file);
        return "is no state of a machine, or one of another build";
    }
    ok = get_all(file, machine, vcpu);
    fclose(file);
    if (!ok)
        return "is cut short";
    tell_accesses(machine, vcpu);
    return NULL;
}
