/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a case begins: level, mode, registers, tasks, paging and breakpoints of each environment. */
#include "instructions.h"

/* --- what they have in common ------------------------------------------------------------------------------------- */

static void registers(struct maker *m)
{
    for (unsigned i = 0; i < 16; i++)
        m->gpr[i] = one_in(2) ? random_number() : random_below(256);
    m->rflags = random_flags();
    m->c->code = W_CODE + random_below(64);
}

/* Entries of the window: the world again, with all that an entry can forbid. */
static void window(struct maker *m)
{
    for (unsigned i = 0; i < 8; i++) {
        uint64_t entry = (WORLD + 0x1000 * (i & 1)) | 0x67;

        if (one_in(2))
            entry ^= (random_number() & random_number() & 0x67);
        if (m->pae && get32(m->c->world, W_EFER) & X86EMU_EFER_NXE && one_in(6))
            entry |= UINT64_C(1) << 63;
        if (m->pae && one_in(24))
            entry |= UINT64_C(1) << (52 - random_below(6));
        put(m->c->world, W_ENTRIES + 8 * i, entry, 8);
    }
}

/* Breakpoints on the code, the data and the stack (SDM Vol. 3, 17.2.4); global ones survive a task switch. */
static void breakpoints(struct maker *m)
{
    uint32_t dr7 = 0x400;

    if (!one_in(6))
        return;
    for (unsigned i = 0; i < 4; i++) {
        unsigned kind = random_below(4), length = kind == 0 ? 0 : random_below(4);
        uint32_t at =
            WORLD + (kind == 0 ? m->c->code + random_below(4) : (one_in(2) ? m->sp : W_DATA + random_below(0x2c0)));

        if (kind == 2 || (length == 2 && m->mode != X86EMU_MODE_64))
            continue;
        put(m->c->world, W_DR + 4 * i, at, 4);
        dr7 |= 2u << 2 * i | (kind | length << 2) << (16 + 4 * i);
    }
    put(m->c->world, W_DR + 20, dr7, 4);
    m->c->not_for_qemu = dr7 != 0x400;
}

static void msrs(struct maker *m)
{
    uint8_t *at = m->c->world + W_MSR;
    unsigned long_mode = m->c->environment == ENVIRONMENT_LONG;

    /* SYSRET: 16 on from the base are CS (32-bit), SS and CS (64-bit); any selector will do, for none is looked up. */
    put(at, 0,
        (uint64_t)(SEL_FLAT_CODE + (one_in(2) ? 3 : 0)) << 48 | (uint64_t)SEL_FLAT_CODE << 32 | (WORLD + W_TARGETS), 8);
    put(at, 8, WORLD + W_TARGETS + random_below(32), 8);
    put(at, 16, WORLD + W_TARGETS + random_below(32), 8);
    put(at, 24, random_number() & 0x47fd5, 8);
    put(at, 32, one_in(6) ? random_below(4) : SEL_FLAT_CODE, 8);
    put(at, 40, WORLD + W_STACKS + 0xc0, 8);
    put(at, 48, WORLD + W_TARGETS + random_below(32), 8);
    for (unsigned i = 7; i < MSR_COUNT; i++)
        put(at, 8 * i, long_mode ? WORLD + 16 * random_below(16) : 0, 8);
}

/* --- protected mode ----------------------------------------------------------------------------------------------- */

static void put_task32(struct maker *m, unsigned at, unsigned code, unsigned data)
{
    uint8_t *tss = m->c->world + at;
    bool small = data >= SEL_SMALL_DATA;

    for (unsigned level = 0; level < 3; level++) {
        put(tss, 4 + 8 * level, WORLD + W_STACKS + STACK_SIZE * level + 0xe0, 4);
        put(tss, 8 + 8 * level, one_in(16) ? menu_selector() : SEL_FLAT_DATA + 9 * level, 4);
    }
    put(tss, 0x1c, get32(m->c->world, W_CR3), 4);
    for (unsigned i = 0; i < 8; i++)
        put(tss, 0x28 + 4 * i, random_number(), 4);
    put(tss, 0x20, W_TARGETS + random_below(64) + (code >= SEL_SMALL_CODE ? 0u : WORLD), 4);
    put(tss, 0x24, random_flags(), 4);
    put(tss, 0x38, W_STACKS + STACK_SIZE * (data & 3) + 0xc0 + (small ? 0u : WORLD), 4);
    for (unsigned i = 0; i < 6; i++)
        put(tss, 0x48 + 4 * i, i == X86EMU_CS ? code : data, 4);
    put(tss, 0x60, SEL_LDT, 4);
    put(tss, 0x64, 0x880000u | one_in(16), 4);
    for (unsigned i = 0x68; i < 0x100; i += 8)
        put(tss, i, random_number() & random_number(), 8);
}

static void put_task16(struct maker *m, unsigned at, unsigned code, unsigned data)
{
    uint8_t *tss = m->c->world + at;

    for (unsigned level = 0; level < 3; level++) {
        put(tss, 2 + 4 * level, W_STACKS + STACK_SIZE * level + 0xe0, 2);
        put(tss, 4 + 4 * level, SEL_SMALL_DATA + 9 * level, 2);
    }
    for (unsigned i = 0; i < 8; i++)
        put(tss, 0x12 + 2 * i, random_number(), 2);
    put(tss, 0x0e, W_TARGETS + random_below(64), 2);
    put(tss, 0x10, random_flags(), 2);
    put(tss, 0x1a, W_STACKS + STACK_SIZE * (data & 3) + 0xc0, 2);
    for (unsigned i = 0; i < 4; i++)
        put(tss, 0x22 + 2 * i, i == X86EMU_CS ? code : data, 2);
    put(tss, 0x2a, SEL_LDT, 2);
}

/* Other tasks, now and then with a selector or the limit of the stack that isn't right. */
static void tasks(struct maker *m)
{
    static const uint16_t places[4] = {W_TSS_B, W_TSS_C, W_TSS_D, W_TSS_E};

    for (unsigned i = 0; i < 4; i++) {
        unsigned level = random_below(4), small = i == 1 || i == 2 || one_in(4);
        unsigned code = (small ? SEL_SMALL_CODE : SEL_FLAT_CODE) + 9 * level;
        unsigned data = (small ? SEL_SMALL_DATA : SEL_FLAT_DATA) + 9 * level;

        if (i == 1 || i == 2)
            put_task16(m, places[i], code, data);
        else
            put_task32(m, places[i], code, data);
        if (i != 1 && i != 2 && one_in(8))
            put(m->c->world, places[i] + 0x48 + 4 * random_below(6), menu_selector(), 2);
    }
}

static void control_protected(struct maker *m)
{
    uint64_t cr0 = X86EMU_CR0_PE | X86EMU_CR0_ET | X86EMU_CR0_NE, cr4 = 0;

    m->paging = one_in(3);
    m->pae = m->paging && one_in(2);
    cr0 |= random_number() & (X86EMU_CR0_WP | X86EMU_CR0_AM | X86EMU_CR0_MP);
    cr4 |= random_number() & (X86EMU_CR4_DE | X86EMU_CR4_TSD | X86EMU_CR4_PGE);
    if (one_in(3))
        cr4 |= random_number() & (X86EMU_CR4_VME | X86EMU_CR4_PVI | X86EMU_CR4_UMIP);
    if (m->paging)
        cr0 |= X86EMU_CR0_PG;
    if (m->pae)
        cr4 |= X86EMU_CR4_PAE;
    put(m->c->world, W_CR0, cr0, 4);
    put(m->c->world, W_CR4, cr4, 4);
    put(m->c->world, W_CR3, m->pae ? T_PDPT_PAE : T_PD_LEGACY, 4);
    put(m->c->world, W_EFER, X86EMU_EFER_NXE | one_in(2), 4);
    window(m);
}

/* Some exceptions end in handlers of the case's. */
static void handlers(struct maker *m)
{
    static const uint8_t vectors[12] = {0, 1, 4, 5, 6, 7, 10, 11, 12, 13, 14, 17};
    static const uint8_t types[4] = {14, 15, 6, 7};

    for (unsigned i = 0; i < 12; i++) {
        unsigned v = vectors[i], level = random_below(m->cpl + 1), type = types[random_below(4)];
        bool small = type < 8 || one_in(4);
        unsigned selector = one_in(16) ? menu_selector() : (small ? SEL_SMALL_CODE : SEL_FLAT_CODE) + 9 * level;

        if (!one_in(4))
            continue;
        if (m->vm86)
            selector = (small ? SEL_SMALL_CODE : SEL_FLAT_CODE) + (one_in(8) ? 9 : 0);
        world_gate(m->c->world + W_IDT + 8 * v, selector, W_HANDLERS + v * HANDLER_SIZE + (small ? 0u : WORLD),
                   type | (one_in(12) ? 0 : 0x80) | random_below(4) << 5, 0);
    }
}

static void put_start(struct maker *m, unsigned code, unsigned data)
{
    uint8_t *tss = m->c->world + W_TSS_A;
    uint32_t base = m->vm86 || code >= SEL_SMALL_CODE ? 0 : WORLD;
    uint32_t stack = m->data_base != 0 ? 0 : (m->paging && one_in(8) ? WINDOW + 0x2000 * random_below(4) : WORLD);

    for (unsigned i = 0; i < 8; i++)
        put(tss, 0x28 + 4 * i, m->gpr[i], 4);
    put(tss, 0x20, m->c->code + base, 4);
    put(tss, 0x24, (m->rflags & 0x3fffff) | (m->vm86 ? X86EMU_RFLAGS_VM : 0), 4);
    put(tss, 0x38, m->sp + stack, 4);
    for (unsigned i = 0; i < 6; i++)
        put(tss, 0x48 + 4 * i, m->vm86 ? 0x1000 : (i == X86EMU_CS ? code : data), 2);
}

void cases_protected(struct test_case *c)
{
    struct maker m = {.c = c, .vm86 = one_in(6)};
    bool small = one_in(3);
    unsigned code, data;

    m.cpl = m.vm86 ? 3 : (one_in(2) ? 0 : random_below(4));
    small = small || m.vm86;
    m.mode = small ? X86EMU_MODE_16 : X86EMU_MODE_32;
    m.data_base = small || one_in(6) ? WORLD : 0;
    code = (small ? SEL_SMALL_CODE : SEL_FLAT_CODE) + 9 * m.cpl;
    data = (m.data_base != 0 ? SEL_SMALL_DATA : SEL_FLAT_DATA) + 9 * m.cpl;
    m.sp = W_STACKS + STACK_SIZE * m.cpl + 0x60 + 4 * random_below(8);
    registers(&m);
    control_protected(&m);
    menu_fill(&m);
    put_task32(&m, W_TSS_A, SEL_FLAT_CODE, SEL_FLAT_DATA);
    c->world[W_TSS_A + 0x64] = 0;
    tasks(&m);
    handlers(&m);
    msrs(&m);
    breakpoints(&m);
    c->mode = m.mode;
    instruction_make(&m);
    put_start(&m, code, data);
}

/* --- long mode ---------------------------------------------------------------------------------------------------- */

/* A second table of gates for INT n from 32 on is not there: vectors below 32 alone, some to handlers of the case's. */
static void gates_long(struct maker *m)
{
    for (unsigned v = 0; v < 32; v++) {
        uint8_t *at = m->c->world + W_IDT + 16 * v;
        unsigned level = random_below(m->cpl + 1);
        unsigned selector = one_in(16) ? menu_selector() : SEL_LONG_CODE + 9 * level;

        if (v == X86EMU_VECTOR_BP || v == X86EMU_VECTOR_DF || !one_in(4))
            continue;
        world_gate(at, selector, WORLD + W_HANDLERS + v * HANDLER_SIZE,
                   (one_in(16) ? random_below(32) : 14 + random_below(2)) | (one_in(12) ? 0 : 0x80) |
                       random_below(4) << 5,
                   one_in(3) ? 2 : 0);
        if (v != X86EMU_VECTOR_PF && one_in(24)) {
            put(m->c->world, W_IDT + 16 * v + 8, random_number() & 0xffff, 8);
            m->c->not_for_qemu = true;
        }
    }
}

/* Descriptors of 16 bytes: the LDT, a TSS, call gates where the menu has random ones (SDM Vol. 3, figures 5-9 and 8-4). */
static void wide_descriptors(struct maker *m)
{
    world_descriptor(m->c->world + W_GDT + SEL_TSS_C, WORLD + W_TSS_64, 0xff, 0x89, 0);
    put(m->c->world, W_GDT + SEL_TSS_B, 0, 8); /* the upper half of SEL_LDT */
    put(m->c->world, W_GDT + SEL_TSS_D, 0, 8); /* and of SEL_TSS_C */
    for (unsigned i = 0; i < 8; i++) {
        unsigned selector = SEL_RANDOM + 16 * random_below((SEL_VECTOR - SEL_RANDOM) / 16 - 1);
        uint8_t *at = m->c->world + W_GDT + selector;

        world_gate(at, one_in(6) ? menu_selector() : SEL_LONG_CODE + 9 * random_below(4),
                   WORLD + W_TARGETS + random_below(0x80), 12 | (one_in(10) ? 0 : 0x80) | random_below(4) << 5, 0);
        put(at, 8, one_in(12) ? random_number() : 0, 8);
    }
}

static void control_long(struct maker *m)
{
    uint64_t cr0 = get32(m->c->world, W_CR0), cr4 = X86EMU_CR4_PAE;

    cr0 |= random_number() & (X86EMU_CR0_WP | X86EMU_CR0_AM | X86EMU_CR0_MP | X86EMU_CR0_TS);
    cr4 |= random_number() & (X86EMU_CR4_DE | X86EMU_CR4_TSD | X86EMU_CR4_PGE | X86EMU_CR4_FSGSBASE);
    if (one_in(4))
        cr4 |= X86EMU_CR4_UMIP;
    put(m->c->world, W_CR0, cr0, 4);
    put(m->c->world, W_CR4, cr4, 4);
    put(m->c->world, W_CR3, T_PML4, 4);
    put(m->c->world, W_EFER, X86EMU_EFER_LME | X86EMU_EFER_NXE | !one_in(6), 4);
    m->paging = m->pae = true;
    window(m);
}

static void put_registers(struct maker *m)
{
    for (unsigned i = 0; i < 16; i++)
        put(m->c->world, W_GPR + 8 * i, m->gpr[i], 8);
}

static void put_frame(struct maker *m, uint64_t ip, unsigned code, uint64_t flags, uint64_t sp, unsigned data)
{
    uint8_t *world = m->c->world;

    put(world, W_FRAME, ip, 8);
    put(world, W_FRAME + 8, code, 8);
    put(world, W_FRAME + 16, flags, 8);
    put(world, W_FRAME + 24, sp, 8);
    put(world, W_FRAME + 32, data, 8);
    for (unsigned i = 0; i < 6; i++)
        put(world, W_SELECTOR + 2 * i, data, 2);
}

/* 64-bit mode, or compatibility mode with 32 or 16 bits. */
void cases_long(struct test_case *c)
{
    struct maker m = {.c = c, .cpl = one_in(2) ? 0 : random_below(4)};
    unsigned kind = random_below(5), code, data;

    m.mode = kind < 3 ? X86EMU_MODE_64 : (kind == 3 ? X86EMU_MODE_32 : X86EMU_MODE_16);
    m.data_base = m.mode == X86EMU_MODE_16 ? WORLD : 0;
    code = (kind < 3 ? SEL_LONG_CODE : (kind == 3 ? SEL_FLAT_CODE : SEL_SMALL_CODE)) + 9 * m.cpl;
    data = (m.data_base != 0 ? SEL_SMALL_DATA : SEL_FLAT_DATA) + 9 * m.cpl;
    m.sp = W_STACKS + STACK_SIZE * m.cpl + 0x60 + 4 * random_below(8);
    registers(&m);
    control_long(&m);
    menu_fill(&m);
    wide_descriptors(&m);
    gates_long(&m);
    msrs(&m);
    breakpoints(&m);
    put(c->world, W_LDTR, one_in(2) ? SEL_LDT : 0, 2);
    c->mode = m.mode;
    instruction_make(&m);
    put_registers(&m);
    put_frame(&m, c->code + (m.data_base != 0 ? 0u : WORLD), code, m.rflags & 0x257fd7,
              m.sp + (m.data_base != 0 ? 0 : (one_in(8) ? WINDOW + 0x2000 * random_below(4) : WORLD)), data);
}

/* --- real mode ---------------------------------------------------------------------------------------------------- */

void cases_real(struct test_case *c)
{
    struct maker m = {.c = c, .vm86 = true, .mode = X86EMU_MODE_16, .data_base = WORLD};

    m.sp = W_STACKS + 0x380;
    registers(&m);
    for (unsigned v = 0; v < 256; v++)
        if (v >= 32 || (v != X86EMU_VECTOR_BP && v != X86EMU_VECTOR_DF && one_in(6)))
            put(c->world, W_IDT + 4 * v, W_TARGETS + random_below(0x80) + (WORLD << 12), 4);
    put(c->world, W_CR0, X86EMU_CR0_PE | X86EMU_CR0_ET | X86EMU_CR0_NE, 4);
    put(c->world, W_CR4, random_number() & (X86EMU_CR4_VME | X86EMU_CR4_DE | X86EMU_CR4_UMIP | X86EMU_CR4_TSD), 4);
    msrs(&m);
    breakpoints(&m);
    c->mode = m.mode;
    instruction_make(&m);
    put_registers(&m);
    put(c->world, W_GPR + 0x20, m.sp, 8);
    put_frame(&m, c->code, WORLD >> 4, m.rflags & 0x247fd7, m.sp, WORLD >> 4);
}
