/* SPDX-License-Identifier: BSD-2-Clause */
/* The fixed ACPI hardware: power management timer, sleep states (ACPI 4.0, 4.7.3). Always in ACPI mode. */
#include "machine.h"

enum {
    TIMER_HZ = 3579545,
    SCI_ENABLED = 1 << 0,
    SLEEP_ENABLE = 1 << 13,
};

bool power_has_port(uint16_t port)
{
    return (port >= PM_EVENT && port < PM_EVENT + 4) || port == PM_CONTROL || port == PM_CONTROL + 1 ||
           (port >= PM_TIMER && port < PM_TIMER + 4);
}

static uint32_t timer(const struct machine *machine)
{
    return (uint32_t)((unsigned __int128)machine_now(machine) * TIMER_HZ / 1000000000u);
}

/* Nothing sets a bit of the status: no buttons, no alarm, and a timer of 32 bits, which is read often enough. */
uint8_t power_read(const struct machine *machine, uint16_t port)
{
    const struct power *power = &machine->power;

    if (port >= PM_TIMER)
        return (uint8_t)(timer(machine) >> 8 * (port - PM_TIMER));
    if (port >= PM_CONTROL)
        return (uint8_t)((power->control | SCI_ENABLED) >> 8 * (port - PM_CONTROL));
    return (uint8_t)((power->status | (uint32_t)power->enable << 16) >> 8 * (port - PM_EVENT));
}

static void write_byte(uint16_t *word, unsigned n, uint8_t value)
{
    *word = (uint16_t)((*word & ~(0xff << 8 * n)) | value << 8 * n);
}

void power_write(struct machine *machine, uint16_t port, uint8_t value)
{
    struct power *power = &machine->power;

    if (port == PM_EVENT + 2 || port == PM_EVENT + 3)
        write_byte(&power->enable, port & 1, value);
    if (port != PM_CONTROL && port != PM_CONTROL + 1)
        return;
    write_byte(&power->control, port & 1, value);
    if (power->control & SLEEP_ENABLE && (power->control >> 10 & 7) == PM_S5)
        machine->end = MACHINE_POWERED_OFF;
    power->control &= (uint16_t)~SLEEP_ENABLE; /* write-only */
}
