/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares length and text of a sample of the whole instruction table with Debian's objdump. */
#include "exceptions.h"
#include "normal.h"
#include "objdump.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86emu/format.h>

static unsigned long encodings, unexplained, excepted;

static void print_difference(const struct encoding *encoding, enum x86emu_mode mode, const char *ours,
                             const struct listing *listing, const char *theirs)
{
    printf("%s bits:", (const char *[]){"16", "32", "64"}[mode]);
    for (unsigned n = 0; n < encoding->length; n++)
        printf(" %02x", encoding->bytes[n]);
    printf(": ours %u %s, theirs %u %s\n", encoding->length, ours, listing->length, theirs);
}

static void compare(const struct encoding *encoding, enum x86emu_mode mode, const struct listing *listing,
                    uint64_t address)
{
    char ours[TEXT_ROOM], theirs[TEXT_ROOM];
    struct x86emu_insn insn;

    encodings++;
    x86emu_decode(&insn, encoding->bytes, encoding->length, mode);
    x86emu_format(&insn, address, ours, sizeof(ours));
    snprintf(theirs, sizeof(theirs), "%s", listing->text);
    normalise(ours, theirs, TEXT_ROOM, &insn);
    if (listing->length == encoding->length && strcmp(ours, theirs) == 0)
        return;
    if (is_exception(&insn, ours, theirs)) {
        excepted++;
        return;
    }
    unexplained++;
    print_difference(encoding, mode, ours, listing, theirs);
}

static bool compare_mode(enum x86emu_mode mode, unsigned share, uint64_t seed)
{
    struct sample sample = sample_make(mode, share, seed);
    struct listing *listings = sample.encodings != NULL ? objdump(&sample, mode) : NULL;

    if (listings != NULL) {
        for (size_t n = 0; n < sample.count; n++)
            compare(&sample.encodings[n], mode, &listings[n], 32 * n);
        printf("%s bits: %u rows of the table\n", (const char *[]){"16", "32", "64"}[mode], sample.rows);
    }
    free(sample.encodings);
    free(listings);
    return listings != NULL;
}

static void usage(void)
{
    puts("usage: x86emu-differential-binutils [--quick] [--share N] [--seed N]\n"
         "Compares length and text of random encodings with objdump: N of each row of the table and each mode.");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"share", required_argument, NULL, 's'},
                                            {"seed", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    unsigned share = 64;
    uint64_t seed = 1;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'q')
            share = 8;
        else if (option == 's')
            share = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'r')
            seed = strtoull(optarg, NULL, 0);
        else {
            usage();
            return option == 'h' ? 0 : 2;
        }
    }
    for (unsigned mode = X86EMU_MODE_16; mode <= X86EMU_MODE_64; mode++)
        if (!compare_mode((enum x86emu_mode)mode, share, seed))
            return 1;
    printf("%lu of them differ as the list of exceptions says\n", excepted);
    printf("%lu encodings, %lu unexplained\n", encodings, unexplained);
    return unexplained != 0;
}
