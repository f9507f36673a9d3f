/* SPDX-License-Identifier: BSD-2-Clause */
/* Forms that other decoders lacked or got wrong, by the manual's encodings: extensions, immediates, cache lines. */
#include <criterion/criterion.h>
#include <x86emu/format.h>
#include <x86emu/insn.h>

static struct x86emu_insn decoded(const uint8_t *bytes, enum x86emu_mode mode)
{
    struct x86emu_insn insn;

    cr_assert_eq(x86emu_decode(&insn, bytes, 15, mode), X86EMU_DECODE_OK, "%02x %02x %02x", bytes[0], bytes[1],
                 bytes[2]);
    return insn;
}

static const char *name_of(const struct x86emu_insn *insn)
{
    return x86emu_mnemonic_name(x86emu_form_mnemonic(insn->form));
}

/* SDM Vol. 2, CLFLUSH, CLFLUSHOPT, CLWB, CLDEMOTE, PREFETCHh, PREFETCHW; APM Vol. 3, PREFETCH: nothing is transferred. */
Test(cases, C1_cache_lines_are_named_not_accessed)
{
    static const struct {
        const char *name;
        uint8_t bytes[15];
    } rows[] = {
        {"clflush", {0x0f, 0xae, 0x3b}},     {"clflushopt", {0x66, 0x0f, 0xae, 0x3b}},
        {"clwb", {0x66, 0x0f, 0xae, 0x33}},  {"cldemote", {0x0f, 0x1c, 0x03}},
        {"prefetchnta", {0x0f, 0x18, 0x03}}, {"prefetcht0", {0x0f, 0x18, 0x0b}},
        {"prefetcht1", {0x0f, 0x18, 0x13}},  {"prefetcht2", {0x0f, 0x18, 0x1b}},
        {"prefetch", {0x0f, 0x0d, 0x03}},    {"prefetchw", {0x0f, 0x0d, 0x0b}},
        {"prefetchwt1", {0x0f, 0x0d, 0x13}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct x86emu_insn insn = decoded(rows[i].bytes, X86EMU_MODE_64);
        struct x86emu_registers read, written;
        struct x86emu_transfer transfer;
        struct x86emu_operand op;

        cr_expect_str_eq(name_of(&insn), rows[i].name);
        cr_assert(x86emu_insn_operand(&insn, 0, &op) && op.kind == X86EMU_OPERAND_MEM, "%s", rows[i].name);
        cr_expect_eq(op.access, 0, "%s: access %u", rows[i].name, op.access);
        cr_expect_eq(op.mem.base.number, X86EMU_RBX);
        x86emu_insn_transfer(&insn, &transfer);
        cr_expect_eq(transfer.kind, X86EMU_TRANSFER_NONE, "%s", rows[i].name);
        x86emu_insn_registers(&insn, &read, &written);
        cr_expect_eq(read.gpr, 1u << X86EMU_RBX);
        cr_expect_eq(written.gpr, 0);
    }
}

/* Why bytes are no instruction is told apart: what is missing, what raises #UD, what raises #GP (SDM Vol. 3, 6.15). */
Test(cases, C16_why_bytes_are_no_instruction)
{
    static const struct {
        enum x86emu_decode_status status;
        uint8_t size;
        uint8_t bytes[16];
    } rows[] = {
        {X86EMU_DECODE_TRUNCATED, 0, {0}},
        {X86EMU_DECODE_TRUNCATED, 2, {0x0f, 0xae}},
        {X86EMU_DECODE_TRUNCATED, 6, {0x81, 0x05, 0, 0, 0, 0}},
        {X86EMU_DECODE_INVALID, 1, {0x06}},                   /* PUSH ES in 64-bit mode */
        {X86EMU_DECODE_INVALID, 2, {0x0f, 0x04}},             /* no such opcode */
        {X86EMU_DECODE_INVALID, 3, {0xf0, 0x8b, 0x03}},       /* LOCK MOV */
        {X86EMU_DECODE_INVALID, 3, {0x0f, 0xc7, 0xc8}},       /* CMPXCHG8B of a register */
        {X86EMU_DECODE_INVALID, 4, {0xc5, 0x48, 0x77, 0x90}}, /* VZEROUPPER with vvvv */
        {X86EMU_DECODE_TOO_LONG,
         16,
         {0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x90}},
    };

    cr_expect_eq(x86emu_decode(&(struct x86emu_insn){0}, NULL, 0, X86EMU_MODE_64), X86EMU_DECODE_TRUNCATED);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct x86emu_insn insn;

        cr_expect_eq(x86emu_decode(&insn, rows[i].bytes, rows[i].size, X86EMU_MODE_64), rows[i].status, "row %zu", i);
    }
}

/* What no emulator here does is decoded all the same: its name, its length and its text can be reported. */
Test(cases, C16_instructions_beyond_the_emulator_have_names)
{
    static const struct {
        const char *text;
        uint8_t length;
        uint8_t bytes[15];
    } rows[] = {
        {"encls", 3, {0x0f, 0x01, 0xcf}},
        {"xbegin 0x6", 6, {0xc7, 0xf8, 0, 0, 0, 0}},
        {"tdpbssd tmm1, tmm2, tmm3", 5, {0xc4, 0xe2, 0x63, 0x5e, 0xca}},
        {"aesenc128kl xmm1, [rax]", 5, {0xf3, 0x0f, 0x38, 0xdc, 0x08}},
        {"vrsqrt14ps zmm1 {k1}, zmm2", 6, {0x62, 0xf2, 0x7d, 0x49, 0x4e, 0xca}},
        {"pfrsqrt mm0, qword ptr [rcx]", 4, {0x0f, 0x0f, 0x01, 0x97}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct x86emu_insn insn = decoded(rows[i].bytes, X86EMU_MODE_64);
        char text[X86EMU_FORMAT_ROOM];

        x86emu_format(&insn, 0, text, sizeof(text));
        cr_expect_str_eq(text, rows[i].text);
        cr_expect_eq(insn.length, rows[i].length);
    }
}

/* SDM Vol. 2, MOVZX, MOVSX, MOVSXD: the source is as wide as the opcode says, the destination as the prefixes do. */
Test(cases, F10_movzx_movsx_widths)
{
    static const struct {
        const char *name;
        uint8_t mode, to, from;
        uint8_t bytes[15];
    } rows[] = {
        {"movzx", X86EMU_MODE_64, 4, 1, {0x0f, 0xb6, 0x03}},
        {"movzx", X86EMU_MODE_64, 8, 1, {0x48, 0x0f, 0xb6, 3}},
        {"movzx", X86EMU_MODE_64, 2, 1, {0x66, 0x0f, 0xb6, 3}},
        {"movzx", X86EMU_MODE_64, 4, 2, {0x0f, 0xb7, 0x03}},
        {"movzx", X86EMU_MODE_64, 8, 2, {0x48, 0x0f, 0xb7, 3}},
        {"movsx", X86EMU_MODE_64, 4, 1, {0x0f, 0xbe, 0x03}},
        {"movsx", X86EMU_MODE_64, 8, 1, {0x48, 0x0f, 0xbe, 3}},
        {"movsx", X86EMU_MODE_64, 2, 1, {0x66, 0x0f, 0xbe, 3}},
        {"movsx", X86EMU_MODE_64, 4, 2, {0x0f, 0xbf, 0x03}},
        {"movsx", X86EMU_MODE_64, 8, 2, {0x48, 0x0f, 0xbf, 3}},
        {"movsxd", X86EMU_MODE_64, 8, 4, {0x48, 0x63, 0x03}},
        {"movsxd", X86EMU_MODE_64, 4, 4, {0x63, 0x03}},
        {"movsxd", X86EMU_MODE_64, 2, 2, {0x66, 0x63, 0x03}},
        {"movzx", X86EMU_MODE_32, 4, 1, {0x0f, 0xb6, 0x03}},
        {"movzx", X86EMU_MODE_32, 2, 1, {0x66, 0x0f, 0xb6, 0x03}},
        {"movsx", X86EMU_MODE_16, 2, 1, {0x0f, 0xbe, 0x07}},
        {"movsx", X86EMU_MODE_16, 4, 2, {0x66, 0x0f, 0xbf, 0x07}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct x86emu_insn insn = decoded(rows[i].bytes, (enum x86emu_mode)rows[i].mode);
        struct x86emu_operand to, from;

        cr_expect_str_eq(name_of(&insn), rows[i].name, "row %zu", i);
        cr_assert(x86emu_insn_operand(&insn, 0, &to) && x86emu_insn_operand(&insn, 1, &from));
        cr_expect(to.kind == X86EMU_OPERAND_REG && to.access == X86EMU_OPERAND_WRITTEN, "row %zu", i);
        cr_expect(from.kind == X86EMU_OPERAND_MEM && from.access == X86EMU_OPERAND_READ, "row %zu", i);
        cr_expect_eq(to.size, rows[i].to, "row %zu: to %u bytes", i, to.size);
        cr_expect_eq(from.size, rows[i].from, "row %zu: from %u bytes", i, from.size);
    }
}

/* Immediates by size, and how far they are extended (SDM Vol. 2, 2.2.1.3 and 2.2.1.5). */
Test(cases, F10_immediates)
{
    static const struct {
        uint8_t bytes[15];
        uint8_t mode, size, operand;
        uint64_t value; /* as many bytes as the operation has */
    } rows[] = {
        {{0x80, 0x03, 0xff}, X86EMU_MODE_64, 1, 1, 0xff},
        {{0x83, 0x03, 0xff}, X86EMU_MODE_64, 1, 1, 0xffffffff},
        {{0x66, 0x83, 0x03, 0xff}, X86EMU_MODE_64, 1, 1, 0xffff},
        {{0x48, 0x83, 0x03, 0x80}, X86EMU_MODE_64, 1, 1, UINT64_C(0xffffffffffffff80)},
        {{0x81, 0x03, 1, 2, 3, 0x84}, X86EMU_MODE_64, 4, 1, 0x84030201},
        {{0x48, 0x81, 0x03, 1, 2, 3, 0x84}, X86EMU_MODE_64, 4, 1, UINT64_C(0xffffffff84030201)},
        {{0x66, 0x81, 0x03, 1, 0x82}, X86EMU_MODE_64, 2, 1, 0x8201},
        {{0x48, 0xc7, 0x03, 0, 0, 0, 0x80}, X86EMU_MODE_64, 4, 1, UINT64_C(0xffffffff80000000)},
        {{0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8}, X86EMU_MODE_64, 8, 1, UINT64_C(0x0807060504030201)},
        {{0xb8, 1, 2, 3, 0x84}, X86EMU_MODE_64, 4, 1, 0x84030201},
        {{0x6b, 0xc0, 0xfe}, X86EMU_MODE_64, 1, 2, 0xfffffffe},
        {{0x48, 0x69, 0xc0, 0xfe, 0xff, 0xff, 0xff}, X86EMU_MODE_64, 4, 2, UINT64_C(0xfffffffffffffffe)},
        {{0x6a, 0xfe}, X86EMU_MODE_64, 1, 0, UINT64_C(0xfffffffffffffffe)},
        {{0x68, 0xfe, 0xff, 0xff, 0xff}, X86EMU_MODE_64, 4, 0, UINT64_C(0xfffffffffffffffe)},
        {{0x6a, 0xfe}, X86EMU_MODE_32, 1, 0, 0xfffffffe},
        {{0x6a, 0xfe}, X86EMU_MODE_16, 1, 0, 0xfffe},
        {{0xc2, 0xfe, 0xff}, X86EMU_MODE_64, 2, 0, 0xfffe},
        {{0xc8, 0xfe, 0xff, 0x1f}, X86EMU_MODE_64, 3, 0, 0xfffe},
        {{0xe6, 0x80}, X86EMU_MODE_64, 1, 0, 0x80},
        {{0xcd, 0x80}, X86EMU_MODE_32, 1, 0, 0x80},
        {{0x0f, 0xba, 0xe0, 0x80}, X86EMU_MODE_64, 1, 1, 0x80},
        {{0xc1, 0xe0, 0x9f}, X86EMU_MODE_64, 1, 1, 0x9f},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct x86emu_insn insn = decoded(rows[i].bytes, (enum x86emu_mode)rows[i].mode);
        struct x86emu_operand op;

        cr_assert(x86emu_insn_operand(&insn, rows[i].operand, &op) && op.kind == X86EMU_OPERAND_IMM, "row %zu", i);
        cr_expect_eq(insn.imm_size, rows[i].size, "row %zu: %u bytes", i, insn.imm_size);
        if (insn.operand_size < 8)
            op.imm &= (UINT64_C(1) << 8 * insn.operand_size) - 1;
        cr_expect_eq(op.imm, rows[i].value, "row %zu: %llx, %u bytes", i, (unsigned long long)op.imm, op.size);
    }
}

/* String instructions, moffs and extensions, with what a handler of #VE or #VC needs to finish them itself. */
Test(cases, C28_strings_and_moffs)
{
    static const struct {
        uint8_t bytes[15];
        uint8_t mode, kind, access, size, operand, segment;
        bool repeats;
    } rows[] = {
        {{0xa0, 1, 2, 3, 4, 5, 6, 7, 8},
         X86EMU_MODE_64,
         X86EMU_TRANSFER_LOAD,
         X86EMU_OPERAND_READ,
         1,
         1,
         X86EMU_DS,
         false},
        {{0x64, 0xa3, 1, 2, 3, 4},
         X86EMU_MODE_32,
         X86EMU_TRANSFER_STORE,
         X86EMU_OPERAND_WRITTEN,
         4,
         0,
         X86EMU_FS,
         false},
        {{0xa4}, X86EMU_MODE_64, X86EMU_TRANSFER_STRING_MOVE, X86EMU_OPERAND_WRITTEN, 1, 0, X86EMU_ES, false},
        {{0xf3, 0xa5}, X86EMU_MODE_32, X86EMU_TRANSFER_STRING_MOVE, X86EMU_OPERAND_WRITTEN, 4, 0, X86EMU_ES, true},
        {{0x2e, 0xac}, X86EMU_MODE_16, X86EMU_TRANSFER_STRING_LOAD, X86EMU_OPERAND_READ, 1, 1, X86EMU_CS, false},
        {{0xf3, 0x48, 0xab},
         X86EMU_MODE_64,
         X86EMU_TRANSFER_STRING_STORE,
         X86EMU_OPERAND_WRITTEN,
         8,
         0,
         X86EMU_ES,
         true},
        {{0xf3, 0x6c}, X86EMU_MODE_64, X86EMU_TRANSFER_OTHER, X86EMU_OPERAND_WRITTEN, 1, 0, X86EMU_ES, true},
        {{0xa6}, X86EMU_MODE_64, X86EMU_TRANSFER_OTHER, X86EMU_OPERAND_READ, 1, 0, X86EMU_DS, false},
        {{0x66, 0x0f, 0xbe, 0x03},
         X86EMU_MODE_64,
         X86EMU_TRANSFER_LOAD_SIGN,
         X86EMU_OPERAND_READ,
         1,
         1,
         X86EMU_DS,
         false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct x86emu_insn insn = decoded(rows[i].bytes, (enum x86emu_mode)rows[i].mode);
        struct x86emu_transfer transfer;
        struct x86emu_operand op;
        unsigned access;

        x86emu_insn_transfer(&insn, &transfer);
        access = transfer.access & (X86EMU_OPERAND_READ | X86EMU_OPERAND_WRITTEN);
        cr_expect_eq(transfer.kind, rows[i].kind, "row %zu: kind %u", i, transfer.kind);
        cr_expect_eq(access, rows[i].access, "row %zu: access %u", i, transfer.access);
        cr_expect_eq(transfer.size, rows[i].size, "row %zu: size %u", i, transfer.size);
        cr_expect_eq(transfer.repeats, rows[i].repeats, "row %zu", i);
        cr_assert_eq(transfer.operand, rows[i].operand, "row %zu: operand %u", i, transfer.operand);
        cr_assert(x86emu_insn_operand(&insn, transfer.operand, &op));
        cr_expect_eq(op.mem.segment, rows[i].segment, "row %zu: segment %u", i, op.mem.segment);
    }
}
