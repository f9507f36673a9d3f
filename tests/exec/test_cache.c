/* SPDX-License-Identifier: BSD-2-Clause */
/* What a cache may remember, and what it must notice. Each case of the runner runs with a cache as well. */
#include "runner.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* A 64-bit world with a map and a cache, its code loading EAX from [RBX]. */
struct cached_world {
    struct world world;
    struct x86emu emu;
    struct x86emu_cache cache;
};

static struct cached_world *make(void)
{
    struct cached_world *c = calloc(1, sizeof(*c));
    struct x86emu_config config = {.opaque = &c->world, .cache = &c->cache};

    world_init(&c->world, X86EMU_MODE_64);
    world_code(&c->world, (const uint8_t[]){0x8b, 0x03}, 2);
    world_map(&c->world, false, 8);
    config.map = &c->world.map;
    x86emu_init(&c->emu, &config);
    world_store(&c->world, WORLD_DATA, 0x11111111, 4);
    world_store(&c->world, WORLD_STACK, 0x22222222, 4);
    c->world.vcpu.gpr[X86EMU_RBX] = WORLD_REMAPPED; /* leads to WORLD_DATA */
    return c;
}

static uint64_t load(struct cached_world *c)
{
    c->world.vcpu.rip = WORLD_CODE;
    cr_assert_eq(x86emu_step(&c->emu, &c->world.vcpu), X86EMU_RETIRED);
    return c->world.vcpu.gpr[X86EMU_RAX];
}

/* The entry of the world's page table for WORLD_REMAPPED now leads elsewhere. */
static void remap(struct cached_world *c, uint64_t gpa)
{
    const uint64_t table = 0x4000, entry = table + WORLD_REMAPPED / 4096 * 8;

    cr_assert_eq(world_load(&c->world, entry, 8) & ~UINT64_C(0xfff), WORLD_DATA, "not where the test thinks");
    world_store(&c->world, entry, gpa | 0x67, 8);
}

Test(cache, translations_stay_until_they_are_flushed)
{
    struct cached_world *c = make();

    cr_assert_eq(load(c), 0x11111111);
    remap(c, WORLD_STACK);
    cr_assert_eq(load(c), 0x11111111, "a TLB would still know the old page");
    x86emu_cache_flush_page(&c->cache, WORLD_REMAPPED);
    cr_assert_eq(load(c), 0x22222222);
    free(c);
}

Test(cache, flush_forgets_everything)
{
    struct cached_world *c = make();

    cr_assert_eq(load(c), 0x11111111);
    remap(c, WORLD_STACK);
    x86emu_cache_flush(&c->cache);
    cr_assert_eq(load(c), 0x22222222);
    free(c);
}

Test(cache, other_control_registers_are_noticed)
{
    struct cached_world *c = make();

    cr_assert_eq(load(c), 0x11111111);
    remap(c, WORLD_STACK);
    c->world.vcpu.cr3 |= 8; /* PWT: the same tables, another value */
    cr_assert_eq(load(c), 0x22222222);
    free(c);
}

Test(cache, F12_rights_of_the_supervisor_are_not_the_users)
{
    struct cached_world *c = make();
    const uint64_t entry = 0x4000 + WORLD_REMAPPED / 4096 * 8;

    world_store(&c->world, entry, world_load(&c->world, entry, 8) & ~UINT64_C(4), 8); /* supervisor only */
    cr_assert_eq(load(c), 0x11111111);
    world_set_user(&c->world);
    c->world.vcpu.rip = WORLD_CODE;
    cr_assert_eq(x86emu_step(&c->emu, &c->world.vcpu), X86EMU_EXCEPTION);
    cr_assert_eq(c->emu.outcome.exception.vector, X86EMU_VECTOR_PF);
    cr_assert_eq(c->emu.outcome.exception.error_code, 5);
    free(c);
}

Test(cache, C14_changed_code_is_decoded_again)
{
    struct cached_world *c = make();

    cr_assert_eq(load(c), 0x11111111);
    world_code(&c->world, (const uint8_t[]){0x31, 0xc0}, 2); /* XOR EAX, EAX */
    cr_assert_eq(load(c), 0);
    free(c);
}

Test(cache, F16_a_region_that_goes_is_noticed)
{
    struct cached_world *c = make();
    struct x86emu_region code = c->world.ram_region;

    cr_assert_eq(load(c), 0x11111111);
    cr_assert_eq(x86emu_region_remove(&c->world.map, &c->world.ram_region), X86EMU_REGION_OK);
    code.size = WORLD_DATA; /* tables and code stay */
    cr_assert_eq(x86emu_region_insert(&c->world.map, &code), X86EMU_REGION_OK);
    c->world.vcpu.rip = WORLD_CODE;
    cr_assert_eq(x86emu_step(&c->emu, &c->world.vcpu), X86EMU_UNMAPPED);
    cr_assert_eq(c->emu.outcome.gpa, WORLD_DATA);
    free(c);
}

Test(cache, a_page_is_written_through_the_cache_only_once_it_is_dirty)
{
    struct cached_world *c = make();
    const uint64_t entry = 0x4000 + WORLD_CLEAN / 4096 * 8;

    world_code(&c->world, (const uint8_t[]){0x89, 0x03}, 2); /* MOV [RBX], EAX */
    c->world.vcpu.gpr[X86EMU_RBX] = WORLD_CLEAN;
    c->world.vcpu.gpr[X86EMU_RAX] = 5;
    load(c);
    cr_assert_eq(world_load(&c->world, entry, 8) & 0x60, 0x60, "accessed and dirty");
    load(c);
    cr_assert_eq(world_load(&c->world, WORLD_CLEAN, 4), 5);
    free(c);
}

/* --- many instructions: x86emu_steps() ------------------------------------------------------------------------------ */

#define SET_CODE(c, ...) world_code(&(c)->world, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static uint64_t run(struct cached_world *c, uint64_t limit, enum x86emu_status status)
{
    uint64_t retired;

    cr_assert_eq(x86emu_steps(&c->emu, &c->world.vcpu, limit, &retired), status);
    return retired;
}

Test(run, a_loop_runs_up_to_the_limit)
{
    struct cached_world *c = make();

    SET_CODE(c, 0xff, 0xc0, 0xff, 0xc9, 0x75, 0xfa); /* inc eax; dec ecx; jnz */
    c->world.vcpu.gpr[X86EMU_RAX] = 0;
    c->world.vcpu.gpr[X86EMU_RCX] = 1000000;
    cr_assert_eq(run(c, 0, X86EMU_RETIRED), 0);
    cr_assert_eq(run(c, 3001, X86EMU_RETIRED), 3001);
    cr_assert_eq(c->world.vcpu.gpr[X86EMU_RAX], 1001);
    cr_assert_eq(c->world.vcpu.gpr[X86EMU_RCX], 999000);
    cr_assert_eq(c->world.vcpu.rip, WORLD_CODE + 2);
    cr_assert_eq(c->emu.insn.length, 2, "the last instruction is there to be looked at");
    cr_assert_eq(c->emu.bytes[1], 0xc0);
    free(c);
}

Test(run, code_that_writes_over_itself_is_noticed)
{
    struct cached_world *c = make();

    /* again: inc eax; mov byte [rip-7+1], 0xc8 (dec eax); jmp again */
    SET_CODE(c, 0xff, 0xc0, 0xc6, 0x05, 0xf8, 0xff, 0xff, 0xff, 0xc8, 0xeb, 0xf5);
    c->world.vcpu.gpr[X86EMU_RAX] = 10;
    cr_assert_eq(run(c, 7, X86EMU_RETIRED), 7);
    cr_assert_eq(c->world.vcpu.gpr[X86EMU_RAX], 9, "one increment, then two decrements");
    free(c);
}

/* One instruction after two NOPs, with another NOP behind: where the row ends. */
static uint64_t run_up_to(struct cached_world *c, const uint8_t *code, size_t size, enum x86emu_status status)
{
    uint8_t all[16];

    memset(all, 0x90, sizeof(all));
    memcpy(all + 2, code, size);
    world_code(&c->world, all, sizeof(all));
    c->world.vcpu.rip = WORLD_CODE;
    return run(c, 8, status);
}

#define RUN_UP_TO(c, status, ...) \
    run_up_to(c, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), status)

Test(run, ends_after_what_the_caller_must_look_at)
{
    struct cached_world *c = make();
    struct x86emu_vcpu *vcpu = &c->world.vcpu;

    vcpu->gpr[X86EMU_RBX] = WORLD_DEVICE;
    cr_assert_eq(RUN_UP_TO(c, X86EMU_RETIRED, 0x90), 8, "nothing to look at");
    cr_assert_eq(RUN_UP_TO(c, X86EMU_RETIRED, 0x8b, 0x03), 3, "mov eax, [rbx] reads a device");
    cr_assert_eq(RUN_UP_TO(c, X86EMU_RETIRED, 0x89, 0x03), 3, "mov [rbx], eax writes one");
    vcpu->gpr[X86EMU_RAX] = vcpu->cr3;
    cr_assert_eq(RUN_UP_TO(c, X86EMU_RETIRED, 0x0f, 0x22, 0xd8), 3, "mov cr3, rax");
    cr_assert_neq(c->emu.outcome.invalidation, X86EMU_INVALIDATE_NONE);
    cr_assert_eq(RUN_UP_TO(c, X86EMU_RETIRED, 0xfb), 3, "sti");
    cr_assert(vcpu->interruptibility & X86EMU_BLOCKED_BY_STI);
    vcpu->interruptibility = 0;
    cr_assert_eq(RUN_UP_TO(c, X86EMU_RETIRED, 0xfa), 8, "cli asks for nothing");
    free(c);
}

Test(run, an_exception_is_of_the_instruction_after_those_retired)
{
    struct cached_world *c = make();

    c->world.vcpu.gpr[X86EMU_RBX] = WORLD_ABSENT;
    cr_assert_eq(RUN_UP_TO(c, X86EMU_EXCEPTION, 0x8b, 0x03), 2);
    cr_assert_eq(c->emu.outcome.exception.vector, X86EMU_VECTOR_PF);
    cr_assert_eq(c->emu.outcome.exception.cr2, WORLD_ABSENT);
    cr_assert_eq(c->world.vcpu.rip, WORLD_CODE + 2);
    cr_assert_eq(RUN_UP_TO(c, X86EMU_EXCEPTION, 0x0f, 0x0b), 2, "ud2");
    free(c);
}

Test(run, each_step_is_seen_by_a_debugger)
{
    struct cached_world *c = make();

    c->world.vcpu.rflags |= X86EMU_RFLAGS_TF;
    cr_assert_eq(RUN_UP_TO(c, X86EMU_RETIRED, 0x90), 1);
    cr_assert(c->emu.outcome.trap);
    free(c);
}

/* A device without handlers: suspended in the middle of a row, completed, and on. */
Test(run, F5_suspended_in_a_row)
{
    struct cached_world *c = make();

    c->world.device_region.read = NULL;
    c->world.vcpu.gpr[X86EMU_RBX] = WORLD_DEVICE;
    world_store(&c->world, WORLD_DEVICE, 0x1234, 4);
    cr_assert_eq(RUN_UP_TO(c, X86EMU_REQUEST, 0x8b, 0x03), 2);
    cr_assert_eq(run(c, 8, X86EMU_REQUEST), 0, "still open");
    world_answer(&c->world, &c->emu.request);
    cr_assert_eq(x86emu_complete(&c->emu, &c->world.vcpu), X86EMU_RETIRED);
    cr_assert_eq(c->world.vcpu.gpr[X86EMU_RAX], 0x1234);
    cr_assert_eq(run(c, 3, X86EMU_RETIRED), 3);
    cr_assert_eq(c->world.vcpu.rip, WORLD_CODE + 7);
    free(c);
}

/* Instructions that reach over a page's end are not taken from the cache. */
Test(run, from_the_cache_and_back)
{
    static const uint8_t calls[] = {0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0};
    struct cached_world *c = make();

    memcpy(c->world.ram + WORLD_CODE + 0xfeb, calls, sizeof(calls)); /* the second one is too near to the end */
    c->world.vcpu.rip = WORLD_CODE + 0xfeb;
    c->world.vcpu.gpr[X86EMU_RSP] = WORLD_STACK;
    cr_assert_eq(run(c, 3, X86EMU_RETIRED), 3);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(world_load(&c->world, WORLD_STACK - 8 * (i + 1), 8), WORLD_CODE + 0xfeb + 5 * (i + 1), "%u", i);
    free(c);
}

Test(run, stores_in_a_row)
{
    struct cached_world *c = make();

    /* call next; call next; push rax; pop rcx; call next */
    SET_CODE(c, 0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0x50, 0x59, 0xe8, 0, 0, 0, 0);
    c->world.vcpu.gpr[X86EMU_RAX] = 0x1234;
    c->world.vcpu.gpr[X86EMU_RSP] = WORLD_STACK;
    cr_assert_eq(run(c, 5, X86EMU_RETIRED), 5);
    cr_assert_eq(world_load(&c->world, WORLD_STACK - 8, 8), WORLD_CODE + 5);
    cr_assert_eq(world_load(&c->world, WORLD_STACK - 16, 8), WORLD_CODE + 10);
    cr_assert_eq(world_load(&c->world, WORLD_STACK - 24, 8), WORLD_CODE + 17);
    cr_assert_eq(c->world.vcpu.gpr[X86EMU_RCX], 0x1234);
    free(c);
}
