/* SPDX-License-Identifier: BSD-2-Clause */
/* How the functions that work on kept tables move through them: a cursor over ranges; splitting and merging of pages. */
#ifndef X86EMU_MMU_TABLE_H
#define X86EMU_MMU_TABLE_H

#include "entry.h"

/*
 * A place in the tables: the lowest entry for gpa, which is a leaf, empty or frozen. Links are followed as they are at
 * the time, so that a cursor is good beside a thread that changes the tables, as far as what it finds is concerned.
 */
struct cursor {
    const struct x86emu_nested *table;
    uint64_t gpa;
    unsigned level;
    uint64_t *pages[MAX_LEVELS + 1]; /* table pages on the way, by level */
};

static inline uint64_t *cursor_entry(const struct cursor *cursor)
{
    return &cursor->pages[cursor->level][entry_index(cursor->gpa, cursor->level)];
}

/* Bytes that the entry covers. */
static inline uint64_t cursor_size(const struct cursor *cursor)
{
    return BIT(level_shift(cursor->level));
}

/* First address that the entry covers. */
static inline uint64_t cursor_base(const struct cursor *cursor)
{
    return cursor->gpa & ~(cursor_size(cursor) - 1);
}

struct cursor x86emu_cursor_at(const struct x86emu_nested *table, uint64_t gpa);
/* Goes on to the first address behind the entry, which may lie outside of what the tables can hold. */
void x86emu_cursor_next(struct cursor *cursor);
/* Creates tables until the entry is one of this level or a lower one. False: no page-table page. */
bool x86emu_cursor_deepen(struct x86emu_nested *table, struct cursor *cursor, unsigned level);
/* Gives back the tables on the way to the entry that are empty. */
void x86emu_cursor_prune(struct x86emu_nested *table, struct cursor *cursor);

/* A range of whole pages that the tables can hold. */
bool x86emu_range_valid(const struct x86emu_nested *table, uint64_t gpa, uint64_t size);

/* Marks the end of a change: from now on vCPUs are behind. */
void x86emu_table_changed(struct x86emu_nested *table);

/* Puts a table in the place of the large leaf at the cursor, and goes down into it. False: no page-table page. */
bool x86emu_split_leaf(struct x86emu_nested *table, struct cursor *cursor);
/* Makes gpa a border between pages of at most 1 << shift. False: no page-table page; then all is as before. */
bool x86emu_split_at(struct x86emu_nested *table, uint64_t gpa, unsigned shift);
/* Merges the pages of [gpa, gpa + size) into leaves of level top at most; exact: only those whose accessed and dirty bits
   agree. Answers how many leaves it made. */
uint64_t x86emu_merge(struct x86emu_nested *table, uint64_t gpa, uint64_t size, unsigned top, bool exact);

#endif
