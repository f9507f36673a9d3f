/* SPDX-License-Identifier: BSD-2-Clause */
/* How the tests' page-table pages are given, found and taken back. */
#include "pool.h"

#include <stdalign.h>
#include <string.h>

unsigned pool_used, pool_left, pool_mistakes;
uint64_t pool_generation;

static alignas(4096) uint8_t pages[POOL_PAGES][4096];
static bool given[POOL_PAGES];
static unsigned next;

void pool_reset(void)
{
    memset(given, 0, sizeof(given));
    pool_used = pool_mistakes = next = 0;
    pool_left = POOL_PAGES;
    pool_generation = 0;
}

static void *allocate(void *opaque, uint64_t *hpa)
{
    (void)opaque;
    if (pool_left == 0 || pool_used == POOL_PAGES)
        return NULL;
    while (given[next])
        next = (next + 1) % POOL_PAGES;
    given[next] = true;
    pool_used++;
    pool_left--;
    memset(pages[next], 0xa5, sizeof(pages[next]));
    *hpa = POOL_HPA + next * UINT64_C(4096);
    return pages[next];
}

static void *page(void *opaque, uint64_t hpa)
{
    (void)opaque;
    return pages[(hpa - POOL_HPA) / 4096 % POOL_PAGES];
}

/* What a processor may still read in it is left there. */
static void release(void *opaque, void *at, uint64_t hpa, uint64_t generation)
{
    size_t i = (size_t)((hpa - POOL_HPA) / 4096);

    pool_generation = generation;
    if (i >= POOL_PAGES || hpa % 4096 != 0 || !given[i] || at != page(opaque, hpa)) {
        pool_mistakes++;
        return;
    }
    given[i] = false;
    pool_used--;
    pool_left++;
}

struct x86emu_nested_memory pool_memory(void)
{
    return (struct x86emu_nested_memory){allocate, release, page, NULL};
}
