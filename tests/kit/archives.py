"""Archives and packages for tests: of a tree with one of everything, and ones that tell lies."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

from kit.apps import noise, write
from kit.real_images import type_1_image
from kit.trees import below

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


def tar(members: Iterable[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar archive, also one that nobody should make."""
    out = io.BytesIO()
    for info, content in members:
        out.write(info.tobuf(form, "utf-8", "surrogateescape"))
        out.write(content + bytes(-len(content) % 512))
    return out.getvalue() + bytes(1024)
