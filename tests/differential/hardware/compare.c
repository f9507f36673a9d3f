/* SPDX-License-Identifier: BSD-2-Clause */
/* What must be equal after an instruction, and how a difference is told. */
#include "hardware.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    STATUS_FLAGS =
        X86EMU_RFLAGS_CF | X86EMU_RFLAGS_PF | X86EMU_RFLAGS_AF | X86EMU_RFLAGS_ZF | X86EMU_RFLAGS_SF | X86EMU_RFLAGS_OF,
    COMPARED_FLAGS = STATUS_FLAGS | X86EMU_RFLAGS_DF | X86EMU_RFLAGS_NT | X86EMU_RFLAGS_AC | X86EMU_RFLAGS_ID,
};

static void differ(struct difference *d, const char *format, ...)
{
    size_t used = strlen(d->text);
    va_list list;

    d->found = true;
    va_start(list, format);
    vsnprintf(d->text + used, sizeof(d->text) - used, format, list);
    va_end(list);
}

static void compare_number(struct difference *d, const char *name, unsigned n, uint64_t model, uint64_t native)
{
    if (model != native)
        differ(d, "    %s%u: emulated %#" PRIx64 ", processor %#" PRIx64 "\n", name, n, model, native);
}

/*
 * What of a faulting instruction has happened already differs by design: the emulator leaves all as it was. Processors
 * have stored what ENTER, PUSHA and CALL push and loaded some registers of POPA before they find the fault. The
 * instruction is restarted either way, and does the same again.
 */
static bool has_large_area(const struct situation *s);
static bool may_fault_masked(const struct situation *s);

static bool has_partial_stores(const struct situation *s, const struct result *native)
{
    unsigned mnemonic = x86emu_form_mnemonic(s->insn.form);

    if (native->ending == ENDED_EXCEPTION && (has_large_area(s) || may_fault_masked(s)))
        return true;
    return native->ending == ENDED_EXCEPTION &&
           (mnemonic == X86EMU_MN_ENTER || mnemonic == X86EMU_MN_PUSHA || mnemonic == X86EMU_MN_PUSHAD ||
            mnemonic == X86EMU_MN_CALL || mnemonic == X86EMU_MN_FSTP);
}

static bool has_partial_loads(const struct situation *s, const struct result *native)
{
    unsigned mnemonic = x86emu_form_mnemonic(s->insn.form);

    return native->ending == ENDED_EXCEPTION && (mnemonic == X86EMU_MN_POPA || mnemonic == X86EMU_MN_POPAD);
}

/*
 * The same for REP with 32-bit addresses in 64-bit mode: with the fault, this processor has already cleared the upper
 * halves of the count and the index registers.
 */
static bool clears_upper_halves(const struct situation *s, const struct result *native)
{
    return native->ending == ENDED_EXCEPTION && s->mode == X86EMU_MODE_64 && s->insn.address_size == 4 &&
           (s->insn.prefixes & (X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE)) != 0;
}

/*
 * After a far transfer to compatibility mode the upper halves of registers are undefined (SDM Vol. 1, 3.4.1.1). This
 * processor keeps them, but has lost that of RSP when the next exception stores it.
 */
static bool leaves_64_bit_mode(const struct situation *s, const struct result *model)
{
    return s->mode == X86EMU_MODE_64 && model->ending == ENDED_RETIRED &&
           model->selector[X86EMU_CS] >> 2 != s->selector[X86EMU_CS] >> 2;
}

static void compare_flags(const struct situation *s, const struct result *model, const struct result *native,
                          struct difference *d)
{
    uint64_t changed = (model->registers.rflags ^ native->registers.rflags) & COMPARED_FLAGS;
    uint32_t undefined = x86emu_form_flags(s->insn.form)->undefined;

    d->undefined = (uint32_t)changed & undefined;
    if ((changed & ~(uint64_t)undefined) != 0)
        differ(d, "    flags: emulated %#" PRIx64 ", processor %#" PRIx64 ", different %#" PRIx64 "\n",
               model->registers.rflags & COMPARED_FLAGS, native->registers.rflags & COMPARED_FLAGS,
               changed & ~(uint64_t)undefined);
}

static void compare_general(const struct situation *s, const struct result *model, const struct result *native,
                            struct difference *d)
{
    unsigned count = s->mode == X86EMU_MODE_64 ? 16 : 8;
    uint64_t mask = s->mode == X86EMU_MODE_64 ? UINT64_MAX : UINT32_MAX;

    if (clears_upper_halves(s, native))
        mask = UINT32_MAX;
    for (unsigned i = 0; i < count; i++) {
        uint64_t defined = i == X86EMU_RSP && leaves_64_bit_mode(s, model) ? UINT32_MAX : mask;

        compare_number(d, "register ", i, model->registers.gpr[i] & defined, native->registers.gpr[i] & defined);
    }
}

static void compare_x87(const struct x86emu_x87 *model, const struct x86emu_x87 *native, struct difference *d)
{
    for (unsigned i = 0; i < 8; i++) {
        compare_number(d, "x87 significand ", i, model->st[i].mantissa, native->st[i].mantissa);
        compare_number(d, "x87 exponent ", i, model->st[i].exponent, native->st[i].exponent);
        compare_number(d, "x87 empty ", i, (model->tag >> (2 * i) & 3) == 3, (native->tag >> (2 * i) & 3) == 3);
    }
    compare_number(d, "x87 control ", 0, model->control, native->control);
    compare_number(d, "x87 status ", 0, model->status, native->status);
    compare_number(d, "x87 opcode ", 0, model->opcode & 0x7ff, native->opcode & 0x7ff);
    /* What processors keep of the upper byte of a pointer that is not canonical differs. */
    compare_number(d, "x87 instruction pointer ", 0, model->ip << 8, native->ip << 8);
    compare_number(d, "x87 data pointer ", 0, model->dp << 8, native->dp << 8);
}

/* An MMX instruction whose store faults has made the x87 registers its own already; FRSTOR has loaded some. */
static bool has_taken_x87(const struct situation *s, const struct result *native)
{
    struct x86emu_operand operand;
    bool mmx = false;

    for (unsigned n = 0; x86emu_insn_operand(&s->insn, n, &operand); n++)
        mmx |= operand.reg.reg_class == X86EMU_REG_MMX;
    return (mmx || has_large_area(s)) && native->ending == ENDED_EXCEPTION;
}

static void compare_vectors(const struct vectors *model, const struct vectors *native, bool with_x87,
                            struct difference *d)
{
    if (memcmp(model->zmm, native->zmm, sizeof(model->zmm)) != 0)
        for (unsigned i = 0; i < 32 * 8; i++)
            if (model->zmm[i / 8].u64[i % 8] != native->zmm[i / 8].u64[i % 8])
                differ(d, "    zmm%u[%u]: emulated %#" PRIx64 ", processor %#" PRIx64 "\n", i / 8, i % 8,
                       model->zmm[i / 8].u64[i % 8], native->zmm[i / 8].u64[i % 8]);
    for (unsigned i = 0; i < 8; i++)
        compare_number(d, "k", i, model->k[i], native->k[i]);
    compare_number(d, "mxcsr ", 0, model->mxcsr, native->mxcsr);
    if (with_x87)
        compare_x87(&model->x87, &native->x87, d);
}

static const char *ending_name(const struct result *result, char *text, size_t room)
{
    if (result->ending == ENDED_RETIRED)
        snprintf(text, room, "retired, next %#" PRIx64, result->registers.rip);
    else
        snprintf(text, room, "exception %u, error code %#" PRIx32 ", CR2 %#" PRIx64, result->exception.vector,
                 result->exception.error_code, result->exception.cr2);
    return text;
}

static bool has_sign_mask(const struct situation *s)
{
    switch (x86emu_form_mnemonic(s->insn.form)) {
    case X86EMU_MN_VMASKMOVPS:
    case X86EMU_MN_VMASKMOVPD:
    case X86EMU_MN_VPMASKMOVD:
    case X86EMU_MN_VPMASKMOVQ:
    case X86EMU_MN_MASKMOVQ:
    case X86EMU_MN_MASKMOVDQU:
    case X86EMU_MN_VMASKMOVDQU:
        return true;
    default:
        return false;
    }
}

/* Whether MASKMOV faults for bytes that are masked out is the model's choice (SDM Vol. 2, MASKMOVDQU). */
static bool may_fault_masked(const struct situation *s)
{
    unsigned mnemonic = x86emu_form_mnemonic(s->insn.form);

    return mnemonic == X86EMU_MN_MASKMOVQ || mnemonic == X86EMU_MN_MASKMOVDQU || mnemonic == X86EMU_MN_VMASKMOVDQU;
}

/* FSAVE, FXSAVE, XSAVE and their kin access many bytes in an order of the model's choice: which fault comes first is too. */
static bool has_large_area(const struct situation *s)
{
    switch (x86emu_form_mnemonic(s->insn.form)) {
    case X86EMU_MN_FNSAVE:
    case X86EMU_MN_FRSTOR:
    case X86EMU_MN_FNSTENV:
    case X86EMU_MN_FLDENV:
    case X86EMU_MN_FXSAVE:
    case X86EMU_MN_FXSAVE64:
    case X86EMU_MN_FXRSTOR:
    case X86EMU_MN_FXRSTOR64:
    case X86EMU_MN_XSAVE:
    case X86EMU_MN_XSAVE64:
    case X86EMU_MN_XSAVEOPT:
    case X86EMU_MN_XSAVEOPT64:
    case X86EMU_MN_XSAVEC:
    case X86EMU_MN_XSAVEC64:
    case X86EMU_MN_XRSTOR:
    case X86EMU_MN_XRSTOR64:
        return true;
    default:
        return false;
    }
}

/* Both end with one of the faults of its address or contents. */
static bool same_area_fault(const struct result *model, const struct result *native)
{
    const unsigned faults =
        1u << X86EMU_VECTOR_PF | 1u << X86EMU_VECTOR_GP | 1u << X86EMU_VECTOR_SS | 1u << X86EMU_VECTOR_AC;

    return model->ending == ENDED_EXCEPTION && native->ending == ENDED_EXCEPTION &&
           (faults >> model->exception.vector & 1) != 0 && (faults >> native->exception.vector & 1) != 0;
}

/* Exceptions that are traps leave RIP behind the instruction; the others at it. */
static bool same_ending(const struct situation *s, const struct result *model, const struct result *native)
{
    bool under_mask = (s->insn.encoding == X86EMU_ENCODING_EVEX && (s->insn.evex & 7) != 0) || has_sign_mask(s);

    if (has_large_area(s) && same_area_fault(model, native))
        return true;
    if (may_fault_masked(s) && native->ending == ENDED_EXCEPTION && native->exception.vector != X86EMU_VECTOR_UD &&
        model->exception.vector != X86EMU_VECTOR_UD)
        return true;
    if (model->ending != native->ending)
        return false;
    if (model->ending == ENDED_RETIRED)
        return model->registers.rip == native->registers.rip;
    if (model->exception.vector != native->exception.vector)
        return false;
    if (model->exception.has_error_code && model->exception.error_code != native->exception.error_code)
        return false;
    if (model->exception.vector == X86EMU_VECTOR_PF && under_mask) /* which byte of the page is the model's choice */
        return (model->exception.cr2 ^ native->exception.cr2) < PAGE;
    if (model->exception.vector == X86EMU_VECTOR_PF)
        return model->exception.cr2 == native->exception.cr2;
    return true;
}

void compare_results(const struct situation *s, const struct result *model, const struct result *native,
                     struct difference *d)
{
    char one[128], two[128];

    d->found = false;
    d->undefined = 0;
    d->text[0] = 0;
    if (!same_ending(s, model, native)) {
        differ(d, "    emulated: %s\n    processor: %s\n", ending_name(model, one, sizeof(one)),
               ending_name(native, two, sizeof(two)));
        return;
    }
    if (has_partial_loads(s, native))
        return;
    compare_general(s, model, native, d);
    compare_flags(s, model, native, d);
    for (unsigned i = 0; i < 6; i++)
        if ((model->selector[i] | native->selector[i]) > 3) /* the kernel's return may clear a null selector's RPL */
            compare_number(d, "selector ", i, model->selector[i], native->selector[i]);
    if (s->with_vectors)
        compare_vectors(&model->vectors, &native->vectors, !has_taken_x87(s, native), d);
}

static void compare_memory(struct difference *d)
{
    const uint8_t *native = machine_writable();

    if (memcmp(model_writable, native, WRITABLE_SIZE) == 0)
        return;
    for (unsigned i = 0; i < WRITABLE_SIZE; i++)
        if (model_writable[i] != native[i])
            differ(d, "    memory %#x: emulated %02x, processor %02x\n", WRITABLE + i, model_writable[i], native[i]);
}

bool compare_run(struct situation *s, const uint8_t *before, struct result *model, struct result *native,
                 struct difference *d)
{
    uint64_t next;

    memcpy(model_writable, before, WRITABLE_SIZE);
    d->found = false;
    model_run(s, model);
    if (model->ending > ENDED_EXCEPTION)
        return false;
    next = segment_of(model->selector[X86EMU_CS]).base + model->registers.rip;
    if (model->ending == ENDED_RETIRED) {
        /* Not where it would go on running, by another segment either, or to what this program doesn't know; nor with
           a trap after it. */
        if (next >> 32 != 0 || (next >= COCKPIT && next < COCKPIT + COCKPIT_SIZE) ||
            (next >= code_address(s) && next < code_address(s) + s->insn.length + 9u &&
             (next != code_address(s) + s->insn.length || model->selector[X86EMU_CS] != s->selector[X86EMU_CS])) ||
            (model->registers.rflags & X86EMU_RFLAGS_TF) != 0)
            return false;
    }
    memcpy(machine_writable(), before, WRITABLE_SIZE);
    machine_run(s, native);
    if (native->ending == ENDED_ELSEWHERE)
        return false;
    compare_results(s, model, native, d);
    if (!has_partial_stores(s, native))
        compare_memory(d);
    return true;
}
