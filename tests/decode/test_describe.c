/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions described without executing them: transfers (C28), registers read and written, Intel syntax. */
#include <criterion/criterion.h>
#include <string.h>
#include <x86emu/format.h>
#include <x86emu/insn.h>

static struct x86emu_insn decoded(const uint8_t *bytes, enum x86emu_mode mode)
{
    struct x86emu_insn insn;

    cr_assert_eq(x86emu_decode(&insn, bytes, 15, mode), X86EMU_DECODE_OK, "%02x %02x %02x", bytes[0], bytes[1],
                 bytes[2]);
    return insn;
}

Test(describe, C28_transfers)
{
    static const struct {
        uint8_t bytes[15];
        uint8_t kind, size, reg_class, number, reg_size;
        uint64_t imm;
    } rows[] = {
        {{0x8b, 0x03}, X86EMU_TRANSFER_LOAD, 4, X86EMU_REG_GPR32, X86EMU_RAX, 4, 0},
        {{0x4c, 0x89, 0x2b}, X86EMU_TRANSFER_STORE, 8, X86EMU_REG_GPR64, 13, 8, 0},
        {{0x88, 0x23}, X86EMU_TRANSFER_STORE, 1, X86EMU_REG_GPR8_HIGH, 0, 1, 0},
        {{0x0f, 0xb6, 0x0b}, X86EMU_TRANSFER_LOAD_ZERO, 1, X86EMU_REG_GPR32, X86EMU_RCX, 4, 0},
        {{0x48, 0x0f, 0xbf, 0x0b}, X86EMU_TRANSFER_LOAD_SIGN, 2, X86EMU_REG_GPR64, X86EMU_RCX, 8, 0},
        {{0x48, 0x63, 0x0b}, X86EMU_TRANSFER_LOAD_SIGN, 4, X86EMU_REG_GPR64, X86EMU_RCX, 8, 0},
        {{0xa1, 0, 0, 0xe0, 0xfe}, X86EMU_TRANSFER_LOAD, 4, X86EMU_REG_GPR32, X86EMU_RAX, 4, 0},
        {{0xa2, 0, 0, 0xe0, 0xfe}, X86EMU_TRANSFER_STORE, 1, X86EMU_REG_GPR8, X86EMU_RAX, 1, 0},
        {{0x48, 0xc7, 0x03, 0xfe, 0xff, 0xff, 0xff},
         X86EMU_TRANSFER_STORE_IMM,
         8,
         X86EMU_REG_NONE,
         0,
         0,
         UINT64_C(0xfffffffffffffffe)},
        {{0xf3, 0xab}, X86EMU_TRANSFER_STRING_STORE, 4, X86EMU_REG_GPR32, X86EMU_RAX, 4, 0},
        {{0xac}, X86EMU_TRANSFER_STRING_LOAD, 1, X86EMU_REG_GPR8, X86EMU_RAX, 1, 0},
        {{0x48, 0xa5}, X86EMU_TRANSFER_STRING_MOVE, 8, X86EMU_REG_NONE, 0, 0, 0},
        {{0x01, 0x03}, X86EMU_TRANSFER_OTHER, 4, X86EMU_REG_NONE, 0, 0, 0},
        {{0x0f, 0x10, 0x03}, X86EMU_TRANSFER_OTHER, 16, X86EMU_REG_NONE, 0, 0, 0},
        {{0x50}, X86EMU_TRANSFER_NONE, 0, X86EMU_REG_NONE, 0, 0, 0},
        {{0x48, 0x8d, 0x03}, X86EMU_TRANSFER_NONE, 0, X86EMU_REG_NONE, 0, 0, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct x86emu_insn insn = decoded(rows[i].bytes, X86EMU_MODE_64);
        struct x86emu_transfer transfer;

        x86emu_insn_transfer(&insn, &transfer);
        cr_expect_eq(transfer.kind, rows[i].kind, "row %zu: kind %u", i, transfer.kind);
        cr_expect_eq(transfer.size, rows[i].size, "row %zu: size %u", i, transfer.size);
        cr_expect_eq(transfer.reg.reg_class, rows[i].reg_class, "row %zu: class %u", i, transfer.reg.reg_class);
        cr_expect_eq(transfer.reg.number, rows[i].number, "row %zu: register %u", i, transfer.reg.number);
        cr_expect_eq(transfer.reg_size, rows[i].reg_size, "row %zu: register size %u", i, transfer.reg_size);
        cr_expect_eq(transfer.imm, rows[i].imm, "row %zu", i);
    }
}

Test(describe, C28_access_and_repetition)
{
    static const uint8_t add[15] = {0x01, 0x03}, stos[15] = {0xf3, 0xab}, load[15] = {0x8b, 0x03};
    struct x86emu_insn insn = decoded(add, X86EMU_MODE_64);
    struct x86emu_transfer transfer;

    x86emu_insn_transfer(&insn, &transfer);
    cr_expect_eq(transfer.access, X86EMU_OPERAND_READ | X86EMU_OPERAND_WRITTEN);
    cr_expect_not(transfer.repeats);
    insn = decoded(stos, X86EMU_MODE_64);
    x86emu_insn_transfer(&insn, &transfer);
    cr_expect(transfer.repeats);
    insn = decoded(load, X86EMU_MODE_64);
    x86emu_insn_transfer(&insn, &transfer);
    cr_expect_eq(transfer.access, X86EMU_OPERAND_READ);
    cr_expect_eq(transfer.operand, 1);
}

#define BIT(n) (UINT32_C(1) << (n))

Test(describe, registers_read_and_written)
{
    static const struct {
        uint8_t bytes[15];
        uint32_t read, written, vector_read, vector_written;
    } rows[] = {
        {{0x48, 0x8b, 0x44, 0x8b, 0x10}, BIT(X86EMU_RBX) | BIT(X86EMU_RCX), BIT(X86EMU_RAX), 0, 0},
        {{0x49, 0x89, 0x07}, BIT(15) | BIT(X86EMU_RAX), 0, 0, 0},
        {{0x00, 0xe1}, BIT(X86EMU_RAX) | BIT(X86EMU_RCX), BIT(X86EMU_RCX), 0, 0},
        {{0x50}, BIT(X86EMU_RAX) | BIT(X86EMU_RSP), BIT(X86EMU_RSP), 0, 0},
        {{0xf7, 0xe1}, BIT(X86EMU_RAX) | BIT(X86EMU_RCX), BIT(X86EMU_RAX) | BIT(X86EMU_RDX), 0, 0},
        {{0xc5, 0xec, 0x58, 0xcb}, 0, 0, BIT(2) | BIT(3), BIT(1)},
        {{0x0f, 0x11, 0x2f}, BIT(X86EMU_RDI), 0, BIT(5), 0},
        {{0xa4}, BIT(X86EMU_RSI) | BIT(X86EMU_RDI), BIT(X86EMU_RSI) | BIT(X86EMU_RDI), 0, 0},
        {{0xf3, 0xab}, BIT(X86EMU_RAX) | BIT(X86EMU_RCX) | BIT(X86EMU_RDI), BIT(X86EMU_RCX) | BIT(X86EMU_RDI), 0, 0},
        {{0xd7}, BIT(X86EMU_RAX) | BIT(X86EMU_RBX), BIT(X86EMU_RAX), 0, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct x86emu_insn insn = decoded(rows[i].bytes, X86EMU_MODE_64);
        struct x86emu_registers read, written;

        x86emu_insn_registers(&insn, &read, &written);
        cr_expect_eq(read.gpr, rows[i].read, "row %zu: reads %x", i, read.gpr);
        cr_expect_eq(written.gpr, rows[i].written, "row %zu: writes %x", i, written.gpr);
        cr_expect_eq(read.vector, rows[i].vector_read, "row %zu: reads vectors %x", i, read.vector);
        cr_expect_eq(written.vector, rows[i].vector_written, "row %zu: writes vectors %x", i, written.vector);
    }
}

/* SDM Vol. 2, PUSHA/POPA: all but the SP that is popped. */
Test(describe, registers_of_pusha_and_popa)
{
    static const uint8_t pusha[15] = {0x60}, popa[15] = {0x61};
    struct x86emu_insn insn = decoded(pusha, X86EMU_MODE_32);
    struct x86emu_registers read, written;

    x86emu_insn_registers(&insn, &read, &written);
    cr_expect_eq(read.gpr, 0xff);
    cr_expect_eq(written.gpr, BIT(X86EMU_RSP));
    insn = decoded(popa, X86EMU_MODE_32);
    x86emu_insn_registers(&insn, &read, &written);
    cr_expect_eq(read.gpr, BIT(X86EMU_RSP));
    cr_expect_eq(written.gpr, 0xff);
}

/* What forms.h promises of every row. */
Test(describe, a_flag_has_one_fate)
{
    for (unsigned form = 0; form < X86EMU_FORM_COUNT; form++) {
        const struct x86emu_form_flags *flags = x86emu_form_flags(form);

        cr_expect_eq(flags->written & (flags->undefined | flags->set | flags->cleared), 0, "row %u", form);
        cr_expect_eq(flags->undefined & (flags->set | flags->cleared), 0, "row %u", form);
        cr_expect_eq(flags->set & flags->cleared, 0, "row %u", form);
    }
}

Test(describe, intel_syntax)
{
    static const struct {
        enum x86emu_mode mode;
        uint8_t bytes[15];
        const char *text;
    } rows[] = {
        {X86EMU_MODE_64, {0x90}, "nop"},
        {X86EMU_MODE_64, {0x48, 0x8b, 0x44, 0x8b, 0x10}, "mov rax, qword ptr [rbx+rcx*4+0x10]"},
        {X86EMU_MODE_64, {0x8b, 0x44, 0x24, 0xf8}, "mov eax, dword ptr [rsp-0x8]"},
        {X86EMU_MODE_64, {0x64, 0x48, 0x8b, 0x04, 0x25, 0x28}, "mov rax, qword ptr fs:[0x28]"},
        {X86EMU_MODE_64, {0x48, 0x8d, 0x05, 0x10}, "lea rax, [rip+0x10]"},
        {X86EMU_MODE_64, {0xf0, 0x01, 0x08}, "lock add dword ptr [rax], ecx"},
        {X86EMU_MODE_64, {0xf3, 0x48, 0xa5}, "rep movsq"},
        {X86EMU_MODE_64, {0xf3, 0xa6}, "repe cmpsb"},
        {X86EMU_MODE_64, {0x83, 0xc0, 0xff}, "add eax, 0xffffffff"},
        {X86EMU_MODE_64, {0x48, 0x83, 0xe4, 0xf0}, "and rsp, 0xfffffffffffffff0"},
        {X86EMU_MODE_64, {0x40, 0xb6, 0x01}, "mov sil, 0x1"},
        {X86EMU_MODE_64, {0xb6, 0x01}, "mov dh, 0x1"},
        {X86EMU_MODE_64, {0xeb, 0xfe}, "jmp 0x1000"},
        {X86EMU_MODE_64, {0xf2, 0xe9, 0, 0, 0, 0}, "bnd jmp 0x1006"},
        {X86EMU_MODE_64, {0x45, 0x0f, 0x20, 0xc2}, "mov r10, cr8"},
        {X86EMU_MODE_64, {0xd8, 0xc1}, "fadd st0, st1"},
        {X86EMU_MODE_64, {0xdb, 0x28}, "fld tbyte ptr [rax]"},
        {X86EMU_MODE_64, {0xcb}, "ret far"},
        {X86EMU_MODE_64, {0xc4, 0xe3, 0x71, 0x4b, 0xc2, 0x30}, "vblendvpd xmm0, xmm1, xmm2, xmm3"},
        {X86EMU_MODE_64,
         {0x62, 0xf1, 0x7c, 0xd9, 0x58, 0x40, 0x01},
         "vaddps zmm0 {k1} {z}, zmm0, dword ptr [rax+0x4] {1to16}"},
        {X86EMU_MODE_64, {0x62, 0xf1, 0x7c, 0x38, 0x58, 0xc1}, "vaddps zmm0, zmm0, zmm1 {rd-sae}"},
        {X86EMU_MODE_64, {0x62, 0xf1, 0x7c, 0x18, 0x2e, 0xc1}, "vucomiss xmm0, xmm1 {sae}"},
        {X86EMU_MODE_32, {0x9a, 0x78, 0x56, 0x34, 0x12, 0x08, 0x00}, "call far 0x8:0x12345678"},
        {X86EMU_MODE_16, {0x8b, 0x42, 0x10}, "mov ax, word ptr [bp+si+0x10]"},
        {X86EMU_MODE_16, {0xe9, 0xfd, 0xff}, "jmp 0x1000"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct x86emu_insn insn = decoded(rows[i].bytes, rows[i].mode);
        char text[X86EMU_FORMAT_ROOM];

        cr_expect_eq(x86emu_format(&insn, 0x1000, text, sizeof(text)), strlen(rows[i].text), "row %zu", i);
        cr_expect_str_eq(text, rows[i].text);
    }
}

Test(describe, text_that_does_not_fit)
{
    static const uint8_t bytes[15] = {0x48, 0x89, 0xc3};
    const struct x86emu_insn insn = decoded(bytes, X86EMU_MODE_64);
    char text[8];

    memset(text, 'x', sizeof(text));
    cr_expect_eq(x86emu_format(&insn, 0, text, 6), strlen("mov rbx, rax"));
    cr_expect_str_eq(text, "mov r");
    cr_expect_eq(text[6], 'x');
    cr_expect_eq(x86emu_format(&insn, 0, text, 0), strlen("mov rbx, rax"));
    cr_expect_str_eq(text, "mov r");
}
