/* SPDX-License-Identifier: BSD-2-Clause */
/* Which instructions a processor has, by its CPUID features. */
#include "rows.h"

#include <x86emu/insn.h>

_Static_assert(X86EMU_FEATURE_COUNT <= 8 * sizeof(((struct x86emu_features *)0)->absent), "a bit for each feature");

void x86emu_feature_remove(struct x86emu_features *features, enum x86emu_feature feature)
{
    if ((unsigned)feature < X86EMU_FEATURE_COUNT)
        features->absent[feature / 64] |= UINT64_C(1) << feature % 64;
}

/* X86EMU_FEATURE_NONE is never absent. */
static bool is_absent(const struct x86emu_features *features, unsigned feature)
{
    return feature != X86EMU_FEATURE_NONE && features->absent[feature / 64] >> feature % 64 & 1;
}

bool x86emu_feature_is_absent(const struct x86emu_features *features, enum x86emu_feature feature)
{
    return (unsigned)feature < X86EMU_FEATURE_COUNT && is_absent(features, feature);
}

bool x86emu_insn_allowed(const struct x86emu_insn *insn, const struct x86emu_features *features)
{
    const struct traits *needs = find_traits(insn->form);

    if (is_absent(features, needs->feature) || is_absent(features, needs->base))
        return false;
    if (insn->vector_length > 16 && is_absent(features, needs->wide))
        return false;
    return insn->vector_length == 64 || !(needs->bits & TRAIT_NEEDS_VL) ||
           !is_absent(features, X86EMU_FEATURE_AVX512VL);
}

unsigned x86emu_features_options(const struct x86emu_features *features)
{
    static const struct {
        uint8_t feature;
        uint16_t option;
    } older[] = {{X86EMU_FEATURE_LZCNT, X86EMU_DECODE_NO_LZCNT},
                 {X86EMU_FEATURE_BMI1, X86EMU_DECODE_NO_TZCNT},
                 {X86EMU_FEATURE_CET, X86EMU_DECODE_NO_CET},
                 {X86EMU_FEATURE_MPX, X86EMU_DECODE_NO_MPX},
                 {X86EMU_FEATURE_CLDEMOTE, X86EMU_DECODE_NO_CLDEMOTE},
                 {X86EMU_FEATURE_WBNOINVD, X86EMU_DECODE_NO_WBNOINVD},
                 {X86EMU_FEATURE_PREFETCHI, X86EMU_DECODE_NO_PREFETCHI}};
    unsigned options = 0;

    for (unsigned n = 0; n < sizeof(older) / sizeof(older[0]); n++)
        options |= is_absent(features, older[n].feature) ? older[n].option : 0;
    return options;
}
