/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs one instruction on the emulator, in the address space that machine.c lays out. */
#include "hardware.h"

#include <string.h>

enum {
    MOST_STEPS = 512 /* of a repeated string instruction */
};

uint8_t model_writable[WRITABLE_SIZE], model_readable[PAGE];
static uint8_t model_code[CODE_SIZE], model_tables[TABLES_SIZE];

static struct x86emu_region_map map;
static struct x86emu emu;
static struct x86emu_vcpu vcpu;
static struct situation *current;
static bool elsewhere;

static void add_region(struct x86emu_region *region, struct x86emu_host_range *host, uint64_t gpa, uint8_t *base,
                       uint64_t size)
{
    *host = (struct x86emu_host_range){.base = base, .size = size};
    *region = (struct x86emu_region){.gpa = gpa,
                                     .size = size,
                                     .kind = X86EMU_REGION_RAM,
                                     .protection = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE | X86EMU_ACCESS_EXECUTE,
                                     .host = host};
    x86emu_region_insert(&map, region);
}

int model_page_access(uint64_t la)
{
    if (la >= CODE && la < CODE + CODE_SIZE)
        return X86EMU_ACCESS_EXECUTE;
    if (la >= COCKPIT && la < COCKPIT + COCKPIT_SIZE)
        return -1;
    if (la >= WRITABLE && la < WRITABLE + WRITABLE_SIZE)
        return X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE;
    if (la >= READABLE && la < READABLE + PAGE)
        return X86EMU_ACCESS_READ;
    return la < UINT64_C(1) << 32 ? 0 : -1;
}

static void translate(void *opaque, struct x86emu_vcpu *v, struct x86emu_request *request)
{
    int allowed = model_page_access(request->gva);
    unsigned wanted = request->access & 7;

    (void)opaque, (void)v;
    if ((request->access & X86EMU_WALK_IMPLICIT) != 0)
        allowed = request->gva - TABLES < TABLES_SIZE ? 7 : -1;
    if (allowed < 0 || (allowed == X86EMU_ACCESS_EXECUTE && wanted != X86EMU_ACCESS_EXECUTE)) {
        elsewhere = true;
        request->answer = X86EMU_ANSWER_UNMAPPED;
    } else if ((wanted & ~(unsigned)allowed) == 0) {
        request->answer = X86EMU_ANSWER_OK;
        request->data.value = request->gva;
    } else {
        request->answer = X86EMU_ANSWER_FAULT;
        request->fault =
            (struct x86emu_exception){.vector = X86EMU_VECTOR_PF, .has_error_code = true, .cr2 = request->gva};
        request->fault.error_code =
            4 | (allowed != 0) | (wanted & X86EMU_ACCESS_WRITE ? 2 : 0) | (wanted & X86EMU_ACCESS_EXECUTE ? 16 : 0);
    }
}

void model_load_vectors(const struct situation *s, struct x86emu_vcpu *v)
{
    memcpy(v->zmm, s->vectors.zmm, sizeof(v->zmm));
    memcpy(v->k, s->vectors.k, sizeof(v->k));
    v->mxcsr = s->vectors.mxcsr;
    v->x87 = s->vectors.x87;
    v->loaded = X86EMU_STATE_ALL;
}

static void give_state(void *opaque, struct x86emu_vcpu *v, struct x86emu_request *request)
{
    (void)opaque;
    if (!current->with_vectors) {
        cases_vectors(current);
        current->with_vectors = true;
    }
    model_load_vectors(current, v);
    request->answer = X86EMU_ANSWER_OK;
}

static void set_segments(const struct situation *s, struct x86emu_vcpu *v)
{
    for (unsigned i = 0; i < 6; i++)
        v->segment[i] = segment_of(s->selector[i]);
    v->segment[X86EMU_FS].base = machine.fs_base;
    if (s->selector[X86EMU_GS] == 0)
        v->segment[X86EMU_GS].base = machine.gs_base;
    v->gdtr = (struct x86emu_table_register){.base = TABLES, .limit = GDT_LIMIT};
    v->ldtr =
        (struct x86emu_segment){.base = TABLES + PAGE, .limit = ldt_limit(), .selector = 0x48, .attributes = 0x82};
    v->tr = (struct x86emu_segment){.attributes = 0x8b}; /* too short for an I/O permission bitmap */
}

void model_start(void)
{
    static struct x86emu_region regions[4];
    static struct x86emu_host_range hosts[4];
    struct x86emu_config config = {.map = &map, .options = X86EMU_OPTION_TRANSLATE};

    add_region(&regions[0], &hosts[0], CODE, model_code, CODE_SIZE);
    add_region(&regions[1], &hosts[1], WRITABLE, model_writable, WRITABLE_SIZE);
    add_region(&regions[2], &hosts[2], READABLE, model_readable, PAGE);
    add_region(&regions[3], &hosts[3], TABLES, model_tables, TABLES_SIZE);
    segments_tables(model_tables, model_tables + PAGE);
    config.callbacks[X86EMU_REQUEST_TRANSLATE] = translate;
    config.callbacks[X86EMU_REQUEST_STATE] = give_state;
    x86emu_init(&emu, &config);
}

void model_load(const struct situation *s, struct x86emu_vcpu *v)
{
    v->cr0 =
        X86EMU_CR0_PE | X86EMU_CR0_MP | X86EMU_CR0_ET | X86EMU_CR0_NE | X86EMU_CR0_WP | X86EMU_CR0_AM | X86EMU_CR0_PG;
    v->cr4 = X86EMU_CR4_PAE | X86EMU_CR4_PSE | X86EMU_CR4_OSFXSR | X86EMU_CR4_OSXMMEXCPT | X86EMU_CR4_OSXSAVE |
             X86EMU_CR4_UMIP | X86EMU_CR4_FSGSBASE | (machine.la57 ? X86EMU_CR4_LA57 : 0);
    v->efer = X86EMU_EFER_SCE | X86EMU_EFER_LME | X86EMU_EFER_LMA | X86EMU_EFER_NXE;
    v->xcr0 = machine.xcr0;
    memcpy(v->gpr, s->registers.gpr, sizeof(s->registers.gpr));
    v->rip = s->registers.rip;
    v->rflags = s->registers.rflags | X86EMU_RFLAGS_IF;
    v->loaded = X86EMU_STATE_ALL & ~(unsigned)(X86EMU_STATE_VECTOR | X86EMU_STATE_OPMASK | X86EMU_STATE_X87);
    set_segments(s, v);
    if (s->with_vectors)
        model_load_vectors(s, v);
}

static void store(const struct situation *s, struct result *result)
{
    memcpy(result->registers.gpr, vcpu.gpr, sizeof(result->registers.gpr));
    result->registers.rip = vcpu.rip;
    result->registers.rflags = vcpu.rflags;
    for (unsigned i = 0; i < 6; i++)
        result->selector[i] = vcpu.segment[i].selector;
    if (s->with_vectors) {
        memcpy(result->vectors.zmm, vcpu.zmm, sizeof(vcpu.zmm));
        memcpy(result->vectors.k, vcpu.k, sizeof(vcpu.k));
        result->vectors.mxcsr = vcpu.mxcsr;
        result->vectors.x87 = vcpu.x87;
    }
}

static enum ending run_steps(void)
{
    for (unsigned steps = 0; steps < MOST_STEPS; steps++) {
        enum x86emu_status status = x86emu_step(&emu, &vcpu);

        if (status == X86EMU_RETIRED && emu.outcome.repeats)
            continue;
        if (status == X86EMU_RETIRED)
            return ENDED_RETIRED;
        if (status == X86EMU_EXCEPTION)
            return ENDED_EXCEPTION;
        x86emu_cancel(&emu);
        return status == X86EMU_NOT_EMULATED && emu.outcome.reason == X86EMU_REASON_NO_FUNCTION ? ENDED_NOT_EMULATED
                                                                                                : ENDED_ELSEWHERE;
    }
    return ENDED_ELSEWHERE;
}

void model_run(struct situation *s, struct result *result)
{
    memset(result, 0, offsetof(struct result, vectors));
    current = s;
    elsewhere = false;
    copy_code(s, model_code);
    model_load(s, &vcpu);
    result->ending = run_steps();
    if (elsewhere)
        result->ending = ENDED_ELSEWHERE;
    result->exception = emu.outcome.exception;
    store(s, result);
}
