"""The loader of a slice: one that looks for libraries in its own slice, and nowhere else on the machine.

glibc's loader searches, when run paths and LD_LIBRARY_PATH have not helped, /etc/ld.so.cache and then its default
directories. Both names stand in it as strings. The copy in a slice asks for another cache, whose path is written behind
the program when the slice is unpacked (stub/slices/own.c); the default directories lead nowhere. So all is found
in the order in which it is found on a machine with glibc, with the slice where that machine's own libraries are.
"""

from __future__ import annotations

import re
import struct

from tmprun.elf.header import SIZE
from tmprun.elf.machines import HEAD, machine_of
from tmprun.errors import TmprunError

ROOM = 4096
"""Bytes at the end of the loader for the cache's path: as long as a path can be."""
MARK = b"tmprun: the path of ld.so.cache"
"""What stands in the room until then."""

_CACHE = b"\0/etc/ld.so.cache\0"
_DEFAULTS = re.compile(rb"(?<=\0)/(?:usr/)?(?:local/)?lib(?:32|64|x32)?/(?:[a-z0-9_]+-linux-gnu[a-z0-9]*/)?(?=\0)")
_PAGES = {"x86_64": 4096, "aarch64": 65536}  # the largest that a kernel for the machine has
_ROW = struct.Struct("<IIQQQQQQ")  # Elf64_Phdr
_LOAD, _NOTE, _EXECUTABLE, _READABLE = 1, 4, 1, 4
_LEA = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]", re.DOTALL)  # lea disp32(%rip), %reg
# aarch64, instructions of 32 bits: adrp REG, PAGE and add REG, REG, #OFFSET, which need not follow at once.
_ADRP, _ADRP_BITS, _ADD, _ADD_BITS = 0x90000000, 0x9F000000, 0x91000000, 0xFFC00000
_NEAR = 32


class _Row:
    """One program header, and where it stands."""

    def __init__(self, program: bytes | bytearray, at: int) -> None:
        self.at = at
        self.kind, self.flags, self.offset, self.address, _, self.size, self.memory, _ = _ROW.unpack_from(program, at)


def for_slice(loader: bytes, name: str) -> bytes:
    """The loader `name` as a slice has it. TmprunError when it is none that we understand."""
    machine = machine_of(loader[:HEAD])
    if machine not in _PAGES:
        raise TmprunError(f"is no loader for {' or '.join(_PAGES)}, which slices are made for", name)
    page = _PAGES[machine]
    program = bytearray(_DEFAULTS.sub(lambda found: b"/" + b"\x7f" * (len(found[0]) - 2) + b"/", loader))
    rows = _rows(program)
    loads = [row for row in rows if row.kind == _LOAD]
    at = program.find(_CACHE) + 1
    holder = next((row for row in loads if row.offset <= at < row.offset + row.size), None)
    note = next((row for row in rows if row.kind == _NOTE and loads and row.at > loads[-1].at), None)
    if not at or holder is None or note is None:
        raise TmprunError("is not built as glibc's loaders are", name, "make the slice on another machine")
    program += bytes(-len(program) % page)
    address = max(row.address + row.memory for row in loads)
    address += -address % page
    lead = _lead if machine == "x86_64" else _lead_aarch64
    if not lead(program, loads, holder.address + at - holder.offset, address):
        raise TmprunError("does not say where it looks for its cache", name, "make the slice on another machine")
    _ROW.pack_into(program, note.at, _LOAD, _READABLE, len(program), address, address, ROOM, ROOM, page)
    return bytes(program) + MARK.ljust(ROOM, b"\0")


def _rows(program: bytearray) -> list[_Row]:
    (table,) = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    if size != _ROW.size or table < SIZE or table + size * count > len(program):
        return []
    return [_Row(program, table + size * number) for number in range(count)]


def _lead(program: bytearray, loads: list[_Row], old: int, new: int) -> int:
    """Let each instruction that takes the address `old` take `new`; how many there were."""
    count = 0
    for row in loads:
        if not row.flags & _EXECUTABLE:
            continue
        for found in _LEA.finditer(program, row.offset, row.offset + row.size - 4):
            at = found.end()
            behind = row.address + at + 4 - row.offset  # %rip is that of the next instruction
            if behind + struct.unpack_from("<i", program, at)[0] == old:
                struct.pack_into("<i", program, at, new - behind)
                count += 1
    return count


def _lead_aarch64(program: bytearray, loads: list[_Row], old: int, new: int) -> int:
    """The same; 0, too, when one of them is not understood."""
    count = 0
    for row in loads:
        end = min(row.offset + row.size, len(program))
        if not row.flags & _EXECUTABLE or row.offset % 4:
            continue
        words = list(struct.unpack_from(f"<{(end - row.offset) // 4}I", program, row.offset))
        for number, word in enumerate(words):
            register = word >> 5 & 31
            if word & _ADD_BITS != _ADD or word >> 10 & 0xFFF != old & 0xFFF:
                continue
            asks = _page_asked(words, number, register)
            if asks is None or _page_of(words[asks], row.address + 4 * asks) != old & ~0xFFF:
                continue
            if word & 31 != register:  # the page stays in its register, for others to use
                return 0
            pages = (new >> 12) - (row.address + 4 * asks >> 12)
            page = _ADRP | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5 | register
            struct.pack_into("<I", program, row.offset + 4 * asks, page)
            struct.pack_into(
                "<I", program, row.offset + 4 * number, _ADD | (new & 0xFFF) << 10 | register << 5 | register
            )
            count += 1
    return count


def _page_asked(words: list[int], number: int, register: int) -> int | None:
    """The adrp that the register's content before that instruction comes from; None where somebody else may have a
    hand in it."""
    for at in range(number - 1, max(number - _NEAR, 0) - 1, -1):
        if _may_use(words[at], register):
            return at if words[at] & _ADRP_BITS == _ADRP else None
    return None


def _page_of(word: int, here: int) -> int:
    """What an adrp at that address makes of it: a signed number of pages away."""
    pages = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
    return (here & ~0xFFF) + ((pages ^ 1 << 20) - (1 << 20) << 12)


def _may_use(word: int, register: int) -> bool:
    """Whether an instruction has the register's number in a place for one: of some that are known to have fewer, only
    these are looked at."""
    places = [word & 31]
    if word & 0x1F800000 != 0x12800000 and word & 0x1F000000 != 0x10000000:  # mov of a constant; adr and adrp
        places += [word >> 5 & 31, word >> 10 & 31, word >> 16 & 31]
    return register in places
