/* SPDX-License-Identifier: BSD-2-Clause */
/* The descriptors that a case may meet: all types, levels, limits and granularities, in the GDT and in an LDT. */
#include "world.h"

static unsigned present(void)
{
    return one_in(10) ? 0 : 0x80;
}

static unsigned any_level(void)
{
    return random_below(4) << 5;
}

/* Code or data: flat, the world, or less of it. */
static void segment(uint8_t *at)
{
    unsigned access = 0x10 | random_below(16) | present() | any_level(), flags = one_in(2) ? 4 : 0;

    switch (random_below(4)) {
    case 0:
        world_descriptor(at, 0, 0xfffff, access, flags | 8);
        break;
    case 1:
        world_descriptor(at, WORLD, 0x1fff, access, flags);
        break;
    case 2:
        world_descriptor(at, WORLD, W_DATA + random_below(0x300), access, flags);
        break;
    default:
        world_descriptor(at, one_in(2) ? WORLD : 0, random_below(32), access, flags | 8);
        break;
    }
}

static void code_gate(uint8_t *at, unsigned type)
{
    unsigned selector = SEL_FLAT_CODE + 9 * random_below(4);
    uint32_t offset = W_TARGETS + random_below(0x80) + WORLD;

    if (one_in(4))
        selector = menu_selector();
    if (one_in(4)) {
        selector = SEL_SMALL_CODE + 9 * random_below(4);
        offset -= WORLD;
    }
    world_gate(at, selector, offset, type | any_level() | present(),
               type % 8 == 4 ? random_below(one_in(4) ? 32 : 4) : 0);
}

static void task_gate(uint8_t *at)
{
    world_gate(at, one_in(4) ? menu_selector() : SEL_TSS_B + 8 * random_below(4), 0, 5 | any_level() | present(), 0);
}

static void system_descriptor(uint8_t *at)
{
    unsigned type = random_below(16);

    switch (one_in(2) ? random_below(4) : 4) {
    case 0:
        code_gate(at, one_in(4) ? 4 : 12);
        break;
    case 1:
        task_gate(at);
        break;
    default:
        world_descriptor(at, WORLD + (one_in(2) ? W_TSS_B : W_TSS_E), one_in(4) ? random_below(0x80) : 0xff,
                         type | any_level() | present(), 0);
        break;
    }
}

static void any_descriptor(uint8_t *at)
{
    if (one_in(3))
        system_descriptor(at);
    else
        segment(at);
}

/* Vectors from 32 on: interrupt, trap and task gates, also such as may not be there. */
static void fill_idt(struct maker *m)
{
    static const uint8_t types[4] = {14, 15, 6, 7};

    for (unsigned v = 32; v < 64; v++) {
        uint8_t *at = m->c->world + W_IDT + 8 * v;

        if (one_in(6))
            task_gate(at);
        else if (one_in(16))
            any_descriptor(at);
        else
            code_gate(at, types[random_below(4)]);
        if (!one_in(4))
            at[5] |= 0x60;
    }
}

static void fixed(uint8_t *gdt)
{
    for (unsigned level = 0; level < 4; level++) {
        world_descriptor(gdt + SEL_FLAT_CODE + 8 * level, 0, 0xfffff, 0x9b | level << 5, 0xc);
        world_descriptor(gdt + SEL_FLAT_DATA + 8 * level, 0, 0xfffff, 0x93 | level << 5, 0xc);
        world_descriptor(gdt + SEL_SMALL_CODE + 8 * level, WORLD, WORLD_SIZE - 1, 0x9b | level << 5, 0);
        world_descriptor(gdt + SEL_SMALL_DATA + 8 * level, WORLD, WORLD_SIZE - 1, 0x93 | level << 5, 0);
        world_descriptor(gdt + SEL_LONG_CODE + 8 * level, 0, 0xfffff, 0x9b | level << 5, 0xa);
    }
    world_descriptor(gdt + SEL_LDT, WORLD + W_LDT, 8 * LDT_ENTRIES - 1, 0x82, 0);
    world_descriptor(gdt + SEL_TSS_B, WORLD + W_TSS_B, 0xff, 0x89, 0);
    world_descriptor(gdt + SEL_TSS_C, WORLD + W_TSS_C, 0x2b, 0x81, 0);
    world_descriptor(gdt + SEL_TSS_D, WORLD + W_TSS_D, 0x7f, 0x81, 0);
    world_descriptor(gdt + SEL_TSS_E, WORLD + W_TSS_E, 0xff, 0x89, 0);
}

void menu_fill(struct maker *m)
{
    uint8_t *world = m->c->world;

    fixed(world + W_GDT);
    for (unsigned selector = SEL_RANDOM; selector < SEL_VECTOR; selector += 8)
        any_descriptor(world + W_GDT + selector);
    for (unsigned i = 0; i < LDT_ENTRIES; i++)
        any_descriptor(world + W_LDT + 8 * i);
    if (m->c->environment == ENVIRONMENT_PROTECTED)
        fill_idt(m);
}

static unsigned choose(void)
{
    unsigned rpl = random_below(4);

    switch (random_below(16)) {
    case 0:
        return rpl;
    case 1:
        return (unsigned)random_number() & 0xffff;
    case 2:
    case 3:
        return 8 * random_below(LDT_ENTRIES) | 4 | rpl;
    case 4:
    case 5:
    case 6:
        return (SEL_MENU + 8 * random_below((SEL_RANDOM - SEL_MENU) / 8)) | rpl;
    default:
        return (SEL_RANDOM + 8 * random_below((SEL_VECTOR - SEL_RANDOM) / 8)) | rpl;
    }
}

/* Remembered, for the report. */
static struct {
    uint16_t selectors[10];
    unsigned count;
} chosen;

unsigned menu_selector(void)
{
    unsigned selector = choose();

    if (chosen.count < 9 && selector > 3)
        chosen.selectors[chosen.count++] = (uint16_t)selector;
    return selector;
}

void menu_forget(void)
{
    memset(&chosen, 0, sizeof(chosen));
}

void menu_recall(struct test_case *c)
{
    memcpy(c->selectors, chosen.selectors, sizeof(c->selectors));
}
