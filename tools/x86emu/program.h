/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the program x86emu share: options, input, exit statuses. */
#ifndef X86EMU_TOOLS_PROGRAM_H
#define X86EMU_TOOLS_PROGRAM_H

#include <stdio.h>
#include <x86emu/format.h>

/* Exit statuses, as x86emu(1) has them. */
enum exit_status {
    EXIT_DECODED = 0,
    EXIT_UNDECODED = 1, /* some bytes are no instruction */
    EXIT_ERROR = 2,     /* arguments, input or output are wrong */
};

enum output {
    OUTPUT_TEXT,
    OUTPUT_JSON,
};

enum when {
    WHEN_AUTO,
    WHEN_ALWAYS,
    WHEN_NEVER,
};

struct options {
    int mode;       /* enum x86emu_mode, or -1: as the ELF file says, else 64-bit */
    unsigned flags; /* enum x86emu_decode_option */
    struct x86emu_features features;
    enum output output;
    enum when colour;
    bool fields;
    bool operands;
    bool raw;
    bool has_address;
    uint64_t address;
    uint64_t offset;     /* into the bytes that were read */
    uint64_t limit;      /* at most so many of them */
    const char *file;    /* null: hex */
    const char *section; /* null: .text */
    char **hex;
    int hex_count; /* 0: hex from standard input */
};

/* Bytes to decode, and what their source says about them. */
struct input {
    uint8_t *bytes;
    size_t size;
    size_t room;
    uint64_t address; /* of bytes[0] */
    int mode;         /* enum x86emu_mode, or -1: unknown */
};

/* One step through the bytes. */
struct step {
    const struct x86emu_insn *insn; /* valid if status is X86EMU_DECODE_OK */
    const uint8_t *bytes;
    size_t size; /* consumed: those of the instruction, else 1, or all that are left if truncated */
    enum x86emu_decode_status status;
    unsigned mode;
    uint64_t address;
};

/* Prints "x86emu: …" to standard error and ends the program with EXIT_ERROR. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* options.c: ends the program for --help, --version and bad arguments. */
void parse_options(struct options *options, int count, char **arguments);

/* hex.c */
void add_byte(struct input *input, uint8_t byte);
void read_hex(struct input *input, const struct options *options);

/* elf.c: all that is left of a file, but not more than limit by much. */
void read_all(struct input *input, FILE *file, const char *name, uint64_t limit);

/* elf.c: bytes of a file, or of a section if it is an ELF file. */
void read_program(struct input *input, const struct options *options);

/* decode.c: answers an exit status. */
int decode_all(const struct input *input, const struct options *options);

/* text.c, json.c */
void print_text(const struct step *step, const struct options *options);
void print_json(const struct step *step);

/* colour.c: what a part of the output is. */
enum part {
    PART_PLAIN,
    PART_ADDRESS,
    PART_PREFIX,
    PART_OPCODE,
    PART_MODRM,
    PART_DISPLACEMENT,
    PART_IMMEDIATE,
    PART_TEXT,
    PART_NOTE,
    PART_ERROR,
};

void choose_colour(enum when when);
void colour(enum part part);

/* names.c */
const char *mode_name(unsigned mode);
const char *status_text(enum x86emu_decode_status status);
const char *encoding_name(unsigned encoding);
const char *kind_name(unsigned kind);
const char *transfer_name(unsigned kind);
const char *class_name(unsigned reg_class);
const char *access_text(unsigned access);
/* A bit of RFLAGS that a row of the table can have; null: reserved. IOPL is its lower bit. */
const char *flag_name(unsigned bit);

/* Where the parts of an instruction's bytes begin. Before the opcode: legacy prefixes, escapes, REX, VEX and the like. */
struct layout {
    unsigned opcode;
    unsigned modrm; /* and SIB; equals displacement if there is none */
    unsigned displacement;
    unsigned immediate;
    unsigned end; /* 3DNow!: the opcode is here; else the instruction's length */
};

struct layout layout_of(const struct x86emu_insn *insn);

#endif
