"""Reading single files out of an image, for reports: the engine reads everything else."""

from __future__ import annotations

import hashlib

from tmprun.errors import BadImage
from tmprun.images.codecs import codec_of_frame
from tmprun.images.source import read_exactly
from tmprun.index.nodes import Frame, Node
from tmprun.index.rules import CODEC_STORED, FILE, HOLE, MAX_PLAIN

_KEPT = 8


class Files:
    """The files under `root` of the image open as `fd`: `frames` are what its segments name, counted from `base`."""

    def __init__(self, fd: int, root: Node, frames: list[Frame], base: int = 0) -> None:
        self.root = root
        self._fd = fd
        self._frames = frames
        self._base = base
        self._kept: dict[int, bytes] = {}

    def read(self, node: Node, limit: int) -> bytes:
        """The first `limit` bytes of a regular file. BadImage when the image is damaged there."""
        content = bytearray()
        for number, offset, length in node.segments if node.kind == FILE else []:
            if len(content) >= limit:
                break
            wanted = min(length, limit - len(content))
            content += bytes(wanted) if number == HOLE else self._plain(number)[offset : offset + wanted]
        return bytes(content)

    def part(self, node: Node, offset: int, length: int) -> bytes:
        """Up to `length` bytes of a regular file from `offset` on. BadImage when the image is damaged there."""
        content, at = bytearray(), 0
        for number, inner, size in node.segments:
            begin, end = max(offset, at), min(offset + length, at + size)
            if begin < end and number == HOLE:
                content += bytes(end - begin)
            elif begin < end:
                content += self._recent(number)[inner + begin - at : inner + end - at]
            at += size
        return bytes(content)

    def _recent(self, number: int) -> bytes:
        """A frame's plain bytes; a few are kept, since what is looked at lies close together."""
        plain = self._kept.pop(number, None)
        if plain is None:
            plain = self._plain(number)
            if len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
        self._kept[number] = plain
        return plain

    def _plain(self, number: int) -> bytes:
        frame = self._frames[number]
        stored = read_exactly(self._fd, self._base + frame.offset, frame.stored)
        if hashlib.sha256(stored).digest() != frame.digest:
            raise BadImage("a compressed block is damaged", remedy="download it again")
        if frame.codec == CODEC_STORED:
            return stored
        codec = codec_of_frame(frame.codec)
        if codec is None:
            raise BadImage("a compressed block has an unknown codec", remedy="download it again")
        return codec.decode(stored, min(frame.plain, MAX_PLAIN))
