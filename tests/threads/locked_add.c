/* SPDX-License-Identifier: BSD-2-Clause */
/* Several processors add to the same RAM with LOCK, emulated at the same time: no addition is lost. */
#include <x86emu/x86emu.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    PROCESSORS = 4,
    ADDITIONS = 20000,
    RAM_SIZE = 0x1000,
    COUNTERS = 0x800,
};

static uint8_t ram[RAM_SIZE] __attribute__((aligned(64)));
static struct x86emu_region_map map;

/* Each processor has its own code: an addition to a counter of this size, at an offset that is not a multiple of it. */
static const uint8_t code[PROCESSORS][8] = {
    {0xf0, 0x83, 0x03, 0x01},             /* lock add dword [rbx], 1 */
    {0xf0, 0x83, 0x03, 0x01},             /* the same counter */
    {0xf0, 0x80, 0x43, 0x04, 0x01},       /* lock add byte [rbx+4], 1: its neighbour */
    {0xf0, 0x66, 0x83, 0x43, 0x05, 0x01}, /* lock add word [rbx+5], 1: misaligned, inside the same line */
};

static void make_vcpu(struct x86emu_vcpu *vcpu)
{
    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->loaded = X86EMU_STATE_ALL;
    vcpu->rflags = X86EMU_RFLAGS_FIXED;
    vcpu->cr0 = X86EMU_CR0_PE;
    for (unsigned i = 0; i < 6; i++)
        vcpu->segment[i] = (struct x86emu_segment){.limit = 0xffffffff, .attributes = i == X86EMU_CS ? 0xc09b : 0xc093};
    vcpu->gpr[X86EMU_RBX] = COUNTERS;
}

/* Answers how many additions went through. */
static void *processor(void *opaque)
{
    uintptr_t number = (uintptr_t)opaque, done = 0;
    struct x86emu_config config = {.map = &map};
    struct x86emu_vcpu vcpu;
    struct x86emu emu;

    make_vcpu(&vcpu);
    x86emu_init(&emu, &config);
    while (done < ADDITIONS) {
        vcpu.rip = 0x100 * number;
        if (x86emu_step(&emu, &vcpu) != X86EMU_RETIRED)
            break;
        done += emu.outcome.repeats ? 0 : 1; /* an exchange that was lost too often is tried again */
    }
    return (void *)done;
}

static uint64_t counter(unsigned offset, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, ram + COUNTERS + offset, size);
    return value;
}

static bool expect(const char *what, uint64_t value, uint64_t expected)
{
    if (value != expected)
        printf("%s: %llu, not %llu\n", what, (unsigned long long)value, (unsigned long long)expected);
    return value == expected;
}

int main(void)
{
    struct x86emu_host_range host = {.base = ram, .size = RAM_SIZE};
    struct x86emu_region region = {.size = RAM_SIZE, .protection = 7, .host = &host};
    pthread_t threads[PROCESSORS];
    bool good = x86emu_region_insert(&map, &region) == X86EMU_REGION_OK;

    for (unsigned i = 0; i < PROCESSORS; i++) {
        memcpy(ram + (size_t)0x100 * i, code[i], sizeof(code[i]));
        if (pthread_create(&threads[i], NULL, processor, (void *)(uintptr_t)i) != 0) {
            perror("pthread_create");
            return 1;
        }
    }
    for (unsigned i = 0; i < PROCESSORS; i++) {
        void *done;

        pthread_join(threads[i], &done);
        good &= expect("instructions", (uintptr_t)done, ADDITIONS);
    }
    good &= expect("dword", counter(0, 4), 2 * ADDITIONS);
    good &= expect("byte", counter(4, 1), ADDITIONS % 256);
    good &= expect("word", counter(5, 2), ADDITIONS);
    return !good;
}
