"""Squashfs images made by hand, table by table, so that they can lie in ways that mksquashfs cannot."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

NO_FRAGMENT = 0xFFFFFFFF
BLOCK = 1 << 17
DIRECTORY, FILE, SYMLINK = 1, 2, 3


def chain(plain: bytes) -> bytes:
    """`plain` as metadata blocks that are not compressed."""
    pieces = [plain[at : at + 8192] for at in range(0, len(plain), 8192)]
    return b"".join(struct.pack("<H", 0x8000 | len(piece)) + piece for piece in pieces)


def reference(place: int) -> tuple[int, int]:
    """How the tables refer to `place` in the plain bytes of a `chain`: a block's place in it, and an offset."""
    return place // 8192 * 8194, place % 8192


def file_inode(
    number: int,
    size: int,
    *,
    start: int = 0,
    words: tuple[int, ...] = (),
    fragment: int = NO_FRAGMENT,
    offset: int = 0,
    names: int = 1,
    mode: int = 0o644,
) -> bytes:
    """An extended file's inode: the basic one could not lie as well."""
    count = struct.pack(f"<{len(words)}I", *words)
    return (
        struct.pack("<HHHHIIQQQIIII", 9, mode, 0, 0, 7, number, start, size, 0, names, fragment, offset, NO_FRAGMENT)
        + count
    )


def symlink_inode(number: int, target: bytes, *, size: int | None = None) -> bytes:
    return struct.pack("<HHHHIIII", 3, 0o777, 0, 0, 7, number, 1, len(target) if size is None else size) + target


def special_inode(number: int, kind: int) -> bytes:
    """A device (4, 5), fifo (6) or socket (7)."""
    return struct.pack("<HHHHIIII", kind, 0o644, 0, 0, 7, number, 1, 0x0101)


def directory_inode(number: int, place: int, size: int) -> bytes:
    """A directory whose listing of `size` bytes is at `place` in the directory table."""
    block, offset = reference(place)
    return struct.pack("<HHHHIIIIIIHHI", 8, 0o755, 0, 0, 7, number, 2, size + 3, block, 1, 0, offset, NO_FRAGMENT)


@dataclass
class Entry:
    """One name in a directory: the inode that it names, by its place in the inode table and its number."""

    name: bytes
    place: int
    number: int
    kind: int = FILE


def listing(entries: list[Entry]) -> bytes:
    """The listing of a directory. Entries whose inodes share a metadata block share a header, as far as they may."""
    groups: list[list[Entry]] = []
    for entry in entries:
        if not groups or not _fits(entry, groups[-1]):
            groups.append([])
        groups[-1].append(entry)
    return b"".join(_group(group) for group in groups)


def _fits(entry: Entry, group: list[Entry]) -> bool:
    same_block = reference(entry.place)[0] == reference(group[0].place)[0]
    return len(group) < 256 and same_block and -(1 << 15) <= entry.number - group[0].number < 1 << 15


def _group(group: list[Entry]) -> bytes:
    first = group[0]
    out = [struct.pack("<III", len(group) - 1, reference(first.place)[0], first.number)]
    for entry in group:
        rest = (reference(entry.place)[1], entry.number - first.number, entry.kind, (len(entry.name) - 1) & 0xFFFF)
        out.append(struct.pack("<HhHH", *rest) + entry.name)
    return b"".join(out)


@dataclass
class Forge:
    """The parts of an image. `build` lays them out as mksquashfs does and returns the file system's bytes.

    Data begins at 96. `fields` overrides fields of the superblock by their names.
    """

    data: bytes = b""
    inodes: bytes = b""
    directories: bytes = b""
    fragments: list[tuple[int, int]] = field(default_factory=list)
    root: int = 0
    compression: int = 1
    fields: dict[str, int] = field(default_factory=dict)

    def inode(self, raw: bytes) -> int:
        """Add an inode; returns its place."""
        self.inodes += raw
        return len(self.inodes) - len(raw)

    def directory(self, number: int, entries: list[Entry]) -> int:
        """Add a directory and its listing; returns the place of its inode."""
        raw = listing(entries)
        self.directories += raw
        return self.inode(directory_inode(number, len(self.directories) - len(raw), len(raw)))

    def top(self, entries: list[Entry], number: int = 1) -> Forge:
        """Add the root directory."""
        self.root = self.directory(number, entries)
        return self

    def build(self) -> bytes:
        inode_table = 96 + len(self.data)
        directory_table = inode_table + len(chain(self.inodes))
        body = self.data + chain(self.inodes) + chain(self.directories or bytes(16))
        rows = b"".join(struct.pack("<QII", start, word, 0) for start, word in self.fragments)
        places = []
        for at in range(0, len(rows), 8192):
            places.append(96 + len(body))
            body += chain(rows[at : at + 8192])
        fragment_table = 96 + len(body)
        body += struct.pack(f"<{len(places)}Q", *places)
        body += struct.pack("<HIQ", 0x8004, 0, 96 + len(body))
        block, offset = reference(self.root)
        values = {
            "magic": 0x73717368, "inodes": 3, "time": 0, "block_size": BLOCK, "fragments": len(self.fragments),
            "compression": self.compression, "block_log": BLOCK.bit_length() - 1, "flags": 0, "ids": 1, "major": 4,
            "minor": 0, "root": block << 16 | offset, "bytes_used": 96 + len(body), "id_table": 96 + len(body) - 8,
            "xattrs": (1 << 64) - 1, "inode_table": inode_table, "directory_table": directory_table,
            "fragment_table": fragment_table, "exports": (1 << 64) - 1,
        } | self.fields  # fmt: skip
        return struct.pack("<IIIIIHHHHHHQQQQQQQQ", *values.values()) + body
