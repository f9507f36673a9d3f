/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest on /dev/kvm: its device pages are host memory without access, and the library finishes what faults there. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "backend.h"
#include "kvm_common.h"
#include "kvm_convert.h"
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct kvm {
    int system, vm, cpu;
    struct kvm_run *run;
    size_t run_size;
    void *nothing; /* the device pages: reserved, never accessible */
    bool has_slot; /* the device pages have a memory slot, over nothing */
    struct machine *machine;
    struct kvm_exits *exits;
    struct x86emu emu;
};

/* --- setting up --------------------------------------------------------------------------------------------------- */

static bool map_memory(struct kvm *kvm, unsigned slot, uint64_t gpa, uint64_t size, const void *memory)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot, .guest_phys_addr = gpa, .memory_size = size, .userspace_addr = (uint64_t)(uintptr_t)memory};

    return ioctl(kvm->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0 || kvm_failed("memory");
}

static bool set_cpuid(struct kvm *kvm)
{
    const unsigned room = 256;
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + room * sizeof(cpuid->entries[0]));
    bool ok;

    if (cpuid == NULL)
        return kvm_failed("CPUID");
    cpuid->nent = room;
    ok = ioctl(kvm->system, KVM_GET_SUPPORTED_CPUID, cpuid) == 0 && ioctl(kvm->cpu, KVM_SET_CPUID2, cpuid) == 0;
    free(cpuid);
    return ok || kvm_failed("CPUID");
}

static bool set_initial_state(struct kvm *kvm, unsigned ring)
{
    struct x86emu_vcpu vcpu;
    struct kvm_sregs sregs;
    struct kvm_regs regs;

    machine_initial_vcpu(&vcpu, ring);
    regs = general_to_kvm(&vcpu);
    if (ioctl(kvm->cpu, KVM_GET_SREGS, &sregs) != 0)
        return kvm_failed("reading registers");
    for (unsigned name = 0; name < 6; name++)
        *kvm_segment_in(&sregs, name) = segment_to_kvm(&vcpu.segment[name]);
    sregs.cr0 = vcpu.cr0;
    sregs.cr3 = vcpu.cr3;
    sregs.cr4 = vcpu.cr4;
    sregs.efer = vcpu.efer;
    return (ioctl(kvm->cpu, KVM_SET_SREGS, &sregs) == 0 && ioctl(kvm->cpu, KVM_SET_REGS, &regs) == 0) ||
           kvm_failed("writing registers");
}

static bool open_kvm(struct kvm *kvm)
{
    kvm->system = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm->system < 0)
        return kvm_failed("/dev/kvm");
    kvm->vm = ioctl(kvm->system, KVM_CREATE_VM, 0);
    if (kvm->vm < 0)
        return kvm_failed("creating a virtual machine");
    kvm->cpu = kvm_create_cpu(kvm->system, kvm->vm, 0, &kvm->run, &kvm->run_size);
    return kvm->cpu >= 0;
}

static bool set_up(struct kvm *kvm, unsigned ring)
{
    if (!open_kvm(kvm))
        return false;
    kvm->nothing = mmap(NULL, DEVICES_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (kvm->nothing == MAP_FAILED) {
        kvm->nothing = NULL;
        return kvm_failed("device pages");
    }
    kvm->has_slot = map_memory(kvm, 1, DEVICES_GPA, DEVICES_SIZE, kvm->nothing);
    return kvm->has_slot && map_memory(kvm, 0, 0, RAM_SIZE, kvm->machine->ram) && set_cpuid(kvm) &&
           set_initial_state(kvm, ring);
}

static void tear_down(struct kvm *kvm)
{
    kvm_close_cpu(kvm->cpu, kvm->run, kvm->run_size);
    if (kvm->vm >= 0)
        close(kvm->vm);
    if (kvm->system >= 0)
        close(kvm->system);
    if (kvm->nothing != NULL)
        munmap(kvm->nothing, DEVICES_SIZE);
}

/* --- the vCPU's state, by groups ---------------------------------------------------------------------------------- */

static bool load_general(const struct kvm *kvm, struct x86emu_vcpu *vcpu)
{
    struct kvm_regs regs;

    if (ioctl(kvm->cpu, KVM_GET_REGS, &regs) != 0)
        return kvm_failed("reading registers");
    general_from_kvm(vcpu, &regs);
    vcpu->loaded |= X86EMU_STATE_GPR | X86EMU_STATE_RIP;
    return true;
}

static bool load_special(const struct kvm *kvm, struct x86emu_vcpu *vcpu)
{
    struct kvm_sregs sregs;

    if (ioctl(kvm->cpu, KVM_GET_SREGS, &sregs) != 0)
        return kvm_failed("reading registers");
    special_from_kvm(vcpu, &sregs);
    vcpu->loaded |= X86EMU_STATE_CS | X86EMU_STATE_SS | X86EMU_STATE_DATA | X86EMU_STATE_FSGS | X86EMU_STATE_CONTROL;
    return true;
}

/* Loads what the library asks for, and what comes with it. */
static bool load(void *opaque, struct x86emu_vcpu *vcpu, uint32_t groups)
{
    const uint32_t general = X86EMU_STATE_GPR | X86EMU_STATE_RIP;
    const struct kvm *kvm = opaque;

    if (groups & general && !load_general(kvm, vcpu))
        return false;
    return !(groups & ~general) || load_special(kvm, vcpu);
}

/* The demo's instructions change general registers, RIP and flags, nothing else. */
static bool store(const struct kvm *kvm, const struct x86emu_vcpu *vcpu)
{
    const struct kvm_regs regs = general_to_kvm(vcpu);

    return ioctl(kvm->cpu, KVM_SET_REGS, &regs) == 0 || kvm_failed("writing registers");
}

/* --- exits -------------------------------------------------------------------------------------------------------- */

/* The library finishes the instruction that KVM stopped at. */
static bool finish(struct kvm *kvm)
{
    struct x86emu_vcpu vcpu = {.loaded = 0};

    return finish_instruction(kvm->machine, &kvm->emu, &vcpu, load, kvm) && store(kvm, &vcpu);
}

static bool memory_fault(struct kvm *kvm)
{
    const struct x86emu_hint hint = kvm_fault_hint(kvm->run);

    kvm->exits->memory_faults++;
    x86emu_hint(&kvm->emu, &hint);
    return finish(kvm);
}

/*
 * A KVM that runs ring 0 by its own emulator gets no fault from the empty slot and asks for the device instead. It must
 * not have a slot then: a locked instruction would read the device, find no memory to exchange, and give up with some
 * registers already changed.
 */
static bool remove_slot(struct kvm *kvm)
{
    if (!kvm->has_slot)
        return true;
    kvm->has_slot = false;
    return map_memory(kvm, 1, DEVICES_GPA, 0, kvm->nothing);
}

/* KVM has emulated the instruction and only wants the device. */
static bool mmio(struct kvm *kvm)
{
    uint64_t value = 0;

    kvm->exits->mmio++;
    if (kvm->run->mmio.len > 8 || !remove_slot(kvm))
        return false;
    if (kvm->run->mmio.is_write) {
        memcpy(&value, kvm->run->mmio.data, kvm->run->mmio.len);
        machine_write(kvm->machine, kvm->run->mmio.phys_addr, kvm->run->mmio.len, value);
    } else {
        value = machine_read(kvm->machine, kvm->run->mmio.phys_addr, kvm->run->mmio.len);
        memcpy(kvm->run->mmio.data, &value, kvm->run->mmio.len);
    }
    return true;
}

static bool handle_exit(struct kvm *kvm)
{
    switch (kvm->run->exit_reason) {
    case KVM_EXIT_MMIO:
        return mmio(kvm);
    case KVM_EXIT_INTERNAL_ERROR:
        kvm->exits->failures++;
        return finish(kvm);
    default:
        printf("KVM: unexpected exit %u\n", kvm->run->exit_reason);
        return false;
    }
}

static enum run_end run(struct kvm *kvm)
{
    while (!kvm->machine->devices.exited) {
        bool ok;

        kvm->run->exit_reason = 0;
        if (ioctl(kvm->cpu, KVM_RUN, 0) == 0)
            ok = handle_exit(kvm);
        else if (errno == EFAULT)
            ok = memory_fault(kvm);
        else
            ok = errno == EINTR || kvm_failed("running");
        if (!ok)
            return RUN_FAILED;
    }
    return RUN_EXITED;
}

enum run_end run_kvm(struct machine *machine, unsigned ring, struct kvm_exits *exits)
{
    struct kvm kvm = {.system = -1, .vm = -1, .cpu = -1, .machine = machine, .exits = exits};
    enum run_end end = RUN_UNAVAILABLE;

    machine_init_emulator(machine, &kvm.emu);
    if (set_up(&kvm, ring))
        end = run(&kvm);
    tear_down(&kvm);
    return end;
}
