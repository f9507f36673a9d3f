/* SPDX-License-Identifier: BSD-2-Clause */
/* The pair of 8259A interrupt controllers (Intel 8259A data sheet), the second on line 2 of the first. */
#include "machine.h"

enum {
    COMMAND = 0,
    DATA = 1,
    CASCADE = 2,
    NONE = 8,
};

void pic_reset(struct pic *pic)
{
    *pic = (struct pic){.chip = {{.mask = 0xff}, {.mask = 0xff}}};
}

/* The line of highest priority in a set: the lowest number; NONE when empty. */
static unsigned first_of(uint8_t set)
{
    return set == 0 ? NONE : (unsigned)__builtin_ctz(set);
}

/* The line that this chip wants to interrupt with: unmasked, and above everything in service. */
static unsigned wanted(const struct pic_chip *chip, uint8_t request)
{
    unsigned line = first_of((uint8_t)(request & ~chip->mask));

    return line < first_of(chip->service) ? line : NONE;
}

static uint8_t requests_of_first(const struct pic *pic)
{
    uint8_t request = pic->chip[0].request;

    return wanted(&pic->chip[1], pic->chip[1].request) != NONE ? request | 1 << CASCADE : request;
}

bool pic_pending(const struct pic *pic)
{
    return wanted(&pic->chip[0], requests_of_first(pic)) != NONE;
}

/* Edge-triggered: a request begins when the line rises. */
void pic_set_line(struct pic *pic, unsigned irq, bool high)
{
    struct pic_chip *chip = &pic->chip[irq / 8 & 1];
    uint8_t bit = (uint8_t)(1 << (irq & 7));

    if (high && !(chip->lines & bit))
        chip->request |= bit;
    if (!high)
        chip->request &= (uint8_t)~bit;
    chip->lines = high ? chip->lines | bit : chip->lines & (uint8_t)~bit;
}

static unsigned take(struct pic_chip *chip, unsigned line)
{
    uint8_t bit = (uint8_t)(1 << line);

    chip->request &= (uint8_t)~bit;
    if (!chip->auto_end)
        chip->service |= bit;
    return chip->vector + line;
}

/* The vector of the interrupt; line 7 when the request has gone in between. */
unsigned pic_acknowledge(struct pic *pic)
{
    unsigned line = wanted(&pic->chip[0], requests_of_first(pic));

    if (line == NONE)
        return pic->chip[0].vector + 7u;
    if (line != CASCADE)
        return take(&pic->chip[0], line);
    take(&pic->chip[0], CASCADE);
    line = wanted(&pic->chip[1], pic->chip[1].request);
    return line == NONE ? pic->chip[1].vector + 7u : take(&pic->chip[1], line);
}

/* --- programming -------------------------------------------------------------------------------------------------- */

static struct pic_chip *chip_at(struct pic *pic, uint16_t port)
{
    return &pic->chip[port >= 0xa0];
}

uint8_t pic_read(struct pic *pic, uint16_t port)
{
    struct pic_chip *chip;

    if (port >= 0x4d0)
        return pic->edge[port & 1];
    chip = chip_at(pic, port);
    if ((port & 1) == DATA)
        return chip->mask;
    return chip->reads_service ? chip->service : chip->request;
}

static void end_of_interrupt(struct pic_chip *chip, uint8_t command)
{
    unsigned line = command & 0x40 ? command & 7u : first_of(chip->service);

    if (command & 0x20 && line < 8)
        chip->service &= (uint8_t) ~(1 << line);
}

static void command(struct pic_chip *chip, uint8_t value)
{
    if (value & 0x10) { /* ICW1 */
        *chip = (struct pic_chip){.init_step = 2, .needs_fourth = value & 1, .lines = chip->lines};
    } else if (value & 8) { /* OCW3 */
        if (value & 2)
            chip->reads_service = value & 1;
    } else { /* OCW2 */
        end_of_interrupt(chip, value);
    }
}

static void data(struct pic_chip *chip, uint8_t value)
{
    switch (chip->init_step) {
    case 2:
        chip->vector = value & 0xf8;
        chip->init_step = 3;
        break;
    case 3:
        chip->init_step = chip->needs_fourth ? 4 : 0;
        break;
    case 4:
        chip->auto_end = value & 2;
        chip->init_step = 0;
        break;
    default: /* OCW1 */
        chip->mask = value;
        break;
    }
}

void pic_write(struct pic *pic, uint16_t port, uint8_t value)
{
    if (port >= 0x4d0)
        pic->edge[port & 1] = value;
    else if ((port & 1) == DATA)
        data(chip_at(pic, port), value);
    else
        command(chip_at(pic, port), value);
}
