/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest pages that are held while somebody accesses them from outside of the guest. */
#include "entry.h"
#include "hold.h"

/*
 * A holder notes its page first and looks for a change after that; who changes announces the range first and looks for
 * holds after that. With all four in one order at least one of them sees the other: then the holder steps back, or the
 * change is refused.
 */

#define SLOT_TAKEN UINT64_C(1)

bool x86emu_take_away(struct x86emu_nested *table, uint64_t gpa, uint64_t size)
{
    if (table->hold_count == 0)
        return true;
    store_ordered(&table->change_first, gpa);
    store_ordered(&table->change_last, gpa + (size - 1));
    store_ordered(&table->change, table->change + 1);
    for (uint32_t i = 0; i < table->hold_count; i++) {
        uint64_t slot = load_ordered(&table->holds[i]);

        if (slot & SLOT_TAKEN && (slot & ~SLOT_TAKEN) - gpa < size) {
            x86emu_taken_away(table);
            return false;
        }
    }
    return true;
}

void x86emu_taken_away(struct x86emu_nested *table)
{
    if (table->hold_count != 0)
        store_ordered(&table->change, table->change + 1);
}

/* Whether the page may be in a range that is being taken away. */
static bool is_taken_away(const struct x86emu_nested *table, uint64_t page)
{
    uint64_t change = load_ordered(&table->change);
    uint64_t first = load_ordered(&table->change_first), last = load_ordered(&table->change_last);

    if (!(change & 1))
        return false;
    return load_ordered(&table->change) != change || (page >= first && page <= last);
}

static bool take_slot(struct x86emu_nested *table, uint64_t page, uint32_t *slot)
{
    for (uint32_t i = 0; i < table->hold_count; i++) {
        uint64_t none = 0;

        if (load_ordered(&table->holds[i]) == 0 && replace_entry(&table->holds[i], &none, page | SLOT_TAKEN)) {
            *slot = i;
            return true;
        }
    }
    return false;
}

enum x86emu_nested_status x86emu_nested_hold(struct x86emu_nested *table, uint64_t gpa, unsigned access,
                                             struct x86emu_nested_hold *hold)
{
    uint64_t page = gpa & ~(PAGE_SIZE - 1);
    struct x86emu_nested_touched touched = {0};
    enum x86emu_nested_status status;

    if (!take_slot(table, page, &hold->slot))
        return X86EMU_NESTED_NO_MEMORY;
    status = is_taken_away(table, page) ? X86EMU_NESTED_RETRY : x86emu_nested_touch(table, gpa, access, &touched);
    hold->gpa = gpa;
    hold->hpa = touched.hpa;
    if (status != X86EMU_NESTED_OK)
        store_ordered(&table->holds[hold->slot], 0);
    return status;
}

void x86emu_nested_release(struct x86emu_nested *table, const struct x86emu_nested_hold *hold)
{
    uint64_t slot = (hold->gpa & ~(PAGE_SIZE - 1)) | SLOT_TAKEN;

    /* Released twice by mistake: the slot may be another page's by now. */
    if (hold->slot < table->hold_count)
        replace_entry(&table->holds[hold->slot], &slot, 0);
}
