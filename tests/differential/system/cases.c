/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbered cases: each comes from its number and the seed alone. */
#include "instructions.h"

static uint64_t state;

/* splitmix64 */
uint64_t random_number(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

unsigned random_below(unsigned limit)
{
    return (unsigned)((random_number() >> 32) * limit >> 32);
}

bool one_in(unsigned n)
{
    return random_below(n) == 0;
}

struct family {
    const char *name;
    void (*make)(struct maker *m);
    uint8_t weight;
};

static const struct family families[] = {
    {"segment", make_mov_sreg, 6}, {"pop", make_pop_sreg, 4},      {"read", make_read_sreg, 1},
    {"pointer", make_far_load, 4}, {"far", make_far_branch, 8},    {"retf", make_retf, 5},
    {"iret", make_iret, 8},        {"int", make_int, 8},           {"bound", make_bound, 1},
    {"syscall", make_syscall, 4},  {"flags", make_flags, 4},       {"port", make_port, 4},
    {"query", make_query, 5},      {"store", make_store_table, 2}, {"load", make_load_table, 3},
    {"task", make_load_task, 3},   {"msw", make_status_word, 2},   {"control", make_control, 5},
    {"debug", make_debug, 4},      {"msr", make_msr, 3},           {"base", make_base, 2},
    {"invlpg", make_invlpg, 1},    {"plain", make_plain, 10},      {"fault", make_fault, 3},
};

enum {
    FAMILIES = sizeof(families) / sizeof(families[0]),
};

static const struct family *any_family(void)
{
    unsigned total = 0, chosen;

    for (unsigned i = 0; i < FAMILIES; i++)
        total += families[i].weight;
    chosen = random_below(total);
    for (unsigned i = 0;; i++) {
        if (chosen < families[i].weight)
            return &families[i];
        chosen -= families[i].weight;
    }
}

void instruction_make(struct maker *m)
{
    menu_forget();
    any_family()->make(m);
    menu_recall(m->c);
    m->c->code_size = m->size;
}

static void decode(struct test_case *c, bool amd)
{
    struct x86emu_insn insn;
    uint32_t mode = (uint32_t)c->mode | (amd ? (uint32_t)X86EMU_DECODE_AMD : 0);

    c->form = 0;
    if (x86emu_decode(&insn, c->world + c->code, X86EMU_MAX_INSN_LENGTH, mode) == X86EMU_DECODE_OK)
        c->form = insn.form;
}

/* All three environments, with more of the first. */
static void make(const struct case_options *options, uint64_t from, struct test_case *c)
{
    static uint8_t templates[3][WORLD_SIZE];

    if (get32(templates[0], W_CR0) == 0)
        world_templates(templates);
    state = from;
    c->environment = random_below(8);
    c->environment =
        c->environment < 4 ? ENVIRONMENT_PROTECTED : (c->environment < 7 ? ENVIRONMENT_LONG : ENVIRONMENT_REAL);
    if (options->environment >= 0)
        c->environment = (uint32_t)options->environment;
    c->not_for_qemu = false;
    memcpy(c->world, templates[c->environment], WORLD_SIZE);
    for (unsigned offset = W_STACKS; offset < WORLD_SIZE; offset += 8)
        put(c->world, offset, random_number(), 8);
    if (c->environment == ENVIRONMENT_PROTECTED)
        cases_protected(c);
    else if (c->environment == ENVIRONMENT_LONG)
        cases_long(c);
    else
        cases_real(c);
    decode(c, options->amd);
}

enum {
    MOST_TRIES = 4096, /* for a case of the wanted mnemonic */
};

void cases_make(const struct case_options *options, uint32_t number, struct test_case *c)
{
    uint64_t from = options->seed * UINT64_C(0xd1342543de82ef95) + ((uint64_t)number << 16);

    for (unsigned i = 0; i < MOST_TRIES; i++) {
        make(options, from + i, c);
        c->number = number;
        if (options->only == NULL || strcmp(x86emu_mnemonic_name(x86emu_form_mnemonic(c->form)), options->only) == 0)
            return;
    }
}
