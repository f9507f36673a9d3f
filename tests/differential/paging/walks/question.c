/* SPDX-License-Identifier: BSD-2-Clause */
/* Random questions: tables in which all is right, with a few bits changed; random modes, rights and addresses. */
#include "walks.h"

uint64_t random_state;

uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

bool one_in(unsigned n)
{
    return random_bits() % n == 0;
}

static uint64_t *table(unsigned page)
{
    return (uint64_t *)(uintptr_t)page_address(page);
}

static uint32_t *table32(unsigned page)
{
    return (uint32_t *)(uintptr_t)page_address(page);
}

static void fill(unsigned page, uint64_t entry)
{
    for (unsigned i = 0; i < 512; i++)
        table(page)[i] = entry;
}

/* --- nested tables ------------------------------------------------------------------------------------------------- */

/* All rights; leaves are write-back. */
static uint64_t nested_entry(const struct x86emu_nested_format *f, uint64_t address, bool leaf)
{
    if (f->type == X86EMU_NESTED_NPT)
        return address | 7;
    return address | 7 | (f->mode_based_execute ? 0x400 : 0) | (leaf ? 6 << 3 : 0);
}

static uint64_t fill_nested(const struct x86emu_nested_format *f)
{
    for (unsigned page = PAGE_N5; page <= PAGE_FIXED1; page++)
        fill(page, 0);
    table(PAGE_N5)[0] = nested_entry(f, page_address(PAGE_N4), false);
    table(PAGE_N4)[0] = nested_entry(f, page_address(PAGE_N3), false);
    table(PAGE_N3)[0] = nested_entry(f, page_address(PAGE_N2), false);
    if (f->page_1g && one_in(6))
        table(PAGE_N3)[0] = nested_entry(f, 0, true) | 0x80;
    table(PAGE_N2)[POOL >> 21] = nested_entry(f, page_address(PAGE_N1), false);
    if (one_in(6))
        table(PAGE_N2)[POOL >> 21] = nested_entry(f, POOL, true) | 0x80;
    table(PAGE_N3)[SECOND >> 30] = nested_entry(f, page_address(PAGE_FIXED2), false);
    table(PAGE_FIXED2)[0] = nested_entry(f, page_address(PAGE_FIXED1), false);
    for (unsigned i = 0; i < PAGES; i++)
        table(PAGE_N1)[i] = table(PAGE_FIXED1)[i] = nested_entry(f, page_address(i), true);
    if (f->type == X86EMU_NESTED_NPT)
        return page_address(f->levels == 5 ? PAGE_N5 : PAGE_N4);
    return page_address(PAGE_N4) | 6 | 3 << 3 | (f->accessed_dirty ? 1 << 6 : 0);
}

/* --- guest tables -------------------------------------------------------------------------------------------------- */

/* Present, writable, user. */
#define GOOD 7
/* With accessed and dirty set, so that the way to the code needs no updates of the guest's tables. */
#define SETTLED 0x67

static unsigned random_data(void)
{
    return one_in(8) ? (unsigned)(random_bits() % PAGES) : PAGE_DATA + (unsigned)(random_bits() % (PAGES - PAGE_DATA));
}

static void fill_guest(void)
{
    fill(PAGE_G5, page_address(PAGE_G4) | GOOD);
    fill(PAGE_G4, page_address(PAGE_G3) | GOOD);
    fill(PAGE_G3, page_address(PAGE_G2) | GOOD);
    fill(PAGE_G2, page_address(PAGE_G1) | GOOD);
    for (unsigned i = 0; i < 512; i++)
        table(PAGE_G1)[i] = page_address(random_data()) | GOOD;
    fill(PAGE_PDPT, page_address(PAGE_G2) | 1);
    for (unsigned i = 0; i < 1024; i++) {
        table32(PAGE_DIRECTORY32)[i] = (uint32_t)page_address(PAGE_TABLE32) | GOOD;
        table32(PAGE_TABLE32)[i] = (uint32_t)page_address(random_data()) | GOOD;
    }
}

static void fill_way_to_code(void)
{
    for (unsigned page = PAGE_C3; page <= PAGE_C32; page++)
        fill(page, 0);
    table(PAGE_G5)[511] = (SECOND + PAGE_G4 * 4096) | SETTLED;
    table(PAGE_G4)[511] = (SECOND + PAGE_C3 * 4096) | SETTLED;
    table(PAGE_C3)[511] = (SECOND + PAGE_C2 * 4096) | SETTLED;
    table(PAGE_PDPT)[3] = (SECOND + PAGE_C2 * 4096) | 1;
    table(PAGE_C2)[511] = (SECOND + PAGE_C1 * 4096) | SETTLED;
    table32(PAGE_DIRECTORY32)[1023] = (uint32_t)(SECOND + PAGE_C32 * 4096) | SETTLED;
    table(PAGE_C1)[CONTROL_LA >> 12 & 511] = CONTROL_PAGES | (SETTLED & ~4);
    table32(PAGE_C32)[CONTROL_LA >> 12 & 1023] = (uint32_t)CONTROL_PAGES | (SETTLED & ~4);
    /* For the supervisor, then for the user. */
    table(PAGE_C1)[510] = (SECOND + PAGE_CODE * 4096) | (SETTLED & ~4);
    table(PAGE_C1)[511] = (SECOND + PAGE_CODE * 4096) | SETTLED;
    table32(PAGE_C32)[1022] = (uint32_t)(SECOND + PAGE_CODE * 4096) | (SETTLED & ~4);
    table32(PAGE_C32)[1023] = (uint32_t)(SECOND + PAGE_CODE * 4096) | SETTLED;
}

/* Data that tells its address, with the instruction that ends the guest's run every 16 bytes. */
static void fill_data(const uint8_t stop[2])
{
    /* The same in all modes: MOV EAX, [RBX]. MOV [RBX], EAX. LAR EAX, EBX. */
    static const char *const instructions[] = {"\x8b\x03\x90", "\x89\x03\x90", "\x0f\x02\xc3"};

    for (unsigned page = PAGE_CODE; page < PAGES; page++) {
        uint8_t *bytes = (uint8_t *)(uintptr_t)page_address(page);

        for (unsigned i = 0; i < 4096; i++)
            bytes[i] = i % 16 < 2 ? stop[i % 16] : (uint8_t)(page * 29 + i + (i >> 8) * 7);
    }
    for (unsigned i = 0; i < 3; i++) {
        uint8_t *code = (uint8_t *)(uintptr_t)page_address(PAGE_CODE) + i * 8;

        memcpy(code, instructions[i], 3);
        memcpy(code + 3, stop, 2);
    }
}

/* --- what goes wrong ----------------------------------------------------------------------------------------------- */

static unsigned random_bit(unsigned width)
{
    return (unsigned)(one_in(4) ? random_bits() % width : random_bits() % 13);
}

/* Pages instead of tables. The linear addresses asked about fit into them. */
static void make_large(struct question *q)
{
    if (q->mode == GUEST_32 && one_in(3))
        table32(PAGE_DIRECTORY32)[q->la >> 22] = 0x80 | GOOD | (uint32_t)(POOL & ~UINT64_C(0x3fffff));
    if ((q->mode == GUEST_PAE || q->mode == GUEST_64) && one_in(4))
        table(PAGE_G2)[q->la >> 21 & 511] = POOL | 0x80 | GOOD;
    if (q->mode == GUEST_64 && one_in(6))
        table(PAGE_G3)[q->la >> 30 & 511] = 0x80 | GOOD;
}

/* With protection keys: one for the page, whatever its size. With those for supervisors' pages, often such a page. */
static void choose_key(const struct question *q)
{
    uint64_t key = random_bits() % 16 << 59, user = q->paging.cr4 & X86EMU_CR4_PKS && one_in(2) ? 4 : 0;

    if (!(q->paging.cr4 & (X86EMU_CR4_PKE | X86EMU_CR4_PKS)))
        return;
    for (unsigned level = 1; level <= 3; level++) {
        uint64_t *entry = &table(level == 1 ? PAGE_G1 : level == 2 ? PAGE_G2 : PAGE_G3)[q->la >> (3 + 9 * level) & 511];

        *entry = (*entry | key) & ~user;
    }
}

static void spoil_guest(const struct question *q)
{
    unsigned level = 1 + (unsigned)(random_bits() % (q->paging.cr4 & X86EMU_CR4_LA57 ? 5 : 4));
    static const unsigned pages[] = {0, PAGE_G1, PAGE_G2, PAGE_G3, PAGE_G4, PAGE_G5};

    if (q->mode == GUEST_32) {
        uint32_t *entry =
            level <= 2 ? &table32(PAGE_TABLE32)[q->la >> 12 & 1023] : &table32(PAGE_DIRECTORY32)[q->la >> 22];
        *entry ^= UINT32_C(1) << random_bit(32);
        return;
    }
    if (q->mode == GUEST_PAE && level > 2) {
        /* Reserved bits of PDPTEs are refused before there is any walk. */
        table(PAGE_PDPT)[q->la >> 30 & 3] ^= one_in(2) ? 1 : 0x1000;
        return;
    }
    table(pages[level])[q->la >> (3 + 9 * level) & 511] ^= UINT64_C(1) << random_bit(64);
}

/*
 * Mistakes that QEMU and Bochs don't see: bit 8 of NPT's PML4Es and PML5Es (APM Vol. 2, 5.3:
 * reserved on AMD's processors), bit 12 of a large EPT page (SDM Vol. 3, tables 29-3 and 29-5).
 */
static bool is_disputed(const struct x86emu_nested_format *f, uint64_t entry, unsigned level, unsigned bit)
{
    if (f->type == X86EMU_NESTED_NPT)
        return level > 3 && bit == 8;
    return level > 1 && bit == 12 && entry & 0x80;
}

static void spoil_nested(const struct x86emu_nested_format *f)
{
    unsigned level = one_in(2) ? 1 : 1 + (unsigned)(random_bits() % f->levels);
    static const unsigned pages[] = {0, PAGE_N1, PAGE_N2, PAGE_N3, PAGE_N4, PAGE_N5};
    unsigned index = level == 1 ? (unsigned)(random_bits() % PAGES) : level == 2 ? POOL >> 21 : 0;

    unsigned bit = random_bit(64);

    if (f->type == X86EMU_NESTED_EPT && one_in(6))
        table(pages[level])[index] ^= random_bits() % 8 << 3; /* memory type, reserved where there is none */
    else if (!is_disputed(f, table(pages[level])[index], level, bit))
        table(pages[level])[index] ^= UINT64_C(1) << bit;
}

/* Guest tables and data without mistakes; other ones from time to time. */
static void fill_pool(const struct processor *processor)
{
    static unsigned questions;

    if (questions++ % 64 == 0) {
        fill_guest();
        fill_way_to_code();
        fill_data(processor->stop);
        memcpy(CLEAN, (void *)(uintptr_t)POOL, POOL_SIZE);
    }
    memcpy((void *)(uintptr_t)POOL, CLEAN, POOL_SIZE);
}

/* --- questions ----------------------------------------------------------------------------------------------------- */

static void choose_format(struct x86emu_nested_format *f)
{
    f->accessed_dirty = f->accessed_dirty && one_in(2);
    f->mode_based_execute = f->mode_based_execute && one_in(2);
    if (f->type == X86EMU_NESTED_NPT)
        f->execute_disable = !one_in(4);
}

static unsigned root_page(const struct question *q)
{
    if (q->mode != GUEST_64)
        return q->mode == GUEST_32 ? PAGE_DIRECTORY32 : PAGE_PDPT;
    return q->paging.cr4 & X86EMU_CR4_LA57 ? PAGE_G5 : PAGE_G4;
}

static void choose_paging(struct question *q)
{
    struct x86emu_paging *p = &q->paging;

    *p = (struct x86emu_paging){.cr0 = 0x30 | X86EMU_CR0_PE, .efer = 0};
    p->maxphyaddr = q->format.maxphyaddr;
    p->page1gb = q->processor->page1gb;
    p->amd = q->processor->amd;
    if (q->mode == GUEST_FLAT)
        return;
    p->cr0 |= X86EMU_CR0_PG | (one_in(2) ? X86EMU_CR0_WP : 0);
    p->cr4 = one_in(2) ? X86EMU_CR4_PSE : 0;
    p->cr4 |= q->processor->smep && one_in(2) ? X86EMU_CR4_SMEP : 0;
    p->cr4 |= q->processor->smap && one_in(2) ? X86EMU_CR4_SMAP : 0;
    p->rflags = one_in(2) ? X86EMU_RFLAGS_AC : 0;
    if (q->mode == GUEST_64 && q->processor->la57 && one_in(2))
        p->cr4 |= X86EMU_CR4_LA57;
    if (q->mode == GUEST_64 && q->processor->pke && one_in(3)) {
        p->cr4 |= X86EMU_CR4_PKE;
        p->pkru = (uint32_t)(random_bits() & random_bits());
    }
    if (q->mode == GUEST_64 && q->processor->pks && one_in(3)) {
        p->cr4 |= X86EMU_CR4_PKS;
        p->pkrs = (uint32_t)(random_bits() & random_bits());
    }
    p->cr3 = SECOND + root_page(q) * UINT64_C(4096);
    if (q->mode == GUEST_32)
        return;
    p->cr4 |= X86EMU_CR4_PAE;
    p->efer = (one_in(4) ? 0 : X86EMU_EFER_NXE) | (q->mode == GUEST_64 ? X86EMU_EFER_LMA | 1 << 8 : 0);
}

/* LAR of the descriptor at la. */
static void read_descriptor(struct question *q)
{
    q->la &= ~UINT64_C(7);
    q->code += 16;
    q->rbx = 8;
    q->gdt = q->la - q->rbx;
}

static void choose_addresses(struct question *q)
{
    static const unsigned kinds[] = {X86EMU_ACCESS_READ, X86EMU_ACCESS_WRITE, X86EMU_ACCESS_EXECUTE};
    bool user = one_in(2), implicit = q->processor->implicit && one_in(6);

    q->user = user;
    q->access = kinds[random_bits() % 3] | (user ? X86EMU_WALK_USER : 0);
    if (implicit)
        q->access = X86EMU_ACCESS_READ | X86EMU_WALK_IMPLICIT;
    q->la = POOL + random_bits() % POOL_SIZE;
    if (one_in(4))
        q->la = (q->la & ~UINT64_C(0xfff)) + 0xffd + random_bits() % 3;
    if (q->access & X86EMU_ACCESS_EXECUTE)
        q->la &= ~UINT64_C(15);
    if (q->mode == GUEST_32 || q->mode == GUEST_PAE)
        q->la += random_bits() % 3 << 30;
    if (q->mode == GUEST_64)
        q->la = (q->la + (random_bits() << 30)) & (q->paging.cr4 & X86EMU_CR4_LA57 ? 0xffffffffffffff : 0x7fffffffffff);
    q->code = q->mode == GUEST_FLAT ? SECOND + PAGE_CODE * 4096 : user ? 0xfffff000 : 0xffffe000;
    if (q->mode == GUEST_64)
        q->code |= UINT64_C(0xffffffff00000000);
    if (q->access & X86EMU_ACCESS_WRITE)
        q->code += 8;
    if (q->access & X86EMU_ACCESS_EXECUTE)
        q->code = q->la;
    q->rbx = q->la;
    if (implicit)
        read_descriptor(q);
}

static void load_pdptes(struct question *q)
{
    q->paging.pdpte_loaded = q->mode == GUEST_PAE && q->processor->pdptes_loaded;
    for (unsigned i = 0; i < 4; i++)
        q->paging.pdpte[i] = table(PAGE_PDPT)[i];
}

void make_question(struct question *q, const struct processor *processor)
{
    bool kept;

    do
        q->mode = (enum guest_mode)(one_in(12) ? GUEST_FLAT : 1 + random_bits() % 3);
    while (!(processor->modes & 1u << q->mode));
    q->processor = processor;
    q->format = processor->format;
    choose_format(&q->format);
    choose_paging(q);
    choose_addresses(q);
    fill_pool(processor);
    kept = processor->nested && one_in(3);
    q->pointer = kept ? build_nested(&q->format) : fill_nested(&q->format);
    make_large(q);
    choose_key(q);
    for (unsigned i = (unsigned)(random_bits() % 4); i > 0; i--)
        spoil_guest(q);
    for (unsigned i = kept || !processor->nested ? 0 : (unsigned)(random_bits() % 3); i > 0; i--)
        spoil_nested(&q->format);
    load_pdptes(q);
    memcpy(BEFORE, (void *)(uintptr_t)POOL, POOL_SIZE);
}
