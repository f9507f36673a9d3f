#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Turns the instruction table (src/decode/table/*.tbl) into C: lookup trees, form tables, mnemonics, dispatch.

    tools/generate.py           writes the generated files
    tools/generate.py --check   exits 1 when they are not what the table says
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLES = ROOT / "src/decode/table"

# --- selectors: what a lookup can depend on; src/decode/decode.c provides their values ------------------------------
# Those that are often asked for: four bits each in the decoder's selector word, and a kind of node each.
FAST = ["leaf", "pp", "reg", "mod3", "w", "vl", "mode", "osz", "asz", "pp_w"]
RARE_KIND = 15
KIND_SHIFT = 12
# name: number of values
SELECTORS = {
    "pp": 4, "reg": 8, "mod3": 2, "w": 2, "vl": 3, "mode": 3, "rm": 8, "osz": 3, "asz": 3, "b": 2, "p66": 2, "amd": 2,
    "no_lzcnt": 2, "no_tzcnt": 2, "no_cet": 2, "no_mpx": 2, "no_cldemote": 2, "no_wbnoinvd": 2, "no_prefetchi": 2,
    "no_rip": 2,
}
# The others: lowest bit in the word that is put together when one is asked for.
RARE = {"rm": 0, "b": 3, "p66": 4, "amd": 5, "no_lzcnt": 6, "no_tzcnt": 7, "no_cet": 8, "no_mpx": 9,
        "no_cldemote": 10, "no_wbnoinvd": 11, "no_prefetchi": 12, "no_rip": 13}
ORDER = ["pp", "reg", "mod3", "rm", "no_rip", "no_cet", "no_mpx", "no_lzcnt", "no_tzcnt", "no_cldemote", "no_wbnoinvd",
         "no_prefetchi", "amd", "mode", "b", "vl", "w", "osz", "asz", "p66"]

# --- the state word: what a form can forbid; src/decode/decode.c builds it ------------------------------------------
STATE = ["memory", "register", "mode16", "mode32", "mode64", "w0", "w1", "lock", "lock_register", "pp0", "pp1", "pp2",
         "pp3", "vl0", "vl1", "vl2", "vvvv", "vvvv_high", "reg_high", "r4", "z", "z_unmasked", "z_memory",
         "aaa", "b_memory", "b_register", "hurry"]
# (selector, value that is refused) -> state bit
FORBID = {("mod3", 0): "memory", ("mod3", 1): "register", ("mode", 0): "mode16", ("mode", 1): "mode32",
          ("mode", 2): "mode64", ("w", 0): "w0", ("w", 1): "w1"}
FORBID.update({(name, value): f"{name}{value}" for name in ("pp", "vl") for value in range(SELECTORS[name])})

# Immediates in the encoding: bytes by operand size 16, 32, 64; moffs by address size, which the decoder adds.
IMMEDIATES = {"none": (0, 0, 0), "ib": (1, 1, 1), "iw": (2, 2, 2), "id": (4, 4, 4), "iz": (2, 4, 4), "iv": (2, 4, 8),
              "iw ib": (3, 3, 3), "ib ib": (2, 2, 2), "ap": (4, 6, 6), "mo": (0, 0, 0), "ib signed": (1, 1, 1),
              "iz signed": (2, 4, 4), "cz near": (2, 4, 4)}
ODD_IMMEDIATES = ("iw ib", "ib ib", "ap", "mo")
IMMEDIATE_BY_FORM = 15
assert len(IMMEDIATES) <= IMMEDIATE_BY_FORM
SIZE_RULES = ["normal", "d64", "f64", "near", "byte", "far"]
SPECIALS = ["none", "gather_vex", "gather", "scatter", "tiles", "sib", "cr", "complex", "bnd", "bnd_address",
            "suffix_opcode"]
MAPS = ["one_byte", "0f", "0f38", "0f3a", "3dnow", "vex_m7", "evex_m5", "evex_m6", "xop_m8", "xop_m9", "xop_ma",
        "vex_0f", "vex_0f38", "vex_0f3a", "evex_0f", "evex_0f38", "evex_0f3a"]
FLAT_MAPS = 2        # those with a large entry for every opcode
DENSE_MAPS = 6       # at the end: those with a small entry for every opcode; the maps between have blocks of BLOCK
LEGACY_MAPS = 5      # those that a build without vector maps has; it has the beginnings of all tables
BLOCK = 8
# Where parts of struct decode_tables begin, in bytes.
FLAT_AT = 16 * 64 + 9 * 16
NODES_AT = FLAT_AT + FLAT_MAPS * 256 * 8

PREFIX_LENGTH = 0x30  # LENGTH_SPECIAL and LENGTH_ELSEWHERE

# Legacy prefixes: enum x86emu_prefix.
PREFIXES = {0xf0: 1, 0xf2: 2, 0xf3: 4, 0x66: 8, 0x67: 16, 0x26: 32, 0x2e: 32, 0x36: 32, 0x3e: 32, 0x64: 32, 0x65: 32}

FLAG_MASKS = {"c": 1 << 0, "p": 1 << 2, "a": 1 << 4, "z": 1 << 6, "s": 1 << 7, "t": 1 << 8, "i": 1 << 9, "d": 1 << 10,
              "o": 1 << 11, "P": 3 << 12, "n": 1 << 14, "R": 1 << 16, "V": 1 << 17, "A": 1 << 18, "F": 1 << 19,
              "Q": 1 << 20, "I": 1 << 21}

# Registers first, in the order of src/decode/operand.c; then immediates, then memory that ModRM doesn't name.
WHERE = ["reg", "rm", "vvvv", "opcode", "mask", "st", "is4", "fixed", "imm", "rel", "imm2", "far", "one", "is4_imm", "moffs",
         "source", "destination", "stack", "xlat", "vsib", "maskmov", "frame"]
MOST_OPERANDS = 12  # X86EMU_MAX_OPERANDS
CLASSES = ["none", "gpr8", "gpr8_high", "gpr16", "gpr32", "gpr64", "segment", "cr", "dr", "st", "mmx", "xmm", "ymm",
           "zmm", "mask", "bnd", "tmm", "ip", "system", "gpr", "vector"]
SIZES = {"b": 1, "w": 2, "d": 4, "q": 8, "t": 10, "dq": 16, "qq": 32, "oq": 64, "0": 0}
SCALE_BY_SIZE = 15  # Row.scale: 4, or 8 with a 64-bit operand
# Widths that depend on the instance; the first seven in the order of src/decode/operand.c.
RULED = ["v", "z", "y", "p", "S", "x", "a", "v2", "s", "hx", "qx", "ex", "512", "bnd", "v5", "v8", "env", "fpu", "576"]
RULED_BYTES, NO_BYTE, RARE_WIDTH = 7, 7, 8
TEMPLATE_SIZE = 13  # of struct operand_template
GPRS = ["AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"]
ACCESS = {"r": 1, "w": 2, "rw": 3, "cr": 4, "cw": 8, "rcw": 9, "crw": 6, "crcw": 12, "n": 0}


class TableError(Exception):
    pass


class Row:
    def __init__(self, place, text):
        self.place = place
        fields = [field.strip() for field in text.split("|")]
        if len(fields) != 3:
            raise TableError(f"{place}: three columns wanted, {len(fields)} found")
        self.conditions = {}
        self.opcodes = []
        self.modrm = False
        self.force_register = False
        self.low_registers = set()
        self.immediate = []
        modes = [word for word in fields[2].split() if word in ("i64", "m64")]
        self.parse_attributes(" ".join(word for word in fields[2].split() if word not in modes))
        self.parse_encoding(fields[0].split() + modes)
        self.parse_operands(fields[1])
        self.finish()

    def limit(self, selector, values):
        values = set(values)
        now = self.conditions.get(selector, set(range(SELECTORS[selector]))) & values
        if not now:
            raise TableError(f"{self.place}: contradicting conditions on {selector}")
        self.conditions[selector] = now

    # attributes
    def parse_attributes(self, text):
        self.lock = self.byte = self.privileged = False
        self.rule = "normal"
        self.flags = {"r": 0, "w": 0, "u": 0, "1": 0, "0": 0}
        self.feature = self.wide = "NONE"
        self.function = None
        self.masking = self.zeroing = False
        self.rounding = None
        self.broadcast = 0
        self.special = "none"
        for word in text.split():
            key, equals, value = word.partition("=")
            if equals and key in self.flags:
                self.flags[key] = sum(self.flag_mask(letter) for letter in value)
            elif key == "feat":
                self.feature = value
            elif key == "wide":
                self.wide = value
            elif key == "exec":
                self.function = value
            elif word in SIZE_RULES:
                self.rule = word
            elif word in ("lock", "rep"):
                self.lock = self.lock or word == "lock"
            elif word == "cpl0":
                self.privileged = True
            elif word in ("k", "z"):
                self.masking = True
                self.zeroing = self.zeroing or word == "z"
            elif word in ("b16", "b32", "b64"):
                self.broadcast = int(word[1:]) // 8
            elif re.fullmatch(r"n[1248]", word):
                self.broadcast = 0x80 | int(word[1])
            elif word in ("er", "sae"):
                self.rounding = word
            elif word in SPECIALS:
                self.special = word
            elif word == "modrm_reg":
                self.force_register = True
            else:
                raise TableError(f"{self.place}: unknown attribute {word}")

    def flag_mask(self, letter):
        if letter not in FLAG_MASKS:
            raise TableError(f"{self.place}: unknown flag {letter}")
        return FLAG_MASKS[letter]

    # encoding
    def parse_encoding(self, words):
        prefixes = {"NP": {0}, "66": {1}, "F3": {2}, "F2": {3}, "nF3": {0, 1, 3}, "nF2": {0, 1, 2}}
        sizes = {"o16": 0, "o32": 1, "o64": 2}
        addresses = {"a16": 0, "a32": 1, "a64": 2}
        self.map = "one_byte"
        osz, asz = set(), set()
        index = 0
        while index < len(words):
            word = words[index]
            following = words[index + 1:index + 2]
            if word in ("66", "F3", "F2") and (following[:1] == ["0F"] or following == ["90"] or self.modrm):
                self.limit("pp", prefixes[word])
            elif word in ("NP", "nF3", "nF2"):
                self.limit("pp", prefixes[word])
            elif word.split(".")[0] in ("VEX", "XOP", "EVEX"):
                self.parse_vector_prefix(word)
            elif word == "3DNOW":
                self.map = "3dnow"
            elif word == "0F" and not self.opcodes and self.map == "one_byte":
                self.map = "0f"
                if following in (["38"], ["3A"]):
                    self.map = "0f" + following[0].lower()
                    index += 1
            elif re.fullmatch(r"[0-9A-F]{2}\+r", word):
                first = int(word[:2], 16)
                self.opcodes = list(range(first, first + 8))
            elif re.fullmatch(r"[0-9A-F]{2}\.\.[0-9A-F]{2}\+r", word):
                self.opcodes = list(range(int(word[:2], 16), int(word[4:6], 16) + 1))
            elif re.fullmatch(r"[0-9A-F]{2}", word):
                self.parse_byte(int(word, 16))
            elif word in ("/r",) or re.fullmatch(r"/[0-7]", word):
                self.modrm = True
                if word != "/r":
                    self.limit("reg", {int(word[1])})
            elif word in sizes:
                osz.add(sizes[word])
            elif word in addresses:
                asz.add(addresses[word])
            elif word in ("W0", "W1"):
                self.limit("w", {int(word[1])})
            elif word == "rm0":
                self.limit("rm", {0})
            elif word in ("REX.B0", "REX.B1"):
                self.limit("b", {int(word[-1])})
            elif word in ("i64", "m64"):
                self.limit("mode", {0, 1} if word == "i64" else {2})
            elif word == "cr":
                self.special = word
            elif word == "dr":
                self.low_registers = {"reg_high"}
            elif word in ("mem", "reg"):
                self.modrm = True
                self.limit("mod3", {int(word == "reg")})
            elif word in ("ib", "iw", "iz", "iv", "id", "mo", "ap", "cb", "cz", "is4"):
                self.immediate.append("ib" if word == "is4" else word)
            elif word == "intel":
                self.limit("amd", {0})
            elif SELECTORS.get(word) == 2:
                self.limit(word, {1})
            elif "no_" + word in SELECTORS:
                self.limit("no_" + word, {0})
            else:
                raise TableError(f"{self.place}: unknown encoding {word}")
            index += 1
        if osz:
            self.limit("osz", osz)
        if asz:
            self.limit("asz", asz)
        if not self.opcodes:
            raise TableError(f"{self.place}: no opcode")
        if self.immediate and self.immediate != ["cz"] and self.immediate != ["cb"] and " ".join(
                self.immediate) not in IMMEDIATES:
            raise TableError(f"{self.place}: unknown immediates {self.immediate}")

    def parse_byte(self, value):
        if not self.opcodes:
            self.opcodes = [value]
            return
        self.modrm = True
        self.limit("mod3", {1})
        self.limit("reg", {value >> 3 & 7})
        self.limit("rm", {value & 7})
        if value < 0xc0:
            raise TableError(f"{self.place}: a whole ModRM byte names registers")

    def parse_vector_prefix(self, word):
        kind, length, prefix, map_name, width = word.split(".")
        names = {"0F": "0f", "0F38": "0f38", "0F3A": "0f3a", "M5": "m5", "M6": "m6", "M7": "m7", "M8": "m8", "M9": "m9",
                 "MA": "ma"}
        lengths = {"L0": {0}, "L1": {1}, "128": {0}, "256": {1}, "512": {2}, "LV": {0, 1, 2}, "LW": {1, 2},
                   "LIG": {0, 1, 2}}
        self.map = kind.lower() + "_" + names[map_name]
        self.limit("pp", {["NP", "66", "F3", "F2"].index(prefix)})
        self.limit("vl", lengths[length])
        self.scalar = length == "LIG"
        if width in ("W0", "W1"):
            self.limit("w", {int(width[1])})

    # operands
    def parse_operands(self, text):
        explicit, _, implicit = text.partition(";")
        self.mnemonic, _, explicit = explicit.strip().partition(" ")
        self.operands = [self.operand(word, False) for word in self.words(explicit)]
        if self.masking:
            access = "rw" if self.special in ("gather", "scatter") else "r"
            self.operands.insert(1, ("mask", "mask", "q", ACCESS[access], 0))
        self.visible = len(self.operands)
        self.operands += [self.operand(word, True) for word in self.words(implicit)]

    @staticmethod
    def words(text):
        return [word.strip() for word in text.split(",") if word.strip()]

    def operand(self, word, implicit):
        name, _, access = word.partition(":")
        whole = 0x40 if access.endswith("!") else 0
        access = access.rstrip("!")
        if (access or "r") not in ACCESS:
            raise TableError(f"{self.place}: unknown access {access}")
        bits = ACCESS[access or "r"] | whole | (0x80 if implicit else 0)
        where, reg_class, size, number = self.operand_place(name)
        if (where, reg_class) == ("reg", "segment"):
            self.limit("reg", {0, 2, 3, 4, 5} if bits & 2 else range(6))
        return (where, reg_class, size, bits, number)

    def operand_place(self, name):
        fixed = self.fixed_register(name)
        if fixed:
            return fixed
        if name == "1":
            return ("one", "none", "b", 0)
        if name.startswith("[SP]"):
            return ("stack", "none", name[4:], 0)
        if name.startswith("[BP]"):
            return ("frame", "none", name[4:], 0)
        if name.startswith("[rDI]"):
            return ("maskmov", "none", name[5:], 0)
        if name.startswith("[BX+AL]"):
            return ("xlat", "none", name[7:], 0)
        vsib = re.fullmatch(r"vm(b|w|d|q|dq)([xyz])", name)
        if vsib:
            self.limit("mod3", {0})
            return ("vsib", {"x": "xmm", "y": "ymm", "z": "zmm"}[vsib[2]], vsib[1], 0)
        if re.fullmatch(r"K[GEUH][bwdq0]", name):
            if name[1] == "U":
                self.limit("mod3", {1})
            return ({"G": "reg", "E": "rm", "U": "rm", "H": "vvvv"}[name[1]], "mask", name[2], 0)
        if re.fullmatch(r"T[GUH]", name):
            return ({"G": "reg", "U": "rm", "H": "vvvv"}[name[1]], "tmm", "0", 0)
        if re.fullmatch(r"B[GEU](bnd)?", name) and name[1] in "GEU":
            return ({"G": "reg", "E": "rm", "U": "rm"}[name[1]], "bnd", name[2:], 0)
        if re.fullmatch(r"ST[0-7]", name):
            return ("fixed", "st", "t", int(name[2]))
        if name == "STi":
            return ("st", "st", "t", 0)
        letter, size = name[0], name[1:]
        letters = {
            "E": ("rm", "gpr"), "M": ("rm", "none"), "R": ("rm", "gpr"), "G": ("reg", "gpr"), "B": ("vvvv", "gpr"),
            "Z": ("opcode", "gpr"), "S": ("reg", "segment"), "C": ("reg", "cr"), "D": ("reg", "dr"),
            "I": ("imm", "none"), "J": ("rel", "none"), "A": ("far", "none"), "O": ("moffs", "none"),
            "X": ("source", "none"), "Y": ("destination", "none"), "V": ("reg", "vector"), "W": ("rm", "vector"),
            "U": ("rm", "vector"), "H": ("vvvv", "vector"), "L": ("is4", "vector"), "P": ("reg", "mmx"),
            "Q": ("rm", "mmx"), "N": ("rm", "mmx"),
        }
        if letter not in letters:
            raise TableError(f"{self.place}: unknown operand {name}")
        if letter == "M":
            self.limit("mod3", {0})
        if letter in "RUN" and not self.force_register:
            self.limit("mod3", {1})
        if letter == "E" and size.startswith("0"):
            size = "0"
        if name == "Im":
            return ("is4_imm", "none", "b", 0)
        if letter == "I":
            where = "imm2" if self.immediate[:2] in (["iw", "ib"], ["ib", "ib"]) and self.seen_immediate else "imm"
            self.seen_immediate = True
            return (where, "none", size, 0)
        where, reg_class = letters[letter]
        return (where, reg_class, size, self.broadcast if letter == "W" else 0)

    seen_immediate = scalar = False

    def fixed_register(self, name):
        bytes_low, bytes_high = ["AL", "CL", "DL", "BL"], ["AH", "CH", "DH", "BH"]
        if name in bytes_low:
            return ("fixed", "gpr8", "b", bytes_low.index(name))
        if name in bytes_high:
            return ("fixed", "gpr8_high", "b", bytes_high.index(name))
        if name in ("ES", "CS", "SS", "DS", "FS", "GS"):
            return ("fixed", "segment", "w", ["ES", "CS", "SS", "DS", "FS", "GS"].index(name))
        system = ["FLAGS", "GDTR", "IDTR", "LDTR", "TR", "MXCSR", "PKRU", "XCR0", "X87CONTROL", "X87STATUS", "X87TAG",
                  "SSP", "UIF", "MSR", "TSC", "TSCAUX"]
        if name in system:
            return ("fixed", "system", "q", system.index(name))
        if re.fullmatch(r"CR[0-9]", name):
            return ("fixed", "cr", "q", int(name[2]))
        if re.fullmatch(r"[XM]M[0-7]", name):
            return ("fixed", "xmm" if name[0] == "X" else "mmx", "dq", int(name[2]))
        if re.fullmatch(r"R(8|9|1[0-5])", name):
            return ("fixed", "gpr", "q", int(name[1:]))
        if name == "rIP":
            return ("fixed", "ip", "v", 0)
        if name[-2:] in GPRS and name[:-2] in ("", "E", "R", "r", "z", "a", "y"):
            size = {"": "w", "E": "d", "R": "q", "r": "v", "z": "z", "a": "a", "y": "y"}[name[:-2]]
            if name == "rSP":
                size = "S"
            return ("fixed", "gpr", size, GPRS.index(name[-2:]))
        return None

    # what follows from all of it
    def finish(self):
        self.immediate_kind = list(IMMEDIATES).index(self.immediate_name())
        self.by_state = set()  # selectors that the state mask checks, since the lookup does not
        self.forbid = set()
        self.forbid.add("lock_register" if self.lock else "lock")
        vsib = any(op[0] == "vsib" for op in self.operands)
        if self.map.startswith(("vex", "xop", "evex")) and not vsib and not any(
                op[0] == "vvvv" for op in self.operands):
            self.forbid.add("vvvv")
        if self.map.startswith("evex"):
            self.finish_evex()
        few = [op[0] for op in self.operands if op[1] in ("mask", "tmm")]
        self.low_registers |= {{"reg": "reg_high", "vvvv": "vvvv_high"}[where] for where in few
                               if where in ("reg", "vvvv")}
        if self.map.startswith("evex") and any(op[:2] == ("reg", "gpr") for op in self.operands):
            self.forbid.add("r4")
        self.forbid |= self.low_registers

    def immediate_name(self):
        """Which of IMMEDIATES: with it comes whether the decoder extends the sign."""
        name = " ".join(self.immediate) or "none"
        if name == "cz" and self.rule == "near":
            return "cz near"
        name = {"cb": "ib", "cz": "iz"}.get(name, name)
        if self.immediate in (["cb"], ["cz"]) or any(op[0] == "imm" and op[2] in ("bs", "z") for op in self.operands):
            return name + " signed"
        return name

    def finish_evex(self):
        if not self.masking and self.special not in ("gather", "scatter"):
            self.forbid.add("aaa")
        if not self.zeroing:
            self.forbid.add("z")
        else:
            self.forbid |= {"z_unmasked", "z_memory"} if self.operands[0][0] == "rm" else {"z_unmasked"}
        if self.broadcast in (0, 0x81, 0x82, 0x84, 0x88):
            self.forbid.add("b_memory")
        if not self.rounding:
            self.forbid.add("b_register")

    def forbids(self, selector):
        """Whether the state mask alone can check this condition."""
        missing = set(range(SELECTORS[selector])) - self.conditions[selector]
        return all((selector, value) in FORBID for value in missing)

    @property
    def requirement(self):
        """CPUID features: the row's, what its encoding needs, what lengths above 128 bits need; then whether lengths
        below 512 bits need AVX512VL."""
        base = "NONE"
        if self.map.startswith("evex"):
            base = "AVX512F"
        elif self.map.startswith("vex") and any(op[1] in ("vector", "xmm", "ymm") for op in self.operands):
            base = "AVX"
        elif self.map.startswith("vex") and any(op[1] == "mask" for op in self.operands):
            base = "AVX512F"
        return (self.feature, base if base != self.feature else "NONE", self.wide, int(self.needs_vl))

    @property
    def forbidden(self):
        """The state mask."""
        slow = self.special != "none" or self.rule == "far" or self.force_register or list(IMMEDIATES)[self.immediate_kind] in ODD_IMMEDIATES
        names = self.forbid | ({"hurry"} if slow else set()) | {FORBID[(selector, value)] for selector in self.by_state
                               for value in set(range(SELECTORS[selector])) - self.conditions[selector]}
        return sum(1 << STATE.index(name) for name in names)

    @property
    def scale(self):
        """disp8*N (SDM Vol. 2, 2.7.5): log2 of N, 8 when it grows with the vector length, 16 * log2 of N with EVEX.b."""
        if not self.map.startswith("evex"):
            return 0
        for where, _, size, _, number in self.operands:
            if where in ("rm", "vsib"):
                broadcast = 0
                if number and not number & 0x80:
                    broadcast = number.bit_length() - 1
                return self.scale_of(size, number) | broadcast << 4
        return 0

    def scale_of(self, size, number):
        if number & 0x80:
            return (number & 0x7f).bit_length() - 1
        if size in ("x", "hx", "qx", "ex"):
            return 8 + {"x": 4, "hx": 3, "qx": 2, "ex": 1}[size]
        if size == "y":
            return SCALE_BY_SIZE
        size = SIZES.get(size, 0)
        if size & (size - 1) or size > 64:
            raise TableError(f"{self.place}: no power of two to scale displacements by")
        return max(size.bit_length() - 1, 0)

    @staticmethod
    def is_memory(operand):
        where, reg_class, _, access, _ = operand
        in_memory = where in ("moffs", "source", "destination", "stack", "xlat")
        return access & 0x3f != 0 and (in_memory or (where == "rm" and reg_class in ("none", "gpr", "vector", "mmx")))

    @property
    def name(self):
        parts = [self.mnemonic]
        for where, reg_class, size, _, number in self.operands[:self.visible]:
            parts.append(self.operand_name(where, reg_class, size, number))
        return "_".join(part for part in parts if part).upper()

    @staticmethod
    def operand_name(where, reg_class, size, number):
        names = {"rm": "RM", "reg": "R", "vvvv": "V", "opcode": "O", "imm": "I", "imm2": "I", "rel": "REL",
                 "far": "FAR", "moffs": "MOFFS", "source": "SI", "destination": "DI", "one": "1"}
        if where == "fixed":
            return (GPRS[number] if reg_class == "gpr" else reg_class + str(number)) + size
        return names.get(where, where) + size


# --- lookup trees ---------------------------------------------------------------------------------------------------

class Trees:
    """Entries: a kind in bits 15:12, then a form, or half the place of a node. A node lists an entry for each value of
    its selector; one of RARE_KIND begins with itself and with the selector's place and mask. The root of an opcode is a
    kind and a place: an entry is there, or a node."""

    def __init__(self, rows):
        self.rows = rows
        self.nodes = []
        self.known = {}
        self.roots = {}
        self.lengths = {}
        for map_name in MAPS:
            of_map = [row for row in rows if row.map == map_name]
            by_opcode = [[row for row in of_map if opcode in row.opcodes] for opcode in range(256)]
            self.roots[map_name] = [self.build(of_opcode, frozenset(), True) for of_opcode in by_opcode]
            self.lengths[map_name] = [self.length_shape(of_opcode) for of_opcode in by_opcode]
            for of_opcode, length in zip(by_opcode, self.lengths[map_name]):
                for row in of_opcode:
                    row.immediate_by_form = row.immediate_kind if length & 15 == IMMEDIATE_BY_FORM else 0
            if map_name not in MAPS[:FLAT_MAPS]:
                self.roots[map_name] = [root if isinstance(root, tuple) else (RARE_KIND, self.place_of(root))
                                        for root in self.roots[map_name]]
            if map_name == MAPS[LEGACY_MAPS - 1]:
                self.nodes += [0] * (len(self.nodes) % 2)
                self.legacy_nodes = len(self.nodes)
        self.mark_prefixes()

    @staticmethod
    def length_shape(rows):
        """What follows the opcode: bit 7: ModRM; 6: which names registers whatever mod says."""
        if not rows:
            return 0
        shapes = {(row.modrm, row.force_register) for row in rows}
        if len(shapes) > 1:
            raise TableError(f"{rows[0].place}: rows of one opcode differ about ModRM")
        kinds = {row.immediate_kind for row in rows}
        modrm, force = shapes.pop()
        kind = kinds.pop() if len(kinds) == 1 else IMMEDIATE_BY_FORM
        return kind | (modrm << 7) | (force << 6)

    def mark_prefixes(self):
        """Bit 4 of a length shape: not, or not always, an opcode; bit 5: so that it is a prefix of some kind. Legacy prefixes
        have their bit as entry."""
        for byte, bit in PREFIXES.items():
            if self.roots["one_byte"][byte]:
                raise TableError(f"{byte:02X} is a prefix, not an opcode")
            self.roots["one_byte"][byte] = bit
            self.lengths["one_byte"][byte] = PREFIX_LENGTH
        for byte in (0x0f, 0x62, 0x8f, 0xc4, 0xc5):
            self.lengths["one_byte"][byte] |= 0x10
        for byte in (0x62, 0x8f, 0xc4, 0xc5):
            self.lengths["one_byte"][byte] |= 0x20
    def build(self, rows, decided, is_root=False):
        if not rows:
            return 0
        if len(rows) == 1:
            row = rows[0]
            if all(selector in decided or row.forbids(selector) for selector in row.conditions):
                row.by_state |= set(row.conditions) - decided
                return row.number
        wanted = [selector for selector in ORDER
                  if selector not in decided and any(selector in row.conditions for row in rows)]
        if is_root and wanted[0] == "pp" and "w" in wanted and rows[0].map in MAPS[LEGACY_MAPS:]:
            return self.split_pp_w(rows)
        if wanted:
            return self.split(rows, decided, wanted[0], is_root)
        raise TableError(f"{rows[0].place}: the same encoding as {rows[1].place}")

    def split(self, rows, decided, selector, is_root):
        values = SELECTORS[selector]
        entries = []
        for value in range(values):
            matching = [row for row in rows if selector not in row.conditions or value in row.conditions[selector]]
            entries.append(self.build(matching, decided | {selector}))
        if len(set(entries)) == 1:
            return entries[0]
        entries += [0] * ((1 << (values - 1).bit_length()) - values)
        key = (selector, tuple(entries), is_root)
        if key not in self.known:
            self.known[key] = self.add_node(selector, entries, is_root)
        return self.known[key]

    def split_pp_w(self, rows):
        """Two steps in one, for the opcodes that mostly need both."""
        def matching(pp, w):
            return [row for row in rows if pp in row.conditions.get("pp", {pp}) and w in row.conditions.get("w", {w})]

        entries = [self.build(matching(pp, w), frozenset({"pp", "w"})) for w in range(2) for pp in range(4)]
        key = ("pp_w", tuple(entries), True)
        if key not in self.known:
            self.known[key] = self.add_node("pp_w", entries, True)
        return self.known[key]

    def add_node(self, selector, entries, is_root):
        """A node's entry, or kind and place. Where what is there already, or the end of it, reads like the node, it is
        not written again."""
        kind = FAST.index(selector) if selector in FAST else RARE_KIND
        start = len(self.nodes) + len(self.nodes) % 2
        if kind == RARE_KIND:
            entries = [RARE_KIND << KIND_SHIFT | start // 2, RARE[selector] | (len(entries) - 1) << 8] + entries
        else:
            start = overlap(self.nodes, entries, 1 if is_root else 2)
        if start // 2 >= 1 << KIND_SHIFT:
            raise TableError("too many lookup nodes")
        self.append(entries, start)
        return (kind, start) if is_root else kind << KIND_SHIFT | start // 2

    def append(self, entries, start):
        self.nodes += [0] * (start - len(self.nodes)) + list(entries)[max(len(self.nodes) - start, 0):]

    def place_of(self, entry):
        """Where an entry stands alone."""
        start = overlap(self.nodes, [entry])
        self.append([entry], start)
        return start


def operand_size(rule, amd, mode, p66, w):
    """Bytes (SDM Vol. 1, table 3-4); mode: 0, 1, 2 for 16, 32, 64 bits."""
    if rule == "byte":
        return 1
    w = w and not (rule == "far" and amd)
    if mode == 2 and (rule == "f64" or (rule == "near" and not amd) or w):
        return 8
    if mode == 2 and rule in ("d64", "near"):
        return 2 if p66 else 8
    return 2 if (mode == 0) != p66 else 4


def states():
    """What mode, 66 and W decide, if there is no 67: [mode][66][W]; mode 3 is AMD's 64-bit mode."""
    combinations = [(mode, p66, w) for mode in range(4) for p66 in (False, True) for w in (False, True)]
    for mode, p66, w in combinations:
        amd, mode = mode == 3, min(mode, 2)
        sizes = [operand_size(rule, amd, mode, p66, w) for rule in SIZE_RULES]
        normal, near = ({2: 0, 4: 1, 8: 2}[sizes[SIZE_RULES.index(rule)]] for rule in ("normal", "near"))
        immediates = [by_size[near if name == "cz near" else normal] for name, by_size in IMMEDIATES.items()]
        immediates[list(IMMEDIATES).index("mo")] = 2 << mode
        immediates = [size | size << 4 if is_signed(name) else size for name, size in zip(IMMEDIATES, immediates)]
        state = 1 << STATE.index(("mode16", "mode32", "mode64")[mode]) | 1 << STATE.index(("w0", "w1")[w])
        yield (modrm_layout(mode == 0), immediates, sizes, (mode, 2 << mode), state,
               selector_nibbles(mode=mode, w=w, osz=normal, asz=mode, pp_w=4 * w))


def nibbles(values):
    return sum(value << 4 * place for place, value in enumerate(values))


def is_signed(immediate):
    return immediate.endswith(("signed", "near"))


def selector_nibbles(**values):
    return nibbles(int(values.get(name, 0)) for name in FAST)


# --- writing C --------------------------------------------------------------------------------------------------------

NOTE = "/* SPDX-License-Identifier: BSD-2-Clause */\n/* Generated by tools/generate.py from src/decode/table; do not edit. */\n"


def lines_of(numbers, per_line=16):
    numbers = list(numbers)
    return "".join("    " + ", ".join(numbers[i:i + per_line]) + ",\n" for i in range(0, len(numbers), per_line))


def overlap(pool, sequence, step=1):
    """Where in the pool, or at the end of it, a sequence can begin."""
    return next(start for start in range(0, len(pool) + step, step)
                if all(new == old for new, old in zip(sequence, pool[start:start + len(sequence)])))


def shared_sequences(sequences):
    """One pool that holds every sequence, and where each begins."""
    pool, starts, seen = [], [], {}
    for sequence in sequences:
        key = tuple(sequence)
        if key not in seen:
            seen[key] = overlap(pool, key)
            pool += key[len(pool) - seen[key]:]
        starts.append(seen[key])
    return pool, starts


def modrm_layout(address16):
    """For each mod and rm: displacement bytes, 8 when a SIB follows, 16 when its base 5 means a displacement
    (SDM Vol. 2, tables 2-1 to 2-3)."""
    layout = []
    for mod, rm in ((mod, rm) for mod in range(4) for rm in range(8)):
        if mod == 3:
            layout.append(0)
        elif address16:
            layout.append((2 if rm == 6 else 0, 1, 2)[mod])
        else:
            layout.append((4 if rm == 5 else 0, 1, 4)[mod] + (0x80 if rm == 4 else 0) + (0x40 if mod == 0 and rm == 4 else 0))
    return layout


def size_code(row, size):
    if size == "bs":
        size = "v"
    if size in SIZES:
        return str(SIZES[size])
    if size in RULED:
        return "SIZE_" + ("STACK" if size == "S" else size.upper())
    if size == "":
        return "0"
    if size.isdigit() and int(size) < 200:
        return size
    if size == "512":
        return "SIZE_512"
    raise TableError(f"{row.place}: unknown width {size}")


def operand_template(row, operand):
    where, reg_class, size, access, number = operand
    kind = {"imm": "IMM", "rel": "REL"}.get(where, "REG" if WHERE.index(where) <= WHERE.index("fixed") else "NONE")
    code, place = size_code(row, size), NO_BYTE
    if code.startswith("SIZE_"):
        place = RULED.index("v" if size == "bs" else size)
        code, place = ("0", place) if place < RULED_BYTES else (code, RARE_WIDTH)
    class_place, mask = NO_BYTE, 0x1f
    if (where, reg_class) == ("rm", "none"):
        reg_class = "gpr"  # never a register: the same as where it may be one
    if reg_class in ("gpr", "vector"):
        class_place, reg_class = place, sized_class(row, reg_class, code, place)
    elif reg_class in ("mmx", "segment", "st", "mask", "tmm"):
        mask = 7
    fixed, element = (number, 0) if where == "fixed" else (0, number)
    number_place = min(WHERE.index(where), NO_BYTE)
    return (f"{{X86EMU_OPERAND_{kind}, {access & 0x7f:#04x}, {access >> 7}, 0, {code}, {place}, CLASS_{reg_class.upper()}, "
            f"{class_place}, {fixed}, {number_place}, {mask}, WHERE_{where.upper()}, {element}}}")


def sized_class(row, reg_class, code, place):
    """The class of a register by its width; none, if a byte is to be added. Where the width is rare, that of the most."""
    if place == RARE_WIDTH:
        return "xmm" if reg_class == "vector" else "gpr"
    if place != NO_BYTE:
        return "none"
    if reg_class == "vector":
        return {32: "ymm", 64: "zmm"}.get(int(code), "xmm")
    return {1: "gpr8", 2: "gpr16", 4: "gpr32", 8: "gpr64"}.get(int(code), "none")


def enum_list(prefix, names, first=0):
    return "".join(f"    {prefix}{name.upper()} = {first + index},\n" for index, name in enumerate(names))


def mnemonics_h(rows, mnemonics, features):
    text = NOTE.replace("*/\n/* Gen", "*/\n/* Names of the instruction table's rows. Gen")
    text += "#ifndef X86EMU_MNEMONICS_H\n#define X86EMU_MNEMONICS_H\n\n"
    text += "enum x86emu_mnemonic {\n" + enum_list("X86EMU_MN_", mnemonics) + "};\n\n"
    text += "enum x86emu_feature {\n" + enum_list("X86EMU_FEATURE_", features) + "};\n\n"
    text += f"#define X86EMU_FORM_COUNT {len(rows) + 1}\n#define X86EMU_FEATURE_COUNT {len(features)}\n\n#endif\n"
    return text


def tables_h(pools):
    text = NOTE + "#ifndef X86EMU_DECODE_TABLES_H\n#define X86EMU_DECODE_TABLES_H\n\n#include <stddef.h>\n#include <stdint.h>\n#include <x86emu/insn.h>\n\n"
    text += "/* Places of four bits in the selector word, and kinds of node. */\nenum node_kind {\n" + enum_list("NODE_", FAST)
    text += f"    NODE_RARE = {RARE_KIND},\n}};\n\n"
    text += "/* Bits of the word of rare selectors. */\nenum rare_selector {\n"
    text += "".join(f"    RARE_{name.upper()} = {shift},\n" for name, shift in RARE.items()) + "};\n\n"
    text += "/* Bits of the state word. */\nenum state {\n"
    text += "".join(f"    STATE_{name.upper()} = 1 << {index},\n" for index, name in enumerate(STATE)) + "};\n\n"
    text += "enum opcode_map {\n" + enum_list("MAP_", MAPS) + f"    MAP_COUNT = {len(MAPS)},\n}};\n\n"
    text += "enum immediate_kind {\n" + enum_list("IMMEDIATE_", [k.replace(" ", "_") for k in IMMEDIATES])
    text += f"    IMMEDIATE_BY_FORM = {IMMEDIATE_BY_FORM},\n}};\n\n"
    odd = sum(1 << n for n, name in enumerate(IMMEDIATES) if name in ODD_IMMEDIATES)
    text += f"/* A set of enum immediate_kind. */\nenum {{ IMMEDIATES_ODD = {odd:#x} }};\n\n"
    text += "enum size_rule {\n" + enum_list("RULE_", SIZE_RULES) + "};\n\n"
    text += "enum special_rule {\n" + enum_list("SPECIAL_", SPECIALS) + "};\n\n"
    text += "enum operand_where {\n" + enum_list("WHERE_", WHERE) + "};\n\n"
    text += "/* As enum x86emu_reg_class; then those whose class depends on the width. */\n"
    text += "enum operand_class {\n" + enum_list("CLASS_", CLASSES) + "};\n\n"
    text += "/* Widths below this are bytes. */\nenum operand_width {\n    SIZE_RULED = 200,\n"
    text += enum_list("SIZE_", ["STACK" if name == "S" else name for name in RULED], 200) + "};\n\n"
    text += """/* What the decoder needs of a row at once; rows share them. */
struct form_shape {
    uint32_t forbidden; /* enum state */
    uint8_t immediate;  /* enum immediate_kind, if the opcode's is IMMEDIATE_BY_FORM */
    uint8_t rule;       /* enum size_rule */
    uint8_t special;    /* enum special_rule */
    uint8_t scale;      /* EVEX: log2 of N in disp8*N; SCALE_… */
};

enum scale { SCALE_LOG2 = 7, SCALE_BY_LENGTH = 8, SCALE_BY_SIZE = 15, SCALE_BROADCAST = 4 };

/*
 * What is known by the opcode alone. Its row is found at words[base + (selectors >> shift & 0xf)], words being all of
 * struct decode_tables: that is its node, or a single entry, which for opcodes in flat maps is .form itself.
 */
struct opcode {
    uint16_t base;
    uint8_t length; /* what follows: enum opcode_length */
    uint8_t shift;  /* 4 * enum node_kind; 4 * NODE_RARE: there is no choice, or a node of that kind */
};

struct flat_opcode {
    struct opcode opcode;
    uint16_t form;   /* if that doesn't depend on anything; of a prefix its enum x86emu_prefix */
    uint8_t shape;   /* that form's */
    int8_t has_node; /* -1 */
};

enum opcode_length {
    LENGTH_IMMEDIATE = 0xf, /* enum immediate_kind */
    LENGTH_SPECIAL = 0x10,  /* a prefix or an escape, or perhaps one */
    LENGTH_ELSEWHERE = 0x20, /* an instruction that begins with it doesn't go through x86emu_decode() alone */
    LENGTH_REGISTER = 0x40, /* ModRM names registers whatever mod says */
    LENGTH_MODRM = 0x80,
};

enum layout_bit {
    LAYOUT_SIB = 0x80,  /* a SIB follows */
    LAYOUT_BASE = 0x40, /* whose base 5 stands for a displacement of four bytes */
};

/* What mode, 66 and W decide; also, if there is no 67, what that would. One line of a cache. */
struct mode_state {
    uint8_t layouts[32];      /* by mod << 3 | rm: displacement bytes, and enum layout_bit */
    uint8_t immediates[@IMMEDIATES@];   /* by enum immediate_kind: bytes; in the upper four bits again if the sign is extended */
    uint8_t operand_sizes[@RULES@]; /* by enum size_rule: bytes */
    uint8_t mode_and_size[2]; /* as struct x86emu_insn has them */
    uint8_t state;        /* enum state */
    uint64_t selectors;   /* values: 4 bits for each enum node_kind */
};

/* A row. */
struct form {
    uint16_t operands; /* first in x86emu_operand_places, and how many */
    uint8_t shape;
    uint8_t traits; /* in x86emu_traits */
};

enum form_operands {
    OPERANDS_FIRST = 0xfff,
    OPERANDS_COUNT = 12 /* how far to shift */
};

enum {
    MODES = 16,     /* [4 * mode + 2 * 66 + W]; mode 3 is AMD's 64-bit mode */
    FLAT_MAPS = @FLAT_MAPS@,
    DENSE_MAPS = @DENSE_MAPS@,
    BLOCK = @BLOCK@,      /* opcodes */
};

/* What a build without vector maps leaves out stands at the end of each table. */
#ifdef X86EMU_NO_VECTOR_MAPS
enum built {
@BUILT_LEGACY@};
#else
enum built {
@BUILT_ALL@};
#endif

/* What decoding looks at, in one place so that one address is enough; what is used most comes first. */
struct decode_tables {
    struct mode_state modes[MODES];
    uint64_t masks[9], signs[9]; /* of a field of so many bytes; its highest bit */
    struct flat_opcode flat[FLAT_MAPS][256];
    uint16_t nodes[BUILT_NODES];
    struct form_shape shapes[BUILT_SHAPES];
    uint8_t blocks[BUILT_MAPS - FLAT_MAPS][256 / BLOCK]; /* where opcodes of maps that are neither flat nor dense are */
    struct opcode opcodes[BUILT_BLOCKS][BLOCK];
#ifndef X86EMU_NO_VECTOR_MAPS
    struct opcode dense[DENSE_MAPS][256]; /* of the last maps */
#endif
    struct form forms[BUILT_FORMS];
};

_Static_assert(offsetof(struct decode_tables, flat) == @FLAT@ && offsetof(struct decode_tables, nodes) == @NODES@,
               "what .base counts from");

/*
 * An operand. Its width, its register's class and number are a constant and one of the bytes that the instruction has for them:
 * src/decode/operand.c. The bytes at NO_BYTE and RARE_WIDTH are 0.
 */
struct operand_template {
    uint8_t kind;     /* enum x86emu_operand_kind; X86EMU_OPERAND_REG also where ModRM may name memory; NONE: rare */
    uint8_t access;   /* enum x86emu_operand_access; bit 6: written whatever the mask */
    uint8_t implicit; /* these four as in struct x86emu_operand */
    uint8_t broadcast;
    uint8_t size, size_place; /* place RARE_WIDTH: size is enum operand_width */
    uint8_t reg_class, class_place;
    uint8_t number, number_place, number_mask;
    uint8_t where;   /* enum operand_where */
    uint8_t element; /* EVEX: bytes of a broadcast element, or bit 7 and disp8*N */
};

enum operand_byte { NO_BYTE = 7, RARE_WIDTH = 8, OPERAND_BYTES = 9 };

/* What decoding doesn't need of a row; rows share them. */
struct traits {
    uint8_t flags; /* in x86emu_flag_table */
    uint8_t bits;  /* enum trait_bit */
    /* enum x86emu_feature: what a processor must have */
    uint8_t feature;
    uint8_t base; /* what the encoding needs besides */
    uint8_t wide; /* besides, with vectors of more than 128 bits */
};

enum trait_bit {
    TRAIT_PRIVILEGED = 1 << 0,
    TRAIT_ROUNDING = 1 << 1, /* EVEX.b with registers is rounding control, not SAE alone */
    TRAIT_NEEDS_VL = 1 << 2, /* AVX512VL besides, with vectors of less than 512 bits */
};

#define ALIGNED_TABLES __attribute__((aligned(64)))

_Static_assert(sizeof(struct operand_template) == @TEMPLATE@, "what x86emu_operand_places counts in");

extern const struct decode_tables x86emu_decode_tables;
extern const struct traits x86emu_traits[];
extern const uint16_t x86emu_operand_places[]; /* where a template is in the next, in bytes */
extern const struct operand_template x86emu_operand_templates[];

/*
 * Rows are numbered by mnemonic, and mnemonics by row: the number of a row's mnemonic is how many rows up to it are the
 * first of theirs. For each 32 rows: which of them are (bits), and how many there are before.
 */
extern const uint32_t x86emu_first_forms[];
extern const uint16_t x86emu_mnemonics_before[];

#endif
"""
    for name, value in (("TEMPLATE", TEMPLATE_SIZE), ("IMMEDIATES", len(IMMEDIATES)), ("RULES", len(SIZE_RULES)), ("FLAT", FLAT_AT), ("NODES", NODES_AT),
                        ("FLAT_MAPS", FLAT_MAPS), ("DENSE_MAPS", DENSE_MAPS), ("BLOCK", BLOCK),
                        ("BUILT_ALL", built(pools, True)),
                        ("BUILT_LEGACY", built(pools, False))):
        text = text.replace(f"@{name}@", str(value))
    return text


def built(pools, all_maps):
    return "".join(f"    BUILT_{name.upper()} = {everything if all_maps else legacy},\n"
                   for name, (everything, legacy) in pools.sizes.items())


# Of row 0, which is no instruction: every state is forbidden.
NO_SHAPE = ((1 << len(STATE)) - 1, 0, 0, 0, 0)
NO_TRAITS = ((0, 0, 0, 0, 0), False, False, ("NONE", "NONE", "NONE", 0))


def form_shape(row):
    return (row.forbidden, row.immediate_by_form, SIZE_RULES.index(row.rule), SPECIALS.index(row.special), row.scale)


def form_traits(row):
    return (tuple(row.flags.values()), row.privileged, row.rounding == "er", row.requirement)


class Pool:
    """Distinct values; the first .legacy of them are those that a build without vector maps needs."""

    def __init__(self, name, legacy_values, values, most):
        self.values = list(dict.fromkeys(legacy_values))
        self.legacy = len(self.values)
        self.values = list(dict.fromkeys(self.values + values))
        self.places = {value: place for place, value in enumerate(self.values)}
        if len(self.values) > most:
            raise TableError(f"more than {most} {name}")

    def __getitem__(self, value):
        return self.places[value]

    def __len__(self):
        return len(self.values)

    def text(self, write, per_line=1):
        return cut_text([write(value) for value in self.values], self.legacy, per_line)


def cut_text(items, legacy, per_line=1):
    """Lines of C for an array, of which a build without vector maps has only the beginning."""
    rest = f"#ifndef X86EMU_NO_VECTOR_MAPS\n{lines_of(items[legacy:], per_line)}#endif\n" if items[legacy:] else ""
    return lines_of(items[:legacy], per_line) + rest


class Pools:
    """What rows share, and the arrays that list it."""

    def __init__(self, rows, trees):
        self.rows = rows
        self.trees = trees
        self.forms = 1 + len(rows)
        self.legacy_forms = 1 + sum(row.legacy for row in rows)
        self.mnemonics = ["INVALID"] + list(dict.fromkeys(row.mnemonic for row in rows))
        self.shapes = self.pool("shapes", NO_SHAPE, form_shape, 0x100, self.use_of_shapes())
        self.traits = self.pool("traits", NO_TRAITS, form_traits, 0x100)
        flags = [traits[0] for traits in self.traits.values]
        self.flags = Pool("sets of flags", flags[:self.traits.legacy], flags, 0x100)
        self.make_operands()
        self.make_opcodes()

    def pool(self, name, first, value_of, most, use=None):
        def of(rows):
            values = [value_of(row) for row in rows]
            return [first] + (sorted(values, key=lambda value: -use.get(value, 0)) if use else sorted(values))

        return Pool(name, of([row for row in self.rows if row.legacy]), of(self.rows), most)

    def use_of_shapes(self):
        """How many opcodes of the maps that most instructions are in have a shape: lines of a cache are to be shared."""
        use = {}
        for name in MAPS[:FLAT_MAPS]:
            for root in self.trees.roots[name]:
                if isinstance(root, int) and 0 < root < self.forms:
                    shape = form_shape(self.rows[root - 1])
                    use[shape] = use.get(shape, 0) + 1
        return use

    def make_operands(self):
        lists = [[operand_template(row, operand) for operand in row.operands] for row in self.rows]
        numbers, self.starts = shared_sequences(lists)
        legacy = [start + len(row.operands) for row, start in zip(self.rows, self.starts) if row.legacy]
        self.legacy_numbers = max(legacy)
        self.templates = Pool("operands", numbers[:self.legacy_numbers], numbers, 0x10000 // TEMPLATE_SIZE)
        self.numbers = [str(TEMPLATE_SIZE * self.templates[template]) for template in numbers]
        if len(numbers) > 0x1000 or max(map(len, lists)) > MOST_OPERANDS:
            raise TableError("too many operands")

    def make_opcodes(self):
        """Flat maps; then blocks, and which block it is by map and opcode."""
        roots = [(root, length) for name in MAPS[:FLAT_MAPS]
                 for root, length in zip(self.trees.roots[name], self.trees.lengths[name])]
        self.flat = [self.flat_opcode(*root, FLAT_AT // 2 + 4 * place + 2) for place, root in enumerate(roots)]
        legacy = [block for name in MAPS[FLAT_MAPS:LEGACY_MAPS] for block in self.blocks_of(name)]
        vector = [block for name in MAPS[LEGACY_MAPS:-DENSE_MAPS] for block in self.blocks_of(name)]
        self.blocks = Pool("blocks", legacy, legacy + vector, 0x100)
        self.block_numbers = [[self.blocks[block] for block in self.blocks_of(name)]
                              for name in MAPS[FLAT_MAPS:-DENSE_MAPS]]
        self.dense = [[opcode for block in self.blocks_of(name) for opcode in block] for name in MAPS[-DENSE_MAPS:]]

    def flat_opcode(self, root, length, own_base):
        if isinstance(root, tuple):
            return (NODES_AT // 2 + root[1], length, 4 * root[0], 0, 0, -1)
        if length == PREFIX_LENGTH:
            return (NODES_AT // 2 + self.trees.place_of(0), length, 4 * RARE_KIND, root, 0, 0)
        return (own_base, length, 4 * RARE_KIND, root, self.shapes[form_shape(self.rows[root - 1])] if root else 0, 0)

    def blocks_of(self, name):
        opcodes = []
        for (kind, place), length in zip(self.trees.roots[name], self.trees.lengths[name]):
            opcodes.append((NODES_AT // 2 + place, length, 4 * kind))
        return [tuple(opcodes[start:start + BLOCK]) for start in range(0, 256, BLOCK)]

    @property
    def sizes(self):
        """Of enum built: all, and what a build without vector maps has."""
        return {"maps": (len(MAPS) - DENSE_MAPS, LEGACY_MAPS), "blocks": (len(self.blocks), self.blocks.legacy),
                "shapes": (len(self.shapes), self.shapes.legacy),
                "nodes": (len(self.trees.nodes), self.trees.legacy_nodes), "forms": (self.forms, self.legacy_forms)}


def opcode_text(opcode):
    return f"{{{opcode[0]:#06x}, {opcode[1]:#04x}, {opcode[2]}}}"


def flat_text(opcode):
    return f"{{{opcode_text(opcode[:3])}, {', '.join(map(str, opcode[3:]))}}}"


def form_text(pools, row, start):
    return (f"{{{len(row.operands) << 12 | start:#06x}, {pools.shapes[form_shape(row)]}, {pools.traits[form_traits(row)]}}}")


def decode_tables(pools):
    text = "const struct decode_tables x86emu_decode_tables ALIGNED_TABLES = {\n.modes = {\n"
    for *lists, state, selectors in states():
        lists = ",\n     ".join("{" + ", ".join(map(str, values)) + "}" for values in lists)
        text += f"    {{{lists}, {state:#x}, {selectors:#x}}},\n"
    text += "},\n.masks = {" + ", ".join(f"{(1 << 8 * size) - 1:#x}" for size in range(9))
    text += "},\n.signs = {0, " + ", ".join(f"{1 << 8 * size - 1:#x}" for size in range(1, 9)) + "},\n.flat = {\n"
    for start in range(0, len(pools.flat), 256):
        text += "{\n" + lines_of(map(flat_text, pools.flat[start:start + 256]), 4) + "},\n"
    text += "},\n.nodes = {\n" + cut_text([f"{entry:#06x}" for entry in pools.trees.nodes], pools.trees.legacy_nodes, 12)
    text += "},\n.shapes = {\n" + pools.shapes.text(lambda shape: f"{{{shape[0]:#x}, {', '.join(map(str, shape[1:]))}}}")
    text += "},\n.blocks = {\n" + cut_text(["{" + ", ".join(map(str, numbers)) + "}" for numbers in pools.block_numbers],
                                           LEGACY_MAPS - FLAT_MAPS)
    text += "},\n.opcodes = {\n" + pools.blocks.text(lambda block: "{" + ", ".join(map(opcode_text, block)) + "}")
    text += "},\n#ifndef X86EMU_NO_VECTOR_MAPS\n.dense = {\n"
    for opcodes in pools.dense:
        text += "{\n" + lines_of(map(opcode_text, opcodes), 6) + "},\n"
    forms = ["{0, 0, 0}"] + [form_text(pools, row, start) for row, start in zip(pools.rows, pools.starts)]
    return text + "},\n#endif\n.forms = {\n" + cut_text(forms, pools.legacy_forms, 6) + "},\n};\n\n"


def traits_text(pools, traits):
    flags, privileged, rounding, (*features, needs_vl) = traits
    features = ", ".join(f"X86EMU_FEATURE_{name}" for name in features)
    return f"{{{pools.flags[flags]}, {privileged | rounding << 1 | needs_vl << 2}, {features}}}"


def first_forms(pools):
    """Bits: which rows are the first of their mnemonic; and for each 32 of them, how many there are before."""
    rows = [None, *pools.rows]
    firsts = [form > 0 and (form == 1 or row.mnemonic != rows[form - 1].mnemonic) for form, row in enumerate(rows)]
    words = [firsts[start:start + 32] for start in range(0, len(firsts), 32)]
    before = [sum(firsts[:start]) for start in range(0, len(firsts), 32)]
    return [f"{sum(bit << place for place, bit in enumerate(word)):#x}" for word in words], list(map(str, before))


def tables_c(pools):
    return NOTE + '#include "tables.h"\n\n' + decode_tables(pools)


def rows_c(pools):
    firsts, before = first_forms(pools)
    legacy_words = (pools.legacy_forms + 31) // 32
    text = NOTE + '#include "tables.h"\n\n#include <x86emu/forms.h>\n\n#include "flag_table.h"\n\n'
    text += "const struct traits x86emu_traits[] = {\n" + pools.traits.text(lambda traits: traits_text(pools, traits))
    text += "};\n\nconst uint16_t x86emu_operand_places[] = {\n"
    text += cut_text(pools.numbers, pools.legacy_numbers, 24) + "    0, 0, /* x86emu_insn_operands() looks at two */\n"
    text += "};\n\nconst struct operand_template x86emu_operand_templates[] = {\n" + pools.templates.text(str)
    text += "};\n\nconst uint32_t x86emu_first_forms[] = {\n" + cut_text(firsts, legacy_words, 8)
    text += "};\n\nconst uint16_t x86emu_mnemonics_before[] = {\n" + cut_text(before, legacy_words, 16)
    text += "};\n\nconst struct x86emu_form_flags x86emu_flag_table[] = {\n"
    return text + pools.flags.text(lambda entry: "{" + ", ".join(f"{flags:#x}" for flags in entry) + "}") + "};\n"


def name_pool(kind, names):
    """Names in one pool with offsets: an array of pointers would need relocations."""
    text = f"const char x86emu_{kind}_pool[] = {{\n"
    offsets, at = [], 0
    for name in names:
        text += "    " + ", ".join(f"'{letter}'" for letter in name) + ", 0,\n"
        offsets.append(str(at))
        at += len(name) + 1
    return text + f"}};\n\nconst uint16_t x86emu_{kind}_offsets[] = {{\n" + lines_of(offsets) + "};\n"


def names_c(mnemonics, features):
    return (NOTE + '#include "names.h"\n\n' + name_pool("mnemonic", [name.lower() for name in mnemonics]) + "\n" +
            name_pool("feature", features))


def names_h(mnemonics):
    return (NOTE + "#ifndef X86EMU_DECODE_NAMES_H\n#define X86EMU_DECODE_NAMES_H\n\n#include <stdint.h>\n\n"
            f"enum {{ MNEMONIC_COUNT = {len(mnemonics)} }};\n\nextern const char x86emu_mnemonic_pool[];\n"
            "extern const uint16_t x86emu_mnemonic_offsets[];\nextern const char x86emu_feature_pool[];\n"
            "extern const uint16_t x86emu_feature_offsets[];\n\n#endif\n")


def dispatch_c(rows):
    text = NOTE + '#include "functions.h"\n\nvoid x86emu_dispatch(struct exec *x, unsigned form)\n{\n    switch (form) {\n'
    functions = sorted({row.function for row in rows if row.function})
    for function in functions:
        for row in rows:
            if row.function == function:
                text += f"    case {row.number}: /* {row.name} */\n"
        text += f"        x86emu_exec_{function}(x);\n        break;\n"
    text += "    default:\n        x86emu_not_emulated(x, X86EMU_REASON_NO_FUNCTION);\n        break;\n    }\n}\n"
    return text


def functions_h(rows):
    text = NOTE + "#ifndef X86EMU_EXEC_FUNCTIONS_H\n#define X86EMU_EXEC_FUNCTIONS_H\n\n#include \"../exec.h\"\n\n"
    for function in sorted({row.function for row in rows if row.function}):
        text += f"void x86emu_exec_{function}(struct exec *x);\n"
    most = max(sum(row.is_memory(operand) for operand in row.operands) for row in rows if row.function)
    text += "\n/* Memory operands of the emulated row that has most. */\n"
    text += f"enum {{ EXEC_MOST_MEMORY_OPERANDS = {most} }};\n"
    return text + "\n#endif\n"


def flag_table_h():
    return (NOTE + "#ifndef X86EMU_DECODE_FLAG_TABLE_H\n#define X86EMU_DECODE_FLAG_TABLE_H\n\n"
            "#include <x86emu/forms.h>\n\nextern const struct x86emu_form_flags x86emu_flag_table[];\n\n#endif\n")


def mark_lengths(rows):
    """AVX512VL brings the shorter lengths of what exists with 512 bits; scalars have no length."""
    def key(row):
        return (row.map, row.opcodes[0], row.mnemonic, *(sorted(row.conditions.get(name, ())) for name in ("pp", "w", "reg")))

    lengths = {}
    for row in rows:
        if row.map.startswith("evex"):
            lengths.setdefault(str(key(row)), set()).update(row.conditions["vl"])
    for row in rows:
        row.needs_vl = row.map.startswith("evex") and not row.scalar and 2 in lengths[str(key(row))]


def read_rows():
    rows = []
    for path in sorted(TABLES.glob("*.tbl")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            line = line.split("#")[0].strip()
            if line:
                rows.append(Row(f"{path.relative_to(ROOT)}:{number}", line))
    # By mnemonic, those with a legacy encoding first: see struct form_names, and BUILT_FORMS.
    legacy = {row.mnemonic for row in rows if row.map in MAPS[:LEGACY_MAPS]}
    rows.sort(key=lambda row: (row.mnemonic not in legacy, row.mnemonic))
    for number, row in enumerate(rows, 1):
        row.number = number
        row.legacy = row.mnemonic in legacy
    mark_lengths(rows)
    return rows


def generate():
    rows = read_rows()
    pools = Pools(rows, Trees(rows))
    features = ["NONE"] + sorted({name for row in rows for name in row.requirement[:3]} - {"NONE"} | {"AVX512VL"})
    return {
        "include/x86emu/mnemonics.h": mnemonics_h(rows, pools.mnemonics, features),
        "src/decode/generated/tables.h": tables_h(pools),
        "src/decode/generated/flag_table.h": flag_table_h(),
        "src/decode/generated/tables.c": tables_c(pools),
        "src/decode/generated/rows.c": rows_c(pools),
        "src/decode/generated/names.h": names_h(pools.mnemonics),
        "src/decode/generated/names.c": names_c(pools.mnemonics, features),
        "src/exec/generated/functions.h": functions_h(rows),
        "src/exec/generated/dispatch.c": dispatch_c(rows),
    }


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    try:
        files = generate()
    except TableError as error:
        sys.exit(str(error))
    stale = [name for name, text in files.items()
             if not (ROOT / name).exists() or (ROOT / name).read_text() != text]
    if check:
        if stale:
            sys.exit("not current: " + ", ".join(stale) + "; run tools/generate.py")
        return
    for name in stale:
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(files[name])


if __name__ == "__main__":
    main()
