/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's memory page by page. The host tells a thread of every page that is touched for the first time or written
 * while write-protected (userfaultfd), whoever did it: the library, KVM, a device. The thread asks the nested table, as
 * the hypervisor's handler of nested faults would, and lets the access go on as far as the table then allows it.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "pages.h"

#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86emu/nested.h>

enum {
    PAGE = 4096,
    TABLE_PAGES = 4096, /* enough for 2 MiB each */
};

#define TABLES_HPA (UINT64_C(1) << 38) /* table pages; the guest's are at their own addresses */

struct pages {
    struct machine *machine;
    int faults, stop[2]; /* userfaultfd; a pipe */
    pthread_t thread;
    bool running;
    struct x86emu_nested table;
    uint8_t *table_memory;
    unsigned table_count;
    uint64_t interval, next_round; /* ns */
    uint8_t *copy;
    uint64_t last_dirty, most_dirty; /* pages of one round */
    uint64_t disagreements;          /* between the table and the processor's walk through it */
    struct pages_statistics statistics;
};

static uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- the table's own pages ---------------------------------------------------------------------------------------------- */

static void *allocate(void *opaque, uint64_t *hpa)
{
    struct pages *p = opaque;

    if (p->table_count == TABLE_PAGES)
        return NULL;
    *hpa = TABLES_HPA + (uint64_t)p->table_count * PAGE;
    return p->table_memory + (size_t)PAGE * p->table_count++;
}

/* Pages are never unmapped here, so none comes back before the end. */
static void release(void *opaque, void *page, uint64_t hpa, uint64_t generation)
{
    (void)opaque, (void)page, (void)hpa, (void)generation;
}

static void *table_page(void *opaque, uint64_t hpa)
{
    const struct pages *p = opaque;

    return p->table_memory + (hpa - TABLES_HPA);
}

/* --- one fault ---------------------------------------------------------------------------------------------------------- */

static void allow(struct pages *p, uint64_t gpa, bool write)
{
    struct uffdio_writeprotect range = {.range = {(uint64_t)(uintptr_t)p->machine->ram + gpa, PAGE}};

    if (write)
        ioctl(p->faults, UFFDIO_WRITEPROTECT, &range);
    else
        ioctl(p->faults, UFFDIO_WAKE, &range.range);
}

/* A page of zeros; write-protected when it was only read, so that the first write is seen. */
static void give(struct pages *p, uint64_t gpa, bool write)
{
    static const uint8_t zeros[PAGE] __attribute__((aligned(4096)));
    struct uffdio_copy copy = {.dst = (uint64_t)(uintptr_t)p->machine->ram + gpa,
                               .src = (uint64_t)(uintptr_t)zeros,
                               .len = PAGE,
                               .mode = write ? 0 : UFFDIO_COPY_MODE_WP};

    if (ioctl(p->faults, UFFDIO_COPY, &copy) != 0)
        allow(p, gpa, false);
}

/* Whether the processor would get through the table. */
static bool gets_through(const struct pages *p, uint64_t gpa, unsigned access)
{
    struct x86emu_nested_walk walk;

    return x86emu_nested_walk_table(&walk, &p->table, gpa, access) == X86EMU_WALK_DONE;
}

static enum x86emu_nested_status map_page(struct pages *p, uint64_t gpa)
{
    const struct x86emu_nested_attributes attributes = {.rights = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE |
                                                                  X86EMU_ACCESS_EXECUTE,
                                                        .memory_type = X86EMU_MEMORY_WB,
                                                        .largest = 12};

    return x86emu_nested_map(&p->table, gpa, gpa, PAGE, &attributes);
}

/* Asks the table: missing, or clean and to be written. Devices don't come here: they have no memory. */
static void handle(struct pages *p, uint64_t gpa, bool write)
{
    unsigned access = write ? X86EMU_ACCESS_WRITE : X86EMU_ACCESS_READ;
    struct x86emu_nested_touched touched = {.newly_dirty = false};
    enum x86emu_nested_status status;
    bool through = gets_through(p, gpa, access);

    status = x86emu_nested_touch(&p->table, gpa, access, &touched);
    if (status == X86EMU_NESTED_ABSENT) {
        if (map_page(p, gpa) != X86EMU_NESTED_OK ||
            x86emu_nested_touch(&p->table, gpa, access, &touched) != X86EMU_NESTED_OK)
            p->disagreements++;
        p->statistics.missing++;
        give(p, gpa, write);
    } else {
        p->statistics.clean += touched.newly_dirty;
        allow(p, gpa, write);
    }
    if ((through && touched.newly_dirty) || !gets_through(p, gpa, access))
        p->disagreements++;
}

/* --- dirty pages -------------------------------------------------------------------------------------------------------- */

/* The table has them clean again. Protected first, looked at then: what is written from now on faults. */
static void take_dirty(void *opaque, uint64_t gpa, uint64_t size, unsigned bits)
{
    struct pages *p = opaque;
    struct uffdio_writeprotect range = {.range = {(uint64_t)(uintptr_t)p->machine->ram + gpa, size},
                                        .mode = UFFDIO_WRITEPROTECT_MODE_WP};

    (void)bits;
    if (ioctl(p->faults, UFFDIO_WRITEPROTECT, &range) != 0)
        p->disagreements++;
    if (p->copy != NULL)
        memcpy(p->copy + gpa, p->machine->ram + gpa, size);
    p->last_dirty += size / PAGE;
}

static void do_round(struct pages *p)
{
    p->last_dirty = 0;
    x86emu_nested_harvest(&p->table, 0, p->machine->ram_size,
                          X86EMU_HARVEST_DIRTY | X86EMU_HARVEST_CLEAR | X86EMU_HARVEST_PROTECT, take_dirty, p);
    p->statistics.rounds++;
    p->statistics.dirty += p->last_dirty;
    if (p->last_dirty > p->most_dirty)
        p->most_dirty = p->last_dirty;
}

/* --- the thread --------------------------------------------------------------------------------------------------------- */

static void read_faults(struct pages *p)
{
    struct uffd_msg messages[16];
    ssize_t size = read(p->faults, messages, sizeof(messages));

    for (ssize_t i = 0; i < size / (ssize_t)sizeof(messages[0]); i++) {
        uint64_t gpa = messages[i].arg.pagefault.address - (uint64_t)(uintptr_t)p->machine->ram;
        uint64_t flags = messages[i].arg.pagefault.flags;

        if (messages[i].event == UFFD_EVENT_PAGEFAULT)
            handle(p, gpa & ~(uint64_t)(PAGE - 1), flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP));
    }
}

static int wait_ms(const struct pages *p)
{
    uint64_t now = clock_ns();

    if (p->interval == 0)
        return -1;
    return now >= p->next_round ? 0 : (int)((p->next_round - now) / 1000000 + 1);
}

static void *serve(void *opaque)
{
    struct pages *p = opaque;
    struct pollfd wait[2] = {{.fd = p->faults, .events = POLLIN}, {.fd = p->stop[0], .events = POLLIN}};

    while (!(wait[1].revents & POLLIN)) {
        poll(wait, 2, wait_ms(p));
        if (wait[0].revents & POLLIN)
            read_faults(p);
        if (p->interval != 0 && clock_ns() >= p->next_round) {
            do_round(p);
            p->next_round += p->interval;
        }
    }
    return NULL;
}

/* --- beginning and end -------------------------------------------------------------------------------------------------- */

static bool failed(const char *what)
{
    fprintf(stderr, "memory page by page: %s: %s\n", what, strerror(errno));
    return false;
}

static bool open_faults(struct pages *p)
{
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};
    struct uffdio_register range = {.range = {(uint64_t)(uintptr_t)p->machine->ram, p->machine->ram_size},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP};

    p->faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (p->faults < 0)
        return failed("userfaultfd");
    if (ioctl(p->faults, UFFDIO_API, &api) != 0 || ioctl(p->faults, UFFDIO_REGISTER, &range) != 0)
        return failed("write protection by userfaultfd");
    return pipe(p->stop) == 0 || failed("pipe");
}

static bool open_table(struct pages *p)
{
    /* EPT without accessed and dirty flags: the table keeps them (F18). */
    const struct x86emu_nested_format format = {.type = X86EMU_NESTED_EPT, .levels = 4, .maxphyaddr = 40};
    const struct x86emu_nested_memory memory = {
        .allocate = allocate, .release = release, .page = table_page, .opaque = p};

    p->table_memory =
        mmap(NULL, TABLE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->table_memory == MAP_FAILED)
        return failed("memory");
    return x86emu_nested_init(&p->table, &format, &memory, NULL, 0) == X86EMU_NESTED_OK;
}

static bool open_copy(struct pages *p)
{
    p->copy =
        mmap(NULL, p->machine->ram_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->copy != MAP_FAILED)
        return true;
    p->copy = NULL;
    return failed("memory for the copy");
}

struct pages *pages_start(struct machine *machine, uint64_t interval, bool copy)
{
    struct pages *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->machine = machine;
    p->interval = interval * 1000000;
    p->next_round = clock_ns() + p->interval;
    p->running =
        open_table(p) && (!copy || open_copy(p)) && open_faults(p) && pthread_create(&p->thread, NULL, serve, p) == 0;
    if (p->running)
        return p;
    free(p); /* the process ends */
    return NULL;
}

/* Without the thread nobody serves faults any more: the memory is ordinary again before it is read. */
static bool compare(struct pages *p)
{
    struct uffdio_range range = {(uint64_t)(uintptr_t)p->machine->ram, p->machine->ram_size};
    uint64_t differ = 0;

    ioctl(p->faults, UFFDIO_UNREGISTER, &range);
    for (uint64_t at = 0; p->copy != NULL && at < p->machine->ram_size; at += PAGE)
        differ += memcmp(p->copy + at, p->machine->ram + at, PAGE) != 0;
    if (p->copy != NULL)
        printf("the copy made of dirty pages %s the memory\n", differ == 0 ? "is" : "is not");
    if (p->disagreements != 0)
        printf("%llu faults were not as the nested table has them\n", (unsigned long long)p->disagreements);
    return differ == 0 && p->disagreements == 0;
}

void pages_print(const struct pages *p, FILE *out)
{
    const struct pages_statistics *s = &p->statistics;
    double seconds = (double)p->interval * 1e-9;

    fprintf(out, "memory: %llu pages given on demand, %llu writes to clean pages", (unsigned long long)s->missing,
            (unsigned long long)s->clean);
    if (s->rounds != 0 && seconds > 0)
        fprintf(out, "; dirty pages per second: %.0f last, %.0f on average, %.0f at most, %llu rounds",
                (double)p->last_dirty / seconds, (double)s->dirty / (double)s->rounds / seconds,
                (double)p->most_dirty / seconds, (unsigned long long)s->rounds);
    fprintf(out, "\n");
}

struct pages_statistics pages_statistics(const struct pages *p)
{
    return p->statistics;
}

bool pages_stop(struct pages *p)
{
    bool same;

    if (write(p->stop[1], "", 1) != 1)
        return failed("ending");
    pthread_join(p->thread, NULL);
    pages_print(p, stdout);
    do_round(p);
    same = compare(p);
    x86emu_nested_destroy(&p->table);
    close(p->faults);
    close(p->stop[0]);
    close(p->stop[1]);
    munmap(p->table_memory, TABLE_PAGES * PAGE);
    if (p->copy != NULL)
        munmap(p->copy, p->machine->ram_size);
    free(p);
    return same;
}
