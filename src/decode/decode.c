/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes to struct x86emu_insn: prefixes, opcode lookup, ModRM, displacement, immediates, validity. */
#include "../common/mem.h"
#include "generated/tables.h"
#include "rules.h"

#include <x86emu/insn.h>

/* Bytes that may be read from the position of any field on: the longest instruction and one wide load. */
#define READABLE 24u

enum evex_bit {
    EVEX_AAA = 7,
    EVEX_B = 1 << 4,
    EVEX_Z = 1 << 7
};

/* Everything before the opcode, as far as it matters after it. */
struct head {
    const uint8_t *bytes; /* READABLE bytes or more can be read */
    uint8_t size;         /* of them are the caller's, at most 15 */
    uint8_t opcode_at;
    uint8_t map; /* enum opcode_map */
    uint8_t mode;
    uint8_t options;  /* enum x86emu_decode_option, shifted down by 8 */
    uint8_t prefixes; /* enum x86emu_prefix */
    uint8_t segment;
    uint8_t rex;
    uint8_t mandatory; /* 0: none, 1: 66, 2: F3, 3: F2 */
    uint8_t encoding;
    uint8_t map_number;
    uint8_t vvvv;        /* with EVEX.V' as bit 4 */
    uint8_t vector_bits; /* L or L'L */
    uint8_t evex;        /* the third EVEX payload byte */
};

/* Little-endian, whatever the host is; READABLE bytes are there. */
static inline uint64_t load_64(const uint8_t *bytes)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t value;

    copy_bytes(&value, bytes, 8);
    return value;
#else
    return load_le(bytes, 8);
#endif
}

static enum x86emu_decode_status truncated(struct x86emu_insn *insn, unsigned bound)
{
    if (bound > X86EMU_MAX_INSN_LENGTH)
        return X86EMU_DECODE_TOO_LONG;
    insn->length = (uint8_t)bound;
    return X86EMU_DECODE_TRUNCATED;
}

/* --- what the size prefixes mean ---------------------------------------------------------------------------------- */

/* Operand size as 0, 1, 2 for 16, 32, 64 bits (SDM Vol. 1, table 3-4): [rule][AMD][mode][66 and W as 2 * 66 + W]. */
static const uint8_t operand_sizes[][2][3][4] = {
    [RULE_NORMAL] = {{{0, 0, 1, 1}, {1, 1, 0, 0}, {1, 2, 0, 2}}, {{0, 0, 1, 1}, {1, 1, 0, 0}, {1, 2, 0, 2}}},
    [RULE_D64] = {{{0, 0, 1, 1}, {1, 1, 0, 0}, {2, 2, 0, 2}}, {{0, 0, 1, 1}, {1, 1, 0, 0}, {2, 2, 0, 2}}},
    [RULE_F64] = {{{0, 0, 1, 1}, {1, 1, 0, 0}, {2, 2, 2, 2}}, {{0, 0, 1, 1}, {1, 1, 0, 0}, {2, 2, 2, 2}}},
    [RULE_NEAR] = {{{0, 0, 1, 1}, {1, 1, 0, 0}, {2, 2, 2, 2}}, {{0, 0, 1, 1}, {1, 1, 0, 0}, {2, 2, 0, 2}}},
    [RULE_BYTE] = {{{0, 0, 1, 1}, {1, 1, 0, 0}, {1, 2, 0, 2}}, {{0, 0, 1, 1}, {1, 1, 0, 0}, {1, 2, 0, 2}}},
};

static inline unsigned operand_size_index(const struct head *head, unsigned rule)
{
    unsigned p66 = (head->prefixes & X86EMU_PREFIX_66) != 0, w = head->rex >> 3 & 1;

    return operand_sizes[rule][head->options & 1][head->mode][2 * p66 + w];
}

/* 0, 1, 2 for 16, 32, 64 bits (SDM Vol. 1, table 3-4): [mode][67]. */
static inline unsigned address_size_index(const struct head *head)
{
    static const uint8_t sizes[3][2] = {{0, 1}, {1, 0}, {2, 1}};

    return sizes[head->mode][(head->prefixes & X86EMU_PREFIX_67) != 0];
}

/* --- opcode lookup ------------------------------------------------------------------------------------------------ */

/* EVEX.b with registers is rounding control or SAE, and the vector length is 512 bits (SDM Vol. 2, 2.7.11). */
static unsigned effective_length(const struct head *head, unsigned modrm)
{
    return head->evex & EVEX_B && modrm >= 0xc0 ? 2 : head->vector_bits;
}

static uint32_t selector_word(const struct head *head, unsigned modrm, unsigned osz, unsigned asz)
{
    return modrm | (uint32_t)(modrm >= 0xc0) << SELECT_MOD3 | (uint32_t)head->mandatory << SELECT_PP |
           (uint32_t)(head->rex >> 3 & 1) << SELECT_W | osz << SELECT_OSZ | asz << SELECT_ASZ |
           (uint32_t)head->mode << SELECT_MODE | (uint32_t)effective_length(head, modrm) << SELECT_VL |
           (uint32_t)(head->rex & X86EMU_REX_B) << SELECT_B |
           (uint32_t)((head->prefixes & X86EMU_PREFIX_66) != 0) << SELECT_P66 | (uint32_t)head->options << SELECT_AMD;
}

/* The row that the opcode leads to, 0 for none; *consulted gathers the selector bits that mattered. */
static unsigned find_form(const struct head *head, uint32_t selector, uint32_t *consulted)
{
    unsigned entry = x86emu_opcode_maps[head->map][head->bytes[head->opcode_at]];

    while (entry & 0x8000) {
        const uint16_t *node = &x86emu_opcode_nodes[entry & 0x7fff];
        unsigned shift = node[0] & 0xff, mask = node[0] >> 8;

        *consulted |= (uint32_t)mask << shift;
        entry = node[1 + (selector >> shift & mask)];
    }
    return entry;
}

static unsigned evex_state(const struct head *head, bool memory)
{
    return (head->evex & EVEX_Z ? STATE_Z : 0u) | (head->evex & EVEX_AAA ? STATE_AAA : 0u) |
           (head->evex & EVEX_B ? (memory ? STATE_B_MEMORY : STATE_B_REGISTER) : 0u);
}

static unsigned state_word(const struct head *head, unsigned modrm)
{
    bool memory = modrm < 0xc0, lock = head->prefixes & X86EMU_PREFIX_LOCK;

    return (memory ? STATE_MEMORY : STATE_REGISTER) |
           (head->mode == X86EMU_MODE_64 ? STATE_MODE64 : STATE_LEGACY_MODE) | (lock ? STATE_LOCK : 0u) |
           (lock && !memory ? STATE_LOCK_REGISTER : 0u) | (head->vvvv != 0 ? STATE_VVVV : 0u) |
           (unsigned)STATE_VL0 << effective_length(head, modrm) | (head->rex & X86EMU_REX_W ? STATE_W1 : STATE_W0) |
           evex_state(head, memory);
}

/* --- behind the opcode -------------------------------------------------------------------------------------------- */

/* Bytes of all immediates: by operand size index, but for moffs. */
static const uint8_t immediate_sizes[][3] = {
    [IMMEDIATE_NONE] = {0, 0, 0}, [IMMEDIATE_IB] = {1, 1, 1}, [IMMEDIATE_IW] = {2, 2, 2},
    [IMMEDIATE_IZ] = {2, 4, 4},   [IMMEDIATE_IV] = {2, 4, 8}, [IMMEDIATE_IW_IB] = {3, 3, 3},
    [IMMEDIATE_MO] = {2, 4, 8},   [IMMEDIATE_AP] = {4, 6, 6}, [IMMEDIATE_IB_IB] = {2, 2, 2},
    [IMMEDIATE_ID] = {4, 4, 4},   [IMMEDIATE_CB] = {1, 1, 1}, [IMMEDIATE_CZ] = {2, 4, 4},
};

/* The low size bytes, 0 to 8, and the sign bit among them. No branches: sizes are as unpredictable as the code. */
static const uint64_t field_masks[9] = {
    0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, ~UINT64_C(0)};
static const uint64_t field_signs[9] = {0,
                                        UINT64_C(1) << 7,
                                        UINT64_C(1) << 15,
                                        UINT64_C(1) << 23,
                                        UINT64_C(1) << 31,
                                        UINT64_C(1) << 39,
                                        UINT64_C(1) << 47,
                                        UINT64_C(1) << 55,
                                        UINT64_C(1) << 63};

static inline uint64_t unsigned_field(const uint8_t *bytes, unsigned size)
{
    return load_64(bytes) & field_masks[size];
}

static inline uint64_t extended_field(const uint8_t *bytes, unsigned size, bool is_signed)
{
    uint64_t sign = field_signs[size] & (0 - (uint64_t)is_signed);

    return (unsigned_field(bytes, size) ^ sign) - sign;
}

/* Far pointers, moffs and two immediates. */
static __attribute__((noinline)) void read_unusual_immediates(struct x86emu_insn *insn, const uint8_t *at,
                                                              unsigned kind)
{
    unsigned second = kind == IMMEDIATE_AP ? 2 : 1, first = insn->imm_size - second;

    if (kind == IMMEDIATE_MO) {
        insn->disp = (int64_t)unsigned_field(at, insn->imm_size);
        insn->disp_size = insn->imm_size;
        insn->imm_size = 0;
        insn->imm = 0;
        return;
    }
    insn->imm = unsigned_field(at, first);
    insn->imm2 = (uint16_t)unsigned_field(at + first, second);
}

static void fill_head(struct x86emu_insn *insn, const struct head *head)
{
    insn->mode = head->mode;
    insn->prefixes = head->prefixes;
    insn->segment = head->segment;
    insn->rex = head->rex;
    insn->encoding = head->encoding;
    insn->map = head->map_number;
    insn->opcode = head->bytes[head->opcode_at];
    insn->opcode_offset = head->opcode_at;
    insn->vvvv = head->vvvv;
    insn->vector_length =
        (uint8_t)(head->encoding >= X86EMU_ENCODING_XOP ? 16u << effective_length(head, insn->modrm) : 0);
    insn->evex = head->evex;
}

/* 3DNow!: what looked like an immediate is the opcode (APM Vol. 3, 1.2.1). */
static enum x86emu_decode_status take_suffix_opcode(struct x86emu_insn *insn)
{
    insn->form = x86emu_opcode_maps[MAP_3DNOW][insn->imm];
    insn->encoding = X86EMU_ENCODING_3DNOW;
    insn->opcode = (uint8_t)insn->imm;
    insn->opcode_offset = (uint8_t)(insn->length - 1);
    insn->imm = insn->imm_size = 0;
    return insn->form != 0 ? X86EMU_DECODE_OK : X86EMU_DECODE_INVALID;
}

/* Everything from the opcode on. Inlined twice: for instructions without legacy or vector prefixes most of it is constant. */
static inline __attribute__((always_inline)) enum x86emu_decode_status decode_from_opcode(struct x86emu_insn *insn,
                                                                                          const struct head *head)
{
    const uint32_t modrm_selectors = 0x1ff;
    unsigned at = head->opcode_at, modrm = head->bytes[at + 1], sib = head->bytes[at + 2], form, kind, osz, layout;
    unsigned asz = address_size_index(head), has_modrm, has_sib, disp_size, imm_size, as_register;
    uint32_t consulted = 0;
    const struct form_shape *shape;

    if (at >= head->size)
        return truncated(insn, at + 1);
    if (head->encoding == X86EMU_ENCODING_EVEX && at + 1 >= head->size)
        return truncated(insn, at + 2); /* EVEX.b means something else with registers than with memory */
    form = find_form(head, selector_word(head, modrm, operand_size_index(head, RULE_NORMAL), asz), &consulted);
    shape = &x86emu_form_shapes[form];
    has_modrm = shape->shape >> 7;
    if ((has_modrm || consulted & modrm_selectors) && at + 1 >= head->size)
        return truncated(insn, at + 2);
    if (form == 0 || effective_length(head, modrm) == 3)
        return X86EMU_DECODE_INVALID;

    as_register = shape->shape & SHAPE_REGISTER; /* CR and DR: mod is ignored */
    modrm |= as_register << 1 | as_register;
    modrm = (modrm & (0 - has_modrm)) | (0xc0 & (has_modrm - 1));
    layout = x86emu_modrm_layouts[asz != 0][modrm];
    has_sib = layout >> 3;
    disp_size = (layout & 7) | (has_sib & ((sib & 7) == 5) & (modrm < 0x40)) << 2;
    at += 1 + has_modrm + has_sib;
    insn->disp = (int64_t)extended_field(head->bytes + at, disp_size, true);
    at += disp_size;
    osz = operand_size_index(head, shape->rule);
    kind = shape->shape & SHAPE_IMMEDIATE;
    imm_size = immediate_sizes[kind][kind == IMMEDIATE_MO ? asz : osz];
    if (at + imm_size > head->size)
        return truncated(insn, at + imm_size);
    if (state_word(head, modrm) & shape->forbidden)
        return X86EMU_DECODE_INVALID;
    insn->imm =
        extended_field(head->bytes + at, imm_size & (kind < IMMEDIATE_MO ? 15u : 0u), shape->shape & SHAPE_SIGNED);
    insn->imm2 = 0;
    insn->form = (uint16_t)form;
    insn->length = (uint8_t)(at + imm_size);
    insn->operand_size = (uint8_t)(shape->rule == RULE_BYTE ? 1 : 2u << osz);
    insn->address_size = (uint8_t)(2u << asz);
    insn->modrm = (uint8_t)modrm;
    insn->sib = (uint8_t)(sib & (0 - has_sib));
    insn->disp_size = (uint8_t)disp_size;
    insn->imm_size = (uint8_t)imm_size;
    fill_head(insn, head);
    if (kind >= IMMEDIATE_MO)
        read_unusual_immediates(insn, head->bytes + at, kind);
    if (head->encoding == X86EMU_ENCODING_EVEX && disp_size == 1)
        insn->disp *= x86emu_displacement_scale(insn);
    if (shape->special == SPECIAL_SUFFIX_OPCODE)
        return take_suffix_opcode(insn);
    if (shape->special != 0 && !x86emu_special_rules_hold(insn, shape->special))
        return X86EMU_DECODE_INVALID;
    return X86EMU_DECODE_OK;
}

static __attribute__((noinline)) enum x86emu_decode_status decode_rest(struct x86emu_insn *insn,
                                                                       const struct head *head)
{
    return decode_from_opcode(insn, head);
}

/* --- before the opcode -------------------------------------------------------------------------------------------- */

/* At 0F: finds the map and moves to the opcode behind the escapes. False: it is missing. */
static inline bool pass_escape(struct head *head)
{
    unsigned at = head->opcode_at + 1u, byte = head->bytes[at];

    if (at >= head->size)
        return false;
    head->map = MAP_0F;
    if (byte == 0x38 || byte == 0x3a) {
        head->map = byte == 0x38 ? MAP_0F38 : MAP_0F3A;
        at++;
    }
    head->map_number = (uint8_t)(head->map - MAP_ONE_BYTE);
    head->opcode_at = (uint8_t)at;
    return true;
}

/* --- VEX, XOP, EVEX (SDM Vol. 2, 2.3 and 2.7; APM Vol. 3, 1.2.5) ---------------------------------------------------- */

/* The opcode map, by encoding and map number; MAP_COUNT: there is none. */
static unsigned map_of(unsigned encoding, unsigned number)
{
    static const uint8_t evex[8] = {MAP_COUNT, MAP_EVEX_0F, MAP_EVEX_0F38, MAP_EVEX_0F3A,
                                    MAP_COUNT, MAP_EVEX_M5, MAP_EVEX_M6,   MAP_COUNT};

    if (encoding == X86EMU_ENCODING_EVEX)
        return evex[number];
    if (encoding == X86EMU_ENCODING_XOP)
        return number >= 8 && number <= 10 ? MAP_XOP_M8 + (number - 8) : MAP_COUNT;
    return number >= 1 && number <= 3 ? MAP_VEX_0F + (number - 1) : MAP_COUNT;
}

/* R, X and B of the first payload byte, which are stored inverted. */
static uint8_t take_rxb(unsigned byte)
{
    return (uint8_t)(~byte >> 5 & 7);
}

/* W vvvv L pp, or W vvvv 1 pp. */
static void take_wvvvv(struct head *head, unsigned byte)
{
    head->rex = (uint8_t)(head->rex | (byte & 0x80 ? X86EMU_REX_W : 0));
    head->vvvv = (uint8_t)(~byte >> 3 & 0xf);
    head->vector_bits = byte >> 2 & 1;
    head->mandatory = byte & 3; /* none, 66, F3, F2 */
}

/* C5: R vvvv L pp. Returns the map number. */
static unsigned take_vex2(struct head *head, const uint8_t *payload)
{
    take_wvvvv(head, payload[0] & 0x7fu);
    head->rex = payload[0] & 0x80 ? 0 : X86EMU_REX_R;
    return 1;
}

/* C4 and 8F: RXB mmmmm, W vvvv L pp. */
static unsigned take_vex3(struct head *head, const uint8_t *payload)
{
    head->rex = take_rxb(payload[0]);
    take_wvvvv(head, payload[1]);
    return payload[0] & 0x1f;
}

/* 62: RXB R' 0 mmm, W vvvv 1 pp, z L'L b V' aaa. A fixed bit that isn't as it should be makes the map invalid. */
static unsigned take_evex(struct head *head, const uint8_t *payload)
{
    head->rex = (uint8_t)(take_rxb(payload[0]) | (payload[0] & 0x10 ? 0 : X86EMU_REX_R4));
    take_wvvvv(head, payload[1]);
    head->evex = payload[2];
    head->vvvv |= payload[2] & 8 ? 0 : 0x10;
    head->vector_bits = payload[2] >> 5 & 3;
    return payload[0] & 8 || !(payload[1] & 4) ? 0 : payload[0] & 7u;
}

/* Only segment and address size prefixes may stand before a vector prefix (SDM Vol. 2, 2.3.2 to 2.3.4). */
static bool vector_prefix_allowed(const struct head *head)
{
    return head->rex == 0 &&
           !(head->prefixes & (X86EMU_PREFIX_LOCK | X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE | X86EMU_PREFIX_66));
}

/* Outside 64-bit mode there are eight registers of each kind. The bits that would name more are ignored, but for V'. */
static bool drop_high_registers(struct head *head)
{
    if (head->mode == X86EMU_MODE_64)
        return true;
    head->rex &= X86EMU_REX_W;
    head->vvvv &= 0x17;
    return !(head->vvvv & 0x10);
}

static enum x86emu_decode_status decode_vector(struct x86emu_insn *insn, struct head *head, unsigned encoding)
{
    const uint8_t *prefix = &head->bytes[head->opcode_at];
    unsigned payload = encoding == X86EMU_ENCODING_EVEX ? 3 : prefix[0] == 0xc5 ? 1 : 2;
    bool allowed = vector_prefix_allowed(head);
    unsigned number;

    if (head->opcode_at + payload + 1 >= head->size)
        return truncated(insn, head->opcode_at + payload + 2);
    head->encoding = (uint8_t)encoding;
    if (encoding == X86EMU_ENCODING_EVEX)
        number = take_evex(head, prefix + 1);
    else
        number = payload == 1 ? take_vex2(head, prefix + 1) : take_vex3(head, prefix + 1);
    head->map = (uint8_t)map_of(encoding, number);
    head->map_number = (uint8_t)number;
    if (!allowed || head->map == MAP_COUNT || !drop_high_registers(head))
        return X86EMU_DECODE_INVALID;
    head->opcode_at = (uint8_t)(head->opcode_at + payload + 1);
    return decode_rest(insn, head);
}

/* Which vector prefix, if any, the byte at the opcode's place is, given the one behind it. */
static unsigned vector_encoding(const struct head *head)
{
    unsigned byte = head->bytes[head->opcode_at], next = head->bytes[head->opcode_at + 1];
    bool registers = next >= 0xc0 || head->mode == X86EMU_MODE_64;

    switch (byte) {
    case 0xc4:
    case 0xc5:
        return registers ? X86EMU_ENCODING_VEX : X86EMU_ENCODING_LEGACY;
    case 0x62:
        return registers ? X86EMU_ENCODING_EVEX : X86EMU_ENCODING_LEGACY;
    case 0x8f:
        return (next & 0x1f) >= 8 ? X86EMU_ENCODING_XOP : X86EMU_ENCODING_LEGACY;
    default:
        return X86EMU_ENCODING_LEGACY;
    }
}

/* --- legacy prefixes ---------------------------------------------------------------------------------------------- */

/* A legacy prefix is taken into *head; false for any other byte. */
static bool take_prefix(struct head *head, uint8_t byte)
{
    switch (byte) {
    case 0xf0:
        head->prefixes |= X86EMU_PREFIX_LOCK;
        return true;
    case 0xf2:
    case 0xf3:
        head->prefixes &= (uint8_t) ~(X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE);
        head->prefixes |= byte == 0xf2 ? X86EMU_PREFIX_REPNE : X86EMU_PREFIX_REP;
        return true;
    case 0x66:
        head->prefixes |= X86EMU_PREFIX_66;
        return true;
    case 0x67:
        head->prefixes |= X86EMU_PREFIX_67;
        return true;
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
        head->prefixes |= X86EMU_PREFIX_SEGMENT;
        if (head->mode != X86EMU_MODE_64)
            head->segment = byte >> 3 & 3;
        return true;
    case 0x64:
    case 0x65:
        head->prefixes |= X86EMU_PREFIX_SEGMENT;
        head->segment = byte == 0x64 ? X86EMU_FS : X86EMU_GS;
        return true;
    default:
        return false;
    }
}

static uint8_t mandatory_prefix(unsigned prefixes)
{
    if (prefixes & X86EMU_PREFIX_REP)
        return 2;
    if (prefixes & X86EMU_PREFIX_REPNE)
        return 3;
    return prefixes & X86EMU_PREFIX_66 ? 1 : 0;
}

/* All legacy prefixes, and a REX that stands right before the opcode (an earlier one is ignored). */
static void take_prefixes(struct head *head)
{
    unsigned at = 0;

    for (; at < head->size; at++) {
        uint8_t byte = head->bytes[at];

        if (head->mode == X86EMU_MODE_64 && (byte & 0xf0) == 0x40)
            head->rex = (byte & 0xf) | X86EMU_REX_PRESENT;
        else if (take_prefix(head, byte))
            head->rex = 0;
        else
            break;
    }
    head->opcode_at = (uint8_t)at;
    head->mandatory = mandatory_prefix(head->prefixes);
}

/* Any instruction at all. */
static __attribute__((noinline)) enum x86emu_decode_status decode_any(struct x86emu_insn *insn, const uint8_t *bytes,
                                                                      unsigned size, unsigned mode)
{
    struct head head = {.bytes = bytes,
                        .size = (uint8_t)size,
                        .mode = (uint8_t)(mode & 0xff),
                        .options = (uint8_t)(mode >> 8),
                        .segment = X86EMU_NO_SEGMENT};
    unsigned encoding;

    take_prefixes(&head);
    if (head.opcode_at >= size)
        return truncated(insn, head.opcode_at + 1u);
    if (bytes[head.opcode_at] == 0x0f)
        return pass_escape(&head) ? decode_rest(insn, &head) : truncated(insn, head.opcode_at + 2u);
    encoding = vector_encoding(&head);
    if (encoding == X86EMU_ENCODING_LEGACY)
        return decode_rest(insn, &head);
    if (head.opcode_at + 1u >= size)
        return truncated(insn, head.opcode_at + 2u);
    return decode_vector(insn, &head, encoding);
}

/* Bytes that are, or may be, prefixes: legacy ones, REX where it is none of the opcode's business, VEX, EVEX, XOP. */
static inline bool may_be_prefix(unsigned byte, bool rex)
{
    static const uint32_t legacy[8] = {0,
                                       1u << 6 | 1u << 14 | 1u << 22 | 1u << 30,
                                       0,
                                       1u << 2 | 0xfu << 4,
                                       1u << 15,
                                       0,
                                       1u << 4 | 1u << 5,
                                       1u << 16 | 1u << 18 | 1u << 19};

    return legacy[byte >> 5] >> (byte & 31) & 1 || (rex && (byte & 0xf0) == 0x40);
}

/* Without legacy or vector prefixes: REX, escapes, opcode. */
static inline enum x86emu_decode_status decode_plain(struct x86emu_insn *insn, const uint8_t *bytes, unsigned size,
                                                     unsigned mode)
{
    bool wide = (mode & 0xff) == X86EMU_MODE_64, rex = wide && (bytes[0] & 0xf0) == 0x40;
    struct head head = {.bytes = bytes,
                        .size = (uint8_t)size,
                        .opcode_at = rex,
                        .mode = (uint8_t)(mode & 0xff),
                        .options = (uint8_t)(mode >> 8),
                        .segment = X86EMU_NO_SEGMENT,
                        .rex = (uint8_t)(rex ? (bytes[0] & 0xf) | X86EMU_REX_PRESENT : 0)};

    if (size < 3 || may_be_prefix(bytes[rex], wide))
        return decode_any(insn, bytes, size, mode);
    if (bytes[rex] == 0x0f)
        pass_escape(&head);
    return decode_from_opcode(insn, &head);
}

static const unsigned known_options = X86EMU_DECODE_AMD | X86EMU_DECODE_NO_LZCNT | X86EMU_DECODE_NO_TZCNT |
                                      X86EMU_DECODE_NO_CET | X86EMU_DECODE_NO_MPX | X86EMU_DECODE_NO_CLDEMOTE |
                                      X86EMU_DECODE_NO_WBNOINVD | X86EMU_DECODE_NO_PREFETCHI;

enum x86emu_decode_status x86emu_decode(struct x86emu_insn *insn, const void *bytes, size_t size, unsigned mode)
{
    unsigned limit = size < X86EMU_MAX_INSN_LENGTH ? (unsigned)size : X86EMU_MAX_INSN_LENGTH;
    uint8_t padded[READABLE];

    if ((mode & 0xff) > X86EMU_MODE_64 || mode & ~(0xffu | known_options))
        return X86EMU_DECODE_BAD_MODE;
    if (size >= READABLE)
        return decode_plain(insn, (const uint8_t *)bytes, limit, mode);
    clear_bytes(padded, sizeof(padded));
    copy_bytes(padded, bytes, limit);
    return decode_plain(insn, padded, limit, mode);
}
