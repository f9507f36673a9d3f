/* SPDX-License-Identifier: BSD-2-Clause */
/* x87 moves that change no value: between registers, and to and from 80-bit memory (SDM Vol. 2, FLD, FSTP, FXCH). */
#include "generated/functions.h"
#include "x87.h"

enum {
    IE = 1,
    SF = 0x40,
    ES_B = 0x8080,
    C1 = 0x200,
    IM = 1,
    EMPTY = 3,
};

/* The x87 state as the instruction leaves it. */
struct work {
    struct x86emu_x87 x87;
    unsigned top;
};

static NOINLINE bool begin(struct exec *x, struct work *w)
{
    if (x->vcpu->cr0 & (X86EMU_CR0_EM | X86EMU_CR0_TS))
        x86emu_raise(x, X86EMU_VECTOR_NM);
    if (x->stopped || !need(x, X86EMU_STATE_X87) || !x86emu_x87_no_pending(x))
        return false;
    w->x87 = x->vcpu->x87;
    w->top = w->x87.status >> 11 & 7;
    w->x87.status &= (uint16_t)~C1;
    w->x87.ip = x->vcpu->rip;
    return true;
}

static bool is_empty(const struct work *w, unsigned n)
{
    return (w->x87.tag >> 2 * ((w->top + n) & 7) & 3) == EMPTY;
}

static void set_tag(struct work *w, unsigned n, unsigned tag)
{
    unsigned shift = 2 * ((w->top + n) & 7);

    w->x87.tag = (uint16_t)((w->x87.tag & ~(3u << shift)) | tag << shift);
}

static void set(struct work *w, unsigned n, uint64_t mantissa, uint16_t exponent)
{
    unsigned number = (w->top + n) & 7;

    w->x87.st[number].mantissa = mantissa;
    w->x87.st[number].exponent = exponent;
    set_tag(w, n, 0);
}

/* The default answer to an invalid operation (SDM Vol. 1, 4.8.3.7). */
static NOINLINE void set_indefinite(struct work *w, unsigned n)
{
    set(w, n, UINT64_C(0xc000000000000000), 0xffff);
}

/* A stack fault: overflow sets C1. True: masked, the instruction goes on with the indefinite value. */
static bool stack_fault(struct work *w, bool overflow)
{
    w->x87.status |= IE | SF | (overflow ? C1 : 0);
    if (w->x87.control & IM)
        return true;
    w->x87.status |= ES_B;
    return false;
}

static void move_top(struct work *w, int change)
{
    w->top = (w->top + (unsigned)change) & 7;
    w->x87.status = (uint16_t)((w->x87.status & ~(7u << 11)) | w->top << 11);
}

/* Stages everything: it is within the fields' bound register by register. */
static NOINLINE void end(struct exec *x, const struct work *w)
{
    const struct x86emu_x87 *old = &x->vcpu->x87;

    for (unsigned i = 0; i < 8; i++)
        x86emu_stage(x, X86EMU_STATE_X87, &old->st[i], &w->x87.st[i], 10);
    x86emu_stage(x, X86EMU_STATE_X87, &old->status, &w->x87.status, sizeof(old->status));
    x86emu_stage(x, X86EMU_STATE_X87, &old->tag, &w->x87.tag, sizeof(old->tag));
    stage_register(x, X86EMU_STATE_X87, &old->ip, w->x87.ip);
    stage_register(x, X86EMU_STATE_X87, &old->dp, w->x87.dp);
}

static unsigned number_of(struct exec *x, unsigned n)
{
    return operand(x, n)->reg.number & 7u;
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static NOINLINE void push(struct work *w, uint64_t mantissa, uint16_t exponent, bool from_empty)
{
    bool overflow = !is_empty(w, 7);

    if ((overflow || from_empty) && !stack_fault(w, !from_empty))
        return;
    move_top(w, -1);
    if (overflow || from_empty)
        set_indefinite(w, 0);
    else
        set(w, 0, mantissa, exponent);
}

void x86emu_exec_fld_register(struct exec *x)
{
    unsigned from;
    struct work w;

    if (!begin(x, &w))
        return;
    from = (w.top + number_of(x, 0)) & 7;
    push(&w, w.x87.st[from].mantissa, w.x87.st[from].exponent, is_empty(&w, number_of(x, 0)));
    end(x, &w);
}

static void store_register(struct exec *x, bool pop)
{
    unsigned to;
    struct work w;

    if (!begin(x, &w))
        return;
    to = number_of(x, 0);
    if (!is_empty(&w, 0)) {
        set(&w, to, w.x87.st[w.top].mantissa, w.x87.st[w.top].exponent);
    } else if (stack_fault(&w, false)) {
        set_indefinite(&w, to);
    } else {
        end(x, &w);
        return;
    }
    if (pop) {
        set_tag(&w, 0, EMPTY);
        move_top(&w, 1);
    }
    end(x, &w);
}

void x86emu_exec_fst_register(struct exec *x)
{
    store_register(x, false);
}

void x86emu_exec_fstp_register(struct exec *x)
{
    store_register(x, true);
}

/* D9 /3: pops without looking whether there is anything. */
void x86emu_exec_fstpnce(struct exec *x)
{
    struct work w;
    unsigned to;

    if (!begin(x, &w))
        return;
    to = number_of(x, 0);
    if (!is_empty(&w, 0))
        set(&w, to, w.x87.st[w.top].mantissa, w.x87.st[w.top].exponent);
    set_tag(&w, 0, EMPTY);
    move_top(&w, 1);
    end(x, &w);
}

void x86emu_exec_fxch(struct exec *x)
{
    struct work w, old;
    unsigned n, a, b;

    if (!begin(x, &w))
        return;
    n = number_of(x, 0);
    if ((is_empty(&w, 0) || is_empty(&w, n)) && !stack_fault(&w, false)) {
        end(x, &w);
        return;
    }
    if (is_empty(&w, 0))
        set_indefinite(&w, 0);
    if (is_empty(&w, n))
        set_indefinite(&w, n);
    old = w;
    a = w.top;
    b = (w.top + n) & 7;
    set(&w, 0, old.x87.st[b].mantissa, old.x87.st[b].exponent);
    set(&w, n, old.x87.st[a].mantissa, old.x87.st[a].exponent);
    end(x, &w);
}

/* FLD1 to FLDZ: rounded as RC says, which only changes the last bit of those that are not exact. */
void x86emu_exec_fld_constant(struct exec *x)
{
    static const struct {
        uint64_t below;
        uint16_t exponent;
        bool exact, nearest_above;
    } constants[8] = {
        {UINT64_C(0x8000000000000000), 0x3fff, true, false},  /* 1 */
        {UINT64_C(0xd49a784bcd1b8afe), 0x4000, false, false}, /* log2 10 */
        {UINT64_C(0xb8aa3b295c17f0bb), 0x3fff, false, true},  /* log2 e */
        {UINT64_C(0xc90fdaa22168c234), 0x4000, false, true},  /* pi */
        {UINT64_C(0x9a209a84fbcff798), 0x3ffd, false, true},  /* log10 2 */
        {UINT64_C(0xb17217f7d1cf79ab), 0x3ffe, false, true},  /* ln 2 */
        {0, 0, true, false},                                  /* 0; D9 EF is no instruction */
    };
    enum {
        NEAREST = 0,
        UP = 2
    };
    unsigned n = x->insn->modrm & 7u, rounding;
    struct work w;
    bool above;

    if (!begin(x, &w))
        return;
    rounding = w.x87.control >> 10 & 3;
    above = rounding == UP || (rounding == NEAREST && constants[n].nearest_above);
    push(&w, constants[n].below + (above && !constants[n].exact), constants[n].exponent, false);
    end(x, &w);
}

/* FCMOVcc: opcode DA moves if the condition holds, DB if it doesn't; the low two bits of reg say which (SDM Vol. 2). */
void x86emu_exec_fcmov(struct exec *x)
{
    static const uint64_t flags[4] = {X86EMU_RFLAGS_CF, X86EMU_RFLAGS_ZF, X86EMU_RFLAGS_CF | X86EMU_RFLAGS_ZF,
                                      X86EMU_RFLAGS_PF};
    bool holds = x->vcpu->rflags & flags[x->insn->modrm >> 3 & 3];
    struct work w, old;
    unsigned n;

    if (!begin(x, &w))
        return;
    n = number_of(x, 1);
    if (is_empty(&w, 0) || is_empty(&w, n)) {
        if (stack_fault(&w, false))
            set_indefinite(&w, 0);
        end(x, &w);
        return;
    }
    w.x87.status |= x->vcpu->x87.status & C1; /* stays, unlike with other instructions */
    if (holds == (x->insn->opcode == 0xda)) {
        old = w;
        set(&w, 0, old.x87.st[(w.top + n) & 7].mantissa, old.x87.st[(w.top + n) & 7].exponent);
    }
    end(x, &w);
}

static NOINLINE void change_sign(struct exec *x, uint16_t keep, uint16_t flip)
{
    struct work w;

    if (!begin(x, &w))
        return;
    if (!is_empty(&w, 0))
        w.x87.st[w.top].exponent = (uint16_t)((w.x87.st[w.top].exponent & keep) ^ flip);
    else if (stack_fault(&w, false))
        set_indefinite(&w, 0);
    end(x, &w);
}

void x86emu_exec_fchs(struct exec *x)
{
    change_sign(x, 0xffff, 0x8000);
}

void x86emu_exec_fabs(struct exec *x)
{
    change_sign(x, 0x7fff, 0);
}

/* The class of ST0 in C3, C2, C0, its sign in C1 (SDM Vol. 2, FXAM). */
static unsigned class_of(const struct work *w)
{
    enum {
        C0 = 0x100,
        C2 = 0x400,
        C3 = 0x4000
    };
    uint64_t mantissa = w->x87.st[w->top].mantissa;
    unsigned exponent = w->x87.st[w->top].exponent & 0x7fffu;
    bool integer = mantissa >> 63;

    if (is_empty(w, 0))
        return C3 | C0;
    if (exponent == 0)
        return mantissa == 0 ? C3 : C3 | C2;
    if (!integer)
        return 0; /* unsupported */
    if (exponent == 0x7fff)
        return mantissa << 1 == 0 ? C2 | C0 : C0;
    return C2;
}

void x86emu_exec_fxam(struct exec *x)
{
    struct work w;

    if (!begin(x, &w))
        return;
    w.x87.status =
        (uint16_t)((w.x87.status & ~0x4700u) | class_of(&w) | (w.x87.st[w.top].exponent & 0x8000 ? (unsigned)C1 : 0));
    end(x, &w);
}

/* --- 80-bit memory ------------------------------------------------------------------------------------------------ */

/* The data pointer stays: recent processors set it for unmasked exceptions alone (CPUID.7.0:EBX[6]). */

/* Significand and exponent are two accesses, as on processors. */

void x86emu_exec_fld_80(struct exec *x)
{
    struct logical a;
    struct work w;
    uint8_t bytes[10];

    if (!begin(x, &w) || !x86emu_operand_address(x, 0, &a) || !x86emu_memory_read(x, a, 8, USE_PLAIN, bytes) ||
        !x86emu_memory_read(x, beyond(x, a, 8), 2, USE_UNALIGNED, bytes + 8))
        return;
    push(&w, load_le(bytes, 8), (uint16_t)load_le(bytes + 8, 2), false);
    end(x, &w);
}

void x86emu_exec_fstp_80(struct exec *x)
{
    struct logical a;
    struct work w;
    uint8_t bytes[10];

    if (!begin(x, &w) || !x86emu_operand_address(x, 0, &a))
        return;
    store_le(bytes, w.x87.st[w.top].mantissa, 8);
    store_le(bytes + 8, w.x87.st[w.top].exponent, 2);
    if (is_empty(&w, 0)) {
        if (!stack_fault(&w, false)) {
            end(x, &w);
            return;
        }
        store_le(bytes, UINT64_C(0xc000000000000000), 8);
        store_le(bytes + 8, 0xffff, 2);
    }
    x86emu_memory_write(x, a, 8, bytes);
    x86emu_memory_store(x, beyond(x, a, 8), 2, USE_UNALIGNED, bytes + 8);
    set_tag(&w, 0, EMPTY);
    move_top(&w, 1);
    end(x, &w);
}
