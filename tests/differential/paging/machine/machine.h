/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the bare-metal program share: its parameters, its processors, instructions that C has no words for. */
#ifndef MACHINE_H
#define MACHINE_H

#include "../walks/walks.h"

/* Filled in by the program that starts the machine; at the image's beginning. */
struct parameters {
    char magic[8];
    uint64_t seed, walks, model;
    uint64_t levels; /* of the host's paging; boot.S reads it */
};
#define PARAMETERS ((const volatile struct parameters *)0x10000)

/* Switches virtualization on and says what it offers. False: there is none with nested paging. */
bool svm_begin(struct processor *processor);
bool vmx_begin(struct processor *processor);
struct outcome svm_run(const struct question *q);
struct outcome vmx_run(const struct question *q);

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* As PKRU: PKRS is shared with the host, which uses no keys. */
static inline void load_pkrs(uint32_t pkrs)
{
    wrmsr(0x6e1, pkrs);
}

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t read_cr4(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void write_cr4(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

/* PKRU is the guest's as it is the host's; the host uses no keys. */
static inline void load_pkru(uint32_t pkru)
{
    uint64_t cr4 = read_cr4();

    write_cr4(cr4 | X86EMU_CR4_PKE);
    __asm__ volatile(".byte 0x0f, 0x01, 0xef" : : "a"(pkru), "c"(0), "d"(0)); /* WRPKRU */
    write_cr4(cr4);
}

#endif
