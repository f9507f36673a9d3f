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

/* Where the templates of its operands are. */
static inline const uint16_t *operand_places(const struct form *row)
{
    return &x86emu_operand_places[row->operands & OPERANDS_FIRST];
}

static inline const struct operand_template *template_at(unsigned place)
{
    return (const struct operand_template *)((const char *)x86emu_operand_templates + place);
}

/* n: below operand_count(). */
static inline const struct operand_template *find_template(const struct form *row, unsigned n)
{
    return template_at(operand_places(row)[n]);
}

#endif
