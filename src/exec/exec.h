/* SPDX-License-Identifier: BSD-2-Clause */
/* One run of one instruction: the staged state, and the primitives that semantic functions are written with. */
#ifndef X86EMU_EXEC_EXEC_H
#define X86EMU_EXEC_EXEC_H

#include "../common/inline.h"
#include "../common/mem.h"

#include <x86emu/emu.h>

/*
 * A run begins with clean staged state and ends in one of three ways: it stops (a request is open, a fault was raised),
 * and the staged state is thrown away; or all its reads were answered, and the effects and then the staged state are
 * committed. A stop is sticky: primitives called after it do nothing and answer 0.
 *
 * Reads of registers see the state before the instruction; writes are staged. So a semantic function never sees its
 * own writes, and its order of writes doesn't matter but where two go to parts of one register.
 */
/* A staged segment register: padding at its end would carry bytes of the host's stack. */
#define SEGMENT_BYTES (offsetof(struct x86emu_segment, attributes) + sizeof(uint32_t))
#define MOST_FIELDS 18 /* a task switch: eight segment registers, CR0, CR2, CR3, four PDPTEs, DR6, DR7 */
#define MOST_FIELD_BYTES (8 * SEGMENT_BYTES + 10 * 8)

struct exec {
    struct x86emu *emu;
    struct x86emu_vcpu *vcpu;
    const struct x86emu_insn *insn;
    struct x86emu_cache *cache;      /* NULL: none, or of no use */
    struct x86emu_operand *operands; /* expanded so far: in the transaction or in the cache */
    uint8_t *operand_count;
    const struct x86emu_segment *ldtr; /* the LDT that selectors mean: a task switch looks into the new task's */

    uint64_t rip;
    uint64_t rflags;
    uint8_t status; /* enum x86emu_status of the stop */
    uint8_t mode;   /* enum x86emu_mode */
    uint8_t cpl;
    bool locked;      /* LOCK, or XCHG with memory */
    uint8_t rmw_read; /* entry of transaction.reads that holds the memory operand being modified; NO_READ */

    /* From here on to gpr: zero when a run begins. */
    const struct x86emu_form_flags *flags_of_row; /* NULL: not looked up */
    void (*finish)(struct exec *x);               /* commits what is too large to be staged; NULL: nothing */
    uint64_t address_bias;                        /* added to memory operands: BT family with a register offset */
    uint64_t rflags_mask; /* flags of rflags that are staged although the row doesn't name them */
    uint32_t gpr_staged;  /* bit n: gpr[n] is staged */
    uint32_t staged;      /* enum x86emu_state, besides GPR and RIP */
    uint32_t shadow;      /* enum x86emu_interruptibility that begins with this instruction */
    uint32_t unblocked;   /* enum x86emu_interruptibility that ends with it */
    uint32_t dr6;         /* debug traps that this instruction has earned: bits of DR6 */
    bool stopped;
    bool repeats;        /* leave RIP at this instruction */
    bool restart;        /* an exchange was lost: run again with the new value */
    bool hint_direct;    /* the one memory operand is at the hinted address: don't compute it */
    uint8_t hint_access; /* enum x86emu_access of operands that the hinted address can belong to; 0: no address */
    uint8_t read_cursor; /* the next entry of transaction.reads that this run will ask for */
    int8_t stack_bias;   /* added to RSP as a base: POP addresses its destination after the increment */
    bool no_step;        /* no single-step trap follows this instruction */
    bool late_step;      /* one does if TF is set after it */
    bool system;         /* the access being translated is the processor's own */
    bool log_all;        /* finish() looks at what was read: reads of RAM belong in the log too */
    uint8_t field_count; /* of fields: see x86emu_stage() */
    uint8_t field_bytes_used;
    uint8_t vector_count; /* of transaction.vectors */

    uint64_t gpr[16];
    struct staged_field {
        uint16_t offset; /* in struct x86emu_vcpu */
        uint8_t size;
        uint8_t at; /* in field_bytes */
    } fields[MOST_FIELDS];
    uint8_t field_bytes[MOST_FIELD_BYTES];
};

#define NO_READ 0xff

/*
 * A logical address: segment and offset, the offset already truncated to the address size. LINEAR in place of a segment
 * marks an access of the processor's own to a descriptor table or a TSS, with supervisor rights at any CPL.
 */
#define LINEAR 8
#define FLAT 9 /* the stack of 64-bit code that is being entered: no base, no limit */

struct logical {
    uint8_t segment; /* enum x86emu_segment_name, or LINEAR */
    uint64_t offset;
};

/* --- stopping: step.c ------------------------------------------------------------------------------------------- */

void x86emu_end_run(struct exec *x, enum x86emu_status status);
void x86emu_not_emulated(struct exec *x, enum x86emu_reason reason);
void x86emu_unmapped(struct exec *x, uint64_t gpa, unsigned access);
void x86emu_raise(struct exec *x, enum x86emu_vector vector);                     /* without error code */
void x86emu_raise_code(struct exec *x, enum x86emu_vector vector, uint32_t code); /* with, outside real mode */

/* --- vCPU state: state.c ---------------------------------------------------------------------------------------- */

/* Makes sure that groups of state are loaded. False: stopped. */
bool x86emu_need_slow(struct exec *x, uint32_t groups);

static inline bool need(struct exec *x, uint32_t groups)
{
    return (x->vcpu->loaded & groups) == groups || x86emu_need_slow(x, groups);
}

/* Where vendors differ, the processor is AMD's, else Intel's. */
static inline bool is_amd(const struct exec *x)
{
    return x->emu->transaction.config.decode_options & X86EMU_DECODE_AMD;
}

/* All ones in the low size bytes, 1 to 8. */
static inline uint64_t size_mask(unsigned size)
{
    return ~UINT64_C(0) >> (64 - 8 * size);
}

/* Sign-extends the low size bytes. */
static inline uint64_t sign_extend(uint64_t value, unsigned size)
{
    unsigned shift = 64 - 8 * size;
    return (uint64_t)((int64_t)(value << shift) >> shift);
}

/* A whole general-purpose register before the instruction. */
static inline uint64_t gpr(struct exec *x, unsigned number)
{
    return need(x, X86EMU_STATE_GPR) ? x->vcpu->gpr[number & 15] : 0;
}

/* Stages size bytes of a register: 1, 2: the rest stays; 4: zero-extends; 8. */
void x86emu_gpr_stage(struct exec *x, unsigned number, unsigned size, uint64_t value);
/* Stages AH, CH, DH, BH (number 0 to 3). */
void x86emu_gpr_stage_high(struct exec *x, unsigned number, uint64_t value);

/* Stages a part of the vCPU, at most a segment register, that belongs to one of the groups. */
void x86emu_stage(struct exec *x, uint32_t group, const void *field, const void *value, unsigned size);

static inline void stage_register(struct exec *x, uint32_t group, const uint64_t *field, uint64_t value)
{
    x86emu_stage(x, group, field, &value, sizeof(value));
}

/* Stages the flags in mask, whatever the row says. */
static inline void stage_rflags(struct exec *x, uint64_t rflags, uint64_t mask)
{
    x->rflags = (x->rflags & ~mask) | (rflags & mask);
    x->rflags_mask |= mask;
}

/* The number of bits of RIP that count in this mode, as a mask. */
static inline uint64_t rip_mask(const struct exec *x)
{
    return x->mode == X86EMU_MODE_64 ? ~UINT64_C(0) : 0xffffffff;
}

/* --- operands: operand.c ---------------------------------------------------------------------------------------- */

const struct x86emu_operand *x86emu_operand_expand(struct exec *x, unsigned n);
uint64_t x86emu_operand_read(struct exec *x, unsigned n);
void x86emu_operand_write(struct exec *x, unsigned n, uint64_t value);
bool x86emu_operand_address(struct exec *x, unsigned n, struct logical *address);
/* A memory operand of up to 64 bytes; what was loaded and is stored becomes a read-modify-write. False: stopped. */
bool x86emu_operand_load(struct exec *x, unsigned n, void *data);
bool x86emu_operand_store(struct exec *x, unsigned n, const void *data);

static inline const struct x86emu_operand *operand(struct exec *x, unsigned n)
{
    return n < *x->operand_count ? &x->operands[n] : x86emu_operand_expand(x, n);
}

/* The value of operand n, zero-extended to 64 bits. Immediates come as the form extends them. */
static inline uint64_t read_operand(struct exec *x, unsigned n)
{
    return x86emu_operand_read(x, n);
}

/* Stages operand n. A memory operand that was read becomes a read-modify-write. */
static inline void write_operand(struct exec *x, unsigned n, uint64_t value)
{
    x86emu_operand_write(x, n, value);
}

/* Size of operand n in bytes. */
static inline unsigned operand_size(struct exec *x, unsigned n)
{
    return operand(x, n)->size;
}

/* --- semantic functions by table row: generated/dispatch.c ------------------------------------------------------- */

/* Runs the function that the table names for a row; stops with X86EMU_NOT_EMULATED when it names none. */
void x86emu_dispatch(struct exec *x, unsigned form);

#endif
