/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests: asking, offering to callbacks, holding an answer against its question and taking it in. */
#include "memory.h"

struct x86emu_request *x86emu_ask(struct exec *x, enum x86emu_request_kind kind, uint64_t gpa, unsigned size,
                                  unsigned count)
{
    struct x86emu_transaction *t = &x->emu->transaction;
    struct x86emu_request *request = &x->emu->request;

    t->outside = true;
    clear_bytes(request, offsetof(struct x86emu_request, old_data));
    request->id = ++t->next_id;
    request->kind = (uint8_t)kind;
    request->gpa = gpa;
    request->size = (uint16_t)size;
    request->count = (uint16_t)count;
    t->question =
        (struct x86emu_question){.gpa = gpa, .size = request->size, .count = request->count, .kind = request->kind};
    return request;
}

bool x86emu_present(struct exec *x)
{
    struct x86emu_transaction *t = &x->emu->transaction;
    struct x86emu_request *request = &x->emu->request;
    x86emu_callback *callback = t->config.callbacks[request->kind];

    if (callback != NULL)
        callback(t->config.opaque, x->vcpu, request);
    if (callback == NULL || request->answer == X86EMU_ANSWER_NONE) {
        x86emu_end_run(x, X86EMU_REQUEST);
        return false;
    }
    if (!x86emu_accept(x)) {
        x86emu_end_run(x, X86EMU_BAD_ANSWER);
        return false;
    }
    return !x->stopped && !x->restart;
}

static bool question_unchanged(const struct x86emu_transaction *t, const struct x86emu_request *request)
{
    return request->id == t->next_id && request->kind == t->question.kind && request->gpa == t->question.gpa &&
           request->size == t->question.size && request->count == t->question.count;
}

/* An exchange can be told apart from its neighbours only while nothing else of the instruction has happened. */
static bool may_be_lost(const struct x86emu_transaction *t, unsigned kind)
{
    return kind == X86EMU_REQUEST_ENTRY_UPDATE ||
           (kind == X86EMU_REQUEST_RMW && t->effects_done == 0 && t->bytes_done == 0);
}

static bool answer_is_legal(const struct exec *x)
{
    const struct x86emu_transaction *t = &x->emu->transaction;
    const struct x86emu_request *request = &x->emu->request;

    if (!question_unchanged(t, request))
        return false;
    switch (request->answer) {
    case X86EMU_ANSWER_OK:
        return request->kind != X86EMU_REQUEST_STATE || (x->vcpu->loaded & request->state) == request->state;
    case X86EMU_ANSWER_CHANGED:
        return may_be_lost(t, request->kind);
    case X86EMU_ANSWER_FAULT:
        return request->fault.vector < 32;
    case X86EMU_ANSWER_UNMAPPED:
        return request->kind != X86EMU_REQUEST_STATE &&
               (request->kind < X86EMU_REQUEST_HALT || request->kind == X86EMU_REQUEST_ENQUEUE);
    default:
        return false;
    }
}

static void take_read(struct x86emu_transaction *t, const struct x86emu_request *request)
{
    struct x86emu_read *read = &t->reads[t->read_count - 1];
    unsigned bytes = (unsigned)request->size * request->count;

    copy_bytes(&t->read_bytes[read->data + read->done], request->data.bytes, bytes);
    read->done = (uint16_t)(read->done + bytes);
}

static void take_fetch(struct x86emu *emu)
{
    copy_bytes(&emu->bytes[emu->byte_count], emu->request.data.bytes, emu->request.size);
    emu->byte_count = (uint8_t)(emu->byte_count + emu->request.size);
}

/* An exchange lost: what is there now becomes what was read, and the instruction runs again from it. */
static void take_lost_exchange(struct exec *x)
{
    struct x86emu_transaction *t = &x->emu->transaction;
    const struct x86emu_effect *effect = &t->effects[t->effects_done];
    const struct x86emu_read *read = &t->reads[effect->read];

    copy_bytes(&t->read_bytes[read->data], x->emu->request.old_data.bytes, x->emu->request.size);
    x->restart = true;
}

static void take_data(struct exec *x)
{
    struct x86emu_transaction *t = &x->emu->transaction;
    const struct x86emu_request *request = &x->emu->request;

    switch (request->kind) {
    case X86EMU_REQUEST_FETCH:
        take_fetch(x->emu);
        break;
    case X86EMU_REQUEST_READ:
    case X86EMU_REQUEST_PORT_IN:
    case X86EMU_REQUEST_CPUID:
    case X86EMU_REQUEST_MSR_READ:
    case X86EMU_REQUEST_TIME:
    case X86EMU_REQUEST_COUNTER:
    case X86EMU_REQUEST_RANDOM:
    case X86EMU_REQUEST_ENQUEUE:
        take_read(t, request);
        break;
    case X86EMU_REQUEST_WRITE:
    case X86EMU_REQUEST_RMW:
    case X86EMU_REQUEST_PORT_OUT:
    case X86EMU_REQUEST_MSR_WRITE:
        t->bytes_done = (uint16_t)(t->bytes_done + request->size * request->count);
        break;
    case X86EMU_REQUEST_HALT:
    case X86EMU_REQUEST_HYPERCALL:
        t->bytes_done = 1;
        break;
    case X86EMU_REQUEST_ENTRY_READ:
        x86emu_walk_entry(&t->walk, request->data.value);
        break;
    case X86EMU_REQUEST_ENTRY_UPDATE:
        x86emu_walk_updated(&t->walk, true);
        break;
    case X86EMU_REQUEST_TRANSLATE:
        x86emu_page_translated(x, request->data.value);
        break;
    default: /* STATE: the caller has put it into vcpu */
        break;
    }
}

static void take_unmapped(struct exec *x)
{
    static const uint8_t access[X86EMU_REQUEST_KINDS] = {
        [X86EMU_REQUEST_FETCH] = X86EMU_ACCESS_EXECUTE,   [X86EMU_REQUEST_READ] = X86EMU_ACCESS_READ,
        [X86EMU_REQUEST_WRITE] = X86EMU_ACCESS_WRITE,     [X86EMU_REQUEST_RMW] = X86EMU_ACCESS_WRITE,
        [X86EMU_REQUEST_ENTRY_READ] = X86EMU_ACCESS_READ, [X86EMU_REQUEST_ENTRY_UPDATE] = X86EMU_ACCESS_WRITE,
        [X86EMU_REQUEST_TRANSLATE] = X86EMU_ACCESS_READ,  [X86EMU_REQUEST_PORT_IN] = X86EMU_ACCESS_READ,
        [X86EMU_REQUEST_PORT_OUT] = X86EMU_ACCESS_WRITE,  [X86EMU_REQUEST_ENQUEUE] = X86EMU_ACCESS_WRITE,
    };

    x86emu_unmapped(x, x->emu->request.gpa, access[x->emu->request.kind]);
}

bool x86emu_accept(struct exec *x)
{
    struct x86emu_transaction *t = &x->emu->transaction;
    struct x86emu_request *request = &x->emu->request;

    if (!answer_is_legal(x))
        return false;
    switch (request->answer) {
    case X86EMU_ANSWER_OK:
        take_data(x);
        break;
    case X86EMU_ANSWER_CHANGED:
        if (request->kind == X86EMU_REQUEST_RMW)
            take_lost_exchange(x);
        else
            x86emu_walk_updated(&t->walk, false);
        break;
    case X86EMU_ANSWER_FAULT:
        x->emu->outcome.exception = request->fault;
        x86emu_end_run(x, X86EMU_EXCEPTION);
        break;
    default:
        take_unmapped(x);
        break;
    }
    request->kind = t->question.kind = X86EMU_REQUEST_NONE;
    return true;
}
