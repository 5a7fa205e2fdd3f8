"""Readers as somebody in a hurry writes them, who takes an image's word for everything: what hostile files work on.

They do what docs/format.md and squashfs' layout say of a file that does not lie. `harm` says what became of one who
believes one that does.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

STEPS, BYTES = 20_000, 64 << 20
OUTSIDE, TOO_MUCH, BREAKS, WRONG, RIGHTS, DEVICE, TERMINAL = (
    "writes outside of its directory", "takes too much", "breaks", "gets wrong bytes", "gives away rights",
    "makes a device", "drives the terminal",
)  # fmt: skip


class TooMuch(Exception):
    """So that the test's machine survives what a naive reader would not."""


@dataclass
class Budget:
    steps: int = STEPS
    room: int = BYTES

    def step(self, count: int = 1) -> None:
        self.steps -= count
        if self.steps < 0:
            raise TooMuch

    def take(self, size: int) -> int:
        self.room -= size
        if self.room < 0:
            raise TooMuch
        return size


@dataclass
class Thing:
    """One thing to be made at a path; `content` is a file's, a symlink's target or, of a hard link, the other path."""

    path: bytes
    kind: str
    mode: int
    content: bytes = b""


def inflated(stored: bytes, codec: int, budget: Budget) -> bytes:
    """All that there is in it, however much it is."""
    if codec == 0:
        return stored
    decoder = zstandard.ZstdDecompressor().decompressobj() if codec == 1 else zlib.decompressobj()
    out = []
    for at in range(0, len(stored), 256):
        out.append(decoder.decompress(stored[at : at + 256]))
        budget.take(len(out[-1]))
    return b"".join(out)


class NaiveBundle:
    def __init__(self, data: bytes, budget: Budget) -> None:
        self.data, self.budget = data, budget
        self.offset, stored, size, _ = struct.unpack("<QII32s", data[-48:])
        self.table = inflated(data[len(data) - 64 - stored : len(data) - 64], 1, budget)
        counts = struct.unpack_from("<IIIIII", self.table, 8)
        budget.step(counts[1])
        budget.take(size)
        self.at = [128]
        for count, each in zip(counts, (56, 40, 16, 32, 4), strict=False):
            self.at.append(self.at[-1] + count * each)
        self.frames: dict[int, bytes] = {}

    def things(self) -> Iterator[Thing]:
        yield from self.below(0, b"")

    def node(self, number: int) -> tuple[int, ...]:
        return struct.unpack_from("<IHHBBHIIIqQ", self.table, self.at[1] + number * 40)

    def text(self, at: int, length: int) -> bytes:
        return self.table[self.at[5] + at : self.at[5] + at + length]

    def path(self, number: int) -> bytes:
        """Of the first node with this number that is met."""
        return next(thing.path for seen, thing in self.seen if seen == number)

    def below(self, number: int, folder: bytes) -> Iterator[Thing]:
        self.seen: list[tuple[int, Thing]] = getattr(self, "seen", [])
        first, count = self.node(number)[7:9]
        for child in range(first, first + count):
            self.budget.step()
            name, length, mode, kind, _, _, _, a, b, _, size = self.node(child)
            path = os.path.join(folder, self.text(name, length))
            thing = Thing(path, ("directory", "file", "symlink", "link")[kind], mode)
            if kind == 1:
                thing.content = b"".join(self.segment(each) for each in range(a, a + b))[:size]
            elif kind:
                thing.content = self.text(a, b) if kind == 2 else self.path(a)
            self.seen.append((child, thing))
            yield thing
            if kind == 0:
                yield from self.below(child, path)

    def segment(self, number: int) -> bytes:
        frame, at, length, _ = struct.unpack_from("<IIII", self.table, self.at[2] + number * 16)
        self.budget.take(length)
        return bytes(length) if frame == 0xFFFFFFFF else self.frame(frame)[at : at + length]

    def frame(self, number: int) -> bytes:
        if number not in self.frames:
            offset, stored, _, codec = struct.unpack_from("<QIII", self.table, self.at[0] + number * 56)
            begin = self.offset + offset
            self.frames[number] = inflated(self.data[begin : begin + stored], codec, self.budget)
        return self.frames[number]


class NaiveSquashfs:
    def __init__(self, data: bytes, budget: Budget) -> None:
        self.data, self.budget = data, budget
        fields = struct.unpack_from("<IIIIIHHHHHHQQQQQQQQ", data)
        if fields[0] != 0x73717368:
            raise ValueError("no squashfs")
        self.block, self.codec, self.root = fields[3], {1: 2, 6: 1}[fields[5]], fields[11]
        self.inode_table, self.directory_table, self.fragment_table = fields[15], fields[16], fields[17]
        budget.step(fields[1])
        self.blocks: dict[int, tuple[bytes, int]] = {}

    def metadata(self, at: int) -> tuple[bytes, int]:
        """The plain bytes of the block at `at`, and where the next one begins."""
        if at not in self.blocks:
            (head,) = struct.unpack_from("<H", self.data, at)
            size = head & 0x7FFF
            raw = self.data[at + 2 : at + 2 + size]
            self.blocks[at] = inflated(raw, 0 if head & 0x8000 else self.codec, self.budget), at + 2 + size
        return self.blocks[at]

    def read(self, at: int, offset: int, size: int) -> bytes:
        out = b""
        self.budget.take(size)
        while len(out) < size:
            self.budget.step()
            plain, at = self.metadata(at)
            out += plain[offset : offset + size - len(out)]
            offset = max(0, offset - len(plain))
        return out

    def inode(self, place: int, size: int) -> bytes:
        return self.read(self.inode_table + (place >> 16), place & 0xFFFF, size)

    def things(self) -> Iterator[Thing]:
        yield from self.below(self.root, b"")

    def below(self, place: int, folder: bytes) -> Iterator[Thing]:
        head = struct.unpack("<HHHHIIIIIIHHI", self.inode(place, 40))
        size, block, offset = head[7] - 3, head[8], head[11]
        raw = self.read(self.directory_table + block, offset, size)
        at = 0
        while at < len(raw):
            count, block, _ = struct.unpack_from("<III", raw, at)
            at += 12
            for _ in range(count + 1):
                self.budget.step()
                offset, _, kind, length = struct.unpack_from("<HhHH", raw, at)
                path = os.path.join(folder, raw[at + 8 : at + 9 + length])
                at += 9 + length
                yield from self.thing(block << 16 | offset, kind, path)

    def thing(self, place: int, kind: int, path: bytes) -> Iterator[Thing]:
        mode = struct.unpack("<HH", self.inode(place, 4))[1]
        if kind == 1:
            yield Thing(path, "directory", mode)
            yield from self.below(place, path)
        elif kind == 2:
            yield Thing(path, "file", mode, self.content(place))
        elif kind == 3:
            (length,) = struct.unpack("<I", self.inode(place, 24)[20:])
            yield Thing(path, "symlink", mode, self.inode(place, 24 + length)[24:])
        else:
            yield Thing(path, {4: "block", 5: "char", 6: "fifo", 7: "socket"}[kind], mode)

    def content(self, place: int) -> bytes:
        start, size, _, _, fragment, offset, _ = struct.unpack("<QQQIIII", self.inode(place, 56)[16:])
        whole = size // self.block if fragment != 0xFFFFFFFF else -(-size // self.block)
        self.budget.step(whole)
        self.budget.take(size)
        words = struct.unpack(f"<{whole}I", self.inode(place, 56 + 4 * whole)[56:])
        out = b""
        for word in words:
            out += self.stored(start, word) if word else bytes(min(self.block, size - len(out)))
            start += word & 0xFFFFFF
        if fragment != 0xFFFFFFFF:
            (table,) = struct.unpack_from("<Q", self.data, self.fragment_table + fragment // 512 * 8)
            begin, word, _ = struct.unpack("<QII", self.read(table, fragment % 512 * 16, 16))
            out += self.stored(begin, word)[offset : offset + size % self.block]
        if len(out) != size:
            raise ValueError("not the size")
        return out

    def stored(self, at: int, word: int) -> bytes:
        raw = self.data[at : at + (word & 0xFFFFFF)]
        return inflated(raw, 0 if word & 1 << 24 else self.codec, self.budget)


def unpack(things: Iterator[Thing], into: Path, budget: Budget) -> None:
    for thing in things:
        budget.take(len(thing.content))
        path = os.path.join(os.fsencode(into), thing.path)
        if thing.kind == "directory":
            os.makedirs(path, exist_ok=True)
            os.chmod(path, thing.mode | 0o700)
        elif thing.kind == "symlink":
            os.symlink(thing.content, path)
        elif thing.kind == "link":
            os.link(os.path.join(os.fsencode(into), thing.content), path)
        elif thing.kind == "file":
            with open(path, "wb") as file:
                file.write(thing.content)
            os.chmod(path, thing.mode)
        else:
            kind = {"block": stat.S_IFBLK, "char": stat.S_IFCHR, "fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK}[
                thing.kind
            ]
            os.mknod(path, kind | 0o666, os.makedev(1, 3))


def harm(data: bytes, base: Path, honest: dict[str, bytes]) -> set[str]:
    """What becomes of whoever believes the image, in the empty directory `base`; nothing when it is like `honest`."""
    out, budget, found = base / "out", Budget(), set()
    out.mkdir()
    reader = NaiveSquashfs if data.startswith(b"hsqs") else NaiveBundle
    try:
        unpack(reader(data, budget).things(), out, budget)
    except TooMuch:
        found.add(TOO_MUCH)
    except Exception:
        found.add(BREAKS)
    found |= seen(base, out, honest)
    shutil.rmtree(out)
    return found


def seen(base: Path, out: Path, honest: dict[str, bytes]) -> set[str]:
    found, content = set(), {}
    if {path.name for path in base.iterdir()} != {"out", "outside"} or os.listdir(base / "outside") != ["sentinel"]:
        found.add(OUTSIDE)
    if (base / "outside" / "sentinel").read_bytes() != b"sentinel":
        found.add(OUTSIDE)
    for folder, _, names in os.walk(out):
        for name in names:
            path = Path(folder, name)
            facts = path.lstat()
            if not stat.S_ISLNK(facts.st_mode) and facts.st_mode & 0o7000:
                found.add(RIGHTS)
            if not stat.S_ISREG(facts.st_mode) and not stat.S_ISLNK(facts.st_mode):
                found.add(DEVICE)
            if any(ord(letter) < 32 for letter in name):
                found.add(TERMINAL)
            if stat.S_ISREG(facts.st_mode):
                content[str(path.relative_to(out))] = path.read_bytes()
    if any(content.get(path) != text for path, text in honest.items()):
        found.add(WRONG)
    return found
