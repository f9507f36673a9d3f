/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether output is coloured, and which part of it how. */
#include "program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool coloured;

/* A terminal that knows colours, and nobody has asked for none (no-color.org). */
static bool is_welcome(void)
{
    const char *terminal = getenv("TERM"), *no_colour = getenv("NO_COLOR");

    if (no_colour != NULL && no_colour[0] != 0)
        return false;
    return isatty(STDOUT_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

void choose_colour(enum when when)
{
    coloured = when == WHEN_ALWAYS || (when == WHEN_AUTO && is_welcome());
}

void colour(enum part part)
{
    static const char *const codes[] = {
        [PART_PLAIN] = "0",  [PART_ADDRESS] = "2",       [PART_PREFIX] = "33",    [PART_OPCODE] = "1;32",
        [PART_MODRM] = "36", [PART_DISPLACEMENT] = "35", [PART_IMMEDIATE] = "34", [PART_TEXT] = "1",
        [PART_NOTE] = "2",   [PART_ERROR] = "31",
    };

    if (coloured)
        printf("\033[%sm", codes[part]);
}
