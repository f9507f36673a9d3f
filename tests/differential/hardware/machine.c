/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs one instruction on this processor, in 64-bit or compatibility mode, and catches what it raises. */
#define _GNU_SOURCE
#include "hardware.h"

#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/ucontext.h>

enum {
    CODE_FILL = 0xcc, /* INT3 */
    STUCK = 255,      /* in place of a vector: the processor did not get on */
    /* Requested components: x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM (SDM Vol. 1, 13.1) */
    COMPONENTS = 0xe7,
};

/* What entry and exit share; at COCKPIT. The offsets are those that the assembly below uses. */
struct cockpit {
    uint64_t gpr[16];      /* 0x000 */
    uint64_t rflags;       /* 0x080 */
    uint64_t entry;        /* 0x088: where entering jumps to with registers loaded */
    uint64_t exit;         /* 0x090 */
    uint64_t host_rsp;     /* 0x098 */
    uint32_t far_offset;   /* 0x0a0 */
    uint16_t far_selector; /* 0x0a4 */
    uint16_t unused;
    uint32_t components;      /* 0x0a8: 0, or the XSAVE components to load and store */
    uint32_t clean_mxcsr;     /* 0x0ac */
    uint16_t selector[6];     /* 0x0b0: all but CS, FS */
    uint16_t out_selector[6]; /* 0x0bc */
    uint64_t fs_base;         /* 0x0c8 */
    uint64_t unused2[6];
    uint64_t out_gpr[16]; /* 0x100 */
    uint64_t out_rflags;  /* 0x180 */
    uint8_t exit_32[16];  /* 0x188: 64-bit code that compatibility mode comes back to */
    uint8_t unused3[0x400 - 0x198];
    uint8_t in[0xc00];  /* 0x400 */
    uint8_t out[0xc00]; /* 0x1000 */
};

_Static_assert(offsetof(struct cockpit, components) == 0xa8, "see the assembly");
_Static_assert(offsetof(struct cockpit, out_gpr) == 0x100, "see the assembly");
_Static_assert(offsetof(struct cockpit, exit_32) == 0x188, "see the assembly");
_Static_assert(offsetof(struct cockpit, in) == 0x400, "see the assembly");
_Static_assert(offsetof(struct cockpit, out) == 0x1000, "see the assembly");

#define COCKPIT_TEXT "0x40000000"

void hardware_enter(void);
void hardware_enter_32(void);
void hardware_exit(void);
void hardware_signal(int number, siginfo_t *info, void *context);

__asm__(".text\n"
        "hardware_enter:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "mov %rsp, " COCKPIT_TEXT "+0x98\n"
        "mov " COCKPIT_TEXT "+0xa8, %eax\n"
        "test %eax, %eax\n"
        "jz 1f\n"
        "xor %edx, %edx\n"
        "xrstor64 " COCKPIT_TEXT "+0x400\n"
        "1: pushq " COCKPIT_TEXT "+0x80\n"
        "popfq\n"
        "mov " COCKPIT_TEXT "+0xb0, %es; mov " COCKPIT_TEXT "+0xb6, %ds; mov " COCKPIT_TEXT "+0xba, %gs\n"
        "mov " COCKPIT_TEXT "+0xb4, %ss\n"
        "mov " COCKPIT_TEXT "+0x00, %rax; mov " COCKPIT_TEXT "+0x08, %rcx\n"
        "mov " COCKPIT_TEXT "+0x10, %rdx; mov " COCKPIT_TEXT "+0x18, %rbx\n"
        "mov " COCKPIT_TEXT "+0x20, %rsp; mov " COCKPIT_TEXT "+0x28, %rbp\n"
        "mov " COCKPIT_TEXT "+0x30, %rsi; mov " COCKPIT_TEXT "+0x38, %rdi\n"
        "mov " COCKPIT_TEXT "+0x40, %r8; mov " COCKPIT_TEXT "+0x48, %r9\n"
        "mov " COCKPIT_TEXT "+0x50, %r10; mov " COCKPIT_TEXT "+0x58, %r11\n"
        "mov " COCKPIT_TEXT "+0x60, %r12; mov " COCKPIT_TEXT "+0x68, %r13\n"
        "mov " COCKPIT_TEXT "+0x70, %r14; mov " COCKPIT_TEXT "+0x78, %r15\n"
        "jmp *" COCKPIT_TEXT "+0x88\n"
        "hardware_enter_32: ljmp *" COCKPIT_TEXT "+0xa0\n"
        "hardware_exit:\n"
        "mov %rax, " COCKPIT_TEXT "+0x100; mov %rcx, " COCKPIT_TEXT "+0x108\n"
        "mov %rdx, " COCKPIT_TEXT "+0x110; mov %rbx, " COCKPIT_TEXT "+0x118\n"
        "mov %rsp, " COCKPIT_TEXT "+0x120; mov %rbp, " COCKPIT_TEXT "+0x128\n"
        "mov %rsi, " COCKPIT_TEXT "+0x130; mov %rdi, " COCKPIT_TEXT "+0x138\n"
        "mov %r8, " COCKPIT_TEXT "+0x140; mov %r9, " COCKPIT_TEXT "+0x148\n"
        "mov %r10, " COCKPIT_TEXT "+0x150; mov %r11, " COCKPIT_TEXT "+0x158\n"
        "mov %r12, " COCKPIT_TEXT "+0x160; mov %r13, " COCKPIT_TEXT "+0x168\n"
        "mov %r14, " COCKPIT_TEXT "+0x170; mov %r15, " COCKPIT_TEXT "+0x178\n"
        "mov %es, " COCKPIT_TEXT "+0xbc; mov %ds, " COCKPIT_TEXT "+0xc2; mov %fs, " COCKPIT_TEXT "+0xc4\n"
        "mov %gs, " COCKPIT_TEXT "+0xc6\n"
        "mov %ss, " COCKPIT_TEXT "+0xc0\n"
        "mov $0x2b, %eax; mov %eax, %es; mov %eax, %ds; mov %eax, %ss\n"
        "mov $0, %eax; mov %eax, %gs; mov %eax, %fs\n"
        "mov " COCKPIT_TEXT "+0xc8, %rax; wrfsbase %rax\n"
        "mov " COCKPIT_TEXT "+0x98, %rsp\n"
        "pushfq; popq " COCKPIT_TEXT "+0x180\n"
        "pushq $2; popfq\n"
        "mov " COCKPIT_TEXT "+0xa8, %eax\n"
        "test %eax, %eax\n"
        "jz 2f\n"
        "xor %edx, %edx\n"
        "xsave64 " COCKPIT_TEXT "+0x1000\n"
        "fninit\n"
        "ldmxcsr " COCKPIT_TEXT "+0xac\n"
        "2: pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n"
        /* A handler begins with the interrupted flags: AC would fault in it. */
        "hardware_signal: pushfq; andl $~0x40000, (%rsp); popfq; jmp hardware_caught\n");

struct machine machine;
static struct cockpit *const cockpit = (struct cockpit *)(uintptr_t)COCKPIT;
static uint8_t *const code = (uint8_t *)(uintptr_t)CODE;

/* What the handler saw. */
static volatile sig_atomic_t running;
static struct {
    bool happened;
    uint64_t trap, error, cr2, rip;
    uint16_t cs;
} caught;

/* Some faults come back for ever instead of being reported: the same run at two ticks of the clock. */
static unsigned long runs;

static bool is_stuck(void)
{
    static unsigned long seen;
    bool stuck = seen == runs;

    seen = runs;
    return stuck;
}

/* FS may be the instruction's: no stack protector. */
__attribute__((used, optimize("no-stack-protector"))) void hardware_caught(int number, siginfo_t *info, void *context);

void hardware_caught(int number, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

    (void)info;
    if (number == SIGALRM && (!running || !is_stuck()))
        return;
    if (!running) {
        signal(number, SIG_DFL);
        return;
    }
    running = 0;
    caught.happened = true;
    caught.trap = number == SIGALRM ? STUCK : (uint64_t)regs[REG_TRAPNO];
    caught.error = (uint64_t)regs[REG_ERR];
    caught.cr2 = (uint64_t)regs[REG_CR2];
    caught.rip = (uint64_t)regs[REG_RIP];
    caught.cs = (uint16_t)regs[REG_CSGSFS];
    regs[REG_RIP] = (greg_t)(uintptr_t)hardware_exit;
    regs[REG_CSGSFS] = (regs[REG_CSGSFS] & ~(greg_t)0xffff) | USER_CODE_64;
    regs[REG_EFL] &= ~(greg_t)X86EMU_RFLAGS_RF;
}

uint8_t *machine_writable(void)
{
    return (uint8_t *)(uintptr_t)WRITABLE;
}

void machine_set_readable(const uint8_t *bytes)
{
    void *page = (void *)(uintptr_t)READABLE;

    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
    memcpy(page, bytes, PAGE);
    mprotect(page, PAGE, PROT_READ);
}

/* --- vector state in the standard format of XSAVE (SDM Vol. 1, 13.4) ---------------------------------------------- */

enum xsave_offset {
    XSAVE_MXCSR = 24,
    XSAVE_MXCSR_MASK = 28,
    XSAVE_ST = 32,
    XSAVE_XMM = 160,
    XSAVE_BV = 512,
    XSAVE_YMM = 576,
    XSAVE_OPMASK = 1088, /* the offsets from here on are what CPUID leaf 0DH says on every processor with AVX-512 */
    XSAVE_ZMM_HIGH = 1152,
    XSAVE_ZMM_16 = 1664,
};

static void x87_to_area(uint8_t *area, const struct x86emu_x87 *x87)
{
    unsigned top = x87->status >> 11 & 7;
    uint8_t tag = 0;

    for (unsigned i = 0; i < 8; i++)
        tag |= (uint8_t)(((x87->tag >> (2 * i) & 3) != 3) << i);
    memcpy(area, &x87->control, 2);
    memcpy(area + 2, &x87->status, 2);
    area[4] = tag;
    area[5] = 0;
    memcpy(area + 6, &x87->opcode, 2);
    memcpy(area + 8, &x87->ip, 8);
    memcpy(area + 16, &x87->dp, 8);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(area + XSAVE_ST + 16 * i, &x87->st[(top + i) & 7].mantissa, 8);
        memcpy(area + XSAVE_ST + 16 * i + 8, &x87->st[(top + i) & 7].exponent, 2);
    }
}

static void x87_from_area(struct x86emu_x87 *x87, const uint8_t *area)
{
    unsigned top;

    memset(x87, 0, sizeof(*x87));
    memcpy(&x87->control, area, 2);
    memcpy(&x87->status, area + 2, 2);
    memcpy(&x87->opcode, area + 6, 2);
    memcpy(&x87->ip, area + 8, 8);
    memcpy(&x87->dp, area + 16, 8);
    top = x87->status >> 11 & 7;
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&x87->st[(top + i) & 7].mantissa, area + XSAVE_ST + 16 * i, 8);
        memcpy(&x87->st[(top + i) & 7].exponent, area + XSAVE_ST + 16 * i + 8, 2);
        if ((area[4] >> i & 1) == 0)
            x87->tag |= (uint16_t)(3u << (2 * i));
    }
}

/* Copies between the area and vectors, in the direction that to_area says. */
static void move(bool to_area, uint8_t *area, void *field, size_t size)
{
    if (to_area)
        memcpy(area, field, size);
    else
        memcpy(field, area, size);
}

static void move_registers(bool to_area, uint8_t *area, struct vectors *vectors)
{
    for (unsigned i = 0; i < 16; i++) {
        move(to_area, area + XSAVE_XMM + 16 * i, vectors->zmm[i].u8, 16);
        if (machine.xcr0 & 4)
            move(to_area, area + XSAVE_YMM + 16 * i, vectors->zmm[i].u8 + 16, 16);
        if (machine.xcr0 & 0x40) {
            move(to_area, area + XSAVE_ZMM_HIGH + 32 * i, vectors->zmm[i].u8 + 32, 32);
            move(to_area, area + XSAVE_ZMM_16 + 64 * i, vectors->zmm[16 + i].u8, 64);
        }
    }
    if (machine.xcr0 & 0x20)
        move(to_area, area + XSAVE_OPMASK, vectors->k, sizeof(vectors->k));
    move(to_area, area + XSAVE_MXCSR, &vectors->mxcsr, 4);
}

/* Components that the processor found in their initial state are not in the area. */
static void vectors_from_area(struct vectors *vectors, uint8_t *area)
{
    static const struct {
        uint16_t at, size;
    } components[] = {
        [2] = {XSAVE_YMM, 256}, [5] = {XSAVE_OPMASK, 64}, [6] = {XSAVE_ZMM_HIGH, 512}, [7] = {XSAVE_ZMM_16, 1024}};
    uint64_t present;

    memcpy(&present, area + XSAVE_BV, 8);
    if ((present & 1) == 0) {
        memset(area, 0, 24);
        memset(area + XSAVE_ST, 0, 128);
        area[0] = 0x7f; /* FCW 037FH */
        area[1] = 3;
    }
    if ((present & 2) == 0)
        memset(area + XSAVE_XMM, 0, 256);
    for (unsigned i = 2; i < 8; i++)
        if (components[i].size != 0 && (present >> i & 1) == 0)
            memset(area + components[i].at, 0, components[i].size);
    x87_from_area(&vectors->x87, area);
    memset(vectors->zmm, 0, sizeof(vectors->zmm));
    memset(vectors->k, 0, sizeof(vectors->k));
    move_registers(false, area, vectors);
}

static void vectors_to_area(uint8_t *area, const struct vectors *vectors)
{
    uint64_t present = COMPONENTS & machine.xcr0;

    memset(area, 0, XSAVE_YMM);
    x87_to_area(area, &vectors->x87);
    move_registers(true, area, (struct vectors *)vectors);
    memcpy(area + XSAVE_BV, &present, 8);
}

/* --- a run -------------------------------------------------------------------------------------------------------- */

/* Puts the instruction where it belongs and the way out behind it, as far as the page reaches. */
static unsigned put_code(const struct situation *s)
{
    uint8_t text[X86EMU_MAX_INSN_LENGTH + 9];
    uint32_t offset =
        COCKPIT + (s->mode == X86EMU_MODE_64 ? offsetof(struct cockpit, exit) : offsetof(struct cockpit, exit_32));
    unsigned length = s->insn.length, room = CODE + CODE_SIZE - code_address(s);

    memcpy(text, s->bytes, length);
    if (s->mode == X86EMU_MODE_64) { /* JMP [offset] */
        memcpy(text + length, "\xff\x24\x25", 3);
        memcpy(text + length + 3, &offset, 4);
    } else { /* JMP FAR 33H:offset, with a 32-bit offset */
        if (s->mode == X86EMU_MODE_16)
            text[length++] = 0x66;
        text[length] = 0xea;
        memcpy(text + length + 1, &offset, 4);
        text[length + 5] = USER_CODE_64;
        text[length + 6] = 0;
    }
    length += 7;
    if (length > room)
        length = room;
    memcpy(code + (code_address(s) - CODE), text, length);
    return length;
}

static void describe_end(const struct situation *s, struct result *result)
{
    uint64_t base = caught.happened ? segment_of(caught.cs).base : 0;
    bool moved = caught.rip != s->registers.rip || caught.cs != s->selector[X86EMU_CS];

    result->selector[X86EMU_CS] = caught.happened ? caught.cs : s->selector[X86EMU_CS];
    result->ending = ENDED_RETIRED;
    result->registers.rip = s->registers.rip + s->insn.length;
    if (!caught.happened)
        return;
    /* A fetch that failed, or hit the fill, behind the instruction or at its target: it had retired. */
    if (moved &&
        (caught.trap == X86EMU_VECTOR_GP || (caught.trap == X86EMU_VECTOR_PF && base + caught.rip == caught.cr2))) {
        result->registers.rip = caught.rip;
        return;
    }
    if (caught.trap == X86EMU_VECTOR_BP && base + caught.rip > CODE && base + caught.rip <= CODE + CODE_SIZE) {
        result->registers.rip = caught.rip - 1;
        return;
    }
    result->ending = caught.trap == STUCK ? ENDED_ELSEWHERE : ENDED_EXCEPTION;
    result->registers.rip = caught.rip;
    result->exception.vector = (uint8_t)caught.trap;
    result->exception.error_code = (uint32_t)caught.error;
    result->exception.cr2 = caught.cr2;
}

void machine_run(const struct situation *s, struct result *result)
{
    unsigned written;

    memset(result, 0, offsetof(struct result, vectors));
    memcpy(cockpit->gpr, s->registers.gpr, sizeof(cockpit->gpr));
    cockpit->rflags = s->registers.rflags;
    cockpit->components = s->with_vectors ? (uint32_t)(COMPONENTS & machine.xcr0) : 0;
    if (s->with_vectors)
        vectors_to_area(cockpit->in, &s->vectors);
    cockpit->entry = s->mode == X86EMU_MODE_64 ? s->registers.rip : (uintptr_t)hardware_enter_32;
    cockpit->far_offset = (uint32_t)s->registers.rip;
    cockpit->far_selector = s->selector[X86EMU_CS];
    memcpy(cockpit->selector, s->selector, sizeof(cockpit->selector));
    written = put_code(s);
    caught.happened = false;
    runs++;
    running = 1;
    hardware_enter();
    running = 0;
    memset(code + (code_address(s) - CODE), CODE_FILL, written);
    memcpy(result->selector, cockpit->out_selector, sizeof(result->selector));
    memcpy(result->registers.gpr, cockpit->out_gpr, sizeof(result->registers.gpr));
    result->registers.rflags = cockpit->out_rflags;
    if (s->with_vectors)
        vectors_from_area(&result->vectors, cockpit->out);
    describe_end(s, result);
}

/* --- setting up --------------------------------------------------------------------------------------------------- */

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void map(uintptr_t address, size_t size, int protection)
{
    void *at = mmap((void *)address, size, protection,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);

    if (at != (void *)address)
        die("mmap below 4 GiB");
}

static void open_part(uintptr_t address, size_t size, int protection)
{
    if (mprotect((void *)address, size, protection) != 0)
        die("mprotect");
}

/* LSL of one of Linux's selectors tells the number of the processor; and WRFSBASE is needed. */
static void pin(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    sched_setaffinity(0, sizeof(set), &set);
    if ((getauxval(AT_HWCAP2) & 2) == 0) {
        fprintf(stderr, "x86emu-differential-hardware: skipped: Linux doesn't offer FSGSBASE\n");
        exit(0);
    }
}

static void catch_signals(void)
{
    static uint8_t stack[65536];
    const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM};
    const struct itimerval tick = {.it_interval = {.tv_usec = 50000}, .it_value = {.tv_usec = 50000}};
    stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_sigaction = hardware_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

    sigaltstack(&other, NULL);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
    setitimer(ITIMER_REAL, &tick, NULL);
}

/* A non-canonical address gives #GP, a canonical one #PF: which is 0000800000000000H? */
static bool five_levels(void)
{
    static struct situation s = {.mode = X86EMU_MODE_64,
                                 .selector = {USER_DATA, USER_CODE_64, USER_DATA, USER_DATA},
                                 .bytes = {0x8a, 0x00},
                                 .insn = {.length = 2}};
    struct result result;

    s.registers.rip = CODE;
    s.registers.rflags = X86EMU_RFLAGS_FIXED;
    s.registers.gpr[X86EMU_RAX] = UINT64_C(1) << 47;
    machine_run(&s, &result);
    return result.exception.vector == X86EMU_VECTOR_PF;
}

static void look_around(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    machine.xcr0 = (uint64_t)high << 32 | low;
    machine.fs_base = cockpit->fs_base;
    machine.gs_base = 0;
    machine.la57 = five_levels();
    __asm__ volatile("fxsave64 %0" : "=m"(cockpit->out));
    memcpy(&machine.mxcsr_mask, cockpit->out + XSAVE_MXCSR_MASK, 4);
}

void machine_start(void)
{
    static uint8_t touch[PAGE];

    map(WINDOW, WINDOW_SIZE, PROT_NONE);
    open_part(CODE, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
    memset(code, CODE_FILL, CODE_SIZE);
    open_part(WRITABLE, WRITABLE_SIZE, PROT_READ | PROT_WRITE);
    memset(machine_writable(), 1, WRITABLE_SIZE);
    machine_set_readable(touch);
    open_part(COCKPIT, COCKPIT_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
    memset(cockpit, 0, COCKPIT_SIZE);
    (void)mlock((void *)(uintptr_t)ARENA, ARENA_SIZE);
    cockpit->exit = (uintptr_t)hardware_exit;
    cockpit->clean_mxcsr = 0x1f80;
    __asm__ volatile("mov %%fs:0, %0" : "=r"(cockpit->fs_base)); /* the thread's pointer to itself */
    memcpy(cockpit->exit_32, "\xff\x24\x25", 3);                 /* JMP [exit] */
    memcpy(cockpit->exit_32 + 3, &(uint32_t){COCKPIT + offsetof(struct cockpit, exit)}, 4);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(USER_DATA));
    pin();
    catch_signals();
    segments_start();
    look_around();
}
