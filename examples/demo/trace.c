/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of device accesses of one run. */
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>

void trace_add(struct trace *trace, bool write, uint64_t gpa, unsigned size, uint64_t value)
{
    if (trace->count == trace->room) {
        trace->room = trace->room == 0 ? 1024 : 2 * trace->room;
        trace->accesses = realloc(trace->accesses, trace->room * sizeof(*trace->accesses));
        if (trace->accesses == NULL) {
            fprintf(stderr, "x86emu-demo: out of memory\n");
            exit(1);
        }
    }
    trace->accesses[trace->count++] = (struct access){gpa, value, (uint8_t)size, write};
}

void trace_free(struct trace *trace)
{
    free(trace->accesses);
    *trace = (struct trace){0};
}

static void show(const char *name, const struct trace *trace, size_t at)
{
    const struct access *access = &trace->accesses[at];

    if (at >= trace->count)
        printf("    %s: nothing\n", name);
    else
        printf("    %s: %s of %u bytes at %#llx, %#llx\n", name, access->write ? "write" : "read", access->size,
               (unsigned long long)access->gpa, (unsigned long long)access->value);
}

static bool same(const struct access *a, const struct access *b)
{
    return a->gpa == b->gpa && a->value == b->value && a->size == b->size && a->write == b->write;
}

bool trace_same(const struct trace *a, const char *a_name, const struct trace *b, const char *b_name)
{
    size_t at = 0;

    while (at < a->count && at < b->count && same(&a->accesses[at], &b->accesses[at]))
        at++;
    if (at == a->count && at == b->count)
        return true;
    printf("device access %zu differs:\n", at);
    show(a_name, a, at);
    show(b_name, b, at);
    return false;
}
