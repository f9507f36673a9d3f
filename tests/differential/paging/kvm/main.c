/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks a guest under KVM the same questions about its own page tables: what the processor's real paging says. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../walks/walks.h"

/* The control page: what the guest needs besides its tables, and never among what is compared. */
enum control {
    CONTROL_GDT = 0x000,
    CONTROL_TSS = 0x080,
    CONTROL_IDT = 0x100,
    CONTROL_HANDLERS = 0x400,
    CONTROL_STACK = 0x1000, /* its top */

    VECTORS = 32,
    PORT_STOP = 0xf4, /* of the instruction under test; handlers write to the port that is their vector */

    SELECTOR_CODE = 0x08,
    SELECTOR_DATA = 0x10,
    SELECTOR_TSS = 0x20,
    RFLAGS_IOPL = 3 << 12,
};

static int system_fd, vm, vcpu;
static struct kvm_run *run;
static uint8_t *const control = (uint8_t *)CONTROL_PAGES;

void print(const char *text)
{
    fputs(text, stdout);
}

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static int call(int fd, unsigned long request, void *argument, const char *what)
{
    int result = ioctl(fd, request, argument);

    if (result < 0)
        die(what);
    return result;
}

/* --- memory -------------------------------------------------------------------------------------------------------- */

/* This process and the guest have the pool at the same address, so that questions are the same as everywhere. */
static void map(uint64_t address, uint64_t size)
{
    void *at = (void *)(uintptr_t)address;

    if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at)
        die("memory at a fixed address");
}

static void show(unsigned slot, uint64_t gpa, uint64_t hva, uint64_t size)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot, .guest_phys_addr = gpa, .memory_size = size, .userspace_addr = hva};

    call(vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
}

/* Makes KVM forget what it derived from guest tables that this process has changed since. */
static void show_pool_anew(void)
{
    show(0, POOL, POOL, 0);
    show(0, POOL, POOL, POOL_SIZE);
}

/* --- the guest ----------------------------------------------------------------------------------------------------- */

static void put_gate(unsigned vector, const struct question *q)
{
    uint64_t handler = CONTROL_LA + CONTROL_HANDLERS + vector * 4;
    uint64_t low = (handler & 0xffff) | SELECTOR_CODE << 16 | UINT64_C(0x8e00) << 32 | (handler & 0xffff0000) << 32;

    if (q->mode != GUEST_64) {
        memcpy(control + CONTROL_IDT + vector * 8, &low, 8);
        return;
    }
    memcpy(control + CONTROL_IDT + vector * 16, &low, 8);
    memcpy(control + CONTROL_IDT + vector * 16 + 8, &(uint64_t){UINT32_MAX}, 8);
}

static void fill_control(const struct question *q)
{
    const uint64_t gdt[] = {0, q->mode == GUEST_64 ? UINT64_C(0x00af9b000000ffff) : UINT64_C(0x00cf9b000000ffff),
                            UINT64_C(0x00cf93000000ffff)};
    uint64_t stack = (CONTROL_LA | (q->mode == GUEST_64 ? UINT64_C(0xffffffff00000000) : 0)) + CONTROL_STACK;

    memset(control, 0, 4096);
    memcpy(control + CONTROL_GDT, gdt, sizeof(gdt));
    memcpy(control + CONTROL_TSS + 4, &stack, q->mode == GUEST_64 ? 8 : 4); /* RSP0 or ESP0 */
    if (q->mode != GUEST_64)
        memcpy(control + CONTROL_TSS + 8, &(uint32_t){SELECTOR_DATA}, 4); /* SS0 */
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        put_gate(vector, q);
        memcpy(control + CONTROL_HANDLERS + vector * 4, (uint8_t[]){0xe6, (uint8_t)vector}, 2); /* OUT vector, AL */
    }
}

static struct kvm_segment segment(unsigned selector, unsigned type, unsigned cpl)
{
    return (struct kvm_segment){.limit = 0xffffffff,
                                .selector = (uint16_t)(selector | cpl),
                                .type = (uint8_t)type,
                                .present = 1,
                                .dpl = (uint8_t)cpl,
                                .db = 1,
                                .s = 1,
                                .g = 1};
}

static void set_segments(struct kvm_sregs *s, const struct question *q)
{
    unsigned cpl = q->user ? 3 : 0;
    uint64_t base = CONTROL_LA | (q->mode == GUEST_64 ? UINT64_C(0xffffffff00000000) : 0);

    s->ds = s->es = s->fs = s->gs = s->ss = segment(SELECTOR_DATA, 3, cpl);
    s->cs = segment(SELECTOR_CODE, 11, cpl);
    if (q->mode == GUEST_64)
        s->cs.l = 1, s->cs.db = 0;
    /* Busy, as it must be for VMX. SVM takes any, and QEMU's model of it has a guest with a busy one end QEMU. */
    s->tr = (struct kvm_segment){.base = base + CONTROL_TSS,
                                 .limit = 103,
                                 .selector = SELECTOR_TSS,
                                 .type = q->processor->amd ? 9 : 11,
                                 .present = 1};
    s->ldt = (struct kvm_segment){.unusable = 1};
    s->gdt = (struct kvm_dtable){.base = base + CONTROL_GDT, .limit = 0x17};
    s->idt = (struct kvm_dtable){.base = base + CONTROL_IDT, .limit = VECTORS * 16 - 1};
}

/* --- its run ------------------------------------------------------------------------------------------------------- */

/* An exit for a port is complete when the guest has been entered again. */
static void finish_port(void)
{
    run->immediate_exit = 1;
    ioctl(vcpu, KVM_RUN, NULL);
    run->immediate_exit = 0;
}

static void set_state(const struct question *q)
{
    static struct kvm_sregs sregs;
    struct kvm_regs regs = {
        .rip = q->code, .rbx = q->rbx, .rax = q->value, .rsp = CONTROL_LA + CONTROL_STACK, .rflags = RFLAGS_IOPL | 2};

    /* For the supervisor, whom it lets through SMAP. In ring 3 kvm_pvm has the host's CR0.AM in force. */
    if (!q->user)
        regs.rflags |= q->paging.rflags;
    call(vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
    set_segments(&sregs, q);
    sregs.cr0 = q->paging.cr0;
    sregs.cr3 = q->paging.cr3;
    sregs.cr4 = q->paging.cr4;
    sregs.efer = q->paging.efer;
    memset(sregs.interrupt_bitmap, 0, sizeof(sregs.interrupt_bitmap));
    call(vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
    if (q->mode == GUEST_64)
        regs.rsp |= UINT64_C(0xffffffff00000000);
    call(vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

static struct outcome page_fault(const struct question *q, const struct kvm_regs *regs)
{
    struct outcome outcome = {.kind = GUEST_FAULT};
    struct kvm_sregs sregs;

    call(vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
    memcpy(&outcome.fault, control + (regs->rsp & 0xfff), q->mode == GUEST_64 ? 8 : 4);
    outcome.address = sregs.cr2;
    return outcome;
}

static struct outcome run_once(const struct question *q)
{
    struct kvm_regs regs;
    struct outcome outcome;

    fill_control(q);
    set_state(q);
    if (ioctl(vcpu, KVM_RUN, NULL) < 0)
        return (struct outcome){SOMETHING_ELSE, (uint64_t)errno, 0, 0};
    call(vcpu, KVM_GET_REGS, &regs, "KVM_GET_REGS");
    if (run->exit_reason != KVM_EXIT_IO)
        return (struct outcome){SOMETHING_ELSE, run->exit_reason | UINT64_C(1) << 32, regs.rip, 0};
    if (run->io.port == PORT_STOP)
        outcome = (struct outcome){WENT_THROUGH, 0, 0, (uint32_t)regs.rax};
    else if (run->io.port == X86EMU_VECTOR_PF)
        outcome = page_fault(q, &regs);
    else
        outcome = (struct outcome){SOMETHING_ELSE, run->io.port, regs.rip, 0};
    finish_port();
    return outcome;
}

/* Whether the access left the guest's tables as they were, but for accessed and dirty bits. */
static bool tables_hold(void)
{
    const uint32_t *before = (const uint32_t *)(void *)BEFORE, *now = (const uint32_t *)POOL;

    for (unsigned i = 0; i < PAGE_CODE * 4096 / 4; i++)
        if ((before[i] ^ now[i]) & ~UINT32_C(0x60))
            return false;
    return true;
}

/*
 * Twice: the first time a KVM with shadow tables walks the guest's tables itself, the second time the processor walks
 * what KVM made of them.
 */
static struct outcome run_guest(const struct question *q)
{
    struct outcome first, second;

    show_pool_anew();
    first = run_once(q);
    if (first.kind == SOMETHING_ELSE || !tables_hold())
        return first;
    second = run_once(q);
    if (first.kind == second.kind && first.fault == second.fault && first.address == second.address)
        return first;
    second.address = (uint64_t)second.kind << 32 | second.fault;
    second.fault = UINT64_C(2) << 32; /* not the same twice */
    second.kind = SOMETHING_ELSE;
    return second;
}

/* --- beginning ----------------------------------------------------------------------------------------------------- */

static struct {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entries[256];
} cpuid = {.head.nent = 256};

static const struct kvm_cpuid_entry2 *leaf(uint32_t function)
{
    static const struct kvm_cpuid_entry2 none;

    for (unsigned i = 0; i < cpuid.head.nent; i++)
        if (cpuid.entries[i].function == function && cpuid.entries[i].index == 0)
            return &cpuid.entries[i];
    return &none;
}

static bool open_kvm(void)
{
    int size;

    system_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (system_fd < 0) {
        printf("NONE /dev/kvm: %s\n", strerror(errno));
        return false;
    }
    vm = call(system_fd, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
    ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000); /* Intel processors want it, where the guest has no memory */
    vcpu = call(vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
    call(system_fd, KVM_GET_SUPPORTED_CPUID, &cpuid, "KVM_GET_SUPPORTED_CPUID");
    call(vcpu, KVM_SET_CPUID2, &cpuid, "KVM_SET_CPUID2");
    size = call(system_fd, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
    run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED)
        die("kvm_run");
    return true;
}

static void make_memory(void)
{
    map(POOL, POOL_SIZE);
    map((uintptr_t)CLEAN, POOL_SIZE);
    map((uintptr_t)BEFORE, POOL_SIZE);
    map((uintptr_t)EXPECTED, POOL_SIZE);
    map((uintptr_t)OTHER, POOL_SIZE);
    map(CONTROL_PAGES, 4096);
    show(0, POOL, POOL, POOL_SIZE);
    show(1, SECOND, POOL, POOL_SIZE);
    show(2, CONTROL_PAGES, CONTROL_PAGES, 4096);
}

/* Whether the guest runs in this mode at all: a KVM without hardware virtualization may shut it down at once. */
static bool runs(struct processor *processor, enum guest_mode mode)
{
    struct question q;
    struct kvm_regs regs;

    processor->modes = 1u << mode;
    do
        make_question(&q, processor);
    while (predict(&q, FIRST_PAGE_FIRST, EXPECTED).kind != WENT_THROUGH);
    if (run_guest(&q).kind == WENT_THROUGH)
        return true;
    call(vcpu, KVM_GET_REGS, &regs, "KVM_GET_REGS");
    return run->exit_reason != KVM_EXIT_SHUTDOWN || regs.rip != q.code;
}

static void find_modes(struct processor *processor)
{
    unsigned modes = 0;

    for (enum guest_mode mode = GUEST_FLAT; mode < GUEST_MODES; mode++) {
        if (runs(processor, mode))
            modes |= 1u << mode;
        else
            printf("  left out: guests with %s paging, which this KVM shuts down at once\n", mode_name(mode));
    }
    processor->modes = modes;
}

static bool parameter_is_on(const char *name)
{
    FILE *file = fopen(name, "r");
    int c = file != NULL ? getc(file) : EOF;

    if (file != NULL)
        fclose(file);
    return c == 'Y' || c == '1';
}

/* Which of its ways this KVM has to run a guest. */
static void find_kind(struct processor *processor)
{
    bool vmx = access("/sys/module/kvm_intel", F_OK) == 0, svm = access("/sys/module/kvm_amd", F_OK) == 0;

    processor->emulated = !vmx && !svm;
    if (processor->emulated)
        printf("  no hardware virtualization: ring 3 is the processor with shadow tables, ring 0 is KVM's emulator\n");
    else
        printf("  %s with %s paging\n", vmx ? "VMX" : "SVM",
               parameter_is_on(vmx ? "/sys/module/kvm_intel/parameters/ept" : "/sys/module/kvm_amd/parameters/npt")
                   ? "nested"
                   : "shadow");
}

int main(int argc, char **argv)
{
    struct processor processor = {.model = MODEL_KVM, .pdptes_loaded = true, .stop = {0xe6, PORT_STOP}};

    if (argc != 3) {
        fprintf(stderr, "usage: x86emu-differential-paging-kvm SEED WALKS\n");
        return 2;
    }
    if (!open_kvm())
        return 0;
    make_memory();
    processor.format.maxphyaddr = (uint8_t)leaf(0x80000008)->eax;
    processor.amd = memcmp(&leaf(0)->ebx, "Auth", 4) == 0;
    processor.page1gb = leaf(0x80000001)->edx & 1 << 26;
    processor.smep = leaf(7)->ebx & 1 << 7;
    processor.smap = leaf(7)->ebx & 1 << 20;
    processor.run = run_guest;
    find_kind(&processor);
    random_state = 1;
    find_modes(&processor);
    compare(&processor, strtoull(argv[1], NULL, 0), strtoull(argv[2], NULL, 0));
    return 0;
}
