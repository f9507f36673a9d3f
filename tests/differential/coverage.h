/* SPDX-License-Identifier: BSD-2-Clause */
/* How often each row ran, as tools/coverage.py reads it. */
#ifndef DIFFERENTIAL_COVERAGE_H
#define DIFFERENTIAL_COVERAGE_H

#include <x86emu/format.h>
#include <x86emu/forms.h>

#include <stdio.h>
#include <stdlib.h>

/* By enum x86emu_mode; retired: natively or by the models, without an exception; invalid: #UD there, not here. */
struct coverage {
    unsigned long executed[3], retired, invalid, unexplained;
};

typedef struct coverage coverage_of_form(unsigned form);

static inline void write_coverage(const char *path, coverage_of_form *of)
{
    FILE *file = fopen(path, "w");

    if (file == NULL) {
        perror(path);
        exit(2);
    }
    fprintf(file, "row,mnemonic,executed_16,executed_32,executed_64,retired,invalid,unexplained\n");
    for (unsigned form = 1; form < X86EMU_FORM_COUNT; form++) {
        const struct coverage c = of(form);

        fprintf(file, "%u,%s,%lu,%lu,%lu,%lu,%lu,%lu\n", form, x86emu_mnemonic_name(x86emu_form_mnemonic(form)),
                c.executed[0], c.executed[1], c.executed[2], c.retired, c.invalid, c.unexplained);
    }
    fclose(file);
}

#endif
