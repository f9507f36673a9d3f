/* SPDX-License-Identifier: BSD-2-Clause */
/* What the caller knows: CPUID, model-specific registers, time, random numbers, counters; hypercalls and waiting. */
#include "control.h"
#include "flags.h"
#include "generated/functions.h"
#include "xsave.h"

bool x86emu_query(struct exec *x, enum x86emu_request_kind kind, uint32_t index, uint32_t subindex, unsigned size,
                  void *answer)
{
    struct x86emu_read *read = x86emu_next_read(x, kind, (uint64_t)subindex << 32 | index, size);
    struct x86emu_request *request;

    if (read == NULL)
        return false;
    if (read->done < size) {
        request = x86emu_ask(x, kind, 0, size, 1);
        request->index = index;
        request->subindex = subindex;
        if (!x86emu_present(x))
            return false;
    }
    copy_bytes(answer, &x->emu->transaction.read_bytes[read->data], size);
    return true;
}

static void stage_edx_eax(struct exec *x, uint64_t value)
{
    x86emu_gpr_stage(x, X86EMU_RAX, 4, value);
    x86emu_gpr_stage(x, X86EMU_RDX, 4, value >> 32);
}

static uint64_t edx_eax(struct exec *x)
{
    return (gpr(x, X86EMU_RDX) & 0xffffffff) << 32 | (gpr(x, X86EMU_RAX) & 0xffffffff);
}

static uint32_t ecx(struct exec *x)
{
    return (uint32_t)gpr(x, X86EMU_RCX);
}

static void raise_gp(struct exec *x)
{
    x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
}

/* --- CPUID, time, counters, random numbers ------------------------------------------------------------------------ */

void x86emu_exec_cpuid(struct exec *x)
{
    uint8_t answer[16] = {0};

    if (!x86emu_query(x, X86EMU_REQUEST_CPUID, (uint32_t)gpr(x, X86EMU_RAX), ecx(x), 16, answer))
        return;
    x86emu_gpr_stage(x, X86EMU_RAX, 4, load_le(answer, 4));
    x86emu_gpr_stage(x, X86EMU_RBX, 4, load_le(answer + 4, 4));
    x86emu_gpr_stage(x, X86EMU_RCX, 4, load_le(answer + 8, 4));
    x86emu_gpr_stage(x, X86EMU_RDX, 4, load_le(answer + 12, 4));
}

static bool time_allowed(struct exec *x)
{
    if (x->cpl != 0 && x->vcpu->cr4 & X86EMU_CR4_TSD)
        raise_gp(x);
    return !x->stopped;
}

static bool ask_time(struct exec *x, uint8_t *answer)
{
    return time_allowed(x) && x86emu_query(x, X86EMU_REQUEST_TIME, 0, 0, 12, answer);
}

void x86emu_exec_rdtsc(struct exec *x)
{
    uint8_t answer[12] = {0};

    if (ask_time(x, answer))
        stage_edx_eax(x, load_le(answer, 8));
}

void x86emu_exec_rdtscp(struct exec *x)
{
    uint8_t answer[12] = {0};

    if (!ask_time(x, answer))
        return;
    stage_edx_eax(x, load_le(answer, 8));
    x86emu_gpr_stage(x, X86EMU_RCX, 4, load_le(answer + 8, 4));
}

void x86emu_exec_rdpid(struct exec *x)
{
    uint8_t answer[12] = {0};

    if (x86emu_query(x, X86EMU_REQUEST_TIME, 0, 0, 12, answer))
        write_operand(x, 0, load_le(answer + 8, 4));
}

void x86emu_exec_rdpmc(struct exec *x)
{
    uint8_t answer[8] = {0};

    if (x->cpl != 0 && !(x->vcpu->cr4 & X86EMU_CR4_PCE))
        raise_gp(x);
    else if (x86emu_query(x, X86EMU_REQUEST_COUNTER, ecx(x), 0, 8, answer))
        stage_edx_eax(x, load_le(answer, 8));
}

/* CF says whether there was a number; else the destination is 0. */
void x86emu_exec_rdrand(struct exec *x)
{
    unsigned size = operand_size(x, 0);
    uint8_t answer[9] = {0};
    bool valid;

    if (!x86emu_query(x, X86EMU_REQUEST_RANDOM, (x->insn->modrm >> 3) & 1, size, 9, answer))
        return;
    valid = answer[8] != 0;
    write_operand(x, 0, valid ? load_le(answer, size) : 0);
    stage_flags(x, valid ? X86EMU_RFLAGS_CF : 0);
}

/* --- model-specific registers ------------------------------------------------------------------------------------- */

#define EFER_KNOWN (X86EMU_EFER_SCE | X86EMU_EFER_LME | X86EMU_EFER_LMA | X86EMU_EFER_NXE)
#define MSR_EFER UINT32_C(0xc0000080)
#define MSR_XSS UINT32_C(0xda0)

/* Those that are part of the vCPU's state here (SDM Vol. 4, table 2-2). */
struct msr {
    uint32_t index;
    uint32_t group;
    uint16_t offset;
    bool canonical;
};

#define FIELD(name) (uint16_t) offsetof(struct x86emu_vcpu, name)

static const struct msr msrs[] = {
    {0x174, X86EMU_STATE_SYSCALL, FIELD(sysenter_cs), false},
    {0x175, X86EMU_STATE_SYSCALL, FIELD(sysenter_esp), true},
    {0x176, X86EMU_STATE_SYSCALL, FIELD(sysenter_eip), true},
    {MSR_XSS, X86EMU_STATE_XCR0, FIELD(xss), false},
    {MSR_EFER, X86EMU_STATE_CONTROL, FIELD(efer), false},
    {0xc0000081, X86EMU_STATE_SYSCALL, FIELD(star), false},
    {0xc0000082, X86EMU_STATE_SYSCALL, FIELD(lstar), true},
    {0xc0000083, X86EMU_STATE_SYSCALL, FIELD(cstar), true},
    {0xc0000084, X86EMU_STATE_SYSCALL, FIELD(fmask), false},
    {0xc0000100, X86EMU_STATE_FSGS, FIELD(segment[X86EMU_FS].base), true},
    {0xc0000101, X86EMU_STATE_FSGS, FIELD(segment[X86EMU_GS].base), true},
    {0xc0000102, X86EMU_STATE_SYSCALL, FIELD(kernel_gs_base), true},
};

static const struct msr *find_msr(uint32_t index)
{
    for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
        if (msrs[i].index == index)
            return &msrs[i];
    return NULL;
}

static const uint64_t *msr_field(const struct exec *x, const struct msr *msr)
{
    return (const uint64_t *)(const void *)((const uint8_t *)x->vcpu + msr->offset);
}

static bool read_msr(struct exec *x, uint32_t index, uint64_t *value)
{
    const struct msr *msr = find_msr(index);
    uint8_t answer[8] = {0};

    if (msr != NULL) {
        if (!need(x, msr->group))
            return false;
        *value = *msr_field(x, msr);
        return true;
    }
    if (!x86emu_query(x, X86EMU_REQUEST_MSR_READ, index, 0, 8, answer))
        return false;
    *value = load_le(answer, 8);
    return true;
}

/* Whether the guest's CPUID has FFXSR. */
static bool fast_fxsave_offered(struct exec *x)
{
    uint8_t offered[16] = {0};

    return x86emu_query(x, X86EMU_REQUEST_CPUID, 0x80000001, 0, 16, offered) && load_le(offered + 12, 4) & 1 << 25;
}

/* LMA can't be written, and LME not while paging is on. */
static uint64_t checked_efer(struct exec *x, uint64_t value)
{
    uint64_t old = x->vcpu->efer, known = EFER_KNOWN;

    if (value & X86EMU_EFER_FFXSR && fast_fxsave_offered(x))
        known |= X86EMU_EFER_FFXSR;
    if (value & ~known || ((value ^ old) & X86EMU_EFER_LME && x->vcpu->cr0 & X86EMU_CR0_PG))
        raise_gp(x);
    return (value & ~X86EMU_EFER_LMA) | (old & X86EMU_EFER_LMA);
}

/* Supervisor components that the guest's CPUID has (SDM Vol. 1, 13.2). */
static void check_xss(struct exec *x, uint64_t value)
{
    uint8_t offered[16] = {0};

    if (value != 0 && x86emu_query(x, X86EMU_REQUEST_CPUID, 0xd, 1, 16, offered) && value & ~load_le(offered + 8, 8))
        raise_gp(x);
}

static void write_msr(struct exec *x, uint32_t index, uint64_t value)
{
    const struct msr *msr = find_msr(index);
    struct x86emu_effect *effect;
    uint8_t bytes[8];

    if (msr == NULL) {
        store_le(bytes, value, 8);
        effect = x86emu_effect_add(x, X86EMU_REQUEST_MSR_WRITE, 8, 1, bytes);
        if (effect != NULL)
            effect->index = index;
        return;
    }
    if (msr->canonical && !x86emu_is_canonical(value, x->vcpu->cr4))
        raise_gp(x);
    if (index == MSR_EFER)
        value = checked_efer(x, value);
    if (index == MSR_XSS)
        check_xss(x, value);
    stage_register(x, msr->group, msr_field(x, msr), value);
}

void x86emu_exec_rdmsr(struct exec *x)
{
    uint64_t value;

    if (read_msr(x, ecx(x), &value))
        stage_edx_eax(x, value);
}

/* RDPRU (APM Vol. 3): MPERF and APERF without privilege, unless CR4.TSD; other numbers give 0. */
void x86emu_exec_rdpru(struct exec *x)
{
    uint8_t answer[8] = {0};

    if (x->cpl != 0 && x->vcpu->cr4 & X86EMU_CR4_TSD) {
        x86emu_raise(x, X86EMU_VECTOR_UD);
        return;
    }
    if (ecx(x) > 1 || x86emu_query(x, X86EMU_REQUEST_MSR_READ, 0xe7 + ecx(x), 0, 8, answer))
        stage_edx_eax(x, load_le(answer, 8));
    stage_flags(x, ecx(x) > 1 ? 0 : X86EMU_RFLAGS_CF);
}

void x86emu_exec_wrmsr(struct exec *x)
{
    uint32_t index = ecx(x);
    uint64_t value = edx_eax(x);

    if (!x->stopped)
        write_msr(x, index, value);
}

/* RDMSRLIST, WRMSRLIST: one register a turn, the lowest set bit of RCX; numbers at RSI, values at RDI. */
static bool next_of_list(struct exec *x, unsigned *bit, uint64_t *index)
{
    uint64_t left = gpr(x, X86EMU_RCX);

    if (x->stopped || left == 0)
        return false;
    if ((gpr(x, X86EMU_RSI) | gpr(x, X86EMU_RDI)) & 7) {
        raise_gp(x);
        return false;
    }
    *bit = (unsigned)__builtin_ctzll(left);
    x86emu_gpr_stage(x, X86EMU_RCX, 8, left & (left - 1));
    x->repeats = (left & (left - 1)) != 0;
    if (!x86emu_memory_read(x, (struct logical){X86EMU_DS, gpr(x, X86EMU_RSI) + 8 * *bit}, 8, USE_PLAIN, index))
        return false;
    *index = load_le64(index);
    if (*index >> 32 != 0)
        raise_gp(x);
    return !x->stopped;
}

void x86emu_exec_rdmsrlist(struct exec *x)
{
    uint64_t index, value;
    uint8_t bytes[8];
    unsigned bit;

    if (!next_of_list(x, &bit, &index) || !read_msr(x, (uint32_t)index, &value))
        return;
    store_le64(bytes, value);
    x86emu_memory_write(x, (struct logical){X86EMU_DS, gpr(x, X86EMU_RDI) + 8 * bit}, 8, bytes);
}

void x86emu_exec_wrmsrlist(struct exec *x)
{
    uint8_t bytes[8] = {0};
    uint64_t index;
    unsigned bit;

    if (next_of_list(x, &bit, &index) &&
        x86emu_memory_read(x, (struct logical){X86EMU_DS, gpr(x, X86EMU_RDI) + 8 * bit}, 8, USE_PLAIN, bytes))
        write_msr(x, (uint32_t)index, load_le64(bytes));
}

/* --- FS and GS bases, XCR0, PKRU ---------------------------------------------------------------------------------- */

static bool bases_enabled(struct exec *x)
{
    if (!(x->vcpu->cr4 & X86EMU_CR4_FSGSBASE))
        x86emu_raise(x, X86EMU_VECTOR_UD);
    return !x->stopped && need(x, X86EMU_STATE_FSGS);
}

/* RD and WR FSBASE and GSBASE differ in ModRM.reg. */
static unsigned base_register(const struct exec *x)
{
    return x->insn->modrm & 8 ? X86EMU_GS : X86EMU_FS;
}

void x86emu_exec_rdbase(struct exec *x)
{
    if (bases_enabled(x))
        write_operand(x, 0, x->vcpu->segment[base_register(x)].base);
}

void x86emu_exec_wrbase(struct exec *x)
{
    uint64_t value = read_operand(x, 0);

    if (!bases_enabled(x))
        return;
    if (!x86emu_is_canonical(value, x->vcpu->cr4))
        raise_gp(x);
    stage_register(x, X86EMU_STATE_FSGS, &x->vcpu->segment[base_register(x)].base, value);
}

void x86emu_exec_swapgs(struct exec *x)
{
    if (!need(x, X86EMU_STATE_FSGS | X86EMU_STATE_SYSCALL))
        return;
    stage_register(x, X86EMU_STATE_FSGS, &x->vcpu->segment[X86EMU_GS].base, x->vcpu->kernel_gs_base);
    stage_register(x, X86EMU_STATE_SYSCALL, &x->vcpu->kernel_gs_base, x->vcpu->segment[X86EMU_GS].base);
}

static bool xsave_enabled(struct exec *x)
{
    if (!(x->vcpu->cr4 & X86EMU_CR4_OSXSAVE))
        x86emu_raise(x, X86EMU_VECTOR_UD);
    return !x->stopped && need(x, X86EMU_STATE_XCR0);
}

void x86emu_exec_xgetbv(struct exec *x)
{
    if (!xsave_enabled(x))
        return;
    if (ecx(x) > 1)
        raise_gp(x);
    else
        stage_edx_eax(x, ecx(x) == 0 ? x->vcpu->xcr0 : x86emu_xinuse(x));
}

/* Components that need each other (SDM Vol. 1, 13.3), and those that CPUID doesn't offer. */
static bool xcr0_valid(struct exec *x, uint64_t value)
{
    const uint64_t sse = 2, avx = 4, mpx = 0x18, avx512 = 0xe0, amx = 0x60000;
    uint8_t offered[16] = {0};

    if (!x86emu_query(x, X86EMU_REQUEST_CPUID, 0xd, 0, 16, offered))
        return false;
    if (value & ~(load_le(offered, 4) | load_le(offered + 12, 4) << 32) || !(value & 1))
        return false;
    if ((value & avx && !(value & sse)) || (value & avx512 && ((value & avx512) != avx512 || !(value & avx))))
        return false;
    return ((value & mpx) == 0 || (value & mpx) == mpx) && ((value & amx) == 0 || (value & amx) == amx);
}

void x86emu_exec_xsetbv(struct exec *x)
{
    uint64_t value = edx_eax(x);

    if (!xsave_enabled(x))
        return;
    if (ecx(x) != 0 || !xcr0_valid(x, value))
        raise_gp(x);
    stage_register(x, X86EMU_STATE_XCR0, &x->vcpu->xcr0, value);
}

static bool keys_enabled(struct exec *x)
{
    if (!(x->vcpu->cr4 & X86EMU_CR4_PKE))
        x86emu_raise(x, X86EMU_VECTOR_UD);
    else if (ecx(x) != 0)
        raise_gp(x);
    return !x->stopped && need(x, X86EMU_STATE_KEYS);
}

void x86emu_exec_rdpkru(struct exec *x)
{
    if (keys_enabled(x))
        stage_edx_eax(x, x->vcpu->pkru);
}

void x86emu_exec_wrpkru(struct exec *x)
{
    uint32_t value = (uint32_t)gpr(x, X86EMU_RAX);

    if (!keys_enabled(x))
        return;
    if (gpr(x, X86EMU_RDX) & 0xffffffff)
        raise_gp(x);
    x86emu_stage(x, X86EMU_STATE_KEYS, &x->vcpu->pkru, &value, sizeof(value));
}

/* CLAC, STAC: the row says what happens to AC; only CPL 0 may. */
void x86emu_exec_clac(struct exec *x)
{
    if (x->cpl != 0)
        x86emu_raise(x, X86EMU_VECTOR_UD);
}

/* LKGS: loads GS as MOV does, but the base goes where SWAPGS will find it. */
void x86emu_exec_lkgs(struct exec *x)
{
    unsigned selector = (unsigned)read_operand(x, 0) & 0xffff;
    struct x86emu_segment gs;

    if (!need(x, X86EMU_STATE_FSGS | X86EMU_STATE_SYSCALL) || !x86emu_segment_data(x, X86EMU_GS, selector, &gs))
        return;
    stage_register(x, X86EMU_STATE_SYSCALL, &x->vcpu->kernel_gs_base, gs.base);
    gs.base = x->vcpu->segment[X86EMU_GS].base;
    x86emu_segment_stage(x, X86EMU_GS, &gs);
}

/* --- waiting, calling --------------------------------------------------------------------------------------------- */

void x86emu_exec_hypercall(struct exec *x)
{
    x86emu_effect_add(x, X86EMU_REQUEST_HYPERCALL, 0, 0, NULL);
}

/* The address is translated as for a load, and armed: MWAIT is a hint, and may return at once. */
static void arm(struct exec *x, uint64_t offset)
{
    unsigned segment = x->insn->segment == X86EMU_NO_SEGMENT ? X86EMU_DS : x->insn->segment;
    struct logical address = {(uint8_t)segment, offset & size_mask(x->insn->address_size)};
    uint64_t la, gpa;

    if (x86emu_linear(x, address, 1, X86EMU_ACCESS_READ, &la))
        x86emu_translate(x, la, X86EMU_ACCESS_READ, &gpa);
}

void x86emu_exec_monitor(struct exec *x)
{
    if (x->cpl != 0)
        x86emu_raise(x, X86EMU_VECTOR_UD);
    else if (ecx(x) != 0)
        raise_gp(x);
    else
        arm(x, gpr(x, X86EMU_RAX));
}

/* MONITORX: at any privilege. */
void x86emu_exec_monitorx(struct exec *x)
{
    if (ecx(x) != 0)
        raise_gp(x);
    else
        arm(x, gpr(x, X86EMU_RAX));
}

void x86emu_exec_umonitor(struct exec *x)
{
    arm(x, read_operand(x, 0));
}

/* MWAITX: ECX bit 1 asks for a time limit in EBX; it may return at once. */
void x86emu_exec_mwaitx(struct exec *x)
{
    if (ecx(x) > 3)
        raise_gp(x);
    else
        x86emu_effect_add(x, X86EMU_REQUEST_HALT, 0, 0, NULL);
}

void x86emu_exec_mwait(struct exec *x)
{
    if (x->cpl != 0)
        x86emu_raise(x, X86EMU_VECTOR_UD);
    else if (ecx(x) > 1)
        raise_gp(x);
    else
        x86emu_effect_add(x, X86EMU_REQUEST_HALT, 0, 0, NULL);
}

/* UMWAIT, TPAUSE: may end at once; CF would tell that the operating system's limit ended them. */
void x86emu_exec_umwait(struct exec *x)
{
    if (!time_allowed(x))
        return;
    if (read_operand(x, 0) >> 1 & 0x7fffffff)
        raise_gp(x);
    stage_flags(x, 0);
}
