"""Squashfs 4.0: from its inodes and directories to a tree of nodes whose segments name frames inside the image.

An inode begins with type, mode, uid, gid (u16 each), mtime, number (u32 each). Types 1 to 7 are the basic ones
(directory, file, symlink, block device, character device, fifo, socket), 8 to 14 the extended ones of the same kinds.
Owners and extended attributes are ignored. A directory's listing, in the directory table, is a sequence of headers
(u32: number of entries - 1, place of their inodes' metadata block, an inode number) each followed by its entries (u16
offset of the inode in that block, s16 difference to that inode number, u16 basic type, u16 length of the name - 1,
name).
"""

from __future__ import annotations

import struct

from tmprun.errors import BadImage
from tmprun.images.codecs import Codec
from tmprun.images.source import Source
from tmprun.images.squashfs.blocks import NO_FRAGMENT, Blocks
from tmprun.images.squashfs.tables import MAX_INODES, Tables, lies
from tmprun.index.nodes import Frame, Node, check_target, is_library, show
from tmprun.index.rules import DIRECTORY, FILE, HARD_LINK, MAX_DEPTH, MAX_TARGET, SYMLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_INODE = struct.Struct("<HHHHII")
_BASIC_DIRECTORY = struct.Struct("<IIHHI")
_EXTENDED_DIRECTORY = struct.Struct("<IIIIHHI")
_BASIC_FILE = struct.Struct("<IIII")
_EXTENDED_FILE = struct.Struct("<QQQIIII")
_SYMLINK = struct.Struct("<II")
_LISTING = struct.Struct("<III")
_ENTRY = struct.Struct("<HhHH")

_KINDS = 7
_REFUSED = {4: "a block device", 5: "a character device", 6: "a fifo", 7: "a socket"}
_EMPTY_LISTING = 3  # an inode gives the size of a directory's listing plus this, for `.` and `..`
_LISTED_AT_ONCE = 256


class Squashfs:
    """What a squashfs holds: the tree under `root`, whose segments name `frames`; sizes in bytes.

    The frames' offsets count from the file's start, their digests are still empty.
    """

    __slots__ = ("block_size", "codec", "frames", "inodes", "root")

    def __init__(self, tables: Tables, root: Node, frames: list[Frame]) -> None:
        self.block_size: int = tables.block_size
        self.codec: Codec = tables.codec
        self.inodes: int = tables.inode_count
        self.root = root
        self.frames = frames


def read_squashfs(source: Source, start: int) -> Squashfs:
    """Read the tables of the squashfs that begins at `start` in the file.

    BadImage when they break the format's rules or ours, UnsupportedImage when nothing here can decode them.
    """
    tables = Tables(source, start)
    blocks = Blocks(tables)
    try:
        root = _Tree(tables, blocks).read()
    except struct.error:
        raise lies("a table is cut short") from None
    return Squashfs(tables, root, blocks.frames())


class _Tree:
    """One walk through all directories.

    `seen` maps an inode number to its place and the node made of it, for directories, which must not come twice, and
    for what says that it has several names.
    """

    def __init__(self, tables: Tables, blocks: Blocks) -> None:
        self.inodes = tables.inodes
        self.directories = tables.directories
        self.start = tables.root
        self.blocks = blocks
        self.size = tables.block_size
        self.seen: dict[int, tuple[int, Node]] = {}
        self.entries = 0
        # Directories whose listings are still to be read: node, depth, block and offset in the table, size.
        self.pending: list[tuple[Node, int, int, int, int]] = []

    def read(self) -> Node:
        place = self.inodes.locate(self.start >> 16, self.start & 0xFFFF)
        number = _INODE.unpack_from(self.inodes.plain, place)[5]
        root = self._node(b"", 1, place, number, 0)
        while self.pending:
            node, depth, block, offset, size = self.pending.pop()
            if depth > MAX_DEPTH:
                raise BadImage(f"directories are nested deeper than {MAX_DEPTH}")
            for name, kind, place, number in self._listing(block, offset, size):
                node.add(self._node(name, kind, place, number, depth))
        return root

    def _listing(self, block: int, offset: int, size: int) -> Iterator[tuple[bytes, int, int, int]]:
        """The entries of a directory: name, basic type, place of the inode in the inode table, its number."""
        at = self.directories.locate(block, offset, size)
        table = self.directories.plain
        end = at + size
        while at < end:
            count, inode_block, base = _LISTING.unpack_from(table, at)
            at += _LISTING.size
            inodes = self.inodes.locate(inode_block, 0)
            self.entries += count + 1
            if count >= _LISTED_AT_ONCE or self.entries > MAX_INODES:
                raise lies("a directory has too many entries")
            for _ in range(count + 1):
                inode, delta, kind, length = _ENTRY.unpack_from(table, at)
                at += _ENTRY.size + length + 1
                if at > end:
                    raise lies("a directory is cut short")
                yield bytes(table[at - length - 1 : at]), kind, inodes + inode, base + delta & 0xFFFFFFFF

    def _node(self, name: bytes, kind: int, place: int, number: int, depth: int) -> Node:
        """The node for an entry. `kind` is the basic type that the directory says, `depth` that of the directory."""
        known = self.seen.get(number)
        if known is not None:
            return self._again(name, place, *known)
        full_kind, mode, _, _, mtime, own_number = _INODE.unpack_from(self.inodes.plain, place)
        if (full_kind - 1) % _KINDS + 1 != kind or not 0 < full_kind <= 2 * _KINDS or own_number != number:
            raise lies(f"a directory and an inode disagree on {show(name)}")
        rest = place + _INODE.size
        extended = full_kind > _KINDS
        if kind == 2:
            node = Node(name, FILE, mode & 0o7777, mtime)
            names = self._file(node, rest, extended)
        elif kind == 1:
            node = Node(name, DIRECTORY, mode & 0o7777, mtime)
            names = self._directory(node, rest, extended, depth + 1)
        elif kind == 3:
            node = Node(name, SYMLINK, mode & 0o7777, mtime)
            names = self._symlink(node, rest)
        else:
            raise BadImage(f"contains {_REFUSED[kind]}, {show(name)}, which has no place in an application")
        if names > 1:
            self.seen[number] = (place, node)
        return node

    def _again(self, name: bytes, place: int, first_place: int, first: Node) -> Node:
        """The node for an inode that has another name already, which is `first`."""
        if place != first_place:
            raise lies("two inodes have one number")
        if first.kind == DIRECTORY:
            raise lies(f"directory {show(name)} is in two places")
        if first.kind == SYMLINK:
            node = Node(name, SYMLINK, first.mode, first.mtime)
            node.target = first.target
            return node
        node = Node(name, HARD_LINK, first.mode, first.mtime)
        node.link = first
        first.first = first.first or _is_program(node)
        return node

    # These read what follows an inode's common part at `place`, and return how many names the inode says that it has.

    def _directory(self, node: Node, place: int, extended: bool, depth: int) -> int:
        plain = self.inodes.plain
        if extended:
            _, size, block, _, _, offset, _ = _EXTENDED_DIRECTORY.unpack_from(plain, place)
        else:
            block, _, size, offset, _ = _BASIC_DIRECTORY.unpack_from(plain, place)
        if size > _EMPTY_LISTING:
            self.pending.append((node, depth, block, offset, size - _EMPTY_LISTING))
        return 2  # in its parent, and as its own `.`

    def _file(self, node: Node, place: int, extended: bool) -> int:
        plain = self.inodes.plain
        names = 1
        if extended:
            start, size, _, names, fragment, offset, _ = _EXTENDED_FILE.unpack_from(plain, place)
            place += _EXTENDED_FILE.size
        else:
            start, fragment, offset, size = _BASIC_FILE.unpack_from(plain, place)
            place += _BASIC_FILE.size
        node.size = size
        node.first = _is_program(node)
        count = size // self.size if fragment != NO_FRAGMENT else -(-size // self.size)
        self.blocks.expect(count)
        words = struct.unpack_from(f"<{count}I", plain, place) if count else ()
        self.blocks.add(node, start, words, fragment, offset)
        return names

    def _symlink(self, node: Node, place: int) -> int:
        names, size = _SYMLINK.unpack_from(self.inodes.plain, place)
        place += _SYMLINK.size
        target = bytes(self.inodes.plain[place : place + min(size, MAX_TARGET + 1)])
        if len(target) < min(size, MAX_TARGET + 1):
            raise lies("a table is cut short")
        check_target(target)
        node.target = target
        return int(names)


def _is_program(node: Node) -> bool:
    """Whether the file of this name and mode must be complete before the app starts (docs/format.md, *first*)."""
    return bool(node.mode & 0o111) and not is_library(node.name)
