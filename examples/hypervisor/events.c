/* SPDX-License-Identifier: BSD-2-Clause */
/* When an event may be taken (SDM Vol. 3, 6.9), and its way into the guest. */
#include "events.h"

#include "machine.h"

static bool interruptible(const struct x86emu_vcpu *vcpu)
{
    return vcpu->rflags & X86EMU_RFLAGS_IF &&
           !(vcpu->interruptibility & (X86EMU_BLOCKED_BY_STI | X86EMU_BLOCKED_BY_MOV_SS));
}

static bool takes_nmi(const struct x86emu_vcpu *vcpu)
{
    return !(vcpu->interruptibility & (X86EMU_BLOCKED_BY_NMI | X86EMU_BLOCKED_BY_MOV_SS));
}

struct x86emu_event events_exception(const struct x86emu *emu)
{
    const struct x86emu_exception *e = &emu->outcome.exception;

    return (struct x86emu_event){.kind = X86EMU_EVENT_EXCEPTION,
                                 .vector = e->vector,
                                 .error_code = e->error_code,
                                 .has_error_code = e->has_error_code,
                                 .cr2 = e->cr2,
                                 .dr6 = emu->outcome.dr6};
}

/* A single step or a breakpoint. */
struct x86emu_event events_trap(const struct x86emu *emu)
{
    return (struct x86emu_event){.kind = X86EMU_EVENT_EXCEPTION, .vector = X86EMU_VECTOR_DB, .dr6 = emu->outcome.dr6};
}

bool events_next(struct cpu *cpu, const struct x86emu_vcpu *vcpu, struct x86emu_event *event)
{
    if (cpu_has_nmi(cpu) && takes_nmi(vcpu)) {
        cpu->apic.nmi = false;
        *event = (struct x86emu_event){.kind = X86EMU_EVENT_NMI, .vector = 2};
    } else if (interruptible(vcpu) && cpu_has_interrupt(cpu)) {
        *event = (struct x86emu_event){.kind = X86EMU_EVENT_INTERRUPT, .vector = (uint8_t)cpu_acknowledge(cpu)};
    } else {
        return false;
    }
    cpu->halted = false;
    cpu->machine->statistics.interrupts++;
    return true;
}

const char *events_deliver(struct x86emu *emu, struct x86emu_vcpu *vcpu, struct x86emu_event event)
{
    for (;;) {
        enum x86emu_status status = x86emu_deliver(emu, vcpu, &event);

        if (status == X86EMU_RETIRED)
            return NULL;
        if (status != X86EMU_EXCEPTION)
            return status == X86EMU_SHUTDOWN ? "triple fault" : "an event can't be delivered";
        event = events_exception(emu);
    }
}
