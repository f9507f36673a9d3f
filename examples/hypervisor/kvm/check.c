/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's device accesses held against the library's. The library does the same instruction on a copy of the processor,
 * with every access a request: memory is read for it but never written, and what it asks of a device must be what KVM
 * asks.
 *
 * KVM asks for a read with the processor before the instruction. For a write it has finished the instruction already,
 * where no read came before it: then the instruction that ends where RIP is now is looked for.
 */
#include "kvm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kvm_check {
    struct kvm *kvm;
    struct x86emu emu;
    struct x86emu_vcpu vcpu;
    enum x86emu_status status; /* REQUEST: the library has asked, and KVM goes on with the same instruction */
    unsigned done;             /* bytes of the request that KVM has asked for */
    bool looked;               /* at memory, which another processor may have changed since KVM did */
    uint64_t agreed, unknown;
};

struct kvm_check *kvm_check_new(struct kvm *kvm)
{
    struct kvm_check *check = calloc(1, sizeof(*check));

    if (check == NULL)
        return NULL;
    check->kvm = kvm;
    check->status = X86EMU_RETIRED;
    x86emu_init(&check->emu, NULL);
    return check;
}

void kvm_check_print(const struct kvm_check *check)
{
    printf("device accesses: %llu the same as the library's, %llu without an instruction to compare\n",
           (unsigned long long)check->agreed, (unsigned long long)check->unknown);
}

/* --- the library's side ----------------------------------------------------------------------------------------------- */

/* Memory, as it is; what would be written is lost. False: it is a device's. */
static bool answer_memory(struct kvm_check *check, struct x86emu_request *r)
{
    const struct machine *machine = check->kvm->machine;
    uint64_t gpa = r->gpa;

    if (gpa >= machine->ram_size)
        return false;
    r->answer = X86EMU_ANSWER_OK;
    check->looked |= r->kind == X86EMU_REQUEST_READ && machine->cpu_count > 1;
    if (r->kind != X86EMU_REQUEST_FETCH && r->kind != X86EMU_REQUEST_READ && r->kind != X86EMU_REQUEST_ENTRY_READ)
        return true;
    for (unsigned n = 0; n < r->count; n++, gpa += (uint64_t)(int64_t)r->stride) {
        if (gpa > machine->ram_size - r->size)
            r->answer = X86EMU_ANSWER_UNMAPPED;
        else
            memcpy(r->data.bytes + (size_t)n * r->size, machine->ram + gpa, r->size);
    }
    return true;
}

static bool is_memory(const struct x86emu_request *r)
{
    return r->kind >= X86EMU_REQUEST_FETCH && r->kind <= X86EMU_REQUEST_ENTRY_UPDATE;
}

/* Goes on until the library asks for a device in memory, or ends. */
static void advance(struct kvm_check *check)
{
    while (check->status == X86EMU_REQUEST && is_memory(&check->emu.request) &&
           answer_memory(check, &check->emu.request))
        check->status = x86emu_complete(&check->emu, &check->vcpu);
    check->done = 0;
}

static void begin(struct kvm_check *check)
{
    if (check->status == X86EMU_REQUEST)
        x86emu_cancel(&check->emu);
    check->looked = false;
    check->status = x86emu_step(&check->emu, &check->vcpu);
    advance(check);
}

static bool is_write(const struct x86emu_request *r)
{
    return r->kind == X86EMU_REQUEST_WRITE || r->kind == X86EMU_REQUEST_RMW;
}

/* The element under way, and the byte in it: KVM cuts at 8 bytes, and never joins elements. */
static bool agrees(const struct kvm_check *check)
{
    const struct kvm_run *run = check->kvm->run;
    const struct x86emu_request *r = &check->emu.request;
    unsigned element = check->done / r->size, byte = check->done % r->size;
    uint64_t gpa = r->gpa + (uint64_t)((int64_t)element * r->stride) + byte;

    if (check->status != X86EMU_REQUEST || !is_memory(r) || is_write(r) != (run->mmio.is_write != 0))
        return false;
    if (gpa != run->mmio.phys_addr || run->mmio.len > r->size - byte)
        return false;
    return !run->mmio.is_write || memcmp(r->data.bytes + check->done, run->mmio.data, run->mmio.len) == 0;
}

/* --- the instruction before a write ------------------------------------------------------------------------------------ */

/* Takes back what MOVS and STOS have done to the registers that address their memory. */
static void undo(struct x86emu_vcpu *vcpu, const struct x86emu_insn *insn, unsigned size)
{
    uint64_t step = vcpu->rflags & X86EMU_RFLAGS_DF ? 0 - (uint64_t)size : size;

    if (insn->map != 0)
        return;
    if (insn->opcode == 0xa4 || insn->opcode == 0xa5 || insn->opcode == 0xaa || insn->opcode == 0xab)
        vcpu->gpr[X86EMU_RDI] -= step;
    if (insn->opcode == 0xa4 || insn->opcode == 0xa5)
        vcpu->gpr[X86EMU_RSI] -= step;
}

static bool try_length(struct kvm_check *check, const struct x86emu_vcpu *after, unsigned length)
{
    uint8_t bytes[X86EMU_MAX_INSN_LENGTH];
    struct x86emu_insn insn;

    check->vcpu = *after;
    check->vcpu.rip -= length;
    if (length != 0) {
        if (!machine_read_linear(check->kvm->machine, after, after->segment[X86EMU_CS].base + check->vcpu.rip, bytes,
                                 length) ||
            x86emu_decode(&insn, bytes, length, machine_mode(after)) != X86EMU_DECODE_OK || insn.length != length)
            return false;
        undo(&check->vcpu, &insn, check->kvm->run->mmio.len);
    }
    begin(check);
    return true;
}

/* True: one of the instructions that may have been is the one. *any: one of them writes to a device at least, what
   no other processor can have changed. */
static bool find_writer(struct kvm_check *check, bool *any)
{
    struct x86emu_vcpu after = check->vcpu;

    *any = false;
    for (unsigned length = 0; length <= X86EMU_MAX_INSN_LENGTH; length++) {
        if (!try_length(check, &after, length))
            continue;
        if (agrees(check))
            return true;
        *any |= check->status == X86EMU_REQUEST && is_memory(&check->emu.request) && is_write(&check->emu.request) &&
                !check->looked;
    }
    check->vcpu = after;
    return false;
}

/* --- KVM's side --------------------------------------------------------------------------------------------------------- */

static bool differ(struct kvm_check *check)
{
    const struct kvm_run *run = check->kvm->run;
    const struct x86emu_request *r = &check->emu.request;

    printf("\nKVM and the library differ about a device access\n  KVM:     %s of %u bytes at %#llx",
           run->mmio.is_write ? "write" : "read", run->mmio.len, (unsigned long long)run->mmio.phys_addr);
    for (unsigned i = 0; run->mmio.is_write && i < run->mmio.len; i++)
        printf(" %02x", run->mmio.data[i]);
    if (check->status == X86EMU_REQUEST) {
        printf("\n  library: request %u of %u times %u bytes at %#llx, %u done", r->kind, r->count, r->size,
               (unsigned long long)r->gpa, check->done);
        for (unsigned i = 0; is_write(r) && i < r->size; i++)
            printf(" %02x", r->data.bytes[i]);
        printf("\n");
    } else {
        printf("\n  library: no access, status %u\n", check->status);
    }
    report_vcpu(&check->vcpu, check->emu.bytes, check->emu.byte_count);
    return false;
}

/* Nothing to hold it against. */
static bool pass(struct kvm_check *check)
{
    check->unknown++;
    check->status = X86EMU_RETIRED;
    return true;
}

bool kvm_check_before(struct kvm_check *check)
{
    bool any;

    if (check->status == X86EMU_REQUEST && agrees(check))
        return true;
    if (!kvm_load(check->kvm, &check->vcpu))
        return false;
    if (!check->kvm->run->mmio.is_write) {
        begin(check);
        if (agrees(check))
            return true;
        return check->looked ? pass(check) : differ(check);
    }
    if (find_writer(check, &any))
        return true;
    return any ? differ(check) : pass(check);
}

bool kvm_check_after(struct kvm_check *check)
{
    const struct kvm_run *run = check->kvm->run;
    struct x86emu_request *r = &check->emu.request;

    if (check->status != X86EMU_REQUEST)
        return true;
    check->agreed++;
    if (!run->mmio.is_write)
        memcpy(r->data.bytes + check->done, run->mmio.data, run->mmio.len);
    check->done += run->mmio.len;
    if (check->done < (unsigned)r->size * r->count)
        return true;
    r->answer = X86EMU_ANSWER_OK;
    check->status = x86emu_complete(&check->emu, &check->vcpu);
    advance(check);
    return true;
}
