"""Bundles: writing one from a tree of nodes, and finding the index in one (docs/format.md is the specification)."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import BinaryIO, NamedTuple

from tmprun.bundle.copies import Content, Identity
from tmprun.bundle.footer import (
    ALIGN,
    compressor,
    tail,
)
from tmprun.bundle.tar_frames import PlainFrame, tar_frames
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
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Write a bundle of the tree under `root` to `out`, which is empty, and return its key.

    `content(node)` yields the bytes of a regular file, `node.size` of them, and again when asked again: copies are
    stored once. `identity` tells copies without reading them (`bundle.copies`). `level` is zstd's, 1 to 22; `threads` 0
    takes as many as there are processors for us; the bytes written do not depend on it. `hot` are the files to put
    first, `fixups` the programs whose interpreter can be changed, `at_once` whether all of it is to be there before the
    app starts. `progress(done, total)` is told about bytes of file
    content. Sets each node's `segments` and `number`. Raises BadImage for what the format cannot express and OSError
    when writing fails.
    """
    offset = len(stub) + -len(stub) % ALIGN
    out.write(stub.ljust(offset, b"\0"))
    hot = list(dict.fromkeys(hot))
    total = content_size(root)
    frames: list[Frame] = []
    at = done = 0
    with closing(_compressed(tar_frames(root, content, hot, identity), level, threads)) as stream:
        for stored, digest, source in stream:
            out.write(stored)
            frames.append(Frame(at, len(stored), len(source.plain), CODEC_ZSTD, digest))
            at += len(stored)
            done += source.content
            if progress:
                progress(done, total)
    table = encode(root, frames, hot=hot, fixups=fixups, metadata=_json(metadata or {}), at_once=at_once)
    decode(table)  # what we write, we can read
    out.write(tail(offset, table))
    return key_of(table)


def _compressed(frames: Iterator[PlainFrame], level: int, threads: int) -> Generator[StoredFrame, None, None]:
    """Compress `frames` on `threads` threads, in order. Holds a few of them a thread in memory, never all."""
    threads = threads or len(os.sched_getaffinity(0))
    local = threading.local()  # a compressor serves one thread at a time

    def compress(frame: PlainFrame) -> StoredFrame:
        if not hasattr(local, "compressor"):
            local.compressor = compressor(level)
        stored: bytes = local.compressor.compress(frame.plain)
        return StoredFrame(stored, hashlib.sha256(stored).digest(), frame)

    waiting: deque[Future[StoredFrame]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for frame in frames:
                waiting.append(pool.submit(compress, frame))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _json(metadata: dict[str, object]) -> bytes:
    return json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode()
