/* SPDX-License-Identifier: BSD-2-Clause */
/* Which register a field of ModRM or SIB names, with the bits that prefixes add. */
#ifndef X86EMU_DECODE_REGISTERS_H
#define X86EMU_DECODE_REGISTERS_H

#include <x86emu/insn.h>

static inline unsigned reg_number(const struct x86emu_insn *insn)
{
    return (insn->modrm >> 3 & 7u) | (insn->rex & X86EMU_REX_R ? 8u : 0u) | (insn->rex & X86EMU_REX_R4 ? 16u : 0u);
}

static inline unsigned rm_number(const struct x86emu_insn *insn)
{
    return (insn->modrm & 7u) | (insn->rex & X86EMU_REX_B ? 8u : 0u);
}

/* EVEX.X is bit 4 of a vector register in ModRM.rm (SDM Vol. 2, table 2-32). */
static inline unsigned vector_rm_number(const struct x86emu_insn *insn)
{
    return rm_number(insn) | (insn->encoding == X86EMU_ENCODING_EVEX && insn->rex & X86EMU_REX_X ? 16u : 0u);
}

static inline unsigned index_number(const struct x86emu_insn *insn)
{
    return (insn->sib >> 3 & 7u) | (insn->rex & X86EMU_REX_X ? 8u : 0u);
}

/* EVEX.V' is bit 4 of a vector index (SDM Vol. 2, table 2-32). */
static inline unsigned vector_index_number(const struct x86emu_insn *insn)
{
    return index_number(insn) | (insn->encoding == X86EMU_ENCODING_EVEX ? insn->vvvv & 0x10u : 0u);
}

#endif
