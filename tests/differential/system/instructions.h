/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions under test, by family. */
#ifndef SYSTEM_INSTRUCTIONS_H
#define SYSTEM_INSTRUCTIONS_H

#include "world.h"

uint64_t random_flags(void);

void make_mov_sreg(struct maker *m);
void make_pop_sreg(struct maker *m);
void make_read_sreg(struct maker *m);
void make_far_load(struct maker *m);
void make_far_branch(struct maker *m);
void make_retf(struct maker *m);
void make_iret(struct maker *m);
void make_int(struct maker *m);
void make_bound(struct maker *m);
void make_syscall(struct maker *m);

void make_flags(struct maker *m);
void make_port(struct maker *m);
void make_query(struct maker *m);
void make_store_table(struct maker *m);
void make_load_table(struct maker *m);
void make_load_task(struct maker *m);
void make_status_word(struct maker *m);
void make_control(struct maker *m);
void make_debug(struct maker *m);
void make_msr(struct maker *m);
void make_base(struct maker *m);
void make_invlpg(struct maker *m);
void make_plain(struct maker *m);
void make_fault(struct maker *m);

#endif
