/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions instead of time: a benchmark runs itself under callgrind, with --count and what is to be counted. */
#ifndef BENCH_COMMON_COUNTING_H
#define BENCH_COMMON_COUNTING_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What runs inside the function measured(), which the program must not inline; 0 when valgrind isn't there. */
static inline double count_instructions_of(const char *what)
{
    char command[512], self[256] = {0}, line[256];
    double instructions = 0;
    FILE *output;

    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        return 0;
    snprintf(command, sizeof(command),
             "valgrind --tool=callgrind --collect-atstart=no --toggle-collect=measured --callgrind-out-file=/dev/null "
             "'%s' --count %s 2>&1",
             self, what);
    output = popen(command, "r");
    if (output == NULL)
        return 0;
    while (fgets(line, sizeof(line), output) != NULL) {
        const char *collected = strstr(line, "Collected : ");

        if (collected != NULL)
            instructions = strtod(collected + strlen("Collected : "), NULL);
    }
    pclose(output);
    return instructions;
}

#endif
