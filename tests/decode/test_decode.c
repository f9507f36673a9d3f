/* SPDX-License-Identifier: BSD-2-Clause */
/* Decoding: fields, operands, truncation at every byte, bytes flush against an unmapped page, bad input. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <x86emu/format.h>
#include <x86emu/insn.h>

/* A row of the corpus: valid encodings of every shape. */
static const struct {
    enum x86emu_mode mode;
    const char *mnemonic;
    uint8_t length;
    uint8_t bytes[15];
} corpus[] = {
    {X86EMU_MODE_64, "nop", 1, {0x90}},
    {X86EMU_MODE_64, "mov", 2, {0x89, 0x03}},
    {X86EMU_MODE_64, "mov", 3, {0x48, 0x89, 0x03}},
    {X86EMU_MODE_64, "mov", 8, {0xc7, 0x44, 0x8b, 0x20, 0x78, 0x56, 0x34, 0x12}},
    {X86EMU_MODE_64, "mov", 9, {0xa1, 1, 2, 3, 4, 5, 6, 7, 8}},
    {X86EMU_MODE_64, "mov", 6, {0x67, 0xa1, 1, 2, 3, 4}},
    {X86EMU_MODE_64, "mov", 10, {0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8}},
    {X86EMU_MODE_64, "mov", 4, {0x66, 0xb8, 1, 2}},
    {X86EMU_MODE_64, "movzx", 8, {0x0f, 0xb6, 0x84, 0x88, 0x44, 0x33, 0x22, 0x11}},
    {X86EMU_MODE_64, "movsxd", 3, {0x4c, 0x63, 0xc0}},
    {X86EMU_MODE_64, "add", 12, {0xf0, 0x81, 0x84, 0x25, 1, 2, 3, 4, 5, 6, 7, 8}},
    {X86EMU_MODE_64, "add", 7, {0x83, 0x05, 1, 2, 3, 4, 5}},
    {X86EMU_MODE_64, "stosd", 2, {0xf3, 0xab}},
    {X86EMU_MODE_64, "movsw", 3, {0x66, 0xf3, 0xa5}},
    {X86EMU_MODE_64, "enter", 4, {0xc8, 0x34, 0x12, 0x05}},
    {X86EMU_MODE_64, "jnz", 6, {0x0f, 0x85, 1, 2, 3, 4}},
    {X86EMU_MODE_64, "fld", 3, {0xd9, 0x40, 0x10}},
    {X86EMU_MODE_64, "pfadd", 4, {0x0f, 0x0f, 0xc1, 0x9e}},
    {X86EMU_MODE_64, "extrq", 6, {0x66, 0x0f, 0x78, 0xc1, 0x05, 0x06}},
    {X86EMU_MODE_64, "vmovdqu", 4, {0xc5, 0xfa, 0x6f, 0x03}},
    {X86EMU_MODE_64, "vpgatherdd", 6, {0xc4, 0xe2, 0x69, 0x90, 0x0c, 0x80}},
    {X86EMU_MODE_64, "vmovdqu64", 7, {0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x43, 0x01}},
    /* L'L is rounding control here; with a memory operand the same bits would be invalid */
    {X86EMU_MODE_64, "vaddps", 6, {0x62, 0xf1, 0x7c, 0x78, 0x58, 0xc1}},
    {X86EMU_MODE_64, "blcfill", 5, {0x8f, 0xe9, 0x78, 0x01, 0xc8}},
    {X86EMU_MODE_32, "arpl", 2, {0x63, 0xc8}},
    {X86EMU_MODE_32, "call", 7, {0x9a, 1, 2, 3, 4, 5, 6}},
    {X86EMU_MODE_32, "inc", 1, {0x47}},
    {X86EMU_MODE_32, "mov", 5, {0x66, 0x67, 0x89, 0x47, 0x12}},
    {X86EMU_MODE_16, "mov", 4, {0x89, 0x06, 0x34, 0x12}},
    {X86EMU_MODE_16, "mov", 7, {0x66, 0xc7, 0x07, 1, 2, 3, 4}},
    {X86EMU_MODE_16, "call", 5, {0x9a, 1, 2, 3, 4}},
    {X86EMU_MODE_16, "add", 10, {0x67, 0x66, 0x81, 0x44, 0x24, 0x08, 1, 2, 3, 4}},
};

#define CORPUS (sizeof(corpus) / sizeof(corpus[0]))

static const char *mnemonic_of(const struct x86emu_insn *insn)
{
    return x86emu_mnemonic_name(x86emu_form_mnemonic(insn->form));
}

Test(decode, F2_lengths_and_mnemonics)
{
    for (size_t i = 0; i < CORPUS; i++) {
        struct x86emu_insn insn;

        cr_assert_eq(x86emu_decode(&insn, corpus[i].bytes, 15, corpus[i].mode), X86EMU_DECODE_OK, "row %zu", i);
        cr_assert_eq(insn.length, corpus[i].length, "row %zu: length %u", i, insn.length);
        cr_assert_str_eq(mnemonic_of(&insn), corpus[i].mnemonic, "row %zu", i);
    }
}

/* Every proper prefix is truncated, with a bound that is more than there is and no more than is needed. */
Test(decode, truncation_at_every_byte)
{
    for (size_t i = 0; i < CORPUS; i++) {
        for (size_t size = 0; size < corpus[i].length; size++) {
            struct x86emu_insn insn;

            cr_assert_eq(x86emu_decode(&insn, corpus[i].bytes, size, corpus[i].mode), X86EMU_DECODE_TRUNCATED,
                         "row %zu, %zu bytes", i, size);
            cr_assert(insn.length > size && insn.length <= corpus[i].length, "row %zu, %zu bytes: bound %u", i, size,
                      insn.length);
        }
    }
}

/* Each byte string, and each prefix of it, ends where memory ends: one byte too many read is a crash. */
Test(decode, flush_against_an_unmapped_page)
{
    const size_t page = 4096;
    uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    cr_assert(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    for (size_t i = 0; i < CORPUS; i++) {
        for (size_t size = 0; size <= corpus[i].length; size++) {
            uint8_t *bytes = pages + page - size;
            struct x86emu_insn insn;
            enum x86emu_decode_status status;

            memcpy(bytes, corpus[i].bytes, size);
            status = x86emu_decode(&insn, bytes, size, corpus[i].mode);
            cr_assert_eq(status, size == corpus[i].length ? X86EMU_DECODE_OK : X86EMU_DECODE_TRUNCATED);
        }
    }
    munmap(pages, 2 * page);
}

Test(decode, F2_fields_of_one_instruction)
{
    /* lock add qword fs:[r13+r9*4-0x10], 0x7f */
    const uint8_t bytes[] = {0x64, 0xf0, 0x4b, 0x83, 0x44, 0x8d, 0xf0, 0x7f};
    struct x86emu_operand memory, immediate, none;
    struct x86emu_insn insn;

    cr_assert_eq(x86emu_decode(&insn, bytes, sizeof(bytes), X86EMU_MODE_64), X86EMU_DECODE_OK);
    cr_assert_eq(insn.prefixes, X86EMU_PREFIX_LOCK | X86EMU_PREFIX_SEGMENT);
    cr_assert_eq(insn.segment, X86EMU_FS);
    cr_assert_eq(insn.rex, X86EMU_REX_PRESENT | X86EMU_REX_W | X86EMU_REX_X | X86EMU_REX_B);
    cr_assert_eq(insn.operand_size, 8);
    cr_assert_eq(insn.address_size, 8);
    cr_assert_eq(insn.opcode, 0x83);
    cr_assert_eq(insn.opcode_offset, 3);
    cr_assert_eq(insn.disp, -0x10);
    cr_assert_eq(insn.disp_size, 1);
    cr_assert_eq(insn.imm_size, 1);
    cr_assert(x86emu_insn_operand(&insn, 0, &memory));
    cr_assert(x86emu_insn_operand(&insn, 1, &immediate));
    cr_assert(!x86emu_insn_operand(&insn, 2, &none));
    cr_assert_eq(memory.kind, X86EMU_OPERAND_MEM);
    cr_assert_eq(memory.access, X86EMU_OPERAND_READ | X86EMU_OPERAND_WRITTEN);
    cr_assert_eq(memory.size, 8);
    cr_assert_eq(memory.mem.segment, X86EMU_FS);
    cr_assert_eq(memory.mem.base.number, 13);
    cr_assert_eq(memory.mem.index.number, 9);
    cr_assert_eq(memory.mem.scale, 4);
    cr_assert_eq(memory.mem.disp, -0x10);
    cr_assert_eq(immediate.kind, X86EMU_OPERAND_IMM);
    cr_assert_eq(immediate.imm, 0x7f);
    cr_assert(sizeof(struct x86emu_insn) <= 64);
}

/* EVEX: an 8-bit displacement counts memory operands, or broadcast elements (SDM Vol. 2, 2.7.5). */
Test(decode, F2_compressed_displacement_and_broadcast)
{
    const uint8_t whole[] = {0x62, 0xf1, 0x7c, 0x49, 0x58, 0x43, 0x02};     /* vaddps zmm0{k1}, zmm0, [rbx+0x80] */
    const uint8_t broadcast[] = {0x62, 0xf1, 0x7c, 0x59, 0x58, 0x43, 0x02}; /* …, dword [rbx+8]{1to16} */
    struct x86emu_operand op;
    struct x86emu_insn insn;

    cr_assert_eq(x86emu_decode(&insn, whole, sizeof(whole), X86EMU_MODE_64), X86EMU_DECODE_OK);
    cr_assert(x86emu_insn_operand(&insn, 1, &op));
    cr_assert(op.reg.reg_class == X86EMU_REG_MASK && op.reg.number == 1);
    cr_assert(x86emu_insn_operand(&insn, 3, &op));
    cr_assert_eq(op.mem.disp, 0x80);
    cr_assert_eq(op.size, 64);
    cr_assert_eq(x86emu_decode(&insn, broadcast, sizeof(broadcast), X86EMU_MODE_64), X86EMU_DECODE_OK);
    cr_assert(x86emu_insn_operand(&insn, 3, &op));
    cr_assert_eq(op.mem.disp, 8);
    cr_assert_eq(op.size, 4);
    cr_assert_eq(op.broadcast, 16);
}

static void expect_status(const uint8_t *bytes, size_t size, unsigned mode, enum x86emu_decode_status status)
{
    struct x86emu_insn insn;

    cr_assert_eq(x86emu_decode(&insn, bytes, size, mode), status, "%02x %02x…: not %d", bytes[0], bytes[1], status);
}

Test(decode, invalid_lock_and_modes)
{
    const uint8_t lock_register[] = {0xf0, 0x01, 0xc0}, lock_read[] = {0xf0, 0x03, 0x03}, lock_cmp[] = {0xf0, 0x39, 3};
    const uint8_t push_es[] = {0x06, 0}, mov_to_cs[] = {0x8e, 0xc8}, mov_from_seg6[] = {0x8c, 0xf0};

    expect_status(lock_register, 3, X86EMU_MODE_64, X86EMU_DECODE_INVALID);
    expect_status(lock_read, 3, X86EMU_MODE_64, X86EMU_DECODE_INVALID);
    expect_status(lock_cmp, 3, X86EMU_MODE_64, X86EMU_DECODE_INVALID);
    expect_status(push_es, 1, X86EMU_MODE_64, X86EMU_DECODE_INVALID);
    expect_status(push_es, 1, X86EMU_MODE_32, X86EMU_DECODE_OK);
    expect_status(mov_to_cs, 2, X86EMU_MODE_64, X86EMU_DECODE_INVALID);
    expect_status(mov_from_seg6, 2, X86EMU_MODE_64, X86EMU_DECODE_INVALID);
}

Test(decode, longer_than_15_bytes)
{
    uint8_t bytes[20];

    memset(bytes, 0x66, sizeof(bytes));
    expect_status(bytes, sizeof(bytes), X86EMU_MODE_64, X86EMU_DECODE_TOO_LONG);
    expect_status(bytes, 15, X86EMU_MODE_64, X86EMU_DECODE_TOO_LONG);
    expect_status(bytes, 14, X86EMU_MODE_64, X86EMU_DECODE_TRUNCATED);
    bytes[14] = 0x90;
    expect_status(bytes, 15, X86EMU_MODE_64, X86EMU_DECODE_OK);
    bytes[14] = 0xb0; /* mov al, imm8: the sixteenth byte */
    expect_status(bytes, 20, X86EMU_MODE_64, X86EMU_DECODE_TOO_LONG);
}

Test(decode, bad_modes)
{
    const uint8_t nop[] = {0x90, 0x90};

    expect_status(nop, 2, 3, X86EMU_DECODE_BAD_MODE);
    expect_status(nop, 2, 255, X86EMU_DECODE_BAD_MODE);
    expect_status(nop, 2, X86EMU_MODE_64 | 1u << 20, X86EMU_DECODE_BAD_MODE);
    expect_status(nop, 2, X86EMU_MODE_64 | X86EMU_DECODE_AMD, X86EMU_DECODE_OK);
}

/* Only what changes with the vendor does (APM Vol. 3, 1.2.2: near branches). */
Test(decode, vendor_decides_size_of_66_prefixed_branches)
{
    const uint8_t jmp[] = {0x66, 0xe9, 1, 2, 3, 4};
    struct x86emu_insn insn;

    cr_assert_eq(x86emu_decode(&insn, jmp, sizeof(jmp), X86EMU_MODE_64), X86EMU_DECODE_OK);
    cr_assert_eq(insn.length, 6);
    cr_assert_eq(insn.operand_size, 8);
    cr_assert_eq(x86emu_decode(&insn, jmp, sizeof(jmp), X86EMU_MODE_64 | X86EMU_DECODE_AMD), X86EMU_DECODE_OK);
    cr_assert_eq(insn.length, 4);
    cr_assert_eq(insn.operand_size, 2);
}

/* What processors without a feature make of its encodings, by the manual's description of each (SDM Vol. 2). */
Test(decode, C1_absent_features_leave_the_older_instruction)
{
    static const struct {
        enum x86emu_decode_option option;
        const char *with, *without;
        uint8_t bytes[6];
    } cases[] = {
        {X86EMU_DECODE_NO_LZCNT, "lzcnt", "bsr", {0xf3, 0x0f, 0xbd, 0xc1}},
        {X86EMU_DECODE_NO_TZCNT, "tzcnt", "bsf", {0xf3, 0x0f, 0xbc, 0xc1}},
        {X86EMU_DECODE_NO_CET, "endbr64", "nop", {0xf3, 0x0f, 0x1e, 0xfa}},
        {X86EMU_DECODE_NO_CET, "endbr32", "nop", {0xf3, 0x0f, 0x1e, 0xfb}},
        {X86EMU_DECODE_NO_CET, "rdsspq", "nop", {0xf3, 0x48, 0x0f, 0x1e, 0xc9}},
        {X86EMU_DECODE_NO_MPX, "bndcl", "nop", {0xf3, 0x0f, 0x1a, 0x00}},
        {X86EMU_DECODE_NO_MPX, "bndcu", "nop", {0xf2, 0x0f, 0x1a, 0x00}},
        {X86EMU_DECODE_NO_MPX, "bndcn", "nop", {0xf2, 0x0f, 0x1b, 0x00}},
        {X86EMU_DECODE_NO_MPX, "bndmk", "nop", {0xf3, 0x0f, 0x1b, 0x00}},
        {X86EMU_DECODE_NO_MPX, "bndmov", "nop", {0x66, 0x0f, 0x1a, 0x00}},
        {X86EMU_DECODE_NO_MPX, "bndldx", "nop", {0x0f, 0x1a, 0x00}},
        {X86EMU_DECODE_NO_MPX, "bndstx", "nop", {0x0f, 0x1b, 0x00}},
        {X86EMU_DECODE_NO_CLDEMOTE, "cldemote", "nop", {0x0f, 0x1c, 0x00}},
        {X86EMU_DECODE_NO_WBNOINVD, "wbnoinvd", "wbinvd", {0xf3, 0x0f, 0x09}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct x86emu_insn with, without;

        cr_assert_eq(x86emu_decode(&with, cases[i].bytes, 6, X86EMU_MODE_64), X86EMU_DECODE_OK);
        cr_assert_eq(x86emu_decode(&without, cases[i].bytes, 6, X86EMU_MODE_64 | cases[i].option), X86EMU_DECODE_OK);
        cr_assert_str_eq(x86emu_mnemonic_name(x86emu_form_mnemonic(with.form)), cases[i].with);
        cr_assert_str_eq(x86emu_mnemonic_name(x86emu_form_mnemonic(without.form)), cases[i].without);
        cr_assert_eq(with.length, without.length, "%s", cases[i].with);
    }
}
