/* SPDX-License-Identifier: BSD-2-Clause */
/* How objdump's names for instructions differ from those of the manuals: conditions, predicates, strings. */
#include "mnemonic.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* --- conditions (SDM Vol. 2, appendix B.1.4.7) -------------------------------------------------------------------- */

static void plain_condition(char *text)
{
    static const struct {
        const char *manual, *theirs;
    } names[] = {{"nz ", "ne "}, {"z ", "e "}, {"nbe ", "a "}, {"nb ", "ae "}, {"nle ", "g "}, {"nl ", "ge "}};
    size_t start;

    if (strncmp(text, "bnd ", 4) == 0)
        text += 4;
    start = text[0] == 'j' ? 1 : strncmp(text, "set", 3) == 0 ? 3 : strncmp(text, "cmov", 4) == 0 ? 4 : 0;

    for (size_t n = 0; start != 0 && n < sizeof(names) / sizeof(names[0]); n++) {
        size_t size = strlen(names[n].manual), less = strlen(names[n].theirs);

        if (strncmp(text + start, names[n].manual, size) == 0) {
            memcpy(text + start, names[n].theirs, less);
            memmove(text + start + less, text + start + size, strlen(text + start + size) + 1);
            return;
        }
    }
}

/* --- predicates: their number in an immediate, or their name in the mnemonic --------------------------------------- */

/* SDM Vol. 2, CMPPD and VCMPPD: comparison predicates */
static const char *const comparisons[32] = {
    "eq",     "lt",     "le",    "unord",  "neq",    "nlt",      "nle",    "ord",   "eq_uq",   "nge",    "ngt",
    "false",  "neq_oq", "ge",    "gt",     "true",   "eq_os",    "lt_oq",  "le_oq", "unord_s", "neq_us", "nlt_uq",
    "nle_uq", "ord_s",  "eq_us", "nge_uq", "ngt_uq", "false_os", "neq_os", "ge_oq", "gt_oq",   "true_us"};
/* SDM Vol. 2, VPCMPB; APM Vol. 6, VPCOMB */
static const char *const integers[8] = {"eq", "lt", "le", NULL, "neq", "nlt", "nle", NULL};
static const char *const xop[8] = {"lt", "le", "gt", "ge", "eq", "neq", "false", "true"};

static const struct family {
    const char *stem;
    const char *const *predicates;
    unsigned count;
} families[] = {
    {"vcmp", comparisons, 32},
    {"cmp", comparisons, 8},
    {"vpcmp", integers, 8},
    {"vpcom", xop, 8},
};

/* Writes our predicate into the mnemonic where theirs has it there: "cmpps x,y,0x3" to "cmpunordps x,y". */
static void name_predicate(char *ours, const char *theirs, size_t room)
{
    char *immediate = strrchr(ours, ','), fresh[256];
    unsigned number;

    if (immediate == NULL || sscanf(immediate, ",0x%x", &number) != 1)
        return;
    for (size_t n = 0; n < sizeof(families) / sizeof(families[0]); n++) {
        const struct family *family = &families[n];
        size_t size = strlen(family->stem);
        const char *name = number < family->count ? family->predicates[number] : NULL;

        if (strncmp(ours, family->stem, size) != 0 || name == NULL)
            continue;
        snprintf(fresh, sizeof(fresh), "%s%s%.*s%s", family->stem, name, (int)(immediate - ours - (long)size),
                 ours + size, strchr(immediate, ' ') != NULL ? strchr(immediate, ' ') : "");
        if (strncmp(fresh, theirs, strcspn(fresh, " ")) == 0 && strlen(fresh) < room)
            strcpy(ours, fresh);
        return;
    }
}

/* --- strings ------------------------------------------------------------------------------------------------------ */

/* Their memory operands are implied; where prefixes move them, Zydis is asked. */
static void plain_string(char *ours, char *theirs)
{
    static const char *const stems[] = {"movs", "cmps", "stos", "lods", "scas", "ins", "outs", "xlat"};
    char *mine = strrchr(ours, ' ') != NULL && strncmp(ours, "rep", 3) == 0 ? strchr(ours, ' ') + 1 : ours;
    char *other = strncmp(theirs, "rep", 3) == 0 ? strchr(theirs, ' ') + 1 : theirs;
    const char *size = strstr(other, "word ") != NULL || strstr(other, "byte ") != NULL ? other : "";

    for (size_t n = 0; n < sizeof(stems) / sizeof(stems[0]); n++) {
        size_t stem = strlen(stems[n]);

        if (strncmp(other, stems[n], stem) != 0 || other[stem] != ' ' || strncmp(mine, stems[n], stem) != 0)
            continue;
        if (n == 7)
            mine[stem] = 0;
        else
            mine[stem + 1] = 0;
        other[stem] = strstr(size, "byte ") ? 'b' : strstr(size, "qword ") ? 'q' : strstr(size, "dword ") ? 'd' : 'w';
        other[stem + (n != 7)] = 0;
    }
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

/* Names that stand for the same bytes, blank behind them. */
static const struct {
    const char *theirs, *ours;
} names[] = {
    {"lock xacquire ", "xacquire lock "},
    {"lock xrelease ", "xrelease lock "},
    {"retfw ", "ret far "},
    {"retfd ", "ret far "},
    {"retfq ", "ret far "},
    {"repz ", "repe "},
    {"repnz ", "repne "},
    {"movabs ", "mov "},
    {"retf ", "ret far "},
    {"call fword ", "call far fword "},
    {"jmp fword ", "jmp far fword "},
    {"fnsetpm(287 only ", "fsetpm287_nop "},
    {"fneni(8087 only ", "feni8087_nop "},
    {"fndisi(8087 only ", "fdisi8087_nop "},
};

static void plain_name(char *theirs, size_t room)
{
    size_t length = strlen(theirs);

    if (length + 16 >= room)
        return;
    strcat(theirs, " "); /* for those without operands */
    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        size_t size = strlen(names[n].theirs), fresh = strlen(names[n].ours);

        if (strncmp(theirs, names[n].theirs, size) == 0) {
            memmove(theirs + fresh, theirs + size, strlen(theirs + size) + 1);
            memcpy(theirs, names[n].ours, fresh);
        }
    }
    theirs[strlen(theirs) - 1] = 0;
}

/* CALL and JMP to a far pointer of two words: they don't write FAR. */
static void drop_far(char *ours, const char *theirs)
{
    char *at = strstr(ours, " far ");

    if (at != NULL && strstr(theirs, " far ") == NULL && strchr("cj", ours[0]) != NULL)
        memmove(at, at + 4, strlen(at + 4) + 1);
}

/* A letter for the operand size, which the two write for different sizes; Zydis is asked about those. */
static void drop_size_letter(char *text)
{
    static const char stems[] =
        " iret pusha popa pushf popf enter leave ret sysret sysexit push pop lgdt lidt sgdt sidt "
        "fnstenv fldenv frstor fnsave xbegin jmp call pcmpestri pcmpestrm vpcmpestri vpcmpestrm ";
    size_t size = strcspn(text, " ");
    char stem[32];

    if (size < 2 || size > 20 || strchr("wdq", text[size - 1]) == NULL)
        return;
    snprintf(stem, sizeof(stem), " %.*s ", (int)size - 1, text);
    if (strstr(stems, stem) != NULL)
        memmove(text + size - 1, text + size, strlen(text + size) + 1);
}

/* Which halves are multiplied: in the mnemonic, or in an immediate (SDM Vol. 2, PCLMULQDQ, table 4-13). */
static void name_halves(char *ours, const char *theirs)
{
    static const struct {
        const char *immediate, *name;
    } halves[] = {{",0x0", "lqlq"}, {",0x1", "hqlq"}, {",0x10", "lqhq"}, {",0x11", "hqhq"}};
    char *immediate = strrchr(ours, ','), fresh[256];

    if (immediate == NULL || strstr(ours, "pclmulqdq") == NULL || strstr(theirs, "pclmulqdq") != NULL)
        return;
    for (size_t n = 0; n < 4; n++) {
        if (strcmp(immediate, halves[n].immediate) != 0)
            continue;
        snprintf(fresh, sizeof(fresh), "%.*s%s%.*s", (int)strcspn(ours, "q"), ours, halves[n].name,
                 (int)(immediate - ours) - (int)strcspn(ours, "q") - 1, ours + strcspn(ours, "q") + 1);
        strcpy(ours, fresh);
        return;
    }
}

/* Operands that the mnemonic implies: XMM0 of BLENDVPS and its kin. */
static void drop_implied(char *text)
{
    static const char *const stems[] = {"blendvp", "pblendvb", "sha256rnds2"};
    size_t size = strlen(text);

    for (size_t n = 0; n < sizeof(stems) / sizeof(stems[0]); n++)
        if (strncmp(text, stems[n], strlen(stems[n])) == 0 && size > 5 && strcmp(text + size - 5, ",xmm0") == 0 &&
            strchr(text, ',') != text + size - 5)
            text[size - 5] = 0;
}

void plain_mnemonic(char *ours, char *theirs, size_t room)
{
    plain_condition(ours);
    plain_name(theirs, room);
    plain_string(ours, theirs);
    name_predicate(ours, theirs, room);
    drop_implied(theirs);
    drop_far(ours, theirs);
    drop_size_letter(ours);
    drop_size_letter(theirs);
    name_halves(ours, theirs);
    if (strstr(ours, "maskmov") != NULL && strncmp(ours, "vpmask", 6) != 0 && strchr(theirs, '[') == NULL &&
        strchr(ours, '[') != NULL)
        *strrchr(ours, ',') = 0; /* its memory is implied */
}
