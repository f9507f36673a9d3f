/* SPDX-License-Identifier: BSD-2-Clause */
/* The instruction table as a program sees it: what is true of a row whatever the operands of one instance are. */
#ifndef X86EMU_FORMS_H
#define X86EMU_FORMS_H

#include <x86emu/mnemonics.h> /* generated: enum x86emu_mnemonic, enum x86emu_feature, X86EMU_FORM_COUNT */
#include <x86emu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Status flags a row touches, as RFLAGS masks (SDM Vol. 1, appendix A). */
struct x86emu_form_flags {
    uint32_t read;      /* tested */
    uint32_t written;   /* given a defined value that depends on the operands */
    uint32_t undefined; /* left undefined by the manual */
    uint32_t set;       /* always 1 afterwards */
    uint32_t cleared;   /* always 0 afterwards */
};

/* Each takes x86emu_insn.form; a number out of range answers as row 0, which is no instruction. */
enum x86emu_mnemonic x86emu_form_mnemonic(unsigned form);
enum x86emu_feature x86emu_form_feature(unsigned form); /* the CPUID feature that brings the row */
const struct x86emu_form_flags *x86emu_form_flags(unsigned form);
bool x86emu_form_is_privileged(unsigned form); /* #GP(0) unless CPL is 0 */

#ifdef __cplusplus
}
#endif

#endif
