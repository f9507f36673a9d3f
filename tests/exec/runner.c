/* SPDX-License-Identifier: BSD-2-Clause */
/* How a case is multiplied, and what is compared. */
#include "runner.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_FLAGS \
    (X86EMU_RFLAGS_CF | X86EMU_RFLAGS_PF | X86EMU_RFLAGS_AF | X86EMU_RFLAGS_ZF | X86EMU_RFLAGS_SF | X86EMU_RFLAGS_OF)

#define MAX_STEPS 1000

/* One way of running. */
struct variant {
    const char *name;
    bool callbacks, map, handed_on;
    bool cached;         /* with a cache that has seen the first step before */
    bool in_a_row;       /* by x86emu_steps() */
    bool moved;          /* the context moves at each request */
    bool nothing_loaded; /* each state group comes on demand */
    bool lose_exchanges; /* each exchange is answered "changed" once, with the same old value */
    int fault_at;        /* request number answered by a fault; -1: none */
    uint64_t flip_flags;
};

struct attempt {
    struct world *world;
    struct x86emu *emu;
    struct x86emu_vcpu before; /* at the beginning of the step under way */
    enum x86emu_status status;
    int requests;
    uint64_t lost_id; /* the exchange that was made to lose */
    bool lost_one;
    bool written; /* something, in the step under way */
};

static const struct x86emu_exception injected = {.vector = X86EMU_VECTOR_MC};

/* --- running ------------------------------------------------------------------------------------------------------ */

static struct x86emu_config config_of(const struct variant *variant, struct world *world)
{
    static struct x86emu_cache cache;
    struct x86emu_config config = {.opaque = world, .maxphyaddr = 46};

    for (int kind = 0; variant->callbacks && kind < X86EMU_REQUEST_KINDS; kind++)
        config.callbacks[kind] = world_callback;
    if (variant->map) {
        world_map(world, variant->handed_on, 8);
        config.map = &world->map;
    }
    if (variant->cached) {
        memset(&cache, 0, sizeof(cache));
        config.cache = &cache;
    }
    return config;
}

/* Moves the context to fresh memory and ruins the old one. */
static void move(struct attempt *attempt)
{
    struct x86emu *moved = malloc(sizeof(*moved));

    memcpy(moved, attempt->emu, sizeof(*moved));
    memset(attempt->emu, 0xa5, sizeof(*attempt->emu));
    free(attempt->emu);
    attempt->emu = moved;
}

/* Answers "changed" the first time, with the value that was there all along; not once something has been written. */
static bool lose(struct attempt *attempt, struct x86emu_request *request)
{
    bool exchange = request->kind == X86EMU_REQUEST_RMW || request->kind == X86EMU_REQUEST_ENTRY_UPDATE;

    if (!exchange || attempt->lost_one || attempt->written || request->flags & X86EMU_REQUEST_PARTIAL)
        return false;
    attempt->lost_one = true;
    request->answer = X86EMU_ANSWER_CHANGED;
    return true;
}

static void answer(struct attempt *attempt, const struct variant *variant)
{
    struct x86emu_request *request = &attempt->emu->request;

    if (attempt->requests++ == variant->fault_at) {
        request->fault = injected;
        request->answer = X86EMU_ANSWER_FAULT;
        return;
    }
    attempt->written |= request->kind == X86EMU_REQUEST_WRITE;
    if (!variant->lose_exchanges || !lose(attempt, request))
        world_answer(attempt->world, request);
}

static enum x86emu_status begin_step(struct attempt *attempt, const struct variant *variant)
{
    struct x86emu_vcpu *vcpu = &attempt->world->vcpu;
    enum x86emu_status status;
    uint64_t retired;

    if (!variant->in_a_row)
        return x86emu_step(attempt->emu, vcpu);
    status = x86emu_steps(attempt->emu, vcpu, 1, &retired);
    cr_assert_eq(retired, status == X86EMU_RETIRED);
    return status;
}

static void step(struct attempt *attempt, const struct variant *variant)
{
    attempt->before = attempt->world->vcpu;
    attempt->written = false;
    if (attempt->world->hint.flags != 0 || attempt->world->hint.byte_count != 0)
        x86emu_hint(attempt->emu, &attempt->world->hint);
    attempt->status = begin_step(attempt, variant);
    while (attempt->status == X86EMU_REQUEST) {
        if (variant->moved)
            move(attempt);
        answer(attempt, variant);
        attempt->status = x86emu_complete(attempt->emu, &attempt->world->vcpu);
    }
}

/* Runs the first step in a copy of the world that is then forgotten, so that the cache knows it. */
static void warm(struct attempt *attempt, const struct variant *variant, const struct x86emu_config *config)
{
    struct world *kept = malloc(sizeof(*kept));

    memcpy(kept, attempt->world, sizeof(*kept));
    x86emu_init(attempt->emu, config);
    step(attempt, variant);
    memcpy(attempt->world, kept, sizeof(*kept));
    free(kept);
}

/* Builds the world and runs to the end of the instruction, all iterations of REP included. */
static void attempt_run(struct attempt *attempt, const struct test_case *test, const struct variant *variant)
{
    struct x86emu_config config;

    attempt->world = malloc(sizeof(*attempt->world));
    attempt->emu = malloc(sizeof(*attempt->emu));
    attempt->requests = 0;
    attempt->lost_one = false;
    world_init(attempt->world, test->mode);
    if (test->user)
        world_set_user(attempt->world);
    world_code(attempt->world, test->code, test->code_size);
    if (test->setup != NULL)
        test->setup(attempt->world);
    attempt->world->vcpu.rflags ^= variant->flip_flags;
    if (variant->nothing_loaded)
        attempt->world->vcpu.loaded = 0;
    config = config_of(variant, attempt->world);
    if (variant->cached)
        warm(attempt, variant, &config);
    x86emu_init(attempt->emu, &config);
    for (int steps = 0; steps < MAX_STEPS; steps++) {
        step(attempt, variant);
        if (attempt->status != X86EMU_RETIRED || !attempt->emu->outcome.repeats)
            return;
    }
    cr_assert_fail("%s, %s: never ends", test->name, variant->name);
}

static void attempt_free(struct attempt *attempt)
{
    free(attempt->world);
    free(attempt->emu);
}

enum x86emu_status run_step(struct world *world, struct x86emu *emu)
{
    enum x86emu_status status = x86emu_step(emu, &world->vcpu);

    while (status == X86EMU_REQUEST) {
        world_answer(world, &emu->request);
        status = x86emu_complete(emu, &world->vcpu);
    }
    return status;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

static void compare_vcpu(const struct x86emu_vcpu *a, const struct x86emu_vcpu *b, uint64_t ignored_flags,
                         const char *test, const char *variant)
{
    struct x86emu_vcpu left = *a, right = *b;

    left.loaded = right.loaded = 0;
    cr_assert_eq(left.rflags & ~ignored_flags, right.rflags & ~ignored_flags, "%s, %s: rflags %llx, %llx", test,
                 variant, (unsigned long long)left.rflags, (unsigned long long)right.rflags);
    left.rflags = right.rflags = 0;
    for (int i = 0; i < 16; i++)
        cr_assert_eq(left.gpr[i], right.gpr[i], "%s, %s: register %d is %llx, %llx", test, variant, i,
                     (unsigned long long)left.gpr[i], (unsigned long long)right.gpr[i]);
    cr_assert_eq(left.rip, right.rip, "%s, %s: rip", test, variant);
    cr_assert(memcmp(&left, &right, sizeof(left)) == 0, "%s, %s: other vCPU state", test, variant);
}

/* Device accesses byte by byte: how an access is split may differ between variants, what is done may not. */
static unsigned bytes_of_trace(const struct world *world, struct world_event *out, unsigned room)
{
    unsigned count = 0;

    for (unsigned i = 0; i < world->event_count; i++) {
        const struct world_event *event = &world->event[i];
        unsigned size = event->size != 0 ? event->size : 1;

        for (unsigned byte = 0; byte < size && count < room; byte++)
            out[count++] = (struct world_event){.kind = event->kind,
                                                .size = 1,
                                                .address = event->address + byte,
                                                .value = event->bytes[byte % sizeof(event->bytes)]};
    }
    return count;
}

static void compare_traces(const struct world *a, const struct world *b, const char *test, const char *variant)
{
    static struct world_event left[8 * WORLD_MAX_TRACE], right[8 * WORLD_MAX_TRACE];
    unsigned left_count = bytes_of_trace(a, left, 8 * WORLD_MAX_TRACE);
    unsigned right_count = bytes_of_trace(b, right, 8 * WORLD_MAX_TRACE);

    cr_assert_eq(left_count, right_count, "%s, %s: %u bytes of device accesses, %u", test, variant, left_count,
                 right_count);
    for (unsigned i = 0; i < left_count; i++)
        cr_assert(left[i].kind == right[i].kind && left[i].address == right[i].address &&
                      left[i].value == right[i].value,
                  "%s, %s: device access %u differs", test, variant, i);
}

static void compare_worlds(const struct attempt *a, const struct attempt *b, uint64_t ignored_flags, const char *test,
                           const char *variant)
{
    cr_assert_eq(a->status, b->status, "%s, %s: status %d, %d", test, variant, a->status, b->status);
    compare_vcpu(&a->world->vcpu, &b->world->vcpu, ignored_flags, test, variant);
    cr_assert(memcmp(a->world->ram, b->world->ram, WORLD_RAM_SIZE) == 0, "%s, %s: RAM differs", test, variant);
    cr_assert(memcmp(a->world->device, b->world->device, WORLD_DEVICE_SIZE) == 0, "%s, %s: device differs", test,
              variant);
    compare_traces(a->world, b->world, test, variant);
}

/* --- the variants ------------------------------------------------------------------------------------------------- */

static void check_same(const struct test_case *test, const struct attempt *plain, const struct variant *variant)
{
    struct attempt other;

    attempt_run(&other, test, variant);
    compare_worlds(plain, &other, 0, test->name, variant->name);
    if (test->check != NULL)
        test->check(other.world, other.emu);
    attempt_free(&other);
}

/* Whatever request fails, the vCPU is as before the step. */
static void check_faults(const struct test_case *test, int requests)
{
    for (int at = 0; at < requests; at++) {
        const struct variant variant = {.name = "fault in turn", .fault_at = at};
        struct attempt faulting;

        attempt_run(&faulting, test, &variant);
        cr_assert_eq(faulting.status, X86EMU_EXCEPTION, "%s: fault at request %d gives status %d", test->name, at,
                     faulting.status);
        cr_assert_eq(faulting.emu->outcome.exception.vector, injected.vector, "%s: fault at request %d", test->name,
                     at);
        compare_vcpu(&faulting.before, &faulting.world->vcpu, 0, test->name, "fault in turn");
        attempt_free(&faulting);
    }
}

/* Flags that the row doesn't read change nothing, and flags that it doesn't write stay. */
static void check_flags(const struct test_case *test, const struct attempt *plain)
{
    const struct x86emu_form_flags *row = x86emu_form_flags(plain->emu->insn.form);
    uint64_t flip = STATUS_FLAGS & ~(uint64_t)row->read;
    uint64_t changed = row->written | row->undefined | row->set | row->cleared;
    const struct variant variant = {.name = "other flags", .fault_at = -1, .flip_flags = flip};
    struct attempt other;

    attempt_run(&other, test, &variant);
    compare_worlds(plain, &other, flip, test->name, variant.name);
    if (plain->status == X86EMU_RETIRED)
        cr_assert_eq((plain->world->vcpu.rflags ^ other.world->vcpu.rflags) & flip & ~(uint64_t)row->undefined,
                     flip & ~changed, "%s: flags changed that the row doesn't name", test->name);
    attempt_free(&other);
}

void run_case(const struct test_case *test)
{
    static const struct variant variants[] = {
        {.name = "callbacks", .callbacks = true, .fault_at = -1},
        {.name = "regions", .map = true, .fault_at = -1},
        {.name = "regions handed on", .map = true, .handed_on = true, .fault_at = -1},
        {.name = "moved", .moved = true, .fault_at = -1},
        {.name = "moved, regions handed on", .moved = true, .map = true, .handed_on = true, .fault_at = -1},
        {.name = "state on demand", .nothing_loaded = true, .moved = true, .fault_at = -1},
        {.name = "cached", .map = true, .cached = true, .fault_at = -1},
        {.name = "cached, moved", .map = true, .handed_on = true, .moved = true, .cached = true, .fault_at = -1},
        {.name = "in a row", .map = true, .cached = true, .in_a_row = true, .fault_at = -1},
        {.name = "in a row, moved",
         .map = true,
         .handed_on = true,
         .moved = true,
         .cached = true,
         .in_a_row = true,
         .fault_at = -1},
        {.name = "lost exchanges", .lose_exchanges = true, .fault_at = -1},
    };
    const struct variant requests = {.name = "requests", .fault_at = -1};
    struct attempt plain;

    attempt_run(&plain, test, &requests);
    cr_assert_eq(plain.status, test->status, "%s: status %d instead of %d (vector %u)", test->name, plain.status,
                 test->status, plain.emu->outcome.exception.vector);
    if (test->check != NULL)
        test->check(plain.world, plain.emu);
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
        if (!test->requests_alone || !variants[i].map || variants[i].handed_on)
            check_same(test, &plain, &variants[i]);
    check_faults(test, plain.requests);
    if (!test->flags_by_condition)
        check_flags(test, &plain);
    attempt_free(&plain);
}

void run_cases(const struct test_case *cases, size_t count, enum x86emu_mode mode, void (*setup)(struct world *world))
{
    for (size_t i = 0; i < count; i++) {
        struct test_case test = cases[i];

        test.mode = mode;
        test.setup = test.setup != NULL ? test.setup : setup;
        run_case(&test);
    }
}

void check_gp0(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_GP, "vector %u", emu->outcome.exception.vector);
    cr_assert(emu->outcome.exception.has_error_code);
    cr_assert_eq(emu->outcome.exception.error_code, 0);
}

void check_ud(const struct world *world, const struct x86emu *emu)
{
    (void)world;
    cr_assert_eq(emu->outcome.exception.vector, X86EMU_VECTOR_UD, "vector %u", emu->outcome.exception.vector);
    cr_assert(!emu->outcome.exception.has_error_code);
}
