/* SPDX-License-Identifier: BSD-2-Clause */
/* Remembering translations and decoded instructions from step to step. */
#include "cache.h"

/* Bytes that are looked at: an instruction and one more. */
#define LOOKED_AT 16

void x86emu_cache_flush(struct x86emu_cache *cache)
{
    for (unsigned i = 0; i < X86EMU_CACHE_PAGES; i++)
        cache->pages[i].tag = 0;
}

void x86emu_cache_flush_page(struct x86emu_cache *cache, uint64_t la)
{
    cache_slot(cache, la)->tag = 0;
}

static uint64_t keys_of(const struct x86emu_vcpu *vcpu)
{
    return vcpu->cr4 & (X86EMU_CR4_PKE | X86EMU_CR4_PKS) ? (uint64_t)vcpu->pkrs << 32 | vcpu->pkru : 0;
}

static uint32_t generation_of(const struct x86emu_region_map *map)
{
    return map == NULL ? 0 : __atomic_load_n(&map->generation, __ATOMIC_ACQUIRE);
}

void x86emu_cache_check(struct exec *x)
{
    struct x86emu_cache *cache = x->cache;
    const struct x86emu_vcpu *vcpu = x->vcpu;
    uint64_t keys = keys_of(vcpu);
    uint32_t generation = generation_of(x->emu->transaction.config.map);

    if (((cache->cr0 ^ vcpu->cr0) | (cache->cr3 ^ vcpu->cr3) | (cache->cr4 ^ vcpu->cr4) | (cache->efer ^ vcpu->efer) |
         (cache->keys ^ keys) | (cache->generation ^ generation)) == 0)
        return;
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

static bool decode_into(struct x86emu_cached_insn *slot, const uint64_t *bytes, unsigned mode)
{
    uint8_t text[LOOKED_AT];
    unsigned bits;

    store_le64(text, bytes[0]);
    store_le64(text + 8, bytes[1]);
    slot->mask[0] = 0;
    if (x86emu_decode(&slot->insn, text, X86EMU_MAX_INSN_LENGTH, mode) != X86EMU_DECODE_OK)
        return false;
    bits = 8u * slot->insn.length;
    slot->mask[0] = bits >= 64 ? ~UINT64_C(0) : ~(~UINT64_C(0) << bits);
    slot->mask[1] = bits > 64 ? ~(~UINT64_C(0) << (bits - 64)) : 0;
    slot->bytes[0] = bytes[0] & slot->mask[0];
    slot->bytes[1] = bytes[1] & slot->mask[1];
    slot->mode = mode;
    slot->flags = x86emu_form_flags(slot->insn.form);
    slot->operand_count = 0;
    return true;
}

bool x86emu_cache_fetch(struct exec *x, uint64_t la, unsigned mode)
{
    const struct x86emu_cached_page *page = cached_page(x, la, X86EMU_ACCESS_EXECUTE);
    unsigned offset = (unsigned)(la % X86EMU_PAGE_SIZE);
    struct x86emu_cached_insn *slot;
    uint64_t bytes[2];

    if (page == NULL || page->host == NULL || offset > X86EMU_PAGE_SIZE - LOOKED_AT)
        return false;
    slot = insn_slot(x->cache, la);
    bytes[0] = load_le64(page->host + offset);
    bytes[1] = load_le64(page->host + offset + 8);
    if (slot->mask[0] == 0 || slot->mode != mode ||
        (((slot->bytes[0] ^ bytes[0]) & slot->mask[0]) | ((slot->bytes[1] ^ bytes[1]) & slot->mask[1])) != 0) {
        if (!decode_into(slot, bytes, mode))
            return false;
    }
    x->emu->insn = slot->insn;
    store_le64(x->emu->bytes, bytes[0]);
    store_le64(x->emu->bytes + 7, bytes[0] >> 56 | bytes[1] << 8);
    x->emu->byte_count = X86EMU_MAX_INSN_LENGTH;
    x->flags_of_row = slot->flags;
    x->operands = slot->operands;
    x->operand_count = &slot->operand_count;
    return true;
}
