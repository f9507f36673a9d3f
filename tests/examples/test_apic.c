/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC's registers and priorities as SDM Vol. 3, chapter 10 gives them. */
#include "../../examples/hypervisor/devices/apic.h"

#include <criterion/criterion.h>

enum {
    ENABLE = 0x1ff,
    MASKED = 0x10000,
};

static struct apic enabled_apic(uint8_t id)
{
    struct apic apic;

    apic_reset(&apic, id, id == 0);
    apic_write(&apic, 0xf0, ENABLE, 0);
    return apic;
}

static void give(struct apic *apic, uint8_t vector, bool level)
{
    apic_accept(apic, &(struct apic_message){.delivery = APIC_FIXED, .vector = vector, .level = level});
}

/* 10.4.7.1 */
Test(apic, F28_registers_after_reset)
{
    struct apic apic;

    apic_reset(&apic, 3, false);
    cr_assert_eq(apic_read(&apic, 0x20, 0), 3u << 24);
    cr_assert_eq(apic_read(&apic, 0x30, 0) & 0xff, 0x14, "integrated");
    cr_assert_eq(apic_read(&apic, 0x30, 0) >> 16 & 0xff, 5, "six entries in the LVT");
    cr_assert_eq(apic_read(&apic, 0x80, 0), 0);
    cr_assert_eq(apic_read(&apic, 0xd0, 0), 0);
    cr_assert_eq(apic_read(&apic, 0xe0, 0), 0xffffffff);
    cr_assert_eq(apic_read(&apic, 0xf0, 0), 0xff);
    for (unsigned lvt = 0x320; lvt <= 0x370; lvt += 0x10)
        cr_assert_eq(apic_read(&apic, lvt, 0), MASKED, "%x", lvt);
    for (unsigned set = 0x100; set < 0x280; set += 0x10)
        cr_assert_eq(apic_read(&apic, set, 0), 0, "%x", set);
    cr_assert_eq(apic.base, 0xfee00800);
    apic_reset(&apic, 0, true);
    cr_assert_eq(apic.base, 0xfee00900, "the bootstrap processor");
}

Test(apic, F24_highest_vector_first_and_nested_by_class)
{
    struct apic apic = enabled_apic(0);

    give(&apic, 0x31, false);
    give(&apic, 0x52, false);
    give(&apic, 0x55, false);
    cr_assert_eq(apic_acknowledge(&apic), 0x55);
    cr_assert_eq(apic_read(&apic, 0xa0, 0), 0x50, "priority of what is in service");
    cr_assert_not(apic_pending(&apic), "52H is of the same class");
    give(&apic, 0x60, false);
    cr_assert_eq(apic_acknowledge(&apic), 0x60);
    apic_write(&apic, 0xb0, 0, 0);
    cr_assert_not(apic_pending(&apic));
    apic_write(&apic, 0xb0, 0, 0);
    cr_assert_eq(apic_acknowledge(&apic), 0x52);
    apic_write(&apic, 0xb0, 0, 0);
    cr_assert_eq(apic_acknowledge(&apic), 0x31);
}

/* 10.8.3.1 */
Test(apic, F24_task_priority_holds_its_class_and_those_below)
{
    struct apic apic = enabled_apic(0);

    apic_write(&apic, 0x80, 0x53, 0);
    give(&apic, 0x5f, false);
    cr_assert_not(apic_pending(&apic));
    cr_assert_eq(apic_read(&apic, 0xa0, 0), 0x53);
    give(&apic, 0x60, false);
    cr_assert(apic_pending(&apic));
    cr_assert_eq(apic_acknowledge(&apic), 0x60);
    cr_assert_eq(apic_read(&apic, 0xa0, 0), 0x60);
    apic_write(&apic, 0xb0, 0, 0);
    apic_write(&apic, 0x80, 0x40, 0);
    cr_assert_eq(apic_acknowledge(&apic), 0x5f);
}

/* 10.9 */
Test(apic, F28_spurious_when_the_priority_has_risen)
{
    struct apic apic = enabled_apic(0);

    give(&apic, 0x41, false);
    apic_write(&apic, 0x80, 0x40, 0);
    cr_assert_eq(apic_acknowledge(&apic), 0xff);
    cr_assert_eq(apic_read(&apic, 0x120, 0), 0, "not in service");
    cr_assert_eq(apic_read(&apic, 0x220, 0), 1u << 1, "the request stays");
}

Test(apic, F28_end_of_a_level_triggered_interrupt_is_told)
{
    struct apic apic = enabled_apic(0);
    struct apic_result result;

    give(&apic, 0x41, true);
    give(&apic, 0x61, false);
    apic_acknowledge(&apic);
    cr_assert_eq(apic_read(&apic, 0x1a0, 0), 1u << 1, "trigger mode");
    result = apic_write(&apic, 0xb0, 0, 0);
    cr_assert_not(result.end, "61H came by an edge");
    apic_acknowledge(&apic);
    result = apic_write(&apic, 0xb0, 0, 0);
    cr_assert(result.end && result.end_vector == 0x41);
    cr_assert_not(apic_write(&apic, 0xb0, 0, 0).end, "nothing is in service");
}

/* 10.4.7.2 */
Test(apic, F28_disabled_by_software)
{
    struct apic apic = enabled_apic(0);

    apic_write(&apic, 0x350, 0x700, 0);
    cr_assert(apic_takes_extint(&apic));
    apic_write(&apic, 0xf0, 0xff, 0);
    cr_assert_eq(apic_read(&apic, 0x350, 0), 0x700 | MASKED);
    apic_write(&apic, 0x350, 0x700, 0);
    cr_assert_eq(apic_read(&apic, 0x350, 0), 0x700 | MASKED, "the mask can't be cleared");
    give(&apic, 0x41, false);
    cr_assert_eq(apic_read(&apic, 0x220, 0), 0);
    apic_accept(&apic, &(struct apic_message){.delivery = APIC_NMI});
    cr_assert(apic.nmi, "NMI, INIT and start-up are still answered");
}

/* 10.6.2.2 */
Test(apic, F28_logical_destinations)
{
    struct apic apic = enabled_apic(5);
    struct apic_message to = {.logical = true};

    apic_write(&apic, 0xd0, 0x24000000, 0);
    to.destination = 0x04;
    cr_assert(apic_is_addressed(&apic, &to), "flat: any bit");
    to.destination = 0xdb;
    cr_assert_not(apic_is_addressed(&apic, &to));
    apic_write(&apic, 0xe0, 0x0fffffff, 0);
    to.destination = 0x26;
    cr_assert(apic_is_addressed(&apic, &to), "cluster 2, member 4");
    to.destination = 0x36;
    cr_assert_not(apic_is_addressed(&apic, &to), "another cluster");
    to.destination = 0xff;
    cr_assert(apic_is_addressed(&apic, &to));
    to = (struct apic_message){.destination = 5};
    cr_assert(apic_is_addressed(&apic, &to), "physical");
    to.destination = 4;
    cr_assert_not(apic_is_addressed(&apic, &to));
}

/* 10.6.1 */
Test(apic, F28_interrupt_command)
{
    struct apic apic = enabled_apic(0);
    struct apic_result result;

    apic_write(&apic, 0x310, 0x03000000, 0);
    result = apic_write(&apic, 0x300, 0x0004611, 0); /* start-up, page 11H */
    cr_assert(result.send);
    cr_assert_eq(result.message.delivery, APIC_STARTUP);
    cr_assert_eq(result.message.vector, 0x11);
    cr_assert_eq(result.message.destination, 3);
    cr_assert_not(result.message.logical);
    cr_assert_eq(result.shorthand, 0);
    result = apic_write(&apic, 0x300, 0x000c08fd, 0); /* all but self, logical */
    cr_assert_eq(result.shorthand, 3);
    cr_assert(result.message.logical);
    cr_assert_eq(apic_read(&apic, 0x300, 0), 0x000c08fd, "idle at once");
    result = apic_write(&apic, 0x300, 0x00008500, 0); /* INIT, level de-assert */
    cr_assert_not(result.send);
}

/* 10.5.3 */
Test(apic, F28_errors_are_shown_after_a_write_and_interrupt)
{
    struct apic apic = enabled_apic(0);

    apic_write(&apic, 0x370, 0x3f, 0);
    cr_assert_not(apic_write(&apic, 0x300, 0x0000000f, 0).send, "vector 15 is illegal");
    cr_assert_eq(apic_read(&apic, 0x280, 0), 0);
    cr_assert_eq(apic_acknowledge(&apic), 0x3f);
    apic_write(&apic, 0x280, 0, 0);
    cr_assert_eq(apic_read(&apic, 0x280, 0), 1u << 5);
    apic_write(&apic, 0x280, 0, 0);
    cr_assert_eq(apic_read(&apic, 0x280, 0), 0);
    give(&apic, 3, false);
    apic_write(&apic, 0x40, 1, 0);
    apic_write(&apic, 0x280, 0, 0);
    cr_assert_eq(apic_read(&apic, 0x280, 0), 1u << 6 | 1u << 7, "received vector, register address");
}

/* 10.5.4; the timer runs at 1 GHz. */
Test(apic, F28_timer_once)
{
    struct apic apic = enabled_apic(0);

    apic_write(&apic, 0x3e0, 0x3, 0); /* by 16 */
    apic_write(&apic, 0x320, 0x40, 0);
    apic_write(&apic, 0x380, 1000, 100);
    cr_assert_eq(apic_next(&apic), 100 + 16000);
    cr_assert_eq(apic_read(&apic, 0x390, 100), 1000);
    cr_assert_eq(apic_read(&apic, 0x390, 100 + 8000), 500);
    apic_run(&apic, 16099);
    cr_assert_not(apic_pending(&apic));
    apic_run(&apic, 16100);
    cr_assert_eq(apic_acknowledge(&apic), 0x40);
    cr_assert_eq(apic_read(&apic, 0x390, 20000), 0);
    cr_assert_eq(apic_next(&apic), UINT64_MAX);
    apic_write(&apic, 0x380, 5, 20000);
    apic_write(&apic, 0x380, 0, 20000); /* stops it */
    cr_assert_eq(apic_next(&apic), UINT64_MAX);
}

Test(apic, F28_timer_divides_by_1_to_128)
{
    static const struct {
        uint8_t code;
        unsigned divisor;
    } rows[] = {{0x0, 2}, {0x1, 4}, {0x2, 8}, {0x3, 16}, {0x8, 32}, {0x9, 64}, {0xa, 128}, {0xb, 1}};
    struct apic apic = enabled_apic(0);

    apic_write(&apic, 0x320, 0x40, 0);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apic_write(&apic, 0x3e0, rows[i].code, 0);
        apic_write(&apic, 0x380, 10, 0);
        cr_assert_eq(apic_next(&apic), 10 * rows[i].divisor, "%x", rows[i].code);
    }
}

Test(apic, F28_timer_again_and_again)
{
    struct apic apic = enabled_apic(0);
    uint64_t now = 0;

    apic_write(&apic, 0x3e0, 0xb, 0);
    apic_write(&apic, 0x320, 0x20040, 0);
    apic_write(&apic, 0x380, 1000, 0);
    for (unsigned i = 0; i < 10; i++) {
        now = apic_next(&apic);
        cr_assert_eq(now, (i + 1) * 1000);
        apic_run(&apic, now);
        cr_assert_eq(apic_acknowledge(&apic), 0x40);
        apic_write(&apic, 0xb0, 0, now);
    }
    apic_run(&apic, 15500);
    cr_assert(apic_pending(&apic));
    cr_assert_eq(apic_next(&apic), 16000, "in step, although some were missed");
    apic_write(&apic, 0x320, 0x30040, 0);
    cr_assert_eq(apic_next(&apic), UINT64_MAX, "masked");
}

/* 10.5.4.1 */
Test(apic, F28_timer_by_deadline)
{
    struct apic apic = enabled_apic(0);

    apic_set_deadline(&apic, 500);
    cr_assert_eq(apic.deadline, 0, "not in this mode: ignored");
    apic_write(&apic, 0x320, 0x40040, 0);
    apic_write(&apic, 0x380, 77, 0);
    cr_assert_eq(apic_next(&apic), UINT64_MAX, "the count is ignored");
    apic_set_deadline(&apic, 500);
    cr_assert_eq(apic_next(&apic), 500);
    apic_run(&apic, 501);
    cr_assert_eq(apic_acknowledge(&apic), 0x40);
    cr_assert_eq(apic.deadline, 0);
    apic_set_deadline(&apic, 900);
    apic_set_deadline(&apic, 0);
    cr_assert_eq(apic_next(&apic), UINT64_MAX, "disarmed");
}

Test(apic, F28_start_up)
{
    struct apic apic = enabled_apic(1);

    apic_accept(&apic, &(struct apic_message){.delivery = APIC_INIT});
    cr_assert(apic.init);
    apic_accept(&apic, &(struct apic_message){.delivery = APIC_STARTUP, .vector = 0x9a});
    cr_assert(apic.startup);
    cr_assert_eq(apic.startup_page, 0x9a);
}
