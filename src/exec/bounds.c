/* SPDX-License-Identifier: BSD-2-Clause */
/* The proof, at build time, that one transaction of the worst row of the table fits its bounds. */
#include "generated/functions.h"

/* Every operand may lie in two pages; so may the instruction itself. */
_Static_assert(2 * EXEC_MOST_MEMORY_OPERANDS + 2 <= X86EMU_MAX_PAGES, "pages of one transaction");

/* Each memory operand is read at most once and written at most once. */
_Static_assert(EXEC_MOST_MEMORY_OPERANDS <= X86EMU_MAX_READS, "reads of one transaction");
_Static_assert(EXEC_MOST_MEMORY_OPERANDS <= X86EMU_MAX_EFFECTS, "effects of one transaction");

/* ENTER writes 33 elements, reads 31 outer frames, and checks where the stack ends; PUSHA writes 8. */
_Static_assert(33 <= X86EMU_MAX_EFFECTS && 31 <= X86EMU_MAX_READS, "levels of ENTER");
_Static_assert(2 + 2 + 1 + 2 <= X86EMU_MAX_PAGES, "pages of ENTER: pushed, read, the end, the instruction");

/*
 * A far call through a gate: instruction, pointer, gate, code and stack descriptors, TSS, both stacks, each in two pages
 * and some of them read and written. A task switch: instruction, pointer, task gate, both TSSs, descriptors of task, LDT
 * and six segments, the new stack. 31 parameters are copied; a task switch saves registers and six selectors, links, and
 * marks two TSSs and six segments.
 */
_Static_assert(2 * (1 + 2 + 2 + 2 + 2 + 1 + 1 + 1) <= X86EMU_MAX_PAGES, "pages of a call gate");
_Static_assert(2 * (1 + 2 + 1 + 1 + 1 + 2 + 1 + 6 + 1) + 8 <= X86EMU_MAX_PAGES, "pages of a task switch");
_Static_assert(4 + 31 + 4 <= X86EMU_MAX_READS && 31 + 4 + 2 <= X86EMU_MAX_EFFECTS, "parameters of a call gate");
_Static_assert(1 + 6 + 1 + 2 + 6 + 1 <= X86EMU_MAX_EFFECTS, "writes of a task switch");

/*
 * XSAVE writes and XRSTOR reads all components in pieces of 64 bytes: header, legacy region, AVX, opmasks, ZMM_Hi256,
 * Hi16_ZMM, PKRU. A gather or scatter does one element at a time, a masked move at most 32 runs of bytes.
 */
_Static_assert(1 + 7 + 4 + 1 + 8 + 16 + 1 <= X86EMU_MAX_READS &&
                   64 + 416 + 256 + 64 + 512 + 1024 + 8 <= X86EMU_MAX_BYTES,
               "XRSTOR");
_Static_assert(3 + 1 + 4 + 4 + 1 + 8 + 16 + 1 + 1 <= X86EMU_MAX_EFFECTS &&
                   152 + 8 + 256 + 256 + 64 + 512 + 1024 + 8 + 16 <= X86EMU_MAX_BYTES,
               "XSAVE");

/* A batch is as large as a request, and nothing else is wider than a vector register. */
_Static_assert(sizeof(((struct x86emu_transaction *)0)->read_bytes) >= X86EMU_REQUEST_DATA + 64, "bytes read");
_Static_assert(sizeof(((struct x86emu_transaction *)0)->effect_bytes) >= X86EMU_REQUEST_DATA + 64, "bytes written");
