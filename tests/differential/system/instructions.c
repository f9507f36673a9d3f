/* SPDX-License-Identifier: BSD-2-Clause */
/* The instructions under test: those that move between segments, levels, tasks and modes. */
#include "instructions.h"
#include "emit.h"

/* What follows a segment load, so that the hidden part is seen. */
static void probe(struct maker *m, unsigned segment)
{
    static const uint8_t prefixes[6] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};

    if (one_in(2))
        return;
    EMIT(m, prefixes[segment], one_in(2) ? 0x88 : 0x8a);
    emit_memory(m, X86EMU_RDX);
}

static unsigned any_selector(struct maker *m)
{
    if (!m->vm86)
        return menu_selector();
    return one_in(4) ? 0x1000 + random_below(512) : (one_in(4) ? 0x3000 : 0x1000);
}

void make_mov_sreg(struct maker *m)
{
    unsigned segment = one_in(12) ? random_below(8) : random_below(5) + (random_below(5) > 0);

    if (segment == X86EMU_CS && !one_in(8))
        segment = X86EMU_SS;
    emit_size(m, true);
    EMIT(m, 0x8e);
    emit_operand(m, segment, any_selector(m));
    if (segment < 6)
        probe(m, segment);
}

void make_pop_sreg(struct maker *m)
{
    static const uint8_t opcodes[3] = {0x07, 0x17, 0x1f};
    static const uint8_t segments[3] = {X86EMU_ES, X86EMU_SS, X86EMU_DS};
    unsigned n = random_below(5), size = emit_size(m, false);

    if (m->mode == X86EMU_MODE_64 && size == 4)
        size = 8;
    stack_put(m, 0, size, any_selector(m));
    if (n < 3)
        EMIT(m, opcodes[n]);
    else
        EMIT(m, 0x0f, n == 3 ? 0xa1 : 0xa9);
    probe(m, n < 3 ? segments[n] : n + 1);
}

void make_read_sreg(struct maker *m)
{
    static const uint8_t opcodes[4] = {0x06, 0x0e, 0x16, 0x1e};

    emit_size(m, one_in(2));
    if (one_in(2)) {
        EMIT(m, 0x8c);
        emit_operand(m, random_below(6), random_number());
    } else if (one_in(2)) {
        EMIT(m, 0x0f, one_in(2) ? 0xa0 : 0xa8);
    } else {
        EMIT(m, opcodes[random_below(4)]);
    }
}

void make_far_load(struct maker *m)
{
    static const uint8_t second[3] = {0xb2, 0xb4, 0xb5};
    static const uint8_t segments[5] = {X86EMU_SS, X86EMU_FS, X86EMU_GS, X86EMU_ES, X86EMU_DS};
    unsigned n = random_below(m->mode == X86EMU_MODE_64 ? 3 : 5), at, size = emit_size(m, true);

    if (n < 3)
        EMIT(m, 0x0f, second[n]);
    else
        EMIT(m, n == 3 ? 0xc4 : 0xc5);
    at = emit_memory(m, X86EMU_RSI);
    put(m->c->world, at, random_number(), size);
    put(m->c->world, at + size, any_selector(m), 2);
    probe(m, segments[n]);
}

/* A code segment, a gate or a task; in real mode and vm86 a paragraph. */
static unsigned code_selector(struct maker *m)
{
    if (m->vm86)
        return one_in(4) ? 0x100 : 0x1000;
    if (one_in(3))
        return SEL_FLAT_CODE + 8 * random_below(4) + random_below(4);
    return menu_selector();
}

void make_far_branch(struct maker *m)
{
    bool call = one_in(2);
    unsigned size, at;

    if (one_in(2)) {
        size = emit_size(m, false);
        EMIT(m, call ? 0x9a : 0xea);
        emit_value(m, code_target(m), size);
        emit_value(m, code_selector(m), 2);
        return;
    }
    size = emit_size(m, true);
    EMIT(m, 0xff);
    at = emit_memory(m, call ? 3 : 5);
    put(m->c->world, at, code_target(m), size);
    put(m->c->world, at + size, code_selector(m), 2);
}

/* A code segment of an outer level, mostly. */
static unsigned return_selector(struct maker *m, unsigned *level)
{
    *level = one_in(3) ? random_below(4) : m->cpl + random_below(4 - m->cpl);
    if (m->vm86)
        return one_in(4) ? 0x100 : 0x1000;
    if (one_in(4))
        return menu_selector();
    if (m->c->environment == ENVIRONMENT_LONG && one_in(2))
        return SEL_LONG_CODE + 9 * *level;
    return (one_in(3) ? SEL_SMALL_CODE : SEL_FLAT_CODE) + 9 * *level;
}

static unsigned stack_selector(struct maker *m, unsigned level)
{
    if (m->vm86)
        return 0x1000;
    if (one_in(6))
        return menu_selector();
    return (one_in(4) ? SEL_SMALL_DATA : SEL_FLAT_DATA) + 9 * level;
}

static uint32_t stack_offset(struct maker *m, unsigned level)
{
    uint32_t offset = W_STACKS + STACK_SIZE * level + 0x40 + 4 * random_below(32);

    return m->vm86 || one_in(4) ? offset : offset + WORLD;
}

void make_retf(struct maker *m)
{
    unsigned level, parameters = one_in(2) ? 0 : 4 * random_below(4), size = emit_size(m, true);
    unsigned selector = return_selector(m, &level);
    unsigned after = (2 * size + parameters) / size;

    stack_put(m, 0, size, code_target(m));
    stack_put(m, 1, size, selector);
    stack_put(m, after, size, stack_offset(m, level));
    stack_put(m, after + 1, size, stack_selector(m, level));
    if (parameters == 0) {
        EMIT(m, 0xcb);
        return;
    }
    EMIT(m, 0xca);
    emit_value(m, parameters, 2);
}

/* What may be loaded into FLAGS: anything, mostly without what makes the case end at once. */
uint64_t random_flags(void)
{
    uint64_t flags = (random_number() & 0x3ecd5) | X86EMU_RFLAGS_FIXED;

    flags &= ~(X86EMU_RFLAGS_VM | X86EMU_RFLAGS_NT | X86EMU_RFLAGS_TF | X86EMU_RFLAGS_IOPL | 0ull);
    flags |= one_in(2) ? X86EMU_RFLAGS_IOPL : random_below(4) << 12;
    if (one_in(12))
        flags |= X86EMU_RFLAGS_TF;
    if (one_in(12))
        flags |= X86EMU_RFLAGS_NT;
    if (one_in(3))
        flags |= random_number() & (X86EMU_RFLAGS_AC | X86EMU_RFLAGS_ID);
    return flags;
}

void make_iret(struct maker *m)
{
    unsigned level, size = emit_size(m, true), selector = return_selector(m, &level);
    uint64_t flags = random_flags();
    bool to_vm86 = size == 4 && m->cpl == 0 && !m->vm86 && m->c->environment == ENVIRONMENT_PROTECTED && one_in(4);

    if (one_in(16)) {
        flags |= random_number() & (X86EMU_RFLAGS_VM | X86EMU_RFLAGS_VIF | X86EMU_RFLAGS_VIP);
        m->c->not_for_qemu = true;
    }
    if (to_vm86) {
        flags |= X86EMU_RFLAGS_VM;
        selector = 0x1000;
    }
    stack_put(m, 0, size, to_vm86 ? W_TARGETS + random_below(32) : code_target(m));
    stack_put(m, 1, size, selector);
    stack_put(m, 2, size, flags);
    stack_put(m, 3, size, to_vm86 ? W_STACKS + 0x380u : stack_offset(m, level));
    stack_put(m, 4, size, to_vm86 ? 0x1000 : stack_selector(m, level));
    for (unsigned i = 0; to_vm86 && i < 4; i++)
        stack_put(m, 5 + i, size, 0x1000 + random_below(16));
    if (!m->vm86 && one_in(8)) {
        m->rflags |= X86EMU_RFLAGS_NT;
        put(m->c->world, W_TSS_A, one_in(2) ? SEL_TSS_B : menu_selector(), 2);
    }
    EMIT(m, 0xcf);
}

void make_int(struct maker *m)
{
    switch (random_below(6)) {
    case 0:
        EMIT(m, 0xcc);
        break;
    case 1:
        m->rflags |= one_in(4) ? 0 : X86EMU_RFLAGS_OF;
        EMIT(m, 0xce);
        break;
    case 2:
        EMIT(m, 0xf1);
        break;
    case 3:
        EMIT(m, 0xcd, (uint8_t)random_below(32));
        break;
    default:
        EMIT(m, 0xcd, (uint8_t)(32 + random_below(one_in(16) ? 224 : 32)));
        break;
    }
}

void make_bound(struct maker *m)
{
    unsigned size = emit_size(m, false), at;

    EMIT(m, 0x62);
    at = emit_memory(m, X86EMU_RSI);
    put(m->c->world, at, random_below(16), size);
    put(m->c->world, at + size, 16 + random_below(16), size);
    m->gpr[X86EMU_RSI] = random_below(40);
}

void make_syscall(struct maker *m)
{
    static const uint8_t second[4] = {0x05, 0x07, 0x34, 0x35};
    unsigned n = random_below(4);

    m->gpr[X86EMU_RCX] = n == 3 ? stack_offset(m, 3) | (uint64_t)WORLD : WORLD + W_TARGETS + random_below(64);
    m->gpr[X86EMU_RDX] = WORLD + W_TARGETS + random_below(64);
    m->gpr[11] = random_flags() | (one_in(4) ? random_number() : 0);
    if (m->mode == X86EMU_MODE_64 && one_in(12))
        m->gpr[one_in(2) ? X86EMU_RCX : X86EMU_RDX] = random_number();
    if (m->mode == X86EMU_MODE_64 && n % 2 == 1 && one_in(2))
        EMIT(m, 0x48);
    EMIT(m, 0x0f, second[n]);
}
