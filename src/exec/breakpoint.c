/* SPDX-License-Identifier: BSD-2-Clause */
/* What a breakpoint register matches (SDM Vol. 3, 17.2.4, 17.2.5 and 17.3.1). */
#include "breakpoint.h"

/* DR7.R/Wn. */
enum condition {
    BREAK_EXECUTE = 0,
    BREAK_WRITE = 1,
    BREAK_PORT = 2,
    BREAK_ACCESS = 3,
};

static bool is_enabled(const struct exec *x, unsigned n)
{
    return x->vcpu->dr[7] >> 2 * n & 3;
}

static unsigned condition_of(const struct exec *x, unsigned n)
{
    return (unsigned)(x->vcpu->dr[7] >> (16 + 4 * n)) & 3;
}

/* DR7.LENn in bytes. */
static unsigned length_of(const struct exec *x, unsigned n)
{
    static const uint8_t lengths[] = {1, 2, 8, 4};

    return lengths[x->vcpu->dr[7] >> (18 + 4 * n) & 3];
}

/* Whether a byte of the access lies in the breakpoint, whose low address bits don't count. */
static bool overlaps(const struct exec *x, unsigned n, uint64_t first, unsigned size)
{
    unsigned length = length_of(x, n);
    uint64_t at = x->vcpu->dr[n] & ~(uint64_t)(length - 1);

    return first - at < length || at - first < size;
}

bool x86emu_breakpoint_code(struct exec *x)
{
    uint64_t la = x->vcpu->rip & rip_mask(x);
    uint32_t hit = 0;

    /* After MOV SS and POP SS as with RF (SDM Vol. 3, 17.3.1.1). */
    if (x->vcpu->rflags & X86EMU_RFLAGS_RF || x->vcpu->interruptibility & X86EMU_BLOCKED_BY_MOV_SS)
        return false;
    if (x->mode != X86EMU_MODE_64)
        la = (la + x->vcpu->segment[X86EMU_CS].base) & 0xffffffff;
    for (unsigned n = 0; n < 4; n++)
        if (is_enabled(x, n) && condition_of(x, n) == BREAK_EXECUTE && x->vcpu->dr[n] == la)
            hit |= UINT32_C(1) << n;
    if (hit == 0)
        return false;
    x->emu->outcome.dr6 = hit;
    x86emu_raise(x, X86EMU_VECTOR_DB);
    return true;
}

void x86emu_breakpoint_data(struct exec *x, uint64_t la, unsigned size, unsigned access)
{
    for (unsigned n = 0; n < 4; n++) {
        unsigned condition = condition_of(x, n);
        bool fits = condition == BREAK_ACCESS || (condition == BREAK_WRITE && access & X86EMU_ACCESS_WRITE);

        if (fits && is_enabled(x, n) && overlaps(x, n, la, size))
            x->dr6 |= UINT32_C(1) << n;
    }
}

void x86emu_breakpoint_port(struct exec *x, uint16_t port, unsigned size)
{
    if (!breakpoints_enabled(x) || !(x->vcpu->cr4 & X86EMU_CR4_DE))
        return;
    for (unsigned n = 0; n < 4; n++)
        if (is_enabled(x, n) && condition_of(x, n) == BREAK_PORT && overlaps(x, n, port, size))
            x->dr6 |= UINT32_C(1) << n;
}
