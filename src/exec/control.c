/* SPDX-License-Identifier: BSD-2-Clause */
/* Control and debug registers (SDM Vol. 3, 2.5 and 17.2; Vol. 2, MOV, CLTS, LMSW, SMSW), invalidations. */
#include "control.h"
#include "flags.h"
#include "generated/functions.h"

#define CR0_KNOWN UINT64_C(0xe005003f)
#define CR4_KNOWN                                                                                       \
    (UINT64_C(0x1fff) | X86EMU_CR4_FSGSBASE | X86EMU_CR4_PCIDE | X86EMU_CR4_OSXSAVE | X86EMU_CR4_SMEP | \
     X86EMU_CR4_SMAP | X86EMU_CR4_PKE | X86EMU_CR4_CET | X86EMU_CR4_PKS | X86EMU_CR4_LASS | X86EMU_CR4_LAM_SUP)
#define CR3_LAM (UINT64_C(3) << 61)
#define CR3_NO_FLUSH (UINT64_C(1) << 63)

static void raise_gp(struct exec *x)
{
    x86emu_raise_code(x, X86EMU_VECTOR_GP, 0);
}

void x86emu_invalidate(struct exec *x, enum x86emu_invalidation kind, uint64_t la, unsigned pcid)
{
    struct x86emu_outcome *outcome = &x->emu->outcome;

    outcome->invalidation = (uint8_t)kind;
    outcome->la = la;
    outcome->pcid = (uint16_t)pcid;
}

/* --- PDPTE registers ---------------------------------------------------------------------------------------------- */

static bool uses_pdptes(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return cr0 & X86EMU_CR0_PG && cr4 & X86EMU_CR4_PAE && !(efer & X86EMU_EFER_LMA);
}

/* Loads all four from the new CR3; a present one with reserved bits set is #GP (SDM Vol. 3, 4.4.1). */
static void load_pdptes(struct exec *x, uint64_t cr3)
{
    uint64_t reserved = ~(~UINT64_C(0) >> (64 - x->emu->transaction.config.maxphyaddr)) | 0x1e6;

    for (unsigned i = 0; i < 4; i++) {
        uint64_t entry = x86emu_physical_load(x, (cr3 & 0xffffffe0) + 8 * i);

        if (!x->stopped && entry & 1 && entry & reserved)
            raise_gp(x);
        stage_register(x, X86EMU_STATE_PDPTE, &x->vcpu->pdpte[i], entry);
    }
}

/* --- CR0, CR3, CR4, CR8 ------------------------------------------------------------------------------------------- */

static bool cr0_valid(const struct exec *x, uint64_t value)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    bool begins_long = value & X86EMU_CR0_PG && !(vcpu->cr0 & X86EMU_CR0_PG) && vcpu->efer & X86EMU_EFER_LME;
    bool ends = !(value & X86EMU_CR0_PG) && vcpu->cr0 & X86EMU_CR0_PG;

    if (value >> 32 != 0 || (value & X86EMU_CR0_PG && !(value & X86EMU_CR0_PE)) ||
        (value & X86EMU_CR0_NW && !(value & X86EMU_CR0_CD)) || (!(value & X86EMU_CR0_WP) && vcpu->cr4 & X86EMU_CR4_CET))
        return false;
    if (begins_long && (!(vcpu->cr4 & X86EMU_CR4_PAE) || vcpu->segment[X86EMU_CS].attributes & X86EMU_SEGMENT_L))
        return false;
    return !ends || (x->mode != X86EMU_MODE_64 && !(vcpu->cr4 & X86EMU_CR4_PCIDE));
}

static void write_cr0(struct exec *x, uint64_t value)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    uint64_t efer = vcpu->efer & ~X86EMU_EFER_LMA;

    if (!cr0_valid(x, value)) {
        raise_gp(x);
        return;
    }
    value = (value & CR0_KNOWN) | X86EMU_CR0_ET;
    if (value & X86EMU_CR0_PG && efer & X86EMU_EFER_LME)
        efer |= X86EMU_EFER_LMA;
    if (uses_pdptes(value, vcpu->cr4, efer) && (value ^ vcpu->cr0) & (X86EMU_CR0_PG | X86EMU_CR0_CD | X86EMU_CR0_NW))
        load_pdptes(x, vcpu->cr3);
    stage_register(x, X86EMU_STATE_CONTROL, &vcpu->cr0, value);
    stage_register(x, X86EMU_STATE_CONTROL, &vcpu->efer, efer);
    if ((value ^ vcpu->cr0) & (X86EMU_CR0_PG | X86EMU_CR0_WP))
        x86emu_invalidate(x, X86EMU_INVALIDATE_ALL, 0, 0);
}

static void stage_cr3(struct exec *x, uint64_t value)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;

    if (uses_pdptes(vcpu->cr0, vcpu->cr4, vcpu->efer))
        load_pdptes(x, value);
    stage_register(x, X86EMU_STATE_CONTROL, &vcpu->cr3, value);
}

void x86emu_load_cr3(struct exec *x, uint64_t value)
{
    stage_cr3(x, value);
    x86emu_invalidate(x, X86EMU_INVALIDATE_PCID, 0, 0);
}

static void write_cr3(struct exec *x, uint64_t value)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    uint64_t reserved = ~(~UINT64_C(0) >> (64 - x->emu->transaction.config.maxphyaddr));
    bool keep = vcpu->cr4 & X86EMU_CR4_PCIDE && value & CR3_NO_FLUSH;

    if (keep)
        value &= ~CR3_NO_FLUSH;
    if (is_long_mode(x) && value & reserved & ~CR3_LAM) {
        raise_gp(x);
        return;
    }
    stage_cr3(x, value);
    if (!keep)
        x86emu_invalidate(x, X86EMU_INVALIDATE_PCID, 0, vcpu->cr4 & X86EMU_CR4_PCIDE ? value & 0xfff : 0);
}

static bool cr4_valid(const struct exec *x, uint64_t value)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    uint64_t changed = value ^ vcpu->cr4, set = value & changed;

    if (value & ~CR4_KNOWN || (value & X86EMU_CR4_CET && !(vcpu->cr0 & X86EMU_CR0_WP)))
        return false;
    if (is_long_mode(x) && (!(value & X86EMU_CR4_PAE) || changed & X86EMU_CR4_LA57))
        return false;
    return !(set & X86EMU_CR4_PCIDE) || (is_long_mode(x) && (vcpu->cr3 & 0xfff) == 0);
}

static void write_cr4(struct exec *x, uint64_t value)
{
    const struct x86emu_vcpu *vcpu = x->vcpu;
    const uint64_t paging = X86EMU_CR4_PAE | X86EMU_CR4_PSE | X86EMU_CR4_PGE | X86EMU_CR4_SMEP | X86EMU_CR4_PCIDE |
                            X86EMU_CR4_PKE | X86EMU_CR4_PKS | X86EMU_CR4_SMAP | X86EMU_CR4_LA57;

    if (!cr4_valid(x, value)) {
        raise_gp(x);
        return;
    }
    if (uses_pdptes(vcpu->cr0, value, vcpu->efer) && (value ^ vcpu->cr4) & paging)
        load_pdptes(x, vcpu->cr3);
    stage_register(x, X86EMU_STATE_CONTROL, &vcpu->cr4, value);
    if ((value ^ vcpu->cr4) & paging)
        x86emu_invalidate(x, X86EMU_INVALIDATE_ALL, 0, 0);
}

static void write_cr8(struct exec *x, uint64_t value)
{
    if (value > 15)
        raise_gp(x);
    stage_register(x, X86EMU_STATE_CR8, &x->vcpu->cr8, value);
}

void x86emu_exec_mov_to_control(struct exec *x)
{
    uint64_t value = gpr(x, operand(x, 1)->reg.number);

    if (x->mode != X86EMU_MODE_64)
        value &= 0xffffffff;
    if (x->stopped)
        return;
    switch (operand(x, 0)->reg.number) {
    case 0:
        write_cr0(x, value);
        break;
    case 2:
        stage_register(x, X86EMU_STATE_CR2, &x->vcpu->cr2, value);
        break;
    case 3:
        write_cr3(x, value);
        break;
    case 4:
        write_cr4(x, value);
        break;
    case 8:
        write_cr8(x, value);
        break;
    default:
        x86emu_raise(x, X86EMU_VECTOR_UD);
        break;
    }
}

static uint64_t read_control(struct exec *x, unsigned number)
{
    switch (number) {
    case 0:
        return x->vcpu->cr0;
    case 2:
        return need(x, X86EMU_STATE_CR2) ? x->vcpu->cr2 : 0;
    case 3:
        return x->vcpu->cr3;
    case 4:
        return x->vcpu->cr4;
    case 8:
        return need(x, X86EMU_STATE_CR8) ? x->vcpu->cr8 : 0;
    default:
        x86emu_raise(x, X86EMU_VECTOR_UD);
        return 0;
    }
}

void x86emu_exec_mov_from_control(struct exec *x)
{
    write_operand(x, 0, read_control(x, operand(x, 1)->reg.number));
}

void x86emu_exec_clts(struct exec *x)
{
    stage_register(x, X86EMU_STATE_CONTROL, &x->vcpu->cr0, x->vcpu->cr0 & ~X86EMU_CR0_TS);
}

/* PE can be set, not cleared. */
void x86emu_exec_lmsw(struct exec *x)
{
    uint64_t value = read_operand(x, 0) & 0xf;

    if (!x->stopped)
        write_cr0(x, (x->vcpu->cr0 & ~UINT64_C(0xe)) | value);
}

void x86emu_exec_smsw(struct exec *x)
{
    if (x86emu_umip_allows(x))
        write_operand(x, 0, x->vcpu->cr0);
}

/* --- debug registers ---------------------------------------------------------------------------------------------- */

#define DR6_FIXED UINT64_C(0xffff0ff0)
#define DR7_FIXED UINT64_C(0x400)
#define CR4_DE X86EMU_CR4_DE

/* DR4 and DR5 are other names of DR6 and DR7, or #UD with CR4.DE. General detect comes before the access. */
static bool debug_register(struct exec *x, unsigned *number)
{
    if (!need(x, X86EMU_STATE_DEBUG))
        return false;
    if (*number == 4 || *number == 5) {
        if (x->vcpu->cr4 & CR4_DE) {
            x86emu_raise(x, X86EMU_VECTOR_UD);
            return false;
        }
        *number += 2;
    }
    if (x->vcpu->dr[7] & X86EMU_DR7_GD) {
        x->emu->outcome.dr6 = X86EMU_DR6_BD;
        x86emu_raise(x, X86EMU_VECTOR_DB);
    }
    return !x->stopped;
}

void x86emu_exec_mov_from_debug(struct exec *x)
{
    unsigned number = operand(x, 1)->reg.number;

    if (debug_register(x, &number))
        write_operand(x, 0, x->vcpu->dr[number]);
}

void x86emu_exec_mov_to_debug(struct exec *x)
{
    unsigned number = operand(x, 0)->reg.number;
    uint64_t value = gpr(x, operand(x, 1)->reg.number);

    if (x->mode != X86EMU_MODE_64)
        value &= 0xffffffff;
    if (!debug_register(x, &number))
        return;
    if (number >= 6 && value >> 32 != 0)
        raise_gp(x);
    if (number == 6)
        value = (value & 0x1e00f) | DR6_FIXED;
    else if (number == 7)
        value = (value & 0xffff2bff) | DR7_FIXED;
    stage_register(x, X86EMU_STATE_DEBUG, &x->vcpu->dr[number], value);
}

/* --- invalidations ------------------------------------------------------------------------------------------------ */

/* The operand is an address, not an access; one that is not canonical invalidates nothing. */
void x86emu_exec_invlpg(struct exec *x)
{
    struct logical address;
    uint64_t la;

    if (!x86emu_operand_address(x, 0, &address))
        return;
    la = address.offset + x86emu_segment_base(x, address.segment);
    if (x->mode != X86EMU_MODE_64)
        la &= 0xffffffff;
    if (!x->stopped)
        x86emu_invalidate(x, X86EMU_INVALIDATE_PAGE, la, x->vcpu->cr3 & 0xfff);
}

void x86emu_exec_invpcid(struct exec *x)
{
    static const uint8_t kinds[] = {X86EMU_INVALIDATE_PAGE, X86EMU_INVALIDATE_PCID, X86EMU_INVALIDATE_ALL,
                                    X86EMU_INVALIDATE_NOT_GLOBAL};
    uint64_t type = read_operand(x, 0), pcid, la;
    uint8_t descriptor[16] = {0};

    if (!x86emu_operand_load(x, 1, descriptor))
        return;
    pcid = load_le(descriptor, 8);
    la = load_le(descriptor + 8, 8);
    if (type > 3 || pcid >> 12 != 0 || (type < 2 && pcid != 0 && !(x->vcpu->cr4 & X86EMU_CR4_PCIDE)) ||
        (type == 0 && !x86emu_is_canonical(la, x->vcpu->cr4)))
        raise_gp(x);
    else
        x86emu_invalidate(x, (enum x86emu_invalidation)kinds[type], la, (unsigned)pcid);
}

/* INVLPGB (APM Vol. 3): for all processors. More is invalidated than asked for, which the architecture allows. */
void x86emu_exec_invlpgb(struct exec *x)
{
    if (x->cpl != 0)
        raise_gp(x);
    else
        x86emu_invalidate(x, X86EMU_INVALIDATE_EVERYWHERE, 0, 0);
}

void x86emu_exec_wbinvd(struct exec *x)
{
    x86emu_invalidate(x, X86EMU_INVALIDATE_CACHES, 0, 0);
}
