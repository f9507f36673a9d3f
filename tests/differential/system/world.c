/* SPDX-License-Identifier: BSD-2-Clause */
/* The world of each environment as long as no case has changed it: tables that lead back to the monitor. */
#include "world.h"

void world_descriptor(uint8_t *at, uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    uint64_t d = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
                 (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;

    put(at, 0, d, 8);
}

void world_gate(uint8_t *at, unsigned selector, uint32_t offset, unsigned access, unsigned parameters)
{
    uint64_t d = (offset & 0xffff) | (uint64_t)(selector & 0xffff) << 16 | (uint64_t)(parameters & 0xff) << 32 |
                 (uint64_t)access << 40 | (uint64_t)(offset >> 16) << 48;

    put(at, 0, d, 8);
}

static void gdt_entry(uint8_t *world, unsigned selector, uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    world_descriptor(world + W_GDT + selector, base, limit, access, flags);
}

/* What the monitor needs, and the tasks. */
static void common(uint8_t *world)
{
    memset(world + W_CODE, 0xcc, W_STACKS - W_CODE);
    gdt_entry(world, SEL_CODE32, 0, 0xfffff, 0x9b, 0xc);
    gdt_entry(world, SEL_DATA32, 0, 0xfffff, 0x93, 0xc);
    gdt_entry(world, SEL_CODE64, 0, 0xfffff, 0x9b, 0xa);
    gdt_entry(world, SEL_CODE16, 0, 0xffff, 0x9b, 0);
    gdt_entry(world, SEL_DATA16, 0, 0xffff, 0x93, 0);
    gdt_entry(world, SEL_MONITOR, MONITOR_TSS, TSS_SIZE - 1, 0x89, 0);
    gdt_entry(world, SEL_TSS64, WORLD + W_TSS_64, 0xff, 0x89, 0);
    gdt_entry(world, SEL_TSS_A, WORLD + W_TSS_A, 0xff, 0x89, 0);
    for (unsigned v = 0; v < 32; v++)
        gdt_entry(world, SEL_VECTOR + 8 * v, VECTOR_TSS + v * TSS_SIZE, TSS_SIZE - 1, 0x89, 0);
    put(world, W_CR0, X86EMU_CR0_PE | X86EMU_CR0_ET | X86EMU_CR0_NE, 4);
    put(world, W_DR + 16, 0xffff0ff0, 4);
    put(world, W_DR + 20, 0x400, 4);
    put(world, W_PUSHED, UINT32_MAX, 4);
    put(world, W_VECTOR, UINT32_MAX, 4);
}

/* Vectors that software may use from any level. */
static unsigned gate_dpl(unsigned vector)
{
    return vector == X86EMU_VECTOR_BP || vector == X86EMU_VECTOR_OF || vector == X86EMU_VECTOR_DB ? 0x60 : 0;
}

static void protected_idt(uint8_t *world)
{
    for (unsigned v = 0; v < 32; v++)
        world_gate(world + W_IDT + 8 * v, SEL_VECTOR + 8 * v, 0, 0x85 | gate_dpl(v), 0);
}

/* SDM Vol. 3, figure 6-8; every gate switches to the stack that IST1 names. */
static void long_idt(uint8_t *world)
{
    for (unsigned v = 0; v < 32; v++) {
        world_gate(world + W_IDT + 16 * v, SEL_CODE64, LONG_ENTRIES + v * ENTRY_SIZE, 0x8e | gate_dpl(v), 1);
        put(world, W_IDT + 16 * v + 8, 0, 8);
    }
    put(world, W_TSS_64 + 0x24, MONITOR_STACK, 8); /* IST1 */
    for (unsigned level = 0; level < 3; level++)
        put(world, W_TSS_64 + 4 + 8 * level, WORLD + W_STACKS + STACK_SIZE * level + 0xe0, 8);
    put(world, W_TSS_64 + 0x2c, WORLD + W_IST + 0xe0, 8); /* IST2 */
    put(world, W_TSS_64 + 0x66, 0x68, 2);
}

static void real_ivt(uint8_t *world)
{
    for (unsigned v = 0; v < 32; v++)
        put(world, W_IDT + 4 * v, REAL_ENTRIES + v * ENTRY_SIZE, 4);
}

void world_templates(uint8_t templates[3][WORLD_SIZE])
{
    memset(templates, 0, (size_t)3 * WORLD_SIZE);
    for (unsigned i = 0; i < 3; i++)
        common(templates[i]);
    protected_idt(templates[ENVIRONMENT_PROTECTED]);
    long_idt(templates[ENVIRONMENT_LONG]);
    real_ivt(templates[ENVIRONMENT_REAL]);
    put(templates[ENVIRONMENT_LONG], W_CR0, X86EMU_CR0_PE | X86EMU_CR0_ET | X86EMU_CR0_NE | X86EMU_CR0_PG, 4);
    put(templates[ENVIRONMENT_LONG], W_CR4, X86EMU_CR4_PAE, 4);
    put(templates[ENVIRONMENT_LONG], W_EFER, X86EMU_EFER_LME | X86EMU_EFER_NXE | X86EMU_EFER_SCE, 4);
}
