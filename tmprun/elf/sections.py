"""What AppImage tools keep in the program at an image's head: update information and signature.

Sections of an ELF file, each filled up with zeros (AppImage specification, "Embedded update information" and
"Embedded signature").
"""

from __future__ import annotations

import os
from collections.abc import Callable

from tmprun.elf.header import LARGEST_TABLE, SHT_NOBITS, SIZE, Header, parse
from tmprun.errors import TmprunError

Read = Callable[[int, int], bytes]

UPDATE_INFORMATION = b".upd_info"
SIGNATURE = b".sha256_sig"

MAX_SIZE = 64 << 10  # bytes; the sections have 1024, 8192 at most
MAX_NAMES = 1 << 20


def section(fd: int, name: bytes) -> bytes | None:
    """The section `name` of the ELF file open as `fd` up to its first zero byte; None when there is none.

    Any other file, and one whose headers lie, has none.
    """

    def read(offset: int, size: int) -> bytes:
        return os.pread(fd, size, offset) if offset < 1 << 62 else b""

    found = _find(read, name)
    return None if found is None else read(found[0], min(found[1], MAX_SIZE)).split(b"\0")[0]


def with_update_information(stub: bytes, text: str) -> bytes:
    """`stub` with `text` in its section .upd_info, where AppImage's update tools look for it, the rest of that zero."""
    found = _find(lambda offset, size: stub[offset : offset + size], UPDATE_INFORMATION)
    if found is None:
        raise TmprunError(f"the stub has no section {os.fsdecode(UPDATE_INFORMATION)}", remedy="build the engine again")
    offset, size = found
    raw = text.encode("utf-8", "surrogateescape")
    if len(raw) >= size or not text.isprintable():
        raise TmprunError("illegal update information", remedy=f"give one line of at most {size - 1} bytes")
    return stub[:offset] + raw.ljust(size, b"\0") + stub[offset + size :]


def _find(read: Read, name: bytes) -> tuple[int, int] | None:
    """File offset and size of the section `name`: (0, 0) when it takes no room in the file, None when there is none."""
    header = parse(read(0, SIZE))
    rows = _rows(read, header) if header else []
    if header is None or header.names >= len(rows):
        return None
    names = read(*_content(rows[header.names], MAX_NAMES))
    wanted = (row for row in rows if names[row[0] : row[0] + len(name) + 1] == name + b"\0")
    return next((_content(row, row[3]) for row in wanted), None)


def _rows(read: Read, header: Header) -> list[tuple[int, int, int, int]]:
    """The section headers; none when they are cut short."""
    size = header.section_size * header.sections
    table = read(header.sections_at, size) if size <= LARGEST_TABLE else b""
    return header.sections_of(table) if len(table) == size else []


def _content(row: tuple[int, int, int, int], limit: int) -> tuple[int, int]:
    _, kind, offset, size = row
    return (0, 0) if kind == SHT_NOBITS else (offset, min(size, limit))
