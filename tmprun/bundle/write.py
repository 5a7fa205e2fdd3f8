"""Bundles: writing one from a tree of nodes, and finding the index in one (docs/format.md is the specification)."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from tmprun.bundle.copies import Content, Identity
from tmprun.bundle.footer import (
    ALIGN,
    INDEX_LEVEL,
    QUICK_INDEX_LEVEL,
    compressor,
    tail,
)
from tmprun.bundle.tar_frames import Cutter, PlainFrame, tar_frames
from tmprun.index.decode import decode
from tmprun.index.encode import encode
from tmprun.index.nodes import Fixup, Frame, Node, key_of
from tmprun.index.rules import CODEC_ZSTD
from tmprun.index.walk import content_size


class StoredFrame(NamedTuple):
    """A compressed frame, with the SHA-256 of its bytes and what it came from."""

    stored: bytes
    digest: bytes
    source: PlainFrame


class FrameWriter:
    """Frames on their way into `out`, compressed on `threads` threads, written in the order in which they are put.

    `frames` is what was written, `content` the bytes of files in that. Holds a few frames a thread in memory, never
    all. `threads` 0 takes as many as there are processors for us; the bytes written do not depend on it.
    """

    def __init__(self, out: BinaryIO, level: int, threads: int = 0) -> None:
        self.frames: list[Frame] = []
        self.content = 0
        self._out, self._level = out, level
        self._at = 0
        self._threads = threads or len(os.sched_getaffinity(0))
        self._local = threading.local()  # a compressor serves one thread at a time
        self._waiting: deque[Future[StoredFrame]] = deque()
        self._pool = ThreadPoolExecutor(self._threads)

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Without what was put and is not finished."""
        for future in self._waiting:
            future.cancel()
        self._pool.shutdown()

    def put(self, frame: PlainFrame) -> None:
        """The next frame."""
        self._waiting.append(self._pool.submit(self._compress, frame))
        if len(self._waiting) > 2 * self._threads:
            self._write(self._waiting.popleft().result())

    def finish(self) -> None:
        """Write all that were put."""
        while self._waiting:
            self._write(self._waiting.popleft().result())

    def _compress(self, frame: PlainFrame) -> StoredFrame:
        if not hasattr(self._local, "compressor"):
            self._local.compressor = compressor(self._level)
        stored: bytes = self._local.compressor.compress(frame.plain)
        return StoredFrame(stored, hashlib.sha256(stored).digest(), frame)

    def _write(self, frame: StoredFrame) -> None:
        stored, digest, source = frame
        self._out.write(stored)
        self.frames.append(Frame(self._at, len(stored), len(source.plain), CODEC_ZSTD, digest))
        self._at += len(stored)
        self.content += source.content


@dataclass(frozen=True)
class Begun:
    """A bundle of which frames are written already, behind room for the stub: those of the files `nodes`, whose
    segments are set. `cutter` has the open one."""

    writer: FrameWriter
    cutter: Cutter
    nodes: Set[Node]


def payload_offset(stub: bytes) -> int:
    """Where the frames begin behind that stub."""
    return len(stub) + -len(stub) % ALIGN


def write_bundle(
    out: BinaryIO,
    stub: bytes,
    root: Node,
    content: Content,
    *,
    level: int,
    threads: int = 0,
    hot: Sequence[Node] = (),
    fixups: Sequence[Fixup] = (),
    at_once: bool = False,
    metadata: dict[str, object] | None = None,
    identity: Identity | None = None,
    begun: Begun | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Write a bundle of the tree under `root` to `out`, which is empty, and return its key.

    `content(node)` yields the bytes of a regular file, `node.size` of them, and again when asked again: copies are
    stored once. `identity` tells copies without reading them (`bundle.copies`). `level` is zstd's, up to 22, below 0
    for its fast ones; `threads` 0 takes as many as there are processors for us; the bytes written do not depend on it.
    `hot` are the files to put first, `fixups` the programs whose interpreter can be changed, `at_once` whether all of
    it is to be there before the app starts. `begun` is what `out` has already, when it is not empty.
    `progress(done, total)` is told about bytes of file content. Sets each node's `segments` and `number`. Raises
    BadImage for what the format cannot express and OSError when writing fails.
    """
    offset = payload_offset(stub)
    if begun:
        out.seek(0)
    out.write(stub.ljust(offset, b"\0"))
    out.seek(0, os.SEEK_END)
    hot = list(dict.fromkeys(hot))
    total = content_size(root)
    with begun.writer if begun else FrameWriter(out, level, threads) as writer:
        for frame in tar_frames(root, content, hot, identity, begun.cutter if begun else None, _done(begun)):
            writer.put(frame)
            if progress:
                progress(writer.content, total)
        writer.finish()
        if progress:
            progress(writer.content, total)
    table = encode(root, writer.frames, hot=hot, fixups=fixups, metadata=_json(metadata or {}), at_once=at_once)
    decode(table)  # what we write, we can read
    out.write(tail(offset, table, QUICK_INDEX_LEVEL if level < 0 else INDEX_LEVEL))
    return key_of(table)


def _done(begun: Begun | None) -> Set[Node]:
    return begun.nodes if begun else frozenset()


def _json(metadata: dict[str, object]) -> bytes:
    return json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode()
