/* SPDX-License-Identifier: BSD-2-Clause */
/* How guest RAM is touched while other processors may touch it: single accesses, compare-and-exchange. */
#include "ram.h"

#include "../common/mem.h"

void x86emu_ram_load(void *to, const uint8_t *ram, unsigned size)
{
    switch (size) {
    case 1:
        copy_bytes(to, ram, 1);
        break;
    case 2:
        copy_bytes(to, ram, 2);
        break;
    case 4:
        copy_bytes(to, ram, 4);
        break;
    case 8:
        copy_bytes(to, ram, 8);
        break;
    default:
        copy_bytes(to, ram, size);
        break;
    }
}

void x86emu_ram_store(uint8_t *ram, const void *from, unsigned size)
{
    x86emu_ram_load(ram, from, size);
}

static bool aligned(const uint8_t *ram, unsigned size)
{
    return ((uintptr_t)ram & (size - 1)) == 0;
}

static enum ram_exchange exchange_1(uint8_t *ram, uint8_t *old_value, uint8_t new_value)
{
    return __atomic_compare_exchange_n(ram, old_value, new_value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
               ? RAM_EXCHANGED
               : RAM_LOST;
}

static enum ram_exchange exchange_8(uint8_t *ram, uint64_t *old_value, uint64_t new_value)
{
    return __atomic_compare_exchange_n((uint64_t *)(void *)ram, old_value, new_value, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST)
               ? RAM_EXCHANGED
               : RAM_LOST;
}

/* Exchanges bytes inside the aligned 8 bytes that hold them all; the others keep what they are. */
static enum ram_exchange exchange_inside(uint8_t *ram, unsigned size, void *old_value, const void *new_value)
{
    unsigned offset = (unsigned)((uintptr_t)ram & 7);
    uint64_t old_word, new_word;
    enum ram_exchange outcome;

    old_word = __atomic_load_n((uint64_t *)(void *)(ram - offset), __ATOMIC_SEQ_CST);
    new_word = old_word;
    copy_bytes((uint8_t *)&old_word + offset, old_value, size);
    copy_bytes((uint8_t *)&new_word + offset, new_value, size);
    outcome = exchange_8(ram - offset, &old_word, new_word);
    if (outcome == RAM_LOST)
        copy_bytes(old_value, (uint8_t *)&old_word + offset, size);
    return outcome;
}

enum ram_exchange x86emu_ram_exchange(uint8_t *ram, unsigned size, void *old_value, const void *new_value)
{
    uint8_t byte;
    uint64_t word, old_word;
    enum ram_exchange outcome;

    if (size == 1) {
        copy_bytes(&byte, new_value, 1);
        return exchange_1(ram, old_value, byte);
    }
    if (size == 8 && aligned(ram, 8)) {
        copy_bytes(&word, new_value, 8);
        copy_bytes(&old_word, old_value, 8);
        outcome = exchange_8(ram, &old_word, word);
        copy_bytes(old_value, &old_word, 8);
        return outcome;
    }
    if (size < 8 && ((uintptr_t)ram & 7) + size <= 8)
        return exchange_inside(ram, size, old_value, new_value);
    return RAM_NOT_ATOMIC;
}

bool x86emu_ram_entry(struct x86emu_walk *walk, enum x86emu_walk_status status, uint8_t *ram)
{
    uint64_t value = 0;
    enum ram_exchange outcome;

    if (!aligned(ram, walk->entry_size))
        return false;
    if (status == X86EMU_WALK_READ) {
        x86emu_ram_load(&value, ram, walk->entry_size);
        x86emu_walk_entry(walk, value);
        return true;
    }
    value = walk->entry_old;
    outcome = x86emu_ram_exchange(ram, walk->entry_size, &value, &walk->entry_new);
    x86emu_walk_updated(walk, outcome == RAM_EXCHANGED);
    return true;
}
