/* SPDX-License-Identifier: BSD-2-Clause */
/* How descriptors, gates and task-state segments are laid out in memory, from the SDM's figures. */
#include "segments.h"

static bool is_long(const struct world *world)
{
    return world->vcpu.efer & X86EMU_EFER_LMA;
}

static uint64_t descriptor(uint64_t base, uint64_t limit, uint64_t access, uint64_t flags)
{
    return (limit & 0xffff) | (base & 0xffffff) << 16 | access << 40 | (limit >> 16 & 0xf) << 48 | flags << 52 |
           (base >> 24 & 0xff) << 56;
}

static void put(struct world *world, unsigned selector, uint64_t value)
{
    world_store(world, SEGMENTS_GDT + (selector & 0xfff8), value, 8);
}

static uint64_t gate(uint64_t selector, uint64_t offset, uint64_t access, uint64_t low_byte)
{
    return (offset & 0xffff) | selector << 16 | low_byte << 32 | access << 40 | (offset >> 16 & 0xffff) << 48;
}

static void fill_gdt(struct world *world)
{
    uint64_t code = is_long(world) ? 0xa : 0xc;

    put(world, KERNEL_CODE, descriptor(0, 0xfffff, 0x9b, code));
    put(world, KERNEL_DATA, descriptor(0, 0xfffff, 0x93, 0xc));
    put(world, USER_CODE, descriptor(0, 0xfffff, 0xfb, code));
    put(world, USER_DATA, descriptor(0, 0xfffff, 0xf3, 0xc));
    put(world, TSS, descriptor(SEGMENTS_TSS, 0x7ff, 0x8b, 0));
    put(world, CALL_GATE, gate(KERNEL_CODE, SEGMENTS_HANDLER, 0xec, is_long(world) ? 0 : 3));
    put(world, NEW_TSS, descriptor(SEGMENTS_NEW_TSS, 0x67, 0x89, 0));
    put(world, LDT, descriptor(SEGMENTS_LDT, 0xf, 0x82, 0));
    put(world, ABSENT, descriptor(0, 0xfffff, 0x73, 0xc));
    put(world, TASK_GATE, gate(NEW_TSS, 0, 0xe5, 0));
    put(world, READ_ONLY, descriptor(0, 0xfffff, 0x91, 0xc));
    put(world, CONFORMING, descriptor(0, 0xfffff, 0x9f, code));
    put(world, SMALL, descriptor(0x12340, 0x5678, 0x92, 4));
    put(world, CODE_16, descriptor(0, 0xffff, 0x9b, 0));
    world_store(world, SEGMENTS_LDT + 8, descriptor(0x15000, 0xfff, 0x92, 4), 8);
}

static void fill_tss(struct world *world)
{
    if (is_long(world)) {
        world_store(world, SEGMENTS_TSS + 4, SEGMENTS_INNER_STACK, 8);
        world_store(world, SEGMENTS_TSS + 0x24, SEGMENTS_IST_1, 8);
    } else {
        world_store(world, SEGMENTS_TSS + 4, SEGMENTS_INNER_STACK, 4);
        world_store(world, SEGMENTS_TSS + 8, KERNEL_DATA, 2);
    }
    world_store(world, SEGMENTS_TSS + 0x66, 0x68, 2); /* the I/O permission bitmap begins there */
}

void segments_init(struct world *world)
{
    fill_gdt(world);
    fill_tss(world);
    world->vcpu.gdtr = (struct x86emu_table_register){SEGMENTS_GDT, 0x87};
    world->vcpu.idtr = (struct x86emu_table_register){SEGMENTS_IDT, 0xfff};
    world->vcpu.tr = (struct x86emu_segment){.base = SEGMENTS_TSS, .limit = 0x7ff, .selector = TSS, .attributes = 0x8b};
    world->vcpu.ldtr.attributes = X86EMU_SEGMENT_UNUSABLE;
}

void segments_gate(struct world *world, unsigned vector, unsigned type, unsigned dpl, unsigned ist)
{
    unsigned size = is_long(world) ? 16 : 8;

    world_store(world, SEGMENTS_IDT + vector * size, gate(KERNEL_CODE, SEGMENTS_HANDLER, 0x80 | dpl << 5 | type, ist),
                8);
}
