/* SPDX-License-Identifier: BSD-2-Clause */
/* The event timers as the IA-PC HPET specification 1.0a gives them; the counter runs at 10 MHz. */
#include "../../examples/hypervisor/devices/hpet.h"

#include <criterion/criterion.h>

#define ALL UINT64_MAX

static unsigned edges[32];
static bool active[32];

static void keep(void *opaque, unsigned pin, bool high)
{
    (void)opaque;
    edges[pin] += high && !active[pin];
    active[pin] = high;
}

static struct hpet start(void)
{
    struct hpet hpet = {.set_pin = keep};

    hpet_reset(&hpet);
    for (unsigned i = 0; i < 32; i++) {
        edges[i] = 0;
        active[i] = false;
    }
    return hpet;
}

/* 2.3.4 */
Test(hpet, F28_capabilities)
{
    struct hpet hpet = start();
    uint64_t id = hpet_read(&hpet, 0, 0);

    cr_assert_eq(id >> 32, 100000000, "femtoseconds, at most 05F5E100H");
    cr_assert_eq(id & 0xff, 1, "revision");
    cr_assert_eq(id >> 8 & 0x1f, 2, "three timers, less one");
    cr_assert_eq(id >> 13 & 1, 1, "64-bit counter");
    cr_assert_eq(id >> 15 & 1, 0, "no legacy replacement");
}

Test(hpet, F28_counter_runs_stops_and_is_set)
{
    struct hpet hpet = start();

    cr_assert_eq(hpet_read(&hpet, 0xf0, 5000), 0, "it stands after reset");
    hpet_write(&hpet, 0x10, 1, ALL, 1000);
    cr_assert_eq(hpet_read(&hpet, 0xf0, 2000), 10);
    hpet_write(&hpet, 0x10, 0, ALL, 3000);
    cr_assert_eq(hpet_read(&hpet, 0xf0, 9000), 20);
    hpet_write(&hpet, 0xf0, 5, 0xffffffff, 9000);
    hpet_write(&hpet, 0xf0, UINT64_C(1) << 32, UINT64_C(0xffffffff) << 32, 9000);
    cr_assert_eq(hpet_read(&hpet, 0xf0, 9000), UINT64_C(0x100000005), "by halves");
    hpet_write(&hpet, 0x10, 1, ALL, 9000);
    hpet_write(&hpet, 0xf0, 7, ALL, 9100);
    cr_assert_eq(hpet_read(&hpet, 0xf0, 9100), UINT64_C(0x100000006), "not written while it runs");
}

Test(hpet, F28_one_shot_gives_one_edge)
{
    struct hpet hpet = start();

    hpet_write(&hpet, 0x100, 20 << 9 | 1 << 2, ALL, 0);
    hpet_write(&hpet, 0x108, 50, ALL, 0);
    cr_assert_eq(hpet_next(&hpet), UINT64_MAX, "the counter stands");
    hpet_write(&hpet, 0x10, 1, ALL, 1000);
    cr_assert_eq(hpet_next(&hpet), 6000);
    hpet_run(&hpet, 5999);
    cr_assert_eq(edges[20], 0);
    hpet_run(&hpet, 6000);
    cr_assert_eq(edges[20], 1);
    hpet_run(&hpet, 100000);
    cr_assert_eq(edges[20], 1);
    cr_assert_eq(hpet_next(&hpet), UINT64_MAX);
}

/* 2.3.9.2.2 */
Test(hpet, F28_periodic_adds_the_period)
{
    struct hpet hpet = start();

    hpet_write(&hpet, 0x120, 16 << 9 | 1 << 6 | 1 << 3 | 1 << 2, ALL, 0);
    hpet_write(&hpet, 0x128, 100, ALL, 0); /* the first match, by "set value" */
    hpet_write(&hpet, 0x128, 30, ALL, 0);  /* the period */
    hpet_write(&hpet, 0x10, 1, ALL, 0);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(hpet_next(&hpet), 10000 + i * 3000, "%u", i);
        hpet_run(&hpet, hpet_next(&hpet));
        cr_assert_eq(edges[16], i + 1);
    }
    cr_assert_eq(hpet_read(&hpet, 0x128, 22000), 100 + 5 * 30);
}

/* 2.3.6 */
Test(hpet, F28_level_stays_until_its_status_is_cleared)
{
    struct hpet hpet = start();

    hpet_write(&hpet, 0x140, 23 << 9 | 1 << 2 | 1 << 1, ALL, 0);
    hpet_write(&hpet, 0x148, 10, ALL, 0);
    hpet_write(&hpet, 0x10, 1, ALL, 0);
    hpet_run(&hpet, 1000);
    cr_assert(active[23]);
    cr_assert_eq(hpet_read(&hpet, 0x20, 1000), 1 << 2);
    hpet_write(&hpet, 0x20, 1 << 1, ALL, 1100);
    cr_assert(active[23], "another timer's bit");
    hpet_write(&hpet, 0x20, 1 << 2, ALL, 1200);
    cr_assert_not(active[23]);
}

Test(hpet, F28_comparator_of_32_bits_wraps)
{
    struct hpet hpet = start();

    hpet_write(&hpet, 0xf0, UINT64_C(0x1fffffff0), ALL, 0);
    hpet_write(&hpet, 0x100, 20 << 9 | 1 << 8 | 1 << 2, ALL, 0);
    hpet_write(&hpet, 0x108, 0x10, ALL, 0);
    hpet_write(&hpet, 0x10, 1, ALL, 0);
    cr_assert_eq(hpet_next(&hpet), 0x20 * 100);
}

Test(hpet, absurd_values)
{
    struct hpet hpet = start();

    for (unsigned offset = 0; offset < 0x400; offset += 8)
        hpet_write(&hpet, offset, ALL, ALL, offset);
    hpet_run(&hpet, UINT64_C(1) << 40);
    hpet_write(&hpet, 0x108, 0, ALL, UINT64_C(1) << 41);
    hpet_run(&hpet, UINT64_C(1) << 42);
    for (unsigned offset = 0; offset < 0x400; offset += 8)
        hpet_read(&hpet, offset, UINT64_C(1) << 42);
    cr_assert_eq(hpet_read(&hpet, 0x100, 0) >> 32, 0x00ff0000, "the routes are read-only");
}
