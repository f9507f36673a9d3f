/* SPDX-License-Identifier: BSD-2-Clause */
/* The pages that kept nested tables consist of: how they come, are found and go. */
#include "table.h"

/* --- pages --------------------------------------------------------------------------------------------------------- */

static uint64_t *page_at(const struct x86emu_nested *table, uint64_t entry)
{
    return (uint64_t *)table->memory.page(table->memory.opaque, address_of(&table->format, entry));
}

/* Until the change ends vCPUs may use the page: they are behind from the next generation on. */
static void give_back(struct x86emu_nested *table, uint64_t *page, uint64_t entry)
{
    table->tables--;
    table->memory.release(table->memory.opaque, page, address_of(&table->format, entry), table->generation + 1);
}

static uint64_t *take_page(struct x86emu_nested *table, uint64_t *hpa)
{
    uint64_t *page = (uint64_t *)table->memory.allocate(table->memory.opaque, hpa);

    if (page == NULL)
        return NULL;
    table->tables++;
    return page;
}

static void clear_page(uint64_t *page)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        store_entry(&page[i], 0);
}

static bool is_empty(const uint64_t *page)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        if (load_entry(&page[i]) != 0)
            return false;
    return true;
}

void x86emu_table_changed(struct x86emu_nested *table)
{
    store_ordered(&table->generation, table->generation + 1);
}

/* --- the cursor ---------------------------------------------------------------------------------------------------- */

/* From an entry down to where the tables end. */
static void descend(struct cursor *cursor)
{
    while (cursor->level > 1) {
        uint64_t entry = load_entry(cursor_entry(cursor));

        if (!is_table(entry))
            return;
        cursor->level--;
        cursor->pages[cursor->level] = page_at(cursor->table, entry);
    }
}

struct cursor x86emu_cursor_at(const struct x86emu_nested *table, uint64_t gpa)
{
    struct cursor cursor;

    cursor.table = table;
    cursor.gpa = gpa;
    cursor.level = table->format.levels;
    cursor.pages[cursor.level] = page_at(table, table->root_hpa);
    descend(&cursor);
    return cursor;
}

void x86emu_cursor_next(struct cursor *cursor)
{
    unsigned top = cursor->table->format.levels;

    cursor->gpa = cursor_base(cursor) + cursor_size(cursor);
    while (cursor->level < top && entry_index(cursor->gpa, cursor->level) == 0)
        cursor->level++;
    descend(cursor);
}

bool x86emu_cursor_deepen(struct x86emu_nested *table, struct cursor *cursor, unsigned level)
{
    while (cursor->level > level) {
        uint64_t hpa;
        uint64_t *page = take_page(table, &hpa);

        if (page == NULL)
            return false;
        clear_page(page);
        store_entry(cursor_entry(cursor), table_entry(&table->format, hpa));
        cursor->level--;
        cursor->pages[cursor->level] = page;
    }
    return true;
}

void x86emu_cursor_prune(struct x86emu_nested *table, struct cursor *cursor)
{
    while (cursor->level < table->format.levels && is_empty(cursor->pages[cursor->level])) {
        uint64_t *page = cursor->pages[cursor->level];

        cursor->level++;
        give_back(table, page, exchange_entry(cursor_entry(cursor), 0));
    }
}

bool x86emu_range_valid(const struct x86emu_nested *table, uint64_t gpa, uint64_t size)
{
    uint64_t end = BIT(guest_width(&table->format));

    return size != 0 && ((gpa | size) & (PAGE_SIZE - 1)) == 0 && gpa < end && size <= end - gpa;
}

/* --- splitting ----------------------------------------------------------------------------------------------------- */

/* All the new pages are as the leaf was, accessed and dirty too. */
bool x86emu_split_leaf(struct x86emu_nested *table, struct cursor *cursor)
{
    uint64_t *entry = cursor_entry(cursor);
    uint64_t hpa, old = load_entry(entry);
    uint64_t *page = take_page(table, &hpa);

    if (page == NULL)
        return false;
    do {
        struct leaf leaf = x86emu_leaf_decode(&table->format, old, cursor->level);
        uint64_t part = x86emu_leaf_encode(&table->format, &leaf, cursor->level - 1);

        for (unsigned i = 0; i < ENTRIES; i++)
            store_entry(&page[i], part + i * BIT(level_shift(cursor->level - 1)));
    } while (!replace_entry(entry, &old, table_entry(&table->format, hpa)));
    cursor->level--;
    cursor->pages[cursor->level] = page;
    return true;
}

bool x86emu_split_at(struct x86emu_nested *table, uint64_t gpa, unsigned shift)
{
    struct cursor cursor;
    unsigned level;

    if (gpa >> guest_width(&table->format) != 0)
        return true;
    cursor = x86emu_cursor_at(table, gpa);
    level = cursor.level;
    while (is_leaf(load_entry(cursor_entry(&cursor))) &&
           (cursor_base(&cursor) != gpa || level_shift(cursor.level) > shift)) {
        if (!x86emu_split_leaf(table, &cursor)) {
            if (cursor.level != level)
                x86emu_merge(table, gpa, PAGE_SIZE, level, true);
            return false;
        }
    }
    return true;
}

/* --- merging ------------------------------------------------------------------------------------------------------- */

/* Merging of one table page into a leaf. */
struct merge {
    struct x86emu_nested *table;
    uint64_t *page;
    unsigned level; /* of the entries in page */
    bool exact;
    struct leaf leaf; /* what comes out */
};

static bool same_attributes(const struct leaf *a, const struct leaf *b)
{
    return a->rights == b->rights && a->memory_type == b->memory_type && a->ignore_pat == b->ignore_pat &&
           a->guarded == b->guarded;
}

/* Whether an entry of the page is the i-th part of the leaf. */
static bool fits(const struct merge *merge, uint64_t entry, unsigned i, struct leaf *part)
{
    if (!is_leaf(entry))
        return false;
    *part = x86emu_leaf_decode(&merge->table->format, entry, merge->level);
    return part->hpa == merge->leaf.hpa + i * BIT(level_shift(merge->level)) && same_attributes(part, &merge->leaf) &&
           (!merge->exact || (part->accessed == merge->leaf.accessed && part->dirty == merge->leaf.dirty));
}

/* Whether it looks as if the page can be merged; processors may still set bits. */
static bool may_merge(struct merge *merge)
{
    uint64_t first = load_entry(&merge->page[0]);
    struct leaf part;

    if (!is_leaf(first) || !is_leaf(load_entry(&merge->page[ENTRIES - 1])))
        return false;
    merge->leaf = x86emu_leaf_decode(&merge->table->format, first, merge->level);
    if (merge->leaf.hpa & low_bits(level_shift(merge->level + 1)))
        return false;
    for (unsigned i = 1; i < ENTRIES; i++)
        if (!fits(merge, load_entry(&merge->page[i]), i, &part))
            return false;
    return true;
}

/* --- merging: nobody sets bits in the page any more ----------------------------------------------------------------- */

/* A frozen entry is not present for processors, and says only what is not the same for the whole page. */
#define FROZEN_ACCESSED BIT(8)
#define FROZEN_DIRTY BIT(9)

static struct leaf thawed(const struct merge *merge, uint64_t frozen, unsigned i)
{
    struct leaf part = merge->leaf;

    part.hpa += i * BIT(level_shift(merge->level));
    part.accessed = frozen & FROZEN_ACCESSED;
    part.dirty = frozen & FROZEN_DIRTY;
    return part;
}

static void thaw(struct merge *merge, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct leaf part = thawed(merge, load_entry(&merge->page[i]), i);

        store_entry(&merge->page[i], x86emu_leaf_encode(&merge->table->format, &part, merge->level));
    }
}

static bool freeze_entry(struct merge *merge, unsigned i)
{
    uint64_t entry = load_entry(&merge->page[i]), frozen;
    struct leaf part;

    do {
        if (!fits(merge, entry, i, &part))
            return false;
        frozen = ENTRY_FROZEN | (part.accessed ? FROZEN_ACCESSED : 0) | (part.dirty ? FROZEN_DIRTY : 0);
    } while (!replace_entry(&merge->page[i], &entry, frozen));
    return true;
}

/* A processor that comes by from now on faults, and x86emu_nested_touch() answers RETRY. */
static bool freeze(struct merge *merge)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (!freeze_entry(merge, i)) {
            thaw(merge, i);
            return false;
        }
    }
    return true;
}

static struct leaf merged_leaf(const struct merge *merge)
{
    struct leaf whole = merge->leaf;

    for (unsigned i = 0; i < ENTRIES; i++) {
        struct leaf part = thawed(merge, load_entry(&merge->page[i]), i);

        whole.accessed = whole.accessed || part.accessed;
        whole.dirty = whole.dirty || part.dirty;
    }
    return whole;
}

/* Merges the page that the cursor is in; the cursor then is at the new leaf. */
static bool merge_page(struct x86emu_nested *table, struct cursor *cursor, bool exact)
{
    struct merge merge = {.table = table, .page = cursor->pages[cursor->level], .level = cursor->level, .exact = exact};
    struct leaf whole;

    if (!has_pages(&table->format, merge.level + 1) || !may_merge(&merge) || !freeze(&merge))
        return false;
    whole = merged_leaf(&merge);
    cursor->level++;
    give_back(table, merge.page,
              exchange_entry(cursor_entry(cursor), x86emu_leaf_encode(&table->format, &whole, cursor->level)));
    return true;
}

uint64_t x86emu_merge(struct x86emu_nested *table, uint64_t gpa, uint64_t size, unsigned top, bool exact)
{
    struct cursor cursor = x86emu_cursor_at(table, gpa);
    uint64_t merged = 0;

    while (cursor.gpa - gpa < size) {
        if (cursor.level == 1 && top > 1 && merge_page(table, &cursor, exact))
            merged++;
        else if (cursor.level == 1)
            cursor.level++; /* on to the next table */
        if (cursor.level == 2 && top > 2) {
            uint64_t next = cursor_base(&cursor) + cursor_size(&cursor);
            bool leaves = entry_index(next, 2) == 0 || next - gpa >= size;

            if (leaves && is_leaf(load_entry(cursor_entry(&cursor))) && merge_page(table, &cursor, exact))
                merged++;
        }
        x86emu_cursor_next(&cursor);
    }
    return merged;
}

/* --- the whole table ----------------------------------------------------------------------------------------------- */

enum x86emu_nested_status x86emu_nested_init(struct x86emu_nested *table, const struct x86emu_nested_format *format,
                                             const struct x86emu_nested_memory *memory, uint64_t *holds,
                                             uint32_t hold_count)
{
    uint64_t *root;

    *table = (struct x86emu_nested){
        .format = *format, .memory = *memory, .promote = true, .holds = holds, .hold_count = holds ? hold_count : 0};
    if (format->type > X86EMU_NESTED_NPT || (format->levels != 4 && format->levels != 5))
        return X86EMU_NESTED_UNSUPPORTED;
    table->format.page_1g = format->page_1g && format->page_2m; /* what they are split into */
    for (uint32_t i = 0; i < table->hold_count; i++)
        store_ordered(&holds[i], 0);
    root = take_page(table, &table->root_hpa);
    if (root == NULL)
        return X86EMU_NESTED_NO_MEMORY;
    clear_page(root);
    return X86EMU_NESTED_OK;
}

/* After each table's tables the table itself. */
void x86emu_nested_destroy(struct x86emu_nested *table)
{
    uint64_t entries[MAX_LEVELS + 1], *pages[MAX_LEVELS + 1];
    unsigned index[MAX_LEVELS + 1] = {0}, level = table->format.levels;

    if (table->tables == 0)
        return;
    entries[level] = table->root_hpa;
    pages[level] = page_at(table, table->root_hpa);
    while (level <= table->format.levels) {
        uint64_t entry;

        if (level == 1 || index[level] == ENTRIES) {
            give_back(table, pages[level], entries[level]);
            level++;
            continue;
        }
        entry = load_entry(&pages[level][index[level]++]);
        if (!is_table(entry))
            continue;
        level--;
        index[level] = 0;
        entries[level] = entry;
        pages[level] = page_at(table, entry);
    }
}

/* SDM Vol. 3, table 25-9. */
uint64_t x86emu_nested_pointer(const struct x86emu_nested *table)
{
    const struct x86emu_nested_format *format = &table->format;

    if (!is_ept(format))
        return table->root_hpa;
    return table->root_hpa | X86EMU_MEMORY_WB | (uint64_t)(format->levels - 1) << 3 |
           (format->accessed_dirty ? BIT(6) : 0);
}

bool x86emu_nested_behind(const struct x86emu_nested *table, uint64_t *seen)
{
    uint64_t generation = load_ordered(&table->generation);
    bool behind = generation != *seen;

    *seen = generation;
    return behind;
}
