/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the guest's beginning in assembly, its jobs, and the program that it may run instead. */
#ifndef GUEST_PROGRAM_H
#define GUEST_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

/* Where ring 3 begins. */
struct guest_start {
    uint64_t rip, rsp;
};

/* The one that runs. The heap grows up, mappings down from below the stack. */
struct program {
    const uint8_t *file; /* the initrd */
    uint64_t size, headers, brk, lowest_brk, mapped;
};

extern struct program program;

void program_write_msr(uint32_t index, uint64_t value);
void program_put(uint8_t byte);
void program_copy(void *to, const void *from, uint64_t size);
void program_clear(void *to, uint64_t size);
/* Switches the machine off. */
void program_end(bool well);
void program_fail(const char *why);

/* In ring 0, from start.S: loads it. */
struct guest_start program_start(const uint8_t *zero_page, char *command_line);
/* A system call, from start.S: arguments in their order. */
uint64_t program_call(uint64_t number, const uint64_t *arguments);
/* start.S: where SYSCALL leads. */
void guest_syscall(void);

#endif
