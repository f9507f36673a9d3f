/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads a Linux kernel by the 64-bit boot protocol (Documentation/arch/x86/boot.rst): bzImage or vmlinux. */
#include "machine.h"

#include <elf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where things are put, below 1 MiB; the kernel goes where it wants to be. */
enum {
    GDT = 0x500,
    ZERO_PAGE = 0x7000,
    COMMAND_LINE = 0x20000,
    TABLES = 0x9000,
    STACK = 0x8000,
    SETUP_HEADER = 0x1f1,
    E820_COUNT = 0x1e8,
    E820_TABLE = 0x2d0,
    KERNEL_64_ENTRY = 0x200,
    MAX_SEGMENTS = 64, /* a kernel has five */
};

/* Fields of the setup header, by their offset in the zero page. */
enum {
    SETUP_SECTS = 0x1f1,
    BOOT_MAGIC = 0x202, /* "HdrS" */
    TYPE_OF_LOADER = 0x210,
    LOAD_FLAGS = 0x211,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    CMD_LINE_PTR = 0x228,
    XLOADFLAGS = 0x236,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
};

struct file {
    uint8_t *bytes;
    size_t size;
};

/* Of files that can be sought in, and are no larger than limit. */
static enum boot_status read_open_file(FILE *stream, uint64_t limit, struct file *file)
{
    long size;

    if (fseek(stream, 0, SEEK_END) != 0 || (size = ftell(stream)) < 0 || size == LONG_MAX || /* a folder */
        fseek(stream, 0, SEEK_SET) != 0)
        return BOOT_CANNOT_READ;
    if (size == 0)
        return BOOT_TRUNCATED;
    if ((uint64_t)size > limit)
        return BOOT_TOO_LARGE;
    file->bytes = malloc((size_t)size);
    file->size = (size_t)size;
    if (file->bytes == NULL || fread(file->bytes, 1, file->size, stream) != file->size)
        return BOOT_CANNOT_READ;
    return BOOT_OK;
}

static enum boot_status read_file(const char *path, uint64_t limit, struct file *file)
{
    FILE *stream = fopen(path, "rb");
    enum boot_status status;

    *file = (struct file){NULL, 0};
    if (stream == NULL)
        return BOOT_CANNOT_READ;
    status = read_open_file(stream, limit, file);
    fclose(stream);
    if (status != BOOT_OK)
        free(file->bytes);
    return status;
}

/* Where the kernel begins, and where it ends in memory. */
struct kernel {
    uint64_t entry, end;
};

static void put(struct machine *machine, uint64_t at, uint64_t value, unsigned size)
{
    memcpy(machine->ram + at, &value, size);
}

static uint64_t get(const uint8_t *bytes, size_t at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, bytes + at, size);
    return value;
}

/* --- the kernel --------------------------------------------------------------------------------------------------- */

static bool fits(const struct machine *machine, uint64_t at, uint64_t size)
{
    return at >= 1 << 20 && at <= machine->ram_size && size <= machine->ram_size - at;
}

static enum boot_status load_elf(struct machine *machine, const struct file *file, struct kernel *kernel)
{
    Elf64_Ehdr header;
    Elf64_Phdr segment;

    if (file->size < sizeof(header))
        return BOOT_TRUNCATED;
    memcpy(&header, file->bytes, sizeof(header));
    if (header.e_machine != EM_X86_64 || header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phnum > MAX_SEGMENTS)
        return BOOT_NOT_A_KERNEL;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        uint64_t at = header.e_phoff + (uint64_t)i * sizeof(segment);

        if (at > file->size || file->size - at < sizeof(segment))
            return BOOT_TRUNCATED;
        memcpy(&segment, file->bytes + at, sizeof(segment));
        if (segment.p_type != PT_LOAD)
            continue;
        if (segment.p_offset > file->size || segment.p_filesz > file->size - segment.p_offset)
            return BOOT_TRUNCATED;
        if (segment.p_filesz > segment.p_memsz || !fits(machine, segment.p_paddr, segment.p_memsz))
            return BOOT_TOO_LARGE;
        memcpy(machine->ram + segment.p_paddr, file->bytes + segment.p_offset, segment.p_filesz);
        if (segment.p_paddr + segment.p_memsz > kernel->end)
            kernel->end = segment.p_paddr + segment.p_memsz;
    }
    kernel->entry = header.e_entry;
    return BOOT_OK;
}

static enum boot_status load_bzimage(struct machine *machine, const struct file *file, struct kernel *kernel)
{
    uint64_t setup, at, need;

    if (file->size < 0x268 || memcmp(file->bytes + BOOT_MAGIC, "HdrS", 4) != 0)
        return BOOT_NOT_A_KERNEL;
    setup = (file->bytes[SETUP_SECTS] != 0 ? file->bytes[SETUP_SECTS] + UINT64_C(1) : 5) * 512;
    if (setup >= file->size)
        return BOOT_TRUNCATED;
    if (!(get(file->bytes, XLOADFLAGS, 2) & 1)) /* no 64-bit entry point */
        return BOOT_NOT_A_KERNEL;
    at = get(file->bytes, PREF_ADDRESS, 8);
    need = get(file->bytes, INIT_SIZE, 4);
    if (!fits(machine, at, need) || !fits(machine, at, file->size - setup))
        return BOOT_TOO_LARGE;
    memcpy(machine->ram + at, file->bytes + setup, file->size - setup);
    memcpy(machine->ram + ZERO_PAGE + SETUP_HEADER, file->bytes + SETUP_HEADER, 0x268 - SETUP_HEADER);
    kernel->entry = at + KERNEL_64_ENTRY;
    kernel->end = at + (need > file->size - setup ? need : file->size - setup);
    return BOOT_OK;
}

static enum boot_status load_kernel(struct machine *machine, const char *path, struct kernel *kernel)
{
    struct file file;
    enum boot_status status = read_file(path, machine->ram_size, &file);

    if (status != BOOT_OK)
        return status;
    if (file.size >= 4 && memcmp(file.bytes, ELFMAG, SELFMAG) == 0)
        status = load_elf(machine, &file, kernel);
    else
        status = load_bzimage(machine, &file, kernel);
    free(file.bytes);
    return status;
}

/* At the end of memory, above the kernel. */
static enum boot_status load_initrd(struct machine *machine, const char *path, const struct kernel *kernel)
{
    struct file file;
    enum boot_status status = read_file(path, machine->ram_size, &file);
    uint64_t at;

    if (status != BOOT_OK)
        return status;
    at = (machine->ram_size - file.size) & ~UINT64_C(0xfff);
    if (at < kernel->end) {
        free(file.bytes);
        return BOOT_TOO_LARGE;
    }
    memcpy(machine->ram + at, file.bytes, file.size);
    put(machine, ZERO_PAGE + RAMDISK_IMAGE, at, 4);
    put(machine, ZERO_PAGE + RAMDISK_SIZE, file.size, 4);
    free(file.bytes);
    return BOOT_OK;
}

/* --- what the kernel is told -------------------------------------------------------------------------------------- */

static void add_e820(struct machine *machine, uint64_t at, uint64_t size, uint32_t type)
{
    unsigned n = machine->ram[ZERO_PAGE + E820_COUNT]++;
    uint64_t entry = ZERO_PAGE + E820_TABLE + n * UINT64_C(20);

    put(machine, entry, at, 8);
    put(machine, entry + 8, size, 8);
    put(machine, entry + 16, type, 4);
}

static void fill_zero_page(struct machine *machine, const char *command_line)
{
    uint8_t *page = machine->ram + ZERO_PAGE;

    page[TYPE_OF_LOADER] = 0xff;
    page[LOAD_FLAGS] |= 1;
    memcpy(page + BOOT_MAGIC, "HdrS", 4);
    put(machine, ZERO_PAGE + 0x1fe, 0xaa55, 2);
    put(machine, ZERO_PAGE + CMD_LINE_PTR, COMMAND_LINE, 4);
    snprintf((char *)machine->ram + COMMAND_LINE, 2048, "%s", command_line);
    add_e820(machine, 0, 0x9fc00, 1);
    add_e820(machine, 0x9fc00, 0x400, 2);
    add_e820(machine, FIRMWARE_ACPI, FIRMWARE_END - FIRMWARE_ACPI, 2);
    add_e820(machine, 0x100000, machine->ram_size - 0x100000, 1);
}

/* The first 4 GiB one to one in 2-MiB pages. */
static void build_tables(struct machine *machine)
{
    put(machine, TABLES, (TABLES + 0x1000) | 3, 8);
    for (uint64_t i = 0; i < 4; i++) {
        put(machine, TABLES + 0x1000 + 8 * i, (TABLES + 0x2000 + 0x1000 * i) | 3, 8);
        for (uint64_t j = 0; j < 512; j++)
            put(machine, TABLES + 0x2000 + 0x1000 * i + 8 * j, (i * 512 + j) << 21 | 0x83, 8);
    }
}

/* 64-bit mode, flat segments with the selectors that the protocol names, RSI the zero page. */
static void set_vcpu(struct machine *machine, struct x86emu_vcpu *vcpu, uint64_t entry)
{
    const struct x86emu_segment code = {.limit = UINT32_MAX, .selector = 0x10, .attributes = 0xa09b};
    const struct x86emu_segment data = {.limit = UINT32_MAX, .selector = 0x18, .attributes = 0xc093};

    put(machine, GDT + 0x10, UINT64_C(0x00af9b000000ffff), 8);
    put(machine, GDT + 0x18, UINT64_C(0x00cf93000000ffff), 8);
    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->loaded = X86EMU_STATE_ALL;
    for (unsigned i = 0; i < 6; i++)
        vcpu->segment[i] = data;
    vcpu->segment[X86EMU_CS] = code;
    vcpu->ldtr = (struct x86emu_segment){.attributes = X86EMU_SEGMENT_UNUSABLE};
    vcpu->tr = (struct x86emu_segment){.limit = 0xffff, .attributes = 0x8b};
    vcpu->gdtr = (struct x86emu_table_register){.base = GDT, .limit = 0x1f};
    vcpu->cr0 = X86EMU_CR0_PE | X86EMU_CR0_PG | X86EMU_CR0_ET | X86EMU_CR0_NE;
    vcpu->cr3 = TABLES;
    vcpu->cr4 = X86EMU_CR4_PAE;
    vcpu->efer = X86EMU_EFER_LME | X86EMU_EFER_LMA;
    vcpu->rflags = X86EMU_RFLAGS_FIXED;
    vcpu->rip = entry;
    vcpu->gpr[X86EMU_RSI] = ZERO_PAGE;
    vcpu->gpr[X86EMU_RSP] = STACK;
    vcpu->dr[6] = 0xffff0ff0;
    vcpu->dr[7] = 0x400;
    vcpu->xcr0 = 1;
    vcpu->mxcsr = 0x1f80;
    vcpu->x87.control = 0x37f;
    vcpu->x87.tag = 0xffff;
}

enum boot_status boot_load(struct machine *machine, struct x86emu_vcpu *vcpu, const struct boot_files *files,
                           const char **culprit)
{
    struct kernel kernel = {.end = 0};
    enum boot_status status;

    *culprit = files->kernel;
    status = load_kernel(machine, files->kernel, &kernel);
    if (status == BOOT_OK && files->initrd != NULL) {
        *culprit = files->initrd;
        status = load_initrd(machine, files->initrd, &kernel);
    }
    if (status != BOOT_OK)
        return status;
    fill_zero_page(machine, files->command_line);
    acpi_write_tables(machine);
    mp_write_table(machine);
    build_tables(machine);
    set_vcpu(machine, vcpu, kernel.entry);
    return BOOT_OK;
}

const char *boot_explain(enum boot_status status)
{
    switch (status) {
    case BOOT_CANNOT_READ:
        return "can't be read";
    case BOOT_NOT_A_KERNEL:
        return "is no 64-bit Linux kernel (bzImage or vmlinux)";
    case BOOT_TRUNCATED:
        return "is cut short";
    case BOOT_TOO_LARGE:
        return "doesn't fit the guest's memory";
    default:
        return "is fine";
    }
}
