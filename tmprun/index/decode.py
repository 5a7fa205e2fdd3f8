"""From an index's bytes to its tree, with every rule of docs/format.md checked."""

from __future__ import annotations

import json

from tmprun.errors import BadImage
from tmprun.index.nodes import Fixup, Frame, Index, Interpreter, Node, check_name, check_target
from tmprun.index.rules import (
    AT_END,
    CODEC_STORED,
    CODECS,
    DIRECTORY,
    FILE,
    FIXUP,
    FIXUP_ELF,
    FIXUP_INTERPRETER,
    FIXUP_SCRIPT,
    FLAG_AT_ONCE,
    FLAG_FOREIGN,
    FLAG_UNHASHED,
    FOREIGN_CODECS,
    FRAME,
    HARD_LINK,
    HEADER,
    HOLE,
    HOT,
    INTERPRETER,
    MAGIC,
    MAX_DEPTH,
    MAX_INDEX,
    MAX_INTERPRETER,
    MAX_INTERPRETERS,
    MAX_NODES,
    MAX_PATH,
    MAX_PLAIN,
    MAX_STORED,
    NODE,
    NODE_FIRST,
    PROGRAM_HEADER,
    SEGMENT,
    SYMLINK,
)


def decode(table: bytes) -> Index:
    """Read an index, holding it to every rule of docs/format.md; BadImage names the first one broken."""
    if len(table) < HEADER.size:
        raise BadImage("the index is cut short")
    (magic, n_frames, n_nodes, n_segments, n_fixups, n_hot, n_strings, n_meta, flags, content, image_size, image_sha256,
     reserved) = HEADER.unpack_from(table)  # fmt: skip
    _must(magic == MAGIC, "unknown index version")
    _must(not flags & ~(FLAG_FOREIGN | FLAG_AT_ONCE | FLAG_UNHASHED) and not any(reserved), "unknown index flags")
    _must(bool(flags & FLAG_FOREIGN) or not flags & FLAG_UNHASHED, "unknown index flags")
    _must(0 < n_nodes <= MAX_NODES, "number of nodes out of range")
    at_nodes = HEADER.size + n_frames * FRAME.size
    at_segments = at_nodes + n_nodes * NODE.size
    at_fixups = at_segments + n_segments * SEGMENT.size
    at_hot = at_fixups + n_fixups * FIXUP.size
    at_strings = at_hot + n_hot * HOT.size
    at_meta = at_strings + n_strings
    _must(len(table) == at_meta + n_meta and len(table) <= MAX_INDEX, "index size and its parts disagree")

    index = Index()
    index.foreign, index.at_once = bool(flags & FLAG_FOREIGN), bool(flags & FLAG_AT_ONCE)
    index.content_size, index.image_size, index.image_sha256 = content, image_size, image_sha256
    _must(index.foreign or (image_size == 0 and not any(image_sha256)), "image digest in an index that is not foreign")
    index.metadata = table[at_meta:]
    index.frames = _decode_frames(table[HEADER.size : at_nodes], CODECS + FOREIGN_CODECS if index.foreign else CODECS)
    segments = list(SEGMENT.iter_unpack(table[at_segments:at_fixups]))
    _check_segments(segments, index.frames)
    reader = _NodeReader(index, segments, table[at_strings:at_meta])
    for number, row in enumerate(NODE.iter_unpack(table[at_nodes:at_segments])):
        reader.add(number, row)
    reader.finish()
    _must(
        sum(node.size for node in index.nodes if node.kind == FILE) == content,
        "content size is not the sum of the files",
    )
    index.fixups = _FixupReader(index.nodes, table[at_strings:at_meta]).read(table[at_fixups:at_hot])
    index.hot = [number for (number,) in HOT.iter_unpack(table[at_hot:at_strings])]
    _must(len(set(index.hot)) == n_hot, "hot list names a node twice")
    _must(
        all(n < n_nodes and index.nodes[n].kind == FILE for n in index.hot),
        "hot list names something that is not a file",
    )
    return index


def metadata_of(raw: bytes) -> dict[str, object]:
    """What a bundle's metadata say; nothing when they are not what they should be."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _must(true: bool, otherwise: str) -> None:
    if not true:
        raise BadImage(otherwise)


def _decode_frames(rows: bytes, codecs: tuple[int, ...]) -> list[Frame]:
    frames = []
    end = 0
    for offset, stored, plain, codec, zero, digest in FRAME.iter_unpack(rows):
        _must(zero == 0 and codec in codecs, "unknown codec")
        _must(0 < stored <= MAX_STORED and 0 < plain <= MAX_PLAIN, "frame size out of range")
        _must(codec != CODEC_STORED or stored == plain, "stored frame with two sizes")
        _must(end <= offset < 1 << 62, "frames overlap or are out of order")
        end = offset + stored
        frames.append(Frame(offset, stored, plain, codec, digest))
    return frames


def _check_segments(segments: list[tuple[int, ...]], frames: list[Frame]) -> None:
    for frame, offset, length, zero in segments:
        _must(zero == 0 and length > 0, "empty segment")
        if frame == HOLE:
            _must(offset == 0, "hole with an offset")
        else:
            _must(frame < len(frames) and offset + length <= frames[frame].plain, "segment out of range")


class _FixupReader:
    """Turns the rows of the fixup table into fixups, each checked."""

    def __init__(self, nodes: list[Node], strings: bytes) -> None:
        self.nodes = nodes
        self.strings = strings
        self.interpreters: list[Interpreter] = []
        self.fixups: list[Fixup] = []

    def read(self, rows: bytes) -> list[Fixup]:
        for at in range(0, len(rows), FIXUP.size):
            row = FIXUP.unpack_from(rows, at)
            if row[1] == FIXUP_INTERPRETER:
                _must(not self.fixups, "an interpreter's record stands behind a program's")
                self._interpreter(INTERPRETER.unpack_from(rows, at))
            else:
                self._program(row)
        _must(len(self.interpreters) <= MAX_INTERPRETERS, "more interpreters than there can be")
        return self.fixups

    def _interpreter(self, row: tuple[int, ...]) -> None:
        number, _, path, path_length, need, link, target, target_length = row
        interpreter = Interpreter(self._text(path, path_length), self._runnable(number), need)
        _must(interpreter.path.startswith(b"/"), "an interpreter's path is not absolute")
        if link:
            _must(link < len(self.nodes) and self.nodes[link].kind == SYMLINK, "an interpreter's link is no symlink")
            interpreter.link, interpreter.target = self.nodes[link], self._text(target, target_length)
        else:
            _must(target == target_length == 0, "an interpreter has a target and no link")
        self.interpreters.append(interpreter)

    def _program(self, row: tuple[int, ...]) -> None:
        number, kind, header, at, room, interpreter = row
        node = self._runnable(number)
        _must(interpreter < len(self.interpreters), "fixup with an unknown interpreter")
        _must(not self.fixups or self.fixups[-1].node.number < number, "fixups are not in order")
        fixup = Fixup(node, self.interpreters[interpreter], kind, header, at, room)
        if kind == FIXUP_SCRIPT:
            fits = at == 0 and 2 <= header <= MAX_INTERPRETER and room == len(fixup.interpreter.path)
        elif room == AT_END:
            fits = at == node.size and header + PROGRAM_HEADER <= node.size
        else:
            fits = room > 0 and at + room <= node.size and header + PROGRAM_HEADER <= node.size
        _must(kind in (FIXUP_ELF, FIXUP_SCRIPT) and fits, "fixup out of range")
        self.fixups.append(fixup)

    def _runnable(self, number: int) -> Node:
        _must(number < len(self.nodes), "fixup of something that is not there")
        node = self.nodes[number]
        _must(node.kind == FILE and node.first, "fixup of something that is no program")
        return node

    def _text(self, at: int, length: int) -> bytes:
        _must(0 < length <= MAX_INTERPRETER and at + length <= len(self.strings), "fixup's text out of range")
        text = self.strings[at : at + length]
        _must(b"\0" not in text and b"\n" not in text, "fixup's text is none")
        return text


class _NodeReader:
    """Turns the rows of the node table into the nodes of an index, in order, each checked against those before it."""

    def __init__(self, index: Index, segments: list[tuple[int, ...]], strings: bytes) -> None:
        self.index = index
        self.segments = segments
        self.strings = strings
        self.child = 1
        self.segment = 0
        self.lengths = [0]
        self.depths = [0]
        self.links: list[tuple[Node, int]] = []
        self.spans: list[tuple[int, int, int]] = []

    def add(self, number: int, row: tuple[int, ...]) -> None:
        name_at, name_len, mode, kind, flags, zero, parent, a, b, mtime, size = row
        _must(
            zero == 0 and not flags & ~NODE_FIRST and mode <= 0o7777 and kind <= HARD_LINK, "unknown node type or flags"
        )
        node = Node(self._text(name_at, name_len, "name"), kind, mode, mtime)
        node.number, node.size, node.first = number, size, bool(flags & NODE_FIRST)
        if number:
            self._hang(node, parent)
        else:
            _must(kind == DIRECTORY and name_at == name_len == parent == 0, "the root is not a directory")
        self._content(node, a, b)
        self.index.nodes.append(node)
        self.index.parents.append(parent)

    def _text(self, at: int, length: int, what: str) -> bytes:
        _must(at + length <= len(self.strings), f"{what} out of range")
        return self.strings[at : at + length]

    def _hang(self, node: Node, parent: int) -> None:
        """Put a node into the directory that it names as its parent."""
        check_name(node.name)
        _must(parent < node.number, "a node stands before its parent")
        above = self.index.nodes[parent]
        _must(above.kind == DIRECTORY, "a node's parent is no directory")
        if above.children:
            _must(next(reversed(above.children)) < node.name, "names are not in ascending order")
        above.children[node.name] = node
        length = self.lengths[parent] + (1 if parent else 0) + len(node.name)
        _must(length <= MAX_PATH and self.depths[parent] < MAX_DEPTH, "a path is too long or too deep")
        self.lengths.append(length)
        self.depths.append(self.depths[parent] + 1)

    def _content(self, node: Node, a: int, b: int) -> None:
        """Fields a, b and size of a row, by the node's type."""
        if node.kind == DIRECTORY:
            _must(a == self.child and node.size == 0, "a directory's children are not where they must be")
            self.child += b
            self.spans.append((node.number, a, b))
        elif node.kind == FILE:
            _must(a == self.segment and a + b <= len(self.segments), "a file's segments are not where they must be")
            node.segments = [(frame, offset, length) for frame, offset, length, _ in self.segments[a : a + b]]
            self.segment += b
            _must(sum(run[2] for run in node.segments) == node.size, "a file's segments are not its size")
        elif node.kind == SYMLINK:
            _must(node.size == b, "a symlink's size is not its target's")
            node.target = self._text(a, b, "symlink target")
            check_target(node.target)
        else:
            _must(b == 0 and node.size == 0, "hard link with a size")
            self.links.append((node, a))

    def finish(self) -> None:
        """What can be said only when all nodes are known."""
        nodes, parents = self.index.nodes, self.index.parents
        _must(
            self.child == len(nodes) and self.segment == len(self.segments), "nodes or segments that belong to nothing"
        )
        for number, first, count in self.spans:
            _must(parents[first : first + count] == [number] * count, "a child names another parent")
        for node, target in self.links:
            _must(target < len(nodes) and nodes[target].kind == FILE, "hard link to something that is not a file")
            node.link = nodes[target]
