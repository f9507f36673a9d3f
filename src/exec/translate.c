/* SPDX-License-Identifier: BSD-2-Clause */
/* From linear to guest-physical addresses: the pages of this transaction, the exit's hint, the walk, the request. */
#include "cache.h"
#include "ram.h"

#define PAGE_MASK UINT64_C(0xfff)

/* Entries that one walk may ask for in a row. More means that other processors keep changing the tables. */
#define MAX_QUESTIONS 64

static uint32_t paging_groups(const struct x86emu_vcpu *vcpu)
{
    uint32_t groups = 0;

    if (vcpu->cr4 & (X86EMU_CR4_PKE | X86EMU_CR4_PKS))
        groups |= X86EMU_STATE_KEYS;
    if (vcpu->cr4 & X86EMU_CR4_PAE && !(vcpu->efer & X86EMU_EFER_LMA))
        groups |= X86EMU_STATE_PDPTE;
    return groups;
}

static struct x86emu_paging paging_state(const struct exec *x)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    const struct x86emu_config *config = &x->emu->transaction.config;
    struct x86emu_paging paging = {
        .cr0 = vcpu->cr0,
        .cr3 = vcpu->cr3,
        .cr4 = vcpu->cr4,
        .efer = vcpu->efer,
        .rflags = vcpu->rflags,
        .pkru = vcpu->pkru,
        .pkrs = vcpu->pkrs,
        .maxphyaddr = config->maxphyaddr,
        .amd = is_amd(x),
        .pdpte_loaded = true,
        .page1gb = true,
    };

    copy_bytes(paging.pdpte, vcpu->pdpte, sizeof(paging.pdpte));
    return paging;
}

static struct x86emu_page *find_page(struct x86emu_transaction *t, uint64_t la, unsigned access, bool system)
{
    for (unsigned i = 0; i < t->page_count; i++)
        if (((t->pages[i].la ^ la) & ~PAGE_MASK) == 0 && (t->pages[i].access & access) == access &&
            t->pages[i].system == system)
            return &t->pages[i];
    return NULL;
}

static void add_page(struct exec *x, uint64_t la, uint64_t gpa, unsigned access, bool dirty)
{
    struct x86emu_transaction *t = &x->emu->transaction;

    if (t->page_count == X86EMU_MAX_PAGES) {
        x86emu_not_emulated(x, X86EMU_REASON_LIMIT);
        return;
    }
    t->pages[t->page_count++] = (struct x86emu_page){la, gpa & ~PAGE_MASK, (uint8_t)access, dirty, x->system};
}

/* Reads or updates one page-table entry: in RAM at once, elsewhere, and what the guest may not write there, by request. */
static bool ram_entry(struct exec *x, enum x86emu_walk_status status)
{
    const unsigned access = status == X86EMU_WALK_UPDATE ? X86EMU_ACCESS_WRITE : X86EMU_ACCESS_READ;
    struct x86emu_walk *walk = &x->emu->transaction.walk;
    const struct x86emu_region *region;

    if (x->emu->transaction.config.map == NULL)
        return false;
    region = x86emu_region_find(x->emu->transaction.config.map, &x->emu->transaction.cache, walk->entry_gpa);
    if (region == NULL || region->kind != X86EMU_REGION_RAM || !(region->protection & access))
        return false;
    if (region->size - (walk->entry_gpa - region->gpa) < walk->entry_size)
        return false;
    return x86emu_ram_entry(walk, status, region->host->base + region->host_offset + (walk->entry_gpa - region->gpa));
}

static bool request_entry(struct exec *x, enum x86emu_walk_status status)
{
    const struct x86emu_walk *walk = &x->emu->transaction.walk;
    bool update = status == X86EMU_WALK_UPDATE;
    struct x86emu_request *request = x86emu_ask(x, update ? X86EMU_REQUEST_ENTRY_UPDATE : X86EMU_REQUEST_ENTRY_READ,
                                                walk->entry_gpa, walk->entry_size, 1);

    request->gva = walk->la;
    request->data.value = update ? walk->entry_new : 0;
    request->old_data.value = update ? walk->entry_old : 0;
    return x86emu_present(x);
}

static void raise_page_fault(struct exec *x, uint64_t la, unsigned error_code)
{
    x86emu_raise_code(x, X86EMU_VECTOR_PF, error_code);
    x->emu->outcome.exception.has_error_code = true;
    x->emu->outcome.exception.cr2 = la;
}

static bool walk_ended(const struct x86emu_walk *walk)
{
    return walk->status == X86EMU_WALK_DONE || walk->status == X86EMU_WALK_FAULT;
}

/* Walks to the end, or until an entry has to be asked for. An open walk for the same question goes on. */
static bool walk(struct exec *x, uint64_t la, unsigned access)
{
    struct x86emu_transaction *t = &x->emu->transaction;

    if (!t->walking || t->walk.la != la || t->walk.access != access) {
        struct x86emu_paging paging = paging_state(x);

        x86emu_walk_begin(&t->walk, &paging, la, access);
        t->walking = true;
    }
    for (unsigned questions = 0; !walk_ended(&t->walk); questions++) {
        enum x86emu_walk_status status = (enum x86emu_walk_status)t->walk.status;

        if (questions == MAX_QUESTIONS) {
            x->restart = true;
            return false;
        }
        if (!ram_entry(x, status) && !request_entry(x, status))
            return false;
    }
    t->walking = false;
    if (t->walk.status == X86EMU_WALK_FAULT)
        raise_page_fault(x, la, t->walk.error_code);
    return !x->stopped;
}

static unsigned walk_access(const struct exec *x, unsigned access)
{
    if (x->system)
        return access | X86EMU_WALK_IMPLICIT;
    return access | (x->cpl == 3 ? X86EMU_WALK_USER : 0);
}

void x86emu_page_translated(struct exec *x, uint64_t gpa)
{
    const struct x86emu_question *question = &x->emu->transaction.question;

    x->system = question->system;
    add_page(x, question->gva, gpa, question->access, true);
}

static bool request_translation(struct exec *x, uint64_t la, unsigned access)
{
    struct x86emu_request *request = x86emu_ask(x, X86EMU_REQUEST_TRANSLATE, 0, 1, 1);

    request->gva = x->emu->transaction.question.gva = la;
    request->access = (uint16_t)walk_access(x, access);
    x->emu->transaction.question.access = (uint8_t)access;
    x->emu->transaction.question.system = x->system;
    return x86emu_present(x);
}

/* The hinted address, when it can belong to this one. */
static bool use_hint(struct exec *x, uint64_t la, unsigned access)
{
    const struct x86emu_hint *hint = &x->emu->transaction.hint;

    if (x->system || x->emu->transaction.hint_used || !(x->hint_access & access))
        return false;
    if (hint->flags & X86EMU_HINT_GVA && (hint->gva ^ la) & ~PAGE_MASK)
        return false;
    if (!(hint->flags & X86EMU_HINT_GPA_PAGE) && (hint->gpa ^ la) & PAGE_MASK)
        return false;
    x->emu->transaction.hint_used = true;
    add_page(x, la, hint->gpa, access, true);
    return !x->stopped;
}

static bool translate_page(struct exec *x, uint64_t la, unsigned access)
{
    struct x86emu_transaction *t = &x->emu->transaction;
    const struct x86emu_cached_page *cached = cached_page(x, la, access);
    bool final;

    if (cached != NULL) {
        add_page(x, la, cached->gpa, access, true);
        return !x->stopped;
    }
    if (use_hint(x, la, access))
        return true;
    if (x->stopped)
        return false;
    if (t->config.options & X86EMU_OPTION_TRANSLATE)
        return request_translation(x, la, access);
    if (!need(x, paging_groups(x->vcpu)) || !walk(x, la, walk_access(x, access) | X86EMU_WALK_NO_DIRTY))
        return false;
    final = t->walk.dirty || !(access & X86EMU_ACCESS_WRITE);
    add_page(x, la, t->walk.gpa, access, final);
    if (final && x->cache != NULL)
        x86emu_cache_page(x, la, t->walk.gpa, access);
    return !x->stopped;
}

bool x86emu_translate(struct exec *x, uint64_t la, unsigned access, uint64_t *gpa)
{
    const struct x86emu_page *page = find_page(&x->emu->transaction, la, access, x->system);

    if (page == NULL) {
        if (!translate_page(x, la, access))
            return false;
        page = find_page(&x->emu->transaction, la, access, x->system);
    }
    *gpa = page->gpa | (la & PAGE_MASK);
    return true;
}

/*
 * The last chance to fault: a page that was clean when it was translated may be gone now. Where it leads elsewhere, the
 * instruction begins again.
 */
bool x86emu_dirty_pages(struct exec *x)
{
    struct x86emu_transaction *t = &x->emu->transaction;

    for (unsigned i = 0; i < t->page_count; i++) {
        struct x86emu_page *page = &t->pages[i];

        if (page->dirty)
            continue;
        x->system = page->system;
        if (!walk(x, page->la, walk_access(x, page->access)))
            return false;
        page->dirty = true;
        if ((t->walk.gpa & ~PAGE_MASK) != page->gpa) {
            forget_answers(t);
            x->restart = true;
            return false;
        }
    }
    return true;
}
