/* SPDX-License-Identifier: BSD-2-Clause */
/* One instruction in one situation, run by the emulator and by this processor in user mode; how the two ended. */
#ifndef DIFFERENTIAL_HARDWARE_H
#define DIFFERENTIAL_HARDWARE_H

#include <x86emu/x86emu.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * The address space below 4 GiB, where 32-bit code can reach: nothing is mapped there but what stands here. The arena
 * is what instructions access: two pages to read and write between guard pages, and one page to read between two more.
 */
enum layout {
    PAGE = 4096,
    WINDOW = 0x10000000,
    WINDOW_SIZE = 0x40000000,
    CODE = 0x20000000,
    CODE_SIZE = 16 * PAGE,
    ARENA = 0x30000000,
    WRITABLE = ARENA + PAGE,
    WRITABLE_SIZE = 2 * PAGE,
    READABLE = ARENA + 4 * PAGE,
    ARENA_SIZE = 6 * PAGE,
    COCKPIT = 0x40000000,
    COCKPIT_SIZE = 4 * PAGE,
    TABLES = 0x48000000, /* for the emulator alone: a page each that stands for the GDT and the LDT */
    TABLES_SIZE = 2 * PAGE,
};

/* Linux's selectors (arch/x86/include/asm/segment.h). */
enum user_selector {
    USER_CODE_32 = 0x23,
    USER_DATA = 0x2b,
    USER_CODE_64 = 0x33,
};

/* The segments of segments.c, by their place in the LDT. */
enum ldt_index {
    SEGMENT_CODE_16 = 1,
    SEGMENT_CODE_32,
    SEGMENT_DATA_16,
    SEGMENT_LIMITED,
    SEGMENT_SMALL,
    SEGMENT_READ_ONLY,
    SEGMENT_DOWN_32,
    SEGMENT_DOWN_16,
    SEGMENT_CODE_AS_DATA,
    SEGMENT_ABSENT,
};

/* Registers of MMX, SSE, AVX, AVX-512 and x87. */
struct vectors {
    union x86emu_vector_register zmm[32];
    uint64_t k[8];
    uint32_t mxcsr;
    struct x86emu_x87 x87;
};

struct registers {
    uint64_t gpr[16];
    uint64_t rip;
    uint64_t rflags;
};

/* What is run. The arena's contents belong to it: they are what writable_before() holds. */
struct situation {
    enum x86emu_mode mode; /* X86EMU_MODE_16, X86EMU_MODE_32: protected, as compatibility mode */
    uint16_t selector[6];  /* by enum x86emu_segment_name */
    uint8_t bytes[X86EMU_MAX_INSN_LENGTH];
    struct x86emu_insn insn;
    struct registers registers; /* rip: where the instruction is put, as an offset into CS */
    bool with_vectors;          /* vectors matter; else they are whatever they are */
    struct vectors vectors;
};

enum ending {
    ENDED_RETIRED, /* registers.rip is that of the next instruction */
    ENDED_EXCEPTION,
    ENDED_NOT_EMULATED, /* the emulator alone: no function for the row */
    ENDED_ELSEWHERE,    /* the emulator alone: uses memory, ports or time that this comparison can't */
};

struct result {
    enum ending ending;
    struct x86emu_exception exception;
    struct registers registers;
    uint16_t selector[6];
    struct vectors vectors; /* with_vectors */
};

/* --- segments.c --------------------------------------------------------------------------------------------------- */

void segments_start(void);
/* Fills what stands for the GDT and the LDT. */
void segments_tables(uint8_t *gdt, uint8_t *ldt);
#define GDT_LIMIT 0x7f /* Linux has 16 entries */
uint16_t ldt_limit(void);
uint16_t segment_selector(enum ldt_index index);
/* What loading the selector makes of a segment register. */
struct x86emu_segment segment_of(uint16_t selector);

/* Where the instruction is, as a linear address. */
static inline uint32_t code_address(const struct situation *situation)
{
    return (uint32_t)(segment_of(situation->selector[X86EMU_CS]).base + situation->registers.rip);
}

/* The part of the instruction that lies in what code stands for. */
static inline void copy_code(const struct situation *s, uint8_t code[CODE_SIZE])
{
    uint32_t at = code_address(s) - CODE;
    uint32_t room = CODE_SIZE - at;

    memcpy(code + at, s->bytes, room < sizeof(s->bytes) ? room : sizeof(s->bytes));
}

/* --- machine.c: this processor ------------------------------------------------------------------------------------ */

/* What of the processor's set-up the emulator has to know. */
struct machine {
    uint64_t xcr0;
    uint64_t fs_base, gs_base;
    bool la57; /* five-level paging is on */
    uint32_t mxcsr_mask;
};

extern struct machine machine;

/* Maps the window and finds out about the machine; ends the program when that can't be. */
void machine_start(void);

/* Runs it. The arena is changed as the processor does. */
void machine_run(const struct situation *situation, struct result *result);

uint8_t *machine_writable(void); /* WRITABLE_SIZE bytes */
void machine_set_readable(const uint8_t *bytes);

/* --- model.c: the emulator ---------------------------------------------------------------------------------------- */

/* The emulator's own copy of the arena: to be made equal to the machine's before a run. */
extern uint8_t model_writable[WRITABLE_SIZE], model_readable[PAGE];

void model_start(void);

/* What may be done with the page of a linear address; -1: this comparison does not know what is there. */
int model_page_access(uint64_t la);

/* Fills the vCPU but for vectors, unless the situation has them; adds them. */
void model_load(const struct situation *situation, struct x86emu_vcpu *vcpu);
void model_load_vectors(const struct situation *situation, struct x86emu_vcpu *vcpu);

/* Runs it. When it asks for vectors that situation doesn't have, want_vectors(situation) makes them. */
void model_run(struct situation *situation, struct result *result);

/* --- cases.c: what is run ----------------------------------------------------------------------------------------- */

/*
 * Gathers encodings for each row and mode, all, or those alone whose outcome a user program can foretell; answers how
 * many pairs there are.
 */
unsigned cases_start(uint64_t seed, const char *only, bool all);

/* A random situation for pair number n; false when it found none this time. */
bool cases_make(unsigned n, struct situation *situation);

void cases_vectors(struct situation *situation);

/* --- compare.c: what must be equal -------------------------------------------------------------------------------- */

struct difference {
    bool found;         /* something that the manual defines differs */
    uint32_t undefined; /* flags that differ and that the manual leaves undefined */
    char text[2048];    /* what */
};

void compare_results(const struct situation *situation, const struct result *model, const struct result *native,
                     struct difference *difference);

/* Runs both sides from the arena contents at before (WRITABLE_SIZE bytes) and compares, memory included. */
bool compare_run(struct situation *situation, const uint8_t *before, struct result *model, struct result *native,
                 struct difference *difference);

/* --- paths.c: every way that the emulator can be driven ------------------------------------------------------------ */

/* Runs count executions of the pairs' rows by all paths, and reports. True: no difference was found. */
bool paths_run(unsigned pairs, unsigned long long count);

#endif
