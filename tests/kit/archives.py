"""Archives and packages for tests: of a tree with one of everything, and ones that tell lies."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from kit.apps import noise, write
from kit.real_images import type_1_image
from kit.trees import Entry, below, snapshot
from tmprun.archives import kinds, reading

TIME = 1_600_000_000


def tree(into: Path) -> Path:
    """A directory that has what archives can hold, but for what is left out of bundles."""
    top = into / "app-1.0"
    write(top / "bin" / "app", '#!/bin/sh\necho app: "$@"\n', 0o755)
    write(top / "share" / "text", "text, again and again\n" * 5000)
    write(top / "share" / "noise", noise(200_000))
    write(top / "share" / "empty", b"")
    write(top / "share" / "secret", b"mine", 0o600)
    write(top / "share" / ("n" * 120) / ("m" * 110), b"a long name")
    write(top / "share" / "caf\xe9 \u65e5\u672c", b"not ASCII")
    os.link(top / "share" / "noise", top / "share" / "same")
    (top / "lib").mkdir()
    (top / "lib" / "link").symlink_to("../share/text")
    (top / "lib" / "nowhere").symlink_to("/no/such/thing")
    for number, path in enumerate(sorted(below(into))):
        os.utime(path, (TIME + 2 * number, TIME + 2 * number), follow_symlinks=False)
    return top


def bsdtar(out: Path, top: Path, *options: str) -> Path:
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    subprocess.run(["bsdtar", *options, "-cf", out, "-C", top.parent, top.name], check=True, env=environment)
    return out


def cpio_rpm(out: Path, top: Path) -> Path:
    """A package as rpm(8) reads it: lead, a signature and a header that say nothing, a compressed cpio archive."""
    cpio = bsdtar(out.with_suffix(".cpio"), top, "--format=newc").read_bytes()
    lead = struct.pack(">4sBBhh66shh16x", b"\xed\xab\xee\xdb", 3, 0, 0, 1, b"app-1.0-2", 1, 5)
    empty = b"\x8e\xad\xe8\x01" + bytes(12)
    out.write_bytes(lead + empty + empty + gzip.compress(cpio, mtime=0))
    return out


def deb(out: Path, top: Path, control: str = "Package: app\nVersion: 1.0\nArchitecture: amd64\n") -> Path:
    """A Debian package of what lies in `top`."""
    data = out.with_suffix(".data")
    subprocess.run(["bsdtar", "--xz", "-cf", data, "-C", top, "."], check=True, env=os.environ | {"LC_ALL": "C.UTF-8"})
    facts = tar([member("./control", control.encode())])
    members = ((b"debian-binary", b"2.0\n"), (b"control.tar", facts), (b"data.tar.xz", data.read_bytes()))
    content = b"!<arch>\n"
    for name, each in members:
        content += b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (name, TIME, 0, 0, 0o100644, len(each))
        content += each + b"\n" * (len(each) % 2)
    out.write_bytes(content)
    return out


KINDS: dict[str, Callable[[Path, Path], Path]] = {
    "tar": lambda out, top: bsdtar(out, top, "--format=pax"),
    "gnu.tar": lambda out, top: bsdtar(out, top, "--format=gnutar"),
    "tar.gz": lambda out, top: bsdtar(out, top, "--gzip"),
    "tar.xz": lambda out, top: bsdtar(out, top, "--xz"),
    "tar.zst": lambda out, top: bsdtar(out, top, "--zstd"),
    "tar.bz2": lambda out, top: bsdtar(out, top, "--bzip2"),
    "tar.lz4": lambda out, top: bsdtar(out, top, "--lz4"),
    "zip": lambda out, top: bsdtar(out, top, "--format=zip"),
    "7z": lambda out, top: bsdtar(out, top, "--format=7zip"),
    "rpm": cpio_rpm,
    "deb": deb,
    "AppImage": type_1_image,
}  # fmt: skip


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644,
           size: int | None = None) -> tuple[tarfile.TarInfo, bytes]:  # fmt: skip
    """One entry of a tar archive, as `tar` takes it; `size` may lie."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, link, mode, TIME
    info.size = len(content) if size is None else size
    return info, content


def tar(members: Iterable[tuple[tarfile.TarInfo, bytes]], form: Literal[0, 1, 2] = tarfile.GNU_FORMAT) -> bytes:
    """A tar archive, also one that nobody should make."""
    out = io.BytesIO()
    for info, content in members:
        out.write(info.tobuf(form, "utf-8", "surrogateescape"))
        out.write(content + bytes(-len(content) % 512))
    return out.getvalue() + bytes(1024)


def raw_header(
    name: str,
    size: int,
    *,
    kind: bytes = b"0",
    link: str = "",
    magic: bytes = b"ustar\x0000",
    gnu: bytes = b"",
    name_bytes: bytes = b"",
    size_bytes: bytes = b"",
) -> bytes:
    """A tar header, byte for byte: `gnu` stands from the 386th on, `size_bytes` instead of digits."""
    block = bytearray(512)
    for at, field in (
        (0, name_bytes or name.encode()), (100, b"0000644\0" * 3), (124, size_bytes or b"%011o\0" % size),
        (136, b"%011o\0" % TIME), (156, kind), (157, link.encode()), (257, magic), (386, gnu),
    ):  # fmt: skip
        block[at : at + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(records: dict[str, str], *, kind: bytes = b"x", raw: bytes = b"") -> bytes:
    """A header of records in front of another, and `raw` bytes that are none."""
    content = b""
    for key, value in records.items():
        rest = f" {key}={value}\n".encode()
        size = len(rest)
        while size != len(rest) + len(str(size)):
            size = len(rest) + len(str(size))
        content += b"%d" % size + rest
    content += raw
    return raw_header("PaxHeaders/x", len(content), kind=kind) + content + bytes(-len(content) % 512)


class Unpacked(NamedTuple):
    """What came of an archive: its tree by paths, how many entries there were, and what was said."""

    tree: dict[bytes, Entry]
    entries: int
    lost: list[str]
    notes: list[str]

    @classmethod
    def by_us(cls, content: bytes, into: Path, *, force: bool = False) -> Unpacked:
        into.mkdir(exist_ok=True)
        archive = into.parent / "a.tar"
        archive.write_bytes(content)
        with archive.open("rb") as file:
            kind = kinds.kind_of(file.fileno(), archive.name)
            read = reading.unpack(file.fileno(), kind, str(into), force=force)
        return cls({} if force else comparable(into), read.entries, read.lost, read.notes)

    @classmethod
    def by_bsdtar(cls, archive: Path, into: Path) -> Unpacked:
        """Also when it complains, as it does of what is odd."""
        into.mkdir()
        command: list[str | Path] = ["bsdtar", "-xpf", archive, "-C", into]
        said = subprocess.run(command, capture_output=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"}).stderr
        return cls(comparable(into), 0, [], said.decode("utf-8", "replace").splitlines())


def both(content: bytes, folder: Path) -> tuple[Unpacked, Unpacked]:
    """The archive as we unpack it, and as bsdtar does; an error when we do not."""
    ours = Unpacked.by_us(content, folder / "ours")
    return ours, Unpacked.by_bsdtar(folder / "a.tar", folder / "theirs")


def comparable(directory: Path) -> dict[bytes, Entry]:
    """What is there, without owners and modes beyond rwx, for its owner readable, as we make it. Directories count by
    their names only, since archives need not have them."""
    found = {}
    for path, entry in snapshot(directory).items():
        kind = stat.S_IFMT(entry.mode)
        if kind == stat.S_IFDIR:
            found[path] = Entry(kind, 0, b"", frozenset())
        elif kind in (stat.S_IFREG, stat.S_IFLNK):
            readable = 0o600 if kind == stat.S_IFREG else 0
            found[path] = entry._replace(mode=kind | entry.mode & 0o777 | readable)
    return found
