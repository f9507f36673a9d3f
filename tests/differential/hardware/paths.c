/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instruction by every way that the emulator can be driven: none may make a difference (F5, F14, C12, C14, C20). It
 * says nothing about whether the outcome is right; that is for the comparison with the processor.
 */
#include "hardware.h"
#include "random.h"

#include <x86emu/format.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MOST_STEPS = 600,
    MOST_SHOWN = 20,
};

enum path_flag {
    MAPPED = 1,    /* memory by a region map; else each access is a request */
    DEVICES = 2,   /* the arena is two devices; else RAM */
    MOVED = 4,     /* the context moves at each request, and what was behind it is ruined */
    NOTHING = 8,   /* no state is loaded before it is asked for */
    LOSING = 16,   /* each exchange is lost once */
    FAULTING = 32, /* one request is answered by a fault */
    TRACED = 64,   /* the arena sees the same accesses as with requests */
};

static const struct path {
    const char *name;
    unsigned flags;
} paths[] = {
    {"regions", MAPPED},
    {"requests", 0},
    {"requests, moved", MOVED | TRACED},
    {"devices", MAPPED | DEVICES | TRACED},
    {"state on demand", MAPPED | NOTHING | MOVED},
    {"lost exchanges", LOSING},
    {"a fault in turn", FAULTING},
};

/* Guest memory as this run sees it. */
static struct {
    uint8_t code[CODE_SIZE], writable[WRITABLE_SIZE], readable[PAGE], tables[TABLES_SIZE];
} space;

static const struct span {
    uint32_t la, size;
    uint8_t *bytes;
    bool arena;
} spans[] = {
    {CODE, sizeof(space.code), space.code, false},
    {WRITABLE, sizeof(space.writable), space.writable, true},
    {READABLE, sizeof(space.readable), space.readable, true},
    {TABLES, sizeof(space.tables), space.tables, false},
};

enum {
    SPANS = 4
};

/* One run. */
struct run {
    const struct path *path;
    struct situation *situation;
    struct x86emu *emu;
    struct x86emu_vcpu vcpu;
    struct x86emu_vcpu before; /* the step under way */
    enum x86emu_status status;
    unsigned requests, fault_at;
    bool lost, performed; /* an exchange; any other effect of the step under way */
    uint64_t trace;       /* of what the arena's devices saw, byte by byte */
    unsigned traced;
};

static struct run *running;
static struct x86emu_region_map maps[2]; /* RAM, devices */

static const struct x86emu_exception machine_check = {.vector = X86EMU_VECTOR_MC};

/* --- memory ------------------------------------------------------------------------------------------------------- */

static const struct span *span_of(uint64_t la)
{
    for (unsigned i = 0; i < SPANS; i++)
        if (la - spans[i].la < spans[i].size)
            return &spans[i];
    return NULL;
}

static void trace(uint64_t la, bool write, uint8_t byte)
{
    running->trace = (running->trace ^ (la << 9 | (uint64_t)write << 8 | byte)) * UINT64_C(0x100000001b3);
    running->traced++;
}

/* Elements from la on, in order; false where there is no memory. */
static bool transfer(uint64_t la, unsigned size, unsigned count, int stride, uint8_t *data, bool write)
{
    for (unsigned i = 0; i < count; i++) {
        for (unsigned byte = 0; byte < size; byte++) {
            uint64_t at = la + (uint64_t)((int64_t)i * stride) + byte;
            const struct span *span = span_of(at);

            if (span == NULL)
                return false;
            if (write)
                span->bytes[at - span->la] = data[i * size + byte];
            else
                data[i * size + byte] = span->bytes[at - span->la];
            if (span->arena)
                trace(at, write, data[i * size + byte]);
        }
    }
    return true;
}

static bool device_read(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data)
{
    return transfer((uintptr_t)opaque + offset, size, count, stride, data, false);
}

static bool device_write(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, const void *data)
{
    uint8_t copy[X86EMU_REQUEST_DATA];

    memcpy(copy, data, (size_t)size * count);
    return transfer((uintptr_t)opaque + offset, size, count, stride, copy, true);
}

static void make_maps(void)
{
    static struct x86emu_region regions[2][SPANS];
    static struct x86emu_host_range hosts[SPANS];

    for (unsigned i = 0; i < 2 * SPANS; i++) {
        const struct span *span = &spans[i % SPANS];
        struct x86emu_region *region = &regions[i / SPANS][i % SPANS];

        hosts[i % SPANS] = (struct x86emu_host_range){.base = span->bytes, .size = span->size};
        *region = (struct x86emu_region){
            .gpa = span->la, .size = span->size, .protection = 7, .kind = X86EMU_REGION_RAM, .host = &hosts[i % SPANS]};
        if (i >= SPANS && span->arena) {
            region->kind = X86EMU_REGION_MMIO;
            region->max_width = 8;
            region->read = device_read;
            region->write = device_write;
            region->opaque = (void *)(uintptr_t)span->la;
        }
        x86emu_region_insert(&maps[i / SPANS], region);
    }
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static uint8_t exchange(const struct x86emu_request *r)
{
    unsigned first = r->flags & X86EMU_REQUEST_SPLIT ? r->first_size : r->size;
    uint8_t data[16];

    memcpy(data, r->data.bytes, r->size);
    return transfer(r->gpa, first, 1, 0, data, true) &&
                   transfer(r->gpa_second, r->size - first, 1, 0, data + first, true)
               ? X86EMU_ANSWER_OK
               : X86EMU_ANSWER_UNMAPPED;
}

static void translate(struct x86emu_request *r)
{
    bool implicit = r->access & X86EMU_WALK_IMPLICIT;
    int allowed = implicit ? 7 : model_page_access(r->gva);
    unsigned wanted = r->access & 7;

    if (allowed == X86EMU_ACCESS_EXECUTE)
        allowed |= X86EMU_ACCESS_READ;
    if (allowed >= 0 && span_of(r->gva) != NULL && (wanted & ~(unsigned)allowed) == 0) {
        r->answer = X86EMU_ANSWER_OK;
        r->data.value = r->gva;
        return;
    }
    r->answer = X86EMU_ANSWER_FAULT;
    r->fault = (struct x86emu_exception){.vector = X86EMU_VECTOR_PF, .has_error_code = true, .cr2 = r->gva};
}

/* What only a caller knows: anything will do that is the same each time. */
static void invent(struct x86emu_request *r)
{
    for (unsigned i = 0; i < (unsigned)r->size * r->count; i++)
        r->data.bytes[i] = (uint8_t)(r->index * 7 + r->subindex + r->port + i * 29);
}

static void answer(struct x86emu_request *r)
{
    r->answer = X86EMU_ANSWER_OK;
    switch (r->kind) {
    case X86EMU_REQUEST_FETCH:
    case X86EMU_REQUEST_READ:
        if (!transfer(r->gpa, r->size, r->count, r->stride, r->data.bytes, false))
            r->answer = X86EMU_ANSWER_UNMAPPED;
        break;
    case X86EMU_REQUEST_WRITE:
        running->performed = true;
        if (!transfer(r->gpa, r->size, r->count, r->stride, r->data.bytes, true))
            r->answer = X86EMU_ANSWER_UNMAPPED;
        break;
    case X86EMU_REQUEST_RMW:
        r->answer = exchange(r);
        break;
    case X86EMU_REQUEST_TRANSLATE:
        translate(r);
        break;
    case X86EMU_REQUEST_STATE:
        running->vcpu.loaded |= r->state;
        break;
    case X86EMU_REQUEST_ENQUEUE:
        r->data.bytes[0] = 1; /* as RAM does, and a device with plain handlers */
        break;
    case X86EMU_REQUEST_ENTRY_READ: /* PDPTE registers */
        r->data.value = 0;
        break;
    default:
        invent(r);
        break;
    }
}

static void move(struct run *run)
{
    struct x86emu *moved = malloc(sizeof(*moved));

    memcpy(moved, run->emu, sizeof(*moved));
    memset(run->emu, 0xa5, sizeof(*run->emu));
    free(run->emu);
    run->emu = moved;
}

/* An exchange is lost to a value that happens to be the same; not once something else has happened. */
static bool lose(struct run *run)
{
    struct x86emu_request *r = &run->emu->request;

    if (r->kind != X86EMU_REQUEST_RMW || run->lost || run->performed || r->flags & X86EMU_REQUEST_PARTIAL)
        return false;
    run->lost = true;
    r->answer = X86EMU_ANSWER_CHANGED;
    return true;
}

static void answer_one(struct run *run)
{
    struct x86emu_request *r = &run->emu->request;

    if (run->path->flags & FAULTING && run->requests == run->fault_at) {
        r->answer = X86EMU_ANSWER_FAULT;
        r->fault = machine_check;
    } else if (!(run->path->flags & LOSING) || !lose(run)) {
        answer(r);
    }
    run->requests++;
}

/* --- one run ------------------------------------------------------------------------------------------------------ */

static void set_ring_0(struct x86emu_vcpu *v)
{
    for (unsigned i = 0; i < 6; i++) {
        v->segment[i].selector &= (uint16_t)~3;
        v->segment[i].attributes &= ~(uint32_t)X86EMU_SEGMENT_DPL;
    }
}

static void begin(struct run *run, const uint8_t *before, bool ring_0)
{
    struct x86emu_config config = {.options = X86EMU_OPTION_TRANSLATE};

    memcpy(space.writable, before, sizeof(space.writable));
    memcpy(space.readable, model_readable, sizeof(space.readable));
    segments_tables(space.tables, space.tables + PAGE);
    copy_code(run->situation, space.code);
    if (run->path->flags & MAPPED)
        config.map = &maps[run->path->flags & DEVICES ? 1 : 0];
    run->emu = malloc(sizeof(*run->emu));
    x86emu_init(run->emu, &config);
    memset(&run->vcpu, 0, sizeof(run->vcpu));
    model_load(run->situation, &run->vcpu);
    if (ring_0)
        set_ring_0(&run->vcpu);
    run->vcpu.loaded = run->path->flags & NOTHING ? 0 : X86EMU_STATE_ALL;
    running = run;
}

static void step(struct run *run)
{
    run->before = run->vcpu;
    run->performed = false;
    run->status = x86emu_step(run->emu, &run->vcpu);
    while (run->status == X86EMU_REQUEST) {
        if (run->path->flags & MOVED)
            move(run);
        answer_one(run);
        run->status = x86emu_complete(run->emu, &run->vcpu);
    }
}

static void run_path(struct run *run, const uint8_t *before, bool ring_0)
{
    begin(run, before, ring_0);
    for (unsigned steps = 0; steps < MOST_STEPS; steps++) {
        step(run);
        if (run->status != X86EMU_RETIRED || !run->emu->outcome.repeats)
            break;
    }
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

static bool same_vcpu(const struct x86emu_vcpu *a, const struct x86emu_vcpu *b)
{
    static struct x86emu_vcpu left, right;

    left = *a;
    right = *b;
    left.loaded = right.loaded = left.changed = right.changed = 0;
    return memcmp(&left, &right, sizeof(left)) == 0;
}

/* What differs from the first path's run, or NULL. */
static const char *difference(const struct run *first, const uint8_t *memory, const struct run *other)
{
    const struct x86emu_exception *a = &first->emu->outcome.exception, *b = &other->emu->outcome.exception;

    if (other->status == X86EMU_BAD_ANSWER)
        return "an answer refused";
    if (other->path->flags & FAULTING && other->requests > other->fault_at) {
        bool raised = other->status == X86EMU_EXCEPTION && b->vector == X86EMU_VECTOR_MC;

        return !raised ? "no exception" : !same_vcpu(&other->before, &other->vcpu) ? "registers after a fault" : NULL;
    }
    if (other->status != first->status)
        return "the end";
    if (first->status == X86EMU_EXCEPTION && (a->vector != b->vector || a->error_code != b->error_code ||
                                              a->cr2 != b->cr2 || a->has_error_code != b->has_error_code))
        return "the exception";
    if (!same_vcpu(&first->vcpu, &other->vcpu))
        return "registers";
    return memcmp(memory, space.writable, sizeof(space.writable)) != 0 ? "memory" : NULL;
}

static void show(const struct situation *s, const struct path *path, const char *what, bool ring_0)
{
    char text[X86EMU_FORMAT_ROOM];

    x86emu_format(&s->insn, s->registers.rip, text, sizeof(text));
    printf("DIFFERENCE: %s (%u-bit mode, ring %u), %s: %s\n   ", text, 16u << s->mode, ring_0 ? 0 : 3, path->name,
           what);
    for (unsigned i = 0; i < s->insn.length; i++)
        printf(" %02x", s->bytes[i]);
    printf("\n");
}

/* All paths of one situation; adds to *different. False when the row isn't emulated. */
static bool run_paths(struct situation *s, const uint8_t *before, unsigned long long *different)
{
    static struct run first, other;
    static uint8_t memory[WRITABLE_SIZE];
    bool ring_0 = one_in(2), emulated;
    const char *what = NULL;
    unsigned requests = 0;
    uint64_t requested = 0;

    first = (struct run){.path = &paths[0], .situation = s};
    run_path(&first, before, ring_0);
    memcpy(memory, space.writable, sizeof(memory));
    for (unsigned i = 1; i < sizeof(paths) / sizeof(paths[0]) && what == NULL; i++) {
        other = (struct run){.path = &paths[i], .situation = s, .fault_at = requests > 0 ? below(requests) : 0};
        run_path(&other, before, ring_0);
        what = difference(&first, memory, &other);
        if (i == 1) {
            requests = other.requests;
            requested = other.trace;
        } else if (paths[i].flags & TRACED && other.trace != requested && first.status == X86EMU_RETIRED) {
            what = "accesses of devices";
        }
        if (what != NULL)
            show(s, &paths[i], what, ring_0);
        free(other.emu);
    }
    *different += what != NULL;
    emulated = first.status != X86EMU_NOT_EMULATED || first.emu->outcome.reason != X86EMU_REASON_NO_FUNCTION;
    free(first.emu);
    return emulated;
}

bool paths_run(unsigned pairs, unsigned long long count)
{
    static struct situation s;
    static uint8_t before[WRITABLE_SIZE];
    static bool seen[X86EMU_FORM_COUNT], absent[X86EMU_FORM_COUNT];
    unsigned long long executions = 0, different = 0;
    unsigned rows = 0;

    make_maps();
    memcpy(before, random_vectors(sizeof(before) / 64), sizeof(before));
    for (unsigned n = 0; executions < count && different < MOST_SHOWN; n = (n + 1) % pairs) {
        if (!cases_make(n, &s) || absent[s.insn.form])
            continue;
        cases_vectors(&s);
        s.with_vectors = true;
        if (s.insn.prefixes & (X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE))
            s.registers.gpr[X86EMU_RCX] = below(300);
        absent[s.insn.form] = !run_paths(&s, before, &different);
        seen[s.insn.form] = true;
        executions++;
    }
    for (unsigned form = 0; form < X86EMU_FORM_COUNT; form++)
        rows += seen[form] && !absent[form];
    printf("%llu executions, %u rows, %llu unexplained\n", executions, rows, different);
    return different == 0 && executions > 0;
}
