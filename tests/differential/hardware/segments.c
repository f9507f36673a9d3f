/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments of a user program: Linux's flat ones, and an LDT with others: 16-bit, limited, expand-down, read-only. */
#define _GNU_SOURCE
#include "hardware.h"

#include <asm/ldt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    TYPE_EXPAND_DOWN = 4,
    TYPE_CODE = 8,
    TYPE_WRITABLE = 2, /* code: readable */
    TYPE_ACCESSED = 1, /* as Linux sets it */
    LDT_SELECTOR = 7,  /* table indicator and RPL 3 */
};

/* By LDT index. 16-bit code offsets reach all of CODE; data offsets of the limited segments end inside the arena. */
static const struct ldt_segment {
    uint32_t base, limit;
    uint8_t type;
    bool big, absent;
} ldt[] = {
    [0] = {.absent = true, .type = TYPE_WRITABLE},
    [SEGMENT_CODE_16] = {CODE, 0xffff, TYPE_CODE | TYPE_WRITABLE, false, false},
    [SEGMENT_CODE_32] = {CODE, 0xffff, TYPE_CODE | TYPE_WRITABLE, true, false},
    [SEGMENT_DATA_16] = {ARENA, 0xffff, TYPE_WRITABLE, false, false},
    [SEGMENT_LIMITED] = {ARENA, 0x2fff, TYPE_WRITABLE, true, false},
    [SEGMENT_SMALL] = {ARENA, 0x17ff, TYPE_WRITABLE, true, false},
    [SEGMENT_READ_ONLY] = {ARENA, 0xffff, 0, true, false},
    [SEGMENT_DOWN_32] = {ARENA, 0x17ff, TYPE_EXPAND_DOWN | TYPE_WRITABLE, true, false},
    [SEGMENT_DOWN_16] = {ARENA, 0x17ff, TYPE_EXPAND_DOWN | TYPE_WRITABLE, false, false},
    [SEGMENT_CODE_AS_DATA] = {ARENA, 0xffff, TYPE_CODE | TYPE_WRITABLE, true, false},
    [SEGMENT_ABSENT] = {ARENA, 0xffff, TYPE_WRITABLE, true, true},
};

uint16_t segment_selector(enum ldt_index index)
{
    return (uint16_t)(index * 8u | LDT_SELECTOR);
}

static const struct x86emu_segment flat_data = {.limit = UINT32_MAX, .attributes = 0xc0f3};
static const struct x86emu_segment null = {.attributes = X86EMU_SEGMENT_UNUSABLE};

struct x86emu_segment segment_of(uint16_t selector)
{
    const struct ldt_segment *entry = &ldt[(selector >> 3) % (sizeof(ldt) / sizeof(ldt[0]))];
    struct x86emu_segment segment = flat_data;

    if (selector < 4)
        segment = null;
    else if (selector == USER_CODE_32 || selector == USER_CODE_64)
        segment.attributes = selector == USER_CODE_32 ? 0xc0fb : 0xa0fb;
    else if ((selector & 7) == LDT_SELECTOR)
        segment = (struct x86emu_segment){.base = entry->base,
                                          .limit = entry->limit,
                                          .attributes = 0x70u | TYPE_ACCESSED | entry->type |
                                                        (entry->big ? X86EMU_SEGMENT_DB : 0u) |
                                                        (entry->absent ? 0u : X86EMU_SEGMENT_P)};
    segment.selector = selector;
    return segment;
}

void segments_start(void)
{
    for (unsigned i = 1; i < sizeof(ldt) / sizeof(ldt[0]); i++) {
        struct user_desc wanted = {.entry_number = i, .base_addr = ldt[i].base, .limit = ldt[i].limit, .useable = 1};

        wanted.seg_32bit = ldt[i].big;
        wanted.contents = ldt[i].type >> 2 & 3;
        wanted.read_exec_only = (ldt[i].type & TYPE_WRITABLE) == 0;
        wanted.seg_not_present = ldt[i].absent;
        if (syscall(SYS_modify_ldt, 0x11, &wanted, sizeof(wanted)) != 0) {
            perror("modify_ldt");
            exit(2);
        }
    }
}
