/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the code to decode comes from: .text of what is installed, sorted into kinds. */
#include "bench.h"

#include <elf.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86emu/insn.h>

enum {
    MMIO_SLOTS = 4096,
    STREAM_MOST = 400000,
    VECTOR_MOST = 100000
};

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);

    if (memory == NULL)
        abort();
    return memory;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long length;

    if (file == NULL)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) > 0) {
        rewind(file);
        bytes = allocate((size_t)length);
        *size = fread(bytes, 1, (size_t)length, file);
    }
    fclose(file);
    return bytes;
}

/* The .text of a 64-bit ELF file; NULL: there is none. */
static const uint8_t *find_text(const uint8_t *file, size_t file_size, size_t *size)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
    const Elf64_Shdr *sections;

    if (file_size < sizeof(*header) || memcmp(file, ELFMAG, SELFMAG) != 0 || file[EI_CLASS] != ELFCLASS64 ||
        header->e_shoff + header->e_shnum * sizeof(*sections) > file_size)
        return NULL;
    sections = (const Elf64_Shdr *)(file + header->e_shoff);
    for (unsigned i = 0; i < header->e_shnum; i++) {
        const char *names = (const char *)file + sections[header->e_shstrndx].sh_offset;

        if (strcmp(names + sections[i].sh_name, ".text") == 0 &&
            sections[i].sh_offset + sections[i].sh_size <= file_size) {
            *size = sections[i].sh_size;
            return file + sections[i].sh_offset;
        }
    }
    return NULL;
}

static void append(struct corpus *corpus, const uint8_t *bytes, unsigned length)
{
    memcpy(corpus->bytes + corpus->size, bytes, length);
    corpus->size += length;
    corpus->count++;
}

/* Valid instructions of a section, one after the other. */
static bool collect_stream(struct corpus *corpus, const char *name, const char *pattern)
{
    glob_t paths;
    const uint8_t *text = NULL;
    uint8_t *file = NULL;
    size_t size = 0, text_size = 0;

    if (glob(pattern, 0, NULL, &paths) == 0)
        file = read_file(paths.gl_pathv[0], &size);
    if (file != NULL)
        text = find_text(file, size, &text_size);
    globfree(&paths);
    if (text == NULL) {
        fprintf(stderr, "no %s corpus: no .text in %s\n", name, pattern);
        free(file);
        return false;
    }
    *corpus = (struct corpus){.name = name, .bytes = allocate(text_size + SLOT_SIZE)};
    for (size_t at = 0; at < text_size && corpus->count < STREAM_MOST;) {
        struct x86emu_insn insn;

        if (x86emu_decode(&insn, text + at, text_size - at, X86EMU_MODE_64) != X86EMU_DECODE_OK) {
            at++;
            continue;
        }
        append(corpus, text + at, insn.length);
        at += insn.length;
    }
    free(file);
    return true;
}

/* Those of a stream that are encoded with VEX or EVEX, and one in six of the others. */
static void collect_vector(struct corpus *corpus, const struct corpus *from)
{
    unsigned others = 0;
    size_t at = 0;

    *corpus = (struct corpus){.name = "vector", .bytes = allocate(from->size + SLOT_SIZE)};
    for (size_t n = 0; n < from->count && corpus->count < VECTOR_MOST; n++) {
        struct x86emu_insn insn;
        bool vector;

        x86emu_decode(&insn, from->bytes + at, SLOT_SIZE, X86EMU_MODE_64);
        vector = insn.encoding >= X86EMU_ENCODING_XOP;
        others += vector;
        if (vector || (others >= 6 && (others = 0, true)))
            append(corpus, from->bytes + at, insn.length);
        at += insn.length;
    }
}

/* Whether a device could be behind it: memory is accessed, and not by push, call and the like. */
static bool accesses_memory(const struct x86emu_insn *insn)
{
    struct x86emu_operand op;

    for (unsigned n = 0; x86emu_insn_operand(insn, n, &op); n++)
        if (op.kind == X86EMU_OPERAND_MEM && op.access != 0 && !op.implicit && op.mem.segment != X86EMU_SS)
            return true;
    return false;
}

static void collect_mmio(struct corpus *corpus, const struct corpus *from)
{
    size_t at = 0, skip = 0;

    *corpus = (struct corpus){
        .name = "mmio", .bytes = allocate(MMIO_SLOTS * SLOT_SIZE + SLOT_SIZE), .size = MMIO_SLOTS * SLOT_SIZE};
    corpus->order = allocate(MMIO_SLOTS * sizeof(*corpus->order));
    for (size_t n = 0; n < from->count && corpus->slots < MMIO_SLOTS; n++) {
        struct x86emu_insn insn;

        x86emu_decode(&insn, from->bytes + at, SLOT_SIZE, X86EMU_MODE_64);
        if (accesses_memory(&insn) && ++skip % 7 == 0) {
            memcpy(corpus->bytes + corpus->slots * SLOT_SIZE, from->bytes + at, insn.length);
            corpus->order[corpus->slots] = (uint32_t)corpus->slots;
            corpus->slots++;
        }
        at += insn.length;
    }
    corpus->count = corpus->slots;
}

void corpus_shuffle(struct corpus *corpus)
{
    static uint64_t state = 0x9e3779b97f4a7c15;

    for (size_t n = corpus->slots; n > 1; n--) {
        size_t other;
        uint32_t slot;

        state = state * 6364136223846793005u + 1442695040888963407u;
        other = (size_t)(state >> 33) % n;
        slot = corpus->order[n - 1];
        corpus->order[n - 1] = corpus->order[other];
        corpus->order[other] = slot;
    }
}

/* The same of a file in the folder of what the script has fetched. */
static bool collect_fetched(struct corpus *corpus, const char *name, const char *file)
{
    const char *folder = getenv("X86EMU_BENCH_CODE");
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", folder != NULL ? folder : ".", file);
    return collect_stream(corpus, name, path);
}

size_t corpora_collect(struct corpus *corpora)
{
    struct corpus video;
    size_t count = 0;

    if (collect_stream(&corpora[count], "libc", "/lib/x86_64-linux-gnu/libc.so.6"))
        count++;
    if (count > 0)
        collect_mmio(&corpora[count++], &corpora[0]);
    if (collect_fetched(&video, "vector", "dav1d/usr/lib/x86_64-linux-gnu/libdav1d.so.6")) {
        collect_vector(&corpora[count++], &video);
        free(video.bytes);
    }
    count += collect_stream(&corpora[count], "c++", "/usr/lib/x86_64-linux-gnu/libLLVM-*.so.1");
    count += collect_fetched(&corpora[count], "kernel", "vmlinux");
    return count;
}
