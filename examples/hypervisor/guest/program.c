/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * job=program: the initrd is a static Linux program, ELF, which is loaded here and given a stack as Linux would.
 *
 * The command line ends with "-- " and the program's words, those with blanks in them in single quotes.
 */
#include "program.h"

#include <elf.h>

enum {
    PAGE = 4096,
    STACK_SIZE = 1 << 20,
    MAX_WORDS = 32,
    LOWEST = 0x400000, /* the guest's own code and data are below, and a program that may be anywhere is put here */
};

struct program program;

/* --- the machine ------------------------------------------------------------------------------------------------------- */

void program_write_msr(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

void program_put(uint8_t byte)
{
    __asm__ volatile("outb %0, %1" : : "a"(byte), "d"((uint16_t)0x3f8));
}

static void put_text(const char *text)
{
    for (; *text != 0; text++)
        program_put((uint8_t)*text);
}

/* Anything but 1 at the power port is a failure. */
void program_end(bool well)
{
    __asm__ volatile("outb %0, %1" : : "a"((uint8_t)(well ? 1 : 2)), "d"((uint16_t)0x600));
    for (;;)
        __asm__ volatile("hlt");
}

void program_copy(void *to, const void *from, uint64_t size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

void program_clear(void *to, uint64_t size)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

/* --- loading ----------------------------------------------------------------------------------------------------------- */

void program_fail(const char *why)
{
    put_text("program: ");
    put_text(why);
    put_text("\n");
    program_end(false);
}

static bool is_in_file(uint64_t offset, uint64_t size)
{
    return offset <= program.size && size <= program.size - offset;
}

/* Where it begins. */
static uint64_t load(void)
{
    const Elf64_Ehdr *header = (const void *)program.file;
    const Elf64_Phdr *segment = (const void *)(program.file + header->e_phoff);
    const uint64_t bias = header->e_type == ET_DYN ? LOWEST : 0;

    if (program.size < sizeof(*header) || header->e_machine != EM_X86_64)
        program_fail("the initrd is no program");
    if (!is_in_file(header->e_phoff, header->e_phnum * sizeof(*segment)))
        program_fail("the program is cut short");
    for (unsigned i = 0; i < header->e_phnum; i++, segment++) {
        uint8_t *to = (void *)(segment->p_vaddr + bias);
        uint64_t end = (uint64_t)to + segment->p_memsz;

        if (segment->p_type == PT_INTERP)
            program_fail("only static programs run here");
        if (segment->p_type != PT_LOAD)
            continue;
        if (!is_in_file(segment->p_offset, segment->p_filesz))
            program_fail("the program is cut short");
        if (segment->p_filesz > segment->p_memsz || segment->p_memsz > program.mapped || (uint64_t)to < LOWEST ||
            end > program.mapped)
            program_fail("the program doesn't fit memory");
        program_copy(to, program.file + segment->p_offset, segment->p_filesz);
        program_clear(to + segment->p_filesz, segment->p_memsz - segment->p_filesz);
        if (segment->p_offset == 0)
            program.headers = (uint64_t)to + header->e_phoff;
        if (end > program.brk)
            program.brk = end;
    }
    program.lowest_brk = program.brk;
    return header->e_entry + bias;
}

/* Cuts the words after "-- " off the command line; how many. */
static unsigned split(char *line, const char **words)
{
    unsigned count = 0;

    while (*line != 0 && !(line[0] == '-' && line[1] == '-' && line[2] == ' '))
        line++;
    line += *line != 0 ? 3 : 0;
    while (*line != 0 && count < MAX_WORDS - 1) {
        char end = *line == '\'' ? '\'' : ' ';

        line += *line == '\'';
        words[count++] = line;
        while (*line != 0 && *line != end)
            line++;
        if (*line != 0)
            *line++ = 0;
        while (*line == ' ')
            line++;
    }
    words[count] = (const char *)0;
    return count;
}

/* As the ABI has it: argc, argv, an environment of nothing, the auxiliary vector (AMD64 ABI, 3.4.1). */
static uint64_t build_stack(uint64_t top, char *line, uint64_t entry)
{
    static const char *words[MAX_WORDS];
    const Elf64_Ehdr *header = (const void *)program.file;
    const uint64_t count = split(line, words);
    const uint64_t vector[] = {
        AT_PHDR, program.headers, AT_PHENT, sizeof(Elf64_Phdr), AT_PHNUM, header->e_phnum, AT_PAGESZ, PAGE,    AT_ENTRY,
        entry,   AT_BASE,         0,        AT_RANDOM,          top,      AT_SECURE,       0,         AT_NULL, 0};
    uint64_t *at = (uint64_t *)((top - (count + 3) * 8 - sizeof(vector)) & ~UINT64_C(15));
    const uint64_t stack = (uint64_t)at;

    *at++ = count;
    for (unsigned i = 0; i <= count; i++)
        *at++ = (uint64_t)words[i];
    *at++ = 0;
    program_copy(at, vector, sizeof(vector));
    return stack;
}

struct guest_start program_start(const uint8_t *zero_page, char *line)
{
    uint32_t file, size;
    struct guest_start start;
    uint64_t top;

    program_copy(&file, zero_page + 0x218, 4);
    program_copy(&size, zero_page + 0x21c, 4);
    program.file = (const uint8_t *)(uint64_t)file;
    program.size = size;
    top = file - PAGE;
    program.mapped = top - STACK_SIZE;
    start.rip = load();
    start.rsp = build_stack(top, line, start.rip);
    program_write_msr(0xc0000080, 0x501); /* EFER: SYSCALL */
    program_write_msr(0xc0000081, UINT64_C(0x23) << 48 | UINT64_C(0x10) << 32);
    program_write_msr(0xc0000082, (uint64_t)guest_syscall);
    program_write_msr(0xc0000084, 0x700);
    return start;
}
