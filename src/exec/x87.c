/* SPDX-License-Identifier: BSD-2-Clause */
/* x87: control, state and data movement without arithmetic (SDM Vol. 1, 8; Vol. 2, FFREE to FXCH). */
#include "x87.h"

#include "generated/functions.h"

enum {
    STATUS_ES = 0x80,
    STATUS_B = 0x8000,
    STATUS_SF = 0x40,
    STATUS_IE = 1,
    STATUS_C1 = 0x200,
    EXCEPTIONS = 0x3f,
    TOP_SHIFT = 11,
    EMPTY = 3,
};

bool x86emu_x87_no_pending(struct exec *x)
{
    const struct x86emu_x87 *x87 = &x->vcpu->x87;

    if (x87->status & STATUS_ES)
        x86emu_raise(x, X86EMU_VECTOR_MF);
    return !x->stopped;
}

/* CR0.EM or TS: #NM. FWAIT looks at MP and TS together. waits: pending exceptions come first. */
static bool usable(struct exec *x, bool waits)
{
    if (x->vcpu->cr0 & (X86EMU_CR0_EM | X86EMU_CR0_TS))
        x86emu_raise(x, X86EMU_VECTOR_NM);
    if (x->stopped || !need(x, X86EMU_STATE_X87))
        return false;
    return !waits || x86emu_x87_no_pending(x);
}

static unsigned top_of(const struct x86emu_x87 *x87)
{
    return x87->status >> TOP_SHIFT & 7;
}

static void stage_16(struct exec *x, const uint16_t *field, unsigned value)
{
    const uint16_t value_16 = (uint16_t)value;

    x86emu_stage(x, X86EMU_STATE_X87, field, &value_16, sizeof(value_16));
}

static void stage_status(struct exec *x, unsigned value)
{
    stage_16(x, &x->vcpu->x87.status, value);
}

/* ES and B summarise unmasked exceptions. */
static unsigned summarised(unsigned status, unsigned control)
{
    status &= ~(unsigned)(STATUS_ES | STATUS_B);
    return status & ~control & EXCEPTIONS ? status | STATUS_ES | STATUS_B : status;
}

/* --- control ------------------------------------------------------------------------------------------------------ */

static void stage_initial(struct exec *x)
{
    struct x86emu_x87 *x87 = &x->vcpu->x87;

    stage_16(x, &x87->control, 0x37f);
    stage_status(x, 0);
    stage_16(x, &x87->tag, 0xffff);
    stage_16(x, &x87->opcode, 0);
    stage_register(x, X86EMU_STATE_X87, &x87->ip, 0);
    stage_register(x, X86EMU_STATE_X87, &x87->dp, 0);
}

void x86emu_exec_fninit(struct exec *x)
{
    if (usable(x, false))
        stage_initial(x);
}

void x86emu_exec_fnclex(struct exec *x)
{
    if (usable(x, false))
        stage_status(x, x->vcpu->x87.status & 0x7f00);
}

void x86emu_exec_fwait(struct exec *x)
{
    if ((x->vcpu->cr0 & (X86EMU_CR0_MP | X86EMU_CR0_TS)) == (X86EMU_CR0_MP | X86EMU_CR0_TS))
        x86emu_raise(x, X86EMU_VECTOR_NM);
    else if (need(x, X86EMU_STATE_X87))
        x86emu_x87_no_pending(x);
}

void x86emu_exec_fldcw(struct exec *x)
{
    unsigned value;

    if (!usable(x, true))
        return;
    value = (unsigned)read_operand(x, 0);
    stage_16(x, &x->vcpu->x87.control, (value & 0x1f3f) | 0x40);
    stage_status(x, summarised(x->vcpu->x87.status, value));
}

void x86emu_exec_fnstcw(struct exec *x)
{
    if (usable(x, false))
        write_operand(x, 0, x->vcpu->x87.control);
}

void x86emu_exec_fnstsw(struct exec *x)
{
    if (usable(x, false))
        write_operand(x, 0, x->vcpu->x87.status);
}

void x86emu_exec_emms(struct exec *x)
{
    if (x->vcpu->cr0 & X86EMU_CR0_EM)
        x86emu_raise(x, X86EMU_VECTOR_UD);
    else if (usable(x, true)) {
        stage_16(x, &x->vcpu->x87.tag, 0xffff);
        stage_status(x, x->vcpu->x87.status & ~0x3800u);
    }
}

/* --- the register stack ------------------------------------------------------------------------------------------- */

/* x87 instructions that are not control instructions leave their address behind (SDM Vol. 1, 8.1.8). */
static void stage_pointers(struct exec *x)
{
    stage_register(x, X86EMU_STATE_X87, &x->vcpu->x87.ip, x->vcpu->rip);
}

/* FENI, FDISI of the 8087, FSETPM of the 287: ignored since the 387. */
void x86emu_exec_fnop_8087(struct exec *x)
{
    usable(x, false);
}

void x86emu_exec_fnop(struct exec *x)
{
    if (usable(x, true))
        stage_pointers(x);
}

static unsigned physical(const struct exec *x, unsigned n)
{
    return (top_of(&x->vcpu->x87) + n) & 7;
}

static bool is_empty(const struct exec *x, unsigned number)
{
    return (x->vcpu->x87.tag >> 2 * number & 3) == EMPTY;
}

static unsigned with_tag(unsigned tag, unsigned number, unsigned value)
{
    return (tag & ~(3u << 2 * number)) | value << 2 * number;
}

static void stage_top(struct exec *x, unsigned status, int change)
{
    unsigned top = (top_of(&x->vcpu->x87) + (unsigned)change) & 7;

    stage_status(x, (status & ~(7u << TOP_SHIFT)) | top << TOP_SHIFT);
}

static void turn(struct exec *x, int change)
{
    if (!usable(x, true))
        return;
    stage_pointers(x);
    stage_top(x, x->vcpu->x87.status & ~(unsigned)STATUS_C1, change);
}

void x86emu_exec_fincstp(struct exec *x)
{
    turn(x, 1);
}

void x86emu_exec_fdecstp(struct exec *x)
{
    turn(x, -1);
}

static void free_register(struct exec *x, bool pop)
{
    unsigned tag;

    if (!usable(x, true))
        return;
    stage_pointers(x);
    tag = with_tag(x->vcpu->x87.tag, physical(x, operand(x, 0)->reg.number & 7u), EMPTY);
    stage_16(x, &x->vcpu->x87.tag, pop ? with_tag(tag, physical(x, 0), EMPTY) : tag);
    stage_top(x, x->vcpu->x87.status & ~(unsigned)STATUS_C1, pop ? 1 : 0);
}

void x86emu_exec_ffree(struct exec *x)
{
    free_register(x, false);
}

void x86emu_exec_ffreep(struct exec *x)
{
    free_register(x, true);
}

/* --- environment -------------------------------------------------------------------------------------------------- */

/* The environment in memory: 14 or 28 bytes (SDM Vol. 1, figures 8-9 to 8-12). */
struct environment {
    uint8_t bytes[28];
    unsigned size;
};

static bool is_real(const struct exec *x)
{
    return !is_protected(x);
}

static void put(struct environment *e, unsigned word, uint64_t value)
{
    store_le(e->bytes + word * (e->size / 7), value, e->size / 7);
}

static uint64_t get(const struct environment *e, unsigned word)
{
    return load_le(e->bytes + word * (e->size / 7), e->size / 7);
}

/* The tags as the environment has them: 0 valid, 1 zero, 2 special, 3 empty, from the registers' values. */
static unsigned full_tags(const struct exec *x)
{
    const struct x86emu_x87 *x87 = &x->vcpu->x87;
    unsigned tags = 0;

    for (unsigned i = 0; i < 8; i++) {
        unsigned exponent = x87->st[i].exponent & 0x7fff, tag = 0;

        if (is_empty(x, i))
            tag = EMPTY;
        else if (exponent == 0 && x87->st[i].mantissa == 0)
            tag = 1;
        else if (exponent == 0x7fff || exponent == 0 || !(x87->st[i].mantissa >> 63))
            tag = 2;
        tags |= tag << 2 * i;
    }
    return tags;
}

static void make_environment(const struct exec *x, struct environment *e)
{
    const struct x86emu_x87 *x87 = &x->vcpu->x87;
    uint64_t upper = e->size == 28 ? 0xffff0000 : 0;

    put(e, 0, x87->control | upper);
    put(e, 1, x87->status | upper);
    put(e, 2, full_tags(x) | upper);
    if (is_real(x)) {
        put(e, 3, x87->ip & (e->size == 28 ? 0xffff : 0xffff));
        put(e, 4, (x87->ip >> 16 << 12 & 0xffff000) | (x87->opcode & 0x7ff));
        put(e, 5, x87->dp & 0xffff);
        put(e, 6, x87->dp >> 16 << 12 & 0xffff000);
        return;
    }
    put(e, 3, x87->ip);
    put(e, 4, x87->cs | (e->size == 28 ? (uint64_t)(x87->opcode & 0x7ff) << 16 : 0));
    put(e, 5, x87->dp);
    put(e, 6, x87->ds | upper);
}

static unsigned environment_size(const struct exec *x)
{
    return x->insn->operand_size == 2 ? 14 : 28;
}

/* FLDENV and FRSTOR mark registers valid or empty alone; what else a tag says is in the value. */
static void stage_environment(struct exec *x, const struct environment *e)
{
    struct x86emu_x87 *x87 = &x->vcpu->x87;
    unsigned control = ((unsigned)get(e, 0) & 0x1f3f) | 0x40, tags = 0;

    for (unsigned i = 0; i < 8; i++)
        tags |= (get(e, 2) >> 2 * i & 3) == EMPTY ? 3u << 2 * i : 0;
    stage_16(x, &x87->control, control);
    stage_status(x, summarised((unsigned)get(e, 1) & 0x7fff, control));
    stage_16(x, &x87->tag, tags);
    if (is_real(x)) {
        stage_register(x, X86EMU_STATE_X87, &x87->ip, (get(e, 3) & 0xffff) | (get(e, 4) >> 12 << 16));
        stage_register(x, X86EMU_STATE_X87, &x87->dp, (get(e, 5) & 0xffff) | (get(e, 6) >> 12 << 16));
        stage_16(x, &x87->opcode, (unsigned)get(e, 4) & 0x7ff);
        return;
    }
    stage_register(x, X86EMU_STATE_X87, &x87->ip, get(e, 3));
    stage_register(x, X86EMU_STATE_X87, &x87->dp, get(e, 5));
    stage_16(x, &x87->opcode, e->size == 28 ? (unsigned)(get(e, 4) >> 16) & 0x7ff : 0);
}

/* Each word and each register's two parts are accesses of their own, as on processors: each may wrap. */
static void write_environment(struct exec *x, struct logical a, const struct environment *e)
{
    unsigned word = e->size / 7;

    for (unsigned i = 0; i < 7; i++)
        x86emu_memory_write(x, beyond(x, a, i * word), word, e->bytes + i * word);
}

static bool read_environment(struct exec *x, struct logical a, struct environment *e)
{
    unsigned word = e->size / 7;

    for (unsigned i = 0; i < 7; i++)
        x86emu_memory_read(x, beyond(x, a, i * word), word, USE_PLAIN, e->bytes + i * word);
    return !x->stopped;
}

/* FNSTENV masks all exceptions afterwards. */
void x86emu_exec_fnstenv(struct exec *x)
{
    struct environment e = {.size = environment_size(x)};
    struct logical a;

    if (!usable(x, false) || !x86emu_operand_address(x, 0, &a))
        return;
    make_environment(x, &e);
    write_environment(x, a, &e);
    stage_16(x, &x->vcpu->x87.control, x->vcpu->x87.control | EXCEPTIONS);
    stage_status(x, x->vcpu->x87.status & ~(unsigned)(STATUS_ES | STATUS_B));
}

void x86emu_exec_fldenv(struct exec *x)
{
    struct environment e = {.size = environment_size(x)};
    struct logical a;

    if (!usable(x, true) || !x86emu_operand_address(x, 0, &a) || !read_environment(x, a, &e))
        return;
    stage_environment(x, &e);
}

/* The registers follow the environment, ST(0) first, 10 bytes each. */
void x86emu_exec_fnsave(struct exec *x)
{
    struct environment e = {.size = environment_size(x)};
    struct logical a;

    if (!usable(x, false) || !x86emu_operand_address(x, 0, &a))
        return;
    make_environment(x, &e);
    write_environment(x, a, &e);
    for (unsigned i = 0; i < 8; i++) {
        unsigned at = e.size + 10 * i;
        uint8_t bytes[10];

        store_le(bytes, x->vcpu->x87.st[physical(x, i)].mantissa, 8);
        store_le(bytes + 8, x->vcpu->x87.st[physical(x, i)].exponent, 2);
        x86emu_memory_store(x, beyond(x, a, at), 8, USE_UNALIGNED, bytes);
        x86emu_memory_store(x, beyond(x, a, at + 8), 2, USE_UNALIGNED, bytes + 8);
    }
    stage_initial(x);
}

void x86emu_exec_frstor(struct exec *x)
{
    struct environment e = {.size = environment_size(x)};
    struct logical a;
    unsigned top;

    if (!usable(x, true) || !x86emu_operand_address(x, 0, &a) || !read_environment(x, a, &e))
        return;
    stage_environment(x, &e);
    top = (unsigned)get(&e, 1) >> TOP_SHIFT & 7;
    for (unsigned i = 0; i < 8; i++) {
        unsigned at = e.size + 10 * i;
        uint8_t bytes[10] = {0};

        x86emu_memory_read(x, beyond(x, a, at), 8, USE_UNALIGNED, bytes);
        x86emu_memory_read(x, beyond(x, a, at + 8), 2, USE_UNALIGNED, bytes + 8);
        x86emu_stage(x, X86EMU_STATE_X87, &x->vcpu->x87.st[(top + i) & 7], bytes, 10);
    }
}
