/* SPDX-License-Identifier: BSD-2-Clause */
/* The demo's devices: a UART, two ledgers that notice every access, a register that ends the guest. */
#ifndef DEMO_DEVICE_H
#define DEMO_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct devices {
    uint8_t store[2][0x800];
    uint32_t ticket[2], sum[2];
    bool exited;
    uint32_t exit_code; /* what the guest wrote */
    char line[200];     /* UART output so far */
    unsigned line_length;
    bool quiet;
};

/* One access of size bytes (1 to 8) inside the device pages. Reads of nothing give ones, such writes are dropped. */
uint64_t device_read(struct devices *devices, uint64_t gpa, unsigned size);
void device_write(struct devices *devices, uint64_t gpa, unsigned size, uint64_t value);

#endif
