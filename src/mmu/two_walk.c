/* SPDX-License-Identifier: BSD-2-Clause */
/* How the walk of a guest's tables and the walks of nested tables make one (SDM Vol. 3, 29.3; APM Vol. 2, 15.25.5). */
#include "entry.h"

static enum x86emu_walk_status finish(struct x86emu_two_walk *walk, enum x86emu_walk_status status)
{
    walk->status = (uint8_t)status;
    return status;
}

static enum x86emu_walk_status ask(struct x86emu_two_walk *walk, bool guest_entry)
{
    walk->guest_entry = guest_entry;
    if (guest_entry) {
        walk->entry_size = walk->guest.entry_size;
        walk->entry_hpa = walk->nested.hpa;
        walk->entry_old = walk->guest.entry_old;
        walk->entry_new = walk->guest.entry_new;
        return finish(walk, (enum x86emu_walk_status)walk->guest.status);
    }
    walk->entry_size = 8;
    walk->entry_hpa = walk->nested.entry_hpa;
    walk->entry_old = walk->nested.entry_old;
    walk->entry_new = walk->nested.entry_new;
    return finish(walk, (enum x86emu_walk_status)walk->nested.status);
}

/* What the guest's tables say about the address, in an EPT violation on the final access. */
static void add_linear_bits(struct x86emu_two_walk *walk)
{
    const uint64_t needed = X86EMU_EPT_LINEAR_VALID | X86EMU_EPT_FINAL;

    if (!is_ept(&walk->nested.format) || !walk->nested.format.advanced_violations ||
        (walk->nested.fault & needed) != needed)
        return;
    walk->nested.fault |= (walk->guest.user ? X86EMU_EPT_LINEAR_USER : 0u) |
                          (walk->guest.writable ? X86EMU_EPT_LINEAR_WRITABLE : 0u) |
                          (walk->guest.executable ? 0u : X86EMU_EPT_LINEAR_EXECUTE_DISABLE);
}

static enum x86emu_walk_status follow_nested(struct x86emu_two_walk *walk)
{
    switch (walk->nested.status) {
    case X86EMU_WALK_READ:
    case X86EMU_WALK_UPDATE:
        return ask(walk, false);
    case X86EMU_WALK_FAULT:
        add_linear_bits(walk);
        return finish(walk, X86EMU_WALK_NESTED_FAULT);
    case X86EMU_WALK_DONE:
        break;
    default:
        return finish(walk, X86EMU_WALK_MISCONFIGURED);
    }
    if (walk->guest.status != X86EMU_WALK_DONE)
        return ask(walk, true);
    walk->hpa = walk->nested.hpa;
    walk->page_shift = walk->nested.page_shift;
    if (walk->guest.page_shift != 0 && walk->guest.page_shift < walk->page_shift)
        walk->page_shift = walk->guest.page_shift;
    return finish(walk, X86EMU_WALK_DONE);
}

static enum x86emu_walk_status translate(struct x86emu_two_walk *walk, uint64_t gpa, unsigned access)
{
    struct x86emu_nested_walk *nested = &walk->nested;

    if (walk->guest.access & X86EMU_WALK_PROBE)
        access |= X86EMU_NESTED_PROBE;
    x86emu_nested_walk_begin(nested, &nested->format, nested->pointer, gpa, access);
    return follow_nested(walk);
}

/* What the guest's walk wants next has to be found through the nested tables. */
static enum x86emu_walk_status follow_guest(struct x86emu_two_walk *walk)
{
    const struct x86emu_walk *guest = &walk->guest;
    const unsigned kinds = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE | X86EMU_ACCESS_EXECUTE;

    switch (guest->status) {
    case X86EMU_WALK_READ:
        return translate(walk, guest->entry_gpa, X86EMU_ACCESS_READ | X86EMU_NESTED_TABLE);
    case X86EMU_WALK_UPDATE:
        return translate(walk, guest->entry_gpa, X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE | X86EMU_NESTED_TABLE);
    case X86EMU_WALK_DONE:
        return translate(walk, guest->gpa,
                         (guest->access & kinds) | (guest->user ? X86EMU_NESTED_USER : 0u) |
                             (guest->access & X86EMU_WALK_NO_DIRTY ? X86EMU_NESTED_NO_DIRTY : 0u));
    default:
        return finish(walk, X86EMU_WALK_FAULT);
    }
}

enum x86emu_walk_status x86emu_two_walk_begin(struct x86emu_two_walk *walk, const struct x86emu_paging *paging,
                                              const struct x86emu_nested_format *format, uint64_t pointer, uint64_t la,
                                              unsigned access)
{
    walk->nested.format = *format;
    walk->nested.pointer = pointer;
    x86emu_walk_begin(&walk->guest, paging, la, access);
    return follow_guest(walk);
}

enum x86emu_walk_status x86emu_two_walk_entry(struct x86emu_two_walk *walk, uint64_t value)
{
    if (walk->status != X86EMU_WALK_READ)
        return X86EMU_WALK_MISUSE;
    if (!walk->guest_entry) {
        x86emu_nested_walk_entry(&walk->nested, value);
        return follow_nested(walk);
    }
    x86emu_walk_entry(&walk->guest, value);
    return follow_guest(walk);
}

enum x86emu_walk_status x86emu_two_walk_updated(struct x86emu_two_walk *walk, bool exchanged)
{
    if (walk->status != X86EMU_WALK_UPDATE)
        return X86EMU_WALK_MISUSE;
    if (!walk->guest_entry) {
        x86emu_nested_walk_updated(&walk->nested, exchanged);
        return follow_nested(walk);
    }
    x86emu_walk_updated(&walk->guest, exchanged);
    return follow_guest(walk);
}

/* --- walks to the end ---------------------------------------------------------------------------------------------- */

/* Answers one question. False: there is no such memory, or too many exchanges were lost. */
static bool answer(struct x86emu_two_walk *walk, const struct x86emu_walk_memory *memory, unsigned *restarts)
{
    uint64_t value;
    bool exchanged;

    if (walk->status == X86EMU_WALK_READ) {
        if (!memory->read(memory->opaque, walk->entry_hpa, walk->entry_size, &value))
            return false;
        x86emu_two_walk_entry(walk, value);
        return true;
    }
    if (!memory->compare_exchange(memory->opaque, walk->entry_hpa, walk->entry_size, walk->entry_old, walk->entry_new,
                                  &exchanged))
        return false;
    if (!exchanged && ++*restarts == MAX_RESTARTS)
        return false;
    x86emu_two_walk_updated(walk, exchanged);
    return true;
}

enum x86emu_walk_status x86emu_two_walk_run(struct x86emu_two_walk *walk, const struct x86emu_walk_memory *memory)
{
    unsigned restarts = 0;

    while (walk->status == X86EMU_WALK_READ || walk->status == X86EMU_WALK_UPDATE)
        if (!answer(walk, memory, &restarts))
            break;
    return (enum x86emu_walk_status)walk->status;
}

/* --- through kept tables ------------------------------------------------------------------------------------------- */

static uint64_t *entry_at(void *opaque, uint64_t hpa)
{
    const struct x86emu_nested *table = (const struct x86emu_nested *)opaque;
    uint64_t *page = (uint64_t *)table->memory.page(table->memory.opaque, hpa & ~(PAGE_SIZE - 1));

    return &page[(hpa & (PAGE_SIZE - 1)) / 8];
}

static bool read_kept(void *opaque, uint64_t hpa, unsigned size, uint64_t *value)
{
    (void)size;
    *value = load_entry(entry_at(opaque, hpa));
    return true;
}

static bool exchange_kept(void *opaque, uint64_t hpa, unsigned size, uint64_t old_value, uint64_t new_value,
                          bool *exchanged)
{
    (void)size;
    *exchanged = replace_entry(entry_at(opaque, hpa), &old_value, new_value);
    return true;
}

/* The table is only read and its bits set; opaque pointers have no const. */
static struct x86emu_walk_memory kept_memory(const struct x86emu_nested *table)
{
    return (struct x86emu_walk_memory){read_kept, exchange_kept, (void *)(uintptr_t)table};
}

enum x86emu_walk_status x86emu_nested_walk_table(struct x86emu_nested_walk *walk, const struct x86emu_nested *table,
                                                 uint64_t gpa, unsigned access)
{
    struct x86emu_walk_memory memory = kept_memory(table);

    x86emu_nested_walk_begin(walk, &table->format, x86emu_nested_pointer(table), gpa, access);
    return x86emu_nested_walk_run(walk, &memory);
}

enum x86emu_walk_status x86emu_two_walk_table(struct x86emu_two_walk *walk, const struct x86emu_paging *paging,
                                              const struct x86emu_nested *table, uint64_t la, unsigned access,
                                              const struct x86emu_walk_memory *memory)
{
    struct x86emu_walk_memory kept = kept_memory(table);
    unsigned restarts = 0;

    x86emu_two_walk_begin(walk, paging, &table->format, x86emu_nested_pointer(table), la, access);
    while (walk->status == X86EMU_WALK_READ || walk->status == X86EMU_WALK_UPDATE)
        if (!answer(walk, walk->guest_entry ? memory : &kept, &restarts))
            break;
    return (enum x86emu_walk_status)walk->status;
}
