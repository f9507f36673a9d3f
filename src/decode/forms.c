/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers about rows of the instruction table. */
#include "generated/flag_table.h"
#include "rows.h"

#include <x86emu/forms.h>

static unsigned count_bits(uint32_t word)
{
    word -= word >> 1 & 0x55555555;
    word = (word & 0x33333333) + (word >> 2 & 0x33333333);
    return ((word + (word >> 4)) & 0x0f0f0f0f) * 0x01010101 >> 24;
}

enum x86emu_mnemonic x86emu_form_mnemonic(unsigned form)
{
    unsigned word = form / 32;

    if (form >= BUILT_FORMS)
        return X86EMU_MN_INVALID;
    return (enum x86emu_mnemonic)(x86emu_mnemonics_before[word] +
                                  count_bits(x86emu_first_forms[word] << (31 - form % 32)));
}

enum x86emu_feature x86emu_form_feature(unsigned form)
{
    return (enum x86emu_feature)find_traits(form)->feature;
}

const struct x86emu_form_flags *x86emu_form_flags(unsigned form)
{
    return &x86emu_flag_table[find_traits(form)->flags];
}

bool x86emu_form_is_privileged(unsigned form)
{
    return find_traits(form)->bits & TRAIT_PRIVILEGED;
}
