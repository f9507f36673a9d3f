/* SPDX-License-Identifier: BSD-2-Clause */
/* How bytes are written in hexadecimal, and how mistakes in that are told. */
#include "program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* What may stand between bytes: as in lists, dumps and strings of C. */
static bool is_separator(int letter)
{
    return letter != 0 && strchr(" \t\r\n\v\f,:-\"'", letter) != NULL;
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

/* \x48, as in a string of C. */
static void take_backslash(struct reader *reader)
{
    expect_whole_byte(reader);
    reader->high = 0;
    reader->high_column = reader->column;
}

static void advance(struct reader *reader, int letter)
{
    reader->column++;
    if (letter == '\n') {
        reader->line++;
        reader->column = 0;
    }
}

static void take_letter(struct input *input, struct reader *reader, int letter, int next)
{
    int digit = digit_of(letter);

    reader->column++;
    if (digit >= 0)
        take_digit(input, reader, digit);
    else if (is_separator(letter))
        expect_whole_byte(reader);
    else if ((letter == 'x' || letter == 'X') && reader->high == 0)
        take_prefix(reader);
    else if (letter == '\\' && next == 'x')
        take_backslash(reader);
    else if (letter >= 0x20 && letter < 0x7f)
        die_at(reader, reader->column, "'%c' is no hexadecimal digit", letter);
    else
        die_at(reader, reader->column, "byte 0x%02x is no hexadecimal digit", letter);
    reader->column--;
    advance(reader, letter);
}

/* How many bytes a comment has that begins here, without the end of its line; 0: none begins. */
static size_t comment_at(const char *text, size_t size)
{
    const char *end;

    if (size >= 2 && text[0] == '/' && text[1] == '*') {
        end = memmem(text + 2, size - 2, "*/", 2);
        return end != NULL ? (size_t)(end - text) + 2 : size;
    }
    if (text[0] != '#' && text[0] != ';' && !(size >= 2 && text[0] == '/' && text[1] == '/'))
        return 0;
    end = memchr(text, '\n', size);
    return end != NULL ? (size_t)(end - text) : size;
}

/* Of an array of C, what is between the braces: so much at the beginning is not. */
static size_t before_brace(const char *text, size_t size)
{
    const char *brace = memchr(text, '{', size);

    return brace != NULL ? (size_t)(brace - text) + 1 : 0;
}

static void read_text(struct input *input, struct reader *reader, const char *text, size_t size)
{
    size_t skip = before_brace(text, size);
    bool in_braces = skip > 0;

    for (size_t at = 0; at < size; at++) {
        if (skip == 0)
            skip = comment_at(text + at, size - at);
        if (skip > 0) {
            expect_whole_byte(reader);
            advance(reader, text[at]);
            skip--;
        } else if (in_braces && text[at] == '}') {
            break;
        } else {
            take_letter(input, reader, (unsigned char)text[at], at + 1 < size ? text[at + 1] : 0);
        }
    }
    expect_whole_byte(reader);
}

static void read_stream(struct input *input)
{
    struct reader reader = {.source = "standard input", .has_lines = true, .line = 1, .high = -1};
    struct input text = {0};

    if (isatty(STDIN_FILENO))
        fputs("x86emu: hexadecimal bytes, then Control-D\n", stderr);
    read_all(&text, stdin, "standard input", UINT64_MAX);
    if (text.size > 0)
        read_text(input, &reader, (const char *)text.bytes, text.size);
    free(text.bytes);
}

static void read_argument(struct input *input, const char *text, int number)
{
    char source[32];
    struct reader reader = {.source = source, .high = -1};

    snprintf(source, sizeof(source), "argument %d", number);
    read_text(input, &reader, text, strlen(text));
}

/* Together they are one array of C if one of them has a brace; else mistakes are told of each alone. */
static bool have_brace(const struct options *options)
{
    for (int n = 0; n < options->hex_count; n++)
        if (strchr(options->hex[n], '{') != NULL)
            return true;
    return false;
}

static void read_arguments(struct input *input, const struct options *options)
{
    struct reader reader = {.source = "arguments", .high = -1};
    struct input text = {0};

    for (int n = 0; n < options->hex_count; n++) {
        for (const char *letter = options->hex[n]; *letter != 0; letter++)
            add_byte(&text, (uint8_t)*letter);
        add_byte(&text, ' ');
    }
    read_text(input, &reader, (const char *)text.bytes, text.size);
    free(text.bytes);
}

void read_hex(struct input *input, const struct options *options)
{
    if (options->hex_count == 0)
        read_stream(input);
    else if (have_brace(options))
        read_arguments(input, options);
    for (int n = 0; n < options->hex_count && !have_brace(options); n++)
        read_argument(input, options->hex[n], n + 1);
    if (input->size == 0)
        die("%s: no bytes", options->hex_count == 0 ? "standard input" : "arguments");
}
