/* SPDX-License-Identifier: BSD-2-Clause */
/* How long it takes to map and unmap much memory in kept nested tables, and to go over it for dirty pages. */
#include "bench.h"

#include <x86emu/nested.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

/* Page-table pages one after the other; those that come back are given again first. */
enum {
    POOL = 540000, /* for 1 TiB in 4K pages */
};
static uint64_t (*pool)[512];
static uint32_t *returned;
static size_t fresh, returned_count;

static void *allocate(void *opaque, uint64_t *hpa)
{
    size_t i = returned_count != 0 ? returned[--returned_count] : fresh++;

    (void)opaque;
    if (i >= POOL)
        return NULL;
    *hpa = (uint64_t)i << 12;
    return pool[i];
}

static void release(void *opaque, void *page, uint64_t hpa, uint64_t generation)
{
    (void)opaque, (void)page, (void)generation;
    returned[returned_count++] = (uint32_t)(hpa >> 12);
}

static void *page_at(void *opaque, uint64_t hpa)
{
    (void)opaque;
    return pool[hpa >> 12];
}

struct setting {
    struct x86emu_nested table;
    uint8_t largest;
    uint64_t size;
    unsigned failed, every; /* every so many 4K pages is dirty */
};

static void map_all(struct setting *s)
{
    const struct x86emu_nested_attributes attributes = {
        .rights = 7, .memory_type = X86EMU_MEMORY_WB, .largest = s->largest};

    s->failed += x86emu_nested_map(&s->table, 0, 0, s->size, &attributes) != X86EMU_NESTED_OK;
}

static void run_map_and_unmap(void *opaque, unsigned long count)
{
    struct setting *s = (struct setting *)opaque;

    for (unsigned long i = 0; i < count; i++) {
        map_all(s);
        s->failed += x86emu_nested_unmap(&s->table, 0, s->size, NULL, NULL) != X86EMU_NESTED_OK;
    }
}

static void note(void *opaque, uint64_t gpa, uint64_t size, unsigned bits)
{
    (void)gpa, (void)bits;
    *(uint64_t *)opaque += size;
}

static void run_harvest(void *opaque, unsigned long count)
{
    struct setting *s = (struct setting *)opaque;
    struct x86emu_nested_touched touched;
    uint64_t dirty = 0;

    for (unsigned long i = 0; i < count; i++) {
        for (uint64_t gpa = 0; s->every != 0 && gpa < s->size; gpa += s->every * UINT64_C(4096))
            x86emu_nested_touch(&s->table, gpa, X86EMU_ACCESS_WRITE, &touched);
        x86emu_nested_harvest(&s->table, 0, s->size, X86EMU_HARVEST_DIRTY | X86EMU_HARVEST_CLEAR, note, &dirty);
    }
    s->failed += s->every != 0 && dirty == 0;
}

static void begin(struct setting *s, bool ept)
{
    static const struct x86emu_nested_memory memory = {allocate, release, page_at, NULL};
    const struct x86emu_nested_format format = {.type = ept ? X86EMU_NESTED_EPT : X86EMU_NESTED_NPT,
                                                .levels = 4,
                                                .maxphyaddr = 46,
                                                .page_2m = true,
                                                .page_1g = true,
                                                .accessed_dirty = true,
                                                .execute_disable = true};

    fresh = returned_count = 0;
    s->failed = x86emu_nested_init(&s->table, &format, &memory, NULL, 0) != X86EMU_NESTED_OK;
    s->table.promote = false;
}

static void end(struct setting *s, const char *name)
{
    x86emu_nested_destroy(&s->table);
    if (s->failed != 0)
        fprintf(stderr, "%s: something failed\n", name);
}

static void bench_harvest(struct setting *s, unsigned effort)
{
    static const struct {
        const char *name;
        unsigned every;
    } rows[] = {{"harvest 1 GiB of 4K pages, none dirty", 0},
                {"write and harvest 1 GiB of 4K pages, 1 in 64", 64},
                {"write and harvest 1 GiB of 4K pages, all", 1}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(s, true);
        s->size = GIB;
        s->largest = 12;
        s->every = rows[i].every;
        map_all(s);
        measure("nested", rows[i].name, "ms", run_harvest, s, effort);
        end(s, rows[i].name);
    }
}

void bench_tables(unsigned effort)
{
    static struct setting s;

    pool =
        mmap(NULL, POOL * sizeof(pool[0]), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    returned = malloc(POOL * sizeof(returned[0]));
    if (pool == MAP_FAILED || returned == NULL) {
        perror("memory for page tables");
        exit(1);
    }
    begin(&s, true);
    s.size = TIB;
    s.largest = 21;
    measure("nested", "map and unmap 1 TiB in 2M pages", "ms", run_map_and_unmap, &s, effort);
    s.largest = 30;
    measure("nested", "map and unmap 1 TiB in 1G pages", "ms", run_map_and_unmap, &s, effort);
    s.largest = 12;
    if (effort == 1)
        s.size = TIB / 16; /* the whole takes seconds */
    measure("nested", effort == 1 ? "map and unmap 64 GiB in 4K pages" : "map and unmap 1 TiB in 4K pages", "ms",
            run_map_and_unmap, &s, 1);
    end(&s, "map and unmap");
    bench_harvest(&s, effort);
    munmap(pool, POOL * sizeof(pool[0]));
    free(returned);
}
