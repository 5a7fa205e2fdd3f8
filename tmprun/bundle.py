"""Bundles: writing one from a tree of nodes, and finding the index in one (docs/format.md is the specification)."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import BinaryIO, NamedTuple

import zstandard

from tmprun.copies import Content, Identity
from tmprun.errors import BadImage, UnsupportedImage
from tmprun.index import CODEC_ZSTD, FILE, FLAG_FOREIGN, HEADER, MAX_INDEX, Fixup, Frame, Node, decode, encode, key_of
from tmprun.limits import check_limits
from tmprun.tar_stream import PlainFrame, tar_frames

ALIGN = 4096
INDEX_MAGIC = 0x184D2A5D
FOOTER_MAGIC = 0x184D2A5E
MAGIC = b"TMPRUN\0"
VERSION = 1
SKIPPABLE = struct.Struct("<II")
FOOTER = struct.Struct("<II7sBQII32s")

# The index is read before anything else happens at a cold start, and is small: the best ratio costs nothing to decode.
INDEX_LEVEL = 19


class Footer(NamedTuple):
    """`offset` of the first frame, `stored` and plain `size` of the index in bytes, `key` in lower-case hex."""

    offset: int
    stored: int
    size: int
    key: str


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
    metadata: dict[str, object] | None = None,
    identity: Identity | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Write a bundle of the tree under `root` to `out`, which is empty, and return its key.

    `content(node)` yields the bytes of a regular file, `node.size` of them, and again when asked again: copies are
    stored once. `identity` tells copies without reading them (`tmprun.copies`). `level` is zstd's, 1 to 22; `threads` 0
    takes as many as there are processors for us; the bytes written do not depend on it. `hot` are the files to put
    first, `fixups` the programs whose interpreter can be changed. `progress(done, total)` is told about bytes of file
    content. Sets each node's `segments` and `number`. Raises BadImage for what the format cannot express and OSError
    when writing fails.
    """
    offset = len(stub) + -len(stub) % ALIGN
    out.write(stub.ljust(offset, b"\0"))
    hot = list(dict.fromkeys(hot))
    total = _content_size(root)
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
    table = encode(root, frames, hot=hot, fixups=fixups, metadata=_json(metadata or {}))
    decode(table)  # what we write, we can read
    out.write(_tail(offset, table))
    return key_of(table)


def read_footer(fd: int) -> Footer | None:
    """The footer of the bundle open as `fd`; None when that file is no bundle.

    Raises BadImage when the footer contradicts itself or the file, UnsupportedImage when its version is unknown.
    """
    end = os.fstat(fd).st_size
    raw = os.pread(fd, FOOTER.size, max(0, end - FOOTER.size))
    if len(raw) < FOOTER.size:
        return None
    frame_magic, frame_size, magic, version, offset, stored, size, key = FOOTER.unpack(raw)
    if (frame_magic, frame_size, magic) != (FOOTER_MAGIC, FOOTER.size - SKIPPABLE.size, MAGIC):
        return None
    if version != VERSION:
        raise UnsupportedImage(f"it is a bundle of format version {version}; this tmprun knows version {VERSION}")
    if offset % ALIGN or not 0 < size <= MAX_INDEX or offset + SKIPPABLE.size + stored + FOOTER.size > end:
        raise BadImage("the bundle's footer is damaged")
    return Footer(offset, stored, size, key.hex())


def read_index(fd: int, footer: Footer) -> bytes:
    """The plain index of the bundle open as `fd`. BadImage unless it is the one that `footer` names."""
    at = os.fstat(fd).st_size - FOOTER.size - SKIPPABLE.size - footer.stored
    raw = os.pread(fd, SKIPPABLE.size + footer.stored, at)
    if len(raw) != SKIPPABLE.size + footer.stored or SKIPPABLE.unpack_from(raw) != (INDEX_MAGIC, footer.stored):
        raise BadImage("the bundle's index is not where its footer says")
    table = _inflate(raw[SKIPPABLE.size :], footer.size)
    check_limits(table)
    if hashlib.sha256(table).hexdigest() != footer.key:
        raise BadImage("the bundle's index is damaged: its SHA-256 is not the footer's")
    if len(table) >= HEADER.size and HEADER.unpack_from(table)[8] & FLAG_FOREIGN:
        raise BadImage("the bundle's index is that of another file")
    return table


def _inflate(stored: bytes, size: int) -> bytes:
    """Decompress one zstd frame of `size` plain bytes; whatever size it claims itself, not more is allocated."""
    try:
        if zstandard.frame_content_size(stored) not in (-1, size):
            raise BadImage("the bundle's index has another size than its footer says")
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadImage(f"the bundle's index is damaged: {error}") from None


def _tail(offset: int, table: bytes) -> bytes:
    stored = _compressor(INDEX_LEVEL).compress(table)
    key = hashlib.sha256(table).digest()
    content = FOOTER.size - SKIPPABLE.size
    footer = FOOTER.pack(FOOTER_MAGIC, content, MAGIC, VERSION, offset, len(stored), len(table), key)
    return SKIPPABLE.pack(INDEX_MAGIC, len(stored)) + stored + footer


def _compressor(level: int) -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=level, write_checksum=False, write_content_size=True, write_dict_id=False)


def _compressed(frames: Iterator[PlainFrame], level: int, threads: int) -> Generator[StoredFrame, None, None]:
    """Compress `frames` on `threads` threads, in order. Holds a few of them a thread in memory, never all."""
    threads = threads or len(os.sched_getaffinity(0))
    local = threading.local()  # a compressor serves one thread at a time

    def compress(frame: PlainFrame) -> StoredFrame:
        if not hasattr(local, "compressor"):
            local.compressor = _compressor(level)
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


def _content_size(root: Node) -> int:
    total, todo = 0, [root]
    while todo:
        node = todo.pop()
        total += node.size if node.kind == FILE else 0
        todo.extend(node.children.values())
    return total


def _json(metadata: dict[str, object]) -> bytes:
    return json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode()
