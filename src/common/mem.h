/* SPDX-License-Identifier: BSD-2-Clause */
/* Byte-wise copying and clearing, and little-endian values in byte arrays, without a C library. */
#ifndef X86EMU_COMMON_MEM_H
#define X86EMU_COMMON_MEM_H

#include <stddef.h>
#include <stdint.h>

static inline void copy_bytes(void *to, const void *from, size_t size)
{
    __builtin_memcpy(to, from, size);
}

static inline void clear_bytes(void *to, size_t size)
{
    __builtin_memset(to, 0, size);
}

/* size: 1 to 8 bytes. */
static inline uint64_t load_le(const void *from, unsigned size)
{
    const uint8_t *bytes = (const uint8_t *)from;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static inline void store_le(void *to, uint64_t value, unsigned size)
{
    uint8_t *bytes = (uint8_t *)to;

    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

/* The same for a fixed size: one load or store. */
static inline uint64_t load_le64(const void *from)
{
    uint64_t value;

    __builtin_memcpy(&value, from, sizeof(value));
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap64(value);
}

static inline void store_le64(void *to, uint64_t value)
{
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        value = __builtin_bswap64(value);
    __builtin_memcpy(to, &value, sizeof(value));
}

static inline void store_le32(void *to, uint32_t value)
{
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        value = __builtin_bswap32(value);
    __builtin_memcpy(to, &value, sizeof(value));
}

#endif
