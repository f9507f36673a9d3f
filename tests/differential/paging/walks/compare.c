/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks the processor and the library the same questions and tells where they disagree. */
#include "walks.h"

enum {
    MOST_SHOWN = 20,
    MOST_REASONS = 16,
};

/* --- words --------------------------------------------------------------------------------------------------------- */

static void print_hex(const char *name, uint64_t value)
{
    char digits[17] = "0000000000000000";
    unsigned first = 15;

    for (unsigned i = 16; i-- > 0; value >>= 4) {
        digits[i] = "0123456789abcdef"[value & 15];
        if (digits[i] != '0')
            first = i;
    }
    print(name);
    print(digits + first);
}

static void print_number(uint64_t value)
{
    char digits[21];
    unsigned i = 20;

    digits[i] = '\0';
    do {
        digits[--i] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print(digits + i);
}

/* --- comparison ---------------------------------------------------------------------------------------------------- */

static uint64_t outcomes[LEFT_OUT + 1], unexplained;
static const char *const names[] = {"went through",  "guest faults",   "nested faults",
                                    "misconfigured", "something else", "left out"};

static void print_outcome(const char *who, const struct outcome *o)
{
    print(who);
    print(names[o->kind]);
    print_hex(" fault ", o->fault);
    print_hex(" address ", o->address);
    print_hex(" value ", o->value);
}

const char *mode_name(enum guest_mode mode)
{
    static const char *const modes[] = {"no", "32-bit", "PAE", "64-bit"};

    return modes[mode];
}

static void print_question(const struct question *q)
{
    print("guest with ");
    print(mode_name(q->mode));
    print_hex(" paging, cr0 ", q->paging.cr0);
    print_hex(" cr4 ", q->paging.cr4);
    print_hex(" efer ", q->paging.efer);
    print_hex(" rflags ", q->paging.rflags);
    print_hex(" pkru ", q->paging.pkru);
    print_hex(" pkrs ", q->paging.pkrs);
    print_hex(" pointer ", q->pointer);
    print(q->format.execute_disable ? " nx" : "");
    print(q->format.mode_based_execute ? " mbe" : "");
    print(q->user ? "; ring 3" : "; ring 0");
    print_hex(" access ", q->access);
    print_hex(" la ", q->la);
    print("\n");
}

static void print_memory(void)
{
    const uint64_t *now = (const uint64_t *)POOL, *before = (const uint64_t *)(void *)BEFORE,
                   *expected = (const uint64_t *)(void *)EXPECTED;
    unsigned shown = 0;

    for (unsigned i = 0; i < POOL_SIZE / 8; i++) {
        if (now[i] == expected[i] || ++shown > 8)
            continue;
        print_hex("  at ", POOL + i * 8);
        print_hex(": ", before[i]);
        print_hex(" became ", now[i]);
        print_hex(" instead of ", expected[i]);
        print("\n");
    }
}

/* Reasons that were found, with how many differences each explains. */
static struct {
    const char *why;
    uint64_t count;
} reasons[MOST_REASONS];

static void count_reason(const char *why)
{
    for (unsigned i = 0; i < MOST_REASONS; i++) {
        if (reasons[i].why == NULL)
            reasons[i].why = why;
        if (reasons[i].why == why) {
            reasons[i].count++;
            return;
        }
    }
}

static void one_walk(const struct processor *processor)
{
    static struct question q;
    struct outcome expected, other, actual;
    const char *why, *reason;

    q.value = (uint32_t)random_bits();
    make_question(&q, processor);
    forget_reads();
    expected = predict(&q, FIRST_PAGE_FIRST, EXPECTED);
    reason = predict_other(&q, &other, OTHER);
    if (reason != NULL && other.kind == LEFT_OUT)
        expected.kind = LEFT_OUT;
    outcomes[expected.kind]++;
    if (expected.kind == LEFT_OUT)
        return;
    actual = processor->run(&q);
    if (!tells_value(&q) || actual.kind != WENT_THROUGH)
        actual.value = 0;
    why = explain(&q, &expected, EXPECTED, actual);
    if (why == NULL && reason != NULL && explain(&q, &other, OTHER, actual) != NULL)
        why = reason;
    if (why != NULL && *why != '\0')
        count_reason(why);
    if (why != NULL || ++unexplained > MOST_SHOWN)
        return;
    print("MISMATCH ");
    print_question(&q);
    print_outcome("  processor: ", &actual);
    print_outcome("\n  library:   ", &expected);
    print("\n");
    print_memory();
}

static void print_figures(void)
{
    for (unsigned i = 0; i <= LEFT_OUT; i++) {
        print(i == 0 ? "OUTCOMES " : ", ");
        print_number(outcomes[i]);
        print(" ");
        print(names[i]);
    }
    print("\n");
    for (unsigned i = 0; i < MOST_REASONS && reasons[i].why != NULL; i++) {
        print("EXPLAINED ");
        print_number(reasons[i].count);
        print(" ");
        print(reasons[i].why);
        print("\n");
    }
}

static void print_features(const struct processor *p)
{
    const struct {
        bool there;
        const char *name;
    } features[] = {
        {p->page1gb, ", 1G pages"},
        {p->la57, ", 5-level paging"},
        {p->smep, ", SMEP"},
        {p->smap, ", SMAP"},
        {p->implicit, ", implicit accesses"},
        {p->pke, ", PKU"},
        {p->pks, ", PKS"},
        {p->nested && p->format.type == X86EMU_NESTED_NPT, ", NPT"},
        {p->nested && p->format.type == X86EMU_NESTED_EPT, ", EPT"},
        {p->nested && p->format.levels == 5, ", with 5 levels"},
        {p->format.page_1g, ", nested 1G pages"},
        {p->format.accessed_dirty, ", accessed/dirty bits"},
        {p->format.execute_only, ", execute-only"},
        {p->format.mode_based_execute, ", mode-based execute"},
        {p->format.advanced_violations, ", advanced violations"},
    };

    print("FEATURES paging");
    for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        print(features[i].there ? features[i].name : "");
    print("\n");
}

void compare(const struct processor *processor, uint64_t seed, uint64_t walks)
{
    print_features(processor);
    random_state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (uint64_t i = 0; i < walks; i++)
        one_walk(processor);
    print_figures();
    print("DONE ");
    print_number(walks - outcomes[LEFT_OUT]);
    print(" ");
    print_number(unexplained);
    print("\n");
}
