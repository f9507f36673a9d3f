/* SPDX-License-Identifier: BSD-2-Clause */
/* How a question becomes one run of a guest under VMX with EPT (SDM Vol. 3, chapters 24 to 29, appendices A and B). */
#include "machine.h"

enum {
    MSR_FEATURE_CONTROL = 0x3a,
    MSR_VMX_BASIC = 0x480,
    MSR_VMX_CR0_FIXED0 = 0x486,
    MSR_VMX_CR4_FIXED0 = 0x488,
    MSR_VMX_PROCBASED2 = 0x48b,
    MSR_VMX_EPT_VPID_CAP = 0x48c,
    MSR_VMX_TRUE_PINBASED = 0x48d,
    MSR_EFER = 0xc0000080,

    CR4_VMXE = 1 << 13,

    CONTROLS2_EPT = 1 << 1,
    CONTROLS2_UNRESTRICTED = 1 << 7,
    CONTROLS2_MODE_BASED_EXECUTE = 1 << 22,

    EXIT_EXCEPTION = 0,
    EXIT_CPUID = 10,
    EXIT_EPT_VIOLATION = 48,
    EXIT_EPT_MISCONFIGURED = 49,
};

/* VMCS fields (SDM Vol. 3, appendix B). */
enum field {
    GUEST_ES_SELECTOR = 0x0800,
    HOST_ES_SELECTOR = 0x0c00,
    HOST_TR_SELECTOR = 0x0c0c,
    EPT_POINTER = 0x201a,
    GUEST_PHYSICAL_ADDRESS = 0x2400,
    VMCS_LINK = 0x2800,
    GUEST_EFER = 0x2806,
    GUEST_PDPTE0 = 0x280a,
    HOST_EFER = 0x2c02,
    PIN_CONTROLS = 0x4000,
    CPU_CONTROLS = 0x4002,
    EXCEPTION_BITMAP = 0x4004,
    EXIT_CONTROLS = 0x400c,
    ENTRY_CONTROLS = 0x4012,
    CPU_CONTROLS2 = 0x401e,
    INSTRUCTION_ERROR = 0x4400,
    EXIT_REASON = 0x4402,
    EXIT_INTERRUPTION = 0x4404,
    EXIT_ERROR_CODE = 0x4406,
    GUEST_ES_LIMIT = 0x4800,
    GUEST_GDTR_LIMIT = 0x4810,
    GUEST_ES_RIGHTS = 0x4814,
    EXIT_QUALIFICATION = 0x6400,
    GUEST_CR0 = 0x6800,
    GUEST_CR3 = 0x6802,
    GUEST_CR4 = 0x6804,
    GUEST_ES_BASE = 0x6806,
    GUEST_GDTR_BASE = 0x6816,
    GUEST_DR7 = 0x681a,
    GUEST_RIP = 0x681e,
    GUEST_RFLAGS = 0x6820,
    HOST_CR0 = 0x6c00,
    HOST_CR3 = 0x6c02,
    HOST_CR4 = 0x6c04,
    HOST_GDTR_BASE = 0x6c0c,
    HOST_RSP = 0x6c14,
    HOST_RIP = 0x6c16,
};

static void put(unsigned field, uint64_t value)
{
    __asm__ volatile("vmwrite %1, %0" : : "r"((uint64_t)field), "r"(value) : "cc");
}

static uint64_t get(unsigned field)
{
    uint64_t value;

    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((uint64_t)field) : "cc");
    return value;
}

/* Wanted controls with those that must be 1 and without those that can't (SDM Vol. 3, A.3). */
static uint32_t controls(uint32_t msr, uint32_t wanted)
{
    uint64_t allowed = rdmsr(msr);

    return (wanted | (uint32_t)allowed) & (uint32_t)(allowed >> 32);
}

static uint64_t read_cr(unsigned number)
{
    uint64_t value = 0;

    if (number == 0)
        __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    else
        __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

/* The host as it is: where exits come back to is set with each entry. */
static void set_host(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } gdtr;

    __asm__ volatile("sgdt %0" : "=m"(gdtr));
    for (unsigned i = 0; i < 6; i++)
        put(HOST_ES_SELECTOR + 2 * i, i == 1 ? 0x18 : 0x10);
    put(HOST_TR_SELECTOR, 0x20);
    put(HOST_GDTR_BASE, gdtr.base);
    put(HOST_CR0, read_cr(0));
    put(HOST_CR3, read_cr(3));
    put(HOST_CR4, read_cr4());
    put(HOST_EFER, rdmsr(MSR_EFER));
}

bool vmx_begin(struct processor *processor)
{
    static const uint64_t vmxon = CONTROL_PAGES, vmcs = CONTROL_PAGES + 0x1000;
    uint32_t revision;
    uint8_t failed;

    if (!(cpuid(1, 0).ecx & 1 << 5))
        return false;
    if (!(rdmsr(MSR_FEATURE_CONTROL) & 1))
        wrmsr(MSR_FEATURE_CONTROL, 5);
    write_cr4(read_cr4() | CR4_VMXE);
    revision = (uint32_t)rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
    *(uint32_t *)vmxon = revision;
    *(uint32_t *)vmcs = revision;
    __asm__ volatile("vmxon %1; setna %0" : "=r"(failed) : "m"(vmxon) : "cc", "memory");
    if (failed)
        return false;
    __asm__ volatile("vmclear %0" : : "m"(vmcs) : "cc", "memory");
    __asm__ volatile("vmptrld %0" : : "m"(vmcs) : "cc", "memory");
    set_host();
    processor->format = x86emu_nested_format_of_ept(rdmsr(MSR_VMX_EPT_VPID_CAP), (uint8_t)cpuid(0x80000008, 0).eax);
    processor->format.mode_based_execute = rdmsr(MSR_VMX_PROCBASED2) >> 32 & CONTROLS2_MODE_BASED_EXECUTE;
    processor->pdptes_loaded = true;
    processor->run = vmx_run;
    return true;
}

/* --- the guest ----------------------------------------------------------------------------------------------------- */

static void set_controls(const struct question *q)
{
    put(PIN_CONTROLS, controls(MSR_VMX_TRUE_PINBASED, 0));
    /* HLT exits, secondary controls. */
    put(CPU_CONTROLS, controls(MSR_VMX_TRUE_PINBASED + 1, UINT32_C(1) << 31 | 1 << 7));
    put(CPU_CONTROLS2,
        controls(MSR_VMX_PROCBASED2, CONTROLS2_EPT | CONTROLS2_UNRESTRICTED |
                                         (q->format.mode_based_execute ? CONTROLS2_MODE_BASED_EXECUTE : 0)));
    /* 64-bit host, EFER saved and loaded. */
    put(EXIT_CONTROLS, controls(MSR_VMX_TRUE_PINBASED + 2, 1 << 9 | 1 << 20 | 1 << 21));
    put(ENTRY_CONTROLS, controls(MSR_VMX_TRUE_PINBASED + 3, 1 << 15 | (q->mode == GUEST_64 ? 1 << 9 : 0)));
    put(EXCEPTION_BITMAP, 0xffffffff);
    put(EPT_POINTER, q->pointer);
    put(VMCS_LINK, UINT64_MAX);
}

static void set_segments(const struct question *q)
{
    unsigned cpl = q->user ? 3 : 0;

    for (unsigned i = 0; i < 8; i++) {
        uint32_t rights = 0xc093 | cpl << 5, limit = 0xffffffff;

        if (i == 1)
            rights = (q->mode == GUEST_64 ? 0xa09b : 0xc09b) | cpl << 5;
        if (i == 6)
            rights = 0x10000; /* LDTR: none */
        if (i == 7)
            rights = 0x8b, limit = 0xffff;
        put(GUEST_ES_SELECTOR + 2 * i, i == 1 ? 0x8 | cpl : i == 6 ? 0 : i == 7 ? 0x20 : 0x10 | cpl);
        put(GUEST_ES_LIMIT + 2 * i, limit);
        put(GUEST_ES_RIGHTS + 2 * i, rights);
        put(GUEST_ES_BASE + 2 * i, 0);
    }
    put(GUEST_GDTR_BASE, q->gdt);
    put(GUEST_GDTR_LIMIT, 0xffff);
    put(GUEST_GDTR_LIMIT + 2, 0);
}

static void set_guest(const struct question *q)
{
    const struct x86emu_paging *p = &q->paging;
    /* With unrestricted guests PE and PG are free. */
    uint64_t cr0 = rdmsr(MSR_VMX_CR0_FIXED0) & ~(uint64_t)(X86EMU_CR0_PE | X86EMU_CR0_PG);

    set_controls(q);
    set_segments(q);
    put(GUEST_CR0, p->cr0 | cr0);
    put(GUEST_CR3, p->cr3);
    put(GUEST_CR4, p->cr4 | rdmsr(MSR_VMX_CR4_FIXED0));
    put(GUEST_EFER, p->efer);
    for (unsigned i = 0; i < 4; i++)
        put(GUEST_PDPTE0 + 2 * i, p->pdpte[i]);
    put(GUEST_DR7, 0x400);
    put(GUEST_RFLAGS, p->rflags | 2);
    put(GUEST_RIP, q->code);
}

static void forget_translations(void)
{
    static const uint64_t all[2];

    __asm__ volatile("invept %0, %1" : : "m"(all), "r"(UINT64_C(2)) : "cc", "memory");
}

/* Answers false when there was no entry. *al: in and out. */
static bool enter(uint64_t rbx, uint64_t *rax)
{
    static bool launched;
    uint8_t failed;

    __asm__ volatile("push %%rbp\n\t"
                     "mov %%rsp, %%rdi\n\t"
                     "vmwrite %%rdi, %%rsi\n\t"
                     "lea 1f(%%rip), %%rdi\n\t"
                     "vmwrite %%rdi, %%rdx\n\t"
                     "test %%cl, %%cl\n\t"
                     "jnz 2f\n\t"
                     "vmlaunch\n\t"
                     "jmp 3f\n"
                     "2:\tvmresume\n"
                     "3:\tmov $1, %%cl\n\t"
                     "jmp 4f\n"
                     "1:\tmov $0, %%cl\n"
                     "4:\tpop %%rbp"
                     : "+a"(*rax), "+b"(rbx), "=c"(failed)
                     : "c"((uint8_t)launched), "S"((uint64_t)HOST_RSP), "d"((uint64_t)HOST_RIP)
                     : "rdi", "cc", "memory");
    launched = launched || !failed;
    return !failed;
}

struct outcome vmx_run(const struct question *q)
{
    uint64_t rax = q->value;

    set_guest(q);
    forget_translations();
    if (q->paging.cr4 & X86EMU_CR4_PKE)
        load_pkru(q->paging.pkru);
    if (q->paging.cr4 & X86EMU_CR4_PKS)
        load_pkrs(q->paging.pkrs);
    if (!enter(q->rbx, &rax))
        return (struct outcome){SOMETHING_ELSE, get(INSTRUCTION_ERROR), 0, 0};
    switch (get(EXIT_REASON)) {
    case EXIT_CPUID:
        return (struct outcome){WENT_THROUGH, 0, 0, (uint32_t)rax};
    case EXIT_EXCEPTION:
        if ((get(EXIT_INTERRUPTION) & 0xff) != X86EMU_VECTOR_PF)
            return (struct outcome){SOMETHING_ELSE, get(EXIT_INTERRUPTION), get(EXIT_QUALIFICATION), 0};
        return (struct outcome){GUEST_FAULT, get(EXIT_ERROR_CODE), get(EXIT_QUALIFICATION), 0};
    case EXIT_EPT_VIOLATION:
        return (struct outcome){NESTED_FAULT, get(EXIT_QUALIFICATION), get(GUEST_PHYSICAL_ADDRESS), 0};
    case EXIT_EPT_MISCONFIGURED:
        return (struct outcome){MISCONFIGURED, 0, get(GUEST_PHYSICAL_ADDRESS), 0};
    default:
        return (struct outcome){SOMETHING_ELSE, get(EXIT_REASON) | UINT64_C(1) << 32, get(EXIT_QUALIFICATION), 0};
    }
}
