/* SPDX-License-Identifier: BSD-2-Clause */
/* What an interpreter may remember from one instruction to the next: translations and decoded instructions. */
#ifndef X86EMU_CACHE_H
#define X86EMU_CACHE_H

#include <x86emu/insn.h>
#include <x86emu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define X86EMU_CACHE_PAGES 512  /* a power of two */
#define X86EMU_CACHE_INSNS 1024 /* a power of two */
#define X86EMU_CACHE_OPERANDS 4

/*
 * A cache of one vCPU, given to x86emu_init() by x86emu_config.cache: worth its memory where a context runs many
 * instructions in a row. Zero-initialise. Fields belong to the library.
 *
 * Translations are remembered as a processor's TLB does: until CR0, CR3, CR4, EFER or the protection keys change, the
 * guest invalidates them by an instruction that is emulated, or the caller says so with x86emu_cache_flush(). A caller
 * that lets the same vCPU run elsewhere in between (KVM), or changes the guest's tables itself, flushes. RAM that is
 * reached through the cache is accessed without looking its region up; a change of the region map is noticed.
 *
 * Decoded instructions need no care: each is held against the bytes in memory before it is used.
 */
struct x86emu_cache {
    uint64_t cr0, cr3, cr4, efer; /* that the translations belong to */
    uint64_t keys;
    uint32_t generation; /* of the region map */
    struct x86emu_cached_page {
        uint64_t tag;  /* linear address of the page, with enum x86emu_access and who asked in the low bits; 0: none */
        uint64_t gpa;  /* of the page */
        uint8_t *host; /* its first byte, when it is RAM that may be read, written and executed; else NULL */
    } pages[X86EMU_CACHE_PAGES];
    struct x86emu_cached_insn {
        uint64_t bytes[2], mask[2]; /* the instruction, and which bits of bytes are its */
        const struct x86emu_form_flags *flags;
        uint32_t mode;         /* with decode options; 0: none */
        uint8_t operand_count; /* 0: not expanded yet */
        struct x86emu_insn insn;
        struct x86emu_operand operands[X86EMU_CACHE_OPERANDS];
    } insns[X86EMU_CACHE_INSNS];
};

/* Forgets all translations. */
void x86emu_cache_flush(struct x86emu_cache *cache);

/* Forgets those of the page at linear address la. */
void x86emu_cache_flush_page(struct x86emu_cache *cache, uint64_t la);

#ifdef __cplusplus
}
#endif

#endif
