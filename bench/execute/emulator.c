/* SPDX-License-Identifier: BSD-2-Clause */
/* The library as an interpreter of RAM, and as what finishes single device accesses. */
#include "bench.h"

#include <x86emu/x86emu.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct x86emu_region_map map;
static struct x86emu_region ram, device;
static struct x86emu_host_range host;
static struct x86emu_cache cache;
static struct x86emu emu;
static struct x86emu_vcpu vcpu;
static bool halted;

static bool device_read(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data)
{
    (void)opaque, (void)stride;
    memset(data, (int)offset, (size_t)size * count);
    return true;
}

static bool device_write(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, const void *data)
{
    (void)opaque, (void)offset, (void)size, (void)count, (void)stride, (void)data;
    return true;
}

static void halt(void *opaque, struct x86emu_vcpu *v, struct x86emu_request *request)
{
    (void)opaque, (void)v;
    halted = true;
    request->answer = X86EMU_ANSWER_OK;
}

static void set_up(uint8_t *memory, bool handled)
{
    struct x86emu_config config = {.map = &map, .cache = &cache};
    const struct x86emu_segment data = {.limit = UINT32_MAX, .selector = 0x10, .attributes = 0xc093};

    memset(&map, 0, sizeof(map));
    x86emu_cache_flush(&cache);
    host = (struct x86emu_host_range){.base = memory, .size = GUEST_SIZE};
    ram = (struct x86emu_region){.size = GUEST_SIZE, .kind = X86EMU_REGION_RAM, .protection = 7, .host = &host};
    device = (struct x86emu_region){
        .gpa = GUEST_DEVICE, .size = 4096, .kind = X86EMU_REGION_MMIO, .protection = 3, .max_width = 8};
    if (handled) {
        device.read = device_read;
        device.write = device_write;
    }
    x86emu_region_insert(&map, &ram);
    x86emu_region_insert(&map, &device);
    config.callbacks[X86EMU_REQUEST_HALT] = halt;
    x86emu_init(&emu, &config);
    memset(&vcpu, 0, sizeof(vcpu));
    vcpu.loaded = X86EMU_STATE_ALL;
    vcpu.cr0 = X86EMU_CR0_PE | X86EMU_CR0_PG | X86EMU_CR0_WP | X86EMU_CR0_ET | X86EMU_CR0_NE;
    vcpu.cr3 = GUEST_TABLES;
    vcpu.cr4 = X86EMU_CR4_PAE;
    vcpu.efer = X86EMU_EFER_LME | X86EMU_EFER_LMA | X86EMU_EFER_NXE;
    for (unsigned i = 0; i < 6; i++)
        vcpu.segment[i] = data;
    vcpu.segment[X86EMU_CS].attributes = 0xa09b;
    vcpu.rflags = X86EMU_RFLAGS_FIXED;
    vcpu.gpr[X86EMU_RSP] = GUEST_TOP_OF_STACK;
}

uint64_t emulator_run(uint8_t *memory, const struct workload *workload, uint64_t *result)
{
    const uint64_t end = GUEST_TABLES - 16; /* HLT */
    enum x86emu_status status = X86EMU_RETIRED;
    uint64_t steps = 0, retired;

    guest_fill(memory);
    memory[end] = 0xf4;
    set_up(memory, true);
    vcpu.gpr[X86EMU_RSP] -= 8;
    memcpy(memory + vcpu.gpr[X86EMU_RSP], &end, 8);
    vcpu.gpr[X86EMU_RDI] = GUEST_DATA;
    vcpu.gpr[X86EMU_RSI] = workload->rounds;
    vcpu.rip = guest_entry(workload);
    for (halted = false; !halted && status == X86EMU_RETIRED; steps += retired)
        status = x86emu_steps(&emu, &vcpu, UINT64_MAX, &retired);
    if (status != X86EMU_RETIRED) {
        fprintf(stderr, "%s: status %d at %#llx\n", workload->name, (int)status, (unsigned long long)vcpu.rip);
        exit(1);
    }
    *result = vcpu.gpr[X86EMU_RAX];
    return steps - 1;
}

/* --- device accesses ---------------------------------------------------------------------------------------------- */

const struct access_form access_forms[] = {
    {"mov eax, [rbx]", {0x8b, 0x03}, 2},
    {"mov [rbx], eax", {0x89, 0x03}, 2},
    {"mov rax, [rbx+8]", {0x48, 0x8b, 0x43, 0x08}, 4},
    {"mov [rbx+8], r9", {0x4c, 0x89, 0x4b, 0x08}, 4},
    {"mov al, [rbx]", {0x8a, 0x03}, 2},
    {"mov [rbx], cl", {0x88, 0x0b}, 2},
    {"movzx eax, byte [rbx]", {0x0f, 0xb6, 0x03}, 3},
    {"mov dword [rbx], 1", {0xc7, 0x03, 1, 0, 0, 0}, 6},
    {"test dword [rbx], 1", {0xf7, 0x03, 1, 0, 0, 0}, 6},
    {"or dword [rbx], 1", {0x83, 0x0b, 0x01}, 3},
};
const size_t access_form_count = sizeof(access_forms) / sizeof(access_forms[0]);

static void answer(struct x86emu_request *request)
{
    if (request->kind == X86EMU_REQUEST_READ)
        memset(request->data.bytes, 1, request->size);
    request->answer = X86EMU_ANSWER_OK;
}

/* As after an exit: the bytes and the guest-physical address are known. */
static void hint_exit(const struct access_form *form)
{
    static struct x86emu_hint hint;

    hint.flags = X86EMU_HINT_GPA;
    hint.gpa = GUEST_DEVICE + (vcpu.gpr[X86EMU_RBX] & 0xfff) + (form->size == 4 ? 8 : 0);
    hint.byte_count = form->size;
    memcpy(hint.bytes, form->bytes, sizeof(form->bytes));
    x86emu_hint(&emu, &hint);
}

/* What is timed, and what callgrind counts. */
static __attribute__((noinline)) enum x86emu_status measured(const struct access_form *form, unsigned long count)
{
    enum x86emu_status status = X86EMU_RETIRED;

    for (unsigned long n = 0; n < count && status == X86EMU_RETIRED; n++) {
        vcpu.rip = GUEST_CODE;
        hint_exit(form);
        status = x86emu_step(&emu, &vcpu);
        while (status == X86EMU_REQUEST) {
            answer(&emu.request);
            status = x86emu_complete(&emu, &vcpu);
        }
    }
    return status;
}

void emulator_access(const struct access_form *form, bool suspended, unsigned long count)
{
    static uint8_t memory[GUEST_SIZE];
    enum x86emu_status status;

    guest_fill(memory);
    memcpy(memory + GUEST_CODE, form->bytes, sizeof(form->bytes));
    set_up(memory, !suspended);
    vcpu.gpr[X86EMU_RBX] = GUEST_DEVICE;
    status = measured(form, count);
    if (status != X86EMU_RETIRED) {
        fprintf(stderr, "%s: status %d\n", form->name, (int)status);
        exit(1);
    }
}
