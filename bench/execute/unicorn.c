/* SPDX-License-Identifier: BSD-2-Clause */
/* libunicorn, a translator, for scale: the same code in the same memory. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <unicorn/unicorn.h>

static void check(uc_err error)
{
    if (error == UC_ERR_OK)
        return;
    fprintf(stderr, "libunicorn: %s\n", uc_strerror(error));
    exit(1);
}

/* Unicorn runs without page tables: the addresses are the same. */
uint64_t unicorn_run(uint8_t *memory, const struct workload *workload, uint64_t *result)
{
    uint64_t end = GUEST_TABLES - 16, rsp = GUEST_TOP_OF_STACK - 8, rdi = GUEST_DATA, rsi = workload->rounds;
    uc_engine *engine;

    guest_fill(memory);
    check(uc_open(UC_ARCH_X86, UC_MODE_64, &engine));
    check(uc_mem_map_ptr(engine, 0, GUEST_SIZE, UC_PROT_ALL, memory));
    check(uc_reg_write(engine, UC_X86_REG_RSP, &rsp));
    check(uc_reg_write(engine, UC_X86_REG_RDI, &rdi));
    check(uc_reg_write(engine, UC_X86_REG_RSI, &rsi));
    check(uc_mem_write(engine, rsp, &end, 8));
    check(uc_emu_start(engine, guest_entry(workload), end, 0, 0));
    check(uc_reg_read(engine, UC_X86_REG_RAX, result));
    check(uc_close(engine));
    return 0;
}
