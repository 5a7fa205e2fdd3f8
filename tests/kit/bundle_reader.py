"""A bundle read the slow and plain way, as docs/format.md says: what the writers are held against."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import zstandard

from tmprun.bundle.footer import Footer, read_footer, read_index
from tmprun.errors import BadImage
from tmprun.index.decode import decode
from tmprun.index.nodes import Index, Node
from tmprun.index.rules import FILE, HOLE


def index_of(bundle: Path) -> Index:
    with open(bundle, "rb") as file:
        footer = read_footer(file.fileno())
        assert footer is not None
        return decode(read_index(file.fileno(), footer))


class Bundle:
    """An open bundle: its `footer`, its `index`, the plain bytes of its frames, all of them checked."""

    def __init__(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY)
        try:
            footer = read_footer(fd)
            if footer is None:
                raise BadImage("is no bundle", str(path))
            self.footer: Footer = footer
            self.index: Index = decode(read_index(fd, footer))
            self.frames = [_frame(fd, footer.offset, self.index, number) for number in range(len(self.index.frames))]
        finally:
            os.close(fd)
        self.by_path: dict[bytes, Node] = dict(zip(self.index.paths(), self.index.nodes, strict=True))

    def content(self, node: Node) -> bytes:
        """The bytes of a regular file, or of the one behind a hard link."""
        node = node.link or node
        runs = (
            bytes(length) if number == HOLE else self.frames[number][offset : offset + length]
            for number, offset, length in node.segments
        )
        return b"".join(runs)

    def files(self) -> dict[bytes, bytes]:
        return {path: self.content(node) for path, node in self.by_path.items() if node.kind == FILE}


def _frame(fd: int, payload: int, index: Index, number: int) -> bytes:
    frame = index.frames[number]
    stored = os.pread(fd, frame.stored, payload + frame.offset)
    if hashlib.sha256(stored).digest() != frame.digest:
        raise BadImage("damaged frame")
    try:
        plain = zstandard.ZstdDecompressor().decompress(stored, max_output_size=frame.plain, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadImage(f"damaged frame: {error}") from None
    if len(plain) != frame.plain:
        raise BadImage("frame of another size")
    return plain
