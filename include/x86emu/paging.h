/* SPDX-License-Identifier: BSD-2-Clause */
/* The walk through a guest's own page tables (SDM Vol. 3, chapter 4). Usable without the emulator. */
#ifndef X86EMU_PAGING_H
#define X86EMU_PAGING_H

#include <x86emu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The register state that decides how linear addresses are translated. */
struct x86emu_paging {
    uint64_t cr0, cr3, cr4, efer;
    uint64_t pdpte[4];   /* PAE paging: the PDPTE registers, used when pdpte_loaded */
    uint64_t rflags;     /* AC, for SMAP */
    uint32_t pkru, pkrs; /* used when CR4.PKE, CR4.PKS */
    uint8_t maxphyaddr;  /* physical-address width, 32 to 52; others count as the nearest of these */
    bool pdpte_loaded;   /* false: PDPTEs are read from memory at CR3 like any other entry */
    bool amd;            /* bit 8 of PML4Es and PML5Es is reserved (APM Vol. 2, 5.3) */
    bool page1gb;        /* CPUID.80000001H:EDX.Page1GB: otherwise PS in a PDPTE is reserved */
};

/* How an address is accessed, or-ed to enum x86emu_access. */
enum x86emu_walk_access {
    X86EMU_WALK_USER = 1 << 4,     /* CPL 3, and not an implicit supervisor access */
    X86EMU_WALK_IMPLICIT = 1 << 5, /* supervisor access that ignores EFLAGS.AC: GDT, LDT, IDT, TSS, at CPL 3 too */
    X86EMU_WALK_PROBE = 1 << 6,    /* neither accessed nor dirty bits are set */
    X86EMU_WALK_NO_DIRTY = 1 << 7, /* accessed bits are set, the dirty bit is not (a later walk sets it) */
};

enum x86emu_walk_status {
    X86EMU_WALK_DONE = 0,   /* gpa, page_shift, … are valid */
    X86EMU_WALK_READ = 1,   /* read entry_size bytes at entry_gpa, then x86emu_walk_entry() */
    X86EMU_WALK_UPDATE = 2, /* compare-exchange entry_old -> entry_new at entry_gpa, then x86emu_walk_updated() */
    X86EMU_WALK_FAULT = 3,  /* #PF with error_code, CR2 = la */
    X86EMU_WALK_MISUSE = 4, /* an answer without a question; nothing changed */
    /* Only of walks in nested.h: */
    X86EMU_WALK_MISCONFIGURED = 5, /* an EPT entry that the processor refuses */
    X86EMU_WALK_NESTED_FAULT = 6,  /* not the guest's own fault */
};

/* One walk. Plain data: it can be copied and resumed elsewhere at any point. */
struct x86emu_walk {
    struct x86emu_paging paging;
    uint64_t la;
    uint16_t access; /* enum x86emu_access with enum x86emu_walk_access */

    /* WALK_READ, WALK_UPDATE: the question. */
    uint64_t entry_gpa;
    uint64_t entry_old, entry_new;
    uint8_t entry_size; /* 4 or 8 bytes */

    /* WALK_DONE: the answer. */
    uint64_t gpa;                    /* low bits of la included */
    uint8_t page_shift;              /* 12, 21, 22 or 30; 0 when paging is off */
    bool dirty;                      /* the leaf's dirty bit is set (true with paging off) */
    bool writable, user, executable; /* what the entries together allow, before SMEP, SMAP, WP, keys */
    uint8_t pat_index;               /* PAT, PCD, PWT of the leaf: 0 to 7 */
    uint8_t protection_key;

    /* WALK_FAULT: the answer. */
    uint16_t error_code; /* SDM Vol. 3, 4.7 */

    uint8_t status; /* enum x86emu_walk_status */
    /* The rest belongs to the walker. */
    uint8_t level;
    uint64_t entries[6]; /* entry read at each level */
    uint64_t entry_gpas[6];
};

/* Prepares a walk and answers its first status. */
enum x86emu_walk_status x86emu_walk_begin(struct x86emu_walk *walk, const struct x86emu_paging *paging, uint64_t la,
                                          unsigned access);
/* Answers X86EMU_WALK_READ with the entry's value. */
enum x86emu_walk_status x86emu_walk_entry(struct x86emu_walk *walk, uint64_t value);
/* Answers X86EMU_WALK_UPDATE: whether the exchange happened. If not, the walk starts again. */
enum x86emu_walk_status x86emu_walk_updated(struct x86emu_walk *walk, bool exchanged);

/* The memory that page tables are read from, for x86emu_walk_run(). Each answers false for "no such memory". */
struct x86emu_walk_memory {
    bool (*read)(void *opaque, uint64_t gpa, unsigned size, uint64_t *value);
    /* *exchanged tells whether the old value was still there. */
    bool (*compare_exchange)(void *opaque, uint64_t gpa, unsigned size, uint64_t old_value, uint64_t new_value,
                             bool *exchanged);
    void *opaque;
};

/*
 * Runs a walk to its end. DONE or FAULT; READ or UPDATE when memory answered false (the table lies in no RAM;
 * entry_gpa tells where; calling again tries again). UPDATE also when the exchange was lost 64 times.
 */
enum x86emu_walk_status x86emu_walk_run(struct x86emu_walk *walk, const struct x86emu_walk_memory *memory);

/*
 * Linear-address space separation (CR4.LASS; SDM Vol. 3, 4.5): whether the access breaks it. #GP, or #SS for an access
 * through SS, before any walk. access as for x86emu_walk_begin(). For 64-bit mode, and for what long mode reads itself
 * (descriptor tables, TSS).
 */
bool x86emu_breaks_separation(const struct x86emu_paging *paging, uint64_t la, unsigned access);

/*
 * Linear-address masking (CR3.LAM_U48, CR3.LAM_U57, CR4.LAM_SUP; SDM Vol. 3, 4.4): the pointer of a data access in
 * 64-bit mode with its metadata bits replaced by copies of the address's highest bit. Unchanged when nothing is masked.
 * The result is not canonical where the processor would raise #GP. Not for fetches, nor for addresses that registers
 * such as CR2 or the debug registers hold.
 */
uint64_t x86emu_untag(const struct x86emu_paging *paging, uint64_t la);

/* True when la is canonical for the linear-address width that cr4 selects (48 or 57 bits; SDM Vol. 1, 3.3.7.1). */
bool x86emu_is_canonical(uint64_t la, uint64_t cr4);

#ifdef __cplusplus
}
#endif

#endif
