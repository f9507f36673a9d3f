/* SPDX-License-Identifier: BSD-2-Clause */
/* Port input and output, and HLT: what leaves the processor without being memory. */
#include "flags.h"
#include "generated/functions.h"
#include "memory.h"

/* IOPL decides; below it the I/O permission bitmap of the TSS does (SDM Vol. 1, 19.5). */
static bool port_allowed(struct exec *x)
{
    unsigned iopl = (unsigned)(x->vcpu->rflags >> 12 & 3);

    if (!(x->vcpu->cr0 & X86EMU_CR0_PE) || (is_protected(x) && x->cpl <= iopl))
        return true;
    x86emu_not_emulated(x, X86EMU_REASON_NO_FUNCTION);
    return false;
}

static bool ask_port_in(struct exec *x, uint16_t port, unsigned size)
{
    x86emu_ask(x, X86EMU_REQUEST_PORT_IN, 0, size, 1)->port = port;
    return x86emu_present(x);
}

void x86emu_exec_in(struct exec *x)
{
    uint16_t port = (uint16_t)read_operand(x, 1);
    unsigned size = operand_size(x, 0);
    struct x86emu_read *read;

    if (!port_allowed(x))
        return;
    read = x86emu_next_read(x, X86EMU_REQUEST_PORT_IN, port, size);
    if (read == NULL || (read->done < size && !ask_port_in(x, port, size)))
        return;
    write_operand(x, 0, load_le(&x->emu->transaction.read_bytes[read->data], size));
}

void x86emu_exec_out(struct exec *x)
{
    uint16_t port = (uint16_t)read_operand(x, 0);
    uint64_t value = read_operand(x, 1);
    uint8_t bytes[8];
    struct x86emu_effect *effect;

    if (!port_allowed(x))
        return;
    store_le(bytes, value, 8);
    effect = x86emu_effect_add(x, X86EMU_REQUEST_PORT_OUT, operand_size(x, 1), 1, bytes);
    if (effect != NULL)
        effect->port = port;
}

void x86emu_exec_hlt(struct exec *x)
{
    x86emu_effect_add(x, X86EMU_REQUEST_HALT, 0, 0, NULL);
}
