/* SPDX-License-Identifier: BSD-2-Clause */
/* SYSCALL, SYSRET, SYSENTER, SYSEXIT (SDM Vol. 2; APM Vol. 2, 6.1): flat segments made up from model-specific registers. */
#include "descriptor.h"
#include "generated/functions.h"

enum {
    CODE_ATTRIBUTES = 0xc09b, /* 4 GiB, present, execute/read, accessed, DPL 0, 32-bit */
    DATA_ATTRIBUTES = 0xc093,
    CODE_64 = 0xa09b,
};

static void stage_flat(struct exec *x, unsigned name, unsigned selector, uint32_t attributes, unsigned dpl)
{
    const struct x86emu_segment segment = {
        .limit = UINT32_MAX, .selector = (uint16_t)selector, .attributes = attributes | dpl << 5};

    x86emu_segment_stage(x, name, &segment);
}

/* #UD, but for processors that have the instruction in this mode: Intel's have SYSCALL in 64-bit mode alone. */
static bool syscall_enabled(struct exec *x)
{
    bool mode = x->mode == X86EMU_MODE_64 || (is_amd(x) && x->vcpu->cr0 & X86EMU_CR0_PE);

    if (mode && x->vcpu->efer & X86EMU_EFER_SCE)
        return need(x, X86EMU_STATE_SYSCALL);
    x86emu_raise(x, X86EMU_VECTOR_UD);
    return false;
}

static void syscall_legacy(struct exec *x)
{
    x86emu_gpr_stage(x, X86EMU_RCX, 4, x->rip);
    x->rip = x->vcpu->star & 0xffffffff;
    stage_rflags(x, 0, X86EMU_RFLAGS_IF | X86EMU_RFLAGS_VM | X86EMU_RFLAGS_RF);
}

static void syscall_long(struct exec *x)
{
    x86emu_gpr_stage(x, X86EMU_RCX, 8, x->rip);
    x86emu_gpr_stage(x, 11, 8, x->vcpu->rflags & ~(uint64_t)X86EMU_RFLAGS_RF);
    x->rip = x->mode == X86EMU_MODE_64 ? x->vcpu->lstar : x->vcpu->cstar;
    stage_rflags(x, x->vcpu->rflags & ~x->vcpu->fmask & ~(uint64_t)X86EMU_RFLAGS_RF, ~UINT64_C(0));
}

void x86emu_exec_syscall(struct exec *x)
{
    unsigned selector;

    if (!syscall_enabled(x))
        return;
    x->late_step = true; /* so that FMASK can keep single steps out of the kernel */
    selector = (unsigned)(x->vcpu->star >> 32) & 0xfffc;
    stage_flat(x, X86EMU_CS, selector, is_long_mode(x) ? CODE_64 : CODE_ATTRIBUTES, 0);
    stage_flat(x, X86EMU_SS, selector + 8, DATA_ATTRIBUTES, 0);
    if (is_long_mode(x))
        syscall_long(x);
    else
        syscall_legacy(x);
}

/* Intel's processors check RCX at CPL 0; AMD's let the fault happen at the target. */
void x86emu_exec_sysret(struct exec *x)
{
    bool to_64 = x->insn->rex & X86EMU_REX_W;
    uint64_t target = gpr(x, X86EMU_RCX);
    unsigned selector;

    if (!syscall_enabled(x))
        return;
    if (x->cpl != 0 || (to_64 && !is_amd(x) && !x86emu_is_canonical(target, x->vcpu->cr4))) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    x->late_step = true; /* as if SYSCALL had just ended */
    selector = (unsigned)(x->vcpu->star >> 48) & 0xffff;
    stage_flat(x, X86EMU_CS, (selector + (to_64 ? 16 : 0)) | 3, to_64 ? CODE_64 : CODE_ATTRIBUTES, 3);
    stage_flat(x, X86EMU_SS, (selector + 8) | 3, DATA_ATTRIBUTES, 3);
    x->rip = to_64 ? target : target & 0xffffffff;
    if (is_long_mode(x))
        stage_rflags(x, gpr(x, 11) & 0x3c7fd7, ~UINT64_C(0));
    else
        stage_rflags(x, X86EMU_RFLAGS_IF, X86EMU_RFLAGS_IF);
}

/* AMD's processors have them outside long mode alone (APM Vol. 3, SYSENTER). */
static bool sysenter_enabled(struct exec *x)
{
    if (is_amd(x) && is_long_mode(x)) {
        x86emu_raise(x, X86EMU_VECTOR_UD);
        return false;
    }
    if (!need(x, X86EMU_STATE_SYSCALL))
        return false;
    if (!(x->vcpu->cr0 & X86EMU_CR0_PE) || (x->vcpu->sysenter_cs & 0xfffc) == 0)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return !x->stopped;
}

void x86emu_exec_sysenter(struct exec *x)
{
    uint64_t mask = is_long_mode(x) ? ~UINT64_C(0) : 0xffffffff;
    unsigned selector;

    if (!sysenter_enabled(x))
        return;
    selector = (unsigned)x->vcpu->sysenter_cs & 0xfffc;
    stage_flat(x, X86EMU_CS, selector, is_long_mode(x) ? CODE_64 : CODE_ATTRIBUTES, 0);
    stage_flat(x, X86EMU_SS, selector + 8, DATA_ATTRIBUTES, 0);
    x86emu_gpr_stage(x, X86EMU_RSP, 8, x->vcpu->sysenter_esp & mask);
    x->rip = x->vcpu->sysenter_eip & mask;
    stage_rflags(x, 0, X86EMU_RFLAGS_VM | X86EMU_RFLAGS_IF | X86EMU_RFLAGS_RF);
}

void x86emu_exec_sysexit(struct exec *x)
{
    bool to_64 = x->insn->rex & X86EMU_REX_W;
    uint64_t rip = gpr(x, X86EMU_RDX), rsp = gpr(x, X86EMU_RCX);
    unsigned selector;

    if (!sysenter_enabled(x))
        return;
    if (to_64 && (!x86emu_is_canonical(rip, x->vcpu->cr4) || !x86emu_is_canonical(rsp, x->vcpu->cr4))) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    selector = ((unsigned)x->vcpu->sysenter_cs & 0xfffc) + (to_64 ? 32 : 16);
    stage_flat(x, X86EMU_CS, selector | 3, to_64 ? CODE_64 : CODE_ATTRIBUTES, 3);
    stage_flat(x, X86EMU_SS, (selector + 8) | 3, DATA_ATTRIBUTES, 3);
    x86emu_gpr_stage(x, X86EMU_RSP, 8, to_64 ? rsp : rsp & 0xffffffff);
    x->rip = to_64 ? rip : rip & 0xffffffff;
}
