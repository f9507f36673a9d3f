/* SPDX-License-Identifier: BSD-2-Clause */
/* How long walks take: tables with accessed and dirty bits set, as most are, in memory that is in the caches. */
#include "bench.h"

#include <x86emu/nested.h>

#include <stdio.h>
#include <string.h>

enum {
    PAGES = 16,
    /* Guest tables by level at these pages, nested ones from here on. */
    NESTED = 8,
};

static uint64_t memory[PAGES][512];

static bool read_memory(void *opaque, uint64_t address, unsigned size, uint64_t *value)
{
    (void)opaque;
    if (address >= sizeof(memory))
        return false;
    *value = 0;
    memcpy(value, (const uint8_t *)memory + address, size);
    return true;
}

static bool exchange_memory(void *opaque, uint64_t address, unsigned size, uint64_t old_value, uint64_t new_value,
                            bool *exchanged)
{
    (void)opaque, (void)old_value;
    memcpy((uint8_t *)memory + address, &new_value, size);
    *exchanged = true;
    return true;
}

static const struct x86emu_walk_memory accessors = {read_memory, exchange_memory, NULL};

struct setting {
    struct x86emu_paging paging;
    struct x86emu_nested_format format;
    bool guest, nested;
    uint64_t sum; /* so that nothing is left out */
};

/* All entries of a guest's level refer to the page of the next one. */
static void fill_guest(struct setting *s, unsigned levels, unsigned page_level)
{
    bool narrow = levels == 2;

    for (unsigned level = 1; level <= levels; level++) {
        uint64_t entry = (level > 1 ? (level - 1) << 12 : 0) | 0x67;

        if (level == page_level && level > 1)
            entry = 0xe7;
        if (narrow)
            entry |= entry << 32;
        if (levels == 3 && level == 3)
            entry &= ~UINT64_C(0x66);
        for (unsigned i = 0; i < 512; i++)
            memory[level][i] = entry;
    }
    s->guest = true;
    s->paging = (struct x86emu_paging){.cr0 = X86EMU_CR0_PG | X86EMU_CR0_PE,
                                       .cr3 = (uint64_t)levels << 12,
                                       .cr4 = narrow ? X86EMU_CR4_PSE : X86EMU_CR4_PAE,
                                       .maxphyaddr = 46,
                                       .page1gb = true};
    if (levels > 3)
        s->paging.efer = X86EMU_EFER_LMA;
    if (levels == 5)
        s->paging.cr4 |= X86EMU_CR4_LA57;
}

static void fill_nested(struct setting *s, unsigned levels, unsigned page_level)
{
    for (unsigned level = 1; level <= levels; level++) {
        uint64_t entry = (level > 1 ? (NESTED + level - 1) << 12 : 0) | 0x307;

        for (unsigned i = 0; i < 512; i++) {
            memory[NESTED + level][i] = entry;
            if (level == page_level)
                memory[NESTED + level][i] = level == 1 ? i << 12 | 0x337 : 0x3b7;
        }
    }
    s->nested = true;
    s->format = (struct x86emu_nested_format){.type = X86EMU_NESTED_EPT,
                                              .levels = (uint8_t)levels,
                                              .maxphyaddr = 46,
                                              .page_2m = true,
                                              .page_1g = true,
                                              .accessed_dirty = true};
}

static void run(void *opaque, unsigned long count)
{
    struct setting *s = (struct setting *)opaque;

    for (unsigned long i = 0; i < count; i++) {
        /* In the first pages, where also what 2M and 1G pages map is in memory. */
        uint64_t address = i * 64 % (PAGES * 4096);

        if (s->guest && s->nested) {
            struct x86emu_two_walk walk;

            x86emu_two_walk_begin(&walk, &s->paging, &s->format, (NESTED + s->format.levels) << 12, address, 1);
            s->sum += x86emu_two_walk_run(&walk, &accessors);
        } else if (s->guest) {
            struct x86emu_walk walk;

            x86emu_walk_begin(&walk, &s->paging, address, X86EMU_ACCESS_READ);
            s->sum += x86emu_walk_run(&walk, &accessors);
        } else {
            struct x86emu_nested_walk walk;

            x86emu_nested_walk_begin(&walk, &s->format, (NESTED + s->format.levels) << 12, address, 1);
            s->sum += x86emu_nested_walk_run(&walk, &accessors);
        }
    }
}

static void row(const char *kind, const char *name, struct setting *s, unsigned effort)
{
    measure(kind, name, "ns", run, s, effort * 100000);
    if (s->sum != X86EMU_WALK_DONE)
        fprintf(stderr, "%s: a walk did not get through\n", name);
}

static const char *const sizes[] = {"", "4K", "2M", "1G"};

void bench_walks(unsigned effort)
{
    static const struct {
        const char *name;
        unsigned levels, page_level;
    } guests[] = {
        {"32-bit, 4K page", 2, 1},  {"32-bit, 4M page", 2, 2},  {"PAE, 4K page", 3, 1},     {"PAE, 2M page", 3, 2},
        {"4-level, 4K page", 4, 1}, {"4-level, 2M page", 4, 2}, {"4-level, 1G page", 4, 3}, {"5-level, 4K page", 5, 1},
    };
    char name[64];

    for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++) {
        struct setting s = {0};

        fill_guest(&s, guests[i].levels, guests[i].page_level);
        row("guest", guests[i].name, &s, effort);
    }
    for (unsigned level = 1; level <= 3; level++) {
        struct setting s = {0};

        fill_nested(&s, 4, level);
        snprintf(name, sizeof(name), "EPT, 4 levels, %s page", sizes[level]);
        row("nested", name, &s, effort);
    }
    for (unsigned guest = 1; guest <= 3; guest++) {
        for (unsigned nested = 1; nested <= 3; nested++) {
            struct setting s = {0};

            fill_guest(&s, 4, guest);
            fill_nested(&s, 4, nested);
            snprintf(name, sizeof(name), "4-level %s page through EPT %s pages", sizes[guest], sizes[nested]);
            row("both", name, &s, effort);
        }
    }
}
