"""A screen of its own for one start (Xvfb), and the picture on it."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE = "800x600x24"
STILL_SECONDS = 2
PATIENCE_SECONDS = 90


class NoPicture(Exception):
    """Why there is nothing to compare."""


@dataclass(frozen=True)
class Picture:
    """Pixels as Xvfb has them: `rows` of four bytes each, blue, green, red and nothing."""

    width: int
    rows: tuple[bytes, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing is in the corner where a window stands that nobody places."""
        return not any(any(row[:256]) for row in self.rows[:64])

    def write_png(self, path: Path) -> None:
        """For people to look at."""
        lines = b"".join(b"\0" + _rgb(row) for row in self.rows)
        header = struct.pack(">IIBBBBB", self.width, len(self.rows), 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))


class Screen:
    """`display` is for DISPLAY."""

    def __init__(self, display: str, frame: Path) -> None:
        self.display = display
        self.frame = frame

    def still(self, ended: Iterator[bool]) -> Picture:
        """The picture as soon as there is one that stays as it is for two seconds. NoPicture when the app ends
        before, or takes too long."""
        begin = since = time.monotonic()
        last = self._look()
        while time.monotonic() - since < STILL_SECONDS or last.empty:
            if next(ended):
                raise NoPicture("it ended before it showed anything")
            if time.monotonic() - begin > PATIENCE_SECONDS:
                raise NoPicture("it showed nothing that stands still")
            time.sleep(0.2)
            now = self._look()
            if now != last:
                last, since = now, time.monotonic()
        return last

    def _look(self) -> Picture:
        """Read an X window dump (XWDFile.h): a header of big-endian words, a colour map, lines of pixels."""
        data = self.frame.read_bytes()
        words = struct.unpack(">25I", data[:100])
        begin, width, height, line, colours = words[0] + words[19] * 12, words[4], words[5], words[12], words[19]
        assert colours * 12 < begin and words[11] == 32, words
        starts = range(begin, begin + line * height, line)
        return Picture(width, tuple(data[start : start + width * 4] for start in starts))


@contextmanager
def screen() -> Iterator[Screen]:
    """A new screen, with nothing on it, that any user of this machine may draw on."""
    with tempfile.TemporaryDirectory(prefix="real-screen-") as folder:
        read, write = os.pipe()
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", SIZE, "-fbdir", folder, "-nolisten", "tcp", "-ac"]
        log = subprocess.DEVNULL
        with subprocess.Popen([*command, "-noreset"], pass_fds=(write,), stdin=log, stdout=log, stderr=log) as server:
            os.close(write)
            with os.fdopen(read) as ready:
                number = ready.readline().strip()
            try:
                if not number:
                    raise NoPicture("Xvfb does not start")
                yield Screen(f":{number}", Path(folder) / "Xvfb_screen0")
            finally:
                server.terminate()


def _rgb(row: bytes) -> bytes:
    pixels = bytearray(len(row) // 4 * 3)
    pixels[0::3], pixels[1::3], pixels[2::3] = row[2::4], row[1::4], row[0::4]
    return bytes(pixels)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
