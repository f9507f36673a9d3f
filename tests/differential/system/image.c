/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's disk: the guest program, the cases as patches of a template, and the results that the guest writes. */
#include "system.h"

/* Built from guest.S. */
__asm__(".pushsection .rodata\n"
        "guest_image:\n"
        ".incbin \"" GUEST_IMAGE "\"\n"
        ".popsection\n");
extern const uint8_t guest_image[GUEST_SECTORS * SECTOR];

static void put_case(uint8_t *at, const struct test_case *c, const uint8_t template[WORLD_SIZE])
{
    unsigned patches = 0;

    for (unsigned offset = 0; offset < WORLD_SIZE; offset += 4) {
        uint32_t value = get32(c->world, offset);

        if (value == get32(template, offset))
            continue;
        put(at, CASE_HEAD + 8 * patches, offset, 4);
        put(at, CASE_HEAD + 8 * patches + 4, value, 4);
        patches++;
    }
    put(at, CASE_SIZE, CASE_HEAD + 8 * patches, 4);
    put(at, CASE_NUMBER, c->number + 1, 4);
    put(at, CASE_ENVIRONMENT, c->environment, 4);
    put(at, CASE_PATCHES, patches, 4);
}

bool model_runs(enum model model, const struct test_case *c)
{
    return model != MODEL_QEMU || !c->not_for_qemu;
}

bool image_make(uint8_t *disk, size_t room, enum model model, const struct test_case *cases, unsigned count,
                uint8_t templates[3][WORLD_SIZE])
{
    uint8_t *job = disk + JOB_SECTOR * SECTOR;
    uint8_t *at = job + (CASES - JOB);
    unsigned given = 0;

    memset(disk, 0, room);
    memcpy(disk, guest_image, GUEST_SECTORS * SECTOR);
    memcpy(job + (TEMPLATES - JOB), templates, (size_t)3 * WORLD_SIZE);
    for (unsigned i = 0; i < count; i++) {
        if (!model_runs(model, &cases[i]))
            continue;
        if (at + CASE_HEAD + 2 * WORLD_SIZE > disk + RESULT_SECTOR * SECTOR)
            return false;
        put_case(at, &cases[i], templates[cases[i].environment]);
        at += get32(at, CASE_SIZE);
        given++;
    }
    put(job, JOB_MAGIC, cases[0].number + UINT64_C(0x58450000), 4);
    put(job, JOB_COUNT, given, 4);
    put(job, JOB_SECTORS, (uint64_t)(at - job + SECTOR - 1) / SECTOR, 4);
    return true;
}

unsigned image_results(const uint8_t *disk, size_t size, enum model model, const struct test_case *cases,
                       unsigned count, struct outcome *outcomes)
{
    const uint8_t *at = disk + RESULT_SECTOR * SECTOR, *end = disk + size;
    unsigned found = 0;

    for (unsigned i = 0; i < count && end - at >= 8; i++) {
        struct outcome *o = &outcomes[i];
        uint32_t changes = get32(at, 4);

        if (!model_runs(model, &cases[i]))
            continue;
        if (get32(at, 0) != cases[i].number + 1)
            break;
        found++;
        at += 8;
        *o = (struct outcome){.present = true, .shutdown = changes == RESULT_SHUTDOWN};
        memcpy(o->world, cases[i].world, WORLD_SIZE);
        for (; !o->shutdown && changes > 0 && end - at >= 8; changes--, at += 8)
            if (get32(at, 0) <= WORLD_SIZE - 4)
                put(o->world, get32(at, 0), get32(at, 4), 4);
    }
    return found;
}
