/* SPDX-License-Identifier: BSD-2-Clause */
/* Where Debian's Zydis 4.0.0 and this decoder differ on purpose. */
#ifndef TESTS_DIFFERENTIAL_EXCEPTIONS_H
#define TESTS_DIFFERENTIAL_EXCEPTIONS_H

#include "compare.h"

/* Whether a difference of this kind is expected for an instruction with these names ("invalid" for none). */
int is_exception(enum difference difference, const char *our_name, const char *their_name);

#endif
