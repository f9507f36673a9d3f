/* SPDX-License-Identifier: BSD-2-Clause */
/* What the examples ask of KVM in the same way. */
#ifndef EXAMPLES_KVM_COMMON_H
#define EXAMPLES_KVM_COMMON_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <x86emu/emu.h>

/* Newer than some systems' headers (Linux 6.8). */
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif

/* Prints what failed, with errno; false. */
bool kvm_failed(const char *what);

/* Creates a vCPU; its exits are told in *run, of *size bytes. The descriptor, or -1: said why. */
int kvm_create_cpu(int system, int vm, unsigned number, struct kvm_run **run, size_t *size);
void kvm_close_cpu(int cpu, struct kvm_run *run, size_t size);

/* What the kernel tells of an access to memory that may not be accessed: its page, or nothing. */
struct x86emu_hint kvm_fault_hint(const struct kvm_run *run);

#endif
