/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything: decoding, emulation, guest paging, nested paging, memory regions. */
#ifndef X86EMU_X86EMU_H
#define X86EMU_X86EMU_H

#include <x86emu/cache.h>
#include <x86emu/emu.h>
#include <x86emu/forms.h>
#include <x86emu/insn.h>
#include <x86emu/nested.h>
#include <x86emu/paging.h>
#include <x86emu/region.h>
#include <x86emu/types.h>
#include <x86emu/vcpu.h>

#endif
