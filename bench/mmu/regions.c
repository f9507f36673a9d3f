/* SPDX-License-Identifier: BSD-2-Clause */
/* How long a region lookup takes with few and with many regions, found again and not. */
#include "bench.h"

#include <x86emu/region.h>

#include <stdio.h>
#include <string.h>

enum {
    MOST = 1024,
    SIZE = 0x10000,
};

struct setting {
    struct x86emu_region_map map;
    struct x86emu_region regions[MOST];
    unsigned count;
    bool same; /* the same region again and again, found by the cache */
    unsigned long missing;
};

static void run(void *opaque, unsigned long count)
{
    struct setting *s = (struct setting *)opaque;
    struct x86emu_region_cache cache = {0};
    uint64_t state = 1;

    for (unsigned long i = 0; i < count; i++) {
        state = state * 6364136223846793005 + 1442695040888963407;
        s->missing += x86emu_region_find(&s->map, s->same ? &cache : NULL,
                                         s->same ? 0x100 : (state >> 33) % s->count * SIZE + 0x100) == NULL;
    }
}

void bench_regions(unsigned effort)
{
    static const unsigned counts[] = {1, 16, 1024};
    static struct setting s;
    char name[64];

    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        memset(&s, 0, sizeof(s));
        s.count = counts[c];
        for (unsigned i = 0; i < s.count; i++) {
            s.regions[i] = (struct x86emu_region){
                .gpa = (uint64_t)i * SIZE, .size = SIZE, .kind = X86EMU_REGION_MMIO, .protection = 3, .max_width = 8};
            x86emu_region_insert(&s.map, &s.regions[i]);
        }
        for (unsigned same = 0; same < 2; same++) {
            s.same = same != 0;
            snprintf(name, sizeof(name), "%u region%s, %s", s.count, s.count == 1 ? "" : "s",
                     same ? "cache hit" : "random, no cache");
            measure("region", name, "ns", run, &s, effort * 500000);
        }
        if (s.missing != 0)
            fprintf(stderr, "%s: a region was not found\n", name);
    }
}
