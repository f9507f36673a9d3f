/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's code and data by linear address, as its page tables have it: for looking, nothing is marked. */
#include "machine.h"

#include <string.h>

unsigned machine_mode(const struct x86emu_vcpu *vcpu)
{
    const uint32_t attributes = vcpu->segment[X86EMU_CS].attributes;

    if (vcpu->efer & X86EMU_EFER_LMA && attributes & X86EMU_SEGMENT_L)
        return X86EMU_MODE_64;
    return attributes & X86EMU_SEGMENT_DB ? X86EMU_MODE_32 : X86EMU_MODE_16;
}

static bool read_entry(void *opaque, uint64_t gpa, unsigned size, uint64_t *value)
{
    const struct machine *machine = opaque;

    if (gpa > machine->ram_size - size)
        return false;
    *value = 0;
    memcpy(value, machine->ram + gpa, size);
    return true;
}

bool machine_translate(struct machine *machine, const struct x86emu_vcpu *vcpu, uint64_t la, uint64_t *gpa)
{
    const struct x86emu_paging paging = {
        .cr0 = vcpu->cr0, .cr3 = vcpu->cr3, .cr4 = vcpu->cr4, .efer = vcpu->efer, .maxphyaddr = 52, .page1gb = true};
    const struct x86emu_walk_memory memory = {.read = read_entry, .opaque = machine};
    struct x86emu_walk walk;

    x86emu_walk_begin(&walk, &paging, la, X86EMU_ACCESS_READ | X86EMU_WALK_IMPLICIT | X86EMU_WALK_PROBE);
    if (x86emu_walk_run(&walk, &memory) != X86EMU_WALK_DONE)
        return false;
    *gpa = walk.gpa;
    return true;
}

bool machine_read_linear(struct machine *machine, const struct x86emu_vcpu *vcpu, uint64_t la, void *data,
                         uint64_t size)
{
    uint8_t *bytes = data;

    while (size != 0) {
        uint64_t part = 4096 - (la & 4095), gpa;

        part = part < size ? part : size;
        if (!machine_translate(machine, vcpu, la, &gpa) || gpa > machine->ram_size - part)
            return false;
        memcpy(bytes, machine->ram + gpa, part);
        bytes += part;
        la += part;
        size -= part;
    }
    return true;
}
