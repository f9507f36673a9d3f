/* SPDX-License-Identifier: BSD-2-Clause */
/* The instructions under test: those on system registers, flags and ports, and ordinary ones that fault. */
#include "emit.h"
#include "instructions.h"

void make_flags(struct maker *m)
{
    unsigned size;

    switch (random_below(5)) {
    case 0:
        emit_size(m, false);
        EMIT(m, 0x9c);
        break;
    case 1:
        EMIT(m, 0xfa);
        break;
    case 2:
        EMIT(m, 0xfb);
        break;
    default:
        size = emit_size(m, false);
        if (m->mode == X86EMU_MODE_64 && size == 4)
            size = 8;
        stack_put(m, 0, size, random_flags() | (one_in(4) ? random_number() & 0x3b0000 : 0));
        EMIT(m, 0x9d);
        break;
    }
    if (one_in(2))
        EMIT(m, 0x9c);
}

/* Ports that no machine here has: they read as ones. */
void make_port(struct maker *m)
{
    static const uint8_t opcodes[12] = {0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xed, 0xee, 0xef, 0x6c, 0x6d, 0x6e, 0x6f};
    uint8_t opcode = opcodes[random_below(12)];
    unsigned port = 0xe0 + random_below(8);

    m->gpr[X86EMU_RDX] = one_in(16) ? 0x5000 + random_below(64) : port;
    m->gpr[X86EMU_RCX] = 2;
    m->gpr[X86EMU_RSI] = m->gpr[X86EMU_RDI] = W_DATA + 0x100 + (m->data_base == 0 ? WORLD : 0u);
    emit_size(m, false);
    if (opcode < 0x70 && one_in(2))
        EMIT(m, 0xf3);
    EMIT(m, opcode);
    if (opcode < 0xe8 && opcode >= 0xe4)
        EMIT(m, (uint8_t)port);
}

/* LAR, LSL, VERR, VERW, ARPL. */
void make_query(struct maker *m)
{
    unsigned n = random_below(5);

    if (n == 4) {
        EMIT(m, 0x63);
        emit_operand(m, X86EMU_RSI, menu_selector());
        return;
    }
    emit_size(m, n < 2);
    EMIT(m, 0x0f, n < 2 ? (uint8_t)(2 + n) : 0);
    emit_operand(m, n < 2 ? X86EMU_RDX : n + 2, menu_selector());
}

void make_store_table(struct maker *m)
{
    unsigned n = random_below(5);

    emit_size(m, n >= 2);
    switch (n) {
    case 0:
    case 1:
        EMIT(m, 0x0f, 0x01);
        emit_memory(m, n);
        break;
    case 2:
    case 3:
        EMIT(m, 0x0f, 0x00);
        emit_operand(m, n - 2, random_number());
        break;
    default:
        EMIT(m, 0x0f, 0x01);
        emit_operand(m, 4, random_number());
        break;
    }
}

/* LGDT or LIDT of anything; a store shows what was loaded, and a second load puts back what has to be there. */
void make_load_table(struct maker *m)
{
    unsigned which = random_below(2), at;
    unsigned size = m->mode == X86EMU_MODE_64 ? 8 : 4;

    m->rflags &= ~(uint64_t)X86EMU_RFLAGS_TF;
    put(m->c->world, W_DR + 20, 0x400, 4);
    for (unsigned i = 0; i < 3; i++) {
        if (i < 2)
            emit_size(m, false);
        else if (m->mode == X86EMU_MODE_16) /* all of the base */
            EMIT(m, 0x66);
        EMIT(m, 0x0f, 0x01);
        /* Not through the window: a page fault would find no tables. */
        if (m->mode == X86EMU_MODE_16)
            EMIT(m, (uint8_t)(6 | (i == 1 ? which : 2 + which) << 3));
        else if (m->mode == X86EMU_MODE_32)
            EMIT(m, (uint8_t)(5 | (i == 1 ? which : 2 + which) << 3));
        else
            EMIT(m, (uint8_t)(4 | (i == 1 ? which : 2 + which) << 3), 0x25);
        at = W_DATA + 0x20 * i;
        emit_value(m, at + (m->data_base == 0 ? WORLD : 0u), m->mode == X86EMU_MODE_16 ? 2 : 4);
        put(m->c->world, at, random_number(), 2);
        put(m->c->world, at + 2, one_in(2) ? random_number() : random_number() & 0xffffffff, size);
    }
    put(m->c->world, at, which ? IDT_LIMIT : GDT_LIMIT, 2);
    put(m->c->world, at + 2, WORLD + (which ? W_IDT : W_GDT), size);
}

/* LLDT and LTR, and what they have loaded. */
void make_load_task(struct maker *m)
{
    unsigned reg = 2 + random_below(2);
    unsigned selector = reg == 2 ? SEL_LDT : SEL_TSS_B + 8 * random_below(4);

    emit_size(m, false);
    EMIT(m, 0x0f, 0x00);
    emit_operand(m, reg, one_in(3) ? selector : menu_selector());
    EMIT(m, 0x0f, 0x00);
    emit_register(m, reg - 2, X86EMU_RDX);
}

/* LMSW, CLTS. */
void make_status_word(struct maker *m)
{
    uint64_t value = random_number();

    if (one_in(3)) {
        EMIT(m, 0x0f, 0x06);
        return;
    }
    if (m->c->environment == ENVIRONMENT_REAL) /* setting PE: nothing would lead back */
        value &= ~UINT64_C(1);
    EMIT(m, 0x0f, 0x01);
    emit_operand(m, 6, value);
}

/* A value for the control register: what is there, or with some bits turned. */
static uint64_t control_value(struct maker *m, unsigned number, bool load)
{
    static const uint16_t places[5] = {W_CR0, 0, W_CR2, W_CR3, W_CR4};
    static const uint64_t harmless[5] = {0x7fffffe, 0, 0, 0, 0x21fdf};
    uint64_t value = number < 5 && places[number] ? get32(m->c->world, places[number]) : random_below(32);

    if (number == 2)
        return random_number();
    if (number == 3)
        return get32(m->c->world, W_CR3) | (random_number() & 0x18);
    if (number == 0) {
        if (m->c->environment == ENVIRONMENT_REAL) /* nothing would lead back from protected mode */
            value &= ~X86EMU_CR0_PE;
        value ^= (random_number() & random_number() & harmless[0]) & 0x5003e;
        if (one_in(3))
            value ^= random_number() & 0x60000000;
        if (one_in(3) && m->c->environment != ENVIRONMENT_REAL)
            value ^= one_in(2) ? UINT64_C(1) << 28 : 2;
    }
    if (number == 4) {
        value ^= random_number() & random_number() & 0x9df;
        m->c->not_for_qemu = m->c->not_for_qemu || (load && one_in(8));
        if (m->c->not_for_qemu)
            value ^= UINT64_C(1) << (30 + random_below(2));
    }
    if (m->mode == X86EMU_MODE_64 && one_in(12)) {
        value |= UINT64_C(1) << (32 + random_below(32));
        m->c->not_for_qemu = m->c->not_for_qemu || number == 4;
    }
    return value;
}

void make_control(struct maker *m)
{
    static const uint8_t numbers[12] = {0, 0, 0, 2, 3, 3, 4, 4, 4, 8, 1, 5};
    unsigned number = numbers[random_below(12)], load = random_below(3) > 0;

    if (number == 8 && m->mode != X86EMU_MODE_64)
        number = 0;
    m->gpr[X86EMU_RSI] = control_value(m, number, load);
    if (number == 8)
        EMIT(m, 0x44);
    EMIT(m, 0x0f, load ? 0x22 : 0x20);
    emit_register(m, number & 7, load ? X86EMU_RSI : X86EMU_RDX);
    if (number == 8 && load) {
        EMIT(m, 0x44, 0x0f, 0x20);
        emit_register(m, 0, X86EMU_RDX);
    }
}

void make_debug(struct maker *m)
{
    unsigned number = random_below(8), load = random_below(2);

    m->gpr[X86EMU_RSI] = number >= 4 ? (random_number() & 0xdc00) | 0x400 : random_number();
    if (m->mode == X86EMU_MODE_64 && !one_in(8))
        m->gpr[X86EMU_RSI] &= 0xffffffff;
    if (number >= 6 && one_in(3))
        m->gpr[X86EMU_RSI] |= random_number() & 0xffffffff;
    if (number == 7 || number == 5) /* breakpoints nowhere near */
        m->gpr[X86EMU_RSI] &= ~UINT64_C(0xff);
    EMIT(m, 0x0f, load ? 0x23 : 0x21);
    emit_register(m, number, load ? X86EMU_RSI : X86EMU_RDX);
    if (one_in(4) && m->cpl == 0 && !m->vm86) { /* general detect: #DB, through a gate to the monitor */
        put(m->c->world, W_DR + 20, 0x2400, 4);
        if (m->c->environment == ENVIRONMENT_PROTECTED)
            put(m->c->world, W_IDT + 8, (SEL_VECTOR + UINT64_C(8)) << 16 | UINT64_C(0x85) << 40, 8);
    }
}

void make_msr(struct maker *m)
{
    static const uint32_t numbers[11] = {0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0x174,
                                         0x175,      0x176,      0xc0000100, 0xc0000101, 0xc0000102};
    unsigned n = random_below(11);
    uint64_t value = one_in(3) ? random_number() : random_number() & 0x7fffffffffff;

    if (n == 0)
        value = get32(m->c->world, W_EFER) ^ (random_number() & 0x801) ^ (one_in(6) ? 0x100 : 0);
    if (n == 4 || n == 5) /* SFMASK and SYSENTER_CS have 32 bits */
        value &= 0xffffffff;
    m->gpr[X86EMU_RCX] = numbers[n];
    m->gpr[X86EMU_RAX] = value & 0xffffffff;
    m->gpr[X86EMU_RDX] = value >> 32;
    EMIT(m, 0x0f, one_in(3) ? 0x32 : 0x30);
}

/* SWAPGS, RDFSBASE to WRGSBASE. */
void make_base(struct maker *m)
{
    if (one_in(3)) {
        EMIT(m, 0x0f, 0x01, 0xf8);
        return;
    }
    m->gpr[X86EMU_RBX] = one_in(3) ? random_number() : random_number() & 0x7fffffffffff;
    EMIT(m, 0xf3);
    if (one_in(2) && m->mode == X86EMU_MODE_64)
        EMIT(m, 0x48);
    EMIT(m, 0x0f, 0xae);
    emit_register(m, random_below(4), X86EMU_RBX);
}

void make_invlpg(struct maker *m)
{
    EMIT(m, 0x0f, 0x01);
    emit_memory(m, 7);
}

/* Reads and writes that may meet a limit, a page or a breakpoint. */
void make_plain(struct maker *m)
{
    static const uint8_t prefixes[6] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    unsigned n = random_below(7), at;

    if (n < 4 && one_in(3))
        EMIT(m, prefixes[random_below(6)]);
    emit_size(m, n < 4);
    switch (n) {
    case 0:
    case 1:
        EMIT(m, 0x89 + 2 * n);
        emit_memory(m, X86EMU_RSI);
        break;
    case 2:
        EMIT(m, 0x01);
        emit_memory(m, X86EMU_RDX);
        break;
    case 3:
        EMIT(m, 0x87);
        emit_memory(m, X86EMU_RDX);
        break;
    case 4:
        EMIT(m, 0x56, 0x5f);
        break;
    case 5:
        EMIT(m, 0xff);
        emit_memory(m, 6);
        break;
    default:
        EMIT(m, 0x8f);
        at = emit_memory(m, 0);
        put(m->c->world, at, random_number(), 8);
        break;
    }
}

/* Faults of their own, and what nobody may do at an outer level. */
void make_fault(struct maker *m)
{
    switch (random_below(6)) {
    case 0:
        EMIT(m, 0x0f, 0x0b);
        break;
    case 1:
        m->gpr[X86EMU_RBX] = 0;
        EMIT(m, 0xf7, 0xf3);
        break;
    case 2:
        EMIT(m, 0xd4, 0x00);
        break;
    case 3:
        EMIT(m, m->cpl > 0 ? 0xf4 : 0x90);
        break;
    case 4:
        EMIT(m, 0x0f, 0x08);
        break;
    default:
        EMIT(m, 0xf0, 0x89, 0xd8);
        break;
    }
}
