/* SPDX-License-Identifier: BSD-2-Clause */
/* What the devices saw: recorded, shown, compared. */
#ifndef DEMO_TRACE_H
#define DEMO_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct access {
    uint64_t gpa, value;
    uint8_t size;
    bool write;
};

struct trace {
    struct access *accesses;
    size_t count, room;
};

/* Appends one device access. Ends the program when memory runs out. */
void trace_add(struct trace *trace, bool write, uint64_t gpa, unsigned size, uint64_t value);
void trace_free(struct trace *trace);

/* Whether two runs' devices saw the same; tells the first difference, naming the runs. */
bool trace_same(const struct trace *a, const char *a_name, const struct trace *b, const char *b_name);

#endif
