"""An open image that remembers what was read from it, so that it can be compared with what is hashed later."""

from __future__ import annotations

import os

from tmprun.errors import BadImage


class Source:
    """The image open as `fd`, `size` bytes long. `seen` holds every piece that was read: (file offset, bytes)."""

    __slots__ = ("fd", "seen", "size")

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size
        self.seen: list[tuple[int, bytes]] = []

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`; BadImage when the file ends before. The caller bounds `size`."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise BadImage(f"is cut short: {offset + size - self.size} bytes are missing", remedy="download it again")
        data = read_exactly(self.fd, offset, size)
        self.seen.append((offset, data))
        return data


def read_exactly(fd: int, offset: int, size: int) -> bytes:
    """`size` bytes from `offset` of `fd`, which had them when it was looked at."""
    data = os.pread(fd, size, offset)
    while len(data) < size:
        more = os.pread(fd, size - len(data), offset + len(data))
        if not more:
            raise changed()
        data += more
    return data


def changed() -> BadImage:
    """The error for an image whose bytes are not the same ones all the time."""
    return BadImage("changed while it was read", remedy="start it again when nothing writes to it")
