/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x87 and SSE state in the XSAVE area of KVM (SDM Vol. 1, 13.4). KVM_GET_FPU won't do: it leaves MXCSR out, and tells old
 * values of what the processor had in its initial state.
 */
#include "kvm.h"

#include <string.h>
#include <sys/ioctl.h>

enum {
    LEGACY = 512, /* bytes of the area as FXSAVE has it; the XSAVE header follows, with XSTATE_BV */
    X87_AND_SSE = 3,
};

/* Other components stay as they are: programs may use more than the guest was told of. */
union area {
    struct kvm_xsave kvm;
    struct {
        uint16_t control, status;
        uint8_t full, reserved; /* a bit for each physical register that is not empty */
        uint16_t opcode;
        uint64_t ip, dp;
        uint32_t mxcsr, mxcsr_mask;
        uint8_t st[8][16]; /* by distance from the top */
        uint8_t xmm[16][16];
    } legacy;
    uint64_t words[sizeof(struct kvm_xsave) / 8];
};

static bool read_area(struct kvm *kvm, union area *area)
{
    return ioctl(kvm->cpu, KVM_GET_XSAVE, &area->kvm) == 0 || kvm_failed("reading x87 and SSE registers");
}

bool kvm_load_vectors(struct kvm *kvm, struct x86emu_vcpu *vcpu)
{
    union area area;
    unsigned top;

    if (!read_area(kvm, &area))
        return false;
    vcpu->x87.control = area.legacy.control;
    vcpu->x87.status = area.legacy.status;
    vcpu->x87.opcode = area.legacy.opcode;
    vcpu->x87.ip = area.legacy.ip;
    vcpu->x87.dp = area.legacy.dp;
    vcpu->x87.tag = 0;
    top = area.legacy.status >> 11 & 7;
    for (unsigned n = 0; n < 8; n++) {
        vcpu->x87.tag |= (uint16_t)((area.legacy.full >> n & 1 ? 0u : 3u) << 2 * n);
        memcpy(&vcpu->x87.st[(top + n) & 7].mantissa, area.legacy.st[n], 8);
        memcpy(&vcpu->x87.st[(top + n) & 7].exponent, area.legacy.st[n] + 8, 2);
    }
    for (unsigned n = 0; n < 16; n++)
        memcpy(vcpu->zmm[n].u8, area.legacy.xmm[n], 16);
    vcpu->mxcsr = area.legacy.mxcsr;
    return true;
}

bool kvm_store_vectors(struct kvm *kvm, const struct x86emu_vcpu *vcpu)
{
    unsigned top = vcpu->x87.status >> 11 & 7;
    union area area;

    if (!read_area(kvm, &area))
        return false;
    area.legacy.control = vcpu->x87.control;
    area.legacy.status = vcpu->x87.status;
    area.legacy.opcode = vcpu->x87.opcode;
    area.legacy.ip = vcpu->x87.ip;
    area.legacy.dp = vcpu->x87.dp;
    area.legacy.full = 0;
    for (unsigned n = 0; n < 8; n++) {
        area.legacy.full |= (uint8_t)(((vcpu->x87.tag >> 2 * n & 3) != 3) << n);
        memcpy(area.legacy.st[n], &vcpu->x87.st[(top + n) & 7].mantissa, 8);
        memcpy(area.legacy.st[n] + 8, &vcpu->x87.st[(top + n) & 7].exponent, 2);
    }
    for (unsigned n = 0; n < 16; n++)
        memcpy(area.legacy.xmm[n], vcpu->zmm[n].u8, 16);
    area.legacy.mxcsr = vcpu->mxcsr;
    area.words[LEGACY / 8] |= X87_AND_SSE;
    return ioctl(kvm->cpu, KVM_SET_XSAVE, &area.kvm) == 0 || kvm_failed("writing x87 and SSE registers");
}
