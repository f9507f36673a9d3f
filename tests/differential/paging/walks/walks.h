/* SPDX-License-Identifier: BSD-2-Clause */
/* One walk as a question to a processor and to the library: the memory it may use, its outcome. */
#ifndef WALKS_H
#define WALKS_H

#include <x86emu/nested.h>

/* --- memory -------------------------------------------------------------------------------------------------------- */

/* Tables and data that walks may use, at these host-physical addresses; guests see them at the same addresses. */
#define POOL UINT64_C(0x1000000)
enum {
    PAGE_N5, /* nested tables on the way to the pool */
    PAGE_N4,
    PAGE_N3,
    PAGE_N2,
    PAGE_N1,
    PAGE_FIXED2, /* nested tables that show the pool a second time, at SECOND */
    PAGE_FIXED1,
    PAGE_G5, /* guest tables by level */
    PAGE_G4,
    PAGE_G3,
    PAGE_G2,
    PAGE_G1,
    PAGE_PDPT, /* PAE */
    PAGE_DIRECTORY32,
    PAGE_TABLE32,
    PAGE_C3, /* guest tables on the way to the code, with nothing wrong in them */
    PAGE_C2,
    PAGE_C1,
    PAGE_C32,
    PAGE_CODE,
    PAGE_DATA,
    PAGES = PAGE_DATA + 6,
};
#define POOL_SIZE (UINT64_C(4096) * PAGES)
/* Roots of guest tables and code are used here, so that most mistakes in nested tables leave them alone. */
#define SECOND UINT64_C(0xc0000000)

/* Copies of the pool: before the walk, and as the library expects it after the walk. */
#define CLEAN ((uint8_t *)0x2300000) /* before anything is spoilt */
#define BEFORE ((uint8_t *)0x2000000)
#define EXPECTED ((uint8_t *)0x2100000)
#define OTHER ((uint8_t *)0x2400000) /* as it may be, too */
/* What the processor itself needs: VMCB, VMCS; under KVM descriptor tables, handlers and stack. */
#define CONTROL_PAGES UINT64_C(0x2200000)
/* Where guests find the first control page, in all modes with paging: for the supervisor alone. */
#define CONTROL_LA UINT64_C(0xffffc000)

static inline uint64_t page_address(unsigned page)
{
    return POOL + page * UINT64_C(4096);
}

/* --- walks --------------------------------------------------------------------------------------------------------- */

enum guest_mode {
    GUEST_FLAT,
    GUEST_32,
    GUEST_PAE,
    GUEST_64,
    GUEST_MODES,
};
const char *mode_name(enum guest_mode mode);

/* What plays the processor. */
enum model {
    MODEL_UNKNOWN, /* a processor, for all we know */
    MODEL_QEMU,
    MODEL_BOCHS,
    MODEL_KVM,
};

struct question;
struct outcome;

/* What answers questions besides the library, and what it offers to guests. */
struct processor {
    enum model model;
    bool nested;                        /* nested tables are among what is asked about, in this format */
    struct x86emu_nested_format format; /* maxphyaddr in any case */
    unsigned modes;                     /* those asked about: 1 << enum guest_mode */
    bool pdptes_loaded;                 /* with CR3; otherwise read with each walk */
    bool amd, page1gb, la57, smep, smap, pke, pks;
    bool implicit;   /* the question's rbx and gdt are heeded: the instruction may be LAR */
    bool emulated;   /* in ring 0, by KVM's instruction emulator */
    uint8_t stop[2]; /* the instruction that ends the guest's run */
    struct outcome (*run)(const struct question *q);
};

/* One access of the guest's and all that decides about it. */
struct question {
    const struct processor *processor;
    enum guest_mode mode;
    struct x86emu_paging paging;
    struct x86emu_nested_format format;
    uint64_t pointer;
    uint64_t code; /* linear address of the instruction; for fetches the same as la */
    uint64_t la;
    unsigned access; /* enum x86emu_access, X86EMU_WALK_USER, X86EMU_WALK_IMPLICIT */
    bool user;       /* the instruction is in ring 3; with implicit accesses, that isn't their right */
    uint64_t rbx, gdt;
    uint32_t value; /* that is written */
};

enum outcome_kind {
    WENT_THROUGH,
    GUEST_FAULT,
    NESTED_FAULT,
    MISCONFIGURED,
    SOMETHING_ELSE, /* fault: exit code */
    LEFT_OUT,       /* by the library only: it would leave the memory that is ours */
};

struct outcome {
    enum outcome_kind kind;
    uint64_t fault;   /* error code, exit qualification, EXITINFO1 */
    uint64_t address; /* CR2 of a guest fault, guest-physical address of a nested one */
    uint32_t value;   /* that was read */
};

uint64_t random_bits(void);
bool one_in(unsigned n);
extern uint64_t random_state;

/* A random question, the pool filled for it and copied to BEFORE. */
void make_question(struct question *q, const struct processor *processor);
/* Nested tables made by the library; answers their pointer. */
uint64_t build_nested(const struct x86emu_nested_format *f);
/* Whether the access is to two pages. */
static inline bool is_crossing(const struct question *q)
{
    return !(q->access & X86EMU_ACCESS_EXECUTE) && (q->la & 0xfff) > 0x1000 - sizeof(q->value);
}

/* Whether what was read can be seen afterwards. */
static inline bool tells_value(const struct question *q)
{
    return q->access & X86EMU_ACCESS_READ && !(q->access & X86EMU_WALK_IMPLICIT);
}

/* How a crossing access is made. */
enum order {
    FIRST_PAGE_FIRST, /* both pages are checked before either is touched */
    SECOND_PAGE_FIRST,
    PAGE_BY_PAGE,
};

/* What the library says; the pool as it then is goes to after, and is as before again. */
struct outcome predict(const struct question *q, enum order order, uint8_t *after);
/* What the processor may do as well or is known to do, and why; NULL when there is nothing. */
const char *predict_other(const struct question *q, struct outcome *outcome, uint8_t *after);

/* Why the processor may differ from a prediction, with the pool as it should be afterwards: "" where it doesn't, NULL when there is no reason. */
const char *explain(const struct question *q, const struct outcome *expected, const uint8_t *after,
                    struct outcome actual);
/* Entries that a prediction reads. */
void forget_reads(void);
void note_read(uint64_t hpa);

/* Asks the processor and the library so many questions and prints the differences, then the figures. */
void compare(const struct processor *processor, uint64_t seed, uint64_t walks);
/* Of the program that compares: to wherever its results go. */
void print(const char *text);

/* The bare-metal program has its own. */
void *memset(void *to, int value, size_t count);
void *memcpy(void *to, const void *from, size_t count);
int memcmp(const void *a, const void *b, size_t count);

#endif
