/* SPDX-License-Identifier: BSD-2-Clause */
/* How instructions are written: mnemonics, registers, Intel syntax. */
#include "generated/names.h"
#include "rows.h"

#include <x86emu/format.h>

const char *x86emu_mnemonic_name(enum x86emu_mnemonic mnemonic)
{
    unsigned number = (unsigned)mnemonic < MNEMONIC_COUNT ? (unsigned)mnemonic : 0;

    return x86emu_mnemonic_pool + x86emu_mnemonic_offsets[number];
}

const char *x86emu_feature_name(enum x86emu_feature feature)
{
    unsigned number = (unsigned)feature < X86EMU_FEATURE_COUNT ? (unsigned)feature : 0;

    return x86emu_feature_pool + x86emu_feature_offsets[number];
}

/* --- text --------------------------------------------------------------------------------------------------------- */

struct text {
    char *bytes;
    size_t room;
    size_t length; /* of the whole text, also where it doesn't fit */
};

static void put_char(struct text *text, char letter)
{
    if (text->length + 1 < text->room)
        text->bytes[text->length] = letter;
    text->length++;
}

static void put(struct text *text, const char *string)
{
    for (; *string != 0; string++)
        put_char(text, *string);
}

static void put_decimal(struct text *text, unsigned value)
{
    if (value >= 10)
        put_char(text, (char)('0' + value / 10 % 10));
    put_char(text, (char)('0' + value % 10));
}

static void put_hex(struct text *text, uint64_t value)
{
    unsigned digits = 1;

    while (digits < 16 && value >> 4 * digits != 0)
        digits++;
    put(text, "0x");
    while (digits-- > 0)
        put_char(text, "0123456789abcdef"[value >> 4 * digits & 0xf]);
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static const char low_names[8][3] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};

static void put_gpr8(struct text *text, unsigned number)
{
    if (number < 8) {
        put_char(text, low_names[number][0]);
        put_char(text, number < 4 ? 'l' : low_names[number][1]);
        if (number >= 4)
            put_char(text, 'l');
        return;
    }
    put_char(text, 'r');
    put_decimal(text, number);
    put_char(text, 'b');
}

/* before, behind: what a width adds to the names of the first eight, and of the others. */
static void put_gpr(struct text *text, unsigned number, const char *before, const char *behind)
{
    if (number < 8) {
        put(text, before);
        put(text, low_names[number]);
        return;
    }
    put_char(text, 'r');
    put_decimal(text, number);
    put(text, behind);
}

static void put_numbered(struct text *text, const char *name, unsigned number)
{
    put(text, name);
    put_decimal(text, number);
}

static void put_system_register(struct text *text, unsigned number)
{
    static const char names[][11] = {"flags", "gdtr",  "idtr",  "ldtr", "tr",  "mxcsr", "pkru", "xcr0",
                                     "x87cw", "x87sw", "x87tw", "ssp",  "uif", "msr",   "tsc",  "tscaux"};

    put(text, number < sizeof(names) / sizeof(names[0]) ? names[number] : "?");
}

static void put_named_register(struct text *text, struct x86emu_reg reg)
{
    static const char segments[6][3] = {"es", "cs", "ss", "ds", "fs", "gs"};

    switch (reg.reg_class) {
    case X86EMU_REG_GPR8_HIGH:
        put_char(text, "acdb"[reg.number & 3]);
        put_char(text, 'h');
        break;
    case X86EMU_REG_SEGMENT:
        put(text, segments[reg.number % 6]);
        break;
    case X86EMU_REG_IP:
        put(text, "rip");
        break;
    case X86EMU_REG_SYSTEM:
        put_system_register(text, reg.number);
        break;
    default:
        put_char(text, '?');
        break;
    }
}

static void put_register(struct text *text, struct x86emu_reg reg)
{
    static const char prefixes[][4] = {
        [X86EMU_REG_CR] = "cr",   [X86EMU_REG_DR] = "dr",   [X86EMU_REG_ST] = "st",   [X86EMU_REG_MMX] = "mm",
        [X86EMU_REG_XMM] = "xmm", [X86EMU_REG_YMM] = "ymm", [X86EMU_REG_ZMM] = "zmm", [X86EMU_REG_MASK] = "k",
        [X86EMU_REG_BND] = "bnd", [X86EMU_REG_TMM] = "tmm",
    };

    if (reg.reg_class == X86EMU_REG_GPR8)
        put_gpr8(text, reg.number);
    else if (reg.reg_class == X86EMU_REG_GPR16)
        put_gpr(text, reg.number, "", "w");
    else if (reg.reg_class == X86EMU_REG_GPR32)
        put_gpr(text, reg.number, "e", "d");
    else if (reg.reg_class == X86EMU_REG_GPR64)
        put_gpr(text, reg.number, "r", "");
    else if (reg.reg_class < sizeof(prefixes) / sizeof(prefixes[0]) && prefixes[reg.reg_class][0] != 0)
        put_numbered(text, prefixes[reg.reg_class], reg.number);
    else
        put_named_register(text, reg);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static void put_size(struct text *text, unsigned size)
{
    static const struct {
        uint8_t size;
        char name[9];
    } names[] = {{1, "byte"},   {2, "word"},     {4, "dword"},    {6, "fword"},   {8, "qword"},
                 {10, "tbyte"}, {16, "xmmword"}, {32, "ymmword"}, {64, "zmmword"}};

    for (unsigned n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        if (names[n].size == size) {
            put(text, names[n].name);
            put(text, " ptr ");
        }
    }
}

/* The segment where nothing overrides it: SS with a base of rSP or rBP, else DS (SDM Vol. 2, tables 2-1 to 2-3). */
static unsigned implied_segment(const struct x86emu_reg *base)
{
    bool stack = base->reg_class >= X86EMU_REG_GPR16 && base->reg_class <= X86EMU_REG_GPR64 &&
                 (base->number == X86EMU_RSP || base->number == X86EMU_RBP);

    return stack ? X86EMU_SS : X86EMU_DS;
}

static void put_base(struct text *text, const struct x86emu_insn *insn, const struct x86emu_reg *base)
{
    if (base->reg_class == X86EMU_REG_IP && insn->address_size == 4)
        put(text, "eip");
    else if (base->reg_class != X86EMU_REG_NONE)
        put_register(text, *base);
}

/* A scale of 1 is written where it tells the index from a base. */
static void put_index(struct text *text, const struct x86emu_operand *op)
{
    bool alone = op->mem.base.reg_class == X86EMU_REG_NONE;

    if (op->mem.index.reg_class == X86EMU_REG_NONE)
        return;
    if (!alone)
        put_char(text, '+');
    put_register(text, op->mem.index);
    if (op->mem.scale > 1 || alone) {
        put_char(text, '*');
        put_decimal(text, op->mem.scale);
    }
}

static uint64_t address_mask(const struct x86emu_insn *insn)
{
    return ~UINT64_C(0) >> (64 - 8 * insn->address_size);
}

static void put_memory(struct text *text, const struct x86emu_insn *insn, const struct x86emu_operand *op)
{
    bool registers = op->mem.base.reg_class != X86EMU_REG_NONE || op->mem.index.reg_class != X86EMU_REG_NONE;
    int64_t disp = op->mem.disp;

    put_size(text, op->size);
    if (op->mem.segment != implied_segment(&op->mem.base) && x86emu_form_mnemonic(insn->form) != X86EMU_MN_LEA) {
        put_register(text, (struct x86emu_reg){X86EMU_REG_SEGMENT, op->mem.segment});
        put_char(text, ':');
    }
    put_char(text, '[');
    put_base(text, insn, &op->mem.base);
    put_index(text, op);
    if (!registers) {
        put_hex(text, (uint64_t)disp & address_mask(insn));
    } else if (disp != 0) {
        put_char(text, disp < 0 ? '-' : '+');
        put_hex(text, disp < 0 ? 0 - (uint64_t)disp : (uint64_t)disp);
    }
    put_char(text, ']');
    if (op->broadcast != 0) {
        put(text, " {1to");
        put_decimal(text, op->broadcast);
        put_char(text, '}');
    }
}

/* --- operands ----------------------------------------------------------------------------------------------------- */

static uint64_t target(const struct x86emu_insn *insn, uint64_t address, uint64_t displacement)
{
    uint64_t to = address + insn->length + displacement;

    if (insn->mode == X86EMU_MODE_64 || insn->operand_size == 8)
        return to;
    return insn->operand_size == 2 ? to & 0xffff : to & 0xffffffff;
}

static void put_immediate(struct text *text, const struct x86emu_insn *insn, const struct x86emu_operand *op)
{
    unsigned size = (int64_t)op->imm < 0 && insn->operand_size > op->size ? insn->operand_size : op->size;

    size = size != 0 && size < 8 ? size : 8;
    put_hex(text, op->imm & ~UINT64_C(0) >> (64 - 8 * size));
}

static void put_operand(struct text *text, const struct x86emu_insn *insn, const struct x86emu_operand *op,
                        uint64_t address)
{
    switch (op->kind) {
    case X86EMU_OPERAND_REG:
        put_register(text, op->reg);
        break;
    case X86EMU_OPERAND_MEM:
        put_memory(text, insn, op);
        break;
    case X86EMU_OPERAND_REL:
        put_hex(text, target(insn, address, op->imm));
        break;
    case X86EMU_OPERAND_FAR:
        put_hex(text, op->selector);
        put(text, ":");
        put_hex(text, op->imm);
        break;
    default:
        put_immediate(text, insn, op);
        break;
    }
}

/* {k1} {z}; no mask is written as none. */
static void put_mask(struct text *text, const struct x86emu_insn *insn)
{
    if ((insn->evex & 7) == 0)
        return;
    put_numbered(text, " {k", insn->evex & 7);
    put(text, insn->evex & 0x80 ? "} {z}" : "}");
}

/* Nothing is rounded from 32 bits to doubles: the bits are ignored (SDM Vol. 2, VCVTDQ2PD, VCVTSI2SD). */
static bool is_exact(const struct x86emu_insn *insn)
{
    bool wide = insn->mode == X86EMU_MODE_64 && insn->rex & X86EMU_REX_W;

    switch (x86emu_form_mnemonic(insn->form)) {
    case X86EMU_MN_VCVTDQ2PD:
    case X86EMU_MN_VCVTUDQ2PD:
        return true;
    case X86EMU_MN_VCVTSI2SD:
    case X86EMU_MN_VCVTUSI2SD:
        return !wide;
    default:
        return false;
    }
}

static void put_rounding(struct text *text, const struct x86emu_insn *insn, const struct form *row)
{
    static const char modes[4][3] = {"rn", "rd", "ru", "rz"};

    if (insn->encoding != X86EMU_ENCODING_EVEX || !(insn->evex & 0x10) || insn->modrm < 0xc0 || is_exact(insn))
        return;
    put(text, " {");
    if (x86emu_traits[row->traits].bits & TRAIT_ROUNDING) {
        put(text, modes[insn->evex >> 5 & 3]);
        put_char(text, '-');
    }
    put(text, "sae}");
}

static bool has_operand(const struct form *row, unsigned where)
{
    for (unsigned n = 0; n < operand_count(row); n++)
        if (find_template(row, n)->where == where)
            return true;
    return false;
}

static bool is_string(const struct form *row)
{
    return has_operand(row, WHERE_SOURCE) || has_operand(row, WHERE_DESTINATION);
}

/* Whether memory that a mnemonic implies is not where the mnemonic alone would have it. */
static bool is_elsewhere(const struct x86emu_insn *insn)
{
    static const uint8_t sizes[3] = {2, 4, 8};

    return insn->segment != X86EMU_NO_SEGMENT || insn->address_size != sizes[insn->mode];
}

/* Strings' operands are written where the mnemonic doesn't say it all; XLAT's and MASKMOV's only memory likewise. */
static bool is_written(const struct x86emu_insn *insn, const struct form *row, unsigned n,
                       const struct x86emu_operand *op)
{
    unsigned where = find_template(row, n)->where;

    if (is_string(row))
        return !op->implicit && is_elsewhere(insn);
    if (where == WHERE_XLAT || where == WHERE_MASKMOV)
        return is_elsewhere(insn);
    return !op->implicit;
}

static void put_operands(struct text *text, const struct x86emu_insn *insn, const struct form *row, uint64_t address)
{
    struct x86emu_operand op;
    bool rounded = false; /* written before the first immediate */
    bool first = true;

    for (unsigned n = 0; x86emu_insn_operand(insn, n, &op); n++) {
        if (!is_written(insn, row, n, &op))
            continue;
        if (find_template(row, n)->where == WHERE_MASK) {
            put_mask(text, insn);
            continue;
        }
        if (op.kind == X86EMU_OPERAND_IMM && !rounded) {
            put_rounding(text, insn, row);
            rounded = true;
        }
        put(text, first ? " " : ", ");
        put_operand(text, insn, &op, address);
        first = false;
    }
    if (!rounded)
        put_rounding(text, insn, row);
}

/* --- prefixes ----------------------------------------------------------------------------------------------------- */

static bool writes_cs(const struct form *row)
{
    for (unsigned n = 0; n < operand_count(row); n++) {
        const struct operand_template *from = find_template(row, n);

        if (from->where == WHERE_FIXED && from->reg_class == CLASS_SEGMENT && from->number == X86EMU_CS &&
            from->access & X86EMU_OPERAND_WRITTEN)
            return true;
    }
    return false;
}

/* Near branches but LOOP, JCXZ and the short JMP (SDM Vol. 1, appendix E.5). */
static bool takes_bnd(const struct x86emu_insn *insn)
{
    const struct decode_tables *tables = &x86emu_decode_tables;
    bool without = insn->map == 0 && ((insn->opcode & 0xfc) == 0xe0 || insn->opcode == 0xeb);

    return tables->shapes[find_row(insn->form)->shape].rule == RULE_NEAR && !without;
}

/* XACQUIRE, XRELEASE: with LOCK, with an exchange, which needs none, and to end with a plain store (SDM Vol. 1, 16.2). */
static void put_elision(struct text *text, const struct x86emu_insn *insn, unsigned repeat)
{
    enum x86emu_mnemonic mnemonic = x86emu_form_mnemonic(insn->form);
    bool store = mnemonic == X86EMU_MN_MOV && insn->map == 0 && insn->opcode < 0xc8 && repeat == X86EMU_PREFIX_REP;

    if (insn->modrm >= 0xc0 || mnemonic == X86EMU_MN_CMPXCHG16B) /* which is not in the list of 16.2.1 */
        return;
    if (insn->prefixes & X86EMU_PREFIX_LOCK || mnemonic == X86EMU_MN_XCHG ||
        (store && (insn->opcode >= 0xc6 || insn->opcode <= 0x89)))
        put(text, repeat == X86EMU_PREFIX_REP ? "xrelease " : "xacquire ");
}

static void put_repeat(struct text *text, const struct x86emu_insn *insn)
{
    bool compares = x86emu_form_flags(insn->form)->written & 1u << 6;

    if (insn->prefixes & X86EMU_PREFIX_REPNE)
        put(text, "repne ");
    else
        put(text, compares ? "repe " : "rep ");
}

static void put_prefixes(struct text *text, const struct x86emu_insn *insn, const struct form *row)
{
    unsigned repeat = insn->prefixes & (X86EMU_PREFIX_REP | X86EMU_PREFIX_REPNE);

    if (repeat != 0 && is_string(row))
        put_repeat(text, insn);
    else if (repeat == X86EMU_PREFIX_REPNE && takes_bnd(insn))
        put(text, "bnd ");
    else if (repeat != 0)
        put_elision(text, insn, repeat);
    if (insn->prefixes & X86EMU_PREFIX_LOCK)
        put(text, "lock ");
}

/* What a far branch is called. */
static bool is_far(const struct x86emu_insn *insn, const struct form *row)
{
    enum x86emu_mnemonic mnemonic = x86emu_form_mnemonic(insn->form);

    return (mnemonic == X86EMU_MN_CALL || mnemonic == X86EMU_MN_JMP || mnemonic == X86EMU_MN_RET) && writes_cs(row);
}

static size_t finish(struct text *text)
{
    if (text->room > 0)
        text->bytes[text->length < text->room ? text->length : text->room - 1] = 0;
    return text->length;
}

size_t x86emu_format(const struct x86emu_insn *insn, uint64_t address, char *bytes, size_t room)
{
    const struct form *row = find_row(insn->form);
    struct text text = {.bytes = bytes, .room = room};

    put_prefixes(&text, insn, row);
    put(&text, x86emu_mnemonic_name(x86emu_form_mnemonic(insn->form)));
    if (is_far(insn, row))
        put(&text, " far");
    put_operands(&text, insn, row, address);
    return finish(&text);
}

size_t x86emu_format_operand(const struct x86emu_insn *insn, const struct x86emu_operand *operand, uint64_t address,
                             char *bytes, size_t room)
{
    struct text text = {.bytes = bytes, .room = room};

    if (operand->kind != X86EMU_OPERAND_NONE)
        put_operand(&text, insn, operand, address);
    return finish(&text);
}

size_t x86emu_format_register(struct x86emu_reg reg, char *bytes, size_t room)
{
    struct text text = {.bytes = bytes, .room = room};

    if (reg.reg_class != X86EMU_REG_NONE)
        put_register(&text, reg);
    return finish(&text);
}
