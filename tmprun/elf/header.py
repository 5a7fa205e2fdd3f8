"""Where an ELF file's tables are, and what their rows say: the only place that knows the layout of ELF headers.

It looks at bytes that others have read, and believes none: whoever uses an offset or a size checks it against the
file. Source: System V gABI, "ELF Header", "Sections", "Program Header".
"""

from __future__ import annotations

import struct

from tmprun.elf.machines import HEAD, MAGIC

SIZE = 64
"""So many bytes from a file's start hold the header, of either class."""

LARGEST_TABLE = 8 << 20
"""Bytes; 65,535 rows of section headers, more than there can be, take 4 MiB."""

PT_INTERP = 3
SHT_NOBITS = 8  # a section that takes no room in the file

_ORDERS = {1: "<", 2: ">"}
# By ELF class. Of the header, the tables' offsets, then size and number of their rows and the section with the names;
# of a row what _segment and _section return.
_HEADERS = {1: "28xII6xHHHHH", 2: "32xQQ6xHHHHH"}
_SEGMENTS = {1: "II8xI12x", 2: "I4xQ16xQ16x"}
_SECTIONS = {1: "II8xII16x", 2: "II16xQQ24x"}


class Header:
    """Offsets and sizes of the two tables, in bytes, and of how many rows they say that they are.

    `names` is the number of the section that holds the sections' names. `segment_row` and `section_row` are the sizes
    that rows have in files of this class.
    """

    def __init__(self, kind: int, order: str, fields: tuple[int, ...]) -> None:
        self.segments_at, self.sections_at = fields[:2]
        self.segment_size, self.segments, self.section_size, self.sections, self.names = fields[2:]
        self._segment = struct.Struct(order + _SEGMENTS[kind])
        self._section = struct.Struct(order + _SECTIONS[kind])
        self.segment_row, self.section_row = self._segment.size, self._section.size

    def segments_of(self, table: bytes) -> list[tuple[int, int, int]]:
        """Type, file offset and size in the file of each whole row of `table`."""
        return [self._segment.unpack_from(table, at) for at in _rows(table, self.segment_size, self.segment_row)]

    def sections_of(self, table: bytes) -> list[tuple[int, int, int, int]]:
        """Place of the name, type, file offset and size of each whole row of `table`."""
        return [self._section.unpack_from(table, at) for at in _rows(table, self.section_size, self.section_row)]


def _rows(table: bytes, size: int, least: int) -> range:
    return range(0, len(table) - least + 1, size) if size >= least else range(0)


def is_sound(start: bytes) -> bool:
    """Whether a file that begins with `start` is ELF of a class and byte order that there are."""
    return len(start) >= HEAD and start.startswith(MAGIC) and start[4] in _HEADERS and start[5] in _ORDERS


def parse(start: bytes) -> Header | None:
    """The header of a file that begins with `start`, `SIZE` bytes or all of it; None when there is no whole one."""
    if not is_sound(start):
        return None
    order = _ORDERS[start[5]]
    fields = struct.Struct(order + _HEADERS[start[4]])
    return Header(start[4], order, fields.unpack_from(start)) if len(start) >= fields.size else None
