#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""elf.py FILE HEX...: a kernel of the bytes given, loaded at 1 MiB and entered there in 64-bit mode."""
import struct
import sys

BASE = 0x100000
HEADERS = 64 + 56


def elf(code, paddr=BASE, memory=None, entry=BASE):
    size = len(code)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 7, HEADERS, paddr, paddr, size, memory or size, 4096)
    return header + segment + code


if __name__ == "__main__":
    with open(sys.argv[1], "wb") as file:
        file.write(elf(bytes.fromhex("".join(sys.argv[2:]))))
