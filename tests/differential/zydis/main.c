/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the comparison over the opcode space, and reports what differs. */
#include "capstone.h"
#include "compare.h"
#include "space.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Differences are gathered by mode, map, opcode, ModRM.reg and kind; each group shows its first example. */
enum {
    GROUPS = 3 * MAPS * 256 * 8 * DIFFERENCES
};

static struct group {
    unsigned long count;
    uint8_t bytes[16];
    uint8_t size;
    char text[512];
} * groups;

static unsigned long long encodings, unexplained;
static unsigned long long stride = 1;

static void note(unsigned mode, unsigned map, unsigned opcode, unsigned modrm, enum difference difference,
                 const uint8_t *bytes, size_t size, const char *text)
{
    size_t index = ((((size_t)mode * MAPS + map) * 256 + opcode) * 8 + (modrm >> 3 & 7)) * DIFFERENCES + difference;
    struct group *group = &groups[index];

    unexplained++;
    if (group->count++ > 0)
        return;
    memcpy(group->bytes, bytes, size < 16 ? size : 16);
    group->size = (uint8_t)size;
    snprintf(group->text, sizeof(group->text), "%s", text);
}

void try_one(unsigned mode, unsigned map, unsigned opcode, unsigned modrm, const uint8_t *bytes, size_t size)
{
    char text[512];
    enum difference difference;

    if (encodings++ % stride != 0)
        return;
    difference = compare(bytes, size, mode, text, sizeof(text));
    if (difference != SAME)
        note(mode, map, opcode, modrm, difference, bytes, size, text);
}

/* --- reporting ---------------------------------------------------------------------------------------------------- */

static void report(void)
{
    for (size_t i = 0; i < GROUPS; i++) {
        const struct group *group = &groups[i];

        if (group->count == 0)
            continue;
        printf("%s bits, %lu times, %s:", (const char *[]){"16", "32", "64"}[i / (GROUPS / 3)], group->count,
               difference_name((enum difference)(i % DIFFERENCES)));
        for (unsigned byte = 0; byte < group->size; byte++)
            printf(" %02x", group->bytes[byte]);
        printf(": %s\n", group->text);
    }
}

static void usage(void)
{
    puts("usage: x86emu-differential-zydis [--quick] [--every N] [--map N] [--opcode HEX] [--mode 16|32|64]\n"
         "Compares the decoder with Zydis over the opcode space. --every N tries one encoding of N.");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"every", required_argument, NULL, 'e'},
                                            {"map", required_argument, NULL, 'm'},
                                            {"opcode", required_argument, NULL, 'o'},
                                            {"mode", required_argument, NULL, 'b'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int only_map = -1, only_opcode = -1, only_mode = -1, option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'q':
            stride = 97;
            break;
        case 'e':
            stride = strtoull(optarg, NULL, 10);
            break;
        case 'm':
            only_map = atoi(optarg);
            break;
        case 'o':
            only_opcode = (int)strtol(optarg, NULL, 16);
            break;
        case 'b':
            only_mode = atoi(optarg) == 64 ? 2 : atoi(optarg) == 32 ? 1 : 0;
            break;
        case 'h':
            usage();
            return 0;
        default:
            usage();
            return 2;
        }
    }
    if (stride == 0) {
        usage();
        return 2;
    }
    groups = calloc(GROUPS, sizeof(*groups));
    if (groups == NULL || !compare_init())
        return 1;
    for (unsigned mode = 0; mode < 3; mode++)
        for (unsigned map = 0; map < MAPS; map++)
            for (unsigned opcode = 0; opcode < 256; opcode++)
                if ((only_mode < 0 || mode == (unsigned)only_mode) && (only_map < 0 || map == (unsigned)only_map) &&
                    (only_opcode < 0 || opcode == (unsigned)only_opcode))
                    try_map(mode, map, opcode);
    report();
    printf("lengths of %llu encodings by Capstone too\n", capstone_known());
    printf("%llu encodings, %llu unexplained\n", encodings / stride, unexplained);
    free(groups);
    return unexplained != 0;
}
