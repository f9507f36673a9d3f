/* SPDX-License-Identifier: BSD-2-Clause */
/* The library as a machine: RAM, a disk by programmed input and output, and a reset after a shutdown. */
#include "system.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ATA_DATA = 0x1f0,
    ATA_COMMAND = 0x1f7,
    ATA_READ = 0x20,
    ATA_READY = 0x58, /* ready, data can be moved */
    SLICE = 1 << 16,
    MOST_STEPS = 2000000, /* of one case: more means that it runs for ever */
};

struct machine {
    struct x86emu_vcpu vcpu;
    struct x86emu emu;
    struct x86emu_cache cache;
    struct x86emu_region_map map;
    struct x86emu_region region, nothing;
    struct x86emu_host_range host;
    uint8_t *ram, *disk, *sector;
    size_t disk_size, moved;
    uint8_t ata[8];
    bool ended, failed;
    uint32_t result; /* address of the case's result, as last seen */
    unsigned long steps;
};

/* --- devices ------------------------------------------------------------------------------------------------------ */

static void ata_command(struct machine *m)
{
    size_t number = m->ata[3] | (size_t)m->ata[4] << 8 | (size_t)m->ata[5] << 16;

    m->sector = number < m->disk_size / SECTOR ? m->disk + number * SECTOR : NULL;
    m->moved = 0;
}

static void ata_move(struct machine *m, struct x86emu_request *request)
{
    for (unsigned i = 0; i < request->count; i++) {
        uint8_t *data = request->data.bytes + i * request->size;

        if (m->sector == NULL || m->moved + request->size > SECTOR)
            return;
        if (request->kind == X86EMU_REQUEST_PORT_IN)
            memcpy(data, m->sector + m->moved, request->size);
        else
            memcpy(m->sector + m->moved, data, request->size);
        m->moved += request->size;
    }
}

static void answer_port(struct machine *m, struct x86emu_request *request)
{
    bool in = request->kind == X86EMU_REQUEST_PORT_IN;

    if (request->port == ATA_DATA) {
        ata_move(m, request);
    } else if (in) {
        memset(request->data.bytes, 0xff, (size_t)request->size * request->count);
        if (request->port == ATA_COMMAND)
            request->data.bytes[0] = ATA_READY;
    } else if (request->port > ATA_DATA && request->port <= ATA_COMMAND) {
        m->ata[request->port - ATA_DATA] = request->data.bytes[0];
        if (request->port == ATA_COMMAND)
            ata_command(m);
    }
    m->ended = m->ended || (!in && request->port == PORT_EXIT);
}

/* A split lock: of RAM, for there are no devices in memory. */
static void answer_rmw(struct machine *m, const struct x86emu_request *request)
{
    unsigned first = request->flags & X86EMU_REQUEST_SPLIT ? request->first_size : request->size;

    if (request->gpa + first <= RAM_SIZE)
        memcpy(m->ram + request->gpa, request->data.bytes, first);
    if (first < request->size && request->gpa_second + request->size - first <= RAM_SIZE)
        memcpy(m->ram + request->gpa_second, request->data.bytes + first, request->size - first);
}

static void answer(void *opaque, struct x86emu_vcpu *vcpu, struct x86emu_request *request)
{
    struct machine *m = opaque;

    (void)vcpu;
    request->answer = X86EMU_ANSWER_OK;
    switch (request->kind) {
    case X86EMU_REQUEST_PORT_IN:
    case X86EMU_REQUEST_PORT_OUT:
        answer_port(m, request);
        break;
    case X86EMU_REQUEST_MSR_READ:
    case X86EMU_REQUEST_MSR_WRITE:
        request->answer = X86EMU_ANSWER_FAULT;
        request->fault = (struct x86emu_exception){.vector = X86EMU_VECTOR_GP, .has_error_code = true};
        break;
    case X86EMU_REQUEST_RMW:
        answer_rmw(m, request);
        break;
    case X86EMU_REQUEST_READ: /* no memory there */
    case X86EMU_REQUEST_FETCH:
    case X86EMU_REQUEST_ENTRY_READ:
        memset(request->data.bytes, 0xff, (size_t)request->size * request->count);
        break;
    default:
        memset(&request->data, 0, sizeof(request->data));
        break;
    }
}

/* --- the processor ------------------------------------------------------------------------------------------------ */

static void reset(struct machine *m)
{
    struct x86emu_vcpu *v = &m->vcpu;

    memset(v, 0, sizeof(*v));
    v->loaded = X86EMU_STATE_ALL;
    v->rip = GUEST;
    v->rflags = X86EMU_RFLAGS_FIXED;
    v->cr0 = X86EMU_CR0_ET;
    v->dr[6] = 0xffff0ff0;
    v->dr[7] = 0x400;
    v->xcr0 = 1;
    v->idtr.limit = 0xffff;
    for (unsigned i = 0; i < 6; i++)
        v->segment[i] = (struct x86emu_segment){.limit = 0xffff, .attributes = i == X86EMU_CS ? 0x9b : 0x93};
    v->tr = (struct x86emu_segment){.limit = 0xffff, .attributes = 0x8b};
    v->ldtr = (struct x86emu_segment){.limit = 0xffff, .attributes = 0x82};
    memcpy(m->ram + GUEST, m->disk, SECTOR);
    x86emu_cache_flush(&m->cache);
}

static void fail(struct machine *m, const char *why, unsigned status)
{
    uint32_t at = get32(m->ram, PROGRESS + PROGRESS_CASE);

    fprintf(stderr, "library: case %u: %s (status %u) at %#llx, bytes",
            at < RAM_SIZE - 8 ? get32(m->ram, at + CASE_NUMBER) - 1 : 0, why, status, (unsigned long long)m->vcpu.rip);
    for (unsigned i = 0; i < m->emu.byte_count; i++)
        fprintf(stderr, " %02x", m->emu.bytes[i]);
    fprintf(stderr, "\n");
    m->failed = true;
}

static void deliver(struct machine *m, const struct x86emu_exception *e, uint64_t dr6)
{
    struct x86emu_event event = {.kind = X86EMU_EVENT_EXCEPTION,
                                 .vector = e->vector,
                                 .error_code = e->error_code,
                                 .has_error_code = e->has_error_code,
                                 .cr2 = e->cr2,
                                 .dr6 = dr6};

    for (;;) {
        enum x86emu_status status = x86emu_deliver(&m->emu, &m->vcpu, &event);

        if (status == X86EMU_SHUTDOWN)
            reset(m);
        else if (status != X86EMU_EXCEPTION && status != X86EMU_RETIRED)
            fail(m, "an event can't be delivered", status);
        if (status != X86EMU_EXCEPTION) {
            if (status == X86EMU_RETIRED && m->emu.outcome.trap) {
                event = (struct x86emu_event){.vector = X86EMU_VECTOR_DB, .dr6 = m->emu.outcome.dr6};
                continue;
            }
            return;
        }
        e = &m->emu.outcome.exception;
        event = (struct x86emu_event){.kind = X86EMU_EVENT_EXCEPTION,
                                      .vector = e->vector,
                                      .error_code = e->error_code,
                                      .has_error_code = e->has_error_code,
                                      .cr2 = e->cr2,
                                      .dr6 = m->emu.outcome.dr6};
    }
}

static void step(struct machine *m)
{
    static const struct x86emu_exception debug = {.vector = X86EMU_VECTOR_DB};
    enum x86emu_status status = x86emu_step(&m->emu, &m->vcpu);

    if (status == X86EMU_RETIRED && m->emu.outcome.trap)
        deliver(m, &debug, m->emu.outcome.dr6);
    else if (status == X86EMU_EXCEPTION)
        deliver(m, &m->emu.outcome.exception, m->emu.outcome.dr6);
    else if (status != X86EMU_RETIRED)
        fail(m, "not emulated", status);
}

/* A case that runs for ever ends the run. */
static void watch(struct machine *m)
{
    uint32_t result = get32(m->ram, PROGRESS + PROGRESS_RESULT);

    if (result == m->result && result != 0 && (m->steps += SLICE) > MOST_STEPS)
        fail(m, "runs for ever", 0);
    if (result != m->result)
        m->steps = 0;
    m->result = result;
}

bool library_run(uint8_t *disk, size_t size, bool amd)
{
    struct machine *m = calloc(1, sizeof(*m));
    struct x86emu_config config = {.opaque = m, .decode_options = amd ? X86EMU_DECODE_AMD : 0, .maxphyaddr = 40};
    bool ok;

    if (m == NULL || (m->ram = calloc(1, RAM_SIZE)) == NULL)
        return false;
    m->disk = disk;
    m->disk_size = size;
    m->host = (struct x86emu_host_range){.base = m->ram, .size = RAM_SIZE};
    m->region = (struct x86emu_region){.size = RAM_SIZE, .protection = 7, .host = &m->host};
    m->nothing = (struct x86emu_region){.gpa = RAM_SIZE,
                                        .size = (UINT64_C(1) << 52) - RAM_SIZE,
                                        .kind = X86EMU_REGION_MMIO,
                                        .protection = 7,
                                        .max_width = 8};
    x86emu_region_insert(&m->map, &m->region);
    x86emu_region_insert(&m->map, &m->nothing);
    config.map = &m->map;
    config.cache = &m->cache;
    for (unsigned kind = 1; kind < X86EMU_REQUEST_KINDS; kind++)
        config.callbacks[kind] = answer;
    x86emu_init(&m->emu, &config);
    reset(m);
    while (!m->ended && !m->failed) {
        for (unsigned n = 0; n < SLICE && !m->ended && !m->failed; n++)
            step(m);
        watch(m);
    }
    ok = !m->failed;
    free(m->ram);
    free(m);
    return ok;
}
