/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processors as the library interprets them, in turns, one instruction a nanosecond of the guest's time: runs
 * repeat exactly.
 */
#include "control.h"
#include "events.h"
#include "machine.h"
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SLICE = 1024 /* instructions of one processor between two looks at the timers */
};

struct processor {
    struct machine *machine;
    struct cpu *cpu;
    struct interpreter *all;
    struct x86emu_vcpu *vcpu;
    uint64_t activity; /* of the machine, when pending was last found out */
    uint64_t cr8;      /* then */
    bool pending;      /* an event waits, maybe for its window */
    struct x86emu emu;
    struct x86emu_cache cache;
};

struct interpreter {
    struct machine *machine;
    struct processor *processor[MACHINE_MAX_CPUS];
};

/* Until the control socket lets them go on. */
static void stop_all(struct interpreter *i)
{
    struct control_view views[MACHINE_MAX_CPUS];

    for (unsigned n = 0; n < i->machine->cpu_count; n++)
        views[n] = (struct control_view){.index = n, .vcpu = i->processor[n]->vcpu, .emu = &i->processor[n]->emu};
    control_stop_here(i->machine, views, i->machine->cpu_count);
}

static uint64_t virtual_now(const struct machine *machine)
{
    return machine->virtual_time + machine->row;
}

static double real_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static void fail(struct processor *p, const char *why)
{
    printf("\ninterpreter: processor %u: %s\n", p->cpu->index, why);
    report_vcpu(p->vcpu, p->emu.bytes, p->emu.byte_count);
    p->machine->end = MACHINE_FAILED;
}

static void deliver(struct processor *p, struct x86emu_event event)
{
    const char *failure = events_deliver(&p->emu, p->vcpu, event);

    if (failure != NULL)
        fail(p, failure);
}

static void take_exception(struct processor *p, struct x86emu_event event)
{
    p->machine->statistics.exceptions++;
    deliver(p, event);
}

static void find_pending(struct processor *p)
{
    cpu_take_cr8(p->cpu, p->vcpu->cr8);
    p->activity = p->machine->activity;
    p->cr8 = p->vcpu->cr8;
    p->pending = p->cpu->apic.init || p->cpu->apic.startup || cpu_has_nmi(p->cpu) || cpu_has_interrupt(p->cpu);
}

/* What has come since the last instruction, as far as its window is open. */
static void take_events(struct processor *p)
{
    struct x86emu_event event;

    if (p->activity != p->machine->activity || p->cr8 != p->vcpu->cr8)
        find_pending(p);
    if (!p->pending)
        return;
    cpu_take_init(p->cpu, p->vcpu);
    if (p->cpu->waiting)
        return;
    if (!events_next(p->cpu, p->vcpu, &event))
        return;
    deliver(p, event);
    find_pending(p);
}

/* --- instructions ------------------------------------------------------------------------------------------------- */

static void explain(struct processor *p, enum x86emu_status status)
{
    const struct x86emu_request *r = &p->emu.request;
    char text[128];

    if (status == X86EMU_NOT_EMULATED)
        snprintf(text, sizeof(text), "instruction not emulated, reason %u", p->emu.outcome.reason);
    else if (status == X86EMU_UNMAPPED)
        snprintf(text, sizeof(text), "%s at %#llx, where no memory is",
                 p->emu.outcome.access & X86EMU_ACCESS_EXECUTE ? "instruction fetch" : "access",
                 (unsigned long long)p->emu.outcome.gpa);
    else if (status == X86EMU_REQUEST)
        snprintf(text, sizeof(text), "access at %#llx that no device takes, request %u", (unsigned long long)r->gpa,
                 r->kind);
    else
        snprintf(text, sizeof(text), "emulation ended with status %d", (int)status);
    fail(p, text);
}

/* Runs up to limit instructions; the number that it ran, the last of which perhaps didn't retire. */
static unsigned advance(struct processor *p, unsigned limit)
{
    struct machine *machine = p->machine;
    enum x86emu_status status = x86emu_steps(&p->emu, p->vcpu, limit, &machine->row);
    unsigned ran = (unsigned)machine->row + (status != X86EMU_RETIRED);

    machine->row = 0;
    machine->virtual_time += ran;
    machine->statistics.instructions += ran;
    if (machine->failure[0] != 0)
        fail(p, machine->failure);
    if (status == X86EMU_REQUEST) {
        if (atomic_load(&machine->defers))
            stop_all(p->all); /* with this request open */
        status = machine_complete(p->cpu, &p->emu, p->vcpu);
    }
    if (status == X86EMU_EXCEPTION)
        take_exception(p, events_exception(&p->emu));
    else if (status != X86EMU_RETIRED)
        explain(p, status);
    else if (p->emu.outcome.trap)
        take_exception(p, events_trap(&p->emu));
    return ran;
}

static bool runs(const struct processor *p)
{
    return !p->cpu->halted && !p->cpu->waiting && p->machine->end == MACHINE_RUNS;
}

/* False: it sleeps. */
static bool run_slice(struct processor *p)
{
    if ((p->cpu->halted || p->cpu->waiting) && !cpu_is_woken(p->cpu, p->vcpu))
        return false;
    take_events(p);
    for (unsigned n = 0; n < SLICE && runs(p);) {
        bool shadowed = p->pending && p->vcpu->interruptibility != 0; /* its end would go unnoticed in a row */

        n += advance(p, shadowed ? 1 : SLICE - n);
        take_events(p);
    }
    return true;
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

static bool can_be_woken(const struct processor *p)
{
    return !p->cpu->waiting && p->vcpu->rflags & X86EMU_RFLAGS_IF;
}

/* All processors sleep: until the next timer, in no time. */
static void sleep_until_timer(struct interpreter *i)
{
    uint64_t next = machine_next_timer(i->machine);
    bool any = false;

    i->machine->statistics.halts++;
    for (unsigned n = 0; n < i->machine->cpu_count; n++)
        any |= can_be_woken(i->processor[n]);
    if (!any || next == UINT64_MAX) {
        fail(i->processor[0], "halted for ever");
        return;
    }
    if (next > i->machine->virtual_time && i->machine->interactive)
        usleep((useconds_t)((next - i->machine->virtual_time) / 1000 % 1000000));
    if (next > i->machine->virtual_time)
        i->machine->virtual_time = next;
}

static bool add_processor(struct interpreter *i, unsigned n, struct x86emu_vcpu *vcpu)
{
    struct processor *p = calloc(1, sizeof(*p));
    struct x86emu_config config = {.map = &i->machine->map, .opaque = &i->machine->cpu[n]};

    i->processor[n] = p;
    if (p == NULL)
        return false;
    p->machine = i->machine;
    p->cpu = &i->machine->cpu[n];
    p->vcpu = vcpu;
    p->activity = UINT64_MAX;
    config.cache = &p->cache;
    for (unsigned kind = 1; kind < X86EMU_REQUEST_KINDS; kind++)
        config.callbacks[kind] = machine_answer;
    x86emu_init(&p->emu, &config);
    p->all = i;
    if (i->machine->restored != NULL) {
        p->emu = i->machine->restored[n];
        x86emu_rebind(&p->emu, &config);
    }
    return true;
}

static void run_all(struct interpreter *i, double end)
{
    struct machine *machine = i->machine;

    for (unsigned rounds = 0; machine->end == MACHINE_RUNS; rounds++) {
        bool any = false;

        if (control_wanted(machine))
            stop_all(i);
        for (unsigned n = 0; n < machine->cpu_count && machine->end == MACHINE_RUNS; n++)
            any |= run_slice(i->processor[n]);
        if (!any)
            sleep_until_timer(i);
        machine_run_devices(machine);
        if (rounds % 1024 == 0 && real_seconds() > end)
            fail(i->processor[0], "out of time");
    }
}

bool interpreter_run(struct machine *machine, struct x86emu_vcpu *vcpu, const struct options *options)
{
    struct interpreter i = {.machine = machine};
    double end = real_seconds() + (double)options->seconds;
    bool ok = true;

    machine->now = virtual_now;
    machine->has_deadline = true;
    for (unsigned n = 0; ok && n < machine->cpu_count; n++)
        ok = add_processor(&i, n, &vcpu[n]);
    for (unsigned n = 0; ok && machine->restored != NULL && n < machine->cpu_count; n++)
        if (runs(i.processor[n]))
            advance(i.processor[n], 1); /* before any event: an instruction may be half done */
    if (ok)
        run_all(&i, end);
    for (unsigned n = 0; n < machine->cpu_count; n++)
        free(i.processor[n]);
    return ok && machine->end != MACHINE_FAILED;
}
