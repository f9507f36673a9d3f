/* SPDX-License-Identifier: BSD-2-Clause */
/* The instruction table as a program sees it: what is true of a row whatever the operands of one instance are. */
#ifndef X86EMU_FORMS_H
#define X86EMU_FORMS_H

#include <x86emu/mnemonics.h> /* generated: enum x86emu_mnemonic, enum x86emu_feature, X86EMU_FORM_COUNT */
#include <x86emu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Flags that a row touches, as masks of RFLAGS (SDM Vol. 1, appendix A). No bit is in two of written, undefined, set
 * and cleared. A shift or rotate by 0, which writes none, is described as by any other count.
 */
struct x86emu_form_flags {
    uint32_t read;      /* tested, or pushed */
    uint32_t written;   /* given a defined value that depends on the operands */
    uint32_t undefined; /* left undefined by the manual */
    uint32_t set;       /* always 1 afterwards */
    uint32_t cleared;   /* always 0 afterwards */
};

/* Each takes x86emu_insn.form; a number out of range answers as row 0, which is no instruction. */
enum x86emu_mnemonic x86emu_form_mnemonic(unsigned form);
enum x86emu_feature x86emu_form_feature(unsigned form); /* the CPUID feature that brings the row; see also below */
const struct x86emu_form_flags *x86emu_form_flags(unsigned form);
/* #GP(0) unless CPL is 0. Not those that IOPL or CR4 decide about (CLI, IN, RDTSC), or that raise #UD then (CLAC). */
bool x86emu_form_is_privileged(unsigned form);

/*
 * What a processor lacks: bit n % 64 of absent[n / 64] is enum x86emu_feature n. All zero: it has everything. Features
 * that others build on are not removed with them, but instructions ask for all that they need: without AVX512F no EVEX
 * encoding is left, without AVX no VEX encoding of a vector instruction.
 */
struct x86emu_features {
    uint64_t absent[4];
};

void x86emu_feature_remove(struct x86emu_features *features, enum x86emu_feature feature);
bool x86emu_feature_is_absent(const struct x86emu_features *features, enum x86emu_feature feature);

/* Options for x86emu_decode(): where an older instruction takes over when a feature is absent (LZCNT becomes BSR). */
unsigned x86emu_features_options(const struct x86emu_features *features);

#ifdef __cplusplus
}
#endif

#endif
