/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes of instructions, and memory that they use. */
#include "emit.h"

void emit(struct maker *m, unsigned count, const uint8_t *bytes)
{
    for (unsigned i = 0; i < count && m->size < MAX_CODE; i++)
        m->c->world[m->c->code + m->size++] = bytes[i];
}

void emit_value(struct maker *m, uint64_t value, unsigned size)
{
    uint8_t bytes[8];

    memcpy(bytes, &value, sizeof(bytes));
    emit(m, size, bytes);
}

unsigned emit_size(struct maker *m, bool wide)
{
    unsigned size = m->mode == X86EMU_MODE_16 ? 2 : 4;

    if (wide && m->mode == X86EMU_MODE_64 && one_in(2)) {
        EMIT(m, 0x48);
        return 8;
    }
    if (!one_in(3))
        return size;
    EMIT(m, 0x66);
    return 6 - size;
}

/* What the data segments reach: the world, or what shows it through the case's page-table entries. */
static uint32_t alias(const struct maker *m)
{
    if (m->data_base != 0)
        return 0;
    return m->paging && one_in(2) ? WINDOW + random_below(4) * 2 * 0x1000 : WORLD;
}

unsigned emit_memory(struct maker *m, unsigned reg)
{
    unsigned offset = W_DATA + random_below(0x2c0);
    uint32_t address = offset + alias(m);

    if (m->paging && one_in(16)) /* at the end of a page */
        address += 0x1000 - (offset & 0xfff) - random_below(6);
    if (m->mode == X86EMU_MODE_16) {
        EMIT(m, (uint8_t)(6 | reg << 3));
        emit_value(m, one_in(16) ? 0xffff : address, 2);
    } else {
        if (m->mode == X86EMU_MODE_64)
            EMIT(m, (uint8_t)(4 | reg << 3), 0x25);
        else
            EMIT(m, (uint8_t)(5 | reg << 3));
        emit_value(m, address, 4);
    }
    return offset;
}

void emit_register(struct maker *m, unsigned reg, unsigned rm)
{
    EMIT(m, (uint8_t)(0xc0 | reg << 3 | rm));
}

void emit_operand(struct maker *m, unsigned reg, uint64_t value)
{
    if (one_in(2)) {
        put(m->c->world, emit_memory(m, reg), value, 8);
        return;
    }
    m->gpr[X86EMU_RBX] = value;
    emit_register(m, reg, X86EMU_RBX);
}

void stack_put(struct maker *m, unsigned index, unsigned size, uint64_t value)
{
    put(m->c->world, m->sp + index * size, value, size);
}

uint32_t code_target(struct maker *m)
{
    uint32_t offset = W_TARGETS + random_below(0x80);

    if (one_in(32))
        return WORLD_SIZE + random_below(16); /* beyond the limit of some */
    return m->data_base == 0 && !m->vm86 && !one_in(4) ? offset + WORLD : offset;
}
