/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine whose time the test sets. */
#ifndef TESTS_MACHINE_FIXTURE_H
#define TESTS_MACHINE_FIXTURE_H

#include "../../examples/hypervisor/machine.h"

#include <criterion/criterion.h>

static uint64_t fixture_time;

static inline uint64_t fixture_now(const struct machine *machine)
{
    (void)machine;
    return fixture_time;
}

static inline struct machine *fixture_start(unsigned cpus)
{
    static struct machine machine;

    machine = (struct machine){.now = fixture_now, .cpu_count = cpus};
    fixture_time = 0;
    cr_assert(machine_start(&machine, 64 << 20));
    return &machine;
}

#endif
