/* SPDX-License-Identifier: BSD-2-Clause */
/* What the library asks while it works on an instruction, answered by the machine. */
#include "machine.h"

#include <string.h>

static void answer_ports(struct machine *machine, struct x86emu_request *r)
{
    for (unsigned n = 0; n < r->count; n++) {
        uint8_t *element = r->data.bytes + (size_t)n * r->size;
        uint32_t value = 0;

        if (r->kind == X86EMU_REQUEST_PORT_IN) {
            value = machine_port_in(machine, r->port, r->size);
            memcpy(element, &value, r->size);
        } else {
            memcpy(&value, element, r->size);
            machine_port_out(machine, r->port, r->size, value);
        }
    }
}

static void answer_msr(struct cpu *cpu, struct x86emu_request *r)
{
    bool known;

    machine_lock(cpu->machine);
    known = r->kind == X86EMU_REQUEST_MSR_READ ? msr_read(cpu, r->index, &r->data.value)
                                               : msr_write(cpu, r->index, r->data.value);
    machine_unlock(cpu->machine);
    if (known)
        return;
    r->answer = X86EMU_ANSWER_FAULT;
    r->fault = (struct x86emu_exception){.vector = X86EMU_VECTOR_GP, .has_error_code = true};
}

void machine_answer(void *opaque, struct x86emu_vcpu *vcpu, struct x86emu_request *r)
{
    struct cpu *cpu = opaque;
    struct machine *machine = cpu->machine;
    uint32_t cpuid[4];

    r->answer = X86EMU_ANSWER_OK;
    switch (r->kind) {
    case X86EMU_REQUEST_PORT_IN:
    case X86EMU_REQUEST_PORT_OUT:
        answer_ports(machine, r);
        break;
    case X86EMU_REQUEST_MSR_READ:
    case X86EMU_REQUEST_MSR_WRITE:
        answer_msr(cpu, r);
        break;
    case X86EMU_REQUEST_HALT:
        cpu->halted = true;
        break;
    case X86EMU_REQUEST_CPUID:
        cpuid_answer(cpu, r->index, r->subindex, cpuid);
        memcpy(r->data.bytes, cpuid, sizeof(cpuid));
        break;
    case X86EMU_REQUEST_TIME:
        memset(r->data.bytes, 0, 12);
        r->data.value = machine_tsc(machine);
        memcpy(r->data.bytes + 8, &cpu->tsc_aux, 4);
        break;
    case X86EMU_REQUEST_RANDOM:
        memset(r->data.bytes, 0, 9);
        break;
    case X86EMU_REQUEST_READ:
    case X86EMU_REQUEST_WRITE:
    case X86EMU_REQUEST_RMW:
        if (atomic_load_explicit(&machine->defers, memory_order_relaxed) || !mmio_answer(cpu, vcpu, r))
            r->answer = X86EMU_ANSWER_NONE;
        break;
    case X86EMU_REQUEST_ENTRY_UPDATE: /* of tables in ROM: accessed and dirty flags are lost there */
        if (!mmio_is_rom(machine, r->gpa))
            r->answer = X86EMU_ANSWER_NONE;
        break;
    default: /* the regions answer the rest */
        r->answer = X86EMU_ANSWER_NONE;
        break;
    }
}

enum x86emu_status machine_complete(struct cpu *cpu, struct x86emu *emu, struct x86emu_vcpu *vcpu)
{
    enum x86emu_status status = X86EMU_REQUEST;

    while (status == X86EMU_REQUEST) {
        machine_answer(cpu, vcpu, &emu->request);
        if (emu->request.answer == X86EMU_ANSWER_NONE)
            emu->request.answer = X86EMU_ANSWER_UNMAPPED;
        status = x86emu_complete(emu, vcpu);
    }
    return status;
}
