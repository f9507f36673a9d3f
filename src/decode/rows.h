/* SPDX-License-Identifier: BSD-2-Clause */
/* How to get from a row's number to what the table says of it. */
#ifndef X86EMU_DECODE_ROWS_H
#define X86EMU_DECODE_ROWS_H

#include "generated/tables.h"

#include <x86emu/insn.h>

/* A number out of range is row 0, which is no instruction. */
static inline const struct form *find_row(unsigned form)
{
    return &x86emu_decode_tables.forms[form < BUILT_FORMS ? form : 0];
}

static inline const struct traits *find_traits(unsigned form)
{
    return &x86emu_traits[find_row(form)->traits];
}

static inline unsigned operand_count(const struct form *row)
{
    return row->operands >> OPERANDS_COUNT;
}

/* n: below operand_count(). */
static inline const struct operand_template *find_template(const struct form *row, unsigned n)
{
    return &x86emu_operand_templates[x86emu_operand_numbers[(row->operands & OPERANDS_FIRST) + n]];
}

#endif
