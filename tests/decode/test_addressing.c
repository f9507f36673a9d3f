/* SPDX-License-Identifier: BSD-2-Clause */
/* Every ModRM and SIB byte, in every address size, against the tables of the manual (SDM Vol. 2, 2.1.5). */
#include <criterion/criterion.h>
#include <string.h>
#include <x86emu/insn.h>

/* What the manual's tables say of one ModRM byte (and SIB byte) with memory; registers by number, -1: none. */
struct expected {
    int base, index;
    unsigned scale, disp_size, segment;
    bool sib, ip;
};

/* SDM Vol. 2, table 2-1 */
static struct expected expect16(unsigned modrm)
{
    static const int8_t bases[8] = {X86EMU_RBX, X86EMU_RBX, X86EMU_RBP, X86EMU_RBP,
                                    X86EMU_RSI, X86EMU_RDI, X86EMU_RBP, X86EMU_RBX};
    static const int8_t indices[8] = {X86EMU_RSI, X86EMU_RDI, X86EMU_RSI, X86EMU_RDI, -1, -1, -1, -1};
    unsigned mod = modrm >> 6, rm = modrm & 7;

    if (mod == 0 && rm == 6)
        return (struct expected){.base = -1, .index = -1, .scale = 1, .disp_size = 2, .segment = X86EMU_DS};
    return (struct expected){.base = bases[rm],
                             .index = indices[rm],
                             .scale = 1,
                             .disp_size = mod,
                             .segment = bases[rm] == X86EMU_RBP ? X86EMU_SS : X86EMU_DS};
}

/* SDM Vol. 2, table 2-3, and 2.2.1.2 for REX: SP can't be an index, R12 can; no base by the low three bits alone. */
static struct expected expect_sib(unsigned modrm, unsigned sib, unsigned rex)
{
    int base = (int)((sib & 7) | (rex & X86EMU_REX_B ? 8 : 0));
    int index = (int)((sib >> 3 & 7) | (rex & X86EMU_REX_X ? 8 : 0));
    unsigned mod = modrm >> 6;
    bool absolute = mod == 0 && (sib & 7) == 5;
    bool stack = !absolute && (base == X86EMU_RSP || base == X86EMU_RBP);

    return (struct expected){.base = absolute ? -1 : base,
                             .index = index == X86EMU_RSP ? -1 : index,
                             .scale = 1u << (sib >> 6),
                             .disp_size = absolute || mod == 2 ? 4 : mod,
                             .segment = stack ? X86EMU_SS : X86EMU_DS,
                             .sib = true};
}

/* SDM Vol. 2, table 2-2, and 2.2.1.6: relative to RIP in 64-bit mode. */
static struct expected expect32(unsigned modrm, unsigned sib, unsigned rex, enum x86emu_mode mode)
{
    int base = (int)((modrm & 7) | (rex & X86EMU_REX_B ? 8 : 0));
    unsigned mod = modrm >> 6;

    if ((modrm & 7) == 4)
        return expect_sib(modrm, sib, rex);
    if (mod == 0 && (modrm & 7) == 5)
        return (struct expected){
            .base = -1, .index = -1, .disp_size = 4, .segment = X86EMU_DS, .ip = mode == X86EMU_MODE_64};
    return (struct expected){.base = base,
                             .index = -1,
                             .disp_size = mod == 2 ? 4 : mod,
                             .segment = base == X86EMU_RBP ? X86EMU_SS : X86EMU_DS};
}

static bool same_register(struct x86emu_reg reg, int number, unsigned address_size)
{
    static const uint8_t classes[9] = {[2] = X86EMU_REG_GPR16, [4] = X86EMU_REG_GPR32, [8] = X86EMU_REG_GPR64};

    return number < 0 ? reg.reg_class == X86EMU_REG_NONE
                      : reg.reg_class == classes[address_size] && reg.number == number;
}

static int64_t little_endian(const uint8_t *bytes, unsigned size)
{
    uint32_t value = 0;

    for (unsigned n = 0; n < size; n++)
        value |= (uint32_t)bytes[n] << 8 * n;
    return size == 1 ? (int8_t)value : size == 2 ? (int16_t)value : (int32_t)value;
}

/* bytes: prefixes, REX if rex has one, 8B (MOV Gv, Ev), ModRM, SIB, displacement. */
static void check(const uint8_t *bytes, unsigned modrm_at, unsigned rex, enum x86emu_mode mode, unsigned address_size)
{
    unsigned modrm = bytes[modrm_at], sib = bytes[modrm_at + 1];
    struct expected want = address_size == 2 ? expect16(modrm) : expect32(modrm, sib, rex, mode);
    unsigned disp_at = modrm_at + 1 + want.sib;
    struct x86emu_operand op;
    struct x86emu_insn insn;

    cr_assert_eq(x86emu_decode(&insn, bytes, 15, mode), X86EMU_DECODE_OK);
    cr_assert_eq(insn.length, disp_at + want.disp_size, "mode %d, modrm %02x, sib %02x: length %u", mode, modrm, sib,
                 insn.length);
    cr_assert(x86emu_insn_operand(&insn, 1, &op) && op.kind == X86EMU_OPERAND_MEM);
    cr_assert_eq(insn.address_size, address_size);
    cr_assert_eq(insn.disp_size, want.disp_size);
    cr_assert(want.ip ? op.mem.base.reg_class == X86EMU_REG_IP : same_register(op.mem.base, want.base, address_size),
              "mode %d, modrm %02x, sib %02x: base", mode, modrm, sib);
    cr_assert(same_register(op.mem.index, want.index, address_size), "mode %d, modrm %02x, sib %02x: index", mode,
              modrm, sib);
    cr_assert(want.index < 0 || op.mem.scale == want.scale, "modrm %02x, sib %02x: scale", modrm, sib);
    cr_assert_eq(op.mem.segment, want.segment, "mode %d, modrm %02x, sib %02x: segment %u", mode, modrm, sib,
                 op.mem.segment);
    cr_assert_eq((uint64_t)op.mem.disp & (address_size == 2 ? 0xffff : ~UINT64_C(0)),
                 (uint64_t)little_endian(bytes + disp_at, want.disp_size) & (address_size == 2 ? 0xffff : ~UINT64_C(0)),
                 "mode %d, modrm %02x, sib %02x: displacement", mode, modrm, sib);
}

static void check_all(const uint8_t *start, unsigned size, unsigned rex, enum x86emu_mode mode, unsigned address_size)
{
    uint8_t bytes[16];

    for (unsigned modrm = 0; modrm < 0xc0; modrm++) {
        for (unsigned sib = 0; sib < 256; sib++) {
            memset(bytes, 0x90 | (sib & 0xf), sizeof(bytes)); /* displacements are negative */
            memcpy(bytes, start, size);
            bytes[size] = (uint8_t)modrm;
            bytes[size + 1] = (uint8_t)sib;
            check(bytes, size, rex, mode, address_size);
        }
    }
}

Test(addressing, F10_16_bit_addresses)
{
    check_all((const uint8_t[]){0x8b}, 1, 0, X86EMU_MODE_16, 2);
    check_all((const uint8_t[]){0x67, 0x8b}, 2, 0, X86EMU_MODE_32, 2);
}

Test(addressing, F10_32_bit_addresses)
{
    check_all((const uint8_t[]){0x8b}, 1, 0, X86EMU_MODE_32, 4);
    check_all((const uint8_t[]){0x67, 0x8b}, 2, 0, X86EMU_MODE_16, 4);
    check_all((const uint8_t[]){0x67, 0x8b}, 2, 0, X86EMU_MODE_64, 4);
}

Test(addressing, F10_64_bit_addresses)
{
    check_all((const uint8_t[]){0x8b}, 1, 0, X86EMU_MODE_64, 8);
    for (unsigned rex = 0; rex < 16; rex++)
        check_all((const uint8_t[]){(uint8_t)(0x40 | rex), 0x8b}, 2, rex, X86EMU_MODE_64, 8);
}
