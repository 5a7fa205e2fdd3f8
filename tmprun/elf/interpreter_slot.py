"""Where an ELF program names its interpreter, and where a longer name could stand without anything being moved.

It reads a few hundred bytes of each program.
"""

from __future__ import annotations

from tmprun.elf.header import PT_INTERP, SHT_NOBITS, SIZE, Header, parse
from tmprun.index.rules import AT_END, MAX_INTERPRETER, PROGRAM_HEADER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes]

# 64 bits, little-endian, version 1: what the machines are that the engine runs on.
IDENT = b"\x7fELF\2\1\1"

# No program has as many; a table that claims more lies. (Linkers write some 15 segments and 40 sections.)
MOST_SEGMENTS = 256
MOST_SECTIONS = 4096
# Bytes that the path of a loader in a store takes at most, in practice, and the least that are of any use.
PLENTY = 512
ENOUGH = 256
MOST = 4096


class Unfit(Exception):
    """The program names an interpreter that cannot be changed; the text says why."""


class Slot:
    """`path` is the interpreter, `header` the file offset of PT_INTERP's program header; `at`, `room` as in a fixup."""

    def __init__(self, path: bytes, header: int, at: int, room: int) -> None:
        self.path = path
        self.header = header
        self.at = at
        self.room = room


def slot_of(read: Read, size: int) -> Slot | None:
    """The slot of the file of `size` bytes that `read(offset, length)` gives.

    None when it is no dynamic program of the kind we know. Unfit when it is one, but damaged, or without room.
    """
    start = read(0, SIZE)
    header = parse(start) if start.startswith(IDENT) else None
    if header is None or header.segments == 0:
        return None
    if header.segment_size != header.segment_row or header.segments > MOST_SEGMENTS:
        raise Unfit("its program headers lie")
    table = _table(read, size, header.segments_at, header.segment_row * header.segments)
    rows = header.segments_of(table)
    named = [number for number, (kind, _, _) in enumerate(rows) if kind == PT_INTERP]
    if not named:
        return None
    if len(named) > 1:
        raise Unfit("it names several interpreters")
    owned = [(0, SIZE), (header.segments_at, header.segments_at + len(table))]
    owned += [(offset, offset + length) for _, offset, length in rows]
    owned += _sections(read, size, header)
    at, room = _room(read, size, owned)
    _, offset, length = rows[named[0]]
    return Slot(_path(read, offset, length), header.segments_at + PROGRAM_HEADER * named[0], at, room)


def _table(read: Read, size: int, at: int, length: int) -> bytes:
    table = read(at, length) if at + length <= size else b""
    if len(table) != length:
        raise Unfit("its headers lie outside of the file")
    return table


def _path(read: Read, offset: int, length: int) -> bytes:
    raw = read(offset, length) if length <= MOST else b""
    path = raw.removesuffix(b"\0")
    if len(raw) != len(path) + 1 or not path.startswith(b"/") or len(path) > MAX_INTERPRETER:
        raise Unfit("its interpreter's name is damaged")
    if b"\0" in path or b"\n" in path:
        raise Unfit("its interpreter's name is damaged")
    return path


def _sections(read: Read, size: int, header: Header) -> list[tuple[int, int]]:
    """What the sections own of the file, and their table; nothing when there are none, as after sstrip."""
    at = header.sections_at
    if at == 0:
        return []
    if header.section_size != header.section_row or not 0 < header.sections <= MOST_SECTIONS:
        raise Unfit("its section headers lie")
    table = _table(read, size, at, header.section_row * header.sections)
    rows = [(start, length) for _, kind, start, length in header.sections_of(table) if kind != SHT_NOBITS]
    return [(at, at + len(table)), *((start, start + length) for start, length in rows if length)]


def _room(read: Read, size: int, owned: list[tuple[int, int]]) -> tuple[int, int]:
    """Offset and length of zeros that nobody owns, or the file's end when that is the program's end, too."""
    end, small = 0, None
    for start, stop in sorted(owned):
        if stop > size:
            raise Unfit("its headers lie outside of the file")
        gap = start - end
        if gap >= ENOUGH:
            room = min(gap, MOST)
            if not any(read(end, room)):
                if gap >= PLENTY:
                    return end, room
                small = small or (end, room)
        end = max(end, stop)
    if end == size:
        return size, AT_END
    if small:
        return small
    raise Unfit("it has data behind its end, and no room before it")
