/* SPDX-License-Identifier: BSD-2-Clause */
/* How pages one after the other with the same bits become one report to the caller. */
#ifndef X86EMU_MMU_REPORT_H
#define X86EMU_MMU_REPORT_H

#include "entry.h"

/* Begins with report and opaque alone; both may be NULL. */
struct report {
    x86emu_nested_report *report;
    void *opaque;
    uint64_t gpa, size; /* what was noted and not told yet; size 0: nothing */
    unsigned bits;      /* enum x86emu_nested_bits */
};

static inline unsigned report_bits(const struct leaf *leaf)
{
    return (leaf->accessed ? X86EMU_NESTED_ACCESSED : 0u) | (leaf->dirty ? X86EMU_NESTED_DIRTY : 0u);
}

/* Notes a page; no bits: there is nothing to report about it. */
void x86emu_report_page(struct report *report, uint64_t gpa, uint64_t size, unsigned bits);
/* Tells the rest. */
void x86emu_report_end(struct report *report);

#endif
