"""The ELF program in front of a foreign image: for which machine it is, and where the payload behind it begins.

The AppImage runtimes append the payload to their own ELF file, so it begins where that file ends: behind the table of
section headers or the last section, whichever is later. We compute the same and look at that place only; the payload's
magic also occurs inside static runtimes, so nobody can search for it. The bytes `AI` at offset 8, which mark an
AppImage, are not asked for: people zero them because they break the rules of binfmt_misc.

Offsets of ELF fields: System V gABI, "ELF Header" and "Section Header".
"""

from __future__ import annotations

import struct

from tmprun.errors import BadImage, UnsupportedImage
from tmprun.images.source import Source

SQUASHFS = b"hsqs"
NOBITS = 8  # a section that takes no room in the file

# ELF class -> size of the header, its fields e_shoff, e_shentsize, e_shnum, and a section header's type, offset, size.
_CLASSES = {
    1: (52, "I", 32, "HH", 46, "III", (4, 16, 20), 40),
    2: (64, "Q", 40, "HH", 58, "IQQ", (4, 24, 32), 64),
}
# (e_machine, ELF class, byte order) as in the ELF header -> name as in `uname -m`.
_MACHINES = {
    (62, 2, 1): "x86_64", (183, 2, 1): "aarch64", (3, 1, 1): "i386", (40, 1, 1): "armhf", (62, 1, 1): "x32",
    (243, 2, 1): "riscv64", (21, 2, 1): "ppc64le", (22, 2, 2): "s390x", (258, 2, 1): "loongarch64",
}  # fmt: skip
# Where a primary volume descriptor may lie: type-1 images, whose file system begins at the file's start.
_ISO_PLACES = (32769, 34817, 36865)


class Head:
    """`machine` as `uname -m` names it, or `ELF machine N`; `payload` is the file offset where the squashfs begins."""

    __slots__ = ("machine", "payload")

    def __init__(self, machine: str, payload: int) -> None:
        self.machine = machine
        self.payload = payload


def read_head(source: Source) -> Head:
    """Find the squashfs payload. BadImage when there is none, UnsupportedImage when it is one that we do not read."""
    start = source.read(0, min(64, source.size))
    if not start.startswith(b"\x7fELF"):
        raise BadImage(
            "is empty" if not start else "is not an AppImage (no program at its start)", remedy="check the file"
        )
    if len(start) < 20 or start[4] not in _CLASSES or start[5] not in (1, 2):
        raise BadImage("its ELF header is damaged", remedy="download it again")
    order = "<" if start[5] == 1 else ">"
    payload = _end_of_program(source, start, order)
    _check_payload(source, payload)
    (number,) = struct.unpack_from(order + "H", start, 18)
    return Head(_MACHINES.get((number, start[4], start[5]), f"ELF machine {number}"), payload)


def _end_of_program(source: Source, start: bytes, order: str) -> int:
    """The end of the ELF file itself as the runtimes compute it; 0 when it has no sections to tell."""
    size, word, at_offset, halves, at_entries, fields, places, least = _CLASSES[start[4]]
    if len(start) < size:
        raise BadImage("its ELF header is cut short", remedy="download it again")
    (offset,) = struct.unpack_from(order + word, start, at_offset)
    entry, count = struct.unpack_from(order + halves, start, at_entries)
    if not offset or not count or entry < least:
        return 0
    last = source.read(offset + entry * (count - 1), least)
    kind, where, length = (
        struct.unpack_from(order + field, last, at)[0] for field, at in zip(fields, places, strict=True)
    )
    return int(max(offset + entry * count, 0 if kind == NOBITS else where + length))


def _check_payload(source: Source, payload: int) -> None:
    magic = source.read(payload, 6) if 0 < payload <= source.size - 6 else b""
    if magic.startswith(SQUASHFS):
        return
    if _is_iso(source):
        raise UnsupportedImage(
            "is a type-1 AppImage (ISO 9660), which tmprun cannot read yet", remedy="get a newer release of it"
        )
    if magic == b"DWARFS":
        raise UnsupportedImage(
            "its payload is DwarFS, which tmprun cannot read", remedy="get an AppImage with squashfs"
        )
    if payload > source.size:
        raise BadImage(
            f"is cut short: the program at its start says that it has {payload} bytes", remedy="download it again"
        )
    raise BadImage("is a program without an AppImage's payload", remedy="start it without tmprun")


def _is_iso(source: Source) -> bool:
    return any(place + 5 <= source.size and source.read(place, 5) == b"CD001" for place in _ISO_PLACES)
