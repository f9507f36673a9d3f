/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Some KVM without hardware virtualization does half of a SYSCALL of a 64-bit program: RIP, RCX, R11 and RFLAGS are as
 * they should be, CS and SS are still ring 3's. The first fetch then ends in the guest's page-fault handler. A breakpoint
 * there shows every page fault, and the other half of those that are no page faults is done here.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "kvm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- what this KVM does, tried with a guest of three instructions --------------------------------------------------- */

enum {
    TRIAL_SIZE = 0x8000,
    TRIAL_ENTRY = 0x5000,   /* of SYSCALL: supervisor page */
    TRIAL_PROGRAM = 0x6000, /* user page */
    TRIAL_PORT = 0x10,
};

/* Page tables, OUT at the entry, SYSCALL in the program. */
static void write_trial(uint8_t *memory)
{
    static const uint64_t entries[][2] = {{0x1000, 0x2007}, {0x2000, 0x3007}, {0x3000, 0x4007},
                                          {0x4028, 0x5003}, {0x4030, 0x6007}, {0x4038, 0x7003}};
    static const uint8_t out[] = {0xe6, TRIAL_PORT, 0xf4}, syscall[] = {0x0f, 0x05, 0xf4};

    for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        memcpy(memory + entries[i][0], &entries[i][1], 8);
    memcpy(memory + TRIAL_ENTRY, out, sizeof(out));
    memcpy(memory + TRIAL_PROGRAM, syscall, sizeof(syscall));
}

static bool set_trial_state(int cpu)
{
    const struct kvm_segment code = {
        .selector = 0x33, .type = 11, .dpl = 3, .s = 1, .present = 1, .l = 1, .g = 1, .limit = ~0u};
    const struct kvm_segment data = {
        .selector = 0x2b, .type = 3, .dpl = 3, .s = 1, .present = 1, .db = 1, .g = 1, .limit = ~0u};
    const struct kvm_regs regs = {.rip = TRIAL_PROGRAM, .rflags = 2};
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entries[2];
    } msrs = {.head = {.nmsrs = 2},
              .entries = {{.index = 0xc0000081, .data = UINT64_C(0x0023001000000000)},
                          {.index = 0xc0000082, .data = TRIAL_ENTRY}}};
    struct kvm_sregs s;

    if (ioctl(cpu, KVM_GET_SREGS, &s) != 0)
        return false;
    s.cs = code;
    s.ss = s.ds = s.es = data;
    s.cr0 = X86EMU_CR0_PE | X86EMU_CR0_ET | X86EMU_CR0_NE | X86EMU_CR0_PG;
    s.cr3 = 0x1000;
    s.cr4 = X86EMU_CR4_PAE;
    s.efer = X86EMU_EFER_SCE | X86EMU_EFER_LME | X86EMU_EFER_LMA;
    return ioctl(cpu, KVM_SET_SREGS, &s) == 0 && ioctl(cpu, KVM_SET_MSRS, &msrs) == 2 &&
           ioctl(cpu, KVM_SET_REGS, &regs) == 0;
}

static bool run_trial(struct kvm *trial, uint8_t *memory)
{
    const struct kvm_userspace_memory_region region = {.memory_size = TRIAL_SIZE,
                                                       .userspace_addr = (uint64_t)(uintptr_t)memory};

    write_trial(memory);
    return kvm_open_vm(trial) && kvm_open_cpu(trial, 0) && ioctl(trial->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0 &&
           kvm_set_cpuid(trial) && set_trial_state(trial->cpu) && ioctl(trial->cpu, KVM_RUN, 0) == 0;
}

bool kvm_halves_syscall(struct kvm *kvm)
{
    struct kvm trial = {.system = kvm->system, .vm = -1, .cpu = -1, .machine = kvm->machine, .vcpu = kvm->vcpu};
    uint8_t *memory = mmap(NULL, TRIAL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct kvm_regs regs;
    bool halves = false;

    if (memory == MAP_FAILED)
        return false;
    if (run_trial(&trial, memory) && trial.run->exit_reason != KVM_EXIT_IO &&
        ioctl(trial.cpu, KVM_GET_REGS, &regs) == 0)
        halves = regs.rip == TRIAL_ENTRY;
    trial.system = -1;
    kvm_close(&trial);
    munmap(memory, TRIAL_SIZE);
    return halves;
}

/* --- the breakpoint ------------------------------------------------------------------------------------------------- */

/* Where the guest's IDT leads page faults; 0: nowhere yet. */
static uint64_t page_fault_handler(struct kvm *kvm, const struct x86emu_vcpu *vcpu)
{
    uint64_t gate[2];

    if (!(vcpu->efer & X86EMU_EFER_LMA) || vcpu->idtr.limit < 16 * X86EMU_VECTOR_PF + 15 ||
        !machine_read_linear(kvm->machine, vcpu, vcpu->idtr.base + 16 * X86EMU_VECTOR_PF, gate, sizeof(gate)))
        return 0;
    return (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000) | gate[1] << 32;
}

bool kvm_watch_syscall(struct kvm *kvm, const struct x86emu_vcpu *vcpu)
{
    struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP};
    uint64_t handler;

    if (!kvm->halves_syscall)
        return true;
    handler = page_fault_handler(kvm, vcpu);
    if (handler == 0 || handler == kvm->watched)
        return true;
    kvm->watched = handler;
    debug.arch.debugreg[0] = handler;
    debug.arch.debugreg[7] = 0x402; /* G0: execution, SDM Vol. 3, 17.2.4 */
    return ioctl(kvm->cpu, KVM_SET_GUEST_DEBUG, &debug) == 0 || kvm_failed("breakpoint");
}

/* --- the other half ------------------------------------------------------------------------------------------------- */

/* What the processor pushed for a page fault (SDM Vol. 3, figure 6-9). */
struct frame {
    uint64_t error_code, rip, cs, rflags, rsp, ss;
};

static struct x86emu_segment flat(uint64_t selector, uint32_t attributes)
{
    return (struct x86emu_segment){.selector = (uint16_t)selector, .limit = ~0u, .attributes = attributes};
}

/* SYSCALL (SDM Vol. 2B): CS and SS from IA32_STAR; the rest has happened. */
bool kvm_repair_syscall(struct kvm *kvm, struct x86emu_vcpu *vcpu)
{
    const uint64_t selector = vcpu->star >> 32 & 0xfffc;
    struct frame frame;

    if (vcpu->rip != kvm->watched || vcpu->cr2 != vcpu->lstar ||
        !machine_read_linear(kvm->machine, vcpu, vcpu->gpr[X86EMU_RSP], &frame, sizeof(frame)) ||
        frame.rip != vcpu->lstar || (frame.cs & 3) != 3)
        return false;
    /* A program that only jumped there still has IF set, which IA32_FMASK would have cleared. */
    frame.rflags &= ~(uint64_t)X86EMU_RFLAGS_RF;
    if (frame.rflags & vcpu->fmask)
        return false;
    vcpu->rip = vcpu->lstar;
    vcpu->rflags = frame.rflags;
    vcpu->gpr[X86EMU_RSP] = frame.rsp;
    vcpu->segment[X86EMU_CS] = flat(selector, X86EMU_SEGMENT_L | 0x8000 | 0x9b);
    vcpu->segment[X86EMU_SS] = flat(selector + 8, X86EMU_SEGMENT_DB | 0x8000 | 0x93);
    vcpu->changed |= X86EMU_STATE_GPR | X86EMU_STATE_RIP | X86EMU_STATE_CS | X86EMU_STATE_SS;
    kvm->repaired++;
    return true;
}
