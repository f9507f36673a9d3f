/* SPDX-License-Identifier: BSD-2-Clause */
/* Where QEMU 7.2 and Bochs 2.7 differ from the manual, or where it leaves a choice: each with the section. */
#include "judge.h"

/* --- what a case is about ----------------------------------------------------------------------------------------- */

/* The instruction behind its prefixes. */
static const uint8_t *code_of(const struct comparison *k)
{
    const uint8_t *code = k->c->world + k->c->code;

    while (*code == 0x66 || *code == 0x67 || *code == 0xf2 || *code == 0xf3 || *code == 0x26 || *code == 0x2e ||
           *code == 0x36 || *code == 0x3e || *code == 0x64 || *code == 0x65 ||
           (k->c->mode == X86EMU_MODE_64 && *code >= 0x40 && *code < 0x50))
        code++;
    return code;
}

/* Whether the mnemonic is one of those words. */
static bool is_one_of(const struct comparison *k, const char *words)
{
    const char *name = k->c->form != 0 ? x86emu_mnemonic_name(x86emu_form_mnemonic(k->c->form)) : "?";
    size_t length = strlen(name);

    for (; *words != 0; words += strcspn(words, " "), words += *words == ' ')
        if (strncmp(words, name, length) == 0 && (words[length] == ' ' || words[length] == 0))
            return true;
    return false;
}

static bool is_two_byte(const struct comparison *k, unsigned first, unsigned last)
{
    const uint8_t *code = code_of(k);

    return code[0] == 0x0f && code[1] >= first && code[1] <= last;
}

/* MOV to and from debug registers 4 and 5. */
static bool is_dr45(const struct comparison *k)
{
    return is_two_byte(k, 0x21, 0x23) && (code_of(k)[1] & 1) && (code_of(k)[2] >> 4 & 3) == 2;
}

static bool is_long(const struct comparison *k)
{
    return k->c->environment == ENVIRONMENT_LONG;
}

static uint32_t ours(const struct comparison *k, unsigned offset)
{
    return get32(k->ours->world, offset);
}

static uint32_t theirs(const struct comparison *k, unsigned offset)
{
    return get32(k->theirs->world, offset);
}

/* The exception that came first: a case's own handler ends at once with INT3. */
static uint32_t first_vector(const struct comparison *k, const struct outcome *o)
{
    uint32_t vector = get32(o->world, W_VECTOR);
    uint32_t ip = get32(o->world, k->c->environment == ENVIRONMENT_PROTECTED ? W_TSS_A + 0x20 : W_FRAME) & 0xffff;

    if (vector == X86EMU_VECTOR_BP && ip > W_HANDLERS && ip <= W_HANDLERS + 32 * HANDLER_SIZE)
        return (ip - W_HANDLERS - 1) / HANDLER_SIZE;
    return vector;
}

static bool is_vm86(const struct comparison *k)
{
    return k->c->environment == ENVIRONMENT_PROTECTED && get32(k->c->world, W_TSS_A + 0x24) & X86EMU_RFLAGS_VM;
}

static bool same_end(const struct comparison *k)
{
    return !k->ours->shutdown && !k->theirs->shutdown && ours(k, W_VECTOR) == theirs(k, W_VECTOR);
}

/* The bits that differ there. */
static uint32_t bits(const struct comparison *k, unsigned offset)
{
    return outcome_difference(k->c, k->ours, k->theirs, offset);
}

static bool in_stack(unsigned offset)
{
    return offset >= W_STACKS && offset < W_DATA;
}

/* A place for a copy of FLAGS. */
static bool holds_flags(unsigned offset)
{
    return in_stack(offset) || offset == W_TSS_A + 0x24 || offset == W_TSS_B + 0x24 || offset == W_TSS_E + 0x24 ||
           offset == W_FRAME + 16;
}

/* --- both models -------------------------------------------------------------------------------------------------- */

/* A fault in the new task's context: the library looks before it leaps. */
static bool new_task(const struct comparison *k)
{
    return !is_long(k) && !k->theirs->shutdown && ours(k, W_LINK) == SEL_TSS_A && theirs(k, W_LINK) != SEL_TSS_A;
}

static bool resume_in_repetition(const struct comparison *k, unsigned offset)
{
    return holds_flags(offset) && bits(k, offset) == X86EMU_RFLAGS_RF && (ours(k, offset) & X86EMU_RFLAGS_RF) &&
           k->c->world[k->c->code + (k->c->world[k->c->code] == 0x66)] == 0xf3;
}

static bool general_detect_flag(const struct comparison *k, unsigned offset)
{
    return holds_flags(offset) && bits(k, offset) == X86EMU_RFLAGS_RF && ours(k, W_DR + 16) & X86EMU_DR6_BD;
}

static bool debug_45(const struct comparison *k)
{
    return is_dr45(k);
}

static bool null_stack(const struct comparison *k)
{
    return k->c->mode == X86EMU_MODE_64 && is_one_of(k, "ret iret iretd iretq") &&
           ours(k, W_VECTOR) != X86EMU_VECTOR_BP && ours(k, W_FRAME) == get32(k->c->world, W_FRAME) &&
           (theirs(k, W_FRAME + 32) & 0xfffc) == 0;
}

/* --- Bochs -------------------------------------------------------------------------------------------------------- */

static bool unused_breakpoint(const struct comparison *k, unsigned offset)
{
    return offset == W_DR + 16 && (bits(k, offset) & ~0xfu) == 0;
}

static bool short_iret(const struct comparison *k)
{
    return k->c->mode == X86EMU_MODE_64 && is_one_of(k, "iret iretd");
}

/* Stores that stay when the instruction faults later. */
static bool early_push(const struct comparison *k, unsigned offset)
{
    return in_stack(offset) && same_end(k) && ours(k, offset) == get32(k->c->world, offset);
}

static bool pointer_order(const struct comparison *k, unsigned offset)
{
    uint32_t a = ours(k, offset), b = theirs(k, offset);
    bool address = (offset == W_CR2 || offset == W_GPR + 0x20) && (a - b <= 16 || b - a <= 16);
    bool accessed = offset >= W_ENTRIES && offset < W_ENTRIES + 64 && (a ^ b) == 0x20;

    return (address || accessed) && same_end(k) &&
           is_one_of(k, "lds les lss lfs lgs call jmp bound ret iret iretd iretq pop lgdt lidt");
}

/* The trap after MOV to DR6: what was written stays, or not. */
static bool step_after_dr6(const struct comparison *k, unsigned offset)
{
    return offset == W_DR + 16 && is_two_byte(k, 0x23, 0x23) && bits(k, offset) != 0 &&
           theirs(k, offset) & ours(k, offset) & X86EMU_DR6_BS;
}

static bool arpl_write(const struct comparison *k, unsigned offset)
{
    return offset == W_ERROR && bits(k, offset) == 2 && is_one_of(k, "arpl");
}

static bool step_with_detect(const struct comparison *k, unsigned offset)
{
    return offset == W_DR + 16 && bits(k, offset) == X86EMU_DR6_BS && ours(k, offset) & X86EMU_DR6_BD;
}

static bool task_of_ldt(const struct comparison *k)
{
    return is_one_of(k, "jmp call") && ours(k, W_ERROR) == theirs(k, W_ERROR) && ours(k, W_ERROR) & 4 &&
           first_vector(k, k->ours) == X86EMU_VECTOR_NP && first_vector(k, k->theirs) == X86EMU_VECTOR_GP;
}

/* Linux returns by IRET where TF is set, because SYSRET would trap before the program's next instruction. */
static bool early_step(const struct comparison *k)
{
    return is_one_of(k, "syscall sysret") && (ours(k, W_DR + 16) ^ theirs(k, W_DR + 16)) & X86EMU_DR6_BS;
}

static bool wide_upper_half(const struct comparison *k)
{
    return is_long(k) && is_one_of(k, "lar lsl");
}

static bool bound_reads(const struct comparison *k)
{
    return is_one_of(k, "bound") && first_vector(k, k->ours) == X86EMU_VECTOR_BR;
}

static bool ltr_upper_half(const struct comparison *k)
{
    return is_long(k) && is_one_of(k, "ltr lldt");
}

static bool traced_switch(const struct comparison *k)
{
    return is_one_of(k, "jmp call iret iretd int") && ours(k, W_LINK) != SEL_TSS_A &&
           ours(k, W_DR + 16) & X86EMU_DR6_BS && !(theirs(k, W_DR + 16) & X86EMU_DR6_BS);
}

static bool vm86_limit(const struct comparison *k)
{
    return k->c->mode == X86EMU_MODE_16 && same_end(k) && ours(k, W_VECTOR) == X86EMU_VECTOR_GP &&
           is_one_of(k, "iret iretd");
}

/* --- QEMU --------------------------------------------------------------------------------------------------------- */

static bool resume_flag(const struct comparison *k, unsigned offset)
{
    return holds_flags(offset) && bits(k, offset) == X86EMU_RFLAGS_RF;
}

static bool segment_push(const struct comparison *k, unsigned offset)
{
    return in_stack(offset) && (bits(k, offset) & 0xffff) == 0 && is_one_of(k, "push") && code_of(k)[0] != 0xff;
}

static bool empty_port(const struct comparison *k, unsigned offset)
{
    return is_one_of(k, "in insb insw insd") &&
           (offset == W_TSS_A + 0x28 || offset == W_GPR || (offset >= W_DATA && theirs(k, offset) != ours(k, offset)));
}

static bool short_store(const struct comparison *k, unsigned offset)
{
    return is_one_of(k, "sgdt sidt lgdt lidt") && offset >= W_DATA;
}

static bool gate_offset(const struct comparison *k, unsigned offset)
{
    return (offset == W_TSS_A + 0x20 || offset == W_TSS_E + 0x20 || offset == W_TSS_B + 0x20) &&
           (bits(k, offset) & 0xffff) == 0 && ours(k, offset) <= 0xffff;
}

static bool debug_bits(const struct comparison *k, unsigned offset)
{
    return (offset == W_DR + 16 || offset == W_DR + 20) && is_two_byte(k, 0x21, 0x23);
}

static bool lar_bits(const struct comparison *k, unsigned offset)
{
    return is_one_of(k, "lar") && (bits(k, offset) & ~0xf0000u) == 0;
}

static bool reserved_cr0(const struct comparison *k, unsigned offset)
{
    return offset == W_CR0 && (bits(k, offset) & ~0x1ff8ffc0u) == 0;
}

static bool user_stack(const struct comparison *k, unsigned offset)
{
    return offset == W_ERROR && bits(k, offset) == 4 && ours(k, W_VECTOR) == X86EMU_VECTOR_PF &&
           is_one_of(k, "ret iret iretd iretq");
}

static bool wide_vector(const struct comparison *k, unsigned offset)
{
    return is_long(k) && (offset == W_ERROR || in_stack(offset)) &&
           theirs(k, offset) == (ours(k, offset) >> 3 << 4 | 2);
}

static bool int1(const struct comparison *k)
{
    return is_one_of(k, "int1");
}

static bool general_detect(const struct comparison *k)
{
    return is_two_byte(k, 0x21, 0x23) && get32(k->c->world, W_DR + 20) & X86EMU_DR7_GD;
}

static bool fast_call(const struct comparison *k)
{
    return k->c->mode != X86EMU_MODE_64 && (is_two_byte(k, 0x05, 0x07) || is_two_byte(k, 0x34, 0x35));
}

static bool invalid_or_privileged(const struct comparison *k)
{
    return first_vector(k, k->ours) != first_vector(k, k->theirs) && is_two_byte(k, 0x20, 0x23);
}

static bool canonical_msr(const struct comparison *k)
{
    return is_one_of(k, "wrmsr");
}

static bool interrupt_stack_null(const struct comparison *k, unsigned offset)
{
    return is_long(k) && (offset == W_FRAME + 32 || in_stack(offset)) && theirs(k, offset) <= 3 && ours(k, offset) > 3;
}

static bool flags_of_syscall(const struct comparison *k, unsigned offset)
{
    return is_one_of(k, "syscall") && holds_flags(offset) && (theirs(k, offset) & ~ours(k, offset)) == 0;
}

static bool base_in_64_bit_mode(const struct comparison *k)
{
    return k->c->mode == X86EMU_MODE_64 && k->other_agrees && same_end(k) && is_one_of(k, "mov pop");
}

static bool wide_pointer(const struct comparison *k)
{
    return k->c->mode == X86EMU_MODE_64 && k->other_agrees && is_one_of(k, "lss lfs lgs jmp call");
}

static bool read_marks_page(const struct comparison *k, unsigned offset)
{
    return offset >= W_ENTRIES && offset < W_MSR && bits(k, offset) == 0x20 &&
           first_vector(k, k->ours) == X86EMU_VECTOR_PF;
}

static bool read_before_write(const struct comparison *k, unsigned offset)
{
    return (offset == W_ERROR || in_stack(offset)) && bits(k, offset) == 2 && ours(k, offset) & 2 &&
           first_vector(k, k->ours) == X86EMU_VECTOR_PF;
}

static bool locked_register(const struct comparison *k)
{
    return k->c->world[k->c->code] == 0xf0;
}

static bool alignment(const struct comparison *k)
{
    return first_vector(k, k->ours) == X86EMU_VECTOR_AC && k->other_agrees;
}

static bool virtual_mode_extensions(const struct comparison *k)
{
    return k->other_agrees &&
           ((is_vm86(k) && get32(k->c->world, W_CR4) & X86EMU_CR4_VME) || get32(k->c->world, W_CR4) & X86EMU_CR4_PVI);
}

static bool external_bit(const struct comparison *k, unsigned offset)
{
    return (offset == W_ERROR || in_stack(offset)) && bits(k, offset) == 1 && ours(k, offset) & 1;
}

static bool accessed_bit(const struct comparison *k, unsigned offset)
{
    return offset >= W_GDT && offset < W_CR0 && bits(k, offset) == 0x100 && ours(k, offset) & 0x100;
}

static bool shadow_of_sti(const struct comparison *k)
{
    return is_one_of(k, "sti") && ours(k, W_DR + 16) & X86EMU_DR6_BS;
}

/* The library and Bochs say that an access or a jump breaks a rule of the segment; QEMU goes on. */
static bool segment_checks(const struct comparison *k)
{
    uint32_t vector = first_vector(k, k->ours);

    return k->other_agrees && (vector == X86EMU_VECTOR_GP || vector == X86EMU_VECTOR_SS || vector == X86EMU_VECTOR_DF);
}

const struct deviation deviations[] = {
    {MODEL_BOCHS, "DR6 also names breakpoints that are not enabled", "SDM Vol. 3, 17.2.3 allows it", unused_breakpoint,
     NULL},
    {MODEL_BOCHS, "general detect leaves RF", "SDM Vol. 3, 17.3.1.1: any fault but an instruction breakpoint sets it",
     general_detect_flag, NULL},
    {MODEL_BOCHS, "a trap between iterations leaves RF", "SDM Vol. 3, 17.3.1.1: it is set", resume_in_repetition, NULL},
    {MODEL_BOCHS, "what was pushed before a fault stays", "SDM Vol. 2, CALL, INT n: checks come first", early_push,
     NULL},
    {MODEL_BOCHS, "the selector of a far pointer is read first", "not documented", pointer_order, NULL},
    {MODEL_BOCHS, "DR4 and DR5 are #UD before the privilege is looked at", "SDM Vol. 2, MOV: no order", NULL, debug_45},
    {MODEL_BOCHS, "IRET and IRETD in 64-bit mode leave SS and RSP", "SDM Vol. 2, IRET: they are popped always", NULL,
     short_iret},
    {MODEL_BOCHS, "IRET in virtual-8086 mode goes beyond the limit", "SDM Vol. 2, IRET: #GP(0)", NULL, vm86_limit},
    {MODEL_BOCHS, "general detect sets DR6.BS with TF", "SDM Vol. 3, 17.2.3: not a single step", step_with_detect,
     NULL},
    {MODEL_BOCHS, "a single-step trap clears other bits of DR6", "SDM Vol. 3, 17.2.3: bits 0 to 3 may be, others never",
     step_after_dr6, NULL},
    {MODEL_BOCHS, "ARPL reads its destination as if to write it", "processors don't: the hardware comparison",
     arpl_write, NULL},
    {MODEL_BOCHS, "no single-step trap after an instruction that switches tasks", "not documented", NULL,
     traced_switch},
    {MODEL_BOCHS, "a TSS in the LDT is #GP before it is #NP", "SDM Vol. 2, JMP: no order", NULL, task_of_ldt},
    {MODEL_BOCHS, "SYSCALL and SYSRET trap by TF as it was before them", "processors and QEMU: as it is after them",
     NULL, early_step},
    {MODEL_BOCHS, "LAR and LSL look at the upper half of wide descriptors", "SDM Vol. 2, LAR: no such check", NULL,
     wide_upper_half},
    {MODEL_BOCHS, "LTR takes any upper half of a wide descriptor", "SDM Vol. 2, LTR: #GP unless its type is 0", NULL,
     ltr_upper_half},
    {MODEL_BOCHS, "BOUND reads both bounds first", "processors don't: the hardware comparison", NULL, bound_reads},
    {MODEL_BOCHS, "returns to SS 0 at CPL 1 and 2", "SDM Vol. 2, RET, 64-bit mode: #GP(0) unless its RPL is the CPL",
     NULL, null_stack},
    {MODEL_BOCHS, "a new task's selectors fault in the new task", "the library faults in the old one: docs/design.md",
     NULL, new_task},

    {MODEL_QEMU, "RF is neither cleared by instructions nor set for faults", "SDM Vol. 3, 17.3.1.1", resume_flag, NULL},
    {MODEL_QEMU, "PUSH of a segment register writes all bytes of its operand",
     "SDM Vol. 2, PUSH: recent processors write two", segment_push, NULL},
    {MODEL_QEMU, "a port without a device reads as zeroes", "not the processor's", empty_port, NULL},
    {MODEL_QEMU, "SGDT, LGDT and their like use 24 bits of the base with a 16-bit operand size, in 64-bit mode too",
     "SDM Vol. 2, SGDT: all bits are stored; LGDT: 64-bit mode has one size", short_store, NULL},
    {MODEL_QEMU, "16-bit gates use the upper half of the offset", "SDM Vol. 3, 6.11 and 5.8.3", gate_offset, NULL},
    {MODEL_QEMU, "reserved bits of DR6 and DR7 can be changed", "SDM Vol. 3, 17.2.3, 17.2.4", debug_bits, NULL},
    {MODEL_QEMU, "LAR clears bits 16 to 19", "SDM Vol. 2, LAR: undefined", lar_bits, NULL},
    {MODEL_QEMU, "what was pushed before a fault stays", "SDM Vol. 2, CALL, INT n: checks come first", early_push,
     NULL},
    {MODEL_QEMU, "the parts of a far pointer are read in another order", "not documented", pointer_order, NULL},
    {MODEL_QEMU, "EXT is not set in error codes of exceptions in delivery", "SDM Vol. 3, 6.13", external_bit, NULL},
    {MODEL_QEMU, "far transfers don't set the accessed bit of code segments", "SDM Vol. 3, 3.4.5.1", accessed_bit,
     NULL},
    {MODEL_QEMU, "reserved bits of CR0 can be changed", "SDM Vol. 3, 2.5: they are 0", reserved_cr0, NULL},
    {MODEL_QEMU, "RET and IRET of users read their stack as a supervisor", "SDM Vol. 3, 4.7", user_stack, NULL},
    {MODEL_QEMU, "an interrupt stack without a change of privilege makes SS null", "SDM Vol. 3, 6.14.4",
     interrupt_stack_null, NULL},
    {MODEL_QEMU, "SYSCALL loses flags", "SDM Vol. 2, SYSCALL: SFMASK alone clears", flags_of_syscall, NULL},
    {MODEL_QEMU, "after a load of SS its base counts in 64-bit mode", "SDM Vol. 3, 3.4.4: it is 0", NULL,
     base_in_64_bit_mode},
    {MODEL_QEMU, "far pointers with REX.W have 32 bits, as AMD's processors have them", "SDM Vol. 2, LFS: 64 bits",
     NULL, wide_pointer},
    {MODEL_QEMU, "the read of a read-modify-write that may not write marks the page accessed", "SDM Vol. 3, 4.8",
     read_marks_page, NULL},
    {MODEL_QEMU, "the fault of a read-modify-write is that of its read", "SDM Vol. 3, 4.7: W/R", read_before_write,
     NULL},
    {MODEL_QEMU, "error codes of gates in long mode are those of the vector times 16", "SDM Vol. 3, 6.13", wide_vector,
     NULL},
    {MODEL_QEMU, "LOCK before an instruction on registers is ignored", "SDM Vol. 2, LOCK: #UD", NULL, locked_register},
    {MODEL_QEMU, "no alignment checks", "SDM Vol. 3, 6.15, #AC", NULL, alignment},
    {MODEL_QEMU, "no virtual-mode extensions", "SDM Vol. 3, 21.3, 21.4", NULL, virtual_mode_extensions},
    {MODEL_QEMU, "STI holds the single-step trap back", "SDM Vol. 2, STI: interrupts alone", NULL, shadow_of_sti},
    {MODEL_QEMU, "INT1 is #UD", "SDM Vol. 2, INT n", NULL, int1},
    {MODEL_QEMU, "no general detect", "SDM Vol. 3, 17.2.4", NULL, general_detect},
    {MODEL_QEMU, "SYSCALL, SYSRET, SYSENTER, SYSEXIT run outside 64-bit mode as AMD's processors have them",
     "SDM Vol. 2, SYSCALL", NULL, fast_call},
    {MODEL_QEMU, "MOV of a control or debug register that isn't there: the privilege is looked at first",
     "SDM Vol. 2, MOV: no order", NULL, invalid_or_privileged},
    {MODEL_QEMU, "addresses in MSRs need not be canonical", "SDM Vol. 2, WRMSR: #GP(0)", NULL, canonical_msr},
    {MODEL_QEMU, "returns to SS 0 at CPL 1 and 2", "SDM Vol. 2, RET, 64-bit mode: #GP(0) unless its RPL is the CPL",
     NULL, null_stack},
    {MODEL_QEMU, "a new task's selectors fault in the new task", "the library faults in the old one: docs/design.md",
     NULL, new_task},
    {MODEL_QEMU, "limits and rights of segments are not looked at in accesses and jumps", "SDM Vol. 3, 5.3, 5.5", NULL,
     segment_checks},
};

const unsigned deviation_count = sizeof(deviations) / sizeof(deviations[0]);
