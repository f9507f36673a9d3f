/* SPDX-License-Identifier: BSD-2-Clause */
/* F6: regions come and go while other processors look them up; those that stay are found every time. */
#include <x86emu/region.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    READERS = 3,
    REGIONS = 64, /* the even ones stay, the odd ones come and go */
    CHANGES = 40000,
    SIZE = 0x1000,
};

static struct x86emu_region_map map;
static struct x86emu_region regions[REGIONS];
static atomic_bool over;

static void fill(unsigned i)
{
    regions[i] = (struct x86emu_region){
        .gpa = (uint64_t)i * SIZE, .size = SIZE, .kind = X86EMU_REGION_MMIO, .protection = 3, .max_width = 4};
}

/* Answers how many lookups went wrong. */
static void *reader(void *opaque)
{
    struct x86emu_region_cache cache = {0};
    unsigned state = (unsigned)(uintptr_t)opaque + 1;
    uintptr_t wrong = 0;

    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        struct x86emu_region *found, *next;
        unsigned i;

        state = state * 1664525 + 1013904223;
        i = (state >> 16) % REGIONS;
        found = x86emu_region_find(&map, &cache, (uint64_t)i * SIZE + 1);
        wrong += found != &regions[i] && (found != NULL || i % 2 == 0);
        next = x86emu_region_next(&map, (uint64_t)i * SIZE);
        if (i % 2 == 0)
            wrong += next != &regions[i];
        else if (i < REGIONS - 1)
            wrong += next != &regions[i] && next != &regions[i + 1];
    }
    return (void *)wrong;
}

int main(void)
{
    pthread_t threads[READERS];
    bool inserted[REGIONS] = {false};
    unsigned state = 1;
    bool good = true;

    for (unsigned i = 0; i < REGIONS; i++)
        fill(i);
    for (unsigned i = 0; i < REGIONS; i += 2)
        good &= x86emu_region_insert(&map, &regions[i]) == X86EMU_REGION_OK;
    for (unsigned i = 0; i < READERS; i++) {
        if (pthread_create(&threads[i], NULL, reader, (void *)(uintptr_t)i) != 0) {
            perror("pthread_create");
            return 1;
        }
    }
    for (unsigned change = 0; change < CHANGES; change++) {
        unsigned i;

        state = state * 1664525 + 1013904223;
        i = (state >> 16) % REGIONS | 1;
        good &= (inserted[i] ? x86emu_region_remove : x86emu_region_insert)(&map, &regions[i]) == X86EMU_REGION_OK;
        inserted[i] = !inserted[i];
        good &= (x86emu_region_find(&map, NULL, (uint64_t)i * SIZE) == &regions[i]) == inserted[i];
    }
    atomic_store(&over, true);
    for (unsigned i = 0; i < READERS; i++) {
        void *wrong;

        pthread_join(threads[i], &wrong);
        if (wrong != NULL)
            printf("reader %u: %lu wrong answers\n", i, (unsigned long)(uintptr_t)wrong);
        good &= wrong == NULL;
    }
    return !good;
}
