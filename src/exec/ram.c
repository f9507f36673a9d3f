/* SPDX-License-Identifier: BSD-2-Clause */
/* How guest RAM is touched while other processors may touch it: single accesses, compare-and-exchange. */
#include "ram.h"

#include "../common/mem.h"

static bool aligned(const uint8_t *ram, unsigned size)
{
    return ((uintptr_t)ram & (size - 1)) == 0;
}

/* Other processors may access the same RAM at any time: each access here is atomic, without order among them. */

static void load_bytes(uint8_t *to, const uint8_t *ram, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = __atomic_load_n(ram + i, __ATOMIC_RELAXED);
}

static void store_bytes(uint8_t *ram, const uint8_t *from, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        __atomic_store_n(ram + i, from[i], __ATOMIC_RELAXED);
}

void x86emu_ram_load(void *to, const uint8_t *ram, unsigned size)
{
    if (size == 2 && aligned(ram, 2)) {
        uint16_t value = __atomic_load_n((const uint16_t *)(const void *)ram, __ATOMIC_RELAXED);
        copy_bytes(to, &value, 2);
    } else if (size == 4 && aligned(ram, 4)) {
        uint32_t value = __atomic_load_n((const uint32_t *)(const void *)ram, __ATOMIC_RELAXED);
        copy_bytes(to, &value, 4);
    } else if (size == sizeof(uintptr_t) && aligned(ram, size)) {
        uintptr_t value = __atomic_load_n((const uintptr_t *)(const void *)ram, __ATOMIC_RELAXED);
        copy_bytes(to, &value, sizeof(value));
    } else {
        load_bytes(to, ram, size);
    }
}

void x86emu_ram_store(uint8_t *ram, const void *from, unsigned size)
{
    if (size == 2 && aligned(ram, 2)) {
        uint16_t value;
        copy_bytes(&value, from, 2);
        __atomic_store_n((uint16_t *)(void *)ram, value, __ATOMIC_RELAXED);
    } else if (size == 4 && aligned(ram, 4)) {
        uint32_t value;
        copy_bytes(&value, from, 4);
        __atomic_store_n((uint32_t *)(void *)ram, value, __ATOMIC_RELAXED);
    } else if (size == sizeof(uintptr_t) && aligned(ram, size)) {
        uintptr_t value;
        copy_bytes(&value, from, sizeof(value));
        __atomic_store_n((uintptr_t *)(void *)ram, value, __ATOMIC_RELAXED);
    } else {
        store_bytes(ram, from, size);
    }
}

/* The host's own word: the widest exchange that needs no library on any host. */
static bool exchange_word(uintptr_t *ram, uintptr_t *old_value, uintptr_t new_value)
{
    return __atomic_compare_exchange_n(ram, old_value, new_value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#ifdef __x86_64__
/* x86 exchanges 2, 4 and 8 bytes wherever they lie, and 16 at a multiple of 16. Callers keep off the ends of lines. */
static bool exchange_pair(uint8_t *ram, uint64_t old_value[2], const uint64_t new_value[2])
{
    bool exchanged;

    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(exchanged), "+m"(*(uint8_t(*)[16])ram), "+a"(old_value[0]), "+d"(old_value[1])
                     : "b"(new_value[0]), "c"(new_value[1]));
    return exchanged;
}

#define EXCHANGE(operand, type)                                                                    \
    __asm__ volatile("lock cmpxchg %" operand "3, %1"                                              \
                     : "=@ccz"(exchanged), "+m"(*(uint8_t(*)[sizeof(type)])ram), "+a"(old_word[0]) \
                     : "r"((type)new_word[0]))

static enum ram_exchange exchange_anywhere(uint8_t *ram, unsigned size, void *old_value, const void *new_value)
{
    uint64_t old_word[2] = {0}, new_word[2] = {0};
    bool exchanged = false;

    copy_bytes(old_word, old_value, size);
    copy_bytes(new_word, new_value, size);
    if (size == 16 && aligned(ram, 16))
        exchanged = exchange_pair(ram, old_word, new_word);
    else if (size == 8)
        EXCHANGE("q", uint64_t);
    else if (size == 4)
        EXCHANGE("k", uint32_t);
    else if (size == 2)
        EXCHANGE("w", uint16_t);
    else
        return RAM_NOT_ATOMIC;
    copy_bytes(old_value, old_word, size);
    return exchanged ? RAM_EXCHANGED : RAM_LOST;
}
#else
static enum ram_exchange exchange_anywhere(uint8_t *ram, unsigned size, void *old_value, const void *new_value)
{
    (void)ram, (void)size, (void)old_value, (void)new_value;
    return RAM_NOT_ATOMIC;
}
#endif

/* Exchanges bytes inside the aligned word that holds them all; the others keep what they are. */
enum ram_exchange x86emu_ram_exchange(uint8_t *ram, unsigned size, void *old_value, const void *new_value)
{
    unsigned offset = (unsigned)((uintptr_t)ram & (sizeof(uintptr_t) - 1));
    uintptr_t *word = (uintptr_t *)(void *)(ram - offset);
    uintptr_t old_word, new_word;

    if (offset + size > sizeof(uintptr_t))
        return exchange_anywhere(ram, size, old_value, new_value);
    old_word = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    new_word = old_word;
    copy_bytes((uint8_t *)&old_word + offset, old_value, size);
    copy_bytes((uint8_t *)&new_word + offset, new_value, size);
    if (exchange_word(word, &old_word, new_word))
        return RAM_EXCHANGED;
    copy_bytes(old_value, (uint8_t *)&old_word + offset, size);
    return RAM_LOST;
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
    if (outcome == RAM_NOT_ATOMIC)
        return false;
    x86emu_walk_updated(walk, outcome == RAM_EXCHANGED);
    return true;
}
