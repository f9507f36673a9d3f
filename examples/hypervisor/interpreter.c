/* SPDX-License-Identifier: BSD-2-Clause */
/* The processor as the library interprets it, one instruction a nanosecond of the guest's time: runs repeat exactly. */
#include "machine.h"
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SLICE = 1024 /* instructions between two looks at the timers */
};

struct interpreter {
    struct machine *machine;
    struct x86emu_vcpu *vcpu;
    struct x86emu emu;
    struct x86emu_cache cache;
};

static uint64_t virtual_now(const struct machine *machine)
{
    return machine->virtual_time;
}

static double real_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static bool interruptible(const struct x86emu_vcpu *vcpu)
{
    return vcpu->rflags & X86EMU_RFLAGS_IF &&
           !(vcpu->interruptibility & (X86EMU_BLOCKED_BY_STI | X86EMU_BLOCKED_BY_MOV_SS));
}

static void fail(struct interpreter *i, const char *why)
{
    printf("\ninterpreter: %s\n", why);
    report_vcpu(i->vcpu, i->emu.bytes, i->emu.byte_count);
    i->machine->end = MACHINE_FAILED;
}

/* Delivers the event, and what that leads to. */
static void deliver(struct interpreter *i, struct x86emu_event event)
{
    for (;;) {
        enum x86emu_status status = x86emu_deliver(&i->emu, i->vcpu, &event);

        if (status == X86EMU_RETIRED)
            return;
        if (status != X86EMU_EXCEPTION) {
            fail(i, status == X86EMU_SHUTDOWN ? "triple fault" : "an event can't be delivered");
            return;
        }
        event = (struct x86emu_event){.kind = X86EMU_EVENT_EXCEPTION,
                                      .vector = i->emu.outcome.exception.vector,
                                      .error_code = i->emu.outcome.exception.error_code,
                                      .has_error_code = i->emu.outcome.exception.has_error_code,
                                      .cr2 = i->emu.outcome.exception.cr2};
    }
}

static void take_exception(struct interpreter *i)
{
    const struct x86emu_exception *e = &i->emu.outcome.exception;

    i->machine->statistics.exceptions++;
    deliver(i, (struct x86emu_event){.kind = X86EMU_EVENT_EXCEPTION,
                                     .vector = e->vector,
                                     .error_code = e->error_code,
                                     .has_error_code = e->has_error_code,
                                     .cr2 = e->cr2,
                                     .dr6 = i->emu.outcome.dr6});
}

/* A single step or a breakpoint, after the instruction. */
static void take_trap(struct interpreter *i)
{
    i->machine->statistics.exceptions++;
    deliver(i, (struct x86emu_event){
                   .kind = X86EMU_EVENT_EXCEPTION, .vector = X86EMU_VECTOR_DB, .dr6 = i->emu.outcome.dr6});
}

static void take_interrupt(struct interpreter *i)
{
    i->machine->halted = false;
    i->machine->statistics.interrupts++;
    deliver(
        i, (struct x86emu_event){.kind = X86EMU_EVENT_INTERRUPT, .vector = (uint8_t)pic_acknowledge(&i->machine->pic)});
}

static void run_timers(struct interpreter *i)
{
    machine_run_devices(i->machine);
    if (pic_pending(&i->machine->pic) && interruptible(i->vcpu))
        take_interrupt(i);
}

/* --- instructions ------------------------------------------------------------------------------------------------- */

static void explain(struct interpreter *i, enum x86emu_status status)
{
    char text[128];

    if (status == X86EMU_NOT_EMULATED)
        snprintf(text, sizeof(text), "not emulated: row %u", i->emu.insn.form);
    else
        snprintf(text, sizeof(text), "status %d, address %#llx", (int)status, (unsigned long long)i->emu.outcome.gpa);
    fail(i, text);
}

static void run_slice(struct interpreter *i)
{
    for (unsigned n = 0; n < SLICE && !i->machine->halted && i->machine->end == MACHINE_RUNS; n++) {
        enum x86emu_status status = x86emu_step(&i->emu, i->vcpu);

        i->machine->virtual_time++;
        i->machine->statistics.instructions++;
        if (status == X86EMU_RETIRED && i->emu.outcome.trap)
            take_trap(i);
        if (status == X86EMU_RETIRED)
            continue;
        if (status == X86EMU_EXCEPTION)
            take_exception(i);
        else
            explain(i, status);
    }
}

/* Sleeps until the next timer, in no time. */
static void sleep_until_timer(struct interpreter *i)
{
    uint64_t next = pit_next(i->machine);

    i->machine->statistics.halts++;
    if (!(i->vcpu->rflags & X86EMU_RFLAGS_IF) || next == UINT64_MAX) {
        fail(i, "halted for ever");
        return;
    }
    if (next > i->machine->virtual_time)
        i->machine->virtual_time = next;
}

bool interpreter_run(struct machine *machine, struct x86emu_vcpu *vcpu, const struct options *options)
{
    struct interpreter *i = calloc(1, sizeof(*i));
    struct x86emu_config config = {.map = &machine->map, .opaque = machine};
    double end = real_seconds() + (double)options->seconds;

    if (i == NULL)
        return false;
    i->machine = machine;
    i->vcpu = vcpu;
    machine->now = virtual_now;
    config.cache = &i->cache;
    for (unsigned kind = 1; kind < X86EMU_REQUEST_KINDS; kind++)
        config.callbacks[kind] = machine_answer;
    x86emu_init(&i->emu, &config);
    for (unsigned slices = 0; machine->end == MACHINE_RUNS; slices++) {
        run_slice(i);
        if (i->machine->halted && !pic_pending(&machine->pic))
            sleep_until_timer(i);
        run_timers(i);
        if (slices % 1024 == 0 && real_seconds() > end)
            fail(i, "out of time");
    }
    free(i);
    return machine->end != MACHINE_FAILED;
}
