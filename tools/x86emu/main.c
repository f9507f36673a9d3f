/* SPDX-License-Identifier: BSD-2-Clause */
/* The program x86emu: order of events, and how it ends with an error. */
#include "program.h"

#include <stdarg.h>
#include <stdlib.h>

void die(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fputs("x86emu: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_ERROR);
}

int main(int count, char **arguments)
{
    struct options options = {.mode = -1, .limit = UINT64_MAX};
    struct input input = {.mode = -1};
    int status;

    parse_options(&options, count, arguments);
    choose_colour(options.colour);
    if (options.file != NULL)
        read_program(&input, &options);
    else
        read_hex(&input, &options);
    status = decode_all(&input, &options);
    free(input.bytes);
    if (fflush(stdout) != 0 || ferror(stdout))
        die("standard output: writing failed");
    return status;
}
