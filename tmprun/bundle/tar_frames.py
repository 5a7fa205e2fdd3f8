"""A tree as one GNU-format tar archive, cut into the plain halves of a bundle's frames.

Where a frame ends decides what a cold start must decode to get at one file, so the cuts follow the files:

- symlinks, hot files, files that the start waits for, and all others do not share a frame in which one of these groups
  has more than `SMALL` bytes, so that no start decodes a large file only because a small one is needed first;
- a file of `PIECE` bytes or more starts a frame (its header may end the previous one) and gets one every `PIECE` bytes,
  so that all cores decode it at once;
- smaller files share frames of about `PIECE` bytes;
- a copy of an earlier file (`tmprun.bundle.copies`) is a hard link to it here, and names its bytes in the index.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from tmprun.bundle.copies import Content, Copies, Identity
from tmprun.errors import BadImage
from tmprun.index.nodes import Node, breadth_first, show
from tmprun.index.rules import DIRECTORY, FILE, HARD_LINK, HOLE, SYMLINK

# What a cold start decodes to get at one file, and how many cores can help. Against 1 MiB, bundles are larger (neovim
# 2.6 %, LibreOffice 2.0, many small files 4.2); neovim starts in 0.93, numpy in 0.96 of the time. 256 KiB gain no more.
PIECE = 512 << 10
SMALL = 64 << 10

_TYPES = {DIRECTORY: tarfile.DIRTYPE, FILE: tarfile.REGTYPE, SYMLINK: tarfile.SYMTYPE}
_END = bytes(2 * tarfile.BLOCKSIZE)
_ZEROS = bytes(PIECE)


class PlainFrame(NamedTuple):
    """What one frame decompresses to, and how many bytes of files are done with it, those of copies among them."""

    plain: bytes
    content: int


def header(path: bytes, node: Node, link: bytes = b"") -> bytes:
    """The tar header of `node`, or with `link` of a hard link to that path. Owner and group are 0 and have no name."""
    real = node.link or node  # libarchive applies a hard link's mode and time to the file behind it
    info = tarfile.TarInfo(path.decode("utf-8", "surrogateescape"))
    info.type = tarfile.LNKTYPE if link else _TYPES[node.kind]
    info.mode = real.mode & 0o777
    info.mtime = real.mtime
    info.size = node.size if info.type == tarfile.REGTYPE else 0
    info.linkname = (link or node.target).decode("utf-8", "surrogateescape")
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def tar_frames(
    root: Node,
    content: Content,
    hot: Sequence[Node] = (),
    identity: Identity | None = None,
    cutter: Cutter | None = None,
    done: Set[Node] = frozenset(),
) -> Iterator[PlainFrame]:
    """Yield the archive of everything below `root`, frame by frame, and set the segments of each file on the way.

    `content(node)` yields the bytes of a file, and again when asked again; BadImage when they are more or fewer than
    `node.size`. `identity` is that of `Copies`. With a `cutter` this goes on with its archive, which has the files
    `done`.
    """
    cutter = cutter or Cutter()
    paths = _paths(root)
    copies = Copies((node for node in paths if node.kind == FILE and node not in done), content, identity)
    for members in _groups(paths, hot):
        group = [node for node in members if node not in done]
        if _is_apart(group, cutter):
            yield from cutter.cut()
        for node in group:
            original = copies.original(node) if node.kind == FILE else None
            if original:
                yield from cutter.copy(node, header(paths[node], node, paths[original]), original)
            elif node.kind == FILE:
                yield from cutter.file(node, header(paths[node], node), copies.content(node))
            else:
                yield from cutter.header(header(paths[node], node, paths[node.link] if node.link else b""))
    cutter.buffer += _END
    yield from cutter.cut()


def _paths(root: Node) -> dict[Node, bytes]:
    """Each node below `root` with its path, in the order of the index."""
    nodes, parents = breadth_first(root)
    paths = {root: b""}
    for node, parent in zip(nodes[1:], parents[1:], strict=True):
        above = paths[nodes[parent]]
        paths[node] = above + b"/" + node.name if above else node.name
    del paths[root]
    return paths


def _groups(paths: dict[Node, bytes], hot: Sequence[Node]) -> list[list[Node]]:
    """The members in the order of the archive.

    Hard links are behind their targets. Directories are behind everything that is in them: tar programs make those that
    they need, and GNU tar gives a directory its mtime when it goes on to another one, after which nothing may be put
    into it.
    """
    prefetched = set(hot)
    files = sorted((node for node in paths if node.kind == FILE and node not in prefetched), key=paths.__getitem__)
    return [
        [node for node in paths if node.kind == SYMLINK],
        list(hot),
        [node for node in files if node.first],
        [node for node in files if not node.first],
        [node for node in paths if node.kind == HARD_LINK],
        [node for node in reversed(paths) if node.kind == DIRECTORY],
    ]


def _is_apart(group: list[Node], cutter: Cutter) -> bool:
    """Whether a frame should end before `group`: when either of what lies in the open one and the group is large."""
    if not group or group[0].kind != FILE:
        return False
    return len(cutter.buffer) > SMALL or (cutter.holds_files and sum(node.size for node in group) > SMALL)


class Cutter:
    """Cuts an archive into frames. Of the open one `buffer` is what it holds so far, `number` which one it is."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.number = 0
        self.content = 0

    @property
    def holds_files(self) -> bool:
        """Whether there is content in the open frame, and not only headers."""
        return self.content > 0

    def cut(self) -> Iterator[PlainFrame]:
        """End the open frame, when there is something in it."""
        if self.buffer:
            yield PlainFrame(bytes(self.buffer), self.content)
            self.buffer.clear()
            self.number += 1
            self.content = 0

    def header(self, block: bytes) -> Iterator[PlainFrame]:
        """Add a member that has no content."""
        if len(self.buffer) + len(block) > PIECE:
            yield from self.cut()
        self.buffer += block

    def copy(self, node: Node, block: bytes, original: Node) -> Iterator[PlainFrame]:
        """Add a file that has the content of `original`, which is there already."""
        yield from self.header(block)
        node.segments = original.segments.copy()
        self.content += node.size

    def file(self, node: Node, block: bytes, chunks: Iterable[bytes]) -> Iterator[PlainFrame]:
        """Add a regular file: its header `block`, its content, the padding."""
        large = node.size >= PIECE
        if large:
            self.buffer += block
        if len(self.buffer) > SMALL and (large or len(self.buffer) + len(block) + node.size > PIECE):
            yield from self.cut()
        if not large:
            self.buffer += block
        node.segments = []
        yield from self._content(node, chunks)
        self.buffer += bytes(-node.size % tarfile.BLOCKSIZE)

    def _content(self, node: Node, chunks: Iterable[bytes]) -> Iterator[PlainFrame]:
        total = filled = 0
        for chunk in chunks:
            rest = memoryview(chunk)
            total += len(rest)
            if total > node.size:
                break
            while rest:
                part = rest[: PIECE - filled]
                rest = rest[len(part) :]
                if len(part) == PIECE and not self.buffer:
                    yield self._whole(node, part)
                    continue
                self.buffer += part
                filled += len(part)
                if filled == PIECE:
                    self._segment(node, filled)
                    filled = 0
                    yield from self.cut()
        if total != node.size:
            raise BadImage(f"content of {show(node.name)} is not {node.size} bytes long")
        if filled:
            self._segment(node, filled)

    def _whole(self, node: Node, piece: memoryview) -> PlainFrame:
        """A frame of its own for a piece: most of what large files consist of, which is not copied twice."""
        plain = bytes(piece)
        node.segments.append((HOLE, 0, PIECE) if plain == _ZEROS else (self.number, 0, PIECE))
        self.number += 1
        return PlainFrame(plain, PIECE)

    def _segment(self, node: Node, length: int) -> None:
        """The last `length` bytes of the buffer are the file's. A whole piece of zeros takes no memory in the tree."""
        self.content += length
        if length >= SMALL and self.buffer[-1] == 0 and self.buffer.endswith(_ZEROS[:length]):
            node.segments.append((HOLE, 0, length))
        else:
            node.segments.append((self.number, len(self.buffer) - length, length))
