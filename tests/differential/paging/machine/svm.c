/* SPDX-License-Identifier: BSD-2-Clause */
/* How a question becomes one run of a guest under SVM with nested paging (APM Vol. 2, chapter 15, appendix B). */
#include "machine.h"

enum {
    MSR_EFER = 0xc0000080,
    MSR_VM_CR = 0xc0010114,
    MSR_HSAVE = 0xc0010117,
    EFER_NXE = 1 << 11,
    EFER_SVME = 1 << 12,

    EXIT_PAGE_FAULT = 0x4e,
    EXIT_CPUID = 0x72,
    EXIT_NPF = 0x400,
};

static uint8_t *const vmcb = (uint8_t *)CONTROL_PAGES;

static void put16(unsigned at, unsigned value)
{
    *(uint16_t *)(void *)(vmcb + at) = (uint16_t)value;
}

static void put32(unsigned at, uint32_t value)
{
    *(uint32_t *)(void *)(vmcb + at) = value;
}

static void put64(unsigned at, uint64_t value)
{
    *(uint64_t *)(void *)(vmcb + at) = value;
}

static uint64_t get64(unsigned at)
{
    return *(uint64_t *)(void *)(vmcb + at);
}

bool svm_begin(struct processor *processor)
{
    if (cpuid(0x80000000, 0).eax < 0x8000000a || !(cpuid(0x80000001, 0).ecx & 1 << 2) ||
        !(cpuid(0x8000000a, 0).edx & 1))
        return false;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_HSAVE, CONTROL_PAGES + 0x1000);
    processor->format = (struct x86emu_nested_format){.type = X86EMU_NESTED_NPT,
                                                      .levels = read_cr4() & X86EMU_CR4_LA57 ? 5 : 4,
                                                      .maxphyaddr = (uint8_t)cpuid(0x80000008, 0).eax,
                                                      .page_2m = true,
                                                      .page_1g = cpuid(0x80000001, 0).edx & 1 << 26,
                                                      .execute_disable = true};
    processor->run = svm_run;
    return true;
}

static void set_segment(unsigned at, unsigned selector, unsigned attributes)
{
    put16(at, selector);
    put16(at + 2, attributes);
    put32(at + 4, 0xffffffff);
    put64(at + 8, 0);
}

static void set_segments(const struct question *q)
{
    unsigned cpl = q->user ? 3 : 0;

    for (unsigned at = 0x400; at <= 0x450; at += 0x10)
        set_segment(at, 0x10 | cpl, 0xc93 | cpl << 5);
    set_segment(0x410, 0x8 | cpl, (q->mode == GUEST_64 ? 0xa9b : 0xc9b) | cpl << 5);
    set_segment(0x460, 0, 0);
    put64(0x468, q->gdt);
    set_segment(0x470, 0, 0x82);
    set_segment(0x490, 0x20, 0x8b);
    vmcb[0x4cb] = (uint8_t)cpl;
}

static void set_state(const struct question *q)
{
    const struct x86emu_paging *p = &q->paging;

    memset(vmcb, 0, 4096);
    put32(0x08, 0xffffffff);                     /* all exceptions */
    put32(0x0c, 1u << 18 | 1u << 24 | 1u << 31); /* CPUID, HLT, shutdown */
    put32(0x10, 3);                              /* VMRUN, VMMCALL */
    put32(0x58, 1);                              /* ASID */
    put32(0x5c, 1);                              /* flush all translations */
    put64(0x90, 1);
    put64(0xb0, q->pointer);
    set_segments(q);
    put64(0x4d0, p->efer | EFER_SVME);
    put64(0x548, p->cr4);
    put64(0x550, p->cr3);
    put64(0x558, p->cr0);
    put64(0x560, 0x400);
    put64(0x568, 0xffff0ff0);
    put64(0x570, p->rflags | 2);
    put64(0x578, q->code);
    put64(0x5f8, q->value);
    put64(0x668, UINT64_C(0x0007040600070406));
}

struct outcome svm_run(const struct question *q)
{
    uint64_t efer = rdmsr(MSR_EFER) & ~(uint64_t)EFER_NXE;

    set_state(q);
    wrmsr(MSR_EFER, efer | (q->format.execute_disable ? EFER_NXE : 0));
    if (q->paging.cr4 & X86EMU_CR4_PKE)
        load_pkru(q->paging.pkru);
    if (q->paging.cr4 & X86EMU_CR4_PKS)
        load_pkrs(q->paging.pkrs);
    __asm__ volatile("vmrun %%rax" : : "a"(CONTROL_PAGES), "b"(q->rbx) : "memory", "cc");
    switch (get64(0x70)) {
    case EXIT_CPUID:
        return (struct outcome){WENT_THROUGH, 0, 0, (uint32_t)get64(0x5f8)};
    case EXIT_PAGE_FAULT:
        return (struct outcome){GUEST_FAULT, get64(0x78), get64(0x80), 0};
    case EXIT_NPF:
        return (struct outcome){NESTED_FAULT, get64(0x78), get64(0x80), 0};
    default:
        return (struct outcome){SOMETHING_ELSE, get64(0x70), get64(0x78), 0};
    }
}
