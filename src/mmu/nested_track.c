/* SPDX-License-Identifier: BSD-2-Clause */
/* Which pages of kept nested tables were used: setting, gathering and clearing accessed and dirty bits. */
#include "report.h"
#include "table.h"

/* A page that changes this often while one access is answered is left to the next attempt. */
#define MAX_ATTEMPTS 64

/* --- one access ---------------------------------------------------------------------------------------------------- */

static struct leaf after_access(struct leaf leaf, unsigned access)
{
    leaf.accessed = true;
    if (access & X86EMU_ACCESS_WRITE) {
        leaf.dirty = true;
        leaf.guarded = false;
    }
    return leaf;
}

enum x86emu_nested_status x86emu_nested_touch(struct x86emu_nested *table, uint64_t gpa, unsigned access,
                                              struct x86emu_nested_touched *touched)
{
    const struct x86emu_nested_format *format = &table->format;
    struct cursor cursor;
    uint64_t entry;

    if (gpa >> guest_width(format) != 0)
        return X86EMU_NESTED_ABSENT;
    cursor = x86emu_cursor_at(table, gpa);
    entry = load_entry(cursor_entry(&cursor));
    for (unsigned attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        struct leaf leaf, after;
        uint64_t value;

        if (!is_leaf(entry))
            return entry == 0 ? X86EMU_NESTED_ABSENT : X86EMU_NESTED_RETRY;
        leaf = x86emu_leaf_decode(format, entry, cursor.level);
        if (access & ~(unsigned)leaf.rights)
            return X86EMU_NESTED_DENIED;
        after = after_access(leaf, access);
        value = x86emu_leaf_encode(format, &after, cursor.level);
        if (value == entry || replace_entry(cursor_entry(&cursor), &entry, value)) {
            touched->gpa = cursor_base(&cursor);
            touched->hpa = leaf.hpa + (gpa - touched->gpa);
            touched->page_shift = (uint8_t)level_shift(cursor.level);
            touched->newly_dirty = after.dirty && !leaf.dirty;
            return X86EMU_NESTED_OK;
        }
    }
    return X86EMU_NESTED_RETRY;
}

/* --- ranges -------------------------------------------------------------------------------------------------------- */

/* what: enum x86emu_harvest. */
static unsigned bits_asked_for(unsigned what, const struct leaf *leaf)
{
    return report_bits(leaf) & ((what & X86EMU_HARVEST_ACCESSED ? X86EMU_NESTED_ACCESSED : 0u) |
                                (what & X86EMU_HARVEST_DIRTY ? X86EMU_NESTED_DIRTY : 0u));
}

static struct leaf after_harvest(unsigned what, struct leaf leaf)
{
    if (what & X86EMU_HARVEST_CLEAR) {
        leaf.accessed = leaf.accessed && !(what & X86EMU_HARVEST_ACCESSED);
        leaf.dirty = leaf.dirty && !(what & X86EMU_HARVEST_DIRTY);
    }
    if (what & X86EMU_HARVEST_PROTECT && leaf.rights & X86EMU_ACCESS_WRITE && !leaf.dirty)
        leaf.guarded = true;
    if (what & X86EMU_HARVEST_RELEASE)
        leaf.guarded = false;
    return leaf;
}

/* Answers whether the entry changed. */
static bool harvest_entry(const struct cursor *cursor, unsigned what, struct report *report)
{
    const struct x86emu_nested_format *format = &cursor->table->format;
    uint64_t entry = load_entry(cursor_entry(cursor)), value;
    struct leaf leaf, after;

    if (!is_leaf(entry))
        return false;
    do {
        leaf = x86emu_leaf_decode(format, entry, cursor->level);
        after = after_harvest(what, leaf);
        value = x86emu_leaf_encode(format, &after, cursor->level);
    } while (value != entry && !replace_entry(cursor_entry(cursor), &entry, value));
    x86emu_report_page(report, cursor_base(cursor), cursor_size(cursor), bits_asked_for(what, &leaf));
    return value != entry;
}

enum x86emu_nested_status x86emu_nested_harvest(struct x86emu_nested *table, uint64_t gpa, uint64_t size,
                                                unsigned harvest, x86emu_nested_report *report, void *opaque)
{
    struct report pages = {.report = report, .opaque = opaque};
    struct cursor cursor;
    bool changed = false;

    if (!x86emu_range_valid(table, gpa, size))
        return X86EMU_NESTED_INVALID;
    for (cursor = x86emu_cursor_at(table, gpa); cursor.gpa - gpa < size; x86emu_cursor_next(&cursor))
        changed |= harvest_entry(&cursor, harvest, &pages);
    x86emu_report_end(&pages);
    if (changed)
        x86emu_table_changed(table);
    return X86EMU_NESTED_OK;
}
