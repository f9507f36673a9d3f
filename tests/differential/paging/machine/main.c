/* SPDX-License-Identifier: BSD-2-Clause */
/* The bare-metal program: which processor is asked, and the serial line that tells what came out. */
#include "machine.h"

enum {
    SERIAL = 0x3f8,
};

/* Eight bytes at a time where possible: the machines interpret each step. */
void *memset(void *to, int value, size_t count)
{
    size_t words = count / 8;
    void *at = to;

    __asm__ volatile("rep stosq"
                     : "+D"(at), "+c"(words)
                     : "a"((uint8_t)value * UINT64_C(0x0101010101010101))
                     : "memory");
    count %= 8;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(value) : "memory");
    return to;
}

void *memcpy(void *to, const void *from, size_t count)
{
    size_t words = count / 8;
    void *at = to;

    __asm__ volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
    count %= 8;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(count) : : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t count)
{
    const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;

    for (size_t i = 0; i < count; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

/* --- the serial line ----------------------------------------------------------------------------------------------- */

void print(const char *text)
{
    for (; *text != '\0'; text++) {
        while (!(inb(SERIAL + 5) & 0x20))
            continue;
        outb(SERIAL, (uint8_t)*text);
    }
}

static void finish(void)
{
    while (!(inb(SERIAL + 5) & 0x40))
        continue;
    for (volatile unsigned i = 0; i < 1000000; i++)
        continue;
    outb(0xf4, 0);
    for (const char *text = "Shutdown"; *text != '\0'; text++)
        outb(0x8900, (uint8_t)*text);
}

static bool begin(struct processor *processor)
{
    *processor = (struct processor){.model = (enum model)PARAMETERS->model,
                                    .nested = true,
                                    .modes = (1u << GUEST_MODES) - 1,
                                    .page1gb = cpuid(0x80000001, 0).edx & 1 << 26,
                                    .la57 = cpuid(7, 0).ecx & 1 << 16,
                                    .smep = true,
                                    .smap = true,
                                    .pke = cpuid(7, 0).ecx & 1 << 3,
                                    .pks = cpuid(7, 0).ecx & 1u << 31,
                                    .implicit = true,
                                    .stop = {0x0f, 0xa2}}; /* CPUID */
    return svm_begin(processor) || vmx_begin(processor);
}

void machine_main(void);
void machine_main(void)
{
    static struct processor processor;

    outb(SERIAL + 3, 3); /* eight bits */
    if (begin(&processor))
        compare(&processor, PARAMETERS->seed, PARAMETERS->walks);
    else
        print("NONE neither SVM with nested paging nor VMX with EPT\n");
    finish();
}
