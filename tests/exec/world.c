/* SPDX-License-Identifier: BSD-2-Clause */
/* The test guest's memory, page tables and device. */
#include "world.h"

#include <string.h>

enum {
    PML4 = 0x1000,
    PDPT = 0x2000,
    PD = 0x3000,
    PT = 0x4000,
    PD32 = 0x5000,
    PT32 = 0x6000
};
enum {
    P = 1,
    RW = 2,
    US = 4,
    A = 0x20,
    D = 0x40
};

static uint8_t *bytes_at(struct world *world, uint64_t gpa, uint64_t size)
{
    if (gpa < WORLD_RAM_SIZE && size <= WORLD_RAM_SIZE - gpa)
        return world->ram + gpa;
    if (gpa >= WORLD_DEVICE && gpa - WORLD_DEVICE < WORLD_DEVICE_SIZE &&
        size <= WORLD_DEVICE_SIZE - (gpa - WORLD_DEVICE))
        return world->device + (gpa - WORLD_DEVICE);
    return NULL;
}

uint64_t world_load(const struct world *world, uint64_t gpa, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, bytes_at((struct world *)world, gpa, size), size);
    return value;
}

void world_store(struct world *world, uint64_t gpa, uint64_t value, unsigned size)
{
    memcpy(bytes_at(world, gpa, size), &value, size);
}

static uint64_t leaf_entry(uint64_t la)
{
    switch (la) {
    case WORLD_REMAPPED:
        return WORLD_DATA | P | RW | US | A | D;
    case WORLD_REMAPPED_DEVICE:
        return WORLD_DEVICE | P | RW | US | A | D;
    case WORLD_READ_ONLY:
        return la | P | US | A;
    case WORLD_CLEAN:
        return la | P | RW | US;
    case WORLD_ABSENT:
        return 0;
    case WORLD_NOWHERE:
        return WORLD_NOWHERE_GPA | P | RW | US | A | D;
    default:
        return la | P | RW | US | A | D;
    }
}

static void build_tables(struct world *world)
{
    const uint64_t upper = P | RW | US | A;

    world_store(world, PML4, PDPT | upper, 8);
    world_store(world, PDPT, PD | upper, 8);
    world_store(world, PD, PT | upper, 8);
    world_store(world, PD32, PT32 | upper, 4);
    for (uint64_t page = 0; page < 256; page++) {
        world_store(world, PT + page * 8, leaf_entry(page << 12), 8);
        world_store(world, PT32 + page * 4, leaf_entry(page << 12), 4);
    }
}

static void set_segments(struct x86emu_vcpu *vcpu, enum x86emu_mode mode)
{
    static const uint32_t code_size[3] = {0, X86EMU_SEGMENT_DB, X86EMU_SEGMENT_L};
    uint32_t common = X86EMU_SEGMENT_S | X86EMU_SEGMENT_P;

    for (int i = 0; i < 6; i++) {
        bool code = i == X86EMU_CS;

        vcpu->segment[i].selector = mode == X86EMU_MODE_16 ? 0 : code ? 0x08 : 0x10;
        vcpu->segment[i].limit = mode == X86EMU_MODE_16 ? 0xffff : 0xffffffff;
        vcpu->segment[i].attributes = common | (code ? 0xb | code_size[mode] : 0x3);
        if (!code && mode != X86EMU_MODE_16)
            vcpu->segment[i].attributes |= X86EMU_SEGMENT_DB;
    }
}

static void set_control(struct x86emu_vcpu *vcpu, enum x86emu_mode mode)
{
    vcpu->cr0 = X86EMU_CR0_ET;
    if (mode == X86EMU_MODE_16)
        return;
    vcpu->cr0 |= X86EMU_CR0_PE | X86EMU_CR0_PG | X86EMU_CR0_WP;
    vcpu->cr3 = mode == X86EMU_MODE_64 ? PML4 : PD32;
    if (mode == X86EMU_MODE_64) {
        vcpu->cr4 = X86EMU_CR4_PAE;
        vcpu->efer = X86EMU_EFER_LME | X86EMU_EFER_LMA | X86EMU_EFER_NXE;
    }
}

void world_init(struct world *world, enum x86emu_mode mode)
{
    memset(world, 0, sizeof(*world));
    world->vcpu.loaded = X86EMU_STATE_ALL;
    world->vcpu.rip = WORLD_CODE;
    world->vcpu.rflags = X86EMU_RFLAGS_FIXED;
    world->vcpu.gpr[X86EMU_RSP] = mode == X86EMU_MODE_16 ? 0x7000 : WORLD_STACK;
    set_segments(&world->vcpu, mode);
    set_control(&world->vcpu, mode);
    build_tables(world);
    for (unsigned i = 0; i < WORLD_DEVICE_SIZE; i++)
        world->device[i] = (uint8_t)(0xd0 + i * 7);
}

void world_set_user(struct world *world)
{
    for (int i = 0; i < 6; i++) {
        world->vcpu.segment[i].selector |= 3;
        world->vcpu.segment[i].attributes |= X86EMU_SEGMENT_DPL;
    }
}

void world_code(struct world *world, const void *bytes, size_t size)
{
    memcpy(world->ram + WORLD_CODE, bytes, size);
}

/* --- what the outside world does ---------------------------------------------------------------------------------- */

static void record(struct world *world, unsigned kind, uint64_t address, const void *data, unsigned size)
{
    struct world_event *event = &world->event[world->event_count];

    if (world->event_count == WORLD_MAX_TRACE)
        return;
    world->event_count++;
    *event = (struct world_event){.kind = (uint8_t)kind, .size = (uint8_t)size, .address = address};
    memcpy(&event->value, data, size < 8 ? size : 8);
    memcpy(event->bytes, data, size < sizeof(event->bytes) ? size : sizeof(event->bytes));
}

static bool is_device(uint64_t gpa)
{
    return gpa >= WORLD_DEVICE && gpa < WORLD_DEVICE + WORLD_DEVICE_SIZE;
}

static bool read_elements(struct world *world, uint64_t gpa, unsigned size, unsigned count, int stride, uint8_t *data)
{
    for (unsigned i = 0; i < count; i++, gpa += (uint64_t)(int64_t)stride, data += size) {
        uint8_t *bytes = bytes_at(world, gpa, size);

        if (bytes == NULL)
            return false;
        memcpy(data, bytes, size);
        if (is_device(gpa)) {
            world->device_reads++;
            record(world, X86EMU_REQUEST_READ, gpa, data, size);
        }
    }
    return true;
}

static bool write_elements(struct world *world, uint64_t gpa, unsigned size, unsigned count, int stride,
                           const uint8_t *data)
{
    for (unsigned i = 0; i < count; i++, gpa += (uint64_t)(int64_t)stride, data += size) {
        uint8_t *bytes = bytes_at(world, gpa, size);

        if (bytes == NULL)
            return false;
        memcpy(bytes, data, size);
        if (is_device(gpa))
            record(world, X86EMU_REQUEST_WRITE, gpa, data, size);
    }
    return true;
}

/* Compares and exchanges size bytes; a device just takes the new value. */
static uint8_t exchange(struct world *world, uint64_t gpa, unsigned size, uint8_t *old_data, const uint8_t *new_data)
{
    uint8_t *bytes = bytes_at(world, gpa, size);

    if (bytes == NULL)
        return X86EMU_ANSWER_UNMAPPED;
    if (!is_device(gpa) && memcmp(bytes, old_data, size) != 0) {
        memcpy(old_data, bytes, size);
        return X86EMU_ANSWER_CHANGED;
    }
    return write_elements(world, gpa, size, 1, 0, new_data) ? X86EMU_ANSWER_OK : X86EMU_ANSWER_UNMAPPED;
}

static uint8_t answer_rmw(struct world *world, struct x86emu_request *request)
{
    unsigned first = request->flags & X86EMU_REQUEST_SPLIT ? request->first_size : request->size;
    uint8_t answer = exchange(world, request->gpa, first, request->old_data.bytes, request->data.bytes);

    if (answer != X86EMU_ANSWER_OK || first == request->size)
        return answer;
    return exchange(world, request->gpa_second, request->size - first, request->old_data.bytes + first,
                    request->data.bytes + first);
}

static uint8_t answer_port(struct world *world, struct x86emu_request *request)
{
    if (request->kind == X86EMU_REQUEST_PORT_IN)
        memset(request->data.bytes, 0x5a, (size_t)request->size * request->count);
    record(world, request->kind, request->port, request->data.bytes, request->size);
    return X86EMU_ANSWER_OK;
}

static uint8_t answered(bool ok)
{
    return ok ? X86EMU_ANSWER_OK : X86EMU_ANSWER_UNMAPPED;
}

/* Byte n of an answer about register or leaf i is i + n; the ninth byte says that random numbers are valid. */
static void answer_query(struct x86emu_request *request)
{
    for (unsigned n = 0; n < request->size; n++)
        request->data.bytes[n] = (uint8_t)(request->index + n);
    if (request->kind == X86EMU_REQUEST_RANDOM)
        request->data.bytes[8] = 1;
    request->answer = X86EMU_ANSWER_OK;
}

void world_answer(struct world *world, struct x86emu_request *request)
{
    switch (request->kind) {
    case X86EMU_REQUEST_FETCH:
    case X86EMU_REQUEST_READ:
    case X86EMU_REQUEST_ENTRY_READ:
        request->answer = answered(
            read_elements(world, request->gpa, request->size, request->count, request->stride, request->data.bytes));
        break;
    case X86EMU_REQUEST_WRITE:
        request->answer = answered(
            write_elements(world, request->gpa, request->size, request->count, request->stride, request->data.bytes));
        break;
    case X86EMU_REQUEST_RMW:
        request->answer = answer_rmw(world, request);
        break;
    case X86EMU_REQUEST_ENTRY_UPDATE:
        request->answer = exchange(world, request->gpa, request->size, request->old_data.bytes, request->data.bytes);
        break;
    case X86EMU_REQUEST_STATE:
        world->vcpu.loaded |= request->state;
        request->answer = X86EMU_ANSWER_OK;
        break;
    case X86EMU_REQUEST_CPUID:
    case X86EMU_REQUEST_MSR_READ:
    case X86EMU_REQUEST_TIME:
    case X86EMU_REQUEST_COUNTER:
    case X86EMU_REQUEST_RANDOM:
        answer_query(request);
        break;
    case X86EMU_REQUEST_ENQUEUE:
        record(world, request->kind, request->gpa, request->data.bytes, request->size);
        request->data.bytes[0] = world->busy;
        request->answer = X86EMU_ANSWER_OK;
        break;
    case X86EMU_REQUEST_MSR_WRITE:
        record(world, request->kind, request->index, request->data.bytes, 8);
        request->answer = X86EMU_ANSWER_OK;
        break;
    case X86EMU_REQUEST_HYPERCALL:
    case X86EMU_REQUEST_HALT:
        record(world, request->kind, 0, request->data.bytes, 0);
        request->answer = X86EMU_ANSWER_OK;
        break;
    default:
        request->answer = answer_port(world, request);
        break;
    }
}

void world_callback(void *opaque, struct x86emu_vcpu *vcpu, struct x86emu_request *request)
{
    (void)vcpu;
    world_answer(opaque, request);
}

/* --- the same through regions ------------------------------------------------------------------------------------- */

static bool device_read(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data)
{
    return read_elements(opaque, WORLD_DEVICE + offset, size, count, stride, data);
}

static bool device_write(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, const void *data)
{
    return write_elements(opaque, WORLD_DEVICE + offset, size, count, stride, data);
}

void world_map(struct world *world, bool handed_on, unsigned max_width)
{
    const uint8_t all = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE | X86EMU_ACCESS_EXECUTE;

    memset(&world->map, 0, sizeof(world->map));
    world->host = (struct x86emu_host_range){.base = world->ram, .size = WORLD_RAM_SIZE};
    world->ram_region = (struct x86emu_region){
        .size = WORLD_RAM_SIZE, .kind = X86EMU_REGION_RAM, .protection = all, .host = &world->host};
    world->device_region = (struct x86emu_region){.gpa = WORLD_DEVICE,
                                                  .size = WORLD_DEVICE_SIZE,
                                                  .kind = X86EMU_REGION_MMIO,
                                                  .protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE,
                                                  .max_width = (uint8_t)max_width,
                                                  .read = handed_on ? NULL : device_read,
                                                  .write = handed_on ? NULL : device_write,
                                                  .opaque = world};
    x86emu_region_insert(&world->map, &world->ram_region);
    x86emu_region_insert(&world->map, &world->device_region);
}
