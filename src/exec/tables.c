/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptor-table registers (SDM Vol. 2, LGDT to STR). */
#include "control.h"
#include "generated/functions.h"

bool x86emu_umip_allows(struct exec *x)
{
    if (x->cpl != 0 && x->vcpu->cr4 & X86EMU_CR4_UMIP)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return !x->stopped;
}

/* --- GDTR, IDTR --------------------------------------------------------------------------------------------------- */

static void store_table(struct exec *x, const struct x86emu_table_register *table)
{
    unsigned base_size = x->mode == X86EMU_MODE_64 ? 8 : 4;
    struct logical address;
    uint8_t bytes[10];

    if (!x86emu_umip_allows(x) || !need(x, X86EMU_STATE_TABLES))
        return;
    store_le(bytes, table->limit, 2);
    store_le(bytes + 2, table->base, base_size);
    if (x86emu_operand_address(x, 0, &address))
        x86emu_memory_write(x, address, 2 + base_size, bytes);
}

void x86emu_exec_sgdt(struct exec *x)
{
    store_table(x, &x->vcpu->gdtr);
}

void x86emu_exec_sidt(struct exec *x)
{
    store_table(x, &x->vcpu->idtr);
}

/* With a 16-bit operand the base has 24 bits; in 64-bit mode the operand is always the same. */
static void load_table(struct exec *x, const struct x86emu_table_register *table)
{
    unsigned base_size = x->mode == X86EMU_MODE_64 ? 8 : 4;
    struct x86emu_table_register loaded = {.base = 0};
    struct logical address;
    uint8_t bytes[10] = {0};

    if (!x86emu_operand_address(x, 0, &address) || !x86emu_memory_read(x, address, 2 + base_size, USE_PLAIN, bytes))
        return;
    loaded.limit = (uint16_t)load_le(bytes, 2);
    loaded.base = load_le(bytes + 2, base_size);
    if (x->insn->operand_size == 2 && base_size == 4)
        loaded.base &= 0xffffff;
    if (base_size == 8 && !x86emu_is_canonical(loaded.base, x->vcpu->cr4)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    x86emu_stage(x, X86EMU_STATE_TABLES, &table->base, &loaded.base, sizeof(loaded.base));
    x86emu_stage(x, X86EMU_STATE_TABLES, &table->limit, &loaded.limit, sizeof(loaded.limit));
}

void x86emu_exec_lgdt(struct exec *x)
{
    load_table(x, &x->vcpu->gdtr);
}

void x86emu_exec_lidt(struct exec *x)
{
    load_table(x, &x->vcpu->idtr);
}

/* --- LDTR, TR ----------------------------------------------------------------------------------------------------- */

static bool is_protected_here(struct exec *x)
{
    if (!is_protected(x))
        x86emu_raise(x, X86EMU_VECTOR_UD);
    return !x->stopped && need(x, X86EMU_STATE_TABLES);
}

void x86emu_exec_sldt(struct exec *x)
{
    if (is_protected_here(x) && x86emu_umip_allows(x))
        write_operand(x, 0, x->vcpu->ldtr.selector);
}

void x86emu_exec_str(struct exec *x)
{
    if (is_protected_here(x) && x86emu_umip_allows(x))
        write_operand(x, 0, x->vcpu->tr.selector);
}

/* A system descriptor in the GDT, of a type that mask names. */
static bool read_system(struct exec *x, unsigned selector, unsigned mask, struct descriptor *d)
{
    if (selector & 4) {
        x86emu_raise_selector(x, X86EMU_VECTOR_GP, selector, 0);
        return false;
    }
    if (!x86emu_descriptor_read(x, selector, X86EMU_VECTOR_GP, 0, d))
        return false;
    if (is_code_or_data(d) || !(mask >> descriptor_type(d) & 1))
        x86emu_raise_selector(x, X86EMU_VECTOR_GP, selector, 0);
    else if (!is_present(d))
        x86emu_raise_selector(x, X86EMU_VECTOR_NP, selector, 0);
    if (x->stopped)
        return false;
    return !is_long_mode(x) || x86emu_descriptor_read_high(x, X86EMU_VECTOR_GP, 0, d);
}

/* For LLDT and LTR: where there is no protected mode they are #UD, whatever the privilege level. */
static bool may_load(struct exec *x)
{
    if (is_protected_here(x) && x->cpl != 0)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return !x->stopped;
}

void x86emu_exec_lldt(struct exec *x)
{
    unsigned selector = may_load(x) ? (unsigned)read_operand(x, 0) & 0xffff : 0;
    struct x86emu_segment ldtr = {.selector = (uint16_t)selector, .attributes = X86EMU_SEGMENT_UNUSABLE};
    struct descriptor d;

    if (x->stopped)
        return;
    if (!is_null(selector)) {
        if (!read_system(x, selector, 1u << TYPE_LDT, &d))
            return;
        ldtr = x86emu_segment_of(&d);
    }
    x86emu_stage(x, X86EMU_STATE_TABLES, &x->vcpu->ldtr, &ldtr, SEGMENT_BYTES);
}

void x86emu_exec_ltr(struct exec *x)
{
    unsigned types = 1u << TYPE_TSS_32 | (is_long_mode(x) ? 0 : 1u << TYPE_TSS_16);
    unsigned selector = may_load(x) ? (unsigned)read_operand(x, 0) & 0xffff : 0;
    struct x86emu_segment tr;
    struct descriptor d;

    if (x->stopped)
        return;
    if (is_null(selector)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    if (!read_system(x, selector, types, &d))
        return;
    x86emu_descriptor_busy(x, &d, true);
    tr = x86emu_segment_of(&d);
    tr.attributes |= 2; /* busy */
    x86emu_stage(x, X86EMU_STATE_TABLES, &x->vcpu->tr, &tr, SEGMENT_BYTES);
}
