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
                                          .attributes = X86EMU_SEGMENT_AVL | 0x70u | TYPE_ACCESSED | entry->type |
                                                        (entry->big ? X86EMU_SEGMENT_DB : 0u) |
                                                        (entry->absent ? 0u : X86EMU_SEGMENT_P)};
    segment.selector = selector;
    return segment;
}

/* --- descriptors as they are in memory ---------------------------------------------------------------------------- */

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
           (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)(flags & 0xf) << 52 | (uint64_t)(base >> 24) << 56;
}

/* What LAR and LSL tell about an entry of the GDT. What they don't is none of a user program's business: DPL 0. */
static uint64_t visible_descriptor(unsigned selector)
{
    uint32_t access = 0, limit = 0;
    bool visible;

    __asm__("lar %2, %0" : "=r"(access), "=@ccz"(visible) : "r"(selector));
    if (!visible)
        return descriptor(0, 0, 0x80, 0);
    __asm__("lsl %1, %0" : "=r"(limit) : "r"(selector));
    if (access & 0x800000)
        limit >>= 12;
    return descriptor(0, limit, access >> 8 & 0xff, access >> 20 & 0xf);
}

uint16_t ldt_limit(void)
{
    return sizeof(ldt) / sizeof(ldt[0]) * 8 - 1;
}

void segments_tables(uint8_t *gdt, uint8_t *ldt_bytes)
{
    for (unsigned i = 1; i < (GDT_LIMIT + 1) / 8; i++)
        memcpy(gdt + 8 * i, &(uint64_t){visible_descriptor(8 * i + 3)}, 8);
    for (unsigned i = 1; i < sizeof(ldt) / sizeof(ldt[0]); i++) {
        struct x86emu_segment segment = segment_of(segment_selector((enum ldt_index)i));
        uint64_t raw = descriptor((uint32_t)segment.base, segment.limit, segment.attributes & 0xff,
                                  segment.attributes >> 12 & 0xf);

        memcpy(ldt_bytes + 8 * i, &raw, 8);
    }
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
