/* SPDX-License-Identifier: BSD-2-Clause */
/* What must hold when any instruction meets any vCPU state and any answers to its requests. */
#include "check.h"

#include <x86emu/x86emu.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Guest-physical memory. RAM holds page tables that map it one to one, code and data; the same RAM is shown again,
 * read-only; a device has handlers; another is handed on to the caller. Elsewhere the input decides what is there.
 */
enum {
    RAM_SIZE = 0x10000,
    PML4 = 0x1000,
    PDPT = 0x2000,
    PD = 0x3000,
    PD_32 = 0x4000,
    PDPT_PAE = 0x5000,
    PT = 0x6000,
    CODE = 0x9000,
    DATA = 0xc000,
    ROM = 0x40000,
    DEVICE = 0x80000,
    HANDED_ON = 0x90000,
    DEVICE_SIZE = 0x1000,

    MAX_INPUT = 4096,
    MAX_STEPS = 4,
    /* More requests than input bytes, which can each lead to another one, and the most that one transaction has. */
    MAX_REQUESTS = 2 * MAX_INPUT + 4096,
};

/* What the caller does with a request. */
enum action {
    ACT_OK,
    ACT_FAULT,
    ACT_UNMAPPED,
    ACT_CHANGED,
    ACT_WRONG_SIZE,
    ACT_WRONG_ID,
    ACT_WRONG_GPA,
    ACT_WRONG_KIND,
    ACT_NO_ANSWER,
    ACT_STRANGE_ANSWER,
    ACT_NOT_LOADED,
    ACT_STEP_AGAIN,
    ACT_CANCEL,
};

/* Each way of going through the same input. All must see the same requests and end the same. */
enum variant {
    PLAIN,
    MOVED,     /* the context is copied elsewhere at each request */
    SCRIBBLED, /* groups of state that are not loaded hold rubbish */
    CALLED,    /* every request is answered by a callback */
    VARIANTS,
};

struct guest {
    bool delivering; /* the step under way delivers an event */
    const uint8_t *input;
    size_t size, at;

    uint8_t ram[RAM_SIZE];
    struct x86emu_vcpu truth; /* all groups */
    struct x86emu_vcpu vcpu;  /* as the library sees it */
    struct x86emu_vcpu expected;
    struct x86emu *emu;
    struct x86emu_request asked; /* the open request as it was asked */

    struct x86emu_config config;
    struct x86emu_region_map map;
    struct x86emu_host_range host;
    struct x86emu_region regions[4];
    bool with_map;

    enum variant variant;
    enum action put_off; /* what a callback left to the loop */
    unsigned requests;
    unsigned refused; /* answers to the open request */
    uint64_t seen;    /* hash over all requests and endings */
};

/* --- input -------------------------------------------------------------------------------------------------------- */

static uint8_t take(struct guest *g)
{
    return g->at < g->size ? g->input[g->at++] : 0;
}

static uint64_t take_value(struct guest *g, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)take(g) << (8 * i);
    return value;
}

/* size bytes of data for at most 8 bytes of input. */
static void take_data(struct guest *g, uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = i < 8 ? take(g) : (uint8_t)(data[i - 8] + 1);
}

static void note(struct guest *g, uint64_t value)
{
    g->seen = (g->seen ^ value) * UINT64_C(0x100000001b3);
    g->seen ^= g->seen >> 29;
}

static enum action take_action(struct guest *g)
{
    static const uint8_t from[] = {
        [ACT_OK] = 0,           [ACT_FAULT] = 192,          [ACT_UNMAPPED] = 200,   [ACT_CHANGED] = 208,
        [ACT_WRONG_SIZE] = 216, [ACT_WRONG_ID] = 220,       [ACT_WRONG_GPA] = 224,  [ACT_WRONG_KIND] = 228,
        [ACT_NO_ANSWER] = 232,  [ACT_STRANGE_ANSWER] = 236, [ACT_NOT_LOADED] = 240, [ACT_STEP_AGAIN] = 246,
        [ACT_CANCEL] = 252,
    };
    uint8_t byte = take(g);
    unsigned action = ACT_CANCEL;

    while (byte < from[action])
        action--;
    return (enum action)action;
}

/* --- groups of state ---------------------------------------------------------------------------------------------- */

/* Copies the registers that belong to groups. */
static void copy_groups(struct x86emu_vcpu *to, const struct x86emu_vcpu *from, uint32_t groups)
{
#define COPY(group, field)             \
    if (groups & X86EMU_STATE_##group) \
    memcpy(&to->field, &from->field, sizeof(to->field))

    COPY(GPR, gpr);
    COPY(RIP, rip);
    COPY(RIP, rflags);
    COPY(RIP, interruptibility);
    COPY(RIP, pending_debug);
    COPY(CS, segment[X86EMU_CS]);
    COPY(SS, segment[X86EMU_SS]);
    COPY(DATA, segment[X86EMU_DS]);
    COPY(DATA, segment[X86EMU_ES]);
    COPY(FSGS, segment[X86EMU_FS]);
    COPY(FSGS, segment[X86EMU_GS]);
    COPY(TABLES, gdtr);
    COPY(TABLES, idtr);
    COPY(TABLES, ldtr);
    COPY(TABLES, tr);
    COPY(CONTROL, cr0);
    COPY(CONTROL, cr3);
    COPY(CONTROL, cr4);
    COPY(CONTROL, efer);
    COPY(CR2, cr2);
    COPY(CR8, cr8);
    COPY(DEBUG, dr);
    COPY(PDPTE, pdpte);
    COPY(KEYS, pkru);
    COPY(KEYS, pkrs);
    COPY(XCR0, xcr0);
    COPY(X87, x87);
    COPY(VECTOR, zmm);
    COPY(VECTOR, mxcsr);
    COPY(OPMASK, k);
    COPY(SYSCALL, star);
    COPY(SYSCALL, lstar);
    COPY(SYSCALL, cstar);
    COPY(SYSCALL, fmask);
    COPY(SYSCALL, kernel_gs_base);
    COPY(SYSCALL, sysenter_cs);
    COPY(SYSCALL, sysenter_esp);
    COPY(SYSCALL, sysenter_eip);
#undef COPY
}

static void load_groups(struct guest *g, uint32_t groups)
{
    groups &= ~g->vcpu.loaded;
    copy_groups(&g->vcpu, &g->truth, groups);
    g->vcpu.loaded |= groups;
    copy_groups(&g->expected, &g->truth, groups);
    g->expected.loaded |= groups;
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static uint8_t *ram_at(struct guest *g, uint64_t gpa, size_t size)
{
    return gpa < RAM_SIZE && size <= RAM_SIZE - gpa ? g->ram + gpa : NULL;
}

static void put(struct guest *g, uint64_t gpa, uint64_t value, unsigned size)
{
    memcpy(g->ram + gpa, &value, size);
}

static void make_page_tables(struct guest *g, uint64_t leaf_flags)
{
    put(g, PML4, PDPT | 7, 8);
    put(g, PDPT, PD | 7, 8);
    put(g, PDPT_PAE, PD | 1, 8);
    for (uint64_t i = 0; i < 512; i++) {
        put(g, PD + 8 * i, i << 21 | 0x80 | leaf_flags, 8);
        put(g, PT + 8 * i, i << 12 | leaf_flags, 8);
    }
    put(g, PD, PT | 7, 8);
    for (uint64_t i = 0; i < 1024; i++)
        put(g, PD_32 + 4 * i, i << 22 | 0x80 | leaf_flags, 4);
}

static bool device_read(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data)
{
    struct guest *g = opaque;

    CHECK(size >= 1 && size <= 64 && count >= 1 && size * count <= X86EMU_REQUEST_DATA);
    CHECK(offset < DEVICE_SIZE && offset + size <= DEVICE_SIZE);
    CHECK(stride == 0 || stride == (int)size || stride == -(int)size);
    note(g, offset << 16 | size << 8 | count);
    take_data(g, data, (size_t)size * count);
    return take(g) < 250;
}

static bool device_write(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, const void *data)
{
    struct guest *g = opaque;

    CHECK(size >= 1 && size <= 64 && count >= 1 && size * count <= X86EMU_REQUEST_DATA);
    CHECK(offset < DEVICE_SIZE && offset + size <= DEVICE_SIZE);
    CHECK(stride == 0 || stride == (int)size || stride == -(int)size);
    note(g, offset << 16 | size << 8 | count);
    for (size_t i = 0; i < (size_t)size * count; i++)
        note(g, ((const uint8_t *)data)[i]);
    return take(g) < 250;
}

static void make_map(struct guest *g, unsigned max_width_shift)
{
    uint8_t max_width = (uint8_t)(1u << max_width_shift);
    const uint8_t all = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE | X86EMU_ACCESS_EXECUTE;

    g->host = (struct x86emu_host_range){.base = g->ram, .size = RAM_SIZE};
    g->regions[0] = (struct x86emu_region){.size = RAM_SIZE, .protection = all, .host = &g->host};
    g->regions[1] = g->regions[0];
    g->regions[1].gpa = ROM;
    g->regions[1].protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_EXECUTE;
    g->regions[2] = (struct x86emu_region){.gpa = DEVICE,
                                           .size = DEVICE_SIZE,
                                           .kind = X86EMU_REGION_MMIO,
                                           .protection = all,
                                           .max_width = max_width,
                                           .read = device_read,
                                           .write = device_write,
                                           .opaque = g};
    g->regions[3] = g->regions[2];
    g->regions[3].gpa = HANDED_ON;
    g->regions[3].read = NULL;
    g->regions[3].write = NULL;
    memset(&g->map, 0, sizeof(g->map));
    for (unsigned i = 0; i < 4; i++)
        CHECK(x86emu_region_insert(&g->map, &g->regions[i]) == X86EMU_REGION_OK);
    g->config.map = &g->map;
}

/* --- the guest at the beginning ----------------------------------------------------------------------------------- */

static uint64_t take_register(struct guest *g)
{
    static const uint64_t base[] = {DATA, DATA + 0xff8, DEVICE, DEVICE + 0xffc, HANDED_ON, ROM, 0xfffc, 0};
    uint8_t byte = take(g);

    if (byte < 192)
        return base[byte & 7] + (byte >> 3);
    return byte < 224 ? byte : take_value(g, 8);
}

static void make_vcpu(struct guest *g, unsigned preset)
{
    struct x86emu_vcpu *vcpu = &g->truth;
    bool wide = preset == 0, protected = preset != 2;
    uint32_t size_bits = wide ? X86EMU_SEGMENT_L : preset == 3 || preset == 2 ? 0 : X86EMU_SEGMENT_DB;

    vcpu->rflags = X86EMU_RFLAGS_FIXED;
    vcpu->rip = CODE;
    for (unsigned i = 0; i < 6; i++)
        vcpu->segment[i] = (struct x86emu_segment){.limit = preset == 2 ? 0xffff : 0xffffffff,
                                                   .selector = (uint16_t)(protected ? 8 * (i + 1) : 0),
                                                   .attributes = 0x93 | X86EMU_SEGMENT_G | size_bits};
    vcpu->segment[X86EMU_CS].attributes |= 8;
    vcpu->cr0 = protected ? X86EMU_CR0_PE : 0;
    vcpu->cr4 = X86EMU_CR4_PSE;
    vcpu->mxcsr = 0x1f80;
    vcpu->xcr0 = 7;
    switch (preset) {
    case 0:
    case 5: /* compatibility mode */
        vcpu->cr0 |= X86EMU_CR0_PG;
        vcpu->cr3 = PML4;
        vcpu->cr4 |= X86EMU_CR4_PAE;
        vcpu->efer = X86EMU_EFER_LME | X86EMU_EFER_LMA | X86EMU_EFER_NXE;
        break;
    case 4:
        vcpu->cr0 |= X86EMU_CR0_PG;
        vcpu->cr3 = PD_32;
        break;
    case 6:
        vcpu->cr0 |= X86EMU_CR0_PG;
        vcpu->cr3 = PDPT_PAE;
        vcpu->cr4 |= X86EMU_CR4_PAE;
        memcpy(vcpu->pdpte, g->ram + PDPT_PAE, sizeof(vcpu->pdpte));
        break;
    case 7:
        vcpu->rflags |= X86EMU_RFLAGS_VM;
        break;
    default:
        break;
    }
}

/* Any byte of the state or of RAM may be another one. */
static void mutate(struct guest *g)
{
    for (unsigned left = take(g) & 7; left > 0; left--) {
        size_t offset = take_value(g, 2);
        uint8_t value = take(g);

        if (offset < RAM_SIZE / 2)
            g->ram[offset * 2] = value;
        else
            ((uint8_t *)&g->truth)[offset % sizeof(g->truth)] ^= value;
    }
}

static void make_guest(struct guest *g, const uint8_t *input, size_t size)
{
    static const uint16_t rips[] = {CODE, CODE, CODE + 0xff9, CODE + 0xffe};
    uint8_t preset, flags, code_size, loaded;

    memset(g, 0, sizeof(*g));
    g->input = input;
    g->size = size;
    preset = take(g);
    flags = take(g);
    loaded = take(g);
    make_page_tables(g, flags & 1 ? 0x67 : 7);
    make_vcpu(g, preset & 7);
    g->truth.rip = rips[preset >> 3 & 3];
    if (preset & 0x20) { /* ring 3 */
        g->truth.segment[X86EMU_CS].selector |= 3;
        g->truth.segment[X86EMU_SS].selector |= 3;
    }
    g->config.options = flags >> 1 & 3;
    g->config.decode_options = (flags & 8) ? X86EMU_DECODE_AMD : 0;
    g->config.maxphyaddr = flags & 16 ? 36 : 0;
    g->with_map = flags & 32;
    for (unsigned i = 0; i < 16; i++)
        g->truth.gpr[i] = flags & 64 ? DATA + 8 * i : take_register(g);
    code_size = take(g) & 31;
    for (unsigned i = 0; i < code_size; i++)
        g->ram[g->truth.rip + i] = take(g);
    mutate(g);
    g->truth.loaded = loaded < 64 ? X86EMU_STATE_ALL : loaded < 128 ? 0 : (uint32_t)take_value(g, 3);
    g->truth.loaded &= X86EMU_STATE_ALL;
    g->truth.changed = 0;
}

static void take_hint(struct guest *g)
{
    struct x86emu_hint hint = {0};
    uint8_t byte = take(g);

    if (byte < 160)
        return;
    hint.flags = byte & 15;
    hint.access = byte & 16 ? X86EMU_ACCESS_WRITE : X86EMU_ACCESS_READ;
    hint.gpa = take_register(g);
    hint.gva = take_register(g);
    hint.byte_count = take(g) & 15;
    take_data(g, hint.bytes, hint.byte_count);
    x86emu_hint(g->emu, &hint);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static bool carries_data(unsigned kind)
{
    return kind != X86EMU_REQUEST_STATE && kind != X86EMU_REQUEST_TRANSLATE && kind != X86EMU_REQUEST_HALT &&
           kind != X86EMU_REQUEST_HYPERCALL;
}

/* What every request promises. */
static void check_request(const struct x86emu_request *r)
{
    CHECK(r->kind > X86EMU_REQUEST_NONE && r->kind < X86EMU_REQUEST_KINDS);
    CHECK(r->answer == X86EMU_ANSWER_NONE);
    if (carries_data(r->kind)) {
        CHECK(r->size >= 1 && r->count >= 1);
        CHECK((unsigned)r->size * r->count <= X86EMU_REQUEST_DATA);
        CHECK(r->stride == 0 || r->stride == r->size || r->stride == -(int)r->size);
    }
    if (r->kind == X86EMU_REQUEST_STATE)
        CHECK(r->state != 0 && (r->state & ~(uint32_t)X86EMU_STATE_ALL) == 0);
    if (r->kind == X86EMU_REQUEST_RMW)
        CHECK(r->count == 1 && r->size <= 16);
    if (r->kind == X86EMU_REQUEST_FETCH)
        CHECK(r->size <= X86EMU_MAX_INSN_LENGTH && r->count == 1);
    if (r->kind == X86EMU_REQUEST_ENTRY_READ || r->kind == X86EMU_REQUEST_ENTRY_UPDATE)
        CHECK((r->size == 4 || r->size == 8) && r->count == 1 && r->gpa % r->size == 0);
    if (r->flags & X86EMU_REQUEST_SPLIT)
        CHECK(r->kind == X86EMU_REQUEST_RMW && r->first_size > 0 && r->first_size < r->size);
}

/* With X86EMU_TRACE in the environment, requests and endings are printed. */
static bool tracing;

static void note_request(struct guest *g, const struct x86emu_request *r)
{
    if (tracing)
        fprintf(stderr, "  %u: request %u gpa %llx %u x %u, flags %x, state %x, input at %zu\n", (unsigned)g->variant,
                r->kind, (unsigned long long)r->gpa, r->size, r->count, r->flags, r->state, g->at);
    note(g, r->id);
    note(g, r->gpa);
    note(g, r->gpa_second);
    note(g, (uint64_t)r->kind << 48 | (uint64_t)r->flags << 32 | (uint64_t)r->size << 16 | r->count);
    note(g, (uint64_t)r->state << 32 | (uint64_t)r->port << 16 | r->access);
    if (r->kind == X86EMU_REQUEST_WRITE || r->kind == X86EMU_REQUEST_RMW || r->kind == X86EMU_REQUEST_PORT_OUT)
        for (unsigned i = 0; i < (unsigned)r->size * r->count; i++)
            note(g, r->data.bytes[i]);
}

/* Compare-exchange in RAM, the second part elsewhere if the request is split. */
static void exchange(struct guest *g, struct x86emu_request *r)
{
    unsigned first = r->flags & X86EMU_REQUEST_SPLIT ? r->first_size : r->size;
    uint8_t *a = ram_at(g, r->gpa, first), *b = ram_at(g, r->gpa_second, r->size - first);
    const uint8_t *new_bytes = r->data.bytes;

    if (a == NULL || (first < r->size && b == NULL))
        return;
    if (memcmp(a, r->old_data.bytes, first) != 0 || memcmp(b, r->old_data.bytes + first, r->size - first) != 0)
        r->answer = X86EMU_ANSWER_CHANGED;
    if (r->answer == X86EMU_ANSWER_CHANGED) {
        memcpy(r->old_data.bytes, a, first);
        memcpy(r->old_data.bytes + first, b, r->size - first);
        return;
    }
    memcpy(a, new_bytes, first);
    memcpy(b, new_bytes + first, r->size - first);
}

static void transfer(struct guest *g, struct x86emu_request *r, bool to_guest)
{
    for (unsigned i = 0; i < r->count; i++) {
        uint8_t *data = r->data.bytes + (size_t)i * r->size;
        uint8_t *ram = ram_at(g, r->gpa + (uint64_t)((int64_t)i * r->stride), r->size);

        if (ram == NULL && !to_guest)
            take_data(g, data, r->size);
        else if (ram != NULL)
            memcpy(to_guest ? ram : data, to_guest ? data : ram, r->size);
    }
}

static void read_entry(struct guest *g, struct x86emu_request *r)
{
    static const uint16_t tables[] = {PML4, PDPT, PD, PD_32, PT, DATA, CODE, 0xf000};
    const uint8_t *ram = ram_at(g, r->gpa, r->size);
    uint8_t byte;

    r->data.value = 0;
    if (ram != NULL) {
        memcpy(r->data.bytes, ram, r->size);
        return;
    }
    byte = take(g);
    r->data.value = byte < 192 ? tables[byte & 7] | 7u | (byte & 0x60) : take_value(g, r->size);
}

static void answer_ok(struct guest *g, struct x86emu_request *r)
{
    r->answer = X86EMU_ANSWER_OK;
    switch (r->kind) {
    case X86EMU_REQUEST_STATE:
        load_groups(g, r->state);
        break;
    case X86EMU_REQUEST_FETCH:
    case X86EMU_REQUEST_READ:
        transfer(g, r, false);
        break;
    case X86EMU_REQUEST_WRITE:
        transfer(g, r, true);
        break;
    case X86EMU_REQUEST_PORT_IN:
    case X86EMU_REQUEST_CPUID:
    case X86EMU_REQUEST_MSR_READ:
    case X86EMU_REQUEST_TIME:
    case X86EMU_REQUEST_COUNTER:
    case X86EMU_REQUEST_RANDOM:
    case X86EMU_REQUEST_ENQUEUE:
        take_data(g, r->data.bytes, (size_t)r->size * r->count);
        break;
    case X86EMU_REQUEST_RMW:
    case X86EMU_REQUEST_ENTRY_UPDATE:
        exchange(g, r);
        break;
    case X86EMU_REQUEST_ENTRY_READ:
        read_entry(g, r);
        break;
    case X86EMU_REQUEST_TRANSLATE:
        r->data.value = r->gva & (take(g) < 250 ? 0xfffff : ~UINT64_C(0));
        break;
    default:
        break;
    }
}

static void answer_changed(struct guest *g, struct x86emu_request *r)
{
    r->answer = X86EMU_ANSWER_CHANGED;
    if (r->kind == X86EMU_REQUEST_RMW || r->kind == X86EMU_REQUEST_ENTRY_UPDATE)
        take_data(g, r->old_data.bytes, sizeof(r->old_data.bytes));
}

/* Writes an answer, right or wrong, into the open request. */
static void answer(struct guest *g, struct x86emu_request *r, enum action action)
{
    switch (action) {
    case ACT_FAULT:
        r->answer = X86EMU_ANSWER_FAULT;
        r->fault = (struct x86emu_exception){.vector = take(g) % 40, .error_code = take(g), .has_error_code = true};
        break;
    case ACT_UNMAPPED:
        r->answer = X86EMU_ANSWER_UNMAPPED;
        break;
    case ACT_CHANGED:
        answer_changed(g, r);
        break;
    case ACT_NO_ANSWER:
        break;
    case ACT_STRANGE_ANSWER:
        r->answer = 77;
        break;
    case ACT_NOT_LOADED:
        if (r->kind == X86EMU_REQUEST_STATE)
            r->answer = X86EMU_ANSWER_OK;
        break;
    default:
        r->answer = X86EMU_ANSWER_OK;
        r->size = (uint16_t)(r->size + (action == ACT_WRONG_SIZE));
        r->id -= action == ACT_WRONG_ID;
        r->gpa += action == ACT_WRONG_GPA;
        r->kind = (uint8_t)(r->kind + (action == ACT_WRONG_KIND));
        break;
    }
}

/* A request seen for the first time. */
static enum action meet(struct guest *g, const struct x86emu_request *r)
{
    check_request(r);
    CHECK(++g->requests < MAX_REQUESTS);
    CHECK(r->id != g->asked.id);
    note_request(g, r);
    g->asked = *r;
    g->refused = 0;
    return take_action(g);
}

static void callback(void *opaque, struct x86emu_vcpu *vcpu, struct x86emu_request *r)
{
    struct guest *g = opaque;
    enum action action = meet(g, r);

    CHECK(vcpu == &g->vcpu && r == &g->emu->request);
    if (action == ACT_OK)
        answer_ok(g, r);
    else if (action < ACT_NO_ANSWER)
        answer(g, r, action);
    else
        g->put_off = action;
}

/* --- one step ----------------------------------------------------------------------------------------------------- */

static void check_unchanged(const struct guest *g)
{
    CHECK(memcmp(&g->vcpu, &g->expected, sizeof(g->vcpu)) == 0);
}

/* Only the registers of the groups that the outcome names are others than before. */
static void check_retired(struct guest *g)
{
    uint32_t changed = g->emu->outcome.changed;

    CHECK((changed & ~g->vcpu.loaded) == 0);
    copy_groups(&g->expected, &g->vcpu, changed);
    g->expected.changed |= changed;
    check_unchanged(g);
    copy_groups(&g->truth, &g->vcpu, changed);
}

static void move_context(struct guest *g)
{
    struct x86emu *elsewhere = malloc(sizeof(*elsewhere));

    memcpy(elsewhere, g->emu, sizeof(*elsewhere));
    memset(g->emu, 0xa5, sizeof(*g->emu));
    free(g->emu);
    g->emu = elsewhere;
}

/* The request is open; true when the step is over because it was cancelled. */
static bool act(struct guest *g, enum action action, enum x86emu_status *status)
{
    struct x86emu_request *r = &g->emu->request;

    switch (action) {
    case ACT_OK:
        answer_ok(g, r);
        break;
    case ACT_STEP_AGAIN:
        CHECK(x86emu_step(g->emu, &g->vcpu) == X86EMU_REQUEST);
        CHECK(memcmp(&g->asked, r, sizeof(*r)) == 0);
        answer_ok(g, r);
        break;
    case ACT_CANCEL:
        x86emu_cancel(g->emu);
        return true;
    default:
        answer(g, r, action);
        break;
    }
    *status = x86emu_complete(g->emu, &g->vcpu);
    return false;
}

/* An answer was refused: the request is still open, and a right answer is taken. */
static void answer_again(struct guest *g, enum x86emu_status *status)
{
    struct x86emu_request *r = &g->emu->request;

    CHECK(++g->refused <= 2);
    *r = g->asked;
    answer_ok(g, r);
    /* RAM holds something else, but this exchange is too late in its instruction to be lost. */
    if (r->kind == X86EMU_REQUEST_RMW && g->refused == 2)
        r->answer = X86EMU_ANSWER_OK;
    *status = x86emu_complete(g->emu, &g->vcpu);
}

/* A delivery that failed has written CR2, DR6 and DR7 at most. */
static void allow_failed_delivery(struct guest *g)
{
    uint32_t changed = g->vcpu.changed & g->vcpu.loaded & (X86EMU_STATE_CR2 | X86EMU_STATE_DEBUG);

    copy_groups(&g->expected, &g->vcpu, changed);
    g->expected.changed |= changed;
    copy_groups(&g->truth, &g->vcpu, changed);
}

static void check_end(struct guest *g, enum x86emu_status status)
{
    const struct x86emu_outcome *outcome = &g->emu->outcome;

    if (g->delivering && (status == X86EMU_EXCEPTION || status == X86EMU_SHUTDOWN))
        allow_failed_delivery(g);
    if (status == X86EMU_RETIRED)
        check_retired(g);
    check_unchanged(g);
    if (status == X86EMU_EXCEPTION)
        CHECK(outcome->exception.vector < 32);
    if (status == X86EMU_NOT_EMULATED)
        CHECK(outcome->reason >= X86EMU_REASON_NO_FUNCTION && outcome->reason <= X86EMU_REASON_COMPONENT);
    CHECK(status <= X86EMU_SHUTDOWN && status != X86EMU_REQUEST);
    CHECK(status != X86EMU_SHUTDOWN || g->delivering);
    CHECK(x86emu_complete(g->emu, &g->vcpu) == X86EMU_NO_REQUEST);
    check_unchanged(g);
    if (tracing)
        fprintf(stderr, "  %u: status %d, form %u, exception %u, changed %x\n", (unsigned)g->variant, (int)status,
                g->emu->insn.form, outcome->exception.vector, outcome->changed);
    note(g, status);
    note(g, outcome->exception.vector);
    note(g, outcome->exception.cr2);
    note(g, outcome->gpa);
    note(g, outcome->changed);
}

/* An event of any kind, in place of an instruction. */
static enum x86emu_status deliver(struct guest *g)
{
    struct x86emu_event event = {
        .kind = take(g) % 5, .vector = take(g), .error_code = take(g), .cr2 = take_register(g)};

    event.has_error_code = take(g) & 1;
    return x86emu_deliver(g->emu, &g->vcpu, &event);
}

static void run_step(struct guest *g)
{
    enum x86emu_status status;
    bool cancelled = false;

    take_hint(g);
    g->expected = g->vcpu;
    g->requests = 0;
    g->put_off = ACT_OK;
    g->delivering = (take(g) & 7) == 0;
    status = g->delivering ? deliver(g) : x86emu_step(g->emu, &g->vcpu);
    while ((status == X86EMU_REQUEST || status == X86EMU_BAD_ANSWER) && !cancelled) {
        enum action action = g->put_off;

        check_unchanged(g);
        g->put_off = ACT_OK;
        if (status == X86EMU_BAD_ANSWER) {
            answer_again(g, &status);
            continue;
        }
        if (g->variant == MOVED)
            move_context(g);
        if (g->variant != CALLED)
            action = meet(g, &g->emu->request);
        cancelled = act(g, action, &status);
    }
    check_end(g, cancelled ? X86EMU_UNMAPPED : status);
}

/* --- the same input in every way ---------------------------------------------------------------------------------- */

static void scribble(struct guest *g)
{
    struct x86emu_vcpu rubbish;

    memset(&rubbish, 0x5a, sizeof(rubbish));
    copy_groups(&g->vcpu, &rubbish, ~g->vcpu.loaded);
}

static void run(struct guest *g, enum variant variant)
{
    struct x86emu_config config;

    g->variant = variant;
    g->vcpu = g->truth;
    if (g->with_map)
        make_map(g, take(g) % 7);
    if (variant == SCRIBBLED)
        scribble(g);
    config = g->config;
    config.opaque = g;
    for (unsigned kind = 0; variant == CALLED && kind < X86EMU_REQUEST_KINDS; kind++)
        config.callbacks[kind] = callback;
    g->emu = malloc(sizeof(*g->emu));
    x86emu_init(g->emu, &config);
    for (unsigned step = 0; step < MAX_STEPS && (step == 0 || g->at < g->size); step++)
        run_step(g);
    free(g->emu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct guest start, first, other;

    if (size > MAX_INPUT)
        return 0;
    tracing = getenv("X86EMU_TRACE") != NULL;
    make_guest(&start, data, size);
    first = start;
    run(&first, PLAIN);
    for (enum variant variant = MOVED; variant < VARIANTS; variant++) {
        other = start;
        run(&other, variant);
        CHECK(other.seen == first.seen);
        CHECK(other.at == first.at);
        CHECK(memcmp(other.ram, first.ram, RAM_SIZE) == 0);
        other.truth.loaded = first.truth.loaded;
        CHECK(memcmp(&other.truth, &first.truth, sizeof(first.truth)) == 0);
    }
    return 0;
}
