/* SPDX-License-Identifier: BSD-2-Clause */
/* Lockstep's memory: what the library has written, to compare it with KVM's, to take it back, to carry it over. */
#include "lockstep.h"

#include <stdlib.h>
#include <string.h>

/* What may not be written the library asks for: so every write is seen. */
bool lockstep_watch_memory(struct lockstep *l)
{
    struct machine *machine = l->machine;

    for (unsigned i = 0; i < MACHINE_MEMORY_REGIONS; i++) {
        struct x86emu_region *piece = &machine->memory[i];

        if (x86emu_region_remove(&machine->map, piece) != X86EMU_REGION_OK)
            return false;
        piece->protection &= (uint8_t)~X86EMU_ACCESS_WRITE;
        if (x86emu_region_insert(&machine->map, piece) != X86EMU_REGION_OK)
            return false;
    }
    return true;
}

/* --- requests -------------------------------------------------------------------------------------------------------- */

static bool is_memory(const struct lockstep *l, uint64_t gpa, uint64_t size)
{
    return size <= l->machine->ram_size && gpa <= l->machine->ram_size - size && !mmio_is_rom(l->machine, gpa);
}

static bool make_room(struct lockstep *l)
{
    size_t room = l->change_room != 0 ? 2 * l->change_room : 256;
    struct lockstep_change *changes;

    if (l->change_count < l->change_room)
        return true;
    changes = realloc(l->changes, room * sizeof(*changes));
    if (changes == NULL)
        return false;
    l->changes = changes;
    l->change_room = room;
    return true;
}

static bool write_piece(struct lockstep *l, uint64_t gpa, const uint8_t *bytes, unsigned size)
{
    if (!is_memory(l, gpa, size))
        return false;
    for (unsigned at = 0, part; at < size; at += part) {
        struct lockstep_change *change;

        part = size - at < LOCKSTEP_PIECE ? size - at : LOCKSTEP_PIECE;
        if (!make_room(l))
            return false;
        change = &l->changes[l->change_count++];
        change->gpa = gpa + at;
        change->size = (uint16_t)part;
        memcpy(change->old, l->machine->ram + gpa + at, part);
        memcpy(l->machine->ram + gpa + at, bytes + at, part);
    }
    return true;
}

static bool write_memory(struct lockstep *l, const struct x86emu_request *r)
{
    bool done = true;

    if (r->flags & X86EMU_REQUEST_SPLIT)
        return write_piece(l, r->gpa, r->data.bytes, r->first_size) &&
               write_piece(l, r->gpa_second, r->data.bytes + r->first_size, (unsigned)r->size - r->first_size);
    for (unsigned n = 0; done && n < r->count; n++)
        done =
            write_piece(l, r->gpa + (uint64_t)((int64_t)n * r->stride), r->data.bytes + (size_t)n * r->size, r->size);
    return done;
}

/* In order to write it. */
static bool read_memory(const struct lockstep *l, struct x86emu_request *r)
{
    for (unsigned n = 0; n < r->count; n++) {
        uint64_t gpa = r->gpa + (uint64_t)((int64_t)n * r->stride);

        if (!is_memory(l, gpa, r->size))
            return false;
        memcpy(r->data.bytes + (size_t)n * r->size, l->machine->ram + gpa, r->size);
    }
    return true;
}

void lockstep_answer(void *opaque, struct x86emu_vcpu *vcpu, struct x86emu_request *r)
{
    struct lockstep *l = opaque;
    const bool writes =
        r->kind == X86EMU_REQUEST_WRITE || r->kind == X86EMU_REQUEST_RMW || r->kind == X86EMU_REQUEST_ENTRY_UPDATE;

    r->answer = X86EMU_ANSWER_OK;
    if ((writes && write_memory(l, r)) || (r->kind == X86EMU_REQUEST_READ && read_memory(l, r)))
        return;
    l->asked = true;
    machine_answer(&l->machine->cpu[0], vcpu, r);
}

/* --- changes --------------------------------------------------------------------------------------------------------- */

void lockstep_undo(struct lockstep *l, size_t first)
{
    while (l->change_count > first) {
        const struct lockstep_change *change = &l->changes[--l->change_count];

        memcpy(l->machine->ram + change->gpa, change->old, change->size);
    }
}

bool lockstep_same_changes(struct lockstep *l)
{
    bool same = true;

    for (size_t i = 0; i < l->change_count; i++)
        same &= memcmp(l->machine->ram + l->changes[i].gpa, l->twin.ram + l->changes[i].gpa, l->changes[i].size) == 0;
    return same;
}

void lockstep_carry_changes(struct lockstep *l)
{
    for (size_t i = 0; i < l->change_count; i++)
        memcpy(l->twin.ram + l->changes[i].gpa, l->machine->ram + l->changes[i].gpa, l->changes[i].size);
    l->change_count = 0;
}

/* --- an instruction that only KVM has done ----------------------------------------------------------------------------- */

static uint64_t register_value(const struct lockstep *l, const struct x86emu_vcpu *vcpu, struct x86emu_reg reg)
{
    if (reg.reg_class == X86EMU_REG_IP)
        return vcpu->rip + l->emu.insn.length;
    return reg.reg_class == X86EMU_REG_GPR64   ? vcpu->gpr[reg.number]
           : reg.reg_class == X86EMU_REG_GPR32 ? (uint32_t)vcpu->gpr[reg.number]
                                               : 0;
}

/* In 64-bit mode, where only FS and GS have bases (SDM Vol. 1, 3.7.5). */
static uint64_t operand_address(const struct lockstep *l, const struct x86emu_vcpu *vcpu,
                                const struct x86emu_operand *operand)
{
    uint64_t at = register_value(l, vcpu, operand->mem.base) +
                  register_value(l, vcpu, operand->mem.index) * operand->mem.scale + (uint64_t)operand->mem.disp;

    if (l->emu.insn.address_size == 4)
        at = (uint32_t)at;
    if (operand->mem.segment == X86EMU_FS || operand->mem.segment == X86EMU_GS)
        at += vcpu->segment[operand->mem.segment].base;
    return at;
}

bool lockstep_adopt_memory(struct lockstep *l, const struct x86emu_vcpu *before)
{
    struct x86emu_operand operand;

    for (unsigned n = 0; x86emu_insn_operand(&l->emu.insn, n, &operand); n++) {
        uint64_t la, gpa;

        if (operand.kind != X86EMU_OPERAND_MEM ||
            !(operand.access & (X86EMU_OPERAND_WRITTEN | X86EMU_OPERAND_MAY_WRITE)))
            continue;
        la = operand_address(l, before, &operand);
        for (unsigned i = 0; i < operand.size; i++) {
            if (!machine_translate(l->machine, before, la + i, &gpa) || !is_memory(l, gpa, 1))
                return false;
            l->machine->ram[gpa] = l->twin.ram[gpa];
        }
    }
    return true;
}
