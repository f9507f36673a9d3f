/* SPDX-License-Identifier: BSD-2-Clause */
/* Files: raw ones, and sections of ELF files. */
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More is a mistake: a device that never ends, or a disk image. */
static const size_t most_bytes = (size_t)1 << 30;

void read_all(struct input *input, FILE *file, const char *name, uint64_t limit)
{
    uint8_t block[65536];
    size_t size;

    while (input->size < limit && (size = fread(block, 1, sizeof(block), file)) > 0) {
        if (input->size + size > most_bytes)
            die("%s: more than 1 GiB (with --raw, --offset and --length take a part)", name);
        for (size_t n = 0; n < size; n++)
            add_byte(input, block[n]);
    }
    if (ferror(file))
        die("%s: %s", name, strerror(errno));
}

static void read_file(struct input *input, const char *name, uint64_t limit)
{
    FILE *file = stdin;

    if (strcmp(name, "-") == 0) {
        read_all(input, file, "standard input", limit);
        return;
    }
    file = fopen(name, "rb");
    if (file == NULL)
        die("%s: %s", name, strerror(errno));
    read_all(input, file, name, limit);
    fclose(file);
}

static bool is_elf(const struct input *input)
{
    return input->size >= 4 && memcmp(input->bytes, "\177ELF", 4) == 0;
}

#ifdef HAVE_LIBELF
#include <gelf.h>

static int mode_of_machine(unsigned machine, const char *name)
{
    if (machine == EM_X86_64)
        return X86EMU_MODE_64;
    if (machine == EM_386)
        return X86EMU_MODE_32;
    die("%s: not an ELF file for x86 (machine %u)", name, machine);
}

static Elf_Scn *find_section(Elf *elf, const char *name, GElf_Shdr *header)
{
    Elf_Scn *section = NULL;
    size_t names;

    if (elf_getshdrstrndx(elf, &names) != 0)
        return NULL;
    while ((section = elf_nextscn(elf, section)) != NULL) {
        const char *found;

        if (gelf_getshdr(section, header) == NULL)
            continue;
        found = elf_strptr(elf, names, header->sh_name);
        if (found != NULL && strcmp(found, name) == 0)
            return section;
    }
    return NULL;
}

/* Tells which sections with code there are. */
static _Noreturn void die_of_section(Elf *elf, const char *file, const char *name)
{
    char list[512] = "";
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    size_t names, used = 0;

    while (elf_getshdrstrndx(elf, &names) == 0 && (section = elf_nextscn(elf, section)) != NULL) {
        const char *found = gelf_getshdr(section, &header) != NULL ? elf_strptr(elf, names, header.sh_name) : NULL;

        if (found != NULL && header.sh_flags & SHF_EXECINSTR && used + strlen(found) + 2 < sizeof(list))
            used += (size_t)snprintf(list + used, sizeof(list) - used, " %s", found);
    }
    die("%s: no section '%s' (with code:%s)", file, name, used > 0 ? list : " none");
}

/* Replaces the file's bytes by those of one section. */
static void take_section(struct input *input, const char *file, const char *name)
{
    struct input section = {.mode = -1};
    GElf_Ehdr header;
    GElf_Shdr shdr;
    Elf_Scn *found;
    Elf_Data *data;
    Elf *elf;

    elf_version(EV_CURRENT);
    elf = elf_memory((char *)input->bytes, input->size);
    if (elf == NULL || gelf_getehdr(elf, &header) == NULL)
        die("%s: %s", file, elf_errmsg(-1));
    section.mode = mode_of_machine(header.e_machine, file);
    found = find_section(elf, name, &shdr);
    if (found == NULL)
        die_of_section(elf, file, name);
    if (shdr.sh_type == SHT_NOBITS)
        die("%s: section '%s' has no contents", file, name);
    section.address = shdr.sh_addr;
    data = elf_rawdata(found, NULL);
    if (data == NULL)
        die("%s: section '%s': %s", file, name, elf_errmsg(-1));
    for (size_t n = 0; n < data->d_size; n++)
        add_byte(&section, ((const uint8_t *)data->d_buf)[n]);
    elf_end(elf);
    free(input->bytes);
    *input = section;
}
#else
static void take_section(struct input *input, const char *file, const char *name)
{
    (void)input;
    die("%s: section '%s': x86emu was built without libelf", file, name);
}
#endif

/* Of a raw file: no more is read than will be decoded. */
static uint64_t bytes_wanted(const struct options *options)
{
    return options->limit > UINT64_MAX - options->offset ? UINT64_MAX : options->offset + options->limit;
}

void read_program(struct input *input, const struct options *options)
{
    read_file(input, options->file, options->raw ? bytes_wanted(options) : UINT64_MAX);
    if (!options->raw && is_elf(input))
        take_section(input, options->file, options->section != NULL ? options->section : ".text");
    else if (options->section != NULL)
        die("%s: not an ELF file, has no section '%s'", options->file, options->section);
    if (input->size == 0)
        die("%s: no bytes", options->file);
}
