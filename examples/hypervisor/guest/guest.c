/* SPDX-License-Identifier: BSD-2-Clause */
/* The small guest's jobs, in ring 3: each computes something that its host can hold against another run. */
#include "program.h"

#include <stddef.h>
#include <stdint.h>

extern char user_stack_end[]; /* start.S */
extern volatile uint32_t guest_nmis, guest_nested;
extern volatile uint32_t guest_sends;

/* --- the console, the power port ----------------------------------------------------------------------------------- */

static void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("ud2" : : "a"(value), "d"(port) : "r11", "memory");
}

static uint8_t in8(uint16_t port)
{
    unsigned at = port | 0x8000u;
    uint8_t value;

    __asm__ volatile("ud2" : "=a"(value), "+d"(at) : : "r11", "memory");
    return value;
}

static void print(const char *text)
{
    for (; *text != 0; text++)
        out8(0x3f8, (uint8_t)*text);
}

static char *put_number(char *at, uint64_t value, unsigned base)
{
    char digits[20];
    unsigned n = 0;

    do
        digits[n++] = "0123456789abcdef"[value % base];
    while ((value /= base) != 0);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

static void print_result(const char *name, uint64_t value)
{
    char line[32];
    char *end = put_number(line, value, 16);

    *end++ = '\n';
    *end = 0;
    print(name);
    print(" ");
    print(line);
}

/* What compilers call by these names. */
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int byte, size_t size);

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *at = to;

    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    void *at = to;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(byte) : "memory");
    return to;
}

/* --- compute: what programs are made of ----------------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state;
}

static uint32_t crc32(const uint8_t *bytes, size_t size)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void sift_down(uint32_t *heap, size_t root, size_t size)
{
    for (;;) {
        size_t child = 2 * root + 1;
        uint32_t value = heap[root];

        if (child >= size)
            return;
        if (child + 1 < size && heap[child + 1] > heap[child])
            child++;
        if (heap[child] <= value)
            return;
        heap[root] = heap[child];
        heap[child] = value;
        root = child;
    }
}

static void sort(uint32_t *values, size_t size)
{
    for (size_t i = size / 2; i-- > 0;)
        sift_down(values, i, size);
    while (size > 1) {
        uint32_t largest = values[0];

        values[0] = values[--size];
        values[size] = largest;
        sift_down(values, 0, size);
    }
}

static uint32_t values[4096];
static uint8_t text[65536];

/* Multiplication, division, shifts by variables, 128-bit products. */
static uint64_t arithmetic(uint32_t *state)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < 4000; i++) {
        uint64_t a = next_random(state), b = next_random(state) | 1;
        unsigned __int128 product = (unsigned __int128)(a << 29 ^ b) * (b << 31 | a);

        sum += (uint64_t)(product >> 64) ^ (uint64_t)product;
        sum = sum << (a & 31) | sum >> (63 - (a & 31));
        sum ^= (a << 32 | b) / b + (uint64_t)((int64_t)sum % (int64_t)b);
    }
    return sum;
}

static size_t format_values(void)
{
    char *at = (char *)text;

    for (unsigned i = 0; i < 4096; i++) {
        at = put_number(at, values[i], i & 1 ? 10 : 16);
        *at++ = ' ';
    }
    return (size_t)(at - (char *)text);
}

static void compute(void)
{
    uint32_t state = 1;
    size_t length;

    for (unsigned i = 0; i < 4096; i++)
        values[i] = next_random(&state);
    sort(values, 4096);
    length = format_values();
    print_result("compute: text", crc32(text, length));
    memcpy(text + 30000, text, 20000);
    memset(text + 10000, 0xa5, 5000);
    print_result("compute: memory", crc32(text, sizeof(text)));
    print_result("compute: arithmetic", arithmetic(&state));
}

/* --- dirty: writes all over memory, forgets nothing; rounds=N ------------------------------------------------------------------ */

enum {
    FIELD = 0x1000000, /* the field that is written begins here, */
    FIELD_SIZE = 0x40000,
};

static void dirty(uint64_t rounds)
{
    volatile uint64_t *field = (volatile uint64_t *)FIELD;
    uint32_t state = 7;
    uint64_t sum = 0;

    for (uint64_t i = 0; i < rounds; i++) {
        uint32_t at = next_random(&state) >> 8;

        field[(at % FIELD_SIZE) / 8] += i;
    }
    for (unsigned i = 0; i < FIELD_SIZE / 8; i++)
        sum = sum * 31 + field[i];
    print_result("dirty: field", sum);
}

/* --- mmio: the I/O APIC's registers, through an index ---------------------------------------------------------------- */

static void store_string(volatile uint32_t *to, uint32_t value)
{
    __asm__ volatile("stosl" : "+D"(to) : "a"(value) : "memory");
}

static uint32_t load_string(volatile uint32_t *from)
{
    uint32_t value;
    uint32_t *to = &value;

    __asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
    return value;
}

static void mmio(void)
{
    volatile uint32_t *select = (volatile uint32_t *)0xfec00000;
    volatile uint32_t *window = (volatile uint32_t *)0xfec00010;
    uint32_t sum = 0;

    for (unsigned round = 0; round < 20; round++)
        for (unsigned pin = 0; pin < 24; pin++) {
            uint32_t value = (round * 24 + pin) << 24;

            store_string(select, 0x11 + 2 * pin); /* a redirection entry's upper half: the destination */
            __asm__ volatile("xchg %0, %1" : "+r"(value), "+m"(*window));
            __asm__ volatile("addl %1, %0" : "+m"(*window) : "i"(0x01000000));
            __asm__ volatile("xorl %1, %0" : "+m"(*window) : "r"(0x5a000000));
            sum = sum * 31 + load_string(window) + *select + (value >> 31);
        }
    print_result("mmio: sum", sum);
}

/* --- nmi: one that this processor sends to itself, another that its handler sends ------------------------------------ */

static void nmi(void)
{
    volatile uint32_t *command = (volatile uint32_t *)0xfee00300;

    guest_sends = 1;
    command[4] = 0;      /* upper half, at 310H: to the processor with number 0 */
    command[0] = 0x4400; /* an NMI */
    for (unsigned i = 0; i < 100000000 && guest_nmis < 2; i++)
        __asm__ volatile("pause");
    print_result("nmi: seen", guest_nmis);
    print_result("nmi: nested", guest_nested);
}

/* --- wait: for an NMI from outside ------------------------------------------------------------------------------------ */

static void wait(void)
{
    print("wait: ready\n");
    while (guest_nmis == 0)
        __asm__ volatile("pause");
    print_result("wait: NMIs", guest_nmis);
}

/* --- apic: a register of the local APIC counts, and time goes on; rounds=N ----------------------------------------------- */

static uint64_t time_stamp(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static void apic(uint64_t rounds)
{
    volatile uint32_t *destination = (volatile uint32_t *)0xfee00310;
    uint64_t time = time_stamp(), backwards = 0;
    uint32_t sum = 0;

    print("apic: ready\n");
    *destination = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t now = time_stamp();

        backwards += now < time;
        time = now;
        __asm__ volatile("addl %1, %0" : "+m"(*destination) : "i"(0x01000000));
        sum = sum * 31 + (*destination >> 24);
    }
    print_result("apic: sum", sum);
    print_result("apic: backwards", backwards);
}

/* --- echo: what is typed, until q ------------------------------------------------------------------------------------- */

static void echo(void)
{
    uint8_t byte;

    print("echo: ready\n");
    do {
        while (!(in8(0x3fd) & 1))
            ;
        byte = in8(0x3f8);
        print_result("echo:", byte);
    } while (byte != 'q');
}

/* --- peek: reads its own code, the next instruction, where lockstep stops KVM: a program that sees the difference ------ */

static void peek(void)
{
    __asm__ volatile("movzbl 1f(%%rip), %%eax\n\t"
                     "1: ud2"
                     :
                     : "d"(0x3f8)
                     : "rax", "r11", "memory");
    print("peek: done\n");
}

/* --- the beginning ----------------------------------------------------------------------------------------------------- */

static int has_word(const char *line, const char *word)
{
    for (; *line != 0; line++) {
        size_t n = 0;

        while (word[n] != 0 && line[n] == word[n])
            n++;
        if (word[n] == 0 && (line[n] == 0 || line[n] == ' '))
            return 1;
    }
    return 0;
}

static uint64_t number_after(const char *line, const char *word)
{
    uint64_t value = 0;
    size_t n = 0;

    for (; *line != 0 && word[n] != 0; line++)
        n = *line == word[n] ? n + 1 : 0;
    for (; *line >= '0' && *line <= '9'; line++)
        value = value * 10 + (uint64_t)(*line - '0');
    return value;
}

void guest_main(const char *command_line);
struct guest_start guest_begin(char *command_line, const uint8_t *zero_page);

/* In ring 0: what ring 3 is to do. */
struct guest_start guest_begin(char *command_line, const uint8_t *zero_page)
{
    if (has_word(command_line, "job=program"))
        return program_start(zero_page, command_line);
    return (struct guest_start){(uint64_t)guest_main, (uint64_t)user_stack_end};
}

void guest_main(const char *command_line)
{
    if (has_word(command_line, "job=compute"))
        compute();
    if (has_word(command_line, "job=dirty"))
        dirty(number_after(command_line, "rounds="));
    if (has_word(command_line, "job=mmio"))
        mmio();
    if (has_word(command_line, "job=nmi"))
        nmi();
    if (has_word(command_line, "job=apic"))
        apic(number_after(command_line, "rounds="));
    if (has_word(command_line, "job=echo"))
        echo();
    if (has_word(command_line, "job=peek"))
        peek();
    if (has_word(command_line, "job=wait"))
        wait();
    print("guest: done\n");
    out8(0x600, 1);
    for (;;)
        __asm__ volatile("pause");
}
