/* SPDX-License-Identifier: BSD-2-Clause */
/* Processors that lack features, and where Intel's and AMD's differ. */
#include <criterion/criterion.h>
#include <string.h>
#include <x86emu/format.h>
#include <x86emu/insn.h>

/* An instruction, and one feature at a time without which it is not there: columns "CPUID feature flag" of SDM Vol. 2. */
static const struct {
    uint8_t bytes[11];
    const char *needs;   /* every feature whose absence takes it away */
    const char *without; /* some whose absence doesn't */
} cases[] = {
    {{0x89, 0x03}, "", "SSE AVX FPU"},
    {{0xd9, 0xc0}, "FPU", "SSE"},
    {{0x0f, 0x44, 0xc1}, "CMOV", "FPU"},
    {{0xda, 0xc1}, "CMOV", "SSE"},                                          /* FCMOVB */
    {{0x0f, 0x6f, 0xc1}, "MMX", "SSE"},                                     /* MOVQ mm */
    {{0x0f, 0xd4, 0xc1}, "SSE2", "AVX"},                                    /* PADDQ mm */
    {{0x0f, 0x58, 0xc1}, "SSE", "SSE2 AVX"},                                /* ADDPS */
    {{0x66, 0x0f, 0x58, 0xc1}, "SSE2", "SSE3 AVX"},                         /* ADDPD */
    {{0xf2, 0x0f, 0x58, 0xc1}, "SSE2", "SSE"},                              /* ADDSD */
    {{0x66, 0x0f, 0x38, 0x37, 0xc1}, "SSE42", "SSE41"},                     /* PCMPGTQ */
    {{0xdb, 0x08}, "SSE3", "SSE2"},                                         /* FISTTP */
    {{0xc5, 0xf8, 0x58, 0xc1}, "AVX", "AVX2 AVX512F"},                      /* VADDPS xmm */
    {{0xc5, 0xfc, 0x58, 0xc1}, "AVX", "AVX2"},                              /* VADDPS ymm */
    {{0xc5, 0xf9, 0xfc, 0xc1}, "AVX", "AVX2"},                              /* VPADDB xmm */
    {{0xc5, 0xfd, 0xfc, 0xc1}, "AVX AVX2", "AVX512F"},                      /* VPADDB ymm */
    {{0xc4, 0xe2, 0x79, 0x18, 0x00}, "AVX", "AVX2"},                        /* VBROADCASTSS xmm, m32 */
    {{0xc4, 0xe2, 0x79, 0x18, 0xc0}, "AVX AVX2", "AVX512F"},                /* VBROADCASTSS xmm, xmm */
    {{0xc4, 0xe2, 0x71, 0xdc, 0xc2}, "AVX AES", "VAES"},                    /* VAESENC xmm */
    {{0xc4, 0xe2, 0x75, 0xdc, 0xc2}, "AVX VAES", "AVX2"},                   /* VAESENC ymm */
    {{0xc4, 0xe3, 0x71, 0x44, 0xc2, 0}, "AVX PCLMUL", "VPCLMUL"},           /* VPCLMULQDQ xmm */
    {{0xc4, 0xe3, 0x75, 0x44, 0xc2, 0}, "AVX VPCLMUL", "AVX2"},             /* VPCLMULQDQ ymm */
    {{0xc4, 0xe2, 0x71, 0xa8, 0xc2}, "AVX FMA", "AVX2"},                    /* VFMADD213PS */
    {{0xc4, 0xe2, 0x70, 0xf2, 0xc2}, "BMI1", "AVX BMI2"},                   /* ANDN */
    {{0xc5, 0xfb, 0x92, 0xc0}, "AVX512BW AVX512F", "AVX512DQ"},             /* KMOVD */
    {{0xc5, 0xf8, 0x92, 0xc0}, "AVX512F", "AVX512BW"},                      /* KMOVW */
    {{0x62, 0xf1, 0x74, 0x48, 0x58, 0xc2}, "AVX512F", "AVX512VL"},          /* VADDPS zmm */
    {{0x62, 0xf1, 0x74, 0x28, 0x58, 0xc2}, "AVX512F AVX512VL", "AVX2"},     /* VADDPS ymm */
    {{0x62, 0xf1, 0x74, 0x08, 0x58, 0xc2}, "AVX512F AVX512VL", "AVX"},      /* VADDPS xmm */
    {{0x62, 0xf1, 0x74, 0x18, 0x58, 0xc2}, "AVX512F", "AVX512VL"},          /* VADDPS zmm, {rn-sae} */
    {{0x62, 0xf1, 0x76, 0x08, 0x58, 0xc2}, "AVX512F", "AVX512VL"},          /* VADDSS */
    {{0x62, 0xf1, 0x7d, 0x08, 0x6e, 0xc0}, "AVX512F", "AVX512VL"},          /* VMOVD */
    {{0x62, 0xf1, 0x75, 0x48, 0xfc, 0xc2}, "AVX512F AVX512BW", "AVX512DQ"}, /* VPADDB zmm */
    {{0x62, 0xf1, 0x75, 0x08, 0xfc, 0xc2}, "AVX512F AVX512BW AVX512VL", ""},
    {{0x62, 0xf2, 0x75, 0x48, 0x8d, 0xc2}, "AVX512F AVX512VBMI", "AVX512BW"}, /* VPERMB */
    {{0x62, 0xf5, 0x74, 0x48, 0x58, 0xc2}, "AVX512F AVX512FP16", "AVX512VL"}, /* VADDPH */
    {{0xc4, 0xe2, 0x62, 0x5c, 0xca}, "AMX_BF16", "AVX"},                      /* TDPBF16PS */
    {{0xf3, 0x0f, 0xb8, 0xc1}, "POPCNT", "SSE42"},
    {{0x0f, 0xa2}, "CPUID", "SSE"},
};

static bool is_allowed(const struct x86emu_insn *insn, const char *feature, size_t length)
{
    struct x86emu_features features = {{0}};
    unsigned number = 1;

    while (number < X86EMU_FEATURE_COUNT &&
           (strncmp(x86emu_feature_name((enum x86emu_feature)number), feature, length) != 0 ||
            x86emu_feature_name((enum x86emu_feature)number)[length] != 0))
        number++;
    cr_assert_lt(number, X86EMU_FEATURE_COUNT, "%s is no feature", feature);
    x86emu_feature_remove(&features, (enum x86emu_feature)number);
    cr_assert(x86emu_feature_is_absent(&features, (enum x86emu_feature)number));
    return x86emu_insn_allowed(insn, &features);
}

static void expect(const struct x86emu_insn *insn, const char *names, bool allowed)
{
    while (*names != 0) {
        size_t length = strcspn(names, " ");

        cr_expect_eq(is_allowed(insn, names, length), allowed, "%s without %s",
                     x86emu_mnemonic_name(x86emu_form_mnemonic(insn->form)), names);
        names += length + (names[length] == ' ');
    }
}

Test(features, F2_an_instruction_goes_with_each_feature_that_it_needs)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct x86emu_features all = {{0}};
        struct x86emu_insn insn;

        cr_assert_eq(x86emu_decode(&insn, cases[i].bytes, 11, X86EMU_MODE_64), X86EMU_DECODE_OK, "row %zu", i);
        cr_expect(x86emu_insn_allowed(&insn, &all));
        expect(&insn, cases[i].needs, false);
        expect(&insn, cases[i].without, true);
    }
}

Test(features, bad_numbers_are_no_feature)
{
    struct x86emu_features features = {{0}};

    x86emu_feature_remove(&features, X86EMU_FEATURE_COUNT);
    x86emu_feature_remove(&features, (enum x86emu_feature)0xffff);
    cr_assert_eq(features.absent[0] | features.absent[1] | features.absent[2] | features.absent[3], 0);
    x86emu_feature_remove(&features, X86EMU_FEATURE_NONE);
    cr_assert_not(x86emu_feature_is_absent(&features, X86EMU_FEATURE_NONE));
    cr_assert_not(x86emu_feature_is_absent(&features, X86EMU_FEATURE_COUNT));
    cr_assert_str_eq(x86emu_feature_name(X86EMU_FEATURE_COUNT), "NONE");
}

Test(features, C1_absent_features_become_options)
{
    struct x86emu_features features = {{0}};

    cr_assert_eq(x86emu_features_options(&features), 0);
    x86emu_feature_remove(&features, X86EMU_FEATURE_AVX512F);
    cr_assert_eq(x86emu_features_options(&features), 0);
    x86emu_feature_remove(&features, X86EMU_FEATURE_LZCNT);
    x86emu_feature_remove(&features, X86EMU_FEATURE_CET);
    cr_assert_eq(x86emu_features_options(&features), X86EMU_DECODE_NO_LZCNT | X86EMU_DECODE_NO_CET);
}

/* --- vendors ------------------------------------------------------------------------------------------------------ */

/* Decoded as either vendor's processor does; NULL: #UD. */
struct vendor_case {
    unsigned mode;
    const char *intel, *amd;
    uint8_t bytes[8];
};

static void expect_text(const struct vendor_case *c, unsigned options, const char *expected)
{
    struct x86emu_insn insn;
    char text[X86EMU_FORMAT_ROOM];

    if (x86emu_decode(&insn, c->bytes, sizeof(c->bytes), c->mode | options) != X86EMU_DECODE_OK) {
        cr_expect_null(expected, "%s is invalid, options %x", expected, options);
        return;
    }
    cr_assert_not_null(expected, "%02x %02x is valid", c->bytes[0], c->bytes[1]);
    x86emu_format(&insn, 0, text, sizeof(text));
    cr_expect_str_eq(text, expected);
    for (size_t less = 0; less < insn.length; less++) {
        struct x86emu_insn cut;

        cr_expect_eq(x86emu_decode(&cut, c->bytes, less, c->mode | options), X86EMU_DECODE_TRUNCATED,
                     "%zu bytes of %s, options %x", less, expected, options);
    }
}

Test(features, F2_vendors)
{
    static const struct vendor_case vendors[] = {
        /* SDM Vol. 2, SYSCALL, SYSENTER; APM Vol. 3: each has what the other calls invalid */
        {X86EMU_MODE_64, "syscall", "syscall", {0x0f, 0x05}},
        {X86EMU_MODE_32, NULL, "syscall", {0x0f, 0x05}},
        {X86EMU_MODE_32, NULL, "sysret", {0x0f, 0x07}},
        {X86EMU_MODE_64, "sysenter", NULL, {0x0f, 0x34}},
        {X86EMU_MODE_64, "sysexit", NULL, {0x0f, 0x35}},
        {X86EMU_MODE_32, "sysenter", "sysenter", {0x0f, 0x34}},
        /* APM Vol. 3, 1.2.2 and Jcc; SDM Vol. 2, Jcc: near branches with 66 */
        {X86EMU_MODE_64, "jmp 0x7", "jmp 0x5", {0x66, 0xe9, 1, 0, 0, 0}},
        {X86EMU_MODE_64, "jz 0x8", "jz 0x6", {0x66, 0x0f, 0x84, 1, 0, 0, 0}},
        {X86EMU_MODE_64, "jmp rax", "jmp ax", {0x66, 0xff, 0xe0}},
        {X86EMU_MODE_64, "jmp rax", "jmp rax", {0x66, 0x48, 0xff, 0xe0}},
        {X86EMU_MODE_32, "jmp 0x5", "jmp 0x5", {0x66, 0xe9, 1, 0, 0, 0}},
        /* SDM Vol. 2, LSS and JMP: m16:64 with REX.W; APM Vol. 3: 32 bits at most */
        {X86EMU_MODE_64, "lss rax, tbyte ptr [rbx]", "lss eax, fword ptr [rbx]", {0x48, 0x0f, 0xb2, 0x03}},
        {X86EMU_MODE_64, "jmp far tbyte ptr [rbx]", "jmp far fword ptr [rbx]", {0x48, 0xff, 0x2b}},
        {X86EMU_MODE_64, "call far dword ptr [rbx]", "call far dword ptr [rbx]", {0x66, 0xff, 0x1b}},
        /* APM Vol. 3, PREFETCH: #UD with a register */
        {X86EMU_MODE_64, "nop eax, ecx", NULL, {0x0f, 0x0d, 0xc8}},
        {X86EMU_MODE_64, "prefetchw byte ptr [rax]", "prefetchw byte ptr [rax]", {0x0f, 0x0d, 0x08}},
        /* APM Vol. 3, MOV CRn: LOCK makes CR0 CR8 */
        {X86EMU_MODE_32, NULL, "lock mov eax, cr8", {0xf0, 0x0f, 0x20, 0xc0}},
        {X86EMU_MODE_32, NULL, "lock mov cr8, eax", {0xf0, 0x0f, 0x22, 0xc0}},
        {X86EMU_MODE_64, NULL, "lock mov rax, cr8", {0xf0, 0x0f, 0x20, 0xc0}},
        {X86EMU_MODE_32, NULL, NULL, {0xf0, 0x0f, 0x20, 0xd0}},
    };

    for (size_t i = 0; i < sizeof(vendors) / sizeof(vendors[0]); i++) {
        expect_text(&vendors[i], 0, vendors[i].intel);
        expect_text(&vendors[i], X86EMU_DECODE_AMD, vendors[i].amd);
    }
}
