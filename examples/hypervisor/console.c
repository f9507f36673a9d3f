/* SPDX-License-Identifier: BSD-2-Clause */
/* The terminal that the hypervisor was started from: a thread for its keys, a thread for the progress line. */
#define _GNU_SOURCE
#include "console.h"

#include "machine.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum {
    ESCAPE = 1, /* Ctrl-A */
    PATIENCE_US = 1000,
};

static struct {
    struct machine *machine;
    struct termios before;
    pthread_t keys, progress;
    bool raw, has_keys, has_progress;
    int end[2];
} console = {.end = {-1, -1}};

static void restore_terminal(void)
{
    if (console.raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &console.before);
    console.raw = false;
}

/* Output stays as it is: lines are still ended properly when the hypervisor itself has something to say. */
static bool make_raw(void)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &console.before) != 0)
        return false;
    raw = console.before;
    raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | IXON | ISTRIP);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG | IEXTEN);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0)
        return false;
    console.raw = true;
    atexit(restore_terminal);
    return true;
}

/* False: it is time to end. */
static bool wait_for(int file, int ms)
{
    struct pollfd wait[2] = {{.fd = console.end[0], .events = POLLIN}, {.fd = file, .events = POLLIN}};

    while (poll(wait, 2, ms) < 0 && errno == EINTR)
        ;
    return !(wait[0].revents & POLLIN);
}

/* --- keys -------------------------------------------------------------------------------------------------------------- */

static void type_byte(uint8_t byte)
{
    struct machine *machine = console.machine;
    bool taken = false;

    while (!taken && machine->end == MACHINE_RUNS) {
        machine_lock(machine);
        taken = serial_input(machine, byte);
        machine_unlock(machine);
        if (!taken)
            usleep(PATIENCE_US);
    }
}

/* After Ctrl-A. False: the run is to end. */
static bool obey(uint8_t key)
{
    switch (key) {
    case 'x':
        console.machine->end = MACHINE_POWERED_OFF;
        return false;
    case ESCAPE:
        type_byte(ESCAPE);
        return true;
    default:
        fprintf(stderr, "\r\nCtrl-A x: end the run; Ctrl-A Ctrl-A: Ctrl-A for the guest\r\n");
        return true;
    }
}

static void *read_keys(void *unused)
{
    bool escaped = false;
    uint8_t key;

    (void)unused;
    while (wait_for(STDIN_FILENO, -1) && read(STDIN_FILENO, &key, 1) == 1) {
        if (escaped && !obey(key))
            break;
        if (!escaped && key != ESCAPE)
            type_byte(key);
        escaped = !escaped && key == ESCAPE;
    }
    return NULL;
}

/* --- progress ---------------------------------------------------------------------------------------------------------- */

static void *show_progress(void *unused)
{
    const struct statistics *s = &console.machine->statistics;
    uint64_t before = 0;

    (void)unused;
    for (unsigned seconds = 1; wait_for(-1, 1000); seconds++) {
        uint64_t now = s->instructions;

        fprintf(stderr, "\r%u s: guest's time %.1f s, %llu million instructions (%.1f MIPS), %llu interrupts ", seconds,
                (double)machine_now(console.machine) * 1e-9, (unsigned long long)now / 1000000,
                (double)(now - before) * 1e-6, (unsigned long long)s->interrupts);
        before = now;
    }
    fprintf(stderr, "\n");
    return NULL;
}

/* --- beginning and end ------------------------------------------------------------------------------------------------- */

static bool open_end(struct machine *machine)
{
    console.machine = machine;
    return console.end[0] >= 0 || pipe(console.end) == 0;
}

bool console_start(struct machine *machine)
{
    if (!isatty(STDIN_FILENO) || !open_end(machine) || !make_raw()) {
        fprintf(stderr, "x86emu-hypervisor: --interactive: standard input is no terminal\n");
        return false;
    }
    setvbuf(stdout, NULL, _IONBF, 0);
    console.has_keys = pthread_create(&console.keys, NULL, read_keys, NULL) == 0;
    return console.has_keys;
}

bool console_start_progress(struct machine *machine)
{
    console.has_progress = open_end(machine) && pthread_create(&console.progress, NULL, show_progress, NULL) == 0;
    return console.has_progress;
}

void console_stop(void)
{
    if (console.end[1] < 0 || write(console.end[1], "", 1) != 1)
        return;
    if (console.has_keys)
        pthread_join(console.keys, NULL);
    if (console.has_progress)
        pthread_join(console.progress, NULL);
    restore_terminal();
}
