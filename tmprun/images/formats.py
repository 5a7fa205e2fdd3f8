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
from tmprun.images.squashfs.tree import Squashfs, read_squashfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[[Source, int], Squashfs]

MAGIC_SIZE = 6


class Format:
    """What an image's payload can be. `magic` is what it begins with; `read(source, offset)` reads its tables.

    Without `read` it is one that is refused: `what` it is, and the `remedy`.
    """

    def __init__(self, magic: bytes, read: Reader | None = None, *, what: str = "", remedy: str = "") -> None:
        self.magic = magic
        self.read = read
        self.what = what
        self.remedy = remedy


FORMATS = (
    Format(b"hsqs", read_squashfs),
    Format(b"DWARFS", what="its payload is DwarFS, which tmprun cannot read", remedy="get an AppImage with squashfs"),
)
# A type-1 image is no program with a payload behind it: the program lies in the file system's unused start.
TYPE_1 = Format(
    b"", what="is a type-1 AppImage (ISO 9660), which tmprun cannot read yet", remedy="get a newer release of it"
)


class Head:
    """`machine` as `uname -m` names it, or `ELF machine N`; `payload` is the file offset where the file system begins,
    and `read` what reads its tables."""

    __slots__ = ("machine", "payload", "read")

    def __init__(self, machine: str, payload: int, read: Reader) -> None:
        self.machine = machine
        self.payload = payload
        self.read = read


def read_head(source: Source) -> Head:
    """Find the payload. BadImage when there is none, UnsupportedImage when it is one that we do not read."""
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
    return Head(machine, payload, _reader(source, payload))


def _end_of_program(source: Source, header: Header) -> int:
    """The end of the ELF file itself as the runtimes compute it; 0 when it has no sections to tell."""
    offset, entry, count = header.sections_at, header.section_size, header.sections
    if not offset or not count or entry < header.section_row:
        return 0
    ((_, kind, where, length),) = header.sections_of(source.read(offset + entry * (count - 1), header.section_row))
    return max(offset + entry * count, 0 if kind == SHT_NOBITS else where + length)


def _reader(source: Source, payload: int) -> Reader:
    """What reads the file system that begins at `payload`; BadImage or UnsupportedImage when nothing does."""
    start = source.read(payload, MAGIC_SIZE) if 0 < payload <= source.size - MAGIC_SIZE else b""
    found = next((each for each in FORMATS if start.startswith(each.magic)), None)
    if found is not None and found.read is not None:
        return found.read
    if is_iso(source.fd):
        found = TYPE_1
    if found is not None:
        raise UnsupportedImage(found.what, remedy=found.remedy)
    if payload > source.size:
        raise BadImage(
            f"is cut short: the program at its start says that it has {payload} bytes", remedy="download it again"
        )
    raise BadImage("is a program without an AppImage's payload", remedy="start it without tmprun")
