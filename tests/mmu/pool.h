/* SPDX-License-Identifier: BSD-2-Clause */
/* Page-table pages for tests: few or many, full of garbage when given, checked when they come back. */
#ifndef TESTS_MMU_POOL_H
#define TESTS_MMU_POOL_H

#include <x86emu/nested.h>

enum {
    POOL_PAGES = 4096,
};
#define POOL_HPA UINT64_C(0x7000000000) /* host-physical address of the pool's first page */

/* Pages in use; pages that may still be given: tests lower it to see what happens without. */
extern unsigned pool_used, pool_left;
/* Something came back that was not given, or at another address. */
extern unsigned pool_mistakes;
/* The generation that the page that came back last was released with. */
extern uint64_t pool_generation;

void pool_reset(void);
struct x86emu_nested_memory pool_memory(void);

#endif
