#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes docs/coverage.md from what x86emu-differential-hardware --coverage and, if given, -system --coverage wrote.

usage: coverage.py HARDWARE-FILE [SYSTEM-FILE]
"""
import csv
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import generate  # noqa: E402

ROOT = generate.ROOT

HEAD = """# Coverage of the emulated rows

Each row of the instruction table that names a function (`exec=`), by mnemonic: how many rows there are, how often they ran
on a processor and on the emulator with the same outcome, in 16-bit, 32-bit and 64-bit mode, and what they are held against.

Made by `x86emu-differential-hardware --count 1000000000 --seed 2027 --coverage FILE` (about an hour) and `tools/coverage.py FILE`: {total:,} executions. A second
FILE of `x86emu-differential-system` adds {system:,} cases that QEMU, Bochs and the emulator ran; they are not in the columns.

| oracle | meaning |
| --- | --- |
| processor | executed natively in user mode, compared bit for bit |
| QEMU, Bochs | user mode can't run it; held against these models at all privilege levels, and the manual where they differ |
| fault | natively only refused in user mode (#GP or #UD), which the emulator does too; what it does at ring 0 is tested by hand, or not |
| tests | the processor doesn't have it, or user mode can't run it: unit tests from the manual where there are any (`tests/exec/`) |

| mnemonic | rows | 16-bit | 32-bit | 64-bit | oracle |
| --- | --- | --- | --- | --- | --- |
"""


def oracle(group):
    if group["retired"] > 0:
        return "processor"
    if group["system"] > 0:
        return "QEMU, Bochs"
    return "fault" if sum(group["modes"]) > group["invalid"] else "tests"


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    counts = {int(row["row"]): row for row in csv.DictReader(open(sys.argv[1], encoding="ascii"))}
    models = {}
    if len(sys.argv) == 3:
        models = {int(row["row"]): row for row in csv.DictReader(open(sys.argv[2], encoding="ascii"))}
    groups, system = {}, 0
    for row in generate.read_rows():
        if not row.function:
            continue
        group = groups.setdefault(row.mnemonic, {"rows": 0, "modes": [0, 0, 0], "retired": 0, "invalid": 0, "system": 0})
        found = counts.get(row.number)
        model = models.get(row.number)
        if model:
            group["system"] += int(model["retired"])
            system += sum(int(model["executed_" + bits]) for bits in ("16", "32", "64"))
        group["rows"] += 1
        if found:
            for mode, bits in enumerate(("16", "32", "64")):
                group["modes"][mode] += int(found["executed_" + bits])
            group["retired"] += int(found["retired"])
            group["invalid"] += int(found["invalid"])
    total = sum(sum(group["modes"]) for group in groups.values())
    text = HEAD.format(total=total, system=system)
    for name in sorted(groups):
        group = groups[name]
        cells = " | ".join(f"{count:,}" for count in group["modes"])
        text += f"| {name} | {group['rows']} | {cells} | {oracle(group)} |\n"
    (ROOT / "docs" / "coverage.md").write_text(text)


if __name__ == "__main__":
    main()
