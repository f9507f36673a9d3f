/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks the processor and the library the same questions and tells on the serial line where they disagree. */
#include "machine.h"

enum {
    SERIAL = 0x3f8,
    MOST_SHOWN = 20,
};

/* Eight bytes at a time where possible: the machines interpret each step. */
void *memset(void *to, int value, size_t count)
{
    size_t words = count / 8;
    void *at = to;

    __asm__ volatile("rep stosq"
                     : "+D"(at), "+c"(words)
                     : "a"((uint8_t)value * UINT64_C(0x0101010101010101))
                     : "memory");
    count %= 8;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(value) : "memory");
    return to;
}

void *memcpy(void *to, const void *from, size_t count)
{
    size_t words = count / 8;
    void *at = to;

    __asm__ volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
    count %= 8;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(count) : : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t count)
{
    const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;

    for (size_t i = 0; i < count; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

/* --- the serial line ----------------------------------------------------------------------------------------------- */

static void print(const char *text)
{
    for (; *text != '\0'; text++) {
        while (!(inb(SERIAL + 5) & 0x20))
            continue;
        outb(SERIAL, (uint8_t)*text);
    }
}

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

static void print_question(const struct question *q)
{
    static const char *const modes[] = {"flat", "32-bit", "PAE", "64-bit"};

    print("guest ");
    print(modes[q->mode]);
    print_hex(" cr0 ", q->paging.cr0);
    print_hex(" cr4 ", q->paging.cr4);
    print_hex(" efer ", q->paging.efer);
    print_hex(" rflags ", q->paging.rflags);
    print_hex(" pkru ", q->paging.pkru);
    print_hex(" pointer ", q->pointer);
    print(q->format.execute_disable ? " nx" : "");
    print(q->format.mode_based_execute ? " mbe" : "");
    print_hex("; access ", q->access);
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
} reasons[16];

static void count_reason(const char *why)
{
    for (unsigned i = 0; i < 16; i++) {
        if (reasons[i].why == NULL)
            reasons[i].why = why;
        if (reasons[i].why == why) {
            reasons[i].count++;
            return;
        }
    }
}

static void one_walk(const struct x86emu_nested_format *offered, struct outcome (*run)(const struct question *q))
{
    static struct question q;
    struct outcome expected, actual;
    const char *why;

    q.value = (uint8_t)random_bits();
    make_question(&q, offered);
    expected = predict(&q);
    outcomes[expected.kind]++;
    if (expected.kind == LEFT_OUT)
        return;
    actual = run(&q);
    if (!(q.access & X86EMU_ACCESS_READ) || actual.kind != WENT_THROUGH)
        actual.value = 0;
    why = explain(&q, &expected, actual);
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

static void finish(void)
{
    while (!(inb(SERIAL + 5) & 0x40))
        continue;
    for (volatile unsigned i = 0; i < 1000000; i++)
        continue;
    outb(0xf4, 0);
    for (const char *text = "Shutdown"; *text != '\0'; text++)
        outb(0x8900, (uint8_t)*text);
}

void machine_main(void);
void machine_main(void)
{
    struct x86emu_nested_format offered;
    bool vmx = false;

    outb(SERIAL + 3, 3); /* eight bits */
    random_state = PARAMETERS->seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    if (!svm_begin(&offered)) {
        vmx = vmx_begin(&offered);
        if (!vmx) {
            print("NONE neither SVM with nested paging nor VMX with EPT\n");
            finish();
            return;
        }
    }
    for (uint64_t i = 0; i < PARAMETERS->walks; i++)
        one_walk(&offered, vmx ? vmx_run : svm_run);
    for (unsigned i = 0; i <= LEFT_OUT; i++) {
        print(i == 0 ? "OUTCOMES " : ", ");
        print_number(outcomes[i]);
        print(" ");
        print(names[i]);
    }
    print("\n");
    for (unsigned i = 0; i < 16 && reasons[i].why != NULL; i++) {
        print("EXPLAINED ");
        print_number(reasons[i].count);
        print(" ");
        print(reasons[i].why);
        print("\n");
    }
    print("DONE ");
    print_number(PARAMETERS->walks - outcomes[LEFT_OUT]);
    print(" ");
    print_number(unexplained);
    print("\n");
    finish();
}
