/* SPDX-License-Identifier: BSD-2-Clause */
/* The caller's cache, as translation and fetching use it. */
#ifndef X86EMU_EXEC_CACHE_H
#define X86EMU_EXEC_CACHE_H

#include "memory.h"

/* Low bits of x86emu_cached_page.tag, above enum x86emu_access: who may use the translation. */
enum cache_tag {
    TAG_ACCESS = 7,
    TAG_USER = 1 << 3,     /* CPL 3 */
    TAG_OVERRIDE = 1 << 4, /* supervisor with EFLAGS.AC, which SMAP looks at */
};

static inline struct x86emu_cached_page *cache_slot(struct x86emu_cache *cache, uint64_t la)
{
    return &cache->pages[la / X86EMU_PAGE_SIZE % X86EMU_CACHE_PAGES];
}

static inline uint64_t cache_tag(const struct exec *x, uint64_t la)
{
    uint64_t who = x->system ? 0 : x->cpl == 3 ? TAG_USER : x->vcpu->rflags & X86EMU_RFLAGS_AC ? TAG_OVERRIDE : 0;

    return (la & ~(uint64_t)(X86EMU_PAGE_SIZE - 1)) | who;
}

/* A remembered translation for this access, or NULL. While a hinted address looks for its operand, there is none. */
static inline const struct x86emu_cached_page *cached_page(const struct exec *x, uint64_t la, unsigned access)
{
    const struct x86emu_cached_page *page;

    if (x->cache == NULL || x->hint_access != 0)
        return NULL;
    page = cache_slot(x->cache, la);
    if (((page->tag ^ cache_tag(x, la)) & ~(uint64_t)TAG_ACCESS) != 0 || (page->tag & access) != access)
        return NULL;
    return page;
}

/* Forgets what belongs to other control registers, keys or regions. */
void x86emu_cache_check(struct exec *x);

/* Remembers a translation. */
void x86emu_cache_page(struct exec *x, uint64_t la, uint64_t gpa, unsigned access);

/* Takes the instruction at RIP from the cache, or decodes it into the cache. False: nothing happened. */
bool x86emu_cache_fetch(struct exec *x, uint64_t la, unsigned mode);

#endif
