/* SPDX-License-Identifier: BSD-2-Clause */
/* Differences that the manuals leave open, and known mistakes of the models that play the processor. */
#include "walks.h"

/* Entries that the library's walk read for the latest question. */
enum {
    MOST_READ = 1024,
};
static uint64_t entries_read[MOST_READ];
static unsigned read_count;

void forget_reads(void)
{
    read_count = 0;
}

void note_read(uint64_t hpa)
{
    if (read_count < MOST_READ)
        entries_read[read_count++] = hpa;
}

static bool was_read(uint64_t hpa)
{
    for (unsigned i = 0; i < read_count; i++)
        if ((entries_read[i] & ~UINT64_C(7)) == hpa)
            return true;
    return false;
}

/*
 * Bits that 8 bytes of tables may have got, of one entry or of two with 4 bytes: accessed, and when half of a write has
 * gone through, dirty.
 */
static uint64_t bits_on_the_way(const struct question *q)
{
    bool dirty = q->access & X86EMU_ACCESS_WRITE && is_crossing(q);
    uint64_t guest = (q->mode == GUEST_32 ? UINT64_C(0x100000001) : 1) * (dirty ? 0x60 : 0x20);

    if (!q->processor->nested || q->format.type == X86EMU_NESTED_NPT)
        return guest;
    return guest | (dirty ? 0x300 : 0x100);
}

/* SDM Vol. 3, 4.8 and 29.3.5, have accessed flags set when an entry is used and dirty flags by a write, and not say
   whether they are when it ends in a fault. */
static bool only_set_on_the_way(const struct question *q, const uint8_t *after)
{
    const uint64_t *now = (const uint64_t *)POOL, *expected = (const uint64_t *)(const void *)after;

    for (unsigned i = 0; i < POOL_SIZE / 8; i++) {
        uint64_t hpa = POOL + i * UINT64_C(8), extra = now[i] ^ expected[i];

        if (extra != 0 && ((extra & ~bits_on_the_way(q)) != 0 || (extra & expected[i]) != 0 || !was_read(hpa)))
            return false;
    }
    return true;
}

static const char set_in_pdpte[] = "QEMU: accessed bit set in a PDPTE";

/* QEMU takes PDPTEs for entries like others. Takes it back. */
static bool undo_accessed_pdptes(const struct question *q, const uint8_t *after)
{
    uint64_t *now = (uint64_t *)page_address(PAGE_PDPT);
    const uint64_t *expected = (const uint64_t *)(const void *)(after + PAGE_PDPT * 4096);
    bool any = false;

    if (q->mode != GUEST_PAE)
        return false;
    for (unsigned i = 0; i < 4; i++) {
        any = any || now[i] != expected[i];
        if (now[i] == (expected[i] | 0x20))
            now[i] = expected[i];
    }
    return any;
}

static bool same_memory(const uint8_t *after)
{
    const uint64_t *now = (const uint64_t *)POOL, *expected = (const uint64_t *)(const void *)after;

    for (unsigned i = 0; i < POOL_SIZE / 8; i++)
        if (now[i] != expected[i])
            return false;
    return true;
}

/* Whether the library stopped at accessed or dirty bits that can't be written: EPT without such bits of its own. */
static bool stopped_at_update(const struct question *q, const struct outcome *expected)
{
    const uint64_t bits = X86EMU_EPT_READ | X86EMU_EPT_WRITE | X86EMU_EPT_READABLE | X86EMU_EPT_LINEAR_VALID;

    return q->format.type == X86EMU_NESTED_EPT && !q->format.accessed_dirty && expected->kind == NESTED_FAULT &&
           (expected->fault & (bits | X86EMU_EPT_WRITABLE | X86EMU_EPT_FINAL)) == bits;
}

/* Why the processor's fault bits may be others. "": no reason. */
static const char *explain_bits(const struct question *q, const struct outcome *expected, const struct outcome *actual)
{
    uint64_t missing = expected->fault & ~actual->fault, extra = actual->fault & ~expected->fault;

    if (expected->kind != actual->kind)
        return "";
    /* APM Vol. 2, 8.4.2: there is such a bit when EFER.NXE is set. */
    if (q->processor->model == MODEL_BOCHS && q->format.type == X86EMU_NESTED_NPT && !q->format.execute_disable &&
        (extra | missing) == X86EMU_NPF_FETCH && extra != 0)
        return "Bochs: fetch bit of a nested fault although EFER.NXE is clear";
    if (extra != 0)
        return "";
    /* SDM Vol. 3, 4.7: RSVD is never set without P. */
    if (q->processor->model == MODEL_QEMU && expected->fault & 8 && missing == 1)
        return "QEMU: reserved bit, but P clear in the error code";
    /* SDM Vol. 3, 4.7, asks for the flag wherever the key of a supervisor-mode address forbids the access. */
    if (q->processor->model == MODEL_QEMU && q->paging.cr4 & X86EMU_CR4_PKS && q->access & X86EMU_WALK_USER &&
        missing == 0x20)
        return "QEMU: no PK in the error code of a user's access to a supervisor's page";
    /* SDM Vol. 3, table 28-7, note 1. */
    if (q->processor->model == MODEL_BOCHS && q->format.accessed_dirty && expected->kind == NESTED_FAULT &&
        !(expected->fault & X86EMU_EPT_FINAL) && missing == X86EMU_EPT_READ)
        return "Bochs: access to a guest entry told as write, not as read and write";
    return "";
}

/* Bochs reads the four PDPTEs with VMRUN, and meets a fault at the first of them. */
static bool at_first_pdpte(const struct question *q, const struct outcome *expected, const struct outcome *actual)
{
    uint64_t pdpt = q->paging.cr3 & ~UINT64_C(31);

    return q->processor->model == MODEL_BOCHS && q->mode == GUEST_PAE && q->format.type == X86EMU_NESTED_NPT &&
           expected->kind == NESTED_FAULT && actual->kind == NESTED_FAULT && expected->fault == actual->fault &&
           actual->address == pdpt && expected->address - pdpt < 32;
}

/* The bit that QEMU sets was read as data. */
static bool read_accessed_pdpte(const struct question *q, const struct outcome *expected, const struct outcome *actual)
{
    return q->processor->model == MODEL_QEMU && q->mode == GUEST_PAE && expected->value != actual->value &&
           ((expected->value ^ actual->value) & ~UINT32_C(0x20202020)) == 0;
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
    return a->kind == b->kind && a->fault == b->fault && a->address == b->address && a->value == b->value;
}

/* Takes a known difference out of what the processor did. */
static const char *reconcile(const struct question *q, const struct outcome *expected, struct outcome *actual)
{
    const char *why;

    if (at_first_pdpte(q, expected, actual)) {
        actual->address = expected->address;
        return "Bochs: PDPTEs read with VMRUN";
    }
    if (read_accessed_pdpte(q, expected, actual)) {
        actual->value = expected->value;
        return set_in_pdpte;
    }
    why = explain_bits(q, expected, actual);
    if (*why != '\0')
        actual->fault = expected->fault;
    return why;
}

const char *explain(const struct question *q, const struct outcome *expected, const uint8_t *after,
                    struct outcome actual)
{
    const char *why = "";

    if (!same_outcome(expected, &actual)) {
        /* SDM Vol. 3, 29.3.3.2: such updates are writes. There is nothing left to compare. */
        if (q->processor->model == MODEL_BOCHS && stopped_at_update(q, expected))
            return "Bochs: bits of a guest entry set without write permission";
        why = reconcile(q, expected, &actual);
        if (!same_outcome(expected, &actual))
            return NULL;
    }
    if (q->processor->model == MODEL_QEMU && undo_accessed_pdptes(q, after) && *why == '\0')
        why = set_in_pdpte;
    if (same_memory(after))
        return why;
    if (expected->kind == WENT_THROUGH || !only_set_on_the_way(q, after))
        return NULL;
    return *why != '\0' ? why : "accessed or dirty bits set on the way to a fault";
}

const char *predict_other(const struct question *q, struct outcome *outcome, uint8_t *after)
{
    enum model model = q->processor->model;
    struct question explicit_access = *q;

    if (is_crossing(q) && q->processor->emulated && !q->user) {
        *outcome = predict(q, PAGE_BY_PAGE, after);
        return "KVM's emulator: a crossing access made page by page";
    }
    if (is_crossing(q)) {
        *outcome = predict(q, SECOND_PAGE_FIRST, after);
        return "second page of an access checked before the first";
    }
    /* SDM Vol. 3, 4.6.1: EFLAGS.AC lets explicit accesses through SMAP, and no others. */
    if (q->access & X86EMU_WALK_IMPLICIT && (model == MODEL_BOCHS || (model == MODEL_QEMU && !q->user))) {
        explicit_access.access &= ~(unsigned)X86EMU_WALK_IMPLICIT;
        *outcome = predict(&explicit_access, FIRST_PAGE_FIRST, after);
        outcome->value = 0;
        return model == MODEL_BOCHS ? "Bochs: EFLAGS.AC lets implicit accesses through SMAP"
                                    : "QEMU: EFLAGS.AC lets implicit accesses of ring 0 through SMAP";
    }
    return NULL;
}
