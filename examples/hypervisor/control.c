/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: one line a command, answered by lines of which the last is "ok" or begins with "error". */
#define _GNU_SOURCE
#include "control.h"

#include "machine.h"
#include "pages.h"
#include "state.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    PATIENCE_S = 30, /* for processors to stop */
};

struct control {
    struct machine *machine;
    int listener, end[2];
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_bool wanted;
    unsigned stopped; /* processors */
    struct control_view view[MACHINE_MAX_CPUS];
    bool paused; /* by command, until another */
};

/* --- the processors' side ----------------------------------------------------------------------------------------------- */

bool control_wanted(const struct machine *machine)
{
    return machine->control != NULL && atomic_load_explicit(&machine->control->wanted, memory_order_relaxed) &&
           !atomic_load_explicit(&machine->defers, memory_order_relaxed);
}

void control_stop_here(struct machine *machine, const struct control_view *views, unsigned count)
{
    struct control *c = machine->control;

    pthread_mutex_lock(&c->lock);
    atomic_store(&c->machine->defers, false); /* the others stop where they are */
    for (unsigned n = 0; n < count; n++)
        c->view[views[n].index] = views[n];
    c->stopped += count;
    pthread_cond_broadcast(&c->changed);
    while (atomic_load(&c->wanted))
        pthread_cond_wait(&c->changed, &c->lock);
    c->stopped -= count;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* --- stopping and going on ---------------------------------------------------------------------------------------------- */

static void kick_all(struct machine *machine)
{
    machine_lock(machine);
    for (unsigned n = 0; machine->kick != NULL && n < machine->cpu_count; n++)
        machine->kick(&machine->cpu[n]);
    machine_unlock(machine);
}

/* Until all of them do: the next command may be to stop. */
static void go_on(struct control *c)
{
    pthread_mutex_lock(&c->lock);
    atomic_store(&c->wanted, false);
    atomic_store(&c->machine->defers, false);
    pthread_cond_broadcast(&c->changed);
    while (c->stopped > 0)
        pthread_cond_wait(&c->changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

/* in_access: one of them in the middle of an access to a device. False: they didn't. */
static bool stop_all(struct control *c, bool in_access)
{
    struct timespec until;
    bool all;

    if (c->paused && in_access)
        return false;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&c->lock); /* whoever stops sees both */
    atomic_store(&c->machine->defers, in_access);
    atomic_store(&c->wanted, true);
    pthread_mutex_unlock(&c->lock);
    kick_all(c->machine);
    pthread_mutex_lock(&c->lock);
    while (c->stopped < c->machine->cpu_count && c->machine->end == MACHINE_RUNS)
        if (pthread_cond_timedwait(&c->changed, &c->lock, &until) != 0)
            break;
    all = c->stopped == c->machine->cpu_count;
    pthread_mutex_unlock(&c->lock);
    if (!all && !c->paused)
        go_on(c);
    return all;
}

static void let_go(struct control *c)
{
    if (!c->paused)
        go_on(c);
}

/* --- commands ------------------------------------------------------------------------------------------------------------ */

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static const char *pause_machine(struct control *c, FILE *out, const char *argument)
{
    double start = seconds_now();

    (void)argument;
    if (!stop_all(c, false))
        return "the processors don't stop";
    c->paused = true;
    fprintf(out, "stopped after %.0f microseconds\n", (seconds_now() - start) * 1e6);
    return NULL;
}

static const char *resume_machine(struct control *c, FILE *out, const char *argument)
{
    (void)out, (void)argument;
    c->paused = false;
    go_on(c);
    return NULL;
}

static const char *show_registers(struct control *c, FILE *out, const char *argument)
{
    (void)argument;
    if (!stop_all(c, false))
        return "the processors don't stop";
    for (unsigned n = 0; n < c->machine->cpu_count; n++) {
        uint8_t bytes[X86EMU_MAX_INSN_LENGTH];
        unsigned count = X86EMU_MAX_INSN_LENGTH;

        while (count > 0 &&
               !machine_read_linear(c->machine, c->view[n].vcpu,
                                    c->view[n].vcpu->segment[X86EMU_CS].base + c->view[n].vcpu->rip, bytes, count))
            count--;
        fprintf(out, "processor %u%s\n", n, c->machine->cpu[n].halted ? ", halted" : "");
        report_vcpu_to(out, c->view[n].vcpu, bytes, count);
    }
    let_go(c);
    return NULL;
}

static const char *send_nmi(struct control *c, FILE *out, const char *argument)
{
    unsigned long n = strtoul(argument, NULL, 10);

    (void)out;
    if (n >= c->machine->cpu_count)
        return "no such processor";
    machine_lock(c->machine);
    c->machine->cpu[n].apic.nmi = true;
    machine_unlock(c->machine); /* counts as activity: the interpreter looks */
    kick_all(c->machine);
    return NULL;
}

static const char *save(struct control *c, const char *path, bool in_access)
{
    const char *error;

    if (*path == 0)
        return "save where?";
    if (!stop_all(c, in_access))
        return in_access && c->paused ? "the machine is paused" : "the processors don't stop";
    error = state_save(c->machine, c->view, path);
    let_go(c);
    return error;
}

static const char *save_anywhere(struct control *c, FILE *out, const char *argument)
{
    (void)out;
    return save(c, argument, false);
}

static const char *save_in_access(struct control *c, FILE *out, const char *argument)
{
    (void)out;
    return save(c, argument, true);
}

static const char *show_memory(struct control *c, FILE *out, const char *argument)
{
    (void)argument;
    if (c->machine->pages == NULL)
        return "not without --dirty-rate";
    pages_print(c->machine->pages, out);
    return NULL;
}

static const struct command {
    const char *name;
    const char *(*run)(struct control *control, FILE *out, const char *argument); /* what went wrong, or NULL */
} commands[] = {
    {"registers", show_registers}, {"pause", pause_machine},      {"resume", resume_machine}, {"nmi", send_nmi},
    {"save", save_anywhere},       {"save-mmio", save_in_access}, {"memory", show_memory},
};

static void obey(struct control *c, FILE *out, char *line)
{
    char *argument = line + strcspn(line, " \r\n");
    const char *error = "no such command";

    if (*argument == ' ')
        *argument++ = 0;
    else
        *argument = 0;
    argument[strcspn(argument, "\r\n")] = 0;
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(line, commands[i].name) == 0)
            error = commands[i].run(c, out, argument);
    if (error != NULL)
        fprintf(out, "error: %s\n", error);
    else
        fprintf(out, "ok\n");
    fflush(out);
}

/* --- the socket ---------------------------------------------------------------------------------------------------------- */

static bool readable(const struct control *c, int socket)
{
    struct pollfd wait[2] = {{.fd = socket, .events = POLLIN}, {.fd = c->end[0], .events = POLLIN}};

    while (poll(wait, 2, -1) < 0 && errno == EINTR)
        ;
    return !(wait[1].revents & POLLIN);
}

static void talk(struct control *c, int socket)
{
    FILE *out = fdopen(dup(socket), "w");
    char line[512];
    size_t length = 0;
    char byte;

    while (out != NULL && readable(c, socket) && read(socket, &byte, 1) == 1) {
        if (length < sizeof(line) - 1)
            line[length++] = byte;
        if (byte != '\n')
            continue;
        line[length] = 0;
        length = 0;
        obey(c, out, line);
    }
    if (out != NULL)
        fclose(out);
    close(socket);
}

static void *serve(void *opaque)
{
    struct control *c = opaque;

    while (readable(c, c->listener)) {
        int socket = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);

        if (socket >= 0)
            talk(c, socket);
    }
    return NULL;
}

struct control *control_start(struct machine *machine, const char *path, bool paused)
{
    struct control *c = calloc(1, sizeof(*c));
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (c == NULL)
        return NULL;
    c->machine = machine;
    c->paused = paused;
    atomic_init(&c->wanted, paused);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    snprintf(c->path, sizeof(c->path), "%s", path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof(c->path) || c->listener < 0 ||
        bind(c->listener, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(c->listener, 4) != 0 ||
        pipe(c->end) != 0 || pthread_create(&c->thread, NULL, serve, c) != 0) {
        fprintf(stderr, "x86emu-hypervisor: control socket %s: %s\n", path, strerror(errno));
        free(c); /* the process ends */
        return NULL;
    }
    return c;
}

void control_stop(struct control *c)
{
    if (write(c->end[1], "", 1) != 1)
        return;
    pthread_mutex_lock(&c->lock);
    pthread_cond_broadcast(&c->changed); /* nobody stops any more */
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    close(c->listener);
    close(c->end[0]);
    close(c->end[1]);
    unlink(c->path);
    free(c);
}
