"""From an image whose codec the engine lacks (xz, lz4, lzo) to a bundle of the same tree, once for every image.

The decoded tree is never written anywhere: files go through memory, a few blocks at a time, into the bundle's frames.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tmprun.bundle.write import write_bundle
from tmprun.engine import programs
from tmprun.errors import BadImage
from tmprun.images.source import changed, read_exactly
from tmprun.images.squashfs.tree import Squashfs
from tmprun.index.nodes import Fixup, Frame, Node
from tmprun.index.rules import CODEC_STORED, FILE, HOLE
from tmprun.index.walk import below

# The bundle is written while somebody waits for the app's first start: zstd's fast levels cost less than xz's decoding.
LEVEL = 3
_AHEAD = 4
_SMALL_CONTENT = 1 << 30
_MOST_EXPANSION = 100
_KEPT = 32 << 20  # bytes of decoded fragment blocks that are kept, since several small files lie in one


def transcode(fd: int, image: Squashfs, out: int, fixups: Sequence[Fixup] = (), at_once: bool = False) -> str:
    """Write the image open as `fd`, whose frames have their digests, as a bundle to the file open as `out`, which is
    empty; returns the bundle's key. `fixups` are of the image's own nodes, `at_once` as in an index.

    BadImage when a block does not decode to what its file needs, or is not the one that was hashed; OSError when
    writing fails; TmprunError when there is no stub to put in front.
    """
    segments = _segments(image.root)
    _check_size(segments, image.bytes_used)
    try:
        with ThreadPoolExecutor() as pool, open(out, "wb", closefd=False) as file:
            blocks = _Blocks(fd, image, pool)
            stub = programs.stub_for(programs.host())  # whatever the app is for: nobody executes it here
            return write_bundle(
                file,
                stub,
                image.root,
                lambda node: blocks.content(segments[node]),
                level=LEVEL,
                fixups=fixups,
                at_once=at_once,
                identity=lambda node: tuple(segments[node]),  # mksquashfs has found the copies already
            )
    finally:
        for node, own in segments.items():
            node.segments = own


def _check_size(nodes: Iterable[Node], stored: int) -> None:
    """Refuse bombs: no codec makes real files a hundred times smaller, and every byte would go through a compressor."""
    content = sum(node.size for node in nodes if node.kind == FILE)
    if content > _SMALL_CONTENT + _MOST_EXPANSION * stored:
        raise BadImage(f"{stored} bytes claim to hold files of {content} bytes", remedy="it may be a bomb")


def _segments(root: Node) -> dict[Node, list[tuple[int, int, int]]]:
    """Each node's segments in the image. Writing the bundle puts the bundle's in their place."""
    return {node: node.segments for node in below(root)}


class _Blocks:
    """The image's blocks, read, checked and decoded."""

    def __init__(self, fd: int, image: Squashfs, pool: ThreadPoolExecutor) -> None:
        self._fd = fd
        self._image = image
        self._pool = pool
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def content(self, segments: list[tuple[int, int, int]]) -> Iterator[bytes]:
        """The bytes of a file, in pieces, decoding some blocks ahead."""
        waiting: deque[tuple[Future[bytes], int, int]] = deque()
        for number, offset, length in segments:
            if number == HOLE:
                yield from _drain(waiting, 0)
                yield from _zeros(length, self._image.block_size)
            elif len(segments) == 1:
                yield _cut(self._shared(number), offset, length)
            else:
                waiting.append((self._pool.submit(self._decode, number), offset, length))
                yield from _drain(waiting, _AHEAD)
        yield from _drain(waiting, 0)

    def _shared(self, number: int) -> bytes:
        """A block that other files may need soon: fragment blocks are the only blocks of small files."""
        plain = self._kept.pop(number, None) or self._decode(number)
        self._kept[number] = plain
        while len(self._kept) > _KEPT // self._image.block_size:
            self._kept.popitem(last=False)
        return plain

    def _decode(self, number: int) -> bytes:
        frame: Frame = self._image.frames[number]
        stored = read_exactly(self._fd, frame.offset, frame.stored)
        if hashlib.sha256(stored).digest() != frame.digest:
            raise changed()
        return stored if frame.codec == CODEC_STORED else self._image.codec.decode(stored, self._image.block_size)


def _cut(plain: bytes, offset: int, length: int) -> bytes:
    if offset + length > len(plain):
        raise BadImage("a compressed block holds less than its file needs", remedy="download it again")
    return plain[offset : offset + length]


def _drain(waiting: deque[tuple[Future[bytes], int, int]], most: int) -> Iterator[bytes]:
    """Yield from the front of `waiting` until `most` are left in it."""
    while len(waiting) > most:
        future, offset, length = waiting.popleft()
        yield _cut(future.result(), offset, length)


def _zeros(length: int, piece: int) -> Iterator[bytes]:
    while length:
        size = min(length, piece)
        yield bytes(size)
        length -= size
