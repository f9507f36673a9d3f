/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers in KVM's structs and in the library's. */
#ifndef EXAMPLES_KVM_CONVERT_H
#define EXAMPLES_KVM_CONVERT_H

#include <linux/kvm.h>
#include <x86emu/vcpu.h>

struct x86emu_segment segment_from_kvm(const struct kvm_segment *segment);
struct kvm_segment segment_to_kvm(const struct x86emu_segment *segment);

/* KVM's segment of a name, enum x86emu_segment_name. */
struct kvm_segment *kvm_segment_in(struct kvm_sregs *sregs, unsigned name);

/* Segments, tables, control registers and EFER. */
void special_from_kvm(struct x86emu_vcpu *vcpu, struct kvm_sregs *sregs);

/* General registers, RIP and RFLAGS. */
void general_from_kvm(struct x86emu_vcpu *vcpu, const struct kvm_regs *regs);
struct kvm_regs general_to_kvm(const struct x86emu_vcpu *vcpu);

#endif
