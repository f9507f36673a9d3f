/* SPDX-License-Identifier: BSD-2-Clause */
/* Segment descriptors: reading them, checking them, what loading one makes of a segment register. */
#ifndef X86EMU_EXEC_DESCRIPTOR_H
#define X86EMU_EXEC_DESCRIPTOR_H

#include "memory.h"

/* Types of system descriptors (SDM Vol. 3, table 3-2). */
enum system_type {
    TYPE_TSS_16 = 1,
    TYPE_LDT = 2,
    TYPE_TSS_16_BUSY = 3,
    TYPE_CALL_GATE_16 = 4,
    TYPE_TASK_GATE = 5,
    TYPE_INTERRUPT_GATE_16 = 6,
    TYPE_TRAP_GATE_16 = 7,
    TYPE_TSS_32 = 9, /* 64-bit in long mode */
    TYPE_TSS_32_BUSY = 11,
    TYPE_CALL_GATE_32 = 12,
    TYPE_INTERRUPT_GATE_32 = 14,
    TYPE_TRAP_GATE_32 = 15,
};

/* Bits of the type of code and data descriptors (SDM Vol. 3, table 3-1). */
enum type_bit {
    TYPE_ACCESSED = 1,
    TYPE_WRITABLE = 2,   /* data */
    TYPE_READABLE = 2,   /* code */
    TYPE_CONFORMING = 4, /* code */
    TYPE_CODE = 8,
};

struct descriptor {
    uint64_t la;       /* where it is */
    uint64_t low;      /* its first 8 bytes */
    uint64_t high;     /* in long mode: the second 8 bytes of a system descriptor, once read */
    uint16_t selector; /* that named it */
};

static inline unsigned descriptor_type(const struct descriptor *d)
{
    return (unsigned)(d->low >> 40) & 0xf;
}

/* S is set: code or data. */
static inline bool is_code_or_data(const struct descriptor *d)
{
    return d->low >> 44 & 1;
}

static inline bool is_code(const struct descriptor *d)
{
    return is_code_or_data(d) && descriptor_type(d) & TYPE_CODE;
}

static inline unsigned descriptor_dpl(const struct descriptor *d)
{
    return (unsigned)(d->low >> 45) & 3;
}

static inline bool is_present(const struct descriptor *d)
{
    return d->low >> 47 & 1;
}

static inline bool is_null(unsigned selector)
{
    return (selector & 0xfffc) == 0;
}

static inline unsigned rpl_of(unsigned selector)
{
    return selector & 3;
}

static inline bool is_long_mode(const struct exec *x)
{
    return x->vcpu->efer & X86EMU_EFER_LMA;
}

/* Reads or writes at a linear address for the processor itself, with supervisor rights. False: stopped. */
bool x86emu_system_read(struct exec *x, uint64_t la, unsigned size, void *data);
bool x86emu_system_write(struct exec *x, uint64_t la, unsigned size, const void *data);
/* An unsigned number of size bytes there; 0 when stopped. */
uint64_t x86emu_system_load(struct exec *x, uint64_t la, unsigned size);

/* The descriptor's place in the GDT or LDT; false when it lies beyond the limit. Stops only for state. */
bool x86emu_descriptor_find(struct exec *x, unsigned selector, unsigned size, uint64_t *la);
/* Reads it. A selector beyond the table's limit raises vector with the selector and ext (0 or 1) as error code. */
bool x86emu_descriptor_read(struct exec *x, unsigned selector, enum x86emu_vector vector, unsigned ext,
                            struct descriptor *d);
/* Reads the second half of a 16-byte one into high; its type field must be 0, else vector. */
bool x86emu_descriptor_read_high(struct exec *x, enum x86emu_vector vector, unsigned ext, struct descriptor *d);
/* Sets the accessed bit in memory unless it is set. */
void x86emu_descriptor_access(struct exec *x, const struct descriptor *d);
/* Sets or clears the busy bit of a TSS in memory. */
void x86emu_descriptor_busy(struct exec *x, const struct descriptor *d, bool busy);

/* What a segment register holds after loading it. */
struct x86emu_segment x86emu_segment_of(const struct descriptor *d);
/* A selector's worth of #GP, #NP, #SS, #TS. */
void x86emu_raise_selector(struct exec *x, enum x86emu_vector vector, unsigned selector, unsigned ext);

/* The pointer in memory that operand n names: two accesses, offset and selector. False: stopped. */
bool x86emu_far_pointer(struct exec *x, unsigned n, unsigned *selector, uint64_t *offset);

/* Stages a segment register. */
void x86emu_segment_stage(struct exec *x, unsigned name, const struct x86emu_segment *segment);
/* Loads it as MOV does, with all checks of the mode. */
void x86emu_segment_load(struct exec *x, unsigned name, unsigned selector);
/* What a data segment register, not SS, becomes in protected mode. False: stopped. */
bool x86emu_segment_data(struct exec *x, unsigned name, unsigned selector, struct x86emu_segment *segment);
/* As it is in real and virtual-8086 mode. */
struct x86emu_segment x86emu_segment_real(const struct exec *x, unsigned name, unsigned selector);
/* Checks a stack segment for privilege cpl and fills in what it becomes; faults but for absence are vector. */
bool x86emu_stack_segment(struct exec *x, unsigned selector, unsigned cpl, enum x86emu_vector vector, unsigned ext,
                          struct x86emu_segment *segment);

#endif
