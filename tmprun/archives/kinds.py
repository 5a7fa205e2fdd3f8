"""What a file is, by its first bytes and a few others: an image, an archive, a package, or something that is no app.

Nothing is decoded here, and nothing is executed: `kind_of` reads some KB.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass

from tmprun.bundle.footer import read_footer
from tmprun.elf import header, machines
from tmprun.errors import BadImage, UnsupportedImage
from tmprun.human import one_line
from tmprun.images.iso import is_iso

HEAD = 1024
_TAR_BLOCK = 512
_ZIP_TAIL = 66_000  # the end of a central directory, and the longest comment behind it


@dataclass(frozen=True)
class Kind:
    """`what` it is, for people. An archive has its `format`, as `archives.reading` knows it, and what it is compressed
    with; an image has none. `payload` is where that begins which lies behind a program."""

    what: str
    format: str = ""
    compressor: str = ""
    payload: int = 0


BUNDLE = Kind("bundle")
TYPE_2 = Kind("AppImage type 2")
SQUASHFS = Kind("squashfs image")


def is_ours(kind: Kind) -> bool:
    """Whether the engine reads it as it is."""
    return kind in (BUNDLE, SQUASHFS) or kind.what == TYPE_2.what


def unpacks_itself(kind: Kind) -> bool:
    """Whether only the program at its start can read it."""
    return not kind.format and not is_ours(kind)


def not_executed(kind: Kind, remedy: str) -> UnsupportedImage:
    """What whoever only looks says of one that unpacks itself."""
    what = f"{kind.what}, which only its own program can read, and that would execute it"
    return UnsupportedImage(what, remedy=remedy)


def is_quickly_read(kind: Kind) -> bool:
    """Whether its content comes faster than zstd packs it at a usual level."""
    return kind.format == "tar" and kind.compressor in ("", "zstd", "lz4")


# What tar files are compressed with, by the first bytes.
_COMPRESSORS = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"LZIP", "lzip"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x1f\x9d", "compress"),
    (b"\x5d\0\0", "lzma"),
)
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # a zstd frame that holds nothing (RFC 8878, section 3.1.2)

# What is no app for us: first bytes, what it is, and what to do.
_REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (b"flatpak\0", "is a Flatpak bundle", "install it with: flatpak install FILE"),
    (b"[Flatpak Ref]", "is a Flatpak reference, not the app itself", "install it with: flatpak install FILE"),
    (b"sqsh", "is a squashfs image of a machine with the other byte order", "make it anew with today's mksquashfs"),
    (b"MZ", "is a program for Windows", "get the release for Linux, or start it with Wine"),
    (b"\xcf\xfa\xed\xfe", "is a program for macOS", "get the release for Linux"),
    (b"\xce\xfa\xed\xfe", "is a program for macOS", "get the release for Linux"),
    (b"\xfe\xed\xfa", "is a program for macOS", "get the release for Linux"),
    (b"\xca\xfe\xba\xbe", "is a program for macOS, or a Java class", "get the release for Linux"),
    (b"xar!", "is a package for macOS", "get the release for Linux"),
    (b"Rar!", "is a RAR archive, which tmprun cannot read", "unpack it first, and name what is in it"),
    (b"!<arch>\n", "is a static library", "name the program that was made of it"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file", "fetch it with: git lfs pull"),
    (b"#!", "is a script", "start it without tmprun"),
    (b"%PDF", "is a PDF document", "check the name"),
)
_HTML = re.compile(rb"\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body)\b", re.IGNORECASE | re.DOTALL)


def kind_of(fd: int, name: str = "") -> Kind:
    """What the open file is; BadImage or UnsupportedImage, which say what to do, when it is nothing that can be an app.

    `name` is what people call it, for what its ending tells.
    """
    head = os.pread(fd, HEAD, 0)
    if read_footer(fd):
        return BUNDLE
    if head.startswith(machines.MAGIC):
        return _behind_program(fd, head)
    if is_iso(fd):
        return Kind("ISO 9660 image", "iso")
    if head.startswith(b"hsqs"):
        return _squashfs(name)
    return _archive(fd, head) or _refuse(head, name)


def _squashfs(name: str) -> Kind:
    if name.endswith(".snap"):
        raise UnsupportedImage("is a snap", remedy=f"install it with: snap install {one_line(name)}")
    return SQUASHFS


def _archive(fd: int, head: bytes) -> Kind | None:
    compressor = next((what for magic, what in _COMPRESSORS if head.startswith(magic)), "")
    if not compressor and _SKIPPABLE.match(head):
        compressor = "zstd"
    if compressor:
        return Kind("tar archive", "tar", compressor)
    if _is_tar(head):
        return Kind("tar archive", "tar")
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return Kind("zip archive", "zip")
    if head.startswith(b"7z\xbc\xaf\x27\x1c"):
        return Kind("7z archive", "7z")
    if head.startswith(b"\xed\xab\xee\xdb"):
        return Kind("RPM package", "rpm")
    if head.startswith(b"!<arch>\ndebian-binary"):
        return Kind("Debian package", "deb")
    return None


def _is_tar(head: bytes) -> bool:
    """Whether the first block's checksum is right, as it is in every kind of tar."""
    block = head[:_TAR_BLOCK]
    digits = block[148:156].strip(b" \0")
    if len(block) < _TAR_BLOCK or not re.fullmatch(rb"[0-7]{1,7}", digits):
        return False
    return sum(block[:148]) + 8 * ord(" ") + sum(block[156:]) == int(digits, 8)


def _behind_program(fd: int, head: bytes) -> Kind:
    """What lies behind, or around, the ELF program at the file's start."""
    if is_iso(fd):
        return Kind("AppImage type 1", "iso")
    payload, size = end_of_program(fd, head), os.fstat(fd).st_size
    magic = os.pread(fd, 8, payload) if 0 < payload < size else b""
    if magic.startswith(b"hsqs"):
        return Kind(TYPE_2.what, payload=payload)
    if payload > size:
        raise BadImage(f"is cut short: the program at its start says that it has {payload} bytes",
                       remedy="download it again")  # fmt: skip
    if zip_end(fd, size):
        return Kind("program with a zip archive behind it", "zip", payload=payload)
    if magic.startswith(b"DWARFS"):
        return Kind("AppImage with DwarFS", payload=payload)
    if len(magic.strip(b"\0")) and size - payload > _TAR_BLOCK:
        return Kind("program with an unknown payload", payload=payload)
    raise BadImage("is a program without an AppImage's payload", remedy="start it without tmprun")


def end_of_program(fd: int, head: bytes) -> int:
    """The end of the ELF file itself as the AppImage runtimes compute it: behind the table of section headers or the
    last section, whichever is later; 0 when it has none. (stub/foreign/head.c)"""
    found = header.parse(head) if header.is_sound(head) else None
    if found is None:
        raise BadImage("its ELF header is damaged", remedy="download it again")
    offset, entry, count = found.sections_at, found.section_size, found.sections
    if not offset or not count or entry < found.section_row:
        return 0
    last = offset + entry * (count - 1)
    raw = os.pread(fd, found.section_row, last) if last < 1 << 62 else b""
    if len(raw) < found.section_row:
        return offset + entry * count
    ((_, kind, where, length),) = found.sections_of(raw)
    return max(offset + entry * count, 0 if kind == header.SHT_NOBITS else where + length)


def zip_end(fd: int, size: int) -> bool:
    """Whether the file ends with a zip archive's central directory."""
    tail = os.pread(fd, _ZIP_TAIL, max(0, size - _ZIP_TAIL))
    at = tail.rfind(b"PK\5\6")
    return 0 <= at <= len(tail) - 22 and struct.unpack_from("<H", tail, at + 20)[0] == len(tail) - at - 22


def _refuse(head: bytes, name: str) -> Kind:
    if not head:
        raise BadImage("is empty", remedy="download it again")
    for magic, what, remedy in _REFUSED:
        if head.startswith(magic):
            raise UnsupportedImage(what, remedy=remedy.replace("FILE", one_line(name)))
    if _HTML.match(head):
        remedy = "open its address in a browser to see what it says, and download the file itself (curl -LO ...)"
        raise BadImage("is a web page (HTML), not the app", remedy=remedy)
    if not head.strip(b"\0"):
        raise BadImage(
            "begins with nothing but zeros, as a download does that is not complete", remedy="download it again"
        )
    if name.endswith((".part", ".crdownload", ".download", ".tmp")):
        raise BadImage("is a download that is not complete", remedy="download it again")
    if _is_text(head):
        raise BadImage("is text, no app", remedy="check the file")
    raise BadImage("is no AppImage, and no archive or package that tmprun knows", remedy="check the file")


def _is_text(head: bytes) -> bool:
    try:
        return all(char.isprintable() or char in "\t\r\n\f" for char in head.decode())
    except UnicodeDecodeError as error:
        return len(head) == HEAD and error.start > HEAD - 4 and _is_text(head[: error.start])
