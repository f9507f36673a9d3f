/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices in memory. KVM emulates accesses to where it has no memory, and asks for the device alone. Where it has memory
 * that can't be accessed it gives up instead (EFAULT) with the processor before the instruction: so the library does it.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum {
    PAGE = 4096,
    FIRST_SLOT = 8,
    COVERED = 3,
};

/* Memory without access over this process's virtual machine's devices; NULL: none. Held by the machine's lock. */
static void *cover;

/* The devices that are nowhere else: PCI's move, and KVM does them. */
static bool set_slots(struct kvm *kvm, uint64_t size)
{
    const struct mmio *mmio = &kvm->machine->mmio;
    const struct x86emu_region *const devices[COVERED] = {&mmio->apic, &mmio->ioapic, &mmio->hpet};

    for (unsigned i = 0; i < COVERED; i++) {
        struct kvm_userspace_memory_region region = {.slot = FIRST_SLOT + i,
                                                     .guest_phys_addr = devices[i]->gpa & ~(uint64_t)(PAGE - 1),
                                                     .memory_size = size,
                                                     .userspace_addr = (uint64_t)(uintptr_t)cover};

        if (ioctl(kvm->vm, KVM_SET_USER_MEMORY_REGION, &region) != 0)
            return kvm_failed("memory without access");
    }
    return true;
}

bool kvm_cover_devices(struct kvm *kvm)
{
    void *memory = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return kvm_failed("memory without access");
    cover = memory;
    return set_slots(kvm, PAGE);
}

/*
 * A KVM that runs ring 0 by its own emulator asks for the device there all the same. It must not have a slot then: a
 * locked instruction would read the device, find no memory to exchange, and give up with some registers changed.
 */
static bool uncover(struct kvm *kvm)
{
    bool done = true;

    machine_lock(kvm->machine); /* another processor may come to it as well */
    if (cover != NULL) {
        done = set_slots(kvm, 0);
        munmap(cover, PAGE);
        cover = NULL;
    }
    machine_unlock(kvm->machine);
    return done;
}

bool kvm_memory_fault(struct kvm *kvm)
{
    const struct x86emu_hint hint = kvm_fault_hint(kvm->run);

    kvm->cover_faults++;
    return kvm_finish(kvm, &hint);
}

bool kvm_mmio(struct kvm *kvm)
{
    struct kvm_run *run = kvm->run;

    if (mmio_is_rom(kvm->machine, run->mmio.phys_addr))
        return true; /* a write, which is lost */
    if (!uncover(kvm))
        return false;
    if (kvm->check != NULL && !kvm_check_before(kvm->check))
        return false;
    mmio_access(kvm->vcpu, run->mmio.phys_addr, run->mmio.len, run->mmio.data, run->mmio.is_write);
    return kvm->check == NULL || kvm_check_after(kvm->check);
}
