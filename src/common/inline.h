/* SPDX-License-Identifier: BSD-2-Clause */
/* What the compiler must or must not inline: hot paths and what they seldom call. */
#ifndef X86EMU_COMMON_INLINE_H
#define X86EMU_COMMON_INLINE_H

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))

#endif
