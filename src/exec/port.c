/* SPDX-License-Identifier: BSD-2-Clause */
/* Port input and output, and HLT: what leaves the processor without being memory. */
#include "breakpoint.h"
#include "descriptor.h"
#include "generated/functions.h"

/*
 * The I/O permission bitmap of a 32-bit (or 64-bit) TSS: a clear bit for each byte of the port allows it. Two bytes are
 * always read, as processors do (SDM Vol. 1, 19.5.2).
 */
static bool bitmap_allows(struct exec *x, uint16_t port, unsigned size)
{
    const struct x86emu_segment *tr = &x->vcpu->tr;
    uint64_t base, bits;

    if (!need(x, X86EMU_STATE_TABLES))
        return false;
    if (!(tr->attributes & 8) || tr->limit < 0x67)
        return false;
    base = x86emu_system_load(x, tr->base + 0x66, 2);
    if (base + port / 8 + 1 > tr->limit)
        return false;
    bits = x86emu_system_load(x, tr->base + base + port / 8, 2);
    return (bits >> (port & 7) & ((1u << size) - 1)) == 0;
}

/* IOPL decides; below it, and always in virtual-8086 mode, the bitmap does. */
bool x86emu_port_allowed(struct exec *x, uint16_t port, unsigned size)
{
    unsigned iopl = (unsigned)(x->vcpu->rflags >> 12 & 3);

    if (!(x->vcpu->cr0 & X86EMU_CR0_PE) || (is_protected(x) && x->cpl <= iopl))
        x86emu_breakpoint_port(x, port, size);
    else if (!bitmap_allows(x, port, size))
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    else
        x86emu_breakpoint_port(x, port, size);
    return !x->stopped;
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

    if (!x86emu_port_allowed(x, port, size))
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

    if (!x86emu_port_allowed(x, port, operand_size(x, 1)))
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
