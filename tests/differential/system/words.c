/* SPDX-License-Identifier: BSD-2-Clause */
/* A case and its outcomes in words. */
#include "judge.h"

#include <x86emu/format.h>

#include <stdio.h>

/* What is where in the world. */
struct place {
    uint16_t offset, size;
    const char *name;
};

static const struct place places[] = {
    {W_CR0, 4, "CR0"},
    {W_CR2, 4, "CR2"},
    {W_CR3, 4, "CR3"},
    {W_CR4, 4, "CR4"},
    {W_EFER, 4, "EFER"},
    {W_DR, 4, "DR0"},
    {W_DR + 4, 4, "DR1"},
    {W_DR + 8, 4, "DR2"},
    {W_DR + 12, 4, "DR3"},
    {W_DR + 16, 4, "DR6"},
    {W_DR + 20, 4, "DR7"},
    {W_GDTR, 12, "GDTR"},
    {W_IDTR, 12, "IDTR"},
    {W_LDTR, 4, "LDTR/TR"},
    {W_VECTOR, 4, "vector"},
    {W_PUSHED, 4, "pushed"},
    {W_ERROR, 4, "error code"},
    {W_LINK, 4, "interrupted task"},
    {W_ENTRIES, 64, "page-table entry"},
    {W_MSR, 56, "MSR"},
    {W_MSR + 56, 8, "FS base"},
    {W_MSR + 64, 8, "GS base"},
    {W_MSR + 72, 8, "kernel GS base"},
    {W_GPR, 8, "RAX"},
    {W_GPR + 0x08, 8, "RCX"},
    {W_GPR + 0x10, 8, "RDX"},
    {W_GPR + 0x18, 8, "RBX"},
    {W_GPR + 0x20, 8, "RSP/CR2"},
    {W_GPR + 0x28, 8, "RBP"},
    {W_GPR + 0x30, 8, "RSI"},
    {W_GPR + 0x38, 8, "RDI"},
    {W_GPR + 0x40, 64, "R8 on"},
    {W_FRAME, 8, "frame RIP"},
    {W_FRAME + 8, 8, "frame CS"},
    {W_FRAME + 16, 8, "frame RFLAGS"},
    {W_FRAME + 24, 8, "frame RSP"},
    {W_FRAME + 32, 8, "frame SS"},
    {W_SELECTOR, 12, "selectors ES CS SS DS FS GS"},
    {W_TSS_A, 4, "TSS A link"},
    {W_TSS_A + 0x1c, 4, "TSS A CR3"},
    {W_TSS_A + 0x20, 4, "TSS A EIP"},
    {W_TSS_A + 0x24, 4, "TSS A EFLAGS"},
    {W_TSS_A + 0x28, 4, "TSS A EAX"},
    {W_TSS_A + 0x2c, 4, "TSS A ECX"},
    {W_TSS_A + 0x30, 4, "TSS A EDX"},
    {W_TSS_A + 0x34, 4, "TSS A EBX"},
    {W_TSS_A + 0x38, 4, "TSS A ESP"},
    {W_TSS_A + 0x3c, 4, "TSS A EBP"},
    {W_TSS_A + 0x40, 4, "TSS A ESI"},
    {W_TSS_A + 0x44, 4, "TSS A EDI"},
    {W_TSS_A + 0x48, 4, "TSS A ES"},
    {W_TSS_A + 0x4c, 4, "TSS A CS"},
    {W_TSS_A + 0x50, 4, "TSS A SS"},
    {W_TSS_A + 0x54, 4, "TSS A DS"},
    {W_TSS_A + 0x58, 4, "TSS A FS"},
    {W_TSS_A + 0x5c, 4, "TSS A GS"},
    {W_TSS_A, 0x100, "TSS A"},
    {W_TSS_B, 0x100, "TSS B"},
    {W_TSS_C, 0x80, "TSS C"},
    {W_TSS_D, 0x80, "TSS D"},
    {W_TSS_64, 0x100, "64-bit TSS"},
    {W_TSS_E, 0x100, "TSS E"},
    {W_GDT, 0x300, "GDT"},
    {W_LDT, 0x80, "LDT"},
    {W_IDT, 0x400, "IDT"},
    {W_STACKS, STACK_SIZE, "stack 0"},
    {W_STACKS + STACK_SIZE, STACK_SIZE, "stack 1"},
    {W_STACKS + 2 * STACK_SIZE, STACK_SIZE, "stack 2"},
    {W_STACKS + 3 * STACK_SIZE, STACK_SIZE, "stack 3"},
    {W_IST, 0x100, "IST stack"},
    {W_DATA, WORLD_SIZE - W_DATA, "data"},
    {0, WORLD_SIZE, "world"},
};

static void name_place(unsigned offset, char *text, size_t room)
{
    unsigned i = 0;

    while (offset < places[i].offset || offset >= places[i].offset + places[i].size)
        i++;
    if (offset == places[i].offset && places[i].size <= 4)
        snprintf(text, room, "%s", places[i].name);
    else
        snprintf(text, room, "%s+%#x", places[i].name, offset - places[i].offset);
}

/* What differs from what was before, in any outcome. */
static bool changed(const struct test_case *c, struct outcome o[MODEL_COUNT], unsigned offset)
{
    for (unsigned i = 0; i < MODEL_COUNT; i++)
        if (o[i].present && !o[i].shutdown && get32(o[i].world, offset) != get32(c->world, offset))
            return true;
    return false;
}

static void print_changes(const struct test_case *c, struct outcome o[MODEL_COUNT])
{
    printf("    %-28s %-9s", "", "before");
    for (unsigned i = 0; i < MODEL_COUNT; i++)
        printf(" %-9s", !o[i].present ? "absent" : (o[i].shutdown ? "shutdown" : model_names[i]));
    printf("\n");
    for (unsigned offset = 0; offset < WORLD_SIZE; offset += 4) {
        bool differs = false;
        char text[60];

        if (!changed(c, o, offset))
            continue;
        for (unsigned i = 1; i < MODEL_COUNT; i++) {
            const struct comparison k = {.c = c, .model = i, .ours = &o[0], .theirs = &o[i]};

            differs = differs || (o[0].present && o[i].present && difference_counts(&k, offset));
        }
        name_place(offset, text, sizeof(text));
        printf("  %c %-28s %08x ", differs ? '*' : ' ', text, get32(c->world, offset));
        for (unsigned i = 0; i < MODEL_COUNT; i++)
            if (o[i].present && !o[i].shutdown)
                printf(" %08x ", get32(o[i].world, offset));
            else
                printf(" %-9s", "-");
        printf("\n");
    }
}

static void print_code(const struct test_case *c)
{
    struct x86emu_insn insn;
    char text[X86EMU_FORMAT_ROOM];

    for (unsigned at = 0; at < c->code_size; at += insn.length) {
        if (x86emu_decode(&insn, c->world + c->code + at, X86EMU_MAX_INSN_LENGTH, (uint32_t)c->mode) !=
            X86EMU_DECODE_OK) {
            printf("    %-40s", "(invalid)");
            for (unsigned i = at; i < c->code_size; i++)
                printf(" %02x", c->world[c->code + i]);
            printf("\n");
            return;
        }
        x86emu_format(&insn, c->code + at, text, sizeof(text));
        printf("    %-40s", text);
        for (unsigned i = 0; i < insn.length; i++)
            printf(" %02x", c->world[c->code + at + i]);
        printf("\n");
    }
}

static void print_descriptor(const char *table, unsigned selector, const uint8_t *d)
{
    printf("    %s %#x: %08x %08x\n", table, selector, get32(d, 4), get32(d, 0));
}

/* Descriptors of selectors that the code, the stack or registers may name. */
static void print_selector(const struct test_case *c, unsigned selector)
{
    if (selector & 4 && selector < 8 * 16)
        print_descriptor("LDT", selector, c->world + W_LDT + (selector & ~7u));
    else if (!(selector & 4) && selector < GDT_LIMIT)
        print_descriptor("GDT", selector, c->world + W_GDT + (selector & ~7u));
}

void print_case(const struct test_case *c, struct outcome outcomes[MODEL_COUNT])
{
    static const char *const environments[] = {"protected mode", "long mode", "real mode"};
    bool is_protected = c->environment == ENVIRONMENT_PROTECTED;
    uint32_t flags = get32(c->world, is_protected ? W_TSS_A + 0x24 : W_FRAME + 16);

    printf("case %u: %s, %u-bit code%s, CR0 %x, CR4 %x, EFER %x, DR7 %x, flags %x\n", c->number,
           environments[c->environment], 16u << c->mode, is_protected && flags & X86EMU_RFLAGS_VM ? " in vm86" : "",
           get32(c->world, W_CR0), get32(c->world, W_CR4), get32(c->world, W_EFER), get32(c->world, W_DR + 20), flags);
    if (is_protected)
        printf("    CS %x EIP %x SS %x ESP %x DS %x\n", get32(c->world, W_TSS_A + 0x4c),
               get32(c->world, W_TSS_A + 0x20), get32(c->world, W_TSS_A + 0x50), get32(c->world, W_TSS_A + 0x38),
               get32(c->world, W_TSS_A + 0x54));
    else
        printf("    CS %x RIP %x SS %x RSP %x\n", get32(c->world, W_FRAME + 8), get32(c->world, W_FRAME),
               get32(c->world, W_FRAME + 32), get32(c->world, W_FRAME + 24));
    for (unsigned i = 0; i < 8; i++)
        printf("%s%x", i == 0 ? "    registers " : " ",
               get32(c->world, is_protected ? W_TSS_A + 0x28 + 4 * i : W_GPR + 8 * i));
    printf("\n");
    print_code(c);
    for (unsigned i = 0; i < 9 && c->selectors[i] != 0; i++)
        print_selector(c, c->selectors[i]);
    print_changes(c, outcomes);
}
