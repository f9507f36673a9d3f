/* SPDX-License-Identifier: BSD-2-Clause */
/* Where an access goes: alignment, the one or two pages it lies in, and what is at a guest-physical address. */
#include "breakpoint.h"
#include "cache.h"

static uint16_t bytes_to_page_end(uint64_t address)
{
    return (uint16_t)(X86EMU_PAGE_SIZE - (address & (X86EMU_PAGE_SIZE - 1)));
}

static unsigned power_of_two_at_most(unsigned value)
{
    return 1u << (31 - (unsigned)__builtin_clz(value));
}

/*
 * SDM Vol. 3, 6.15, interrupt 17: CR0.AM, EFLAGS.AC and CPL 3. An 80-bit number is aligned as its significand; what is
 * larger is not checked.
 */
static bool misaligned(const struct exec *x, uint64_t la, unsigned size)
{
    return size <= 10 && x->cpl == 3 && x->vcpu->cr0 & X86EMU_CR0_AM && x->vcpu->rflags & X86EMU_RFLAGS_AC &&
           (la & (power_of_two_at_most(size) - 1)) != 0;
}

bool x86emu_alignment_checked(struct exec *x, struct logical address, unsigned alignment)
{
    if (misaligned(x, address.offset + x86emu_segment_base(x, address.segment), least(alignment, 8)))
        x86emu_raise_code(x, X86EMU_VECTOR_AC, 0);
    return !x->stopped;
}

/* The exit has said where the one memory operand is. */
static void locate_by_hint(struct exec *x, unsigned size, struct span *span)
{
    struct x86emu_transaction *t = &x->emu->transaction;

    t->hint_used = true;
    *span = (struct span){.gpa = t->hint.gpa, .first_size = (uint16_t)size};
}

/* Whether an access of this kind is the one that the exit reported; if it can't be, the guest has changed its code. */
static bool contradicts_hint(struct exec *x, uint64_t la, unsigned size, unsigned access)
{
    const struct x86emu_hint *hint = &x->emu->transaction.hint;
    uint64_t offset;

    if (!(x->hint_access & access) || x->emu->transaction.hint_used)
        return false;
    if (hint->flags & X86EMU_HINT_GVA)
        return hint->gva - la >= size;
    offset = (hint->gpa - la) & (X86EMU_PAGE_SIZE - 1);
    return !(hint->flags & X86EMU_HINT_GPA_PAGE) && offset >= size;
}

/* Refuses an access to nothing before any other part of the instruction happens. */
static bool something_there(struct exec *x, const struct span *span, unsigned size, unsigned access)
{
    if (x->emu->transaction.config.map == NULL)
        return true;
    if (x86emu_target(x, span->gpa, span->first_size, access).kind == TARGET_NONE)
        return false;
    return span->first_size == size ||
           x86emu_target(x, span->gpa_second, size - span->first_size, access).kind != TARGET_NONE;
}

/* The common case of an interpreter: in RAM of one page that the cache knows. */
static bool locate_cached(struct exec *x, uint64_t la, unsigned size, unsigned access, struct span *span)
{
    const struct x86emu_cached_page *page = cached_page(x, la, access);
    unsigned offset = (unsigned)(la % X86EMU_PAGE_SIZE);

    if (page == NULL || page->host == NULL || offset + size > X86EMU_PAGE_SIZE)
        return false;
    *span =
        (struct span){.la = la, .gpa = page->gpa + offset, .first_size = (uint16_t)size, .host = page->host + offset};
    return true;
}

static bool locate_pages(struct exec *x, uint64_t la, unsigned size, unsigned access, struct span *span)
{
    uint64_t second;

    if (locate_cached(x, la, size, access, span))
        return true;
    span->host = NULL;
    span->la = la;
    span->first_size = bytes_to_page_end(la);
    if (!x86emu_translate(x, la, access, &span->gpa))
        return false;
    if (span->first_size >= size) {
        span->first_size = (uint16_t)size;
        return true;
    }
    second = la + span->first_size;
    if (x->mode != X86EMU_MODE_64)
        second &= 0xffffffff;
    return x86emu_translate(x, second, access, &span->gpa_second);
}

static bool locate_by_address(struct exec *x, struct logical address, unsigned size, unsigned access, unsigned use,
                              struct span *span)
{
    uint64_t la;

    if (!x86emu_linear(x, address, size, access, &la))
        return false;
    x->system = address.segment == LINEAR;
    if (!x->system && breakpoints_enabled(x))
        x86emu_breakpoint_data(x, la, size, access);
    if (address.segment == LINEAR)
        return locate_pages(x, la, size, access, span);
    if (!(use & USE_UNALIGNED) && misaligned(x, la, size)) {
        x86emu_raise_code(x, X86EMU_VECTOR_AC, 0);
        return false;
    }
    if (contradicts_hint(x, la, size, access)) {
        x86emu_end_run(x, X86EMU_NOT_THIS_INSN);
        return false;
    }
    return locate_pages(x, la, size, access, span);
}

bool x86emu_locate(struct exec *x, struct logical address, unsigned size, unsigned access, unsigned use,
                   struct span *span)
{
    if (x->stopped)
        return false;
    if (x->hint_direct && address.segment != LINEAR)
        locate_by_hint(x, size, span);
    else if (!locate_by_address(x, address, size, access, use, span))
        return false;
    return span->host != NULL || something_there(x, span, size, access);
}

struct target x86emu_target(struct exec *x, uint64_t gpa, unsigned size, unsigned access)
{
    struct x86emu_transaction *t = &x->emu->transaction;
    struct target target = {.kind = TARGET_REQUEST, .gpa = gpa, .size = (uint16_t)size};
    struct x86emu_region *region;
    bool handled;

    if (t->config.map == NULL)
        return target;
    region = x86emu_region_find(t->config.map, &t->cache, gpa);
    if (region == NULL) {
        x86emu_unmapped(x, gpa, access);
        target.kind = TARGET_NONE;
        return target;
    }
    target.region = region;
    size = least(size, region->size - (gpa - region->gpa));
    if (region->kind == X86EMU_REGION_MMIO)
        size = least(power_of_two_at_most(size), region->max_width);
    target.size = (uint16_t)size;
    if ((region->protection & access) != access)
        return target;
    if (region->kind == X86EMU_REGION_RAM) {
        target.kind = TARGET_RAM;
        target.ram = region->host->base + region->host_offset + (gpa - region->gpa);
        return target;
    }
    handled = access & X86EMU_ACCESS_WRITE ? region->write != NULL : region->read != NULL;
    if (handled)
        target.kind = TARGET_DEVICE;
    return target;
}
