"""A legal bundle, and others that are one step away from it: (name, the rule that it breaks, the file)."""

from __future__ import annotations

import hashlib
import struct
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

from golden_table import ZSTD, Table, frame, header

Bad = Iterator[tuple[str, str, bytes]]


def raw_frame(plain: bytes, claimed: int | None = None) -> bytes:
    """`plain` as a zstd frame of uncompressed blocks (RFC 8878, 3.1.1), which may lie about its content size."""
    size = len(plain) if claimed is None else claimed
    blocks = b""
    for at in range(0, len(plain), 1 << 17):
        block = plain[at : at + (1 << 17)]
        last = at + len(block) == len(plain)
        blocks += (len(block) << 3 | last).to_bytes(3, "little") + block
    return b"\x28\xb5\x2f\xfd" + struct.pack("<BQ", 0xE0, size) + blocks


class Payload:
    """What a golden bundle holds: its index, its frames as they are stored, its files' content by path."""

    def __init__(self) -> None:
        self.table = Table()
        self.frames: list[bytes] = []
        self.files: dict[str, bytes] = {}

    def frame(self, plain: bytes, stored: bytes | None = None, size: int | None = None) -> None:
        """Add a frame; `stored` and `size` are for lies."""
        stored = raw_frame(plain) if stored is None else stored
        self.table.frame(sum(map(len, self.frames)), stored, size or len(plain), ZSTD)
        self.frames.append(stored)


def member(name: str, kind: bytes, content: bytes = b"", mode: int = 0o644, target: str = "", mtime: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode, info.linkname, info.mtime = kind, len(content), mode, target, mtime
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512)


APPRUN = b'#!/bin/sh\necho "golden $*"\n'
DATA = bytes(range(256)) * 12
ODD = "\udcff odd"


def payload(change: Callable[[bytes], bytes] = bytes, longer: int = 0) -> Payload:
    """The golden tree in three frames. The last is stored as `change` leaves it, and said to be `longer` than it is."""
    directory = member("usr", tarfile.DIRTYPE, mode=0o755, mtime=5)
    symlink = member("usr/link", tarfile.SYMTYPE, mode=0o777, target="../AppRun", mtime=6)
    apprun = member("AppRun", tarfile.REGTYPE, APPRUN, 0o755, mtime=7)
    data = member("usr/data", tarfile.REGTYPE, DATA, mtime=8)
    empty = member("usr/empty", tarfile.REGTYPE, mtime=9)
    odd = member("usr/" + ODD, tarfile.REGTYPE, b"odd\n", mtime=10)
    hard = member("usr/hard", tarfile.LNKTYPE, target="AppRun", mode=0o755, mtime=7)
    tail = data[1512:] + empty + odd + hard + bytes(1024)
    made = Payload()
    made.frame(directory + symlink)
    made.frame(apprun + data[:1512])
    made.frame(tail, change(raw_frame(tail)), len(tail) + longer)
    made.files = {"AppRun": APPRUN, "usr/data": DATA, "usr/empty": b"", "usr/" + ODD: b"odd\n"}
    made.table.directory(0, b"", 1, 2, mtime=4)
    made.table.file(0, b"AppRun", (1, 512, len(APPRUN)), mode=0o755, mtime=7, first=True)
    made.table.directory(0, b"usr", 3, 5, mtime=5)
    made.table.file(2, b"data", (1, len(apprun) + 512, 1000), (2, 0, len(DATA) - 1000), mtime=8)
    made.table.file(2, b"empty", mtime=9)
    made.table.link(2, b"hard", 1, mode=0o755, mtime=7)
    made.table.symlink(2, b"link", b"../AppRun", mtime=6)
    made.table.file(2, b"\xff odd", (2, len(data) - 1512 + len(empty) + 512, 4), mtime=10)
    made.table.hot = [1]
    made.table.metadata = b'{"name":"golden"}'
    return made


STUB = b"#!/bin/false\n".ljust(4096, b"\0")


def bundle(made: Payload, index: bytes = b"", packed: bytes = b"", **lies: Any) -> bytes:
    """Stub, frames, index, footer; with another index, another stored form of it, or other fields around it."""
    index = index or made.table.bytes()
    packed = packed or raw_frame(index)
    fields = {
        "frame_magic": 0x184D2A5E, "frame_size": 56, "magic": b"TMPRUN\0\1", "offset": len(STUB), "stored": len(packed),
        "size": len(index), "key": hashlib.sha256(index).digest(), "index_magic": 0x184D2A5D, "index_size": len(packed),
        **lies,
    }  # fmt: skip
    head = struct.pack("<II", fields["index_magic"], fields["index_size"])
    names = ("frame_magic", "frame_size", "magic", "offset", "stored", "size", "key")
    return STUB + b"".join(made.frames) + head + packed + struct.pack("<II8sQII32s", *(fields[name] for name in names))


def flipped(raw: bytes, at: int) -> bytes:
    """`raw` with one bit changed."""
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at:][1:]


def bad_footers() -> Bad:
    """Bundles that are refused before anything is built. A file that does not end in a footer is no bundle at all."""
    good = payload()
    index = good.table.bytes()
    packed = raw_frame(index)
    yield "version", "the version", bundle(good, magic=b"TMPRUN\0\2")
    yield "index-size-0", "an index has a header", bundle(good, size=0)
    yield "index-size-huge", "an index has at most 128 MiB", bundle(good, size=(128 << 20) + 1)
    yield "index-larger", "the index has the footer's size", bundle(good, size=len(index) + 1)
    yield "index-smaller", "the index has the footer's size", bundle(good, size=len(index) - 1)
    yield "stored-0", "the index's frame has the footer's size", bundle(good, stored=0)
    yield "stored-larger", "the index's frame has the footer's size", bundle(good, stored=len(packed) + 1)
    yield "stored-smaller", "the index's frame has the footer's size", bundle(good, stored=len(packed) - 1)
    yield "stored-huge", "the index's frame lies in the file", bundle(good, stored=0xFFFFFFFF)
    yield "offset-unaligned", "the payload offset is a multiple of 4096", bundle(good, offset=4095)
    yield "offset-beyond", "the payload lies in the file", bundle(good, offset=1 << 20)
    yield "offset-wraps", "the payload lies in the file", bundle(good, offset=(1 << 64) - 4096)
    yield "key", "the key is the index's SHA-256", bundle(good, key=bytes(32))
    yield "index-magic", "the index's frame is where the footer says", bundle(good, index_magic=0x184D2A50)
    yield "index-frame-size", "the index's frame has the footer's size", bundle(good, index_size=len(packed) - 1)
    yield (
        "index-flipped",
        "the key is the index's SHA-256",
        bundle(good, index=index, packed=raw_frame(flipped(index, 130))),
    )
    yield "index-no-zstd", "the index is a zstd frame", bundle(good, packed=b"x" * len(packed))
    yield "index-cut", "the index is a whole zstd frame", bundle(good, packed=packed[:-1])
    yield "index-bomb", "the index has the footer's size", bundle(good, packed=raw_frame(index, claimed=1 << 40))
    yield "index-foreign", "a bundle's index is not foreign", bundle(good, index=header(index, flags=1))
    yield "index-illegal", "the index obeys its rules", bundle(good, index=frame(index, 0, codec=9))
    yield "only-footer", "there is an index before the footer", bundle(good)[-64:]


def bad_payloads() -> Bad:
    """Bundles whose index is legal, but not a frame that it names."""
    good = payload()
    far = frame(good.table.bytes(), 2, offset=1 << 40)
    damaged = bundle(good)
    last = len(STUB) + sum(map(len, good.frames)) - 100
    yield "frame-digest", "a frame's SHA-256", flipped(damaged, last)
    in_header = len(STUB) + len(good.frames[0]) + 100
    yield "frame-digest-tar-header", "a frame's SHA-256, also of bytes that no file has", flipped(damaged, in_header)
    yield "frame-beyond", "frames lie in the file", bundle(good, index=far)
    yield "frame-no-zstd", "a zstd frame", bundle(payload(lambda stored: b"x" * len(stored)))
    yield "frame-cut", "a whole zstd frame", bundle(payload(lambda stored: stored[:-1]))
    yield "frame-and-more", "nothing behind the zstd frame", bundle(payload(lambda stored: stored + b"more"))
    yield "frame-longer", "a frame has its plain size", bundle(payload(longer=-1))
    yield "frame-shorter", "a frame has its plain size", bundle(payload(longer=1))
