/* SPDX-License-Identifier: BSD-2-Clause */
/* How bytes are written in hexadecimal, and how mistakes in that are told. */
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where we are in one source of text. */
struct reader {
    const char *source; /* "standard input", "argument 1" */
    bool has_lines;
    size_t line;
    size_t column;
    int high;           /* first digit of a byte that lacks its second one, else -1 */
    size_t high_column; /* of it */
    size_t prefix;      /* column of a 0x that no digit followed yet, else 0 */
};

void add_byte(struct input *input, uint8_t byte)
{
    if (input->size == input->room) {
        size_t room = input->room == 0 ? 4096 : input->room * 2;
        uint8_t *bytes = realloc(input->bytes, room);

        if (bytes == NULL)
            die("out of memory");
        input->bytes = bytes;
        input->room = room;
    }
    input->bytes[input->size++] = byte;
}

static _Noreturn void die_at(const struct reader *reader, size_t column, const char *format, int letter)
{
    char what[80];

    snprintf(what, sizeof(what), format, letter);
    if (reader->has_lines)
        die("%s:%zu:%zu: %s", reader->source, reader->line, column, what);
    die("%s, character %zu: %s", reader->source, column, what);
}

static int digit_of(int letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    if (letter >= 'a' && letter <= 'f')
        return letter - 'a' + 10;
    if (letter >= 'A' && letter <= 'F')
        return letter - 'A' + 10;
    return -1;
}

static bool is_space(int letter)
{
    return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n' || letter == ',';
}

static void take_digit(struct input *input, struct reader *reader, int digit)
{
    reader->prefix = 0;
    if (reader->high < 0) {
        reader->high = digit;
        reader->high_column = reader->column;
        return;
    }
    add_byte(input, (uint8_t)(reader->high << 4 | digit));
    reader->high = -1;
}

/* At the end of a run of digits. */
static void expect_whole_byte(const struct reader *reader)
{
    if (reader->prefix != 0)
        die_at(reader, reader->prefix, "no digits behind 0%c", 'x');
    if (reader->high >= 0)
        die_at(reader, reader->high_column, "half a byte: '%c' has no second digit", "0123456789abcdef"[reader->high]);
}

static void take_prefix(struct reader *reader)
{
    reader->high = -1;
    reader->prefix = reader->high_column;
}

static void take_letter(struct input *input, struct reader *reader, int letter)
{
    int digit = digit_of(letter);

    reader->column++;
    if (digit >= 0)
        take_digit(input, reader, digit);
    else if (is_space(letter))
        expect_whole_byte(reader);
    else if ((letter == 'x' || letter == 'X') && reader->high == 0)
        take_prefix(reader);
    else if (letter >= 0x20 && letter < 0x7f)
        die_at(reader, reader->column, "'%c' is no hexadecimal digit", letter);
    else
        die_at(reader, reader->column, "byte 0x%02x is no hexadecimal digit", letter);
    if (letter == '\n') {
        reader->line++;
        reader->column = 0;
    }
}

/* A comment ends with its line, which the caller sees too. */
static int skip_comment(FILE *file)
{
    int letter;

    while ((letter = getc(file)) != EOF && letter != '\n')
        ;
    return letter;
}

static void read_stream(struct input *input, FILE *file)
{
    struct reader reader = {.source = "standard input", .has_lines = true, .line = 1, .high = -1};
    int letter;

    while ((letter = getc(file)) != EOF) {
        if (letter == '#')
            letter = skip_comment(file);
        if (letter == EOF)
            break;
        take_letter(input, &reader, letter);
    }
    if (ferror(file))
        die("standard input: %s", strerror(errno));
    expect_whole_byte(&reader);
}

static void read_argument(struct input *input, const char *text, int number)
{
    char source[32];
    struct reader reader = {.source = source, .high = -1};

    snprintf(source, sizeof(source), "argument %d", number);
    for (; *text != 0; text++)
        take_letter(input, &reader, (unsigned char)*text);
    expect_whole_byte(&reader);
}

void read_hex(struct input *input, const struct options *options)
{
    if (options->hex_count == 0)
        read_stream(input, stdin);
    for (int n = 0; n < options->hex_count; n++)
        read_argument(input, options->hex[n], n + 1);
    if (input->size == 0)
        die("%s: no bytes", options->hex_count == 0 ? "standard input" : "arguments");
}
