/* SPDX-License-Identifier: BSD-2-Clause */
/* Remembering translations and decoded instructions from step to step. */
#include "cache.h"

/* Bytes that are looked at: an instruction and one more. */
#define LOOKED_AT 16

/* A bit of x86emu_cached_insn.mode that no mode and no decode option has. */
#define VALID (1u << 31)

void x86emu_cache_flush(struct x86emu_cache *cache)
{
    for (unsigned i = 0; i < X86EMU_CACHE_PAGES; i++)
        cache->pages[i].tag = 0;
}

void x86emu_cache_flush_page(struct x86emu_cache *cache, uint64_t la)
{
    cache_slot(cache, la)->tag = 0;
}

void x86emu_cache_renew(struct x86emu_cache *cache, const struct x86emu_vcpu *vcpu, uint64_t keys, uint32_t generation)
{
    x86emu_cache_flush(cache);
    cache->cr0 = vcpu->cr0;
    cache->cr3 = vcpu->cr3;
    cache->cr4 = vcpu->cr4;
    cache->efer = vcpu->efer;
    cache->keys = keys;
    cache->generation = generation;
}

/* The page's first byte in host memory, when nothing stands between the guest and it. */
static uint8_t *host_page(struct exec *x, uint64_t gpa)
{
    struct x86emu_transaction *t = &x->emu->transaction;
    const struct x86emu_region *region;

    if (t->config.map == NULL)
        return NULL;
    region = x86emu_region_find(t->config.map, &t->cache, gpa);
    if (region == NULL || region->kind != X86EMU_REGION_RAM || region->size - (gpa - region->gpa) < X86EMU_PAGE_SIZE ||
        region->protection != (X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE | X86EMU_ACCESS_EXECUTE))
        return NULL;
    return region->host->base + region->host_offset + (gpa - region->gpa);
}

void x86emu_cache_page(struct exec *x, uint64_t la, uint64_t gpa, unsigned access)
{
    uint64_t tag = cache_tag(x, la);
    struct x86emu_cached_page *page = cache_slot(x->cache, la);

    gpa &= ~(uint64_t)(X86EMU_PAGE_SIZE - 1);
    if ((page->tag & ~(uint64_t)TAG_ACCESS) == tag && page->gpa == gpa) {
        page->tag |= access;
        return;
    }
    page->tag = tag | access;
    page->gpa = gpa;
    page->host = host_page(x, gpa);
}

/* --- instructions ------------------------------------------------------------------------------------------------- */

static struct x86emu_cached_insn *insn_slot(struct x86emu_cache *cache, uint64_t la)
{
    return &cache->insns[(la ^ la >> 10) % X86EMU_CACHE_INSNS];
}

static NOINLINE bool decode_into(struct x86emu_cached_insn *slot, const uint64_t *bytes, unsigned mode)
{
    uint8_t text[LOOKED_AT];
    unsigned bits;

    store_le64(text, bytes[0]);
    store_le64(text + 8, bytes[1]);
    slot->mode = 0;
    if (x86emu_decode(&slot->insn, text, X86EMU_MAX_INSN_LENGTH, mode) != X86EMU_DECODE_OK)
        return false;
    bits = 8u * slot->insn.length;
    slot->mask[0] = bits >= 64 ? ~UINT64_C(0) : ~(~UINT64_C(0) << bits);
    slot->mask[1] = bits > 64 ? ~(~UINT64_C(0) << (bits - 64)) : 0;
    slot->bytes[0] = bytes[0] & slot->mask[0];
    slot->bytes[1] = bytes[1] & slot->mask[1];
    slot->mode = mode | VALID;
    slot->flags = x86emu_form_flags(slot->insn.form);
    slot->operand_count = 0;
    return true;
}

struct x86emu_cached_insn *x86emu_cache_find(struct exec *x, uint64_t la, unsigned mode)
{
    const struct x86emu_cached_page *page = cached_page(x, la, X86EMU_ACCESS_EXECUTE);
    unsigned offset = (unsigned)(la % X86EMU_PAGE_SIZE);
    struct x86emu_cached_insn *slot;
    uint64_t bytes[2], differs;

    if (page == NULL || page->host == NULL || offset > X86EMU_PAGE_SIZE - LOOKED_AT)
        return NULL;
    slot = insn_slot(x->cache, la);
    bytes[0] = load_le64(page->host + offset);
    bytes[1] = load_le64(page->host + offset + 8);
    differs = ((slot->bytes[0] ^ bytes[0]) & slot->mask[0]) | ((slot->bytes[1] ^ bytes[1]) & slot->mask[1]);
    if ((differs | (slot->mode ^ (mode | VALID))) != 0 && !decode_into(slot, bytes, mode))
        return NULL;
    return slot;
}
