/* SPDX-License-Identifier: BSD-2-Clause */
/* 64 bytes straight to a device: MOVDIR64B, ENQCMD, ENQCMDS (SDM Vol. 2). */
#include "control.h"
#include "flags.h"
#include "generated/functions.h"
#include "memory.h"

enum {
    SIZE = 64,
    IA32_PASID = 0xd93,
};

#define PASID_VALID (UINT64_C(1) << 31)
#define PASID 0xfffffu

/* The source, and where it goes: through ES, or DS in 64-bit mode, to a multiple of 64. False: stopped. */
static bool load(struct exec *x, struct logical *to, uint8_t *bytes)
{
    struct logical from;

    to->segment = x->mode == X86EMU_MODE_64 ? X86EMU_DS : X86EMU_ES;
    to->offset = read_operand(x, 0) & size_mask(x->insn->address_size);
    if (x->stopped || !x86emu_operand_address(x, 1, &from) || !x86emu_memory_read(x, from, SIZE, USE_PLAIN, bytes))
        return false;
    if ((to->offset + x86emu_segment_base(x, to->segment)) % SIZE)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    return !x->stopped;
}

void x86emu_exec_movdir64b(struct exec *x)
{
    struct logical to;
    uint8_t bytes[SIZE];

    if (load(x, &to, bytes))
        x86emu_memory_write(x, to, SIZE, bytes);
}

/* Asks the device at gpa whether it takes the command. Only the caller can know: RAM and plain regions don't. */
static bool accepted(struct exec *x, uint64_t gpa, uint64_t la, const uint8_t *command)
{
    struct x86emu_read *read = x86emu_next_read(x, X86EMU_REQUEST_ENQUEUE, gpa, SIZE);
    struct x86emu_request *request;
    struct target target;

    if (read == NULL)
        return false;
    target = x86emu_target(x, gpa, SIZE, X86EMU_ACCESS_WRITE);
    if (target.kind != TARGET_REQUEST)
        return false;
    if (read->done < SIZE) {
        request = x86emu_ask(x, X86EMU_REQUEST_ENQUEUE, gpa, SIZE, 1);
        request->gva = la;
        copy_bytes(request->data.bytes, command, SIZE);
        if (!x86emu_present(x))
            return false;
    }
    return x->emu->transaction.read_bytes[read->data] == 0;
}

static void enqueue(struct exec *x, const struct logical to, const uint8_t *command)
{
    struct span span;

    if (x86emu_locate(x, to, SIZE, X86EMU_ACCESS_WRITE, USE_UNALIGNED, &span))
        stage_flags(x, accepted(x, span.gpa, span.la, command) ? 0 : X86EMU_RFLAGS_ZF);
}

/* The first four bytes are the process's address space identifier, which the operating system gave it. */
void x86emu_exec_enqcmd(struct exec *x)
{
    uint8_t command[SIZE], answer[8] = {0};
    struct logical to;
    uint64_t pasid;

    if (!load(x, &to, command) || !x86emu_query(x, X86EMU_REQUEST_MSR_READ, IA32_PASID, 0, 8, answer))
        return;
    pasid = load_le64(answer);
    if (!(pasid & PASID_VALID)) {
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
        return;
    }
    store_le(command, pasid & PASID, 4);
    enqueue(x, to, command);
}

/* The supervisor says whose it is, and bit 31 whether it is privileged. */
void x86emu_exec_enqcmds(struct exec *x)
{
    uint8_t command[SIZE];
    struct logical to;

    if (!load(x, &to, command))
        return;
    if (load_le(command, 4) & ~(uint64_t)PASID & 0x7fffffff)
        x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
    enqueue(x, to, command);
}
