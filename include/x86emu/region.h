/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest-physical memory regions: RAM backed by host memory, and device regions. Usable without the emulator. */
#ifndef X86EMU_REGION_H
#define X86EMU_REGION_H

#include <x86emu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Host memory, registered once; several regions may show it (or parts of it) to the guest. Owned by the caller. */
struct x86emu_host_range {
    uint8_t *base;  /* host address of the first byte */
    uint64_t size;  /* bytes */
    uint32_t users; /* regions that show it; maintained by x86emu_region_insert() and x86emu_region_remove() */
};

enum x86emu_region_kind {
    X86EMU_REGION_RAM = 0,
    X86EMU_REGION_MMIO = 1,
};

/*
 * A device's answer to an access to its region. offset: from the region's start; size: bytes of one element, at most
 * the region's max_width; count: elements, one after the other in data; stride: bytes from one element's address to
 * the next (0, size or -size). Answers false when the device refuses (the emulator then reports an unmapped access).
 */
typedef bool x86emu_region_read(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride, void *data);
typedef bool x86emu_region_write(void *opaque, uint64_t offset, unsigned size, unsigned count, int stride,
                                 const void *data);

/* A region's place in one of the map's two trees. */
struct x86emu_region_links {
    struct x86emu_region *left, *right, *parent;
    bool red;
};

/* One region. Owned by the caller, neither moved nor changed while inserted; the first block is the caller's to fill. */
struct x86emu_region {
    uint64_t gpa;
    uint64_t size;      /* bytes, not 0; gpa + size does not wrap */
    uint8_t kind;       /* enum x86emu_region_kind */
    uint8_t protection; /* enum x86emu_access bits that the guest may do; the others are "no such region" */
    uint8_t max_width;  /* MMIO: widest single access, a power of two, 1 to 64 bytes; wider ones are split */
    struct x86emu_host_range *host; /* RAM */
    uint64_t host_offset;           /* RAM: bytes into host where gpa begins */
    x86emu_region_read *read;       /* MMIO: handles reads here; NULL hands them on to the caller as requests */
    x86emu_region_write *write;     /* MMIO: the same for writes */
    void *opaque;                   /* given to read and write */

    /* Maintained by the map. */
    struct x86emu_region_links links[2];
};

/*
 * The regions of one guest, in a red-black tree ordered by guest-physical address. Zero-initialise.
 *
 * Any number of threads may look regions up while one thread inserts or removes; lookups never wait. The tree exists
 * twice: while one copy changes, lookups use the other. Two changes at once are the caller's to prevent. No lookup that
 * begins after x86emu_region_remove() has returned finds the region, but one that began before it may still hold it: its
 * fields, its host memory and its device may change or go when each vCPU has been between two instructions since.
 */
struct x86emu_region_map {
    struct x86emu_region *root[2];
    uint32_t generation; /* changes with every insert and remove; odd while the first copy changes */
};

/* Last region found, one for each vCPU. Zero-initialise. */
struct x86emu_region_cache {
    struct x86emu_region *region;
    uint32_t generation;
};

enum x86emu_region_status {
    X86EMU_REGION_OK = 0,
    X86EMU_REGION_OVERLAP = 1, /* another region holds part of the range */
    X86EMU_REGION_INVALID = 2, /* empty, wrapping, host range too small, width not a power of two */
    X86EMU_REGION_ABSENT = 3,  /* not in this map */
};

enum x86emu_region_status x86emu_region_insert(struct x86emu_region_map *map, struct x86emu_region *region);
enum x86emu_region_status x86emu_region_remove(struct x86emu_region_map *map, struct x86emu_region *region);

/* The region that holds gpa, or NULL. cache may be NULL. O(1) when it is the region found last, else O(log n). */
struct x86emu_region *x86emu_region_find(const struct x86emu_region_map *map, struct x86emu_region_cache *cache,
                                         uint64_t gpa);

/* The first region that begins at or after gpa, or NULL: to see how far a hole reaches. */
struct x86emu_region *x86emu_region_next(const struct x86emu_region_map *map, uint64_t gpa);

#ifdef __cplusplus
}
#endif

#endif
