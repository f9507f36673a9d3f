/* SPDX-License-Identifier: BSD-2-Clause */
/* When a run of pages is told to the caller. */
#include "report.h"

void x86emu_report_end(struct report *report)
{
    if (report->size != 0 && report->report != NULL)
        report->report(report->opaque, report->gpa, report->size, report->bits);
    report->size = 0;
}

void x86emu_report_page(struct report *report, uint64_t gpa, uint64_t size, unsigned bits)
{
    if (bits == 0)
        return;
    if (bits != report->bits || gpa != report->gpa + report->size)
        x86emu_report_end(report);
    if (report->size == 0)
        report->gpa = gpa;
    report->size += size;
    report->bits = bits;
}
