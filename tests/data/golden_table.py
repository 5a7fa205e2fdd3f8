"""Index tables built row by row, as docs/format.md has them, and written into to make them wrong."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

DIRECTORY, FILE, SYMLINK, LINK = range(4)
STORED, ZSTD, ZLIB, XZ, LZ4, LZO = range(6)
HOLE = 0xFFFFFFFF
HEADER_FIELDS = {
    "magic": (0, "8s"), "frames": (8, "I"), "nodes": (12, "I"), "segments": (16, "I"), "fixups": (20, "I"),
    "hot": (24, "I"), "strings": (28, "I"), "metadata": (32, "I"), "flags": (36, "I"), "content": (40, "Q"),
    "image_size": (48, "Q"), "image_sha256": (56, "32s"), "reserved": (88, "40s"),
}  # fmt: skip
FRAME_FIELDS = {"offset": (0, "Q"), "stored": (8, "I"), "plain": (12, "I"), "codec": (16, "I"), "reserved": (20, "I")}
NODE_FIELDS = {
    "name": (0, "I"), "name_length": (4, "H"), "mode": (6, "H"), "type": (8, "B"), "flags": (9, "B"),
    "reserved": (10, "H"), "parent": (12, "I"), "a": (16, "I"), "b": (20, "I"), "mtime": (24, "q"), "size": (32, "Q"),
}  # fmt: skip
SEGMENT_FIELDS = {"frame": (0, "I"), "offset": (4, "I"), "length": (8, "I"), "reserved": (12, "I")}
FIXUP_FIELDS = {
    "node": (0, "I"), "kind": (4, "I"), "header": (8, "Q"), "at": (16, "Q"), "room": (24, "I"),
    "interpreter": (28, "I"),
}  # fmt: skip
INTERPRETER_FIELDS = {
    "node": (0, "I"), "kind": (4, "I"), "path": (8, "I"), "path_length": (12, "I"), "need": (16, "I"),
    "link": (20, "I"), "target": (24, "I"), "target_length": (28, "I"),
}  # fmt: skip
INTERPRETER, ELF, SCRIPT = range(3)
AT_END = 0xFFFFFFFF
TABLES = [("frames", 56), ("nodes", 40), ("segments", 16), ("fixups", 32), ("hot", 4), ("strings", 1), ("metadata", 1)]


class Table:
    """An index in the making. Nodes are given in their final order; names and targets go to the string pool."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.nodes: list[bytes] = []
        self.segments: list[bytes] = []
        self.fixups: list[bytes] = []
        self.hot: list[int] = []
        self.strings = b""
        self.metadata = b"{}"
        self.content = 0
        self.image: tuple[int, bytes] | None = None

    def text(self, text: bytes) -> int:
        at = self.strings.find(text)
        if at < 0:
            at = len(self.strings)
            self.strings += text
        return at

    def frame(self, offset: int, stored: bytes | int, plain: int, codec: int) -> None:
        """`stored` are the stored bytes, or just their number where nobody will read them."""
        size = stored if isinstance(stored, int) else len(stored)
        digest = hashlib.sha256(b"" if isinstance(stored, int) else stored).digest()
        self.frames.append(struct.pack("<QIIII32s", offset, size, plain, codec, 0, digest))

    def node(
        self, parent: int, name: bytes, kind: int, a: int = 0, b: int = 0, *, mode: int = 0o644, mtime: int = 0,
        size: int = 0, first: bool = False,
    ) -> None:  # fmt: skip
        at = self.text(name) if name else 0
        row = struct.pack("<IHHBBHIIIqQ", at, len(name), mode, kind, first, 0, parent, a, b, mtime, size)
        self.nodes.append(row)

    def directory(self, parent: int, name: bytes, first: int, count: int, mtime: int = 0, mode: int = 0o755) -> None:
        self.node(parent, name, DIRECTORY, first, count, mode=mode, mtime=mtime)

    def file(
        self,
        parent: int,
        name: bytes,
        *runs: tuple[int, int, int],
        mode: int = 0o644,
        mtime: int = 0,
        first: bool = False,
    ) -> None:
        size = sum(length for _, _, length in runs)
        self.content += size
        self.node(parent, name, FILE, len(self.segments), len(runs), mode=mode, mtime=mtime, size=size, first=first)
        self.segments += [struct.pack("<IIII", *run, 0) for run in runs]

    def symlink(self, parent: int, name: bytes, target: bytes, mtime: int = 0) -> None:
        self.node(parent, name, SYMLINK, self.text(target), len(target), mode=0o777, mtime=mtime, size=len(target))

    def link(self, parent: int, name: bytes, target: int, mode: int = 0o644, mtime: int = 0) -> None:
        self.node(parent, name, LINK, target, mode=mode, mtime=mtime)

    def interpreter(self, node: int, path: bytes, need: int = 0, link: int = 0, target: bytes = b"") -> None:
        places = (self.text(path), len(path), need, link, self.text(target) if link else 0, len(target))
        self.fixups.append(struct.pack("<IIIIIIII", node, INTERPRETER, *places))

    def program(self, node: int, kind: int, header: int, at: int, room: int, interpreter: int) -> None:
        self.fixups.append(struct.pack("<IIQQII", node, kind, header, at, room, interpreter))

    def bytes(self) -> bytes:
        size, sha256 = self.image or (0, bytes(32))
        header = struct.pack(
            "<8sIIIIIIIIQQ32s40s", b"TMPRIDX1", len(self.frames), len(self.nodes), len(self.segments), len(self.fixups),
            len(self.hot), len(self.strings), len(self.metadata), 1 if self.image else 0, self.content, size, sha256,
            bytes(40),
        )  # fmt: skip
        hot = b"".join(struct.pack("<I", number) for number in self.hot)
        return b"".join(
            (header, *self.frames, *self.nodes, *self.segments, *self.fixups, hot, self.strings, self.metadata)
        )


def starts(table: bytes) -> dict[str, int]:
    """Where each part of an index begins."""
    at, found = 128, {}
    for name, size in TABLES:
        found[name] = at
        at += size * struct.unpack_from("<I", table, HEADER_FIELDS[name][0])[0]
    return found


def header(table: bytes, **values: Any) -> bytes:
    return patched(table, 0, HEADER_FIELDS, values)


def frame(table: bytes, number: int, **values: int) -> bytes:
    return patched(table, starts(table)["frames"] + 56 * number, FRAME_FIELDS, values)


def node(table: bytes, number: int, **values: int) -> bytes:
    return patched(table, starts(table)["nodes"] + 40 * number, NODE_FIELDS, values)


def segment(table: bytes, number: int, **values: int) -> bytes:
    return patched(table, starts(table)["segments"] + 16 * number, SEGMENT_FIELDS, values)


def fixup(table: bytes, number: int, **values: int) -> bytes:
    return patched(table, starts(table)["fixups"] + 32 * number, FIXUP_FIELDS, values)


def interpreter(table: bytes, number: int, **values: int) -> bytes:
    return patched(table, starts(table)["fixups"] + 32 * number, INTERPRETER_FIELDS, values)


def hot(table: bytes, number: int, value: int) -> bytes:
    return patched(table, starts(table)["hot"] + 4 * number, {"node": (0, "I")}, {"node": value})


def renamed(table: bytes, number: int, name: bytes) -> bytes:
    """A node's name overwritten where it lies, or with the one that stands behind all other strings."""
    at = starts(table)["metadata"]
    size = struct.unpack_from("<I", table, HEADER_FIELDS["strings"][0])[0]
    table = header(table[:at] + name + table[at:], strings=size + len(name))
    return node(table, number, name=size, name_length=len(name))


def patched(table: bytes, at: int, fields: dict[str, tuple[int, str]], values: dict[str, Any]) -> bytes:
    raw = bytearray(table)
    for name, value in values.items():
        offset, code = fields[name]
        struct.pack_into("<" + code, raw, at + offset, value)
    return bytes(raw)
