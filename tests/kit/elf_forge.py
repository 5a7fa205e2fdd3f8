"""ELF files made byte by byte, right ones and wrong ones."""

from __future__ import annotations

import struct

EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
PHDR = struct.Struct("<IIQQQQQQ")
SHDR = struct.Struct("<IIQQQQIIQQ")
LOADER = b"/lib64/ld-linux-x86-64.so.2\0"
PAGE = 4096


def program(
    *, interpreter: bytes = LOADER, gap: int = PAGE, tail: bytes = b"", sections: bool = True, filler: bytes = b"\0"
) -> bytes:
    """A program as linkers lay it out: headers and interpreter, `gap` bytes of `filler`, code, sections, `tail`."""
    name_at = EHDR.size + 2 * PHDR.size
    code_at = name_at + len(interpreter) + gap
    code = b"\xc3" * 64
    table_at = code_at + len(code) if sections else 0
    ident = b"\x7fELF\2\1\1".ljust(16, b"\0")
    counts = (64, 56, 2, 64, 2 if sections else 0, 0)
    head = EHDR.pack(ident, 3, 62, 1, code_at, EHDR.size, table_at, 0, *counts)
    rows = PHDR.pack(3, 4, name_at, name_at, name_at, len(interpreter), len(interpreter), 1)
    rows += PHDR.pack(1, 5, code_at, code_at, code_at, len(code), len(code), PAGE)
    table = SHDR.pack(*[0] * 10) + SHDR.pack(0, 1, 6, code_at, code_at, len(code), 0, 0, 16, 0) if sections else b""
    return head + rows + interpreter + (filler * gap)[:gap] + code + table + tail
