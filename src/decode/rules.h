/* SPDX-License-Identifier: BSD-2-Clause */
/* What the decoder asks about a nearly finished instruction when its row has rules of its own. */
#ifndef X86EMU_DECODE_RULES_H
#define X86EMU_DECODE_RULES_H

#include <x86emu/insn.h>

/* Whether the row's special rule (enum special_rule) holds. */
bool x86emu_special_rules_hold(const struct x86emu_insn *insn, unsigned special);

#endif
