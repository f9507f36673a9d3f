/* SPDX-License-Identifier: BSD-2-Clause */
/* How objdump is run over many encodings at once, and its output is read. */
#define _GNU_SOURCE /* popen, mkstemp */
#include "objdump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each encoding stands in a slot of NOPs, long enough for objdump to be in step again whatever it made of the last. */
enum {
    SLOT = 32
};

static bool write_slots(int file, const struct sample *sample)
{
    uint8_t slot[SLOT];
    FILE *stream = fdopen(file, "wb");

    if (stream == NULL)
        return false;
    for (size_t n = 0; n < sample->count; n++) {
        memset(slot, 0x90, sizeof(slot));
        memcpy(slot, sample->encodings[n].bytes, sample->encodings[n].length);
        fwrite(slot, 1, sizeof(slot), stream);
    }
    return fclose(stream) == 0;
}

/* A prefix that objdump shows as an instruction of its own: what follows belongs to it. */
static bool is_prefix(const char *text)
{
    static const char *const names[] = {"data16", "data32", "addr16", "addr32", "repz", "repnz", "lock", "cs",
                                        "ds",     "es",     "fs",     "gs",     "ss",   "bnd",   "rex"};

    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
        if (strcmp(text, names[n]) == 0 || (strncmp(text, "rex", 3) == 0 && strchr(text, ' ') == NULL))
            return true;
    return false;
}

/* "  20:\t48 01 d8 \tadd    rax,rbx" */
static void take_line(struct listing *listings, size_t count, char *line)
{
    static bool continues;
    char *bytes = strchr(line, '\t'), *text = bytes != NULL ? strchr(bytes + 1, '\t') : NULL;
    size_t address = strtoull(line, NULL, 16), used;
    struct listing *listing = &listings[address / SLOT];

    if (text == NULL || address / SLOT >= count)
        return;
    if (address % SLOT == 0)
        *listing = (struct listing){"", 0};
    else if (!continues || listing->length != address % SLOT)
        return;
    *text++ = 0;
    text[strcspn(text, "\n")] = 0;
    for (char *token = strtok(bytes + 1, " "); token != NULL; token = strtok(NULL, " "))
        listing->length++;
    while (*text != 0 && text[strlen(text) - 1] == ' ')
        text[strlen(text) - 1] = 0;
    continues = is_prefix(text);
    used = strlen(listing->text);
    snprintf(listing->text + used, TEXT_ROOM - used, "%s%s", used > 0 ? " " : "", text);
}

static bool read_output(struct listing *listings, size_t count, const char *file, enum x86emu_mode mode)
{
    static const char *const machines[] = {
        [X86EMU_MODE_16] = "i8086", [X86EMU_MODE_32] = "i386", [X86EMU_MODE_64] = "i386:x86-64"};
    char command[256], line[512];
    FILE *output;

    snprintf(command, sizeof(command), "LC_ALL=C objdump -D -z -w -b binary -m %s -M intel,intel64 %s", machines[mode],
             file);
    output = popen(command, "r");
    if (output == NULL)
        return false;
    while (fgets(line, sizeof(line), output) != NULL)
        take_line(listings, count, line);
    return pclose(output) == 0;
}

struct listing *objdump(const struct sample *sample, enum x86emu_mode mode)
{
    struct listing *listings = calloc(sample->count + 1, sizeof(*listings));
    char name[] = "/tmp/x86emu-objdump-XXXXXX";
    int file = mkstemp(name);

    if (file < 0 || listings == NULL || !write_slots(file, sample) ||
        !read_output(listings, sample->count, name, mode)) {
        fputs("x86emu-differential-binutils: objdump can't be run\n", stderr);
        free(listings);
        listings = NULL;
    }
    if (file >= 0)
        unlink(name);
    return listings;
}
