"""Foreign images for tests: ones made by mksquashfs, and a plain reader of what was compiled from them."""

from __future__ import annotations

import hashlib
import lzma
import os
import random
import stat
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import lz4.block
import zstandard
from lzallright import LZOCompressor

from kit.apps import packed
from kit.trees import Entry, below, compared
from tmprun.index.nodes import Index, Node
from tmprun.index.rules import (
    CODEC_LZ4,
    CODEC_LZO,
    CODEC_STORED,
    CODEC_XZ,
    CODEC_ZLIB,
    CODEC_ZSTD,
    DIRECTORY,
    FILE,
    HOLE,
    SYMLINK,
)

COMPRESSORS = ("gzip", "zstd", "xz", "lz4", "lzo")
# What mksquashfs can be told about how it packs, fragments apart.
OPTIONS = (
    ["-noI", "-noD", "-noF"],
    ["-noD"],
    ["-noF"],
    ["-noI"],
    ["-no-duplicates"],
    ["-no-exports", "-no-xattrs"],
    ["-nopad"],
    ["-no-hardlinks"],
    ["-no-tailends"],
)
X86_64 = 62


def run(*command: str | bytes | Path) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"


def head(
    machine: int = X86_64,
    *,
    bits: int = 64,
    big: bool = False,
    size: int = 4096,
    last: tuple[int, int, int] | None = None,
) -> bytes:
    """An ELF file that is only headers, `size` bytes long: its section table is its end.

    `last` is the last section: type, offset and size.
    """
    order = ">" if big else "<"
    entry = 64 if bits == 64 else 40
    count = 2
    table = size - count * entry
    kind, offset, length = last or (3, 256, 16)
    if bits == 64:
        fields = struct.pack(order + "HHIQQQIHHHHHH", 2, machine, 1, 0, 0, table, 0, 64, 0, 0, entry, count, 1)
        section = struct.pack(order + "IIQQQQIIQQ", 1, kind, 0, 0, offset, length, 0, 0, 1, 0)
    else:
        fields = struct.pack(order + "HHIIIIIHHHHHH", 2, machine, 1, 0, 0, table, 0, 52, 0, 0, entry, count, 1)
        section = struct.pack(order + "10I", 1, kind, 0, 0, offset, length, 0, 0, 1, 0)
    start = b"\x7fELF" + bytes([2 if bits == 64 else 1, 2 if big else 1, 1, 0]) + b"AI\x02" + bytes(5) + fields
    return start.ljust(table, b"\0") + bytes(entry) + section


def write_image(path: Path, squashfs: bytes, start: bytes | None = None) -> Path:
    """An image file: a head, and the payload behind it."""
    path.write_bytes((head() if start is None else start) + squashfs)
    return path


def mksquashfs(source: Path, out: Path, *options: str) -> bytes:
    """The file system that mksquashfs makes of `source`."""
    run("mksquashfs", source, out, "-noappend", "-no-progress", "-quiet", "-processors", "1", *options)
    return out.read_bytes()


def image_of(kind: str, appdir: Path) -> Path:
    """The AppDir as our own "bundle" or as a "foreign" AppImage, beside it and called so."""
    out = appdir.parent / kind
    if kind == "bundle":
        return packed(appdir, out).bundle
    owner = "-all-root" if os.geteuid() == 0 else "-no-xattrs"
    write_image(out, mksquashfs(appdir, appdir.parent / "payload", owner)).chmod(0o755)
    return out


def unsquash(squashfs: Path, into: Path) -> Path:
    """The tree as unsquashfs extracts it."""
    run("unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-dest", into, squashfs)
    return into


def sample_tree(top: Path) -> Path:
    """A directory with everything that an AppDir may have, in few bytes."""
    chance = random.Random(5)
    text = b"".join(b"line %d of a text that compresses well\n" % number for number in range(9000))
    noise = chance.randbytes(300_000)
    top.mkdir()
    write = {
        "AppRun": b"#!/bin/sh\necho hello\n",
        "usr/lib/libfoo.so.1.2": text[:140_000],
        "usr/lib/ld-linux.so.2": text[:5000],
        "usr/share/empty": b"",
        "usr/share/one": b"1",
        "usr/share/noise": noise,
        "usr/share/text": text,
        "usr/share/same text": text,
        "usr/share/same small": noise[:1000],
        "usr/share/small": noise[:1000],
        "usr/share/two\nlines": b"newline",
        "usr/bin/app": noise[:70_000] + text[:200_000],
    }
    for size in (4095, 4096, 4097, 131_071, 131_072, 131_073):
        write[f"usr/sizes/{size}"] = (text + noise)[-size:]
    for name, content in write.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for number in range(60):
        (top / f"usr/sizes/tail {number}").write_bytes(text[number : number + chance.randrange(3000)])
    _odd_things(top, noise)
    for at, path in enumerate(sorted(below(top))):
        os.utime(path, (1_500_000_000 + at, 1_500_000_000 + at), follow_symlinks=False)
    os.utime(top / "usr/share/one", (0, 0))
    os.utime(top / "usr/share/text", (4_000_000_000, 4_000_000_000))
    top.chmod(0o700)
    return top


def _odd_things(top: Path, noise: bytes) -> None:
    share = top / "usr/share"
    with open(share / "sparse", "wb") as file:
        file.write(b"start")
        file.seek(2_000_000)
        file.write(noise[:5000])
        file.truncate(3_500_001)
    with open(share / "only a hole", "wb") as file:
        file.truncate(700_000)
    (share / "empty directory").mkdir(mode=0o711)
    Path(os.fsdecode(os.fsencode(share) + b"/caf\xe9")).write_bytes(b"not UTF-8")
    (share / ("n" * 255)).write_bytes(b"long name")
    os.link(share / "text", share / "text again")
    os.link(share / "text", top / "usr/bin/text elsewhere")
    os.link(share / "one", share / "uno")
    os.symlink("usr/bin/app", top / "link")
    os.symlink("/nowhere/at/all", share / "dangling")
    os.symlink("x" * 4000, share / "long target")
    for name, mode in {
        "AppRun": 0o755,
        "usr/bin/app": 0o4755,
        "usr/lib/libfoo.so.1.2": 0o755,
        "usr/lib/ld-linux.so.2": 0o755,
    }.items():
        (top / name).chmod(mode)
    (share / "small").chmod(0o600)
    (top / "usr/lib").chmod(0o1777)


def _plain(fd: int, index: Index, number: int) -> bytes:
    """A frame, decoded by other code than ours, and held to what the index says about it."""
    frame = index.frames[number]
    stored = os.pread(fd, frame.stored, frame.offset)
    assert hashlib.sha256(stored).digest() == frame.digest
    decode: dict[int, Callable[[bytes], bytes]] = {
        CODEC_STORED: lambda stored: stored,
        CODEC_ZLIB: zlib.decompress,
        CODEC_ZSTD: lambda stored: zstandard.ZstdDecompressor().decompress(stored, max_output_size=frame.plain),
        CODEC_XZ: lzma.decompress,
        CODEC_LZ4: lambda stored: lz4.block.decompress(stored, uncompressed_size=frame.plain),
        CODEC_LZO: lambda stored: LZOCompressor.decompress(stored, frame.plain),
    }
    plain = decode[frame.codec](stored)
    assert len(plain) == frame.plain
    return plain


def tree_of(image: Path, index: Index) -> dict[bytes, Entry]:
    """The tree that `index` describes, its frames taken from `image`, as `trees.snapshot` would find it on a disk."""
    part = reader(plain_frames(image, index))
    return tree_with(index, lambda node: part(node, 0, node.size))


def plain_frames(image: Path, index: Index) -> list[bytes]:
    """All frames of an image, decoded."""
    fd = os.open(image, os.O_RDONLY)
    try:
        return [_plain(fd, index, number) for number in range(len(index.frames))]
    finally:
        os.close(fd)


def reader(frames: list[bytes]) -> Callable[[Node, int, int], bytes]:
    """Reads up to so many bytes of a file from an offset on, out of decoded frames."""

    def part(node: Node, offset: int, length: int) -> bytes:
        found, at = [], 0
        for frame, inner, size in node.segments:
            begin, end = max(offset, at), min(offset + length, at + size)
            if begin < end:
                hole = frame == HOLE
                found.append(bytes(end - begin) if hole else frames[frame][inner + begin - at : inner + end - at])
            at += size
        return b"".join(found)

    return part


def tree_with(index: Index, content: Callable[[Node], bytes]) -> dict[bytes, Entry]:
    """The tree that `index` describes, without its root; `content` tells the bytes of a regular file."""
    paths = index.paths()
    names: dict[int, set[bytes]] = {}
    for node, path in zip(index.nodes, paths, strict=True):
        names.setdefault((node.link or node).number, set()).add(path)
    found = {}
    for node, path in zip(index.nodes, paths, strict=True):
        real = node.link or node
        data = content(real) if real.kind == FILE else node.target
        assert len(data) == real.size
        kind = {DIRECTORY: stat.S_IFDIR, FILE: stat.S_IFREG, SYMLINK: stat.S_IFLNK}[real.kind]
        mode = kind if real.kind == SYMLINK else compared(kind | real.mode)
        found[path] = Entry(mode, real.mtime, data, frozenset(names[real.number]))
    del found[b""]
    return found
