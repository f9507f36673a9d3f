/* SPDX-License-Identifier: BSD-2-Clause */
/* What cases are made of: descriptors, gates, instructions and what they need. */
#ifndef SYSTEM_WORLD_H
#define SYSTEM_WORLD_H

#include "system.h"

/* Writes a segment descriptor (SDM Vol. 3, figure 3-8): access is its byte 5, flags the upper four bits of byte 6. */
void world_descriptor(uint8_t *at, uint32_t base, uint32_t limit, unsigned access, unsigned flags);
/* Writes a gate (SDM Vol. 3, figures 5-8, 6-2): parameters is byte 4, IST in long mode. */
void world_gate(uint8_t *at, unsigned selector, uint32_t offset, unsigned access, unsigned parameters);

/* Selectors that a case's world has at fixed places, from SEL_MENU on, and those that are random. */
enum {
    SEL_FLAT_CODE = 0x50,  /* four, DPL 0 to 3: 32-bit, the whole address space */
    SEL_FLAT_DATA = 0x70,  /* the same */
    SEL_SMALL_CODE = 0x90, /* four, 16-bit: the world */
    SEL_SMALL_DATA = 0xb0,
    SEL_LDT = 0xd0,
    SEL_TSS_B = 0xd8,     /* 32-bit */
    SEL_TSS_C = 0xe0,     /* 16-bit */
    SEL_TSS_D = 0xe8,     /* 16-bit */
    SEL_TSS_E = 0xf0,     /* 32-bit */
    SEL_LONG_CODE = 0xf8, /* four, 64-bit */
    SEL_RANDOM = 0x118,
    LDT_ENTRIES = 16,
};

/* A case under construction. */
struct maker {
    struct test_case *c;
    enum x86emu_mode mode; /* of the code */
    unsigned cpl;
    bool vm86, paging, pae;
    uint32_t data_base; /* linear address that DS, ES, SS and CS begin at */
    uint32_t sp;        /* offset of the stack in the world */
    uint64_t gpr[16];
    uint64_t rflags;
    unsigned size; /* bytes of the instructions so far */
};

/* Fills the menu of descriptors: GDT, LDT. */
void menu_fill(struct maker *m);
/* A selector of the menu, any RPL. */
unsigned menu_selector(void);
/* Which selectors were asked for since menu_forget(). */
void menu_forget(void);
void menu_recall(struct test_case *c);

/* Appends the instructions under test, and sets what they need. */
void instruction_make(struct maker *m);

#endif
