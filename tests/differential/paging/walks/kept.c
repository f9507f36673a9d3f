/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested tables as the library itself builds and changes them, in the pool's pages for nested tables. */
#include "walks.h"

static unsigned taken; /* bit for each page */

static void *allocate(void *opaque, uint64_t *hpa)
{
    (void)opaque;
    for (unsigned page = PAGE_N5; page <= PAGE_FIXED1; page++) {
        if (taken & 1u << page)
            continue;
        taken |= 1u << page;
        *hpa = page_address(page);
        return (void *)(uintptr_t)*hpa;
    }
    return NULL;
}

static void release(void *opaque, void *at, uint64_t hpa, uint64_t generation)
{
    (void)opaque, (void)generation;
    memset(at, 0, 4096);
    taken &= ~(1u << (hpa - POOL) / 4096);
}

static void *page_at(void *opaque, uint64_t hpa)
{
    (void)opaque;
    return (void *)(uintptr_t)hpa;
}

static unsigned random_rights(const struct x86emu_nested_format *f)
{
    static const unsigned rights[] = {1, 3, 5, 7, 0, 4};

    return rights[random_bits() % (f->type == X86EMU_NESTED_EPT && f->execute_only ? 6 : 5)];
}

/* A few changes to what the guest sees of the pool. Those that find no page-table page change nothing. */
static void change(struct x86emu_nested *table)
{
    struct x86emu_nested_touched touched;
    uint64_t gpa = POOL + random_bits() % PAGES * UINT64_C(4096), size = (1 + random_bits() % 4) * UINT64_C(4096);

    switch (random_bits() % 4) {
    case 0:
        x86emu_nested_unmap(table, gpa, size, NULL, NULL);
        break;
    case 1:
        x86emu_nested_protect(table, gpa, size, random_rights(&table->format));
        break;
    case 2:
        x86emu_nested_harvest(table, gpa, size, X86EMU_HARVEST_DIRTY | X86EMU_HARVEST_CLEAR | X86EMU_HARVEST_PROTECT,
                              NULL, NULL);
        break;
    default:
        x86emu_nested_touch(table, gpa, X86EMU_ACCESS_WRITE, &touched);
        break;
    }
}

uint64_t build_nested(const struct x86emu_nested_format *f)
{
    static const struct x86emu_nested_memory memory = {allocate, release, page_at, NULL};
    struct x86emu_nested_attributes attributes = {.rights = 7, .memory_type = X86EMU_MEMORY_WB};
    static struct x86emu_nested table;
    struct x86emu_nested_touched touched;

    for (unsigned page = PAGE_N5; page <= PAGE_FIXED1; page++)
        memset((void *)(uintptr_t)page_address(page), 0, 4096);
    taken = 0;
    if (f->mode_based_execute)
        attributes.rights |= X86EMU_RIGHT_USER_EXECUTE;
    x86emu_nested_init(&table, f, &memory, NULL, 0);
    x86emu_nested_map(&table, SECOND, POOL, POOL_SIZE, &attributes);
    if (one_in(3))
        x86emu_nested_map(&table, 0, 0, SECOND, &attributes);
    else
        x86emu_nested_map(&table, POOL, POOL, one_in(2) ? 0x200000 : POOL_SIZE, &attributes);
    for (unsigned page = 0; page < PAGES; page++) {
        x86emu_nested_touch(&table, SECOND + page * UINT64_C(4096), X86EMU_ACCESS_WRITE, &touched);
        if (!one_in(8))
            x86emu_nested_touch(&table, page_address(page), X86EMU_ACCESS_WRITE, &touched);
    }
    for (unsigned i = (unsigned)(random_bits() % 4); i > 0; i--)
        change(&table);
    return x86emu_nested_pointer(&table);
}
