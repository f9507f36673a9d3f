/* SPDX-License-Identifier: BSD-2-Clause */
/* How objdump's Intel syntax differs from that of the manuals. */
#include "normal.h"

#include "mnemonic.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lower case, no blanks but the first behind the mnemonic and those before sizes, no "ptr". */
static void squeeze(char *text)
{
    char *to = text;

    for (const char *from = text; *from != 0; from++) {
        if (strncmp(from, " PTR", 4) == 0 || strncmp(from, " ptr", 4) == 0)
            from += 4;
        if (*from == ' ' && (to == text || to[-1] == ' ' || to[-1] == ',' || from[1] == '{' || from[1] == 0))
            continue;
        *to++ = (char)tolower((unsigned char)*from);
    }
    while (to > text && to[-1] == ' ')
        to--;
    *to = 0;
}

static void replace_all(char *text, size_t room, const char *old, const char *fresh)
{
    char *at = text;

    while ((at = strstr(at, old)) != NULL) {
        size_t rest = strlen(at) + 1, extra = strlen(fresh), less = strlen(old);

        if (strlen(text) + extra >= room)
            return;
        memmove(at + extra, at + less, rest - less);
        memcpy(at, fresh, extra);
        at += extra;
    }
}

/* Removes what stands from at to the first of stops. */
static void cut(char *at, const char *stops)
{
    size_t size = strcspn(at, stops);

    memmove(at, at + size, strlen(at + size) + 1);
}

/* A scale of 1, which only objdump writes, and the index that is none: EIZ, RIZ. */
static void plain_index(char *text)
{
    char *at;

    while ((at = strstr(text, "*1+")) != NULL || (at = strstr(text, "*1-")) != NULL ||
           (at = strstr(text, "*1]")) != NULL)
        memmove(at, at + 2, strlen(at + 2) + 1);
    if ((at = strstr(text, "[riz")) != NULL || (at = strstr(text, "[eiz")) != NULL)
        cut(at + 1, "+-]");
    while ((at = strstr(text, "+riz")) != NULL || (at = strstr(text, "+eiz")) != NULL)
        cut(at + 1, "+-]"), memmove(at, at + 1, strlen(at));
}

/* Broadcast is a word at the end: {1toN} of ours and BCST of theirs stand in different places. */
static void broadcast_last(char *text, size_t room)
{
    char *at = strstr(text, "{1to"), *word = strstr(text, " bcst");

    if (at != NULL) {
        cut(at, "}");
        memmove(at, at + 1, strlen(at + 1) + 1);
    }
    replace_all(text, room, " bcst", "");
    if ((at != NULL || word != NULL) && strlen(text) + 6 < room)
        strcat(text, " bcst");
}

static void cut_word(char *text)
{
    char *rest = strchr(text, ' ');

    memmove(text, rest + 1, strlen(rest));
}

static bool starts(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* Prefixes that change nothing; objdump shows each. What repeats is kept: ours, in normalised text, is to say it too. */
static void drop_prefixes(char *text, const char *ours)
{
    static const char *const names[] = {"data16 ", "data32 ", "addr16 ", "addr32 ", "cs ",    "ds ",   "es ",  "fs ",
                                        "gs ",     "ss ",     "{vex} ",  "{evex} ", "repnz ", "repz ", "rep ", "bnd "};

    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        bool repeats = n >= 12;

        if (repeats && starts(text, names[n]) && (starts(ours, "rep") || starts(ours, "bnd "))) {
            text += strlen(names[n]);
            n = (size_t)-1;
        } else if (starts(text, names[n]) || (starts(text, "rex") && strchr(text, ' ') != NULL)) {
            cut_word(text);
            n = (size_t)-1;
        } else if (starts(text, "lock ") || starts(text, "xrelease ") || starts(text, "xacquire ")) {
            text += strcspn(text, " ") + 1;
            n = (size_t)-1;
        }
    }
}

/* --- objdump's way with operands ----------------------------------------------------------------------------------- */

static const char *const sizes[] = {"tbyte ", "zmmword ", "ymmword ", "xmmword ", "fword ",
                                    "qword ", "dword ",   "byte ",    "word "};

static bool has_size(const char *text)
{
    for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++)
        if (strstr(text, sizes[n]) != NULL)
            return true;
    return false;
}

/* Replaces what stands from at to the next bracket by a number. */
static void put_number(char *text, size_t room, char *at, const char *sign, unsigned long long number)
{
    char rest[TEXT_ROOM];

    snprintf(rest, sizeof(rest), "%s0x%llx%s", sign, number, at + strcspn(at, "]"));
    snprintf(at, room - (size_t)(at - text), "%s", rest);
}

/* Displacements behind RIP are unsigned there, absolute addresses may be signed or without brackets. */
static void plain_displacement(char *text, size_t room, const struct x86emu_insn *insn)
{
    uint64_t mask = insn->address_size == 8 ? ~UINT64_C(0) : insn->address_size == 4 ? UINT32_MAX : UINT16_MAX;
    char *at;

    if ((at = strstr(text, "ip+0xf")) != NULL && strcspn(at, "]") >= 5 + 2u * insn->address_size)
        put_number(text, room, at + 2, "-", (0 - strtoull(at + 3, NULL, 16)) & mask);
    if ((at = strstr(text, "[-0x")) != NULL)
        put_number(text, room, at + 1, "", (0 - strtoull(at + 2, NULL, 16)) & mask);
    if ((at = strstr(text, "[+0x")) != NULL)
        memmove(at + 1, at + 2, strlen(at + 1));
    if ((at = strstr(text, "s:0x")) != NULL && strlen(text) + 3 < room) {
        size_t size = 2 + strspn(at + 4, "0123456789abcdef");

        memmove(at + 3, at + 2, strlen(at + 1));
        at[2] = '[';
        at += 3 + size;
        memmove(at + 1, at, strlen(at) + 1);
        *at = ']';
    }
    replace_all(text, room, "+0x0]", "]");
    replace_all(text, room, " ds:[0x", " [0x");
    replace_all(text, room, ",ds:[0x", ",[0x");
}

/* 16-bit targets: they keep the bits of the address that IP has not. */
static void plain_target(char *text, size_t room, const struct x86emu_insn *insn)
{
    struct x86emu_operand op;
    char *at = strrchr(text, ' ');

    if (insn->mode == X86EMU_MODE_64 || insn->operand_size != 2 || !x86emu_insn_operand(insn, 0, &op) ||
        op.kind != X86EMU_OPERAND_REL || at == NULL)
        return;
    snprintf(at + 1, room - (size_t)(at + 1 - text), "0x%llx", strtoull(at + 1, NULL, 16) & 0xffff);
}

/* ST(1), and ST for ST(0). */
static void plain_stack(char *text, size_t room)
{
    size_t size;

    replace_all(text, room, "st(", "st");
    replace_all(text, room, ")", "");
    replace_all(text, room, " st,", " st0,");
    size = strlen(text);
    if (size > 3 && size + 1 < room && (strcmp(text + size - 3, ",st") == 0 || strcmp(text + size - 3, " st") == 0))
        strcat(text, "0");
}

/* SHR r, 1: an immediate of 1 that is not encoded. */
static void plain_one(char *text, size_t room)
{
    size_t size = strlen(text);

    if (size > 2 && size + 2 < room && strcmp(text + size - 2, ",1") == 0)
        strcpy(text + size - 1, "0x1");
}

void normalise(char *ours, char *theirs, size_t room, const struct x86emu_insn *insn)
{
    char *note = strchr(theirs, '#');

    if (note != NULL)
        *note = 0;
    squeeze(ours);
    squeeze(theirs);
    drop_prefixes(theirs, ours);
    plain_index(ours);
    plain_index(theirs);
    broadcast_last(ours, room);
    broadcast_last(theirs, room);
    plain_displacement(theirs, room, insn);
    plain_target(theirs, room, insn);
    plain_stack(theirs, room);
    plain_one(theirs, room);
    replace_all(theirs, room, "oword", "xmmword");
    if (!has_size(theirs))
        for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++)
            replace_all(ours, room, sizes[n], "");
    plain_mnemonic(ours, theirs, room);
}
