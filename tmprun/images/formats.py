"""The ELF program in front of a foreign image: for which machine it is, and where the payload behind it begins.

The AppImage runtimes append the payload to their own ELF file, so it begins where that file ends: behind the table of
section headers or the last section, whichever is later. We compute the same and look at that place only; the payload's
magic also occurs inside static runtimes, so nobody can search for it. The bytes `AI` at offset 8, which mark an
AppImage, are not asked for: people zero them because they break the rules of binfmt_misc.
"""

from __future__ import annotations

from tmprun.elf.header import SHT_NOBITS, SIZE, Header, is_sound, parse
from tmprun.elf.machines import MAGIC, machine_of
from tmprun.errors import BadImage, UnsupportedImage
from tmprun.images.iso import is_iso
from tmprun.images.source import Source

SQUASHFS = b"hsqs"


class Head:
    """`machine` as `uname -m` names it, or `ELF machine N`; `payload` is the file offset where the squashfs begins."""

    __slots__ = ("machine", "payload")

    def __init__(self, machine: str, payload: int) -> None:
        self.machine = machine
        self.payload = payload


def read_head(source: Source) -> Head:
    """Find the squashfs payload. BadImage when there is none, UnsupportedImage when it is one that we do not read."""
    start = source.read(0, min(SIZE, source.size))
    if not start.startswith(MAGIC):
        raise BadImage(
            "is empty" if not start else "is not an AppImage (no program at its start)", remedy="check the file"
        )
    machine = machine_of(start)
    if machine is None or not is_sound(start):
        raise BadImage("its ELF header is damaged", remedy="download it again")
    header = parse(start)
    if header is None:
        raise BadImage("its ELF header is cut short", remedy="download it again")
    payload = _end_of_program(source, header)
    _check_payload(source, payload)
    return Head(machine, payload)


def _end_of_program(source: Source, header: Header) -> int:
    """The end of the ELF file itself as the runtimes compute it; 0 when it has no sections to tell."""
    offset, entry, count = header.sections_at, header.section_size, header.sections
    if not offset or not count or entry < header.section_row:
        return 0
    ((_, kind, where, length),) = header.sections_of(source.read(offset + entry * (count - 1), header.section_row))
    return max(offset + entry * count, 0 if kind == SHT_NOBITS else where + length)


def _check_payload(source: Source, payload: int) -> None:
    magic = source.read(payload, 6) if 0 < payload <= source.size - 6 else b""
    if magic.startswith(SQUASHFS):
        return
    if is_iso(source.fd):
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
