/* SPDX-License-Identifier: BSD-2-Clause */
/* Decoding whatever the bytes are: every prefix, short buffers, rare rows, and why an instruction is refused. */
#include "careful.h"

#include "../common/mem.h"
#include "rules.h"

/* Everything before the opcode, as far as it matters after it. */
struct head {
    const uint8_t *bytes;
    unsigned readable; /* bytes there: 8 or more */
    unsigned limit;    /* the caller's bytes, at most 15 */
    unsigned at;       /* the opcode's place */
    unsigned map;      /* enum opcode_map */
    unsigned map_number;
    unsigned mode;
    unsigned options;  /* enum x86emu_decode_option, shifted down by 8 */
    unsigned prefixes; /* enum x86emu_prefix */
    unsigned segment;
    unsigned rex;
    unsigned mandatory; /* 0: none, 1: 66, 2: F3, 3: F2 */
    unsigned encoding;
    unsigned vvvv;          /* with EVEX.V' as bit 4 */
    unsigned vector_length; /* L or L'L */
    unsigned evex;          /* the third EVEX payload byte */
    unsigned address_size;  /* 0, 1, 2 for 16, 32, 64 bits */
    unsigned state;         /* enum state but what ModRM decides */
    const struct mode_state *mode_state;
};

static enum x86emu_decode_status truncated(struct x86emu_insn *insn, unsigned bound)
{
    if (bound > X86EMU_MAX_INSN_LENGTH)
        return X86EMU_DECODE_TOO_LONG;
    insn->length = (uint8_t)bound;
    return X86EMU_DECODE_TRUNCATED;
}

/* The eight bytes from a place on, never reading beyond the end: what isn't there is 0. */
static uint64_t bytes_at(const struct head *head, unsigned at)
{
    unsigned last = head->readable - WIDE, from = at < last ? at : last;

    return load_le64(head->bytes + from) >> (8 * (at - from) & 63);
}

/* --- opcode lookup ------------------------------------------------------------------------------------------------ */

/* 0, 1, 2 for 16, 32, 64 bits (SDM Vol. 1, table 3-4). */
static unsigned address_size_index(unsigned mode, unsigned prefixes)
{
    unsigned p67 = (prefixes & X86EMU_PREFIX_67) != 0;

    return mode == X86EMU_MODE_64 ? 2 - p67 : mode ^ p67;
}

static unsigned lookup_step(const struct head *head, unsigned entry, uint64_t selectors, unsigned modrm)
{
    const uint16_t *node = &x86emu_decode_tables.nodes[2 * (entry & ENTRY_VALUE)];
    unsigned kind = entry >> ENTRY_KIND;

    if (kind == NODE_RARE)
        return rare_step(node, modrm, head->rex, head->prefixes, head->options << 8);
    return node[selectors >> 4 * kind & 0xf];
}

/* What lookups can depend on (enum node_kind), but for what ModRM decides. */
static uint64_t selector_word(const struct head *head)
{
    uint64_t word = head->mode_state->selectors & ~(UINT64_C(0xf) << 4 * NODE_ASZ);

    return word | (uint64_t)head->address_size << 4 * NODE_ASZ | head->mandatory << 4 * NODE_PP |
           (uint64_t)head->mandatory << 4 * NODE_PP_W | head->vector_length << 4 * NODE_VL;
}

static unsigned first_step(const struct opcode *opcode, uint64_t selectors)
{
    return ((const uint16_t *)&x86emu_decode_tables)[opcode->base + (selectors >> opcode->shift & 0xf)];
}

/* The row that an opcode leads to, 0 for none. */
static unsigned find_form(const struct head *head, const struct opcode *opcode, unsigned modrm)
{
    uint64_t selectors =
        selector_word(head) | (modrm >> 3 & 7) << 4 * NODE_REG | (uint64_t)(modrm >= 0xc0) << 4 * NODE_MOD3;
    unsigned entry = first_step(opcode, selectors);

    while (entry >> ENTRY_KIND != NODE_LEAF)
        entry = lookup_step(head, entry, selectors, modrm);
    return entry;
}

static const struct form_shape *form_shape(unsigned form)
{
    return &x86emu_decode_tables.shapes[x86emu_decode_tables.forms[form].shape];
}

/* --- from the opcode on ------------------------------------------------------------------------------------------- */

static bool depends_on_modrm(unsigned rare)
{
    return rare == RARE_RM || rare == RARE_NO_RIP;
}

/* AMD's processors take LOCK before a move to or from CR0 for CR8's bit 3 of the number (APM Vol. 3, MOV CRn). */
static unsigned allowed_state(const struct head *head, const struct form_shape *shape, unsigned modrm)
{
    bool cr0 = shape->special == SPECIAL_CR && (modrm & 0x38) == 0 && !(head->rex & X86EMU_REX_R);

    return bit_if(STATE_LOCK, cr0 && head->options & X86EMU_DECODE_AMD >> 8 && head->prefixes & X86EMU_PREFIX_LOCK);
}

/* Whether no ModRM byte would make the opcode valid. */
static bool is_hopeless(const struct head *head, const struct opcode *opcode)
{
    uint64_t selectors = selector_word(head);
    unsigned entry = first_step(opcode, selectors);

    if (opcode->shift == 4 * NODE_REG || opcode->shift == 4 * NODE_MOD3)
        return false;
    while (entry >> ENTRY_KIND != NODE_LEAF) {
        const uint16_t *node = &x86emu_decode_tables.nodes[2 * (entry & ENTRY_VALUE)];
        unsigned kind = entry >> ENTRY_KIND;

        if (kind == NODE_REG || kind == NODE_MOD3 || (kind == NODE_RARE && depends_on_modrm(node[1] & 0xff)))
            return false;
        entry = lookup_step(head, entry, selectors, 0);
    }
    return form_shape(entry)->forbidden & head->state & ~allowed_state(head, form_shape(entry), 0); /* 0: CR0 */
}

/* Two immediates, or one that is an address: all bytes have been read as one. */
static void split_immediates(struct x86emu_insn *insn, unsigned kind)
{
    unsigned first = kind == IMMEDIATE_AP ? insn->imm_size - 2u : insn->imm_size - 1u;

    if (kind == IMMEDIATE_MO) {
        insn->disp = (int64_t)insn->imm;
        insn->disp_size = insn->imm_size;
        insn->imm = insn->imm_size = 0;
        return;
    }
    insn->imm2 = (uint16_t)(insn->imm >> 8 * first);
    insn->imm &= (UINT64_C(1) << 8 * first) - 1;
}

/* 3DNow!: what looked like an immediate is the opcode (APM Vol. 3, 1.2.1). */
static enum x86emu_decode_status take_suffix_opcode(struct x86emu_insn *insn)
{
    insn->form = (uint16_t)first_step(find_opcode(MAP_3DNOW, insn->imm & 0xff), 0);
    insn->encoding = X86EMU_ENCODING_3DNOW;
    insn->opcode = (uint8_t)insn->imm;
    insn->opcode_offset = (uint8_t)(insn->length - 1);
    insn->imm = insn->imm_size = 0;
    return insn->form != 0 ? X86EMU_DECODE_OK : X86EMU_DECODE_INVALID;
}

/* Outside 64-bit mode the struct has lost the bit of vvvv that no register has, but gathers refuse it all the same. */
static bool has_lost_register(const struct head *head, unsigned special)
{
    return head->mode != X86EMU_MODE_64 && head->state & STATE_VVVV &&
           (special == SPECIAL_GATHER || special == SPECIAL_SCATTER);
}

/* MPX in 64-bit mode: 67 changes nothing (SDM Vol. 1, appendix E.4: "67H have no effect on data or address size"). */
static bool ignores_address_size(const struct head *head, unsigned special)
{
    return head->mode == X86EMU_MODE_64 && (special == SPECIAL_BND || special == SPECIAL_BND_ADDRESS);
}

static enum x86emu_decode_status apply_special_rule(struct x86emu_insn *insn, const struct head *head, unsigned special)
{
    if (ignores_address_size(head, special))
        insn->address_size = 8;
    if (special == SPECIAL_SUFFIX_OPCODE)
        return take_suffix_opcode(insn);
    if (has_lost_register(head, special))
        return X86EMU_DECODE_INVALID;
    return x86emu_special_rules_hold(insn, special) ? X86EMU_DECODE_OK : X86EMU_DECODE_INVALID;
}

static void fill(struct x86emu_insn *insn, const struct head *head, const struct layout *layout)
{
    insn->mode = (uint8_t)head->mode;
    insn->address_size = (uint8_t)(2u << head->address_size);
    insn->prefixes = (uint8_t)head->prefixes;
    insn->segment = (uint8_t)head->segment;
    insn->rex = (uint8_t)head->rex;
    insn->encoding = (uint8_t)head->encoding;
    insn->map = (uint8_t)head->map_number;
    insn->opcode_offset = (uint8_t)head->at;
    insn->vvvv = (uint8_t)head->vvvv;
    insn->vector_length = (uint8_t)(head->encoding >= X86EMU_ENCODING_XOP ? 16u << head->vector_length : 0);
    insn->evex = (uint8_t)head->evex;
    insn->modrm = (uint8_t)layout->modrm;
    insn->sib = layout->has_sib ? (uint8_t)(bytes_at(head, head->at + 2) & 0xff) : 0;
    insn->disp_size = (uint8_t)layout->displacement;
}

/* Displacement, immediates, and what depends on them. at: where they begin. */
static enum x86emu_decode_status take_fields(struct x86emu_insn *insn, const struct head *head,
                                             const struct form_shape *shape, unsigned at, unsigned kind)
{
    unsigned sign_size = head->mode_state->immediates[kind] >> 4;

    insn->disp = (int64_t)field(bytes_at(head, at), insn->disp_size, insn->disp_size);
    if (head->encoding == X86EMU_ENCODING_EVEX && insn->disp_size == 1)
        insn->disp *= INT64_C(1) << displacement_scale(shape, head->evex, head->vector_length, insn->operand_size);
    insn->imm = field(bytes_at(head, at + insn->disp_size), insn->imm_size, sign_size);
    insn->imm2 = 0;
    if (IMMEDIATES_ODD >> kind & 1)
        split_immediates(insn, kind);
    return shape->special == SPECIAL_NONE ? X86EMU_DECODE_OK : apply_special_rule(insn, head, shape->special);
}

static unsigned immediate_size(const struct head *head, unsigned kind)
{
    return kind == IMMEDIATE_MO ? 2u << head->address_size : head->mode_state->immediates[kind] & 0xfu;
}

/* What ModRM adds to the state. */
static unsigned modrm_state(const struct head *head, unsigned modrm)
{
    if (modrm < 0xc0)
        return STATE_MEMORY;
    return STATE_REGISTER | bit_if(STATE_LOCK_REGISTER, head->prefixes & X86EMU_PREFIX_LOCK);
}

/* Those of a mode that has this address size without 67. */
static const uint8_t *layouts_of(unsigned address_size)
{
    return x86emu_decode_tables.modes[4 * address_size].layouts;
}

/* Everything from the opcode on. */
static enum x86emu_decode_status decode_row(struct x86emu_insn *insn, const struct head *head)
{
    uint64_t bytes = bytes_at(head, head->at);
    const struct opcode *opcode = find_opcode(head->map, bytes & 0xff);
    unsigned kind = opcode->length & LENGTH_IMMEDIATE, at, form;
    const struct form_shape *shape;
    struct layout layout;

    if (opcode->length & LENGTH_REGISTER)
        bytes |= NO_MODRM << 8;
    layout = find_layout(opcode->length, layouts_of(head->address_size), bytes);
    if (layout.has_modrm && head->at + 1 >= head->limit)
        return is_hopeless(head, opcode) ? X86EMU_DECODE_INVALID : truncated(insn, head->at + 2);
    form = find_form(head, opcode, layout.modrm);
    shape = form_shape(form);
    if (kind == IMMEDIATE_BY_FORM)
        kind = shape->immediate;
    at = head->at + 1 + layout.has_modrm + layout.has_sib;
    insn->imm_size = (uint8_t)immediate_size(head, kind);
    insn->length = (uint8_t)(at + layout.displacement + insn->imm_size);
    if (shape->forbidden & (head->state | modrm_state(head, layout.modrm)) & ~allowed_state(head, shape, layout.modrm))
        return X86EMU_DECODE_INVALID;
    if (insn->length > head->limit)
        return truncated(insn, insn->length);

    insn->form = (uint16_t)form;
    insn->opcode = (uint8_t)bytes;
    insn->operand_size = head->mode_state->operand_sizes[shape->rule];
    fill(insn, head, &layout);
    if (allowed_state(head, shape, layout.modrm) != 0)
        insn->rex |= X86EMU_REX_R;
    return take_fields(insn, head, shape, at, kind);
}

#ifndef X86EMU_NO_VECTOR_MAPS

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
    if (number == 7)
        return MAP_VEX_M7;
    return number >= 1 && number <= 3 ? MAP_VEX_0F + (number - 1) : MAP_COUNT;
}

/* R, X and B of the first payload byte, which are stored inverted. */
static unsigned take_rxb(unsigned byte)
{
    return ~byte >> 5 & 7;
}

/* W vvvv L pp, or W vvvv 1 pp. */
static void take_wvvvv(struct head *head, unsigned byte)
{
    head->rex |= byte & 0x80 ? X86EMU_REX_W : 0;
    head->vvvv = ~byte >> 3 & 0xf;
    head->vector_length = byte >> 2 & 1;
    head->mandatory = byte & 3; /* none, 66, F3, F2 */
}

/* 62: RXB R' 0 mmm, W vvvv 1 pp, z L'L b V' aaa. A fixed bit that isn't as it should be makes the map invalid. */
static unsigned take_evex(struct head *head, uint64_t prefix)
{
    unsigned first = prefix >> 8 & 0xff, second = prefix >> 16 & 0xff, third = prefix >> 24 & 0xff;

    head->rex = take_rxb(first) | (first & 0x10 ? 0 : X86EMU_REX_R4);
    take_wvvvv(head, second);
    head->evex = third;
    head->vvvv |= third & 8 ? 0 : 0x10;
    head->vector_length = third >> 5 & 3;
    return first & 8 || !(second & 4) ? 0 : first & 7;
}

/* What the payload says; the map number. C5: R vvvv L pp; C4 and 8F: RXB mmmmm, W vvvv L pp. */
static unsigned take_payload(struct head *head, uint64_t prefix, unsigned payload)
{
    unsigned first = prefix >> 8 & 0xff;

    if (payload == 3)
        return take_evex(head, prefix);
    if (payload == 1) {
        take_wvvvv(head, first & 0x7f);
        head->rex = first & 0x80 ? 0 : X86EMU_REX_R;
        return 1;
    }
    head->rex = take_rxb(first);
    take_wvvvv(head, prefix >> 16 & 0xff);
    return first & 0x1f;
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

/* EVEX.b with registers is rounding control or SAE, and the vector length is 512 bits (SDM Vol. 2, 2.7.11). */
static unsigned evex_state(struct head *head, bool registers)
{
    bool zeroing = head->evex & EVEX_Z, masked = head->evex & EVEX_AAA, b = head->evex & EVEX_B;

    if (b && registers)
        head->vector_length = 2;
    return bit_if(STATE_AAA, masked) | bit_if(STATE_Z, zeroing) | bit_if(STATE_Z_UNMASKED, zeroing && !masked) |
           bit_if(STATE_Z_MEMORY, zeroing && !registers) | bit_if(STATE_B_MEMORY, b && !registers) |
           bit_if(STATE_B_REGISTER, b && registers);
}

/* Only segment and address size prefixes may stand before a vector prefix (SDM Vol. 2, 2.3.2 to 2.3.4). */
static bool vector_prefix_allowed(const struct head *head)
{
    return head->rex == 0 &&
           !(head->prefixes & (X86EMU_PREFIX_LOCK | X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE | X86EMU_PREFIX_66));
}

/* Takes the vector prefix at the opcode's place, whose bytes are given. False: it is invalid. */
static bool take_vector_prefix(struct head *head, uint64_t bytes, unsigned encoding, unsigned payload)
{
    bool registers = (bytes >> 8 * (payload + 2) & 0xff) >= 0xc0, names_register;

    head->encoding = encoding;
    head->map_number = take_payload(head, bytes, payload);
    names_register = head->vvvv != 0; /* also by the bit that is ignored outside 64-bit mode when there is one */
    head->map = map_of(encoding, head->map_number);
    if (head->map == MAP_COUNT || !drop_high_registers(head))
        return false;
    head->at += payload + 1;
    if (encoding == X86EMU_ENCODING_EVEX)
        head->state = evex_state(head, registers);
    head->state |= bit_if(STATE_VVVV, names_register) | bit_if(STATE_VVVV_HIGH, head->vvvv & 8) |
                   bit_if(STATE_REG_HIGH, head->rex & X86EMU_REX_R4) | bit_if(STATE_R4, head->rex & X86EMU_REX_R4);
    return head->vector_length < 3;
}
#endif

/* Which vector prefix, if any, a byte at the opcode's place is, given the one behind it. */
static unsigned vector_encoding(unsigned mode, unsigned byte, unsigned next)
{
    bool registers = next >= 0xc0 || mode == X86EMU_MODE_64;

    if (byte == 0xc4 || byte == 0xc5)
        return registers ? X86EMU_ENCODING_VEX : X86EMU_ENCODING_LEGACY;
    if (byte == 0x62)
        return registers ? X86EMU_ENCODING_EVEX : X86EMU_ENCODING_LEGACY;
    if (byte == 0x8f && (next & 0x1f) >= 8)
        return X86EMU_ENCODING_XOP;
    return X86EMU_ENCODING_LEGACY;
}

/* --- legacy prefixes ---------------------------------------------------------------------------------------------- */

static void take_legacy_prefix(struct head *head, unsigned byte)
{
    unsigned bit = x86emu_decode_tables.flat[MAP_ONE_BYTE][byte].form;

    if (bit & (X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE))
        head->prefixes &= ~(unsigned)(X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE);
    head->prefixes |= bit;
    if (byte == 0x64 || byte == 0x65)
        head->segment = byte == 0x64 ? X86EMU_FS : X86EMU_GS;
    else if (bit == X86EMU_PREFIX_SEGMENT && head->mode != X86EMU_MODE_64)
        head->segment = byte >> 3 & 3;
    head->rex = 0;
}

/* All legacy prefixes, and a REX that stands right before the opcode (an earlier one is ignored). */
static void take_legacy_prefixes(struct head *head)
{
    for (; head->at < head->limit; head->at++) {
        unsigned byte = head->bytes[head->at];

        if (head->mode == X86EMU_MODE_64 && (byte & 0xf0) == 0x40)
            head->rex = (byte & 0xf) | X86EMU_REX_PRESENT;
        else if (is_prefix(byte))
            take_legacy_prefix(head, byte);
        else
            break;
    }
    head->mandatory = head->prefixes & X86EMU_PREFIX_REP     ? 2
                      : head->prefixes & X86EMU_PREFIX_REPNE ? 3
                      : head->prefixes & X86EMU_PREFIX_66    ? 1
                                                             : 0;
}

static void take_escape(struct head *head, uint64_t bytes)
{
    unsigned second = bytes >> 8 & 0xff;

    head->at++;
    head->map = head->map_number = 1;
    if (second == 0x38 || second == 0x3a) {
        head->at++;
        head->map = second == 0x38 ? MAP_0F38 : MAP_0F3A;
        head->map_number = second == 0x38 ? 2 : 3;
    }
}

static void complete_state(struct head *head)
{
    unsigned p66 = (head->prefixes & X86EMU_PREFIX_66) != 0, w = (head->rex & X86EMU_REX_W) != 0;

    head->mode_state = &x86emu_decode_tables.modes[4 * mode_number(head->mode | head->options << 8) + 2 * p66 + w];
    head->address_size = address_size_index(head->mode, head->prefixes);
    head->state |=
        head->mode_state->state | (unsigned)STATE_PP0 << head->mandatory | (unsigned)STATE_VL0 << head->vector_length |
        bit_if(STATE_LOCK, head->prefixes & X86EMU_PREFIX_LOCK) | bit_if(STATE_REG_HIGH, head->rex & X86EMU_REX_R);
}

#ifdef X86EMU_NO_VECTOR_MAPS

static enum x86emu_decode_status decode_vector(struct x86emu_insn *insn, struct head *head, uint64_t bytes,
                                               unsigned encoding)
{
    (void)insn, (void)head, (void)bytes, (void)encoding;
    return X86EMU_DECODE_INVALID;
}

#else

/* VEX, XOP or EVEX at the opcode's place. */
static enum x86emu_decode_status decode_vector(struct x86emu_insn *insn, struct head *head, uint64_t bytes,
                                               unsigned encoding)
{
    unsigned payload = encoding == X86EMU_ENCODING_EVEX ? 3 : (bytes & 0xff) == 0xc5 ? 1 : 2;

    if (!vector_prefix_allowed(head))
        return X86EMU_DECODE_INVALID;
    if (head->at + payload + 1 >= head->limit)
        return truncated(insn, head->at + payload + 2);
    if (encoding == X86EMU_ENCODING_EVEX && head->at + payload + 2 >= head->limit)
        return truncated(insn, head->at + payload + 3); /* EVEX.b means different things by ModRM */
    if (!take_vector_prefix(head, bytes, encoding, payload))
        return X86EMU_DECODE_INVALID;
    complete_state(head);
    return decode_row(insn, head);
}
#endif

/* From the byte on that is no legacy prefix. */
static enum x86emu_decode_status decode_unprefixed(struct x86emu_insn *insn, struct head *head)
{
    uint64_t bytes = bytes_at(head, head->at);
    unsigned first = bytes & 0xff, encoding = vector_encoding(head->mode, first, bytes >> 8 & 0xff);

    if (head->at >= head->limit)
        return truncated(insn, head->at + 1);
    if (find_opcode(MAP_ONE_BYTE, first)->length & LENGTH_SPECIAL && head->at + 1 >= head->limit)
        return truncated(insn, head->at + 2);
    if (encoding != X86EMU_ENCODING_LEGACY)
        return decode_vector(insn, head, bytes, encoding);
    if (first == 0x0f)
        take_escape(head, bytes);
    if (head->at >= head->limit)
        return truncated(insn, head->at + 1);
    complete_state(head);
    return decode_row(insn, head);
}

COLD enum x86emu_decode_status x86emu_decode_carefully(struct x86emu_insn *insn, const uint8_t *bytes, size_t size,
                                                       unsigned mode)
{
    struct head head = {.bytes = bytes,
                        .readable = size < 16 ? (unsigned)size : 16,
                        .limit = size < X86EMU_MAX_INSN_LENGTH ? (unsigned)size : X86EMU_MAX_INSN_LENGTH,
                        .mode = mode & 0xff,
                        .options = mode >> 8,
                        .segment = X86EMU_NO_SEGMENT};
    uint8_t padded[WIDE];

    if (head.mode > X86EMU_MODE_64 || mode & ~(0xffu | KNOWN_OPTIONS))
        return X86EMU_DECODE_BAD_MODE;
    if (size < WIDE) {
        for (unsigned n = 0; n < WIDE; n++)
            padded[n] = n < head.limit ? bytes[n] : 0;
        head.bytes = padded;
        head.readable = WIDE;
    }
    take_legacy_prefixes(&head);
    return decode_unprefixed(insn, &head);
}
