/* SPDX-License-Identifier: BSD-2-Clause */
/* F18, F20, F21: nested tables change while others walk, touch and hold; no page that stays and no dirty bit is lost. */
#include <x86emu/nested.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    READERS = 3,
    PAGES = 4096, /* page-table pages; none is used twice */
    CHANGES = 8000,
    HOLDS = READERS,
};

/* Two page directories' worth: the first 2M is taken away and comes back, the others only change their shape. */
#define COMES_AND_GOES UINT64_C(0)
#define STAYS UINT64_C(0x200000)
#define SIZE UINT64_C(0x800000)
#define HPA UINT64_C(0x10000000)
#define TABLES_HPA UINT64_C(0x4000000000)

static struct x86emu_nested table;
static uint64_t holds[HOLDS];
static _Alignas(4096) uint64_t pages[PAGES][512];
static unsigned next_page;
static atomic_bool over;

/* What the guest wrote since it was last harvested, a bit for each 4K page; the readers set it before they touch. */
static atomic_uint written[SIZE / 4096];

static void *allocate(void *opaque, uint64_t *hpa)
{
    (void)opaque;
    if (next_page == PAGES)
        return NULL;
    *hpa = TABLES_HPA + next_page * UINT64_C(4096);
    return pages[next_page++];
}

/* Readers may still be in it: it is never used again. */
static void release(void *opaque, void *page, uint64_t hpa, uint64_t generation)
{
    (void)opaque, (void)page, (void)hpa, (void)generation;
}

static void *page_at(void *opaque, uint64_t hpa)
{
    (void)opaque;
    return pages[(hpa - TABLES_HPA) / 4096];
}

/* --- the readers --------------------------------------------------------------------------------------------------- */

static unsigned random_number(unsigned *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* As a processor and its hypervisor do: walk; what faults is touched, and walked again. */
static unsigned access_page(uint64_t gpa, unsigned access)
{
    struct x86emu_nested_touched touched;
    struct x86emu_nested_walk walk;
    enum x86emu_nested_status status;

    if (x86emu_nested_walk_table(&walk, &table, gpa, access) == X86EMU_WALK_DONE)
        return walk.hpa != HPA + gpa;
    status = x86emu_nested_touch(&table, gpa, access, &touched);
    if (status == X86EMU_NESTED_OK)
        return touched.hpa != HPA + gpa;
    return status != X86EMU_NESTED_RETRY && (gpa >= STAYS || status != X86EMU_NESTED_ABSENT);
}

/* While it is held it may not go. */
static unsigned hold_page(uint64_t gpa)
{
    struct x86emu_nested_extent extent;
    struct x86emu_nested_hold hold;
    unsigned wrong = 0;

    if (x86emu_nested_hold(&table, gpa, X86EMU_ACCESS_READ, &hold) != X86EMU_NESTED_OK)
        return 0;
    for (unsigned i = 0; i < 4; i++)
        if (x86emu_nested_query(&table, gpa, gpa + 0x1000, &extent) == X86EMU_NESTED_OK)
            wrong += !extent.mapped || extent.hpa != HPA + gpa;
    x86emu_nested_release(&table, &hold);
    return wrong;
}

static void *reader(void *opaque)
{
    unsigned state = (unsigned)(uintptr_t)opaque + 1;
    uint64_t seen = 0;
    uintptr_t wrong = 0;

    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        uint64_t gpa = random_number(&state) % (SIZE / 4096) * UINT64_C(4096);

        switch (random_number(&state) % 4) {
        case 0:
            wrong += hold_page(gpa);
            break;
        case 1:
            x86emu_nested_behind(&table, &seen);
            wrong += access_page(gpa, X86EMU_ACCESS_READ);
            break;
        default:
            wrong += access_page(gpa, X86EMU_ACCESS_WRITE);
            if (gpa >= STAYS)
                atomic_store(&written[gpa / 4096], 1);
            break;
        }
    }
    return (void *)wrong;
}

/* --- the writer ---------------------------------------------------------------------------------------------------- */

static unsigned char reported[SIZE / 4096];

static void note(void *opaque, uint64_t gpa, uint64_t size, unsigned bits)
{
    (void)opaque;
    for (uint64_t at = gpa; at < gpa + size && bits & X86EMU_NESTED_DIRTY; at += 4096)
        reported[at / 4096] = 1;
}

static bool is_fine(enum x86emu_nested_status status)
{
    return status == X86EMU_NESTED_OK || status == X86EMU_NESTED_HELD || status == X86EMU_NESTED_RETRY ||
           status == X86EMU_NESTED_OVERLAP;
}

static bool change(unsigned what, unsigned where)
{
    const struct x86emu_nested_attributes rwx = {.rights = 7, .memory_type = X86EMU_MEMORY_WB};
    uint64_t gpa = where % 512 * UINT64_C(4096);
    uint64_t large = STAYS + where % 3 * UINT64_C(0x200000);

    switch (what % 6) {
    case 0:
        return is_fine(x86emu_nested_unmap(&table, COMES_AND_GOES + gpa, 0x1000, NULL, NULL));
    case 1:
        return is_fine(x86emu_nested_map(&table, COMES_AND_GOES + gpa, HPA + gpa, 0x1000, &rwx));
    case 2:
        return x86emu_nested_split(&table, large, 0x200000, 12) == X86EMU_NESTED_OK;
    case 3:
        x86emu_nested_promote(&table, large, 0x200000);
        return true;
    case 4:
        return is_fine(x86emu_nested_protect(&table, large, 0x200000, 7));
    default:
        return x86emu_nested_harvest(&table, large, 0x200000, X86EMU_HARVEST_ACCESSED | X86EMU_HARVEST_CLEAR, note,
                                     NULL) == X86EMU_NESTED_OK;
    }
}

static bool run(const struct x86emu_nested_format *format)
{
    static const struct x86emu_nested_memory memory = {allocate, release, page_at, NULL};
    const struct x86emu_nested_attributes rwx = {.rights = 7, .memory_type = X86EMU_MEMORY_WB};
    pthread_t threads[READERS];
    unsigned state = 7, lost = 0;
    bool good;

    next_page = 0;
    atomic_store(&over, false);
    good = x86emu_nested_init(&table, format, &memory, holds, HOLDS) == X86EMU_NESTED_OK &&
           x86emu_nested_map(&table, 0, HPA, SIZE, &rwx) == X86EMU_NESTED_OK;
    for (unsigned i = 0; i < READERS; i++) {
        if (pthread_create(&threads[i], NULL, reader, (void *)(uintptr_t)i) != 0) {
            perror("pthread_create");
            exit(1);
        }
    }
    for (unsigned i = 0; i < CHANGES && next_page < PAGES - 8; i++)
        good &= change(random_number(&state), random_number(&state));
    atomic_store(&over, true);
    for (unsigned i = 0; i < READERS; i++) {
        void *wrong;

        pthread_join(threads[i], &wrong);
        if (wrong != NULL)
            printf("reader %u: %lu wrong answers\n", i, (unsigned long)(uintptr_t)wrong);
        good &= wrong == NULL;
    }
    good &= x86emu_nested_harvest(&table, STAYS, SIZE - STAYS, X86EMU_HARVEST_DIRTY, note, NULL) == X86EMU_NESTED_OK;
    for (uint64_t i = STAYS / 4096; i < SIZE / 4096; i++) {
        lost += atomic_load(&written[i]) && !reported[i];
        atomic_store(&written[i], 0);
        reported[i] = 0;
    }
    if (lost != 0)
        printf("%u dirty pages were lost\n", lost);
    x86emu_nested_destroy(&table);
    return good && lost == 0;
}

int main(void)
{
    struct x86emu_nested_format format = {.type = X86EMU_NESTED_EPT, .levels = 4, .maxphyaddr = 46, .page_2m = true};
    bool good = run(&format);

    format.accessed_dirty = true;
    good &= run(&format);
    format.type = X86EMU_NESTED_NPT;
    format.execute_disable = true;
    good &= run(&format);
    return !good;
}
