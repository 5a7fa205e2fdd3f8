"""The index: the table that says how to build a tree from compressed frames (docs/format.md is its specification).

Writers describe a tree with `Node` objects and call `encode`; readers call `decode` on the table's bytes. Both hold
everything that docs/format.md asks for, so a table that leaves this module can be given to the engine.

This module is imported at the first start of every foreign image: it imports nothing that is slow to load.
"""

from __future__ import annotations

import hashlib
import struct

from tmprun.errors import BadImage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"TMPRIDX1"
HEADER = struct.Struct("<8sIIIIIIIIQQ32s40s")
FRAME = struct.Struct("<QIIII32s")
NODE = struct.Struct("<IHHBBHIIIqQ")
SEGMENT = struct.Struct("<IIII")
FIXUP = struct.Struct("<IIQQII")
INTERPRETER = struct.Struct("<IIIIIIII")
HOT = struct.Struct("<I")

FLAG_FOREIGN = 1
CODEC_STORED, CODEC_ZSTD, CODEC_ZLIB = 0, 1, 2
DIRECTORY, FILE, SYMLINK, HARD_LINK = 0, 1, 2, 3
NODE_FIRST = 1
HOLE = 0xFFFFFFFF
FIXUP_INTERPRETER, FIXUP_ELF, FIXUP_SCRIPT = 0, 1, 2
AT_END = 0xFFFFFFFF

MAX_NODES = 4 << 20
MAX_PLAIN = 8 << 20
MAX_STORED = 9 << 20
MAX_DEPTH = 256
MAX_PATH = 3072
MAX_NAME = 255
MAX_TARGET = 4095
MAX_INDEX = 128 << 20
MAX_INTERPRETER = 255
MAX_INTERPRETERS = 8
PROGRAM_HEADER = 56

_VERSION = frozenset(b"%c" % c for c in b"0123456789.")


class Frame:
    """One independently decodable run of stored bytes; sizes in bytes, `digest` the SHA-256 of the stored bytes."""

    __slots__ = ("codec", "digest", "offset", "plain", "stored")

    def __init__(self, offset: int, stored: int, plain: int, codec: int, digest: bytes) -> None:
        self.offset = offset
        self.stored = stored
        self.plain = plain
        self.codec = codec
        self.digest = digest


class Node:
    """One file system object of a tree that is to become an index, or that was read from one.

    `segments` are (frame, offset in the frame's plain bytes, length), frame `HOLE` for zeros; `target` is a symlink's
    text; `link` a hard link's target; `children` a directory's content in any order.
    """

    __slots__ = ("children", "first", "kind", "link", "mode", "mtime", "name", "number", "segments", "size", "target")

    def __init__(self, name: bytes, kind: int, mode: int = 0o755, mtime: int = 0) -> None:
        self.name = name
        self.kind = kind
        self.mode = mode
        self.mtime = mtime
        self.size = 0
        self.first = False
        self.segments: list[tuple[int, int, int]] = []
        self.target = b""
        self.link: Node | None = None
        self.children: dict[bytes, Node] = {}
        self.number = 0

    def add(self, child: Node) -> Node:
        """Put `child` into this directory and return it; BadImage when its name is illegal or taken."""
        check_name(child.name)
        if child.name in self.children:
            raise BadImage(f"two entries are named {show(child.name)}")
        self.children[child.name] = child
        return child


class Interpreter:
    """What a machine may lack and the image brings: `path` as programs name it, `node` the file in its place.

    `need` is the lowest version of the C library beside it that will do, major * 65536 + minor, 0 when there is no such
    question. `link` is a symlink whose text is `target` where this interpreter is lacking.
    """

    __slots__ = ("link", "need", "node", "path", "target")

    def __init__(self, path: bytes, node: Node, need: int = 0, link: Node | None = None, target: bytes = b"") -> None:
        self.path = path
        self.node = node
        self.need = need
        self.link = link
        self.target = target


class Fixup:
    """A program, and where it names its interpreter.

    `kind` FIXUP_ELF: its PT_INTERP program header is at file offset `header`, and `room` bytes of zeros at `at` that
    nobody owns take the new path, or the end of the file with `room` AT_END. FIXUP_SCRIPT: the path is `room` bytes
    long and begins at `header`.
    """

    __slots__ = ("at", "header", "interpreter", "kind", "node", "room")

    def __init__(self, node: Node, interpreter: Interpreter, kind: int, header: int, at: int, room: int) -> None:
        self.node = node
        self.interpreter = interpreter
        self.kind = kind
        self.header = header
        self.at = at
        self.room = room


class Index:
    """A decoded index. `nodes` is in the table's own breadth-first order, `nodes[0]` the root; `parents` beside it."""

    __slots__ = (
        "content_size",
        "fixups",
        "foreign",
        "frames",
        "hot",
        "image_sha256",
        "image_size",
        "metadata",
        "nodes",
        "parents",
    )

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.nodes: list[Node] = []
        self.parents: list[int] = []
        self.fixups: list[Fixup] = []
        self.hot: list[int] = []
        self.metadata = b"{}"
        self.foreign = False
        self.content_size = 0
        self.image_size = 0
        self.image_sha256 = bytes(32)

    def paths(self) -> list[bytes]:
        """The path of each node from the root, `b""` for the root itself."""
        paths = [b""]
        for node, parent in zip(self.nodes[1:], self.parents[1:], strict=True):
            above = paths[parent]
            paths.append(above + b"/" + node.name if above else node.name)
        return paths


def show(name: bytes) -> str:
    """`name` in quotes, with what is not printable escaped: safe for a terminal and for one line."""
    return ascii(name.decode("utf-8", "backslashreplace")) if not _plain(name) else f"'{name.decode()}'"


def _plain(name: bytes) -> bool:
    try:
        return name.decode().isprintable() and b"'" not in name
    except UnicodeDecodeError:
        return False


def key_of(table: bytes) -> str:
    """The key of a tree: the SHA-256 of its index, in lower-case hex."""
    return hashlib.sha256(table).hexdigest()


def check_name(name: bytes) -> None:
    """Raise BadImage unless `name` may stand in a directory."""
    if not 0 < len(name) <= MAX_NAME or name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise BadImage(f"illegal file name {show(name[:64])}")


def check_target(target: bytes) -> None:
    """Raise BadImage unless `target` may be a symlink's text."""
    if not 0 < len(target) <= MAX_TARGET or b"\0" in target:
        raise BadImage(f"illegal symlink target {show(target[:64])}")


def is_library(name: bytes) -> bool:
    """Whether a file of this name is a shared library and no program, whatever its mode says: `*.so`, `*.so.[0-9.]*`.

    Loaders (`ld-*`, `ld.so*`) are programs: the kernel executes them.
    """
    if name.startswith((b"ld-", b"ld.so")):
        return False
    return name.endswith(b".so") or any(rest[:1] in _VERSION for rest in name.split(b".so.")[1:] if rest)


def breadth_first(root: Node) -> tuple[list[Node], list[int]]:
    """Number the nodes below `root` as the format demands; returns them with their parents' numbers.

    BadImage when the tree is deeper, longer or larger than the format allows.
    """
    nodes, parents = [root], [0]
    lengths, depths = [0], [0]
    at = 0
    while at < len(nodes):
        node = nodes[at]
        node.number = at
        if node.children:
            depth = depths[at] + 1
            above = lengths[at]
            if depth > MAX_DEPTH:
                raise BadImage(f"directories are nested deeper than {MAX_DEPTH}")
            for name in sorted(node.children):
                length = above + (1 if above else 0) + len(name)
                if length > MAX_PATH:
                    raise BadImage(f"a path is longer than {MAX_PATH} bytes")
                nodes.append(node.children[name])
                parents.append(at)
                lengths.append(length)
                depths.append(depth)
            if len(nodes) > MAX_NODES:
                raise BadImage(f"more than {MAX_NODES} files")
        at += 1
    return nodes, parents


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
) -> bytes:
    """The index of the tree under `root`, whose segments name `frames`. With `image_sha256` it is a foreign one.

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
            len(hot or []), len(rows.strings.pool), len(metadata), FLAG_FOREIGN if image_sha256 else 0, rows.content,
            image_size, image_sha256 or bytes(32), bytes(40),
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


def decode(table: bytes) -> Index:
    """Read an index, holding it to every rule of docs/format.md; BadImage names the first one broken."""
    if len(table) < HEADER.size:
        raise BadImage("the index is cut short")
    (magic, n_frames, n_nodes, n_segments, n_fixups, n_hot, n_strings, n_meta, flags, content, image_size, image_sha256,
     reserved) = HEADER.unpack_from(table)  # fmt: skip
    _must(magic == MAGIC, "unknown index version")
    _must(not flags & ~FLAG_FOREIGN and not any(reserved), "unknown index flags")
    _must(0 < n_nodes <= MAX_NODES, "number of nodes out of range")
    at_nodes = HEADER.size + n_frames * FRAME.size
    at_segments = at_nodes + n_nodes * NODE.size
    at_fixups = at_segments + n_segments * SEGMENT.size
    at_hot = at_fixups + n_fixups * FIXUP.size
    at_strings = at_hot + n_hot * HOT.size
    at_meta = at_strings + n_strings
    _must(len(table) == at_meta + n_meta and len(table) <= MAX_INDEX, "index size and its parts disagree")

    index = Index()
    index.foreign = bool(flags & FLAG_FOREIGN)
    index.content_size, index.image_size, index.image_sha256 = content, image_size, image_sha256
    _must(index.foreign or (image_size == 0 and not any(image_sha256)), "image digest in an index that is not foreign")
    index.metadata = table[at_meta:]
    index.frames = _decode_frames(table[HEADER.size : at_nodes])
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


def _must(true: bool, otherwise: str) -> None:
    if not true:
        raise BadImage(otherwise)


def _decode_frames(rows: bytes) -> list[Frame]:
    frames = []
    end = 0
    for offset, stored, plain, codec, zero, digest in FRAME.iter_unpack(rows):
        _must(zero == 0 and codec <= CODEC_ZLIB, "unknown codec")
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
