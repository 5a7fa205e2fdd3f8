"""A tree that is to become an index, or that was read from one."""

from __future__ import annotations

import hashlib

from tmprun.errors import BadImage
from tmprun.index.rules import MAX_DEPTH, MAX_NAME, MAX_NODES, MAX_PATH, MAX_TARGET

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
        "at_once",
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
        self.foreign = self.at_once = False
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
