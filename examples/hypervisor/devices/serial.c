/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550A serial port (National Semiconductor PC16550D data sheet), infinitely fast, on IRQ 4. */
#include "machine.h"

enum {
    IRQ = 4,
    DATA = 0,
    ENABLE = 1,
    IDENTIFY = 2, /* read: interrupt identification; write: FIFO control */
    LINE_CONTROL = 3,
    MODEM_CONTROL = 4,
    LINE_STATUS = 5,
    MODEM_STATUS = 6,
    SCRATCH = 7,

    ENABLE_RECEIVE = 1,
    ENABLE_TRANSMIT = 2,
    DLAB = 0x80,
    LOOPBACK = 0x10,
    STATUS_DATA = 1,
    STATUS_EMPTY = 0x60,
    FIFO_ENABLED = 0xc0,
    NONE = 1,
    TRANSMIT = 2,
    RECEIVE = 4,
};

void serial_reset(struct serial *serial)
{
    *serial = (struct serial){.divisor = {1, 0}};
}

static bool has_input(const struct serial *serial)
{
    return serial->head != serial->tail;
}

static uint8_t cause(const struct serial *serial)
{
    if (serial->enable & ENABLE_RECEIVE && has_input(serial))
        return RECEIVE;
    if (serial->enable & ENABLE_TRANSMIT && serial->transmitter_empty_pending)
        return TRANSMIT;
    return NONE;
}

static void update_line(struct machine *machine)
{
    machine_set_irq(machine, IRQ, cause(&machine->serial) != NONE);
}

static uint8_t read_data(struct serial *serial)
{
    return has_input(serial) ? serial->input[serial->head++] : 0;
}

static uint8_t read_identify(struct serial *serial)
{
    uint8_t value = cause(serial);

    if (value == TRANSMIT)
        serial->transmitter_empty_pending = false;
    return value | (serial->fifo_control & 1 ? FIFO_ENABLED : 0);
}

/* In loopback the modem's outputs are its inputs; else the other side is there and ready. */
static uint8_t modem_status(const struct serial *serial)
{
    uint8_t m = serial->modem_control;

    if (m & LOOPBACK)
        return (uint8_t)((m & 2) << 3 | (m & 1) << 5 | (m & 4) << 4 | (m & 8) << 4);
    return 0xb0;
}

uint8_t serial_read(struct machine *machine, unsigned reg)
{
    struct serial *serial = &machine->serial;
    bool divisor = serial->line_control & DLAB && reg <= ENABLE;
    uint8_t value = 0;

    switch (divisor ? 8 : reg) {
    case 8:
        return serial->divisor[reg];
    case DATA:
        value = read_data(serial);
        break;
    case ENABLE:
        return serial->enable;
    case IDENTIFY:
        value = read_identify(serial);
        break;
    case LINE_CONTROL:
        return serial->line_control;
    case MODEM_CONTROL:
        return serial->modem_control;
    case LINE_STATUS:
        return (uint8_t)(STATUS_EMPTY | (has_input(serial) ? STATUS_DATA : 0));
    case MODEM_STATUS:
        return modem_status(serial);
    default:
        return serial->scratch;
    }
    update_line(machine);
    return value;
}

static void transmit(struct machine *machine, uint8_t value)
{
    if (machine->serial.modem_control & LOOPBACK)
        serial_input(machine, value);
    else if (machine->output != NULL)
        machine->output(machine, value);
    machine->serial.transmitter_empty_pending = true;
}

void serial_write(struct machine *machine, unsigned reg, uint8_t value)
{
    struct serial *serial = &machine->serial;
    bool divisor = serial->line_control & DLAB && reg <= ENABLE;

    switch (divisor ? 8 : reg) {
    case 8:
        serial->divisor[reg] = value;
        break;
    case DATA:
        transmit(machine, value);
        break;
    case ENABLE:
        if (value & ENABLE_TRANSMIT && !(serial->enable & ENABLE_TRANSMIT))
            serial->transmitter_empty_pending = true;
        serial->enable = value & 0xf;
        break;
    case IDENTIFY:
        serial->fifo_control = value;
        if (value & 2)
            serial->head = serial->tail;
        break;
    case LINE_CONTROL:
        serial->line_control = value;
        break;
    case MODEM_CONTROL:
        serial->modem_control = value & 0x1f;
        break;
    case SCRATCH:
        serial->scratch = value;
        break;
    default: /* status registers are read-only */
        break;
    }
    update_line(machine);
}

bool serial_wants_input(const struct machine *machine)
{
    return machine->serial.enable & ENABLE_RECEIVE && !has_input(&machine->serial);
}

bool serial_input(struct machine *machine, uint8_t byte)
{
    struct serial *serial = &machine->serial;

    if ((uint8_t)(serial->tail + 1) == serial->head)
        return false;
    serial->input[serial->tail++] = byte;
    update_line(machine);
    return true;
}
