/* SPDX-License-Identifier: BSD-2-Clause */
/* The MC146818 clock and its memory (Motorola data sheet): time of day from the machine's own time, no alarms. */
#include "machine.h"

enum {
    SECONDS = 0,
    MINUTES = 2,
    HOURS = 4,
    WEEKDAY = 6,
    DAY = 7,
    MONTH = 8,
    YEAR = 9,
    STATUS_A = 10,
    STATUS_B = 11,
    STATUS_C = 12,
    STATUS_D = 13,
    CENTURY = 0x32,

    /* Of STATUS_B: the time is always told in BCD and 24 hours. */
    BINARY = 1 << 2,
    HOURS_24 = 1 << 1,
};

/* The date at power-on: runs repeat exactly. 2026-01-01 was a Thursday. */
#define POWER_ON_DAYS 20454u /* since 1970-01-01 */

void rtc_reset(struct rtc *rtc, uint64_t memory_bytes)
{
    uint64_t extended = (memory_bytes - (1 << 20)) >> 10, high = (memory_bytes - (16 << 20)) >> 16;

    *rtc = (struct rtc){.index = 0};
    if (extended > 0xffff)
        extended = 0xffff;
    rtc->memory[STATUS_A] = 0x26;
    rtc->memory[STATUS_B] = HOURS_24;
    rtc->memory[STATUS_D] = 0x80;
    rtc->memory[0x14] = 0;    /* equipment: no display, no drives */
    rtc->memory[0x15] = 0x80; /* 640 KiB */
    rtc->memory[0x16] = 0x02;
    rtc->memory[0x17] = rtc->memory[0x30] = (uint8_t)extended;
    rtc->memory[0x18] = rtc->memory[0x31] = (uint8_t)(extended >> 8);
    rtc->memory[0x34] = (uint8_t)high;
    rtc->memory[0x35] = (uint8_t)(high >> 8);
}

static uint8_t bcd(unsigned value)
{
    return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

struct date {
    unsigned year, month, day;
};

/* The Gregorian date of a day since 1970-01-01. */
static struct date date_of(unsigned days)
{
    static const uint8_t lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct date date = {1970, 1, 1};

    for (;;) {
        bool leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
        unsigned length = lengths[date.month - 1] + (date.month == 2 && leap ? 1u : 0u);

        if (days < length)
            break;
        days -= length;
        if (date.month++ == 12) {
            date.month = 1;
            date.year++;
        }
    }
    date.day = days + 1;
    return date;
}

static uint8_t time_register(const struct machine *machine, unsigned index)
{
    uint64_t seconds = machine_now(machine) / 1000000000u + POWER_ON_DAYS * UINT64_C(86400);
    struct date date = date_of((unsigned)(seconds / 86400));

    switch (index) {
    case SECONDS:
        return bcd((unsigned)(seconds % 60));
    case MINUTES:
        return bcd((unsigned)(seconds / 60 % 60));
    case HOURS:
        return bcd((unsigned)(seconds / 3600 % 24));
    case WEEKDAY:
        return bcd((unsigned)((seconds / 86400 + 4) % 7 + 1));
    case DAY:
        return bcd(date.day);
    case MONTH:
        return bcd(date.month);
    case YEAR:
        return bcd(date.year % 100);
    default:
        return bcd(date.year / 100);
    }
}

uint8_t rtc_read(struct machine *machine, uint16_t port)
{
    struct rtc *rtc = &machine->rtc;

    if ((port & 1) == 0)
        return rtc->index;
    if (rtc->index == CENTURY || (rtc->index <= YEAR && rtc->index % 2 == 0) || rtc->index == DAY || rtc->index == YEAR)
        return time_register(machine, rtc->index);
    return rtc->memory[rtc->index];
}

void rtc_write(struct machine *machine, uint16_t port, uint8_t value)
{
    struct rtc *rtc = &machine->rtc;

    if ((port & 1) == 0)
        rtc->index = value & 0x7f; /* bit 7 masks NMI, of which there are none */
    else if (rtc->index == STATUS_B)
        rtc->memory[STATUS_B] = (value & (uint8_t)~BINARY) | HOURS_24;
    else if (rtc->index != STATUS_C && rtc->index != STATUS_D)
        rtc->memory[rtc->index] = value;
}
