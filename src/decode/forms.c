/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers about rows of the instruction table. */
#include "generated/flag_table.h"
#include "generated/tables.h"

#include <x86emu/forms.h>

static const struct form_info *info(unsigned form)
{
    return &x86emu_form_infos[form < X86EMU_FORM_COUNT ? form : 0];
}

enum x86emu_mnemonic x86emu_form_mnemonic(unsigned form)
{
    return (enum x86emu_mnemonic)(info(form)->mnemonic & INFO_MNEMONIC);
}

enum x86emu_feature x86emu_form_feature(unsigned form)
{
    return (enum x86emu_feature)x86emu_form_requirements[info(form)->requirement].feature;
}

const struct x86emu_form_flags *x86emu_form_flags(unsigned form)
{
    return &x86emu_flag_table[info(form)->flags];
}

bool x86emu_form_is_privileged(unsigned form)
{
    return info(form)->mnemonic & INFO_PRIVILEGED;
}
