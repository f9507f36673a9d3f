#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# What the small guest's jobs must print, worked out from what they are to do, not from how the guest does it.
import sys
import zlib

MASK32 = (1 << 32) - 1
MASK64 = (1 << 64) - 1


class Random:
    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 1664525 + 1013904223) & MASK32
        return self.state


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def arithmetic(random):
    total = 0
    for _ in range(4000):
        a = random.next()
        b = random.next() | 1
        product = ((a << 29) ^ b) * ((b << 31) | a)
        total = (total + ((product >> 64) ^ (product & MASK64))) & MASK64
        count = a & 31
        total = ((total << count) | (total >> (63 - count))) & MASK64
        remainder = abs(signed(total)) % b * (-1 if total >> 63 else 1)
        total ^= (((a << 32) | b) // b + remainder) & MASK64
    return total


def compute():
    random = Random(1)
    values = sorted(random.next() for _ in range(4096))
    written = "".join((f"{v} " if i & 1 else f"{v:x} ") for i, v in enumerate(values)).encode()
    yield f"compute: text {zlib.crc32(written):x}"
    text = bytearray(written.ljust(65536, b"\0"))
    text[30000:50000] = text[0:20000]
    text[10000:15000] = b"\xa5" * 5000
    yield f"compute: memory {zlib.crc32(text):x}"
    yield f"compute: arithmetic {arithmetic(random):x}"


def dirty(rounds):
    size = 0x40000
    random = Random(7)
    field = [0] * (size // 8)
    for i in range(rounds):
        field[(random.next() >> 8) % size // 8] += i
    total = 0
    for value in field:
        total = (total * 31 + value) & MASK64
    yield f"dirty: field {total:x}"


# An I/O APIC keeps bits 63:56 of a redirection entry, the destination; the other bits of its upper half are reserved and
# read as zero. The index register keeps 8 bits.
def mmio():
    total = 0
    pins = [0] * 24
    for turn in range(20):
        for pin in range(24):
            index = 0x11 + 2 * pin
            before = pins[pin]
            pins[pin] = (((turn * 24 + pin) + 1) & 0xFF) ^ 0x5A
            total = (total * 31 + (pins[pin] << 24) + index + (before >> 7)) & MASK32
    yield f"mmio: sum {total:x}"


# The handler sends a second NMI, which waits until the first has returned.
def nmi():
    yield "nmi: seen 2"
    yield "nmi: nested 0"


def apic(rounds):
    total = 0
    for i in range(1, rounds + 1):
        total = (total * 31 + (i & 0xFF)) & MASK32
    yield f"apic: sum {total:x}"


# The local APIC keeps bits 31:24 of the interrupt command's upper half, the destination.
def smp_mmio():
    total = 0
    for turn in range(200):
        before = (turn + 1 & 0xFF) << 24
        total = (total * 31 + before) & MASK32
        total = (total + (0x5A000000 ^ before)) & MASK32
        total ^= total & 0xFF000000
    yield f"{total:08x}"


# JOB [ROUNDS]
JOBS = {"apic": apic, "compute": compute, "dirty": dirty, "mmio": mmio, "nmi": nmi, "smp-mmio": smp_mmio}
for line in JOBS[sys.argv[1]](*(int(text) for text in sys.argv[2:])):
    print(line)
