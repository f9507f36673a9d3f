/* SPDX-License-Identifier: BSD-2-Clause */
/* What this KVM does by itself, tried with guests of two instructions. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "kvm.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum {
    TRIAL_SIZE = 0x8000,
    TRIAL_ENTRY = 0x5000,   /* of SYSCALL: supervisor page */
    TRIAL_PROGRAM = 0x6000, /* user page */
    TRIAL_PORT = 0x10,
};

/* Page tables; OUT at the entry; POPCNT before it; SYSCALL in the program. */
static void write_trial(uint8_t *memory)
{
    static const uint64_t entries[][2] = {{0x1000, 0x2007}, {0x2000, 0x3007}, {0x3000, 0x4007},
                                          {0x4028, 0x5003}, {0x4030, 0x6007}, {0x4038, 0x7003}};
    static const uint8_t popcnt[] = {0xf3, 0x0f, 0xb8, 0xc0}, out[] = {0xe6, TRIAL_PORT, 0xf4},
                         syscall[] = {0x0f, 0x05};

    for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        memcpy(memory + entries[i][0], &entries[i][1], 8);
    memcpy(memory + TRIAL_ENTRY, out, sizeof(out));
    memcpy(memory + TRIAL_ENTRY + 0x100, popcnt, sizeof(popcnt));
    memcpy(memory + TRIAL_ENTRY + 0x100 + sizeof(popcnt), out, sizeof(out));
    memcpy(memory + TRIAL_PROGRAM, syscall, sizeof(syscall));
}

static bool set_trial_state(int cpu, uint64_t rip)
{
    const bool program = rip == TRIAL_PROGRAM;
    const struct kvm_segment code = {.selector = program ? 0x33 : 0x10,
                                     .type = 11,
                                     .dpl = program ? 3 : 0,
                                     .s = 1,
                                     .present = 1,
                                     .l = 1,
                                     .g = 1,
                                     .limit = ~0u};
    const struct kvm_segment data = {.selector = program ? 0x2b : 0x18,
                                     .type = 3,
                                     .dpl = code.dpl,
                                     .s = 1,
                                     .present = 1,
                                     .db = 1,
                                     .g = 1,
                                     .limit = ~0u};
    const struct kvm_regs regs = {.rip = rip, .rflags = 2};
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

static bool run_trial(struct kvm *trial, uint8_t *memory, uint64_t rip)
{
    const struct kvm_userspace_memory_region region = {.memory_size = TRIAL_SIZE,
                                                       .userspace_addr = (uint64_t)(uintptr_t)memory};

    write_trial(memory);
    return kvm_open_vm(trial) && kvm_open_cpu(trial, 0) && ioctl(trial->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0 &&
           kvm_set_cpuid(trial) && set_trial_state(trial->cpu, rip) && ioctl(trial->cpu, KVM_RUN, 0) == 0;
}

/* Runs from rip on to an exit; false: it couldn't be tried. *at is where it ended. */
static bool try_from(const struct kvm *kvm, uint64_t rip, uint32_t *reason, uint64_t *at)
{
    struct kvm trial = {.system = kvm->system, .vm = -1, .cpu = -1, .machine = kvm->machine, .vcpu = kvm->vcpu};
    uint8_t *memory = mmap(NULL, TRIAL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct kvm_regs regs;
    bool tried = false;

    if (memory == MAP_FAILED)
        return false;
    if (run_trial(&trial, memory, rip) && ioctl(trial.cpu, KVM_GET_REGS, &regs) == 0) {
        *reason = trial.run->exit_reason;
        *at = regs.rip;
        tried = true;
    }
    trial.system = -1;
    kvm_close(&trial);
    munmap(memory, TRIAL_SIZE);
    return tried;
}

bool kvm_halves_syscall(const struct kvm *kvm)
{
    uint32_t reason;
    uint64_t at;

    return try_from(kvm, TRIAL_PROGRAM, &reason, &at) && reason != KVM_EXIT_IO && at == TRIAL_ENTRY;
}

bool kvm_emulates_kernels(const struct kvm *kvm)
{
    uint32_t reason;
    uint64_t at;

    return try_from(kvm, TRIAL_ENTRY + 0x100, &reason, &at) && reason == KVM_EXIT_INTERNAL_ERROR;
}
