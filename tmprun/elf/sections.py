"""What AppImage tools keep in the program at an image's head: update information and signature.

Sections of an ELF file, each filled up with zeros (AppImage specification, "Embedded update information" and
"Embedded signature"). A type-1 image has its update information at a fixed place in its ISO 9660 header instead.
Offsets of ELF fields: System V gABI, "ELF Header" and "Section Header".
"""

from __future__ import annotations

import os
import struct

UPDATE_INFORMATION = b".upd_info"
SIGNATURE = b".sha256_sig"
ISO_UPDATE_INFORMATION = (0x8373, 512)

MAX_SIZE = 64 << 10  # bytes; the sections have 1024, 8192 at most
MAX_NAMES = 1 << 20

# ELF class -> size of the header, format and place of e_shoff, place of e_shentsize, e_shnum and e_shstrndx, and of a
# section header the name, type, offset and size.
_CLASSES = {1: (52, "I", 32, 46, "II8xII"), 2: (64, "Q", 40, 58, "II16xQQ")}
_NOBITS = 8


def section(fd: int, name: bytes) -> bytes | None:
    """The section `name` of the ELF file open as `fd` up to its first zero byte; None when there is none.

    Any other file, and one whose headers lie, has none.
    """
    start = os.pread(fd, 64, 0)
    if len(start) < 52 or not start.startswith(b"\x7fELF") or start[4] not in _CLASSES or start[5] not in (1, 2):
        return None
    order = "<" if start[5] == 1 else ">"
    head, word, at_table, at_numbers, fields = _CLASSES[start[4]]
    (table,) = struct.unpack_from(order + word, start.ljust(head, b"\0"), at_table)
    entry, count, names_at = struct.unpack_from(order + "HHH", start.ljust(head, b"\0"), at_numbers)
    headers = _Headers(fd, table, entry, count, struct.Struct(order + fields))
    names = headers.content(names_at, MAX_NAMES)
    for number in range(count if names else 0):
        at = headers.rows[number][0]
        if names[at : at + len(name) + 1] == name + b"\0":
            return headers.content(number, MAX_SIZE).split(b"\0")[0]
    return None


class _Headers:
    """The section headers of an ELF file: `rows` of name, type, offset and size; none when they are cut short."""

    def __init__(self, fd: int, table: int, entry: int, count: int, fields: struct.Struct) -> None:
        self.fd = fd
        raw = _read(fd, table, entry * count) if entry >= fields.size else b""
        whole = count if raw and len(raw) == entry * count else 0
        self.rows = [fields.unpack_from(raw, entry * number) for number in range(whole)]

    def content(self, number: int, limit: int) -> bytes:
        """The section's content, at most `limit` bytes of it; nothing when there is none."""
        if number >= len(self.rows):
            return b""
        _, kind, offset, size = self.rows[number]
        return b"" if kind == _NOBITS else _read(self.fd, offset, min(size, limit))


def _read(fd: int, offset: int, size: int) -> bytes:
    return os.pread(fd, size, offset) if offset < 1 << 62 else b""


def iso_update_information(fd: int) -> bytes:
    """The update information of a type-1 image."""
    offset, size = ISO_UPDATE_INFORMATION
    return os.pread(fd, size, offset).split(b"\0")[0].strip()
