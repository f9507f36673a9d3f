/* SPDX-License-Identifier: BSD-2-Clause */
/* Vector instructions: operands of MMX to AVX-512, masks, and the pattern that most of them follow. */
#ifndef X86EMU_EXEC_VECTOR_H
#define X86EMU_EXEC_VECTOR_H

#include "memory.h"

typedef union x86emu_vector_register vec;

/* Sources and result of one instruction. */
struct vector_op {
    struct exec *x;
    unsigned size;    /* bytes of the vector: 8 for MMX, else 16, 32, 64 */
    unsigned element; /* bytes of an element, by which masks count */
    unsigned imm;
    vec a, b;
    vec r;
};

/* How a memory operand must lie. */
enum vector_alignment {
    ANYHOW,
    BY_ENCODING, /* legacy SSE: at a multiple of its size */
    ALIGNED,     /* VEX and EVEX as well */
};

/* Element i of a vector, size bytes. */
static inline uint64_t element_of(const vec *v, unsigned i, unsigned size)
{
    return load_le(v->u8 + i * size, size);
}

static inline void set_element(vec *v, unsigned i, unsigned size, uint64_t value)
{
    store_le(v->u8 + i * size, value, size);
}

/* #UD and #NM as CR0, CR4 and XCR0 say for the instruction's encoding (SDM Vol. 2, 2.4; MMX: also #MF). False: stopped. */
bool x86emu_vector_usable(struct exec *x);
bool x86emu_is_mmx(struct exec *x);
/* Whether operand n is a vector or mask register. */
bool x86emu_is_register(struct exec *x, unsigned n);
/* Bytes of the vectors: 8, 16, 32, 64. */
unsigned x86emu_vector_size(struct exec *x);

/* The EVEX mask: bit i set for each of count elements that takes part. */
uint64_t x86emu_vector_mask(struct exec *x, unsigned count);

/* Loads operand n: a whole register, or memory, with broadcast, and without masked-out elements. False: stopped. */
bool x86emu_vector_load(struct exec *x, unsigned n, unsigned element, enum vector_alignment alignment, vec *v);
/* Stores size bytes to operand n under the mask; a register's upper part stays (legacy) or becomes 0. */
void x86emu_vector_store(struct exec *x, unsigned n, const vec *v, unsigned size, unsigned element,
                         enum vector_alignment alignment);
/* Stages a whole vector register (or, of the row's other dest, the one with that number). */
void x86emu_vector_stage(struct exec *x, unsigned number, const vec *v);
/* A vector register as it is after a write of size bytes by this encoding. */
void x86emu_vector_extend(struct exec *x, unsigned number, vec *v, unsigned size);
/* MMX registers are valid x87 registers from then on. */
void x86emu_mmx_touched(struct exec *x);

/* Accesses runs of active elements; a is the address of element 0. False: stopped. */
bool x86emu_masked_read(struct exec *x, struct logical a, unsigned count, unsigned element, uint64_t mask, vec *v);
bool x86emu_masked_write(struct exec *x, struct logical a, unsigned count, unsigned element, uint64_t mask,
                         const vec *v);

/* dest = f(source 1, source 2), an immediate after them; legacy: source 1 is the destination. */
void x86emu_vector_binary(struct exec *x, unsigned element, void (*f)(struct vector_op *op));
/* dest = f(b), one source. */
void x86emu_vector_unary(struct exec *x, unsigned element, void (*f)(struct vector_op *op));
/* The same where an element of the result may come from any of the source: memory is read whole, whatever the mask. */
void x86emu_vector_binary_whole(struct exec *x, unsigned element, void (*f)(struct vector_op *op));
void x86emu_vector_unary_whole(struct exec *x, unsigned element, void (*f)(struct vector_op *op));
/* The count of a shift, read whole whatever the mask. False: stopped. */
bool x86emu_shift_count(struct exec *x, unsigned n, vec *count);
/*
 * The number of the row's operand n when the EVEX mask, which stands second, is not counted.
 */
static inline unsigned counted(struct exec *x, unsigned n)
{
    const struct x86emu_operand *second;

    if (n == 0 || x->insn->encoding != X86EMU_ENCODING_EVEX)
        return n;
    second = operand(x, 1);
    return second->kind == X86EMU_OPERAND_REG && second->reg.reg_class == X86EMU_REG_MASK ? n + 1 : n;
}

/* The immediate of the instruction. */
static inline unsigned vector_imm(const struct exec *x)
{
    return (unsigned)x->insn->imm & 0xff;
}

/* 4, or 8 with W: the element of EVEX rows that come in both. */
static inline unsigned element_by_w(const struct exec *x)
{
    return x->insn->rex & X86EMU_REX_W ? 8 : 4;
}

/* Most shuffles work in lanes of 16 bytes; MMX has one of 8. */
static inline unsigned lane_of(const struct vector_op *op)
{
    return op->size == 8 ? 8 : 16;
}

/* Semantic functions of one line, over whole vectors. */
#define BINARY(name, element, f)                   \
    void x86emu_exec_##name(struct exec *x)        \
    {                                              \
        x86emu_vector_binary_whole(x, element, f); \
    }

#define UNARY(name, element, f)                   \
    void x86emu_exec_##name(struct exec *x)       \
    {                                             \
        x86emu_vector_unary_whole(x, element, f); \
    }

#endif
