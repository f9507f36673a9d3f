/* SPDX-License-Identifier: BSD-2-Clause */
/* The I/O APIC as the 82093AA data sheet gives it. */
#include "../../examples/hypervisor/devices/ioapic.h"

#include <criterion/criterion.h>

static struct apic_message sent[8];
static unsigned sent_count;

static void keep(void *opaque, const struct apic_message *message)
{
    (void)opaque;
    if (sent_count < 8)
        sent[sent_count] = *message;
    sent_count++;
}

static struct ioapic start(void)
{
    struct ioapic ioapic = {.send = keep};

    ioapic_reset(&ioapic, 2);
    sent_count = 0;
    return ioapic;
}

static void set(struct ioapic *ioapic, unsigned index, uint32_t value)
{
    ioapic_write(ioapic, 0, index);
    ioapic_write(ioapic, 0x10, value);
}

static uint32_t get(struct ioapic *ioapic, unsigned index)
{
    ioapic_write(ioapic, 0, index);
    return ioapic_read(ioapic, 0x10);
}

Test(ioapic, F28_identity_and_version)
{
    struct ioapic ioapic = start();

    cr_assert_eq(get(&ioapic, 0), 2u << 24);
    set(&ioapic, 0, 0xffffffff);
    cr_assert_eq(get(&ioapic, 0), 0x0f000000, "four bits");
    cr_assert_eq(get(&ioapic, 1), 0x00170011, "24 entries");
    cr_assert_eq(get(&ioapic, 0x10), 0x00010000, "masked after reset");
    cr_assert_eq(get(&ioapic, 0x11), 0);
}

Test(ioapic, F28_an_edge_sends_once)
{
    struct ioapic ioapic = start();

    set(&ioapic, 0x10 + 2 * 4, 0x0931); /* logical, lowest priority, vector 31H */
    set(&ioapic, 0x11 + 2 * 4, 0x03000000);
    ioapic_set_pin(&ioapic, 4, true);
    ioapic_set_pin(&ioapic, 4, true);
    cr_assert_eq(sent_count, 1);
    cr_assert_eq(sent[0].vector, 0x31);
    cr_assert_eq(sent[0].delivery, APIC_LOWEST_PRIORITY);
    cr_assert_eq(sent[0].destination, 3);
    cr_assert(sent[0].logical);
    cr_assert_not(sent[0].level);
    ioapic_set_pin(&ioapic, 4, false);
    ioapic_set_pin(&ioapic, 4, true);
    cr_assert_eq(sent_count, 2);
}

Test(ioapic, F28_an_edge_under_the_mask_is_lost)
{
    struct ioapic ioapic = start();

    set(&ioapic, 0x10, 0x10031);
    ioapic_set_pin(&ioapic, 0, true);
    set(&ioapic, 0x10, 0x00031);
    cr_assert_eq(sent_count, 0);
}

Test(ioapic, F28_a_level_sends_again_after_the_end_of_interrupt)
{
    struct ioapic ioapic = start();

    set(&ioapic, 0x10 + 2 * 10, 0x8041);
    ioapic_set_pin(&ioapic, 10, true);
    cr_assert_eq(sent_count, 1);
    cr_assert(sent[0].level);
    cr_assert_eq(get(&ioapic, 0x10 + 2 * 10), 0xc041, "remote IRR");
    ioapic_set_pin(&ioapic, 10, false);
    ioapic_set_pin(&ioapic, 10, true);
    cr_assert_eq(sent_count, 1, "until it has been ended");
    ioapic_end(&ioapic, 0x42);
    cr_assert_eq(sent_count, 1, "another vector");
    ioapic_end(&ioapic, 0x41);
    cr_assert_eq(sent_count, 2, "still active");
    ioapic_set_pin(&ioapic, 10, false);
    ioapic_end(&ioapic, 0x41);
    cr_assert_eq(sent_count, 2);
    cr_assert_eq(get(&ioapic, 0x10 + 2 * 10), 0x8041);
}

Test(ioapic, F28_a_level_waits_for_its_mask)
{
    struct ioapic ioapic = start();

    set(&ioapic, 0x10 + 2 * 9, 0x18041);
    ioapic_set_pin(&ioapic, 9, true);
    cr_assert_eq(sent_count, 0);
    set(&ioapic, 0x10 + 2 * 9, 0x08041);
    cr_assert_eq(sent_count, 1);
}

Test(ioapic, F28_read_only_bits_stay)
{
    struct ioapic ioapic = start();

    set(&ioapic, 0x10, 0xffffffff);
    cr_assert_eq(get(&ioapic, 0x10), 0x1afff, "neither delivery status nor remote IRR");
    set(&ioapic, 0x11, 0xffffffff);
    cr_assert_eq(get(&ioapic, 0x11), 0xff000000);
}

Test(ioapic, registers_and_pins_beyond_the_last)
{
    struct ioapic ioapic = start();

    for (unsigned index = 0; index < 256; index++)
        set(&ioapic, index, 0x00000050);
    ioapic_set_pin(&ioapic, 24, true);
    ioapic_set_pin(&ioapic, 1000, true);
    cr_assert_eq(sent_count, 0);
    cr_assert_eq(ioapic_read(&ioapic, 0x20), 0);
}
