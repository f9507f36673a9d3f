/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's devices, each by what its data sheet says of its registers. */
#define _GNU_SOURCE
#include "../../examples/hypervisor/machine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t now;

static uint64_t test_now(const struct machine *machine)
{
    (void)machine;
    return now;
}

static char printed[64];

static void print_byte(struct machine *machine, uint8_t byte)
{
    size_t used = strlen(printed);

    (void)machine;
    if (used < sizeof(printed) - 1)
        printed[used] = (char)byte;
}

static struct machine *start(void)
{
    static struct machine machine;

    machine = (struct machine){.now = test_now, .output = print_byte};
    now = 0;
    memset(printed, 0, sizeof(printed));
    cr_assert(machine_start(&machine, 64 << 20));
    return &machine;
}

static void out(struct machine *machine, uint16_t port, uint8_t value)
{
    machine_port_out(machine, port, 1, value);
}

static uint8_t in(struct machine *machine, uint16_t port)
{
    return (uint8_t)machine_port_in(machine, port, 1);
}

/* --- 8259A -------------------------------------------------------------------------------------------------------- */

static struct machine *start_pics(void)
{
    struct machine *machine = start();

    out(machine, 0x20, 0x11); /* ICW1: cascade, ICW4 follows */
    out(machine, 0x21, 0x20);
    out(machine, 0x21, 0x04);
    out(machine, 0x21, 0x01);
    out(machine, 0xa0, 0x11);
    out(machine, 0xa1, 0x28);
    out(machine, 0xa1, 0x02);
    out(machine, 0xa1, 0x01);
    return machine;
}

Test(devices, F28_pic_gives_vectors_by_priority)
{
    struct machine *machine = start_pics();

    pic_set_line(&machine->pic, 4, true);
    pic_set_line(&machine->pic, 1, true);
    cr_assert(pic_pending(&machine->pic));
    cr_assert_eq(pic_acknowledge(&machine->pic), 0x21);
    cr_assert_not(pic_pending(&machine->pic), "line 4 is below the one in service");
    out(machine, 0x20, 0x20); /* non-specific end of interrupt */
    cr_assert_eq(pic_acknowledge(&machine->pic), 0x24);
    machine_free(machine);
}

Test(devices, F28_pic_masks_and_cascades)
{
    struct machine *machine = start_pics();

    out(machine, 0x21, 0xfb); /* all but the cascade */
    pic_set_line(&machine->pic, 0, true);
    cr_assert_not(pic_pending(&machine->pic));
    pic_set_line(&machine->pic, 12, true);
    cr_assert_eq(pic_acknowledge(&machine->pic), 0x2c);
    out(machine, 0xa0, 0x0b); /* OCW3: read the in-service register */
    cr_assert_eq(in(machine, 0xa0), 0x10);
    out(machine, 0xa0, 0x20);
    cr_assert_eq(in(machine, 0xa0), 0);
    machine_free(machine);
}

Test(devices, F28_pic_answers_line_7_when_the_request_is_gone)
{
    struct machine *machine = start_pics();

    pic_set_line(&machine->pic, 3, true);
    pic_set_line(&machine->pic, 3, false);
    cr_assert_eq(pic_acknowledge(&machine->pic), 0x27);
    out(machine, 0x20, 0x0b);
    cr_assert_eq(in(machine, 0x20), 0, "nothing is in service then");
    machine_free(machine);
}

/* --- 8254 --------------------------------------------------------------------------------------------------------- */

Test(devices, F28_pit_counts_down_and_latches)
{
    struct machine *machine = start();
    unsigned value;

    out(machine, 0x43, 0x34); /* channel 0, both bytes, mode 2 */
    out(machine, 0x40, 0x00);
    out(machine, 0x40, 0x10);
    now = 1000000000; /* a second: 1,193,182 ticks */
    out(machine, 0x43, 0x00);
    now = 2000000000;
    value = in(machine, 0x40);
    value |= (unsigned)in(machine, 0x40) << 8;
    cr_assert_eq(value, 0x1000 - 1193182 % 0x1000);
    machine_free(machine);
}

Test(devices, F28_pit_interrupts_at_its_rate)
{
    struct machine *machine = start_pics();
    unsigned interrupts = 0;

    out(machine, 0x43, 0x34);
    out(machine, 0x40, 0x9c); /* 11932 ticks: 100 Hz */
    out(machine, 0x40, 0x2e);
    while (now < 1000000000) {
        now = pit_next(machine);
        machine_run_devices(machine);
        cr_assert(pic_pending(&machine->pic));
        cr_assert_eq(pic_acknowledge(&machine->pic), 0x20);
        out(machine, 0x20, 0x20);
        interrupts++;
    }
    cr_assert_eq(interrupts, 100);
    machine_free(machine);
}

Test(devices, F28_pit_one_shot_is_seen_at_port_61)
{
    struct machine *machine = start();

    out(machine, 0x61, 0x01); /* gate of channel 2 */
    out(machine, 0x43, 0xb0); /* channel 2, both bytes, mode 0 */
    out(machine, 0x42, 0xa9); /* 1193 ticks: a millisecond */
    out(machine, 0x42, 0x04);
    now = 900000;
    cr_assert_eq(in(machine, 0x61) & 0x20, 0);
    now = 1100000;
    cr_assert_eq(in(machine, 0x61) & 0x20, 0x20);
    machine_free(machine);
}

/* --- 16550A ------------------------------------------------------------------------------------------------------- */

Test(devices, F28_serial_prints_and_interrupts)
{
    struct machine *machine = start_pics();

    out(machine, 0x3fb, 0x03);
    out(machine, 0x3f8, 'h');
    out(machine, 0x3f8, 'i');
    cr_assert_str_eq(printed, "hi");
    cr_assert_eq(in(machine, 0x3fd) & 0x60, 0x60, "the transmitter is always empty");
    out(machine, 0x3f9, 0x02);
    cr_assert_eq(pic_acknowledge(&machine->pic), 0x24);
    cr_assert_eq(in(machine, 0x3fa) & 0xf, 0x02);
    cr_assert_eq(in(machine, 0x3fa) & 0xf, 0x01, "reading it has cleared it");
    machine_free(machine);
}

Test(devices, F28_serial_receives)
{
    struct machine *machine = start_pics();

    out(machine, 0x3f9, 0x01);
    cr_assert(serial_input(machine, 'x'));
    cr_assert_eq(in(machine, 0x3fa) & 0xf, 0x04);
    cr_assert_eq(in(machine, 0x3fd) & 1, 1);
    cr_assert_eq(in(machine, 0x3f8), 'x');
    cr_assert_eq(in(machine, 0x3fd) & 1, 0);
    machine_free(machine);
}

Test(devices, F28_serial_divisor_and_scratch)
{
    struct machine *machine = start();

    out(machine, 0x3fb, 0x83);
    out(machine, 0x3f8, 0x0c);
    cr_assert_eq(in(machine, 0x3f8), 0x0c);
    out(machine, 0x3fb, 0x03);
    out(machine, 0x3ff, 0x5a);
    cr_assert_eq(in(machine, 0x3ff), 0x5a);
    cr_assert_str_eq(printed, "");
    machine_free(machine);
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

Test(devices, F28_rtc_tells_the_time_in_bcd)
{
    struct machine *machine = start();

    now = (uint64_t)(31 * 86400 + 13 * 3600 + 45 * 60 + 7) * 1000000000u;
    for (unsigned i = 0; i < 6; i++) {
        static const uint8_t index[6] = {0, 2, 4, 7, 8, 9}, value[6] = {0x07, 0x45, 0x13, 0x01, 0x02, 0x26};

        out(machine, 0x70, index[i]);
        cr_assert_eq(in(machine, 0x71), value[i], "register %u: %02x", index[i], in(machine, 0x71));
    }
    machine_free(machine);
}

Test(devices, F28_rtc_century_in_bcd_and_no_equipment)
{
    struct machine *machine = start();

    out(machine, 0x70, 0x32);
    cr_assert_eq(in(machine, 0x71), 0x20);
    out(machine, 0x70, 0x14);
    cr_assert_eq(in(machine, 0x71), 0x00);
    now = UINT64_C(75) * 366 * 86400 * 1000000000;
    out(machine, 0x70, 0x32);
    cr_assert_eq(in(machine, 0x71), 0x21, "75 years after 2026");
    out(machine, 0x70, 0x0b);
    out(machine, 0x71, 0x04);
    cr_assert_eq(in(machine, 0x71) & 0x06, 0x02, "BCD and 24 hours whatever is asked for");
    machine_free(machine);
}

Test(devices, F28_bvm_console)
{
    struct machine *machine = start();

    machine->typed = "k";
    cr_assert_eq(machine_port_in(machine, 0x220, 2), 0x6276, "'b', 'v'");
    cr_assert_eq(machine_port_in(machine, 0x220, 4), 'k');
    cr_assert_eq(machine_port_in(machine, 0x220, 4), 0xffffffff, "nothing was typed");
    machine_port_out(machine, 0x220, 4, '!');
    cr_assert_str_eq(printed, "!");
    machine_free(machine);
}

Test(devices, F27_strict_names_the_port)
{
    struct machine *machine = start();

    machine->strict = true;
    out(machine, 0x80, 1);
    cr_assert_str_eq(machine->failure, "write to port 0x80, where nothing is");
    machine_free(machine);
}

Test(devices, F26_model_specific_registers)
{
    struct machine *machine = start();
    struct cpu *cpu = &machine->cpu[0];
    uint64_t value;

    now = 12345;
    cr_assert(msr_read(cpu, 0x10, &value));
    cr_assert_eq(value, 12345, "time-stamp counter");
    cr_assert(msr_read(cpu, 0xc001001f, &value), "NB_CFG");
    cr_assert(msr_write(cpu, 0xc001001f, UINT64_C(1) << 46));
    cr_assert_not(msr_read(cpu, 0x12345, &value), "refused");
    cr_assert_not(msr_write(cpu, 0x12345, 0));
    machine->ignores_msrs = true;
    cr_assert(msr_read(cpu, 0x12345, &value));
    cr_assert_eq(value, 0);
    cr_assert(msr_write(cpu, 0x12345, 7));
    cr_assert(msr_read(cpu, 0x1b, &value));
    cr_assert_eq(value, 0xfee00900, "APIC base, bootstrap processor");
    machine_free(machine);
}

/* SDM Vol. 2, CPUID; SVM: APM Vol. 3, Fn8000_0001_ECX. */
Test(devices, F25_cpuid_by_policy)
{
    struct machine *machine = start();
    const struct cpu *cpu = &machine->cpu[0];
    uint32_t a[4], features[3];

    for (unsigned policy = CPUID_COMMON; policy <= CPUID_MOST; policy++) {
        machine->cpuid = (enum cpuid_policy)policy;
        cpuid_answer(cpu, 1, 0, a);
        cr_assert_eq(a[2] >> 5 & 1, 0, "VMX");
        cr_assert_eq(a[2] >> 31, 1, "there is a hypervisor");
        features[policy] = (uint32_t)__builtin_popcount(a[2]);
        cpuid_answer(cpu, 7, 0, a);
        features[policy] += (uint32_t)__builtin_popcount(a[1]) + (uint32_t)__builtin_popcount(a[2]);
        cpuid_answer(cpu, 0x80000001, 0, a);
        cr_assert_eq(a[2] >> 2 & 1, 0, "SVM");
        cr_assert_eq(a[3] >> 29 & 1, 1, "64-bit mode");
        cpuid_answer(cpu, 0x40000000, 0, a);
        cr_assert_eq(memcmp(&a[1], "x86emux86emu", 12), 0);
    }
    cr_assert_lt(features[CPUID_LEAST], features[CPUID_COMMON]);
    cr_assert_lt(features[CPUID_COMMON], features[CPUID_MOST]);
    machine_free(machine);
}

Test(devices, F27_ports_of_nothing_read_as_ones)
{
    struct machine *machine = start();

    cr_assert_eq(machine_port_in(machine, 0x1234, 4), 0xffffffff);
    machine_port_out(machine, 0x1234, 4, 5);
    cr_assert_eq(machine->statistics.unknown_ports, 8);
    cr_assert_eq(machine->end, MACHINE_RUNS);
    machine_free(machine);
}

Test(devices, F29_pci_has_a_host_bridge_and_nothing_else)
{
    struct machine *machine = start();

    machine_port_out(machine, 0xcf8, 4, 0x80000000);
    cr_assert_eq(machine_port_in(machine, 0xcfc, 4), 0x12378086);
    cr_assert_eq(machine_port_in(machine, 0xcfe, 2), 0x1237);
    machine_port_out(machine, 0xcf8, 4, 0x80000800);
    cr_assert_eq(machine_port_in(machine, 0xcfc, 4), 0xffffffff);
    machine_free(machine);
}

Test(devices, reset_by_keyboard_controller_and_by_0cf9)
{
    struct machine *machine = start();

    out(machine, 0x64, 0xfe);
    cr_assert_eq(machine->end, MACHINE_RESET);
    machine->end = MACHINE_RUNS;
    out(machine, 0xcf9, 0x06);
    cr_assert_eq(machine->end, MACHINE_RESET);
    machine_free(machine);
}

/* --- bad input ---------------------------------------------------------------------------------------------------- */

static enum boot_status boot_bytes(const void *bytes, size_t size)
{
    struct machine *machine = start();
    char path[] = "/tmp/x86emu-kernel-XXXXXX";
    int file = mkstemp(path);
    const char *culprit;
    struct x86emu_vcpu vcpu;
    enum boot_status status;
    FILE *stream = fdopen(file, "wb");

    fwrite(bytes, 1, size, stream);
    fclose(stream);
    status = boot_load(machine, &vcpu, &(struct boot_files){path, NULL, ""}, &culprit);
    remove(path);
    machine_free(machine);
    return status;
}

Test(devices, kernels_that_are_none_are_refused)
{
    uint8_t image[2048] = {0};
    uint64_t large = UINT64_C(1) << 40;

    cr_assert_eq(boot_bytes("", 0), BOOT_TRUNCATED);
    cr_assert_eq(boot_bytes("hello", 5), BOOT_NOT_A_KERNEL);
    memcpy(image,
           "\x7f"
           "ELF",
           4);
    cr_assert_eq(boot_bytes(image, 20), BOOT_TRUNCATED);
    memset(image, 0, sizeof(image));
    memcpy(image + 0x202, "HdrS", 4);
    image[0x1f1] = 200;
    cr_assert_eq(boot_bytes(image, sizeof(image)), BOOT_TRUNCATED);
    image[0x1f1] = 1;
    cr_assert_eq(boot_bytes(image, sizeof(image)), BOOT_NOT_A_KERNEL, "no 64-bit entry point");
    image[0x236] = 1;
    memcpy(image + 0x258, &large, 8);
    cr_assert_eq(boot_bytes(image, sizeof(image)), BOOT_TOO_LARGE);
}
