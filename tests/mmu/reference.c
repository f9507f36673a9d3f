/* SPDX-License-Identifier: BSD-2-Clause */
/* How the manuals describe page walks: tables of formats, reserved bits as ranges, rights case by case. */
#include "reference.h"

#include <string.h>

uint64_t random_bits(void)
{
    static uint64_t seed = 1;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

bool one_in(unsigned n)
{
    return random_bits() % n == 0;
}

/* --- the guest's tables: SDM Vol. 3, tables 4-4 to 4-20 ------------------------------------------------------------- */

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
    /* APM Vol. 2, 5.3: PML4E, PML5E. */
    if (p->amd && format->index_low >= 39 && bit(entry, 8))
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

unsigned reference_entry_size(const struct x86emu_paging *p)
{
    return mode_of(p)->entry_size;
}

unsigned reference_levels(const struct x86emu_paging *p)
{
    return mode_of(p)->levels;
}

/* Sets bits in the first byte of an entry. False: the write faulted. */
static bool set_bits(reference_memory *memory, void *opaque, uint64_t at, unsigned size, uint8_t bits)
{
    uint8_t *bytes = memory(opaque, at, size, false);

    if (bytes == NULL)
        return false;
    if ((*bytes & bits) == bits)
        return true;
    bytes = memory(opaque, at, size, true);
    if (bytes != NULL)
        *bytes |= bits;
    return bytes != NULL;
}

struct outcome reference_walk(const struct x86emu_paging *p, uint64_t la, unsigned access, reference_memory *memory,
                              void *opaque)
{
    const struct mode *mode = mode_of(p);
    uint64_t at[5], entries[5], table = mode == &pae ? p->cr3 & 0xffffffe0 : p->cr3 & ~UINT64_C(0xfff);
    struct outcome outcome = {.kind = FAULTS, .user = true, .writable = true};
    bool large = false;
    unsigned i, last;

    table &= (UINT64_C(1) << 52) - 1;
    if (mode == &bits_32)
        table &= 0xffffffff;
    else
        table &= (UINT64_C(1) << p->maxphyaddr) - 1;
    for (i = 0; !large; i++) {
        const struct format *format = &mode->formats[i];
        uint64_t index = field(la, format->index_high, format->index_low);
        const uint8_t *bytes;

        at[i] = table + index * mode->entry_size;
        entries[i] = 0;
        if (format->bare && p->pdpte_loaded) {
            entries[i] = p->pdpte[index];
        } else {
            bytes = memory(opaque, at[i], mode->entry_size, false);
            if (bytes == NULL) {
                outcome.kind = LEAVES_MEMORY;
                return outcome;
            }
            memcpy(&entries[i], bytes, mode->entry_size);
        }
        outcome.fault = fault_code(p, access, bit(entries[i], 0), bit(entries[i], 0), false);
        if (!bit(entries[i], 0) || has_reserved(p, mode, format, entries[i]))
            return outcome;
        large = is_large(p, mode, format, entries[i]);
        outcome.shift = format->large_shift;
        table = field(entries[i], mode == &bits_32 ? 31 : 51, 12) << 12;
        if (format->bare)
            continue;
        outcome.user &= bit(entries[i], 2);
        outcome.writable &= bit(entries[i], 1);
        outcome.execute_disable |= bit(entries[i], 63);
    }
    last = i - 1;
    outcome.address = table >> outcome.shift << outcome.shift;
    if (mode == &bits_32 && outcome.shift == 22)
        outcome.address |= field(entries[last], 20, 13) << 32;
    outcome.address |= field(la, outcome.shift - 1, 0);
    outcome.pat =
        bit(entries[last], 3) + 2 * bit(entries[last], 4) + 4 * bit(entries[last], outcome.shift == 12 ? 7 : 12);
    outcome.key = mode == &bits_32 ? 0 : (unsigned)field(entries[last], 62, 59);
    outcome.fault = fault_code(p, access, true, false, key_forbids(p, access, outcome.user, outcome.key));
    if (bit(outcome.fault, 5) || rights_forbid(p, access, outcome.user, outcome.writable, outcome.execute_disable))
        return outcome;
    outcome.kind = GOES_THROUGH;
    outcome.dirty = bit(entries[last], 6);
    for (i = 0; i <= last && !(access & X86EMU_WALK_PROBE); i++) {
        bool dirties = i == last && (access & X86EMU_ACCESS_WRITE) && !(access & X86EMU_WALK_NO_DIRTY);

        if (mode->formats[i].bare)
            continue;
        if (!set_bits(memory, opaque, at[i], mode->entry_size, dirties ? 0x60 : 0x20)) {
            outcome.kind = LEAVES_MEMORY;
            return outcome;
        }
        outcome.dirty |= dirties;
        /* An entry that is used twice on the way is dirty as a leaf however it became so. */
        for (unsigned j = 0; j < i; j++)
            if (at[j] == at[last])
                outcome.dirty |= i == last && dirties;
    }
    return outcome;
}

/* --- nested tables ------------------------------------------------------------------------------------------------- */

/* SDM Vol. 3, 29.3.2 and 29.3.3.1. */
static bool ept_is_present(const struct x86emu_nested_format *f, uint64_t entry)
{
    return any_set(entry, 2, 0) || (f->mode_based_execute && bit(entry, 10));
}

static bool ept_is_wrong(const struct x86emu_nested_format *f, uint64_t entry, unsigned level, bool leaf)
{
    uint64_t type = field(entry, 5, 3);

    if (any_set(entry, 51, f->maxphyaddr))
        return true;
    if (level == 5 || level == 4)
        if (any_set(entry, 7, 3))
            return true;
    if ((level == 3 || level == 2) && !leaf && any_set(entry, 6, 3))
        return true;
    if (level == 3 && leaf && (!f->page_1g || any_set(entry, 29, 12)))
        return true;
    if (level == 2 && leaf && (!f->page_2m || any_set(entry, 20, 12)))
        return true;
    if (!bit(entry, 0) && bit(entry, 1))
        return true;
    if (!bit(entry, 0) && !f->execute_only && (bit(entry, 2) || (f->mode_based_execute && bit(entry, 10))))
        return true;
    return leaf && (type == 2 || type == 3 || type == 7);
}

/* APM Vol. 2, 5.3 and 15.25. */
static bool npt_is_wrong(const struct x86emu_nested_format *f, uint64_t entry, unsigned level, bool leaf)
{
    if (any_set(entry, 51, f->maxphyaddr) || (bit(entry, 63) && !f->execute_disable))
        return true;
    if (level >= 4 && any_set(entry, 8, 7))
        return true;
    if (level == 3 && leaf && (!f->page_1g || any_set(entry, 29, 13)))
        return true;
    return level == 2 && leaf && (!f->page_2m || any_set(entry, 20, 13));
}

static uint64_t ept_fault(unsigned access, bool write, unsigned rights)
{
    uint64_t bits = (access & 1) + (write ? 2 : 0) + (access & 4) + (rights & 7) * 8 + (rights & 8) * 8;

    if (access & X86EMU_NESTED_NO_LINEAR)
        return bits;
    return bits + 128 + (access & X86EMU_NESTED_TABLE ? 0 : 256);
}

static uint64_t npt_fault(const struct x86emu_nested_format *f, unsigned access, bool write, bool present,
                          bool reserved)
{
    uint64_t bits = 4;

    if (present)
        bits += 1;
    if (write)
        bits += 2;
    if (reserved)
        bits += 8;
    if (access & X86EMU_ACCESS_EXECUTE && f->execute_disable)
        bits += 16;
    return bits + (access & X86EMU_NESTED_TABLE ? UINT64_C(1) << 33 : UINT64_C(1) << 32);
}

static bool nested_forbids(const struct x86emu_nested_format *f, unsigned access, bool write, unsigned rights)
{
    if (f->type == X86EMU_NESTED_NPT && !(rights & 1))
        return true;
    if (access & X86EMU_ACCESS_READ && !(rights & 1))
        return true;
    if (write && !(rights & 2))
        return true;
    if (!(access & X86EMU_ACCESS_EXECUTE))
        return false;
    if (f->type == X86EMU_NESTED_EPT && f->mode_based_execute && access & X86EMU_NESTED_USER)
        return !(rights & 8);
    return !(rights & 4);
}

struct outcome reference_nested_walk(const struct x86emu_nested_format *f, uint64_t pointer, uint64_t gpa,
                                     unsigned access, reference_memory *memory, void *opaque)
{
    bool ept = f->type == X86EMU_NESTED_EPT, flags = !ept || f->accessed_dirty, leaf = false;
    bool write =
        access & X86EMU_ACCESS_WRITE || (access & X86EMU_NESTED_TABLE && !(access & X86EMU_NESTED_NO_LINEAR) && flags);
    struct outcome outcome = {.kind = FAULTS, .rights = 15};
    uint64_t table = field(pointer, (unsigned)f->maxphyaddr - 1, 12) << 12, entry = 0;
    uint64_t *on_the_way[6] = {NULL};
    unsigned level;

    outcome.fault = ept ? ept_fault(access, write, 0) : npt_fault(f, access, write, false, false);
    if (f->levels == 4 ? any_set(gpa, 63, 48) : any_set(gpa, 63, 52))
        return outcome;
    for (level = f->levels; !leaf; level--) {
        uint8_t *bytes = memory(opaque, table + 8 * field(gpa, 11 + 9 * level, 3 + 9 * level), 8, false);

        if (bytes == NULL) {
            outcome.kind = LEAVES_MEMORY;
            return outcome;
        }
        on_the_way[level] = (uint64_t *)(void *)bytes;
        entry = *on_the_way[level];
        leaf = level == 1 || (level <= 3 && bit(entry, 7));
        outcome.shift = 3 + 9 * level;
        if (ept ? !ept_is_present(f, entry) : !bit(entry, 0))
            return outcome;
        if (ept && ept_is_wrong(f, entry, level, leaf)) {
            outcome.kind = MISCONFIGURED;
            return outcome;
        }
        if (!ept && npt_is_wrong(f, entry, level, leaf)) {
            outcome.fault = npt_fault(f, access, write, true, true);
            return outcome;
        }
        if (ept)
            outcome.rights &= (unsigned)field(entry, 2, 0) + (f->mode_based_execute && bit(entry, 10) ? 8u : 0u);
        else
            outcome.rights &= !bit(entry, 2) ? 0u : 1u + 2u * bit(entry, 1) + 4u * !bit(entry, 63);
        table = field(entry, 51, 12) << 12;
    }
    outcome.fault = ept ? ept_fault(access, write, outcome.rights) : npt_fault(f, access, write, true, false);
    if (nested_forbids(f, access, write, outcome.rights))
        return outcome;
    outcome.kind = GOES_THROUGH;
    outcome.address = (table >> outcome.shift << outcome.shift) + field(gpa, outcome.shift - 1, 0);
    outcome.ignore_pat = ept && bit(entry, 6);
    if (ept) {
        outcome.memory_type = (unsigned)field(entry, 5, 3);
    } else {
        static const uint8_t after_reset[8] = {6, 4, 7, 0, 6, 4, 7, 0};

        outcome.memory_type =
            after_reset[bit(entry, 3) + 2 * bit(entry, 4) + 4 * bit(entry, outcome.shift == 12 ? 7 : 12)];
    }
    for (unsigned i = f->levels; i > level && flags && !(access & X86EMU_NESTED_PROBE); i--)
        *on_the_way[i] |= ept ? 0x100 : 0x20;
    if (flags && write && !(access & X86EMU_NESTED_PROBE))
        *on_the_way[level + 1] |= ept ? 0x200 : 0x40;
    outcome.dirty = bit(*on_the_way[level + 1], ept ? 9 : 6);
    return outcome;
}
