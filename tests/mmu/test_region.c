/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions: overlap, lookup, the last-found cache, host memory shown twice; the tree's balance under random use. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <x86emu/region.h>

static struct x86emu_region_map map;

static struct x86emu_region device(uint64_t gpa, uint64_t size)
{
    return (struct x86emu_region){.gpa = gpa,
                                  .size = size,
                                  .kind = X86EMU_REGION_MMIO,
                                  .protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE,
                                  .max_width = 4};
}

static void reset(void)
{
    memset(&map, 0, sizeof(map));
}

TestSuite(region, .init = reset);

Test(region, F6_overlap_is_refused)
{
    struct x86emu_region middle = device(0x1000, 0x1000), other;
    const uint64_t overlapping[][2] = {{0x1000, 0x1000}, {0xfff, 2},      {0x1fff, 1},    {0, 0x1001},
                                       {0, 0x10000},     {0x1800, 0x100}, {0, UINT64_MAX}};

    cr_assert_eq(x86emu_region_insert(&map, &middle), X86EMU_REGION_OK);
    for (size_t i = 0; i < sizeof(overlapping) / sizeof(overlapping[0]); i++) {
        other = device(overlapping[i][0], overlapping[i][1]);
        cr_assert_eq(x86emu_region_insert(&map, &other), X86EMU_REGION_OVERLAP, "range %zu", i);
    }
    other = device(0x2000, 1);
    cr_assert_eq(x86emu_region_insert(&map, &other), X86EMU_REGION_OK);
}

Test(region, invalid_regions_are_refused)
{
    struct x86emu_host_range host = {.size = 0x1000};
    struct x86emu_region bad[] = {
        device(0x1000, 0),
        device(UINT64_MAX, 2),
        device(0x1000, 0x1000),
        {.gpa = 0, .size = 0x1000, .kind = X86EMU_REGION_RAM},
        {.gpa = 0, .size = 0x1001, .kind = X86EMU_REGION_RAM, .host = &host},
        {.gpa = 0, .size = 0x1000, .kind = X86EMU_REGION_RAM, .host = &host, .host_offset = 1},
        {.gpa = 0, .size = 0x1000, .kind = X86EMU_REGION_RAM, .host = &host, .host_offset = UINT64_MAX},
    };

    bad[2].max_width = 3;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(x86emu_region_insert(&map, &bad[i]), X86EMU_REGION_INVALID, "region %zu", i);
    cr_assert_null(map.root[0]);
    cr_assert_null(map.root[1]);
}

Test(region, F6_last_found_cache)
{
    struct x86emu_region a = device(0x1000, 0x1000), b = device(0x4000, 0x1000);
    struct x86emu_region_cache cache = {0};

    x86emu_region_insert(&map, &a);
    x86emu_region_insert(&map, &b);
    cr_assert_eq(x86emu_region_find(&map, &cache, 0x1fff), &a);
    cr_assert_eq(cache.region, &a);
    cr_assert_eq(x86emu_region_find(&map, &cache, 0x4000), &b);
    cr_assert_eq(cache.region, &b);
    cr_assert_null(x86emu_region_find(&map, &cache, 0x2000));
    cr_assert_eq(x86emu_region_remove(&map, &b), X86EMU_REGION_OK);
    cr_assert_null(x86emu_region_find(&map, &cache, 0x4000), "the cache outlived the region");
    cr_assert_eq(x86emu_region_remove(&map, &b), X86EMU_REGION_ABSENT);
}

/* Host memory registered once, shown at two addresses with different protection. */
Test(region, F16_same_host_memory_twice)
{
    static uint8_t memory[0x2000];
    struct x86emu_host_range host = {.base = memory, .size = sizeof(memory)};
    struct x86emu_region low = {.gpa = 0x1000,
                                .size = 0x1000,
                                .kind = X86EMU_REGION_RAM,
                                .protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE,
                                .host = &host,
                                .host_offset = 0x1000};
    struct x86emu_region high = low;

    high.gpa = 0xfff00000;
    high.protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_EXECUTE;
    cr_assert_eq(x86emu_region_insert(&map, &low), X86EMU_REGION_OK);
    cr_assert_eq(x86emu_region_insert(&map, &high), X86EMU_REGION_OK);
    cr_assert_eq(host.users, 2);
    cr_assert_eq(x86emu_region_find(&map, NULL, 0xfff00010)->host, x86emu_region_find(&map, NULL, 0x1010)->host);
    cr_assert_eq(x86emu_region_remove(&map, &low), X86EMU_REGION_OK);
    cr_assert_eq(host.users, 1);
}

Test(region, F9_maximum_width_is_a_power_of_two_up_to_64)
{
    for (unsigned width = 0; width < 256; width++) {
        struct x86emu_region region = device(0x1000, 0x1000);
        bool good = width == 1 || width == 2 || width == 4 || width == 8 || width == 16 || width == 32 || width == 64;

        region.max_width = (uint8_t)width;
        cr_assert_eq(x86emu_region_insert(&map, &region), good ? X86EMU_REGION_OK : X86EMU_REGION_INVALID, "%u", width);
        if (good)
            x86emu_region_remove(&map, &region);
    }
}

/* Two regions of one host page next to each other, then one of them gone: the other stays what it was. */
Test(region, F16_views_of_one_page_come_and_go_alone)
{
    static uint8_t page[0x1000];
    struct x86emu_host_range host = {.base = page, .size = sizeof(page)};
    struct x86emu_region views[3];
    struct x86emu_region_cache cache = {0};

    for (unsigned i = 0; i < 3; i++) {
        views[i] = (struct x86emu_region){.gpa = 0x1000 * (i + UINT64_C(1)),
                                          .size = 0x1000,
                                          .kind = X86EMU_REGION_RAM,
                                          .protection = (uint8_t)(i == 1 ? X86EMU_ACCESS_READ : 7),
                                          .host = &host};
        cr_assert_eq(x86emu_region_insert(&map, &views[i]), X86EMU_REGION_OK);
    }
    cr_assert_eq(x86emu_region_find(&map, &cache, 0x2008)->protection, X86EMU_ACCESS_READ);
    cr_assert_eq(x86emu_region_remove(&map, &views[0]), X86EMU_REGION_OK);
    cr_assert_null(x86emu_region_find(&map, &cache, 0x1008));
    cr_assert_eq(x86emu_region_find(&map, &cache, 0x2008), &views[1]);
    cr_assert_eq(x86emu_region_find(&map, &cache, 0x3008), &views[2]);
    cr_assert_eq(host.users, 2);
}

/* --- random use against an array --------------------------------------------------------------------------------------- */

enum {
    COUNT = 256
};
static struct x86emu_region regions[COUNT];
static bool inserted[COUNT];

/* Black height, or -1 when a rule of red-black trees is broken. Test code may recurse. */
static int black_height(const struct x86emu_region *node, const struct x86emu_region *parent, int copy)
{
    const struct x86emu_region_links *links;
    int left, right;

    if (node == NULL)
        return 0;
    links = &node->links[copy];
    if (links->parent != parent || (links->red && (parent == NULL || parent->links[copy].red)))
        return -1;
    left = black_height(links->left, node, copy);
    right = black_height(links->right, node, copy);
    if (left < 0 || left != right)
        return -1;
    return left + !links->red;
}

static struct x86emu_region *find_slowly(uint64_t gpa)
{
    for (int i = 0; i < COUNT; i++)
        if (inserted[i] && gpa >= regions[i].gpa && gpa - regions[i].gpa < regions[i].size)
            return &regions[i];
    return NULL;
}

static struct x86emu_region *next_slowly(uint64_t gpa)
{
    struct x86emu_region *best = NULL;

    for (int i = 0; i < COUNT; i++)
        if (inserted[i] && regions[i].gpa >= gpa && (best == NULL || regions[i].gpa < best->gpa))
            best = &regions[i];
    return best;
}

static bool overlaps(const struct x86emu_region *region)
{
    for (int i = 0; i < COUNT; i++)
        if (inserted[i] && regions[i].gpa < region->gpa + region->size &&
            region->gpa < regions[i].gpa + regions[i].size)
            return true;
    return false;
}

Test(region, F6_random_use_against_an_array)
{
    struct x86emu_region_cache cache = {0};

    memset(inserted, 0, sizeof(inserted));
    srand(1);
    for (int round = 0; round < 40000; round++) {
        int i = rand() % COUNT;
        uint64_t probe = (uint64_t)(rand() % 0x20000);

        if (inserted[i]) {
            cr_assert_eq(x86emu_region_remove(&map, &regions[i]), X86EMU_REGION_OK);
            inserted[i] = false;
        } else {
            bool overlap;

            regions[i] = device((uint64_t)(rand() % 0x20000), (uint64_t)(1 + rand() % 0x200));
            overlap = overlaps(&regions[i]);
            cr_assert_eq(x86emu_region_insert(&map, &regions[i]), overlap ? X86EMU_REGION_OVERLAP : X86EMU_REGION_OK);
            inserted[i] = !overlap;
        }
        if (round % 16 == 0)
            for (int copy = 0; copy < 2; copy++)
                cr_assert_geq(black_height(map.root[copy], NULL, copy), 0, "round %d", round);
        cr_assert_eq(x86emu_region_find(&map, &cache, probe), find_slowly(probe), "round %d", round);
        cr_assert_eq(x86emu_region_next(&map, probe), next_slowly(probe), "round %d", round);
    }
}
