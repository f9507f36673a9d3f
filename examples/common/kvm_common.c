/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls of KVM that are the same whatever the machine: a vCPU made and closed, the address of a fault. */
#include "kvm_common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

bool kvm_failed(const char *what)
{
    printf("KVM: %s: %s\n", what, strerror(errno));
    return false;
}

int kvm_create_cpu(int system, int vm, unsigned number, struct kvm_run **run, size_t *size)
{
    int cpu = ioctl(vm, KVM_CREATE_VCPU, (unsigned long)number), bytes = ioctl(system, KVM_GET_VCPU_MMAP_SIZE, 0);
    void *memory = MAP_FAILED;

    if (cpu >= 0 && bytes > 0)
        memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    if (memory == MAP_FAILED) {
        kvm_failed("creating a vCPU");
        if (cpu >= 0)
            close(cpu);
        return -1;
    }
    *run = memory;
    *size = (size_t)bytes;
    return cpu;
}

void kvm_close_cpu(int cpu, struct kvm_run *run, size_t size)
{
    if (cpu < 0)
        return;
    munmap(run, size);
    close(cpu);
}

struct x86emu_hint kvm_fault_hint(const struct kvm_run *run)
{
    const uint64_t *fault = (const uint64_t *)(const void *)&run->hw; /* flags, gpa, size */
    struct x86emu_hint hint = {.flags = 0};

    if (run->exit_reason == KVM_EXIT_MEMORY_FAULT) {
        hint.gpa = fault[1];
        hint.flags = X86EMU_HINT_GPA_PAGE;
    }
    return hint;
}
