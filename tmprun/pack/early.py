"""Packing begins while the AppDir is still being unpacked: frames of the files that are there already.

What is not known before the end is which directory is the AppDir, and what becomes of a file meanwhile. So this guesses
the first, and keeps of each file what the system said of it when it was read: only where that is still true of the
finished AppDir are its frames part of the bundle. All others are packed when everything is there, as if nothing had
been begun; so are hard links, and the programs that are not large, which have frames of their own
(`bundle.tar_frames`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from typing import BinaryIO

from tmprun.archives.entry import NO_TOP
from tmprun.bundle.tar_frames import PIECE, Cutter, header
from tmprun.bundle.write import Begun, FrameWriter, payload_offset
from tmprun.index.nodes import Node, is_library
from tmprun.index.rules import DIRECTORY, FILE
from tmprun.pack.appdir import CHUNK, AppDir, file_mode, identity, open_file

_Identity = tuple[int, ...]


class Early:
    """A bundle in the making at `path`, of what is being unpacked into `root`, behind so much room as `stub` takes.

    The order in which it hears of the files decides about its bytes, and nothing else does.
    """

    def __init__(self, path: str, root: str, stub: bytes, level: int, threads: int = 0) -> None:
        self.path, self._root = path, os.fsencode(root)
        self._offset = payload_offset(stub)
        self._level, self._threads = level, threads
        self._top: bytes | None = None
        self._given_up = False
        self._heard: dict[bytes, None] = {}
        self._begin(new_bundle(path))

    def _begin(self, out: BinaryIO) -> None:
        self.out = out
        out.truncate(0)
        out.seek(self._offset)
        self._writer, self._cutter = FrameWriter(out, self._level, self._threads), Cutter()
        self._files: dict[bytes, tuple[Node, _Identity]] = {}

    def made(self, path: bytes, kind: str) -> None:
        """Something was unpacked: a `file`, or `another` thing. Or a file has got one more name (`linked`).

        What takes the place of a file may have done so before that was read, or later: then nothing is begun.
        """
        if kind == "linked":
            self._files.pop(path, None)
            return
        self._given_up = self._given_up or path in self._heard
        if self._given_up:
            return
        if self._is_outside(path):
            self._top = b""
            self._writer.close()
            self._begin(self.out)
            for each in self._heard:
                self._pack(each)
        if kind == "file":
            self._heard[path] = None
            self._pack(path)

    def _is_outside(self, path: bytes) -> bool:
        """Whether it shows that the directory which everything seemed to be in is not the AppDir."""
        first = path.split(b"/")[0]
        if self._top is None:
            self._top = b"" if first in NO_TOP else first
        return self._top not in (b"", first)

    def _pack(self, path: bytes) -> None:
        try:
            fd = open_file(os.path.join(self._root, path))
        except OSError:
            return  # gone already; it will be heard of again
        with open(fd, "rb", 0) as file:
            facts = os.fstat(fd)
            node = Node(path.rpartition(b"/")[2], FILE, file_mode(facts), facts.st_mtime_ns // 10**9)
            node.size = facts.st_size
            if stat.S_ISREG(facts.st_mode) and not _waits(node):
                for frame in self._cutter.file(node, header(self._inner(path), node), _content(file, node.size)):
                    self._writer.put(frame)
                self._files[path] = node, identity(facts)

    def _inner(self, path: bytes) -> bytes:
        return path[len(self._top) + 1 :] if self._top else path

    def begun(self, source: AppDir, stub: bytes, level: int) -> Begun | None:
        """What is of use for a bundle of the AppDir with that stub, at that level; None when nothing is."""
        top = os.path.join(self._root, self._top) if self._top else self._root
        if self._given_up or source.path != os.path.realpath(top):
            return None
        if (level, payload_offset(stub)) != (self._level, self._offset):
            return None
        nodes = {path: node for node, path in source.paths.items() if node.kind != DIRECTORY}
        if any(self._inner(path) not in nodes for path in self._heard):
            return None  # what is no more would stay in the archive that the frames are
        done = set()
        for path, (early, seen) in self._files.items():
            node = nodes[self._inner(path)]
            same = (node.kind, node.mode, node.mtime) == (FILE, early.mode, early.mtime)
            if same and identity(source.stat(node)) == seen:
                node.segments = early.segments
                done.add(node)
        return Begun(self._writer, self._cutter, done)

    def close(self) -> None:
        """Nothing more comes."""
        self._writer.close()
        self.out.close()


@contextmanager
def early(path: str, root: str, stub: bytes, level: int) -> Iterator[Early]:
    """An `Early` as long as the block lasts."""
    made = Early(path, root, stub, level)
    try:
        yield made
    finally:
        made.close()


def new_bundle(path: str | os.PathLike[str]) -> BinaryIO:
    """A new file that may be executed: the kernel applies the umask, and the directory's default ACL."""
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o755))


def _waits(node: Node) -> bool:
    """Whether the start may wait for that file, and it is not large."""
    return node.size < PIECE and node.mode & 0o100 != 0 and not is_library(node.name)


def _content(file: FileIO, size: int) -> Iterator[bytes]:
    """So many bytes of the file in any case: where it was another size, nobody takes them for its content later."""
    while size:
        chunk = file.read(min(CHUNK, size)) or bytes(min(CHUNK, size))
        size -= len(chunk)
        yield chunk
