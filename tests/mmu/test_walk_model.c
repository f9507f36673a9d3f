/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest page walk against a naive reference, written from the SDM's tables of entry formats, on random tables. */
#include <criterion/criterion.h>
#include <string.h>
#include <x86emu/paging.h>

enum {
    PAGES = 16,
    ROUNDS = 4000,
    WALKS = 64, /* in one set of tables */
};

static uint8_t memory[PAGES * 0x1000], before[PAGES * 0x1000], expected[PAGES * 0x1000];
static uint64_t seed = 1;

static uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static bool one_in(unsigned n)
{
    return random_bits() % n == 0;
}

/* --- the reference ------------------------------------------------------------------------------------------------- */

/* What a walk comes to. */
struct outcome {
    enum {
        GOES_THROUGH,
        FAULTS,
        LEAVES_MEMORY,
    } kind;
    uint64_t gpa;
    unsigned shift, error_code, pat, key;
    bool dirty;
};

/* A kind of paging-structure entry: one of the SDM's tables 4-4 to 4-20. */
struct format {
    unsigned index_high, index_low; /* the bits of the linear address that select it */
    unsigned large_shift;           /* of the page it maps if PS is set; 0: it can't */
    bool ps_reserved;               /* PS must be 0 */
    bool bare;                      /* a PDPTE of PAE paging */
};

struct mode {
    unsigned entry_size, levels;
    struct format formats[5]; /* from the top */
};

static const struct mode bits_32 = {4, 2, {{31, 22, 22, false, false}, {21, 12, 12, false, false}}};
static const struct mode pae = {
    8, 3, {{31, 30, 0, false, true}, {29, 21, 21, false, false}, {20, 12, 12, false, false}}};
static const struct mode level_4 = {
    8,
    4,
    {{47, 39, 0, true, false}, {38, 30, 30, false, false}, {29, 21, 21, false, false}, {20, 12, 12, false, false}}};
static const struct mode level_5 = {8,
                                    5,
                                    {{56, 48, 0, true, false},
                                     {47, 39, 0, true, false},
                                     {38, 30, 30, false, false},
                                     {29, 21, 21, false, false},
                                     {20, 12, 12, false, false}}};

static bool bit(uint64_t value, unsigned number)
{
    return value >> number & 1;
}

static uint64_t field(uint64_t value, unsigned high, unsigned low)
{
    uint64_t result = 0;

    for (unsigned i = low; i <= high; i++)
        result |= (uint64_t)bit(value, i) << (i - low);
    return result;
}

static bool any_set(uint64_t value, int high, int low)
{
    for (int i = low; i <= high; i++)
        if (bit(value, (unsigned)i))
            return true;
    return false;
}

static const struct mode *mode_of(const struct x86emu_paging *p)
{
    if (!(p->cr4 & X86EMU_CR4_PAE))
        return &bits_32;
    if (!(p->efer & X86EMU_EFER_LMA))
        return &pae;
    return p->cr4 & X86EMU_CR4_LA57 ? &level_5 : &level_4;
}

static bool is_large(const struct x86emu_paging *p, const struct mode *mode, const struct format *format,
                     uint64_t entry)
{
    if (format->large_shift == 12)
        return true;
    if (format->large_shift == 0 || !bit(entry, 7))
        return false;
    return mode != &bits_32 || p->cr4 & X86EMU_CR4_PSE;
}

static bool has_reserved(const struct x86emu_paging *p, const struct mode *mode, const struct format *format,
                         uint64_t entry)
{
    int width = p->maxphyaddr;
    bool large = is_large(p, mode, format, entry);

    if (mode == &bits_32) {
        if (format->large_shift != 22 || !large)
            return false;
        return bit(entry, 21) || (width < 40 && any_set(entry, 20, width - 19));
    }
    if (any_set(entry, 51, width))
        return true;
    if (format->bare)
        return any_set(entry, 2, 1) || any_set(entry, 8, 5) || any_set(entry, 63, 52);
    if (bit(entry, 63) && !(p->efer & X86EMU_EFER_NXE))
        return true;
    if (mode == &pae && any_set(entry, 62, 52))
        return true;
    if (format->ps_reserved && bit(entry, 7))
        return true;
    if (format->large_shift == 30 && bit(entry, 7) && !p->page1gb)
        return true;
    return large && format->large_shift > 12 && any_set(entry, (int)format->large_shift - 1, 13);
}

static unsigned fault_code(const struct x86emu_paging *p, unsigned access, bool present, bool reserved, bool key)
{
    bool nx = (p->cr4 & X86EMU_CR4_PAE) && (p->efer & X86EMU_EFER_NXE);
    unsigned code = 0;

    if (present)
        code += 1;
    if (access & X86EMU_ACCESS_WRITE)
        code += 2;
    if (access & X86EMU_WALK_USER)
        code += 4;
    if (reserved)
        code += 8;
    if ((access & X86EMU_ACCESS_EXECUTE) && (nx || (p->cr4 & X86EMU_CR4_SMEP)))
        code += 16;
    if (key)
        code += 32;
    return code;
}

/* SDM Vol. 3, 4.6.1, case by case. */
static bool rights_forbid(const struct x86emu_paging *p, unsigned access, bool user_page, bool write_page, bool xd_page)
{
    bool wp = p->cr0 & X86EMU_CR0_WP, smap = p->cr4 & X86EMU_CR4_SMAP;
    bool ac = (p->rflags & X86EMU_RFLAGS_AC) && !(access & X86EMU_WALK_IMPLICIT);

    if (access & X86EMU_WALK_USER) {
        if (!user_page)
            return true;
        if (access & X86EMU_ACCESS_EXECUTE)
            return xd_page;
        return access & X86EMU_ACCESS_WRITE ? !write_page : false;
    }
    if (access & X86EMU_ACCESS_EXECUTE)
        return xd_page || (user_page && (p->cr4 & X86EMU_CR4_SMEP));
    if (user_page && smap && !ac)
        return true;
    return (access & X86EMU_ACCESS_WRITE) && wp && !write_page;
}

static bool key_forbids(const struct x86emu_paging *p, unsigned access, bool user_page, unsigned key)
{
    uint32_t rights = user_page ? p->pkru : p->pkrs;

    if (!(p->efer & X86EMU_EFER_LMA) || access & X86EMU_ACCESS_EXECUTE)
        return false;
    if (!(p->cr4 & (user_page ? X86EMU_CR4_PKE : X86EMU_CR4_PKS)))
        return false;
    if (bit(rights, 2 * key))
        return true;
    return bit(rights, 2 * key + 1) && (access & X86EMU_ACCESS_WRITE) &&
           (access & X86EMU_WALK_USER || p->cr0 & X86EMU_CR0_WP);
}

/* Works on the bytes of expected, and sets the bits that a walk that goes through sets. */
static struct outcome reference(const struct x86emu_paging *p, uint64_t la, unsigned access)
{
    const struct mode *mode = mode_of(p);
    uint64_t at[5], entries[5], table = mode == &pae ? p->cr3 & 0xffffffe0 : p->cr3 & ~UINT64_C(0xfff);
    bool user_page = true, write_page = true, xd_page = false, large = false;
    struct outcome outcome = {FAULTS, 0, 0, 0, 0, 0, false};
    unsigned i, last;

    for (i = 0; !large; i++) {
        const struct format *format = &mode->formats[i];
        uint64_t index = field(la, format->index_high, format->index_low);

        at[i] = table + index * mode->entry_size;
        entries[i] = 0;
        if (format->bare && p->pdpte_loaded) {
            entries[i] = p->pdpte[index];
        } else {
            if (at[i] + mode->entry_size > sizeof(expected)) {
                outcome.kind = LEAVES_MEMORY;
                return outcome;
            }
            memcpy(&entries[i], expected + at[i], mode->entry_size);
        }
        outcome.error_code = fault_code(p, access, bit(entries[i], 0), bit(entries[i], 0), false);
        if (!bit(entries[i], 0) || has_reserved(p, mode, format, entries[i]))
            return outcome;
        large = is_large(p, mode, format, entries[i]);
        outcome.shift = format->large_shift;
        table = field(entries[i], mode == &bits_32 ? 31 : 51, 12) << 12;
        if (format->bare)
            continue;
        user_page &= bit(entries[i], 2);
        write_page &= bit(entries[i], 1);
        xd_page |= bit(entries[i], 63);
    }
    last = i - 1;
    outcome.gpa = table >> outcome.shift << outcome.shift;
    if (mode == &bits_32 && outcome.shift == 22)
        outcome.gpa |= field(entries[last], 20, 13) << 32;
    outcome.gpa |= field(la, outcome.shift - 1, 0);
    outcome.pat =
        bit(entries[last], 3) + 2 * bit(entries[last], 4) + 4 * bit(entries[last], outcome.shift == 12 ? 7 : 12);
    outcome.key = mode == &bits_32 ? 0 : (unsigned)field(entries[last], 62, 59);
    outcome.error_code = fault_code(p, access, true, false, key_forbids(p, access, user_page, outcome.key));
    if (bit(outcome.error_code, 5) || rights_forbid(p, access, user_page, write_page, xd_page))
        return outcome;
    outcome.kind = GOES_THROUGH;
    for (i = 0; i <= last && !(access & X86EMU_WALK_PROBE); i++) {
        if (mode->formats[i].bare)
            continue;
        expected[at[i]] |= 0x20;
        if (i == last && (access & X86EMU_ACCESS_WRITE) && !(access & X86EMU_WALK_NO_DIRTY))
            expected[at[i]] |= 0x40;
    }
    outcome.dirty = bit(entries[last], 6) ||
                    (!mode->formats[last].bare && at[last] < sizeof(expected) && bit(expected[at[last]], 6));
    return outcome;
}

/* --- random questions ---------------------------------------------------------------------------------------------- */

static bool read_memory(void *opaque, uint64_t gpa, unsigned size, uint64_t *value)
{
    (void)opaque;
    *value = 0;
    if (gpa > sizeof(memory) - size)
        return false;
    memcpy(value, memory + gpa, size);
    return true;
}

static bool exchange_memory(void *opaque, uint64_t gpa, unsigned size, uint64_t old_value, uint64_t new_value,
                            bool *exchanged)
{
    uint64_t now;

    if (!read_memory(opaque, gpa, size, &now))
        return false;
    *exchanged = now == old_value && !one_in(4); /* every fourth is lost for no reason */
    if (*exchanged)
        memcpy(memory + gpa, &new_value, size);
    return true;
}

static uint64_t random_entry(unsigned size)
{
    uint64_t entry = random_bits() % PAGES << 12 | 0x27;

    if (one_in(3))
        entry |= 0x80; /* a large page, whose address has to be aligned most of the time */
    if (entry & 0x80 && !one_in(8))
        entry &= ~UINT64_C(0x1fffe000);
    if (entry & 0x80 && size == 4 && one_in(2))
        entry |= (random_bits() & 0xff) << 13;
    for (unsigned changes = 0; changes < 3; changes++)
        if (one_in(4))
            entry ^= UINT64_C(1) << random_bits() % 13;
    if (one_in(6))
        entry ^= UINT64_C(1) << random_bits() % (8 * size);
    if (one_in(6) && size == 8)
        entry |= UINT64_C(1) << 63;
    if (one_in(4) && size == 8)
        entry |= random_bits() % 16 << 59;
    return entry;
}

static void fill_tables(unsigned size)
{
    for (size_t at = 0; at < sizeof(memory); at += size) {
        uint64_t entry = random_entry(size);

        memcpy(memory + at, &entry, size);
    }
}

static struct x86emu_paging random_paging(void)
{
    static const uint64_t cr4_bits[] = {X86EMU_CR4_PSE, X86EMU_CR4_SMEP, X86EMU_CR4_SMAP, X86EMU_CR4_PKE,
                                        X86EMU_CR4_PKS, X86EMU_CR4_PAE,  X86EMU_CR4_PAE,  X86EMU_CR4_LA57};
    struct x86emu_paging p = {.cr0 = X86EMU_CR0_PE | X86EMU_CR0_PG, .cr3 = random_bits() % PAGES << 12};

    for (unsigned i = 0; i < sizeof(cr4_bits) / sizeof(cr4_bits[0]); i++)
        p.cr4 |= one_in(2) ? cr4_bits[i] : 0;
    p.efer = (one_in(4) ? 0 : X86EMU_EFER_NXE) | (p.cr4 & X86EMU_CR4_PAE && !one_in(3) ? X86EMU_EFER_LMA : 0);
    p.cr0 |= one_in(2) ? X86EMU_CR0_WP : 0;
    p.rflags = one_in(2) ? X86EMU_RFLAGS_AC : 0;
    p.pkru = (uint32_t)(random_bits() & random_bits());
    p.pkrs = (uint32_t)(random_bits() & random_bits());
    p.maxphyaddr = (uint8_t)(32 + random_bits() % 21);
    p.page1gb = one_in(2);
    p.pdpte_loaded = one_in(2);
    for (unsigned i = 0; i < 4; i++)
        p.pdpte[i] =
            random_entry(8) & ~UINT64_C(0xf0000000000001e6); /* reserved bits are refused when they're loaded */
    return p;
}

static void one_walk(const struct x86emu_paging *p)
{
    static const unsigned kinds[] = {X86EMU_ACCESS_READ, X86EMU_ACCESS_WRITE, X86EMU_ACCESS_EXECUTE,
                                     X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE};
    unsigned access = kinds[random_bits() % 4] | (unsigned)(random_bits() & X86EMU_WALK_NO_DIRTY) |
                      (one_in(2) ? X86EMU_WALK_USER : 0) | (one_in(8) ? X86EMU_WALK_PROBE : 0);
    static const struct x86emu_walk_memory accessors = {read_memory, exchange_memory, NULL};
    uint64_t la = mode_of(p)->levels < 4 ? random_bits() & 0xffffffff : random_bits();
    struct outcome outcome;
    struct x86emu_walk walk;

    if (!(access & X86EMU_WALK_USER) && one_in(4))
        access |= X86EMU_WALK_IMPLICIT;
    memcpy(expected, memory, sizeof(memory));
    outcome = reference(p, la, access);
    memset(&walk, 0x5a, sizeof(walk));
    x86emu_walk_begin(&walk, p, la, access);
    x86emu_walk_run(&walk, &accessors);
    cr_assert_eq(walk.status,
                 outcome.kind == FAULTS         ? X86EMU_WALK_FAULT
                 : outcome.kind == GOES_THROUGH ? X86EMU_WALK_DONE
                                                : X86EMU_WALK_READ,
                 "la %llx access %x cr4 %llx: status %u instead of kind %d", (unsigned long long)la, access,
                 (unsigned long long)p->cr4, walk.status, outcome.kind);
    cr_assert(memcmp(memory, expected, sizeof(memory)) == 0, "other bits were set");
    if (outcome.kind == FAULTS)
        cr_assert_eq(walk.error_code, outcome.error_code, "%x instead of %x", walk.error_code, outcome.error_code);
    if (outcome.kind != GOES_THROUGH)
        return;
    cr_assert_eq(walk.gpa, outcome.gpa, "%llx instead of %llx", (unsigned long long)walk.gpa,
                 (unsigned long long)outcome.gpa);
    cr_assert_eq(walk.page_shift, outcome.shift);
    cr_assert_eq(walk.pat_index, outcome.pat);
    cr_assert_eq(walk.protection_key, outcome.key);
    cr_assert_eq(walk.dirty, outcome.dirty);
}

Test(walk_model, F15_C18_random_tables)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct x86emu_paging p = random_paging();

        fill_tables(mode_of(&p)->entry_size);
        memcpy(before, memory, sizeof(memory));
        for (unsigned i = 0; i < WALKS; i++) {
            one_walk(&p);
            if (one_in(8))
                memcpy(memory, before, sizeof(memory));
        }
    }
}
