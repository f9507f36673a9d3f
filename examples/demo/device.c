/* SPDX-License-Identifier: BSD-2-Clause */
/* What the demo's devices do when they are read and written. */
#include "device.h"

#include "layout.h"

#include <stdio.h>
#include <string.h>

static uint64_t ledger_read(struct devices *devices, unsigned which, unsigned offset, unsigned size)
{
    uint64_t value = 0;

    if (offset == LEDGER_TICKET)
        return devices->ticket[which]++;
    if (offset == LEDGER_SUM)
        return devices->sum[which];
    if (offset + size > sizeof(devices->store[which]))
        return ~UINT64_C(0);
    memcpy(&value, &devices->store[which][offset], size);
    return value;
}

static void ledger_write(struct devices *devices, unsigned which, unsigned offset, unsigned size, uint64_t value)
{
    if (offset == LEDGER_SUM)
        devices->sum[which] += (uint32_t)value;
    else if (offset + size <= sizeof(devices->store[which]))
        memcpy(&devices->store[which][offset], &value, size);
}

/* The transmitter is always ready: what is written shows at the end of the line. */
static void uart_put(struct devices *devices, char c)
{
    if (c != '\n' && devices->line_length < sizeof(devices->line) - 1) {
        devices->line[devices->line_length++] = c;
        return;
    }
    devices->line[devices->line_length] = 0;
    devices->line_length = 0;
    if (!devices->quiet)
        printf("%s\n", devices->line);
}

uint64_t device_read(struct devices *devices, uint64_t gpa, unsigned size)
{
    unsigned offset = gpa & 0xfff;

    switch (gpa & ~UINT64_C(0xfff)) {
    case UART_GPA:
        return offset == UART_LSR ? UART_LSR_EMPTY : 0;
    case LEDGER_GPA:
        return ledger_read(devices, 0, offset, size);
    case LEDGER2_GPA:
        return ledger_read(devices, 1, offset, size);
    default:
        return ~UINT64_C(0);
    }
}

void device_write(struct devices *devices, uint64_t gpa, unsigned size, uint64_t value)
{
    unsigned offset = gpa & 0xfff;

    switch (gpa & ~UINT64_C(0xfff)) {
    case UART_GPA:
        if (offset == UART_THR)
            uart_put(devices, (char)value);
        break;
    case LEDGER_GPA:
        ledger_write(devices, 0, offset, size, value);
        break;
    case LEDGER2_GPA:
        ledger_write(devices, 1, offset, size, value);
        break;
    default:
        devices->exited = true;
        devices->exit_code = (uint32_t)value;
        break;
    }
}
