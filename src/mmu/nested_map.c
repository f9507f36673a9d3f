/* SPDX-License-Identifier: BSD-2-Clause */
/* What is mapped where in kept nested tables: mapping, unmapping, rights, superpages, questions about all that. */
#include "table.h"

#include "hold.h"
#include "report.h"

/* --- mapping ------------------------------------------------------------------------------------------------------- */

static bool is_unmapped(const struct x86emu_nested *table, uint64_t gpa, uint64_t size)
{
    struct cursor cursor = x86emu_cursor_at(table, gpa);

    for (; cursor.gpa - gpa < size; x86emu_cursor_next(&cursor))
        if (is_leaf(load_entry(cursor_entry(&cursor))))
            return false;
    return true;
}

/* The level of the largest page that fits. */
static unsigned level_for(const struct x86emu_nested_format *format, uint64_t addresses, uint64_t size,
                          unsigned largest)
{
    for (unsigned level = TOP_LEAF_LEVEL; level > 1; level--) {
        unsigned shift = level_shift(level);

        if (shift <= largest && has_pages(format, level) && (addresses & low_bits(shift)) == 0 && size >> shift != 0)
            return level;
    }
    return 1;
}

/* Pages of one size, as far as they lie in the cursor's table. Answers the bytes mapped. */
static uint64_t map_run(struct x86emu_nested *table, struct cursor *cursor, struct leaf *leaf, uint64_t size)
{
    uint64_t unit = cursor_size(cursor), entry = x86emu_leaf_encode(&table->format, leaf, cursor->level);
    unsigned first = entry_index(cursor->gpa, cursor->level), last = ENTRIES;
    uint64_t *page = cursor->pages[cursor->level];

    if (size / unit < last - first)
        last = first + (unsigned)(size / unit);
    for (unsigned i = first; i < last; i++, entry += unit)
        store_entry(&page[i], entry);
    return (last - first) * unit;
}

/* Maps until the end or until there is no page-table page; answers the bytes mapped. */
static uint64_t map_pages(struct x86emu_nested *table, uint64_t gpa, uint64_t size, struct leaf leaf, unsigned largest)
{
    struct cursor cursor = x86emu_cursor_at(table, gpa);
    uint64_t done = 0;

    while (done < size) {
        uint64_t run;

        /* No table below: where all is unmapped there is none, because empty ones are given back. */
        if (!x86emu_cursor_deepen(table, &cursor,
                                  level_for(&table->format, cursor.gpa | leaf.hpa, size - done, largest))) {
            x86emu_cursor_prune(table, &cursor);
            break;
        }
        run = map_run(table, &cursor, &leaf, size - done);
        done += run;
        leaf.hpa += run;
        cursor.gpa += run - cursor_size(&cursor);
        x86emu_cursor_next(&cursor);
    }
    return done;
}

/* --- unmapping ----------------------------------------------------------------------------------------------------- */

/* Bits that a processor sets at this moment are lost only where nobody asked for them. */
static void unmap_page(const struct cursor *cursor, struct report *report)
{
    struct leaf leaf;

    if (report->report == NULL) {
        store_entry(cursor_entry(cursor), 0);
        return;
    }
    leaf = x86emu_leaf_decode(&cursor->table->format, exchange_entry(cursor_entry(cursor), 0), cursor->level);
    x86emu_report_page(report, cursor->gpa, cursor_size(cursor), report_bits(&leaf));
}

/* All pages of the range, whose borders are borders of pages. */
static void unmap_pages(struct x86emu_nested *table, uint64_t gpa, uint64_t size, struct report *report)
{
    struct cursor cursor = x86emu_cursor_at(table, gpa);

    while (cursor.gpa - gpa < size) {
        uint64_t unit = cursor_size(&cursor), next = cursor_base(&cursor) + unit;

        if (is_leaf(load_entry(cursor_entry(&cursor))))
            unmap_page(&cursor, report);
        if (entry_index(next, cursor.level) == 0 || next - gpa >= size)
            x86emu_cursor_prune(table, &cursor);
        x86emu_cursor_next(&cursor);
    }
    x86emu_report_end(report);
}

/* Makes both ends of a range borders of pages. */
static bool split_ends(struct x86emu_nested *table, uint64_t gpa, uint64_t size)
{
    unsigned level = x86emu_cursor_at(table, gpa).level;
    uint64_t tables = table->tables;

    if (!x86emu_split_at(table, gpa, 30))
        return false;
    if (x86emu_split_at(table, gpa + size, 30))
        return true;
    if (table->tables != tables)
        x86emu_merge(table, gpa, PAGE_SIZE, level, true);
    return false;
}

static void unmap_again(struct x86emu_nested *table, uint64_t gpa, uint64_t size)
{
    struct report nobody = {0};

    if (size != 0)
        unmap_pages(table, gpa, size, &nobody);
}

/* What was just mapped may complete a larger page with what was there before. */
static void promote_ends(struct x86emu_nested *table, uint64_t gpa, uint64_t size, unsigned largest)
{
    unsigned top = TOP_LEAF_LEVEL;

    while (top > 1 && level_shift(top) > largest)
        top--;
    x86emu_merge(table, gpa, PAGE_SIZE, top, true);
    x86emu_merge(table, gpa + size - PAGE_SIZE, PAGE_SIZE, top, true);
}

/* --- the public functions: changes --------------------------------------------------------------------------------- */

enum x86emu_nested_status x86emu_nested_map(struct x86emu_nested *table, uint64_t gpa, uint64_t hpa, uint64_t size,
                                            const struct x86emu_nested_attributes *attributes)
{
    struct leaf leaf = {.hpa = hpa,
                        .rights = attributes->rights,
                        .memory_type = attributes->memory_type,
                        .ignore_pat = attributes->ignore_pat};
    uint64_t end = BIT(physical_width(table->format.maxphyaddr)), done;
    unsigned largest = attributes->largest != 0 ? attributes->largest : 30;

    if (!x86emu_range_valid(table, gpa, size) || hpa & (PAGE_SIZE - 1) || hpa >= end || size > end - hpa)
        return X86EMU_NESTED_INVALID;
    if (!x86emu_rights_possible(&table->format, leaf.rights) || !x86emu_type_possible(&table->format, &leaf) ||
        largest < PAGE_SHIFT)
        return X86EMU_NESTED_UNSUPPORTED;
    if (!is_unmapped(table, gpa, size))
        return X86EMU_NESTED_OVERLAP;
    /* What is mapped here may have to go again, so that nobody may hold it before the end. */
    if (!x86emu_take_away(table, gpa, size))
        return X86EMU_NESTED_RETRY;
    done = map_pages(table, gpa, size, leaf, largest);
    if (done < size)
        unmap_again(table, gpa, done);
    else if (table->promote)
        promote_ends(table, gpa, size, largest);
    x86emu_table_changed(table);
    x86emu_taken_away(table);
    return done < size ? X86EMU_NESTED_NO_MEMORY : X86EMU_NESTED_OK;
}

enum x86emu_nested_status x86emu_nested_unmap(struct x86emu_nested *table, uint64_t gpa, uint64_t size,
                                              x86emu_nested_report *report, void *opaque)
{
    struct report pages = {.report = report, .opaque = opaque};
    bool split;

    if (!x86emu_range_valid(table, gpa, size))
        return X86EMU_NESTED_INVALID;
    if (!x86emu_take_away(table, gpa, size))
        return X86EMU_NESTED_HELD;
    split = split_ends(table, gpa, size);
    if (split)
        unmap_pages(table, gpa, size, &pages);
    x86emu_table_changed(table);
    x86emu_taken_away(table);
    return split ? X86EMU_NESTED_OK : X86EMU_NESTED_NO_MEMORY;
}

static void set_rights(const struct x86emu_nested_format *format, uint64_t *entry, unsigned level, unsigned rights)
{
    uint64_t old = load_entry(entry), value;

    do {
        struct leaf leaf = x86emu_leaf_decode(format, old, level);

        leaf.rights = (uint8_t)rights;
        value = x86emu_leaf_encode(format, &leaf, level);
    } while (value != old && !replace_entry(entry, &old, value));
}

enum x86emu_nested_status x86emu_nested_protect(struct x86emu_nested *table, uint64_t gpa, uint64_t size,
                                                unsigned rights)
{
    struct cursor cursor;
    bool split;

    if (!x86emu_range_valid(table, gpa, size))
        return X86EMU_NESTED_INVALID;
    if (!x86emu_rights_possible(&table->format, rights))
        return X86EMU_NESTED_UNSUPPORTED;
    if (!x86emu_take_away(table, gpa, size))
        return X86EMU_NESTED_HELD;
    split = split_ends(table, gpa, size);
    if (split) {
        for (cursor = x86emu_cursor_at(table, gpa); cursor.gpa - gpa < size; x86emu_cursor_next(&cursor))
            if (is_leaf(load_entry(cursor_entry(&cursor))))
                set_rights(&table->format, cursor_entry(&cursor), cursor.level, rights);
        if (table->promote)
            x86emu_merge(table, gpa, size, TOP_LEAF_LEVEL, true);
    }
    x86emu_table_changed(table);
    x86emu_taken_away(table);
    return split ? X86EMU_NESTED_OK : X86EMU_NESTED_NO_MEMORY;
}

enum x86emu_nested_status x86emu_nested_split(struct x86emu_nested *table, uint64_t gpa, uint64_t size, unsigned shift)
{
    enum x86emu_nested_status status = X86EMU_NESTED_OK;
    struct cursor cursor;

    if (!x86emu_range_valid(table, gpa, size) || shift < PAGE_SHIFT)
        return X86EMU_NESTED_INVALID;
    cursor = x86emu_cursor_at(table, gpa);
    while (cursor.gpa - gpa < size && status == X86EMU_NESTED_OK) {
        while (is_leaf(load_entry(cursor_entry(&cursor))) && level_shift(cursor.level) > shift &&
               status == X86EMU_NESTED_OK)
            if (!x86emu_split_leaf(table, &cursor))
                status = X86EMU_NESTED_NO_MEMORY;
        x86emu_cursor_next(&cursor);
    }
    x86emu_table_changed(table);
    return status;
}

uint64_t x86emu_nested_promote(struct x86emu_nested *table, uint64_t gpa, uint64_t size)
{
    uint64_t merged;

    if (!x86emu_range_valid(table, gpa, size))
        return 0;
    merged = x86emu_merge(table, gpa, size, TOP_LEAF_LEVEL, false);
    x86emu_table_changed(table);
    return merged;
}

/* --- the public functions: questions ------------------------------------------------------------------------------- */

static void describe(const struct cursor *cursor, uint64_t entry, struct x86emu_nested_extent *extent)
{
    struct leaf leaf;

    *extent = (struct x86emu_nested_extent){.gpa = cursor->gpa, .mapped = is_leaf(entry)};
    extent->size = cursor_base(cursor) + cursor_size(cursor) - cursor->gpa;
    if (!extent->mapped)
        return;
    leaf = x86emu_leaf_decode(&cursor->table->format, entry, cursor->level);
    extent->hpa = leaf.hpa + (cursor->gpa - cursor_base(cursor));
    extent->page_shift = (uint8_t)level_shift(cursor->level);
    extent->attributes.rights = leaf.rights;
    extent->attributes.memory_type = leaf.memory_type;
    extent->attributes.ignore_pat = leaf.ignore_pat;
}

static bool continues(const struct x86emu_nested_extent *extent, const struct x86emu_nested_extent *next)
{
    const struct x86emu_nested_attributes *a = &extent->attributes, *b = &next->attributes;

    if (!extent->mapped || !next->mapped)
        return extent->mapped == next->mapped;
    return next->hpa == extent->hpa + extent->size && a->rights == b->rights && a->memory_type == b->memory_type &&
           a->ignore_pat == b->ignore_pat;
}

enum x86emu_nested_status x86emu_nested_query(const struct x86emu_nested *table, uint64_t gpa, uint64_t limit,
                                              struct x86emu_nested_extent *extent)
{
    uint64_t end = BIT(guest_width(&table->format));
    struct cursor cursor;

    limit = limit < end ? limit : end;
    gpa &= ~(PAGE_SIZE - 1);
    if (gpa >= limit)
        return X86EMU_NESTED_INVALID;
    cursor = x86emu_cursor_at(table, gpa);
    *extent = (struct x86emu_nested_extent){.gpa = gpa};
    while (cursor.gpa < limit) {
        uint64_t entry = load_entry(cursor_entry(&cursor));
        struct x86emu_nested_extent next;

        /* Being merged; or split since the cursor came here. */
        if (entry & ENTRY_FROZEN || is_table(entry))
            return X86EMU_NESTED_RETRY;
        describe(&cursor, entry, &next);
        if (extent->size == 0)
            *extent = next;
        else if (continues(extent, &next))
            extent->size += next.size;
        else
            break;
        x86emu_cursor_next(&cursor);
    }
    if (extent->size > limit - gpa)
        extent->size = limit - gpa;
    return X86EMU_NESTED_OK;
}
