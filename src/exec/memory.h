/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory as semantic functions see it: reads, staged writes, read-modify-writes, batches. */
#ifndef X86EMU_EXEC_MEMORY_H
#define X86EMU_EXEC_MEMORY_H

#include "exec.h"

#define X86EMU_PAGE_SIZE 4096u

static inline unsigned least(unsigned a, uint64_t b)
{
    return b < a ? (unsigned)b : a;
}

static inline bool is_protected(const struct exec *x)
{
    return x->vcpu->cr0 & X86EMU_CR0_PE && !(x->vcpu->rflags & X86EMU_RFLAGS_VM);
}

/* The address bytes further on, which wraps as the address size says. */
static inline struct logical beyond(const struct exec *x, struct logical a, uint64_t bytes)
{
    a.offset = (a.offset + bytes) & size_mask(x->insn->address_size);
    return a;
}

/* Where an access lies, once translated: at most two pages. */
struct span {
    uint64_t la; /* 0 when the exit's guest-physical address made it unnecessary */
    uint64_t gpa;
    uint64_t gpa_second; /* of the byte after the first first_size ones */
    uint16_t first_size;
    uint8_t *host; /* RAM that holds all of it, when the cache knew; else NULL */
};

/* The guest-physical address of byte number done of an access of size bytes, and how many follow in the same page. */
static inline uint64_t gpa_of_byte(const struct span *span, unsigned size, unsigned done, unsigned *left)
{
    if (done < span->first_size) {
        *left = span->first_size - done;
        return span->gpa + done;
    }
    *left = size - done;
    return span->gpa_second + (done - span->first_size);
}

/* What lies at a guest-physical address. */
enum target_kind {
    TARGET_NONE = 0,    /* no such region: stopped */
    TARGET_RAM = 1,     /* host memory at ram */
    TARGET_DEVICE = 2,  /* region's handler */
    TARGET_REQUEST = 3, /* the caller */
};

struct target {
    uint8_t kind;
    uint16_t size; /* bytes that one access may take from gpa on */
    uint64_t gpa;
    uint8_t *ram;
    struct x86emu_region *region;
};

/* How a memory primitive is used: bits. */
enum memory_use {
    USE_PLAIN = 0,
    USE_RMW = 1 << 0,       /* a write of the same bytes follows */
    USE_UNALIGNED = 1 << 1, /* never #AC */
};

/* Whether a range that begins at a valid address stays within its segment and doesn't wrap. Doesn't stop. */
bool x86emu_range_allowed(const struct exec *x, struct logical address, unsigned size);
/* The base that a segment adds in this mode. */
uint64_t x86emu_segment_base(struct exec *x, unsigned segment);

bool x86emu_limit_allows(const struct x86emu_segment *segment, uint64_t offset, unsigned size);

/* Linear address of a logical one, with all segment and canonical checks: segment.c. False: stopped. */
bool x86emu_linear(struct exec *x, struct logical address, unsigned size, unsigned access, uint64_t *la);

/* Guest-physical address of a linear one: translate.c. False: stopped. */
bool x86emu_translate(struct exec *x, uint64_t la, unsigned access, uint64_t *gpa);
/* Takes in the answer to X86EMU_REQUEST_TRANSLATE. */
void x86emu_page_translated(struct exec *x, uint64_t gpa);
/* Sets the dirty bits of the pages this run is going to write. False: stopped. */
bool x86emu_dirty_pages(struct exec *x);

/* Checks and translates an access of size bytes: locate.c. False: stopped. */
bool x86emu_locate(struct exec *x, struct logical address, unsigned size, unsigned access, unsigned use,
                   struct span *span);
/* What one access of at most size bytes at gpa meets. TARGET_NONE: stopped. */
struct target x86emu_target(struct exec *x, uint64_t gpa, unsigned size, unsigned access);

/* #AC for an access that alignment checking refuses; False: stopped. */
bool x86emu_alignment_checked(struct exec *x, struct logical address, unsigned alignment);

/* Reads up to 64 bytes: memory.c. False: stopped. */
bool x86emu_memory_read(struct exec *x, struct logical address, unsigned size, unsigned use, void *data);
/* Stages a write of up to 64 bytes. False: stopped. */
bool x86emu_memory_write(struct exec *x, struct logical address, unsigned size, const void *data);
/* The same with USE_UNALIGNED where #AC is not for this access. */
bool x86emu_memory_store(struct exec *x, struct logical address, unsigned size, unsigned use, const void *data);
/* Stages the second half of a read-modify-write whose first half was x->rmw_read. False: stopped. */
bool x86emu_memory_modify(struct exec *x, struct logical address, unsigned size, const void *data);

/* A run of elements in one page: what string instructions do at once. */
struct batch {
    struct logical address; /* of the first element */
    uint16_t size;          /* of one element: 1, 2, 4, 8 */
    uint16_t count;
    int16_t step; /* size, or -size with DF */
};

/* Where a batch's first element is. */
struct batch_place {
    uint64_t gpa;
    struct target target;
};

/*
 * How many of batch->count elements can be accessed at once: they lie in one page and one region and fit a request; 1
 * when the first element crosses a page or is wider than its device. 0: stopped.
 */
unsigned x86emu_batch_limit(struct exec *x, const struct batch *batch, unsigned access, struct batch_place *place);
bool x86emu_batch_read(struct exec *x, const struct batch *batch, void *data);
bool x86emu_batch_write(struct exec *x, const struct batch *batch, const void *data);

/* Forgets translations and reads: the instruction begins again. */
static inline void forget_answers(struct x86emu_transaction *t)
{
    t->page_count = t->read_count = 0;
    t->read_used = 0;
    t->hint_used = false;
}

/* Effects, once nothing can fault any more: effect.c. False: stopped, or to be run again (x->restart). */
bool x86emu_perform_effects(struct exec *x);

/* Space for a staged effect of size bytes; NULL: stopped. Its bytes are at effect->data in effect_bytes. */
struct x86emu_effect *x86emu_effect_add(struct exec *x, enum x86emu_request_kind kind, unsigned size, unsigned count,
                                        const void *data);
/* Where a staged effect goes. */
void x86emu_effect_place(struct x86emu_effect *effect, const struct span *span);
/* Reads through a region's handler. False: it refused, stopped. */
bool x86emu_device_read(struct exec *x, const struct target *target, unsigned count, int stride, void *data);
/* The next answered read, or a new one; NULL: stopped because what was answered is not what is asked now. */
struct x86emu_read *x86emu_next_read(struct exec *x, enum x86emu_request_kind kind, uint64_t address, unsigned size);

/* Whether the program may use size ports from port on: port.c. False: stopped. */
bool x86emu_port_allowed(struct exec *x, uint16_t port, unsigned size);

/* --- requests: request.c ----------------------------------------------------------------------------------------- */

/* A fresh request to fill. */
struct x86emu_request *x86emu_ask(struct exec *x, enum x86emu_request_kind kind, uint64_t gpa, unsigned size,
                                  unsigned count);
/* Offers the request to its callback. True: answered and its answer taken in. False: stopped. */
bool x86emu_present(struct exec *x);
/* Takes the answer in. False: it doesn't fit the question; nothing changed. */
bool x86emu_accept(struct exec *x);

#endif
