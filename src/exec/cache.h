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

/* Forgets all translations: from now on they belong to these. */
void x86emu_cache_renew(struct x86emu_cache *cache, const struct x86emu_vcpu *vcpu, uint64_t keys, uint32_t generation);

/* Forgets what belongs to other control registers, keys or regions. */
static inline void cache_check(const struct exec *x)
{
    struct x86emu_cache *cache = x->cache;
    const struct x86emu_vcpu *vcpu = x->vcpu;
    const struct x86emu_region_map *map = x->emu->transaction.config.map;
    uint32_t generation = map == NULL ? 0 : __atomic_load_n(&map->generation, __ATOMIC_ACQUIRE);
    uint64_t keys = 0;

    if (vcpu->cr4 & (X86EMU_CR4_PKE | X86EMU_CR4_PKS))
        keys = (uint64_t)vcpu->pkrs << 32 | vcpu->pkru;
    if (((cache->cr0 ^ vcpu->cr0) | (cache->cr3 ^ vcpu->cr3) | (cache->cr4 ^ vcpu->cr4) | (cache->efer ^ vcpu->efer) |
         (cache->keys ^ keys) | (cache->generation ^ generation)) != 0)
        x86emu_cache_renew(cache, vcpu, keys, generation);
}

/* Remembers a translation. */
void x86emu_cache_page(struct exec *x, uint64_t la, uint64_t gpa, unsigned access);

/* The instruction at la, if its page is known; decoded into the cache if need be. NULL: not by this way. */
struct x86emu_cached_insn *x86emu_cache_find(struct exec *x, uint64_t la, unsigned mode);

/* Lets the run use an instruction in the cache. */
static inline void cache_take(struct exec *x, struct x86emu_cached_insn *slot)
{
    x->insn = &slot->insn;
    x->flags_of_row = slot->flags;
    x->operands = slot->operands;
    x->operand_count = &slot->operand_count;
}

/* Puts it into the context: the caller may look at it, and it may be suspended. */
static inline void cache_publish(struct exec *x, const struct x86emu_cached_insn *slot)
{
    struct x86emu *emu = x->emu;

    emu->insn = slot->insn;
    store_le64(emu->bytes, slot->bytes[0]);
    store_le64(emu->bytes + 7, slot->bytes[0] >> 56 | slot->bytes[1] << 8);
    emu->byte_count = slot->insn.length;
    x->insn = &emu->insn;
    emu->transaction.decoded = true;
}

#endif
