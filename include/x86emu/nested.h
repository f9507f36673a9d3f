/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested page tables, EPT and NPT: walks, tables built and kept here; usable without the emulator. */
#ifndef X86EMU_NESTED_H
#define X86EMU_NESTED_H

#include <x86emu/paging.h>
#include <x86emu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum x86emu_nested_type {
    X86EMU_NESTED_EPT = 0, /* SDM Vol. 3, 29.3 */
    X86EMU_NESTED_NPT = 1, /* APM Vol. 2, 15.25: the entries of long-mode paging */
};

/* Rights of a nested page, and what they are asked for: enum x86emu_access and this. */
enum x86emu_nested_right {
    X86EMU_RIGHT_USER_EXECUTE = 8, /* with mode-based execute control; EXECUTE is then for supervisor-mode addresses */
};

/* Memory types as MTRRs, PAT and EPT number them (SDM Vol. 3, table 12-2). */
enum x86emu_memory_type {
    X86EMU_MEMORY_UC = 0,
    X86EMU_MEMORY_WC = 1,
    X86EMU_MEMORY_WT = 4,
    X86EMU_MEMORY_WP = 5,
    X86EMU_MEMORY_WB = 6,
    X86EMU_MEMORY_UC_MINUS = 7, /* PAT only, hence NPT only */
};

/* What the processor makes of entries: what it offers and what is switched on. */
struct x86emu_nested_format {
    uint8_t type;             /* enum x86emu_nested_type */
    uint8_t levels;           /* 4 or 5 */
    uint8_t maxphyaddr;       /* physical-address width, 32 to 52; others count as the nearest of these */
    bool page_2m, page_1g;    /* EPT: capability bits 16 and 17; NPT: 2M always, CPUID Page1GB */
    bool accessed_dirty;      /* EPT: bit 6 of the EPTP; without it the bits are emulated. NPT has them always */
    bool execute_only;        /* EPT: capability bit 0 */
    bool mode_based_execute;  /* EPT: the VM-execution control of that name */
    bool advanced_violations; /* EPT: capability bit 22: bits 9 to 11 of the exit qualification */
    bool execute_disable;     /* NPT: EFER.NXE of the host */
    uint64_t pat;             /* NPT: IA32_PAT of the host; 0: its value after reset */
};

/* The format that IA32_VMX_EPT_VPID_CAP offers (SDM Vol. 3, A.10): four levels, everything on that is there, except
   mode-based execute control, which another MSR tells. */
struct x86emu_nested_format x86emu_nested_format_of_ept(uint64_t capabilities, unsigned maxphyaddr);

/* --- the processor's walk ----------------------------------------------------------------------------------------- */

/* How a guest-physical address is accessed, or-ed to enum x86emu_access. */
enum x86emu_nested_access {
    X86EMU_NESTED_TABLE = 1 << 4,     /* an entry of the guest's paging structures, not the translation itself */
    X86EMU_NESTED_USER = 1 << 5,      /* the linear address is a user-mode one: U/S set in all of the guest's entries */
    X86EMU_NESTED_NO_LINEAR = 1 << 6, /* there is no linear address: PDPTEs loaded by MOV to CR */
    X86EMU_NESTED_PROBE = 1 << 7,     /* neither accessed nor dirty bits are set */
    X86EMU_NESTED_NO_DIRTY = 1 << 8,  /* accessed bits are set, the dirty bit is not (a later walk sets it) */
};

/* Bits of the fault: exit qualification of an EPT violation (SDM Vol. 3, table 28-7). */
enum x86emu_ept_qualification {
    X86EMU_EPT_READ = 1 << 0,
    X86EMU_EPT_WRITE = 1 << 1,
    X86EMU_EPT_FETCH = 1 << 2,
    X86EMU_EPT_READABLE = 1 << 3,
    X86EMU_EPT_WRITABLE = 1 << 4,
    X86EMU_EPT_EXECUTABLE = 1 << 5,
    X86EMU_EPT_USER_EXECUTABLE = 1 << 6,
    X86EMU_EPT_LINEAR_VALID = 1 << 7,
    X86EMU_EPT_FINAL = 1 << 8,
    X86EMU_EPT_LINEAR_USER = 1 << 9,
    X86EMU_EPT_LINEAR_WRITABLE = 1 << 10,
    X86EMU_EPT_LINEAR_EXECUTE_DISABLE = 1 << 11,
};

/* Bits of the fault: EXITINFO1 of #VMEXIT(NPF) (APM Vol. 2, 15.25.6). */
#define X86EMU_NPF_PRESENT (UINT64_C(1) << 0)
#define X86EMU_NPF_WRITE (UINT64_C(1) << 1)
#define X86EMU_NPF_USER (UINT64_C(1) << 2)
#define X86EMU_NPF_RESERVED (UINT64_C(1) << 3)
#define X86EMU_NPF_FETCH (UINT64_C(1) << 4)
#define X86EMU_NPF_FINAL (UINT64_C(1) << 32)
#define X86EMU_NPF_TABLE (UINT64_C(1) << 33)

/*
 * One walk through nested tables that may be anything: a guest hypervisor's, for instance. Plain data: it can be copied
 * and resumed elsewhere at any point. All entries have 8 bytes.
 */
struct x86emu_nested_walk {
    struct x86emu_nested_format format;
    uint64_t pointer; /* EPTP or nCR3 */
    uint64_t gpa;
    uint16_t access; /* enum x86emu_access with enum x86emu_nested_access */

    /* WALK_READ, WALK_UPDATE: the question. */
    uint64_t entry_hpa;
    uint64_t entry_old, entry_new;

    /* WALK_DONE: the answer. */
    uint64_t hpa;        /* low bits of gpa included */
    uint8_t page_shift;  /* 12, 21 or 30 */
    uint8_t rights;      /* enum x86emu_access, X86EMU_RIGHT_USER_EXECUTE: what all entries together allow */
    uint8_t memory_type; /* enum x86emu_memory_type */
    bool ignore_pat;     /* EPT: the guest's PAT doesn't count */
    bool dirty;          /* the leaf's dirty bit is set */

    /* WALK_FAULT: exit qualification or EXITINFO1. WALK_MISCONFIGURED (EPT): none. */
    uint64_t fault;

    uint8_t status; /* enum x86emu_walk_status */
    /* The rest belongs to the walker. */
    uint8_t level;
    uint64_t entries[6];
    uint64_t entry_hpas[6];
};

/* As x86emu_walk_begin() and its companions. WALK_MISCONFIGURED is an EPT misconfiguration (SDM Vol. 3, 29.3.3.1). */
enum x86emu_walk_status x86emu_nested_walk_begin(struct x86emu_nested_walk *walk,
                                                 const struct x86emu_nested_format *format, uint64_t pointer,
                                                 uint64_t gpa, unsigned access);
enum x86emu_walk_status x86emu_nested_walk_entry(struct x86emu_nested_walk *walk, uint64_t value);
enum x86emu_walk_status x86emu_nested_walk_updated(struct x86emu_nested_walk *walk, bool exchanged);
enum x86emu_walk_status x86emu_nested_walk_run(struct x86emu_nested_walk *walk,
                                               const struct x86emu_walk_memory *memory);

/* --- guest tables through nested tables --------------------------------------------------------------------------- */

/*
 * The two-dimensional walk: linear address to host-physical address. Plain data. DONE: hpa. FAULT: the guest's own page
 * fault, in guest. NESTED_FAULT, MISCONFIGURED: in nested, for nested.gpa; nested.access has X86EMU_NESTED_TABLE when it
 * was on the way to an entry of the guest's tables, and the fault's bits say the same as the processor would.
 */
struct x86emu_two_walk {
    struct x86emu_walk guest;
    struct x86emu_nested_walk nested; /* format and pointer; then the latest walk */

    /* WALK_READ, WALK_UPDATE: the question, about either dimension's entry, at a host-physical address. */
    uint64_t entry_hpa;
    uint64_t entry_old, entry_new;
    uint8_t entry_size; /* 4 or 8 bytes */
    bool guest_entry;   /* it is an entry of the guest's tables, else one of the nested tables */

    /* WALK_DONE: the answer. */
    uint64_t hpa;
    uint8_t page_shift; /* the smaller page of both; the nested one when the guest's paging is off */

    uint8_t status; /* enum x86emu_walk_status */
};

enum x86emu_walk_status x86emu_two_walk_begin(struct x86emu_two_walk *walk, const struct x86emu_paging *paging,
                                              const struct x86emu_nested_format *format, uint64_t pointer, uint64_t la,
                                              unsigned access);
enum x86emu_walk_status x86emu_two_walk_entry(struct x86emu_two_walk *walk, uint64_t value);
enum x86emu_walk_status x86emu_two_walk_updated(struct x86emu_two_walk *walk, bool exchanged);
/* memory is asked at host-physical addresses. */
enum x86emu_walk_status x86emu_two_walk_run(struct x86emu_two_walk *walk, const struct x86emu_walk_memory *memory);

/* --- tables built and kept here ----------------------------------------------------------------------------------- */

/*
 * Where page-table pages come from.
 *
 * A page that is given back is out of the tables, but a walk that began before, on a processor or in a thread, may still
 * read it. It may be used again when every vCPU has seen the generation (x86emu_nested_behind()) and every thread that
 * was inside x86emu_nested_touch(), _hold(), _query() or a walk has left it.
 */
struct x86emu_nested_memory {
    void *(*allocate)(void *opaque, uint64_t *hpa); /* 4 KiB, aligned, of any contents; NULL: there is none */
    void (*release)(void *opaque, void *page, uint64_t hpa, uint64_t generation);
    void *(*page)(void *opaque, uint64_t hpa); /* where the library sees a page that it was given */
    void *opaque;
};

/*
 * The nested tables of one guest. Filled by x86emu_nested_init(); read-only for the caller but for promote.
 *
 * One thread at a time changes a table: map, unmap, protect, split, promote, harvest. Any number of threads and
 * processors may at the same time walk it, touch, hold, release, query, and ask whether they are behind. Each entry is
 * read and written as a whole: a new table page is filled before a release store links it, and walks load with acquire.
 * Where processors may set accessed and dirty bits entries are changed by compare-and-exchange only, so that no bit is
 * lost, also not by splitting and promotion.
 */
struct x86emu_nested {
    struct x86emu_nested_format format;
    struct x86emu_nested_memory memory;
    bool promote;    /* map and protect make superpages of what has become uniform */
    uint64_t *holds; /* the caller's; one for each page that may be held at the same time */
    uint32_t hold_count;

    uint64_t root_hpa;
    uint64_t generation; /* changes with every change of the tables */
    uint64_t tables;     /* page-table pages in use */
    /* The range that is being taken away, while change is odd; see x86emu_nested_hold(). */
    uint64_t change, change_first, change_last;
};

enum x86emu_nested_status {
    X86EMU_NESTED_OK = 0,
    X86EMU_NESTED_OVERLAP = 1,     /* part of the range is mapped already; nothing changed */
    X86EMU_NESTED_ABSENT = 2,      /* not mapped */
    X86EMU_NESTED_DENIED = 3,      /* mapped without this right */
    X86EMU_NESTED_INVALID = 4,     /* not page aligned, empty, wraps, too wide for the tables or the processor */
    X86EMU_NESTED_UNSUPPORTED = 5, /* rights, memory type or page size that the format has not */
    X86EMU_NESTED_NO_MEMORY = 6,   /* no page-table page, or no place to note a hold; the mappings are as before */
    X86EMU_NESTED_HELD = 7,        /* a page of the range is held; nothing changed */
    X86EMU_NESTED_RETRY = 8,       /* the table is changing here: resume the guest, or ask again */
};

/*
 * holds may be NULL when no page is ever held. Pages of 1G are used where there are pages of 2M too. NO_MEMORY, or
 * UNSUPPORTED for levels or type that there are not.
 */
enum x86emu_nested_status x86emu_nested_init(struct x86emu_nested *table, const struct x86emu_nested_format *format,
                                             const struct x86emu_nested_memory *memory, uint64_t *holds,
                                             uint32_t hold_count);
/* Gives all page-table pages back. No vCPU uses the table any more. */
void x86emu_nested_destroy(struct x86emu_nested *table);

/* EPTP (write-back, SDM Vol. 3, table 25-9) or nCR3. */
uint64_t x86emu_nested_pointer(const struct x86emu_nested *table);

struct x86emu_nested_attributes {
    uint8_t rights;      /* enum x86emu_access, X86EMU_RIGHT_USER_EXECUTE; 0: known, but every access faults */
    uint8_t memory_type; /* enum x86emu_memory_type */
    bool ignore_pat;     /* EPT only */
    uint8_t largest;     /* 12, 21 or 30: shift of the largest page to use; 0: as large as possible */
};

/*
 * Maps [gpa, gpa + size) to hpa, in the largest pages that alignment and format allow. OVERLAP, INVALID, UNSUPPORTED;
 * NO_MEMORY; RETRY: somebody is asking for a hold in the range at this moment.
 */
enum x86emu_nested_status x86emu_nested_map(struct x86emu_nested *table, uint64_t gpa, uint64_t hpa, uint64_t size,
                                            const struct x86emu_nested_attributes *attributes);

/* Told about a run of pages. bits: enum x86emu_nested_bits. */
typedef void x86emu_nested_report(void *opaque, uint64_t gpa, uint64_t size, unsigned bits);

/*
 * Unmaps [gpa, gpa + size), holes in it passed over. report (may be NULL) learns about accessed and dirty pages, whose
 * bits would be lost.
 */
enum x86emu_nested_status x86emu_nested_unmap(struct x86emu_nested *table, uint64_t gpa, uint64_t size,
                                              x86emu_nested_report *report, void *opaque);
/*
 * Changes the rights of what is mapped in the range; holes are passed over, accessed and dirty bits stay. A write
 * protection for dirty logging stays on pages that are and remain writable.
 */
enum x86emu_nested_status x86emu_nested_protect(struct x86emu_nested *table, uint64_t gpa, uint64_t size,
                                                unsigned rights);
/* Splits pages in the range that are larger than 1 << shift. */
enum x86emu_nested_status x86emu_nested_split(struct x86emu_nested *table, uint64_t gpa, uint64_t size, unsigned shift);
/* Makes superpages where the format has them; one is accessed or dirty if any of its pages was. Answers how many. */
uint64_t x86emu_nested_promote(struct x86emu_nested *table, uint64_t gpa, uint64_t size);

/* What is at gpa: a run of pages with the same attributes and consecutive host addresses, or a hole. */
struct x86emu_nested_extent {
    uint64_t gpa, size; /* begins at the gpa asked for (its page), ends at the limit at the latest */
    bool mapped;
    /* For what is mapped: */
    uint64_t hpa;
    uint8_t page_shift; /* of the page at gpa */
    struct x86emu_nested_attributes attributes;
};

/* limit: the first address that doesn't matter any more. OK, INVALID, RETRY. */
enum x86emu_nested_status x86emu_nested_query(const struct x86emu_nested *table, uint64_t gpa, uint64_t limit,
                                              struct x86emu_nested_extent *extent);

/* Walks the table as the processor would: DONE or FAULT, the latter also where the table is changing; UPDATE when an
   exchange was lost 64 times. */
enum x86emu_walk_status x86emu_nested_walk_table(struct x86emu_nested_walk *walk, const struct x86emu_nested *table,
                                                 uint64_t gpa, unsigned access);
/* The two-dimensional walk of a guest whose memory, as the table maps it, the caller makes accessible by host-physical
   address; the table's own pages are found without it. */
enum x86emu_walk_status x86emu_two_walk_table(struct x86emu_two_walk *walk, const struct x86emu_paging *paging,
                                              const struct x86emu_nested *table, uint64_t la, unsigned access,
                                              const struct x86emu_walk_memory *memory);

/* --- accessed and dirty pages ------------------------------------------------------------------------------------- */

enum x86emu_nested_bits {
    X86EMU_NESTED_ACCESSED = 1,
    X86EMU_NESTED_DIRTY = 2,
};

/* What x86emu_nested_touch() found or did. */
struct x86emu_nested_touched {
    uint64_t gpa; /* of the page, aligned to its size */
    uint64_t hpa; /* for the gpa asked about, low bits included */
    uint8_t page_shift;
    bool newly_dirty; /* the page was clean or write-protected before: time to log it */
};

/*
 * Answers an access that faulted, or that somebody makes in the guest's place: sets the accessed bit, for a write the
 * dirty bit too, and lifts a write protection that only served dirty logging. OK: the guest may be resumed; also when
 * there was nothing to do. ABSENT, DENIED, RETRY: nothing done. access: enum x86emu_access and
 * X86EMU_RIGHT_USER_EXECUTE.
 */
enum x86emu_nested_status x86emu_nested_touch(struct x86emu_nested *table, uint64_t gpa, unsigned access,
                                              struct x86emu_nested_touched *touched);

enum x86emu_harvest {
    X86EMU_HARVEST_ACCESSED = 1, /* report accessed pages */
    X86EMU_HARVEST_DIRTY = 2,    /* report dirty pages */
    X86EMU_HARVEST_CLEAR = 4,    /* clear what is reported */
    X86EMU_HARVEST_PROTECT = 8,  /* write-protect what is writable and not dirty (any more): the next write faults */
    X86EMU_HARVEST_RELEASE = 16, /* the opposite: writes fault no more for the sake of logging */
};

/*
 * Goes over [gpa, gpa + size); report may be NULL. A superpage counts as a whole, also where it reaches beyond the
 * range. A bit that a processor sets meanwhile is reported now or stays for next time. After CLEAR a processor may
 * write without setting the dirty bit until it has seen the new generation: look at the pages after that.
 */
enum x86emu_nested_status x86emu_nested_harvest(struct x86emu_nested *table, uint64_t gpa, uint64_t size,
                                                unsigned harvest, x86emu_nested_report *report, void *opaque);

/* --- invalidation and holds --------------------------------------------------------------------------------------- */

/*
 * For each vCPU before it enters the guest: true when the tables changed since the generation that it keeps in *seen,
 * which then becomes the current one. It has to invalidate (INVEPT, or a new ASID) then, after this call.
 */
bool x86emu_nested_behind(const struct x86emu_nested *table, uint64_t *seen);

struct x86emu_nested_hold {
    uint64_t gpa, hpa; /* as asked for, and where that is */
    uint32_t slot;
};

/*
 * Holds the page at gpa while it is accessed from outside of the guest: until it is released, unmapping it or changing
 * its rights answers HELD. Marks it accessed, for a write dirty too. ABSENT, DENIED; NO_MEMORY: no hold is free; RETRY:
 * it is being taken away, or the table is changing here.
 */
enum x86emu_nested_status x86emu_nested_hold(struct x86emu_nested *table, uint64_t gpa, unsigned access,
                                             struct x86emu_nested_hold *hold);
void x86emu_nested_release(struct x86emu_nested *table, const struct x86emu_nested_hold *hold);

#ifdef __cplusplus
}
#endif

#endif
