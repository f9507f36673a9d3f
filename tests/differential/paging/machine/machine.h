/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the bare-metal program share: the memory that tables are in, one walk as a question, its outcome. */
#ifndef MACHINE_H
#define MACHINE_H

#include <x86emu/nested.h>

/* --- memory -------------------------------------------------------------------------------------------------------- */

/* Tables and data that walks may use, at these host-physical addresses; guests see them at the same addresses. */
#define POOL UINT64_C(0x1000000)
enum {
    PAGE_N4, /* nested tables on the way to the pool */
    PAGE_N3,
    PAGE_N2,
    PAGE_N1,
    PAGE_FIXED2, /* nested tables that show the pool a second time, at SECOND */
    PAGE_FIXED1,
    PAGE_G5, /* guest tables by level */
    PAGE_G4,
    PAGE_G3,
    PAGE_G2,
    PAGE_G1,
    PAGE_PDPT, /* PAE */
    PAGE_DIRECTORY32,
    PAGE_TABLE32,
    PAGE_C3, /* guest tables on the way to the code, with nothing wrong in them */
    PAGE_C2,
    PAGE_C1,
    PAGE_C32,
    PAGE_CODE,
    PAGE_DATA,
    PAGES = PAGE_DATA + 6,
};
#define POOL_SIZE (UINT64_C(4096) * PAGES)
/* Roots of guest tables and code are used here, so that most mistakes in nested tables leave them alone. */
#define SECOND UINT64_C(0xc0000000)

/* Copies of the pool: before the walk, and as the library expects it after the walk. */
#define CLEAN ((uint8_t *)0x2300000) /* before anything is spoilt */
#define BEFORE ((uint8_t *)0x2000000)
#define EXPECTED ((uint8_t *)0x2100000)
/* Pages for VMCB, VMCS and so on. */
#define CONTROL_PAGES UINT64_C(0x2200000)

static inline uint64_t page_address(unsigned page)
{
    return POOL + page * UINT64_C(4096);
}

/* What plays the processor. */
enum model {
    MODEL_UNKNOWN, /* a processor, for all we know */
    MODEL_QEMU,
    MODEL_BOCHS,
};

/* Filled in by the program that starts the machine; at the image's beginning. */
struct parameters {
    char magic[8];
    uint64_t seed, walks, model;
};
#define PARAMETERS ((const volatile struct parameters *)0x10000)

/* --- walks --------------------------------------------------------------------------------------------------------- */

enum guest_mode {
    GUEST_FLAT,
    GUEST_32,
    GUEST_PAE,
    GUEST_64,
    GUEST_MODES,
};

/* One access of the guest's and all that decides about it. */
struct question {
    enum guest_mode mode;
    struct x86emu_paging paging;
    struct x86emu_nested_format format;
    uint64_t pointer;
    uint64_t code; /* linear address of the instruction; for fetches the same as la */
    uint64_t la;
    unsigned access; /* enum x86emu_access, X86EMU_WALK_USER */
    uint8_t value;   /* that is written */
};

enum outcome_kind {
    WENT_THROUGH,
    GUEST_FAULT,
    NESTED_FAULT,
    MISCONFIGURED,
    SOMETHING_ELSE, /* fault: exit code */
    LEFT_OUT,       /* by the library only: it would leave the memory that is ours */
};

struct outcome {
    enum outcome_kind kind;
    uint64_t fault;   /* error code, exit qualification, EXITINFO1 */
    uint64_t address; /* CR2 of a guest fault, guest-physical address of a nested one */
    uint8_t value;    /* that was read */
};

uint64_t random_bits(void);
bool one_in(unsigned n);
extern uint64_t random_state;

/* A random question, the pool filled for it and copied to BEFORE. type: enum x86emu_nested_type. */
void make_question(struct question *q, const struct x86emu_nested_format *offered);
/* Nested tables made by the library; answers their pointer. */
uint64_t build_nested(const struct x86emu_nested_format *f);
/* What the library says; the pool as it then is is in EXPECTED, and as before again. */
struct outcome predict(const struct question *q);

/* Why the processor may differ from the prediction: "" where it doesn't, NULL when there is no reason. */
const char *explain(const struct question *q, const struct outcome *expected, struct outcome actual);
/* Entries that a prediction reads. */
void forget_reads(void);
void note_read(uint64_t hpa);

/* --- the processor ------------------------------------------------------------------------------------------------- */

/* Switches virtualization on and says what nested paging offers. False: there is none. */
bool svm_begin(struct x86emu_nested_format *offered);
struct outcome svm_run(const struct question *q);
bool vmx_begin(struct x86emu_nested_format *offered);
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

void *memset(void *to, int value, size_t count);
void *memcpy(void *to, const void *from, size_t count);
int memcmp(const void *a, const void *b, size_t count);

#endif
