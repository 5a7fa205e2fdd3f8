"""From a tree to an index: the table that says how to build a tree from compressed frames (docs/format.md).

What `encode` makes can be given to the engine, but for what is the caller's word.
"""

from __future__ import annotations

import struct

from tmprun.errors import BadImage
from tmprun.index.nodes import (
    Fixup,
    Frame,
    Interpreter,
    Node,
    breadth_first,
    check_target,
    show,
)
from tmprun.index.rules import (
    DIRECTORY,
    FILE,
    FIXUP,
    FIXUP_INTERPRETER,
    FLAG_AT_ONCE,
    FLAG_FOREIGN,
    FRAME,
    HEADER,
    HOT,
    INTERPRETER,
    MAGIC,
    MAX_INDEX,
    NODE,
    NODE_FIRST,
    SEGMENT,
    SYMLINK,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class _Strings:
    """The pool of names and targets, each text stored once."""

    def __init__(self) -> None:
        self.pool = bytearray()
        self.known: dict[bytes, int] = {}

    def add(self, text: bytes) -> int:
        at = self.known.get(text)
        if at is None:
            at = self.known[text] = len(self.pool)
            self.pool += text
        return at


class _Rows:
    """The node and segment tables and the string pool in the making; nodes come in the order of the index."""

    def __init__(self, nodes: list[Node]) -> None:
        self.order = nodes
        self.nodes = bytearray(NODE.size * len(nodes))
        self.segments = bytearray()
        self.strings = _Strings()
        self.content = 0
        self.child = 1

    def add(self, node: Node, parent: int) -> None:
        a, b, size = self._content(node)
        name = self.strings.add(node.name) if node.number else 0
        NODE.pack_into(
            self.nodes, node.number * NODE.size, name, len(node.name) if node.number else 0, node.mode & 0o7777,
            node.kind, NODE_FIRST if node.first else 0, 0, parent, a, b, node.mtime, size,
        )  # fmt: skip

    def _content(self, node: Node) -> tuple[int, int, int]:
        """Fields a, b and size of a node's row."""
        if node.kind == DIRECTORY:
            first = self.child
            self.child += len(node.children)
            return first, len(node.children), 0
        if node.kind == FILE:
            at = len(self.segments) // SEGMENT.size
            for run in node.segments:
                self.segments += SEGMENT.pack(*run, 0)
            self.content += node.size
            return at, len(node.segments), node.size
        if node.kind == SYMLINK:
            check_target(node.target)
            return self.strings.add(node.target), len(node.target), len(node.target)
        link = node.link
        if link is None or link.kind != FILE or link.number >= len(self.order) or self.order[link.number] is not link:
            raise BadImage("a hard link names something that is not a file of this tree", show(node.name))
        return link.number, 0, 0


def encode(
    root: Node,
    frames: list[Frame],
    *,
    hot: list[Node] | None = None,
    fixups: Sequence[Fixup] = (),
    metadata: bytes = b"{}",
    image_size: int = 0,
    image_sha256: bytes = b"",
    at_once: bool = False,
) -> bytes:
    """The index of the tree under `root`, whose segments name `frames`. With `image_sha256` it is a foreign one;
    `at_once` says that its files are to be there before the app starts.

    Sets each node's `number`. Raises BadImage for a tree that the format cannot express. That frames and segments are
    in range and fit their files is the caller's word; `decode` checks it.
    """
    nodes, parents = breadth_first(root)
    rows = _Rows(nodes)
    try:
        for node, parent in zip(nodes, parents, strict=True):
            rows.add(node, parent)
        fixup_rows = _encode_fixups(fixups, rows.strings)
        tables: list[bytes | bytearray] = [
            b"".join(FRAME.pack(f.offset, f.stored, f.plain, f.codec, 0, f.digest) for f in frames),
            rows.nodes,
            rows.segments,
            fixup_rows,
            b"".join(HOT.pack(node.number) for node in hot or []),
            rows.strings.pool,
            metadata,
        ]
        header = HEADER.pack(
            MAGIC, len(frames), len(nodes), len(rows.segments) // SEGMENT.size, len(fixup_rows) // FIXUP.size,
            len(hot or []), len(rows.strings.pool), len(metadata),
            (FLAG_FOREIGN if image_sha256 else 0) | (FLAG_AT_ONCE if at_once else 0), rows.content, image_size,
            image_sha256 or bytes(32), bytes(40),
        )  # fmt: skip
    except struct.error as error:
        raise BadImage(f"a size, time or offset is out of range: {error}") from None
    table = b"".join((header, *tables))
    if len(table) > MAX_INDEX:
        raise BadImage("its index is larger than 128 MiB")
    return table


def _encode_fixups(fixups: Sequence[Fixup], strings: _Strings) -> bytes:
    """The records of the interpreters that `fixups` name, then theirs."""
    interpreters: list[Interpreter] = []
    for fixup in fixups:
        if fixup.interpreter not in interpreters:
            interpreters.append(fixup.interpreter)
    rows = [
        INTERPRETER.pack(
            each.node.number, FIXUP_INTERPRETER, strings.add(each.path), len(each.path), each.need,
            each.link.number if each.link else 0, strings.add(each.target) if each.link else 0, len(each.target),
        )
        for each in interpreters
    ]  # fmt: skip
    for fixup in sorted(fixups, key=lambda each: each.node.number):
        number = interpreters.index(fixup.interpreter)
        rows.append(FIXUP.pack(fixup.node.number, fixup.kind, fixup.header, fixup.at, fixup.room, number))
    return b"".join(rows)
