/* SPDX-License-Identifier: BSD-2-Clause */
/* How the demo machine is put together, and how it answers requests. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "machine.h"

#include "layout.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <x86emu/format.h>

/* The guest image, linked into the program (image.S). */
extern const uint8_t demo_image[], demo_image_end[];

/* --- building ----------------------------------------------------------------------------------------------------- */

static void add_regions(struct machine *machine)
{
    const uint8_t data = X86EMU_ACCESS_READ | X86EMU_ACCESS_WRITE;

    machine->ram_range = (struct x86emu_host_range){.base = machine->ram, .size = RAM_SIZE};
    machine->ram_region = (struct x86emu_region){.gpa = 0,
                                                 .size = RAM_SIZE,
                                                 .kind = X86EMU_REGION_RAM,
                                                 .protection = data | X86EMU_ACCESS_EXECUTE,
                                                 .host = &machine->ram_range};
    machine->device_region = (struct x86emu_region){
        .gpa = DEVICES_GPA, .size = DEVICES_SIZE, .kind = X86EMU_REGION_MMIO, .protection = data, .max_width = 8};
    x86emu_region_insert(&machine->map, &machine->ram_region);
    x86emu_region_insert(&machine->map, &machine->device_region);
}

bool machine_init(struct machine *machine, bool quiet, bool show_requests)
{
    memset(machine, 0, sizeof(*machine));
    machine->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (machine->ram == MAP_FAILED) {
        perror("x86emu-demo: guest memory");
        return false;
    }
    memcpy(machine->ram + IMAGE_GPA, demo_image, (size_t)(demo_image_end - demo_image));
    machine->devices.quiet = quiet;
    machine->show_requests = show_requests;
    add_regions(machine);
    return true;
}

void machine_free(struct machine *machine)
{
    munmap(machine->ram, RAM_SIZE);
    trace_free(&machine->trace);
}

void machine_initial_vcpu(struct x86emu_vcpu *vcpu, unsigned ring)
{
    const uint32_t common = X86EMU_SEGMENT_S | X86EMU_SEGMENT_P | X86EMU_SEGMENT_G | (uint32_t)ring << 5;

    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->loaded = X86EMU_STATE_ALL;
    vcpu->rip = ENTRY_GPA;
    vcpu->rflags = X86EMU_RFLAGS_FIXED;
    vcpu->gpr[X86EMU_RSP] = STACK_TOP;
    vcpu->cr0 = X86EMU_CR0_PE | X86EMU_CR0_MP | X86EMU_CR0_ET | X86EMU_CR0_NE | X86EMU_CR0_WP | X86EMU_CR0_PG;
    vcpu->cr3 = IMAGE_GPA;
    vcpu->cr4 = X86EMU_CR4_PAE | X86EMU_CR4_OSFXSR;
    vcpu->efer = X86EMU_EFER_LME | X86EMU_EFER_LMA | X86EMU_EFER_NXE;
    for (int i = 0; i < 6; i++) {
        bool code = i == X86EMU_CS;

        vcpu->segment[i].selector = (uint16_t)((code ? 0x08 : 0x10) | ring);
        vcpu->segment[i].limit = 0xffffffff;
        vcpu->segment[i].attributes = common | (code ? 0xb | X86EMU_SEGMENT_L : 0x3 | X86EMU_SEGMENT_DB);
    }
}

void machine_init_emulator(struct machine *machine, struct x86emu *emu)
{
    const struct x86emu_config config = {.map = &machine->map, .maxphyaddr = 36};

    x86emu_init(emu, &config);
}

/* --- devices ------------------------------------------------------------------------------------------------------ */

uint64_t machine_read(struct machine *machine, uint64_t gpa, unsigned size)
{
    uint64_t value = device_read(&machine->devices, gpa, size);

    if (size < 8)
        value &= (UINT64_C(1) << (8 * size)) - 1;
    trace_add(&machine->trace, false, gpa, size, value);
    return value;
}

void machine_write(struct machine *machine, uint64_t gpa, unsigned size, uint64_t value)
{
    if (size < 8)
        value &= (UINT64_C(1) << (8 * size)) - 1;
    trace_add(&machine->trace, true, gpa, size, value);
    device_write(&machine->devices, gpa, size, value);
}

static bool is_device(uint64_t gpa, unsigned size)
{
    return gpa >= DEVICES_GPA && gpa - DEVICES_GPA < DEVICES_SIZE && size <= 8;
}

/* Reads or writes all elements of a request. */
static void access_elements(struct machine *machine, struct x86emu_request *request, bool write)
{
    uint64_t gpa = request->gpa;
    uint8_t *data = request->data.bytes;

    for (unsigned i = 0; i < request->count; i++, data += request->size, gpa += (uint64_t)(int64_t)request->stride) {
        uint64_t value = 0;

        if (write) {
            memcpy(&value, data, request->size);
            machine_write(machine, gpa, request->size, value);
        } else {
            value = machine_read(machine, gpa, request->size);
            memcpy(data, &value, request->size);
        }
    }
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void show_request(const struct x86emu *emu, const struct x86emu_vcpu *vcpu)
{
    static const char *const names[X86EMU_REQUEST_KINDS] = {
        [X86EMU_REQUEST_READ] = "read", [X86EMU_REQUEST_WRITE] = "write", [X86EMU_REQUEST_RMW] = "read-modify-write"};
    const struct x86emu_request *request = &emu->request;
    uint64_t value = request->data.value;

    if ((request->gpa & ~UINT64_C(0xfff)) == UART_GPA)
        return; /* its output speaks for itself */
    if (request->size < 8)
        value &= (UINT64_C(1) << (8 * request->size)) - 1;
    printf("    %6llx %-8s", (unsigned long long)vcpu->rip, x86emu_mnemonic_name(x86emu_form_mnemonic(emu->insn.form)));
    for (unsigned i = 0; i < 10; i++)
        if (i < emu->insn.length)
            printf("%02x ", emu->bytes[i]);
        else
            printf("   ");
    printf("%s%s at %llx, %u", request->flags & X86EMU_REQUEST_LOCKED ? "locked " : "", names[request->kind],
           (unsigned long long)request->gpa, request->size);
    if (request->count > 1)
        printf(" x %u", request->count);
    printf(": %llx\n", (unsigned long long)value);
}

void machine_answer(struct machine *machine, struct x86emu *emu, const struct x86emu_vcpu *vcpu)
{
    struct x86emu_request *request = &emu->request;
    bool write = request->kind == X86EMU_REQUEST_WRITE || request->kind == X86EMU_REQUEST_RMW;

    if ((!write && request->kind != X86EMU_REQUEST_READ) || !is_device(request->gpa, request->size) ||
        request->flags & X86EMU_REQUEST_SPLIT) {
        request->answer = X86EMU_ANSWER_UNMAPPED;
        return;
    }
    access_elements(machine, request, write);
    request->answer = X86EMU_ANSWER_OK;
    if (machine->show_requests)
        show_request(emu, vcpu);
}

void machine_report(const struct x86emu *emu, const struct x86emu_vcpu *vcpu, enum x86emu_status status)
{
    const struct x86emu_outcome *outcome = &emu->outcome;

    switch (status) {
    case X86EMU_EXCEPTION:
        printf("exception %u, error code %#x, address %#llx", outcome->exception.vector, outcome->exception.error_code,
               (unsigned long long)outcome->exception.cr2);
        break;
    case X86EMU_UNMAPPED:
        printf("nothing at guest-physical address %#llx", (unsigned long long)outcome->gpa);
        break;
    case X86EMU_NOT_EMULATED:
        printf("not emulated (reason %u)", outcome->reason);
        break;
    default:
        printf("status %d", status);
        break;
    }
    printf(" at rip %#llx:", (unsigned long long)vcpu->rip);
    for (unsigned i = 0; i < emu->byte_count; i++)
        printf(" %02x", emu->bytes[i]);
    printf("\n");
}
