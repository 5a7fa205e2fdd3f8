"""Hostile bundles, class by class. Footer, key and digests are right wherever they are not what the class is about."""

from __future__ import annotations

import hashlib
import os
import random
import struct
import zlib
from pathlib import Path

import zstandard

from kit import craft
from kit.hostile import INNER, SCRIPT, TEXT, Files, Register
from kit.naive import BREAKS, OUTSIDE, RIGHTS, TERMINAL, TOO_MUCH, WRONG
from tmprun.index.encode import encode
from tmprun.index.nodes import Frame, Node
from tmprun.index.rules import CODEC_STORED, CODEC_ZLIB, CODEC_ZSTD, DIRECTORY, FILE, HOLE

hostile = Register()

FIELDS = {
    "head": (0, {"frames": (8, "I"), "nodes": (12, "I"), "segments": (16, "I")}),
    "frames": (56, {"offset": (0, "Q"), "stored": (8, "I"), "plain": (12, "I"), "codec": (16, "I")}),
    "nodes": (40, {"name": (0, "I"), "length": (4, "H"), "mode": (6, "H"), "type": (8, "B"), "a": (16, "I"),
                   "b": (20, "I"), "size": (32, "Q")}),
    "segments": (16, {"frame": (0, "I"), "at": (4, "I"), "length": (8, "I")}),
}  # fmt: skip
# Of the honest tree: its nodes in their order.
ROOT, APPRUN, DIR, FILE_NODE, LINK, INNER_NODE = range(6)
FAR = (6, 7, 1000, 1 << 31, 0xFFFFFFFF)
MEGABYTE = 1 << 20


def honest(codec: int = CODEC_ZSTD) -> tuple[bytes, bytes]:
    """Index and payload of the tree that does not lie."""
    root, payload, frames = Node(b"", DIRECTORY, 0o755), bytearray(), []
    folder = Node(b"dir", DIRECTORY, 0o755)
    link = craft._node(b"link", craft.Link(b"file"))
    nodes = [(root, b"AppRun", SCRIPT, 0o755), (root, b"file", TEXT, 0o644), (folder, b"inner", INNER, 0o644)]
    for above, name, content, mode in nodes:
        node = above.add(Node(name, FILE, mode))
        node.size, node.segments = len(content), [(len(frames), 0, len(content))]
        stored = zstandard.compress(content) if codec == CODEC_ZSTD else content
        frames.append(Frame(len(payload), len(stored), len(content), codec, hashlib.sha256(stored).digest()))
        payload += stored
    root.add(folder)
    root.add(link)
    return encode(root, frames), bytes(payload)


def start(table: bytes, part: str) -> int:
    frames, nodes = struct.unpack_from("<II", table, 8)
    return {"head": 0, "frames": 128, "nodes": 128 + 56 * frames, "segments": 128 + 56 * frames + 40 * nodes}[part]


def patch(table: bytes, part: str, number: int = 0, **values: int) -> bytes:
    """The table with other values in a row of one of its parts."""
    out = bytearray(table)
    size, fields = FIELDS[part]
    for name, value in values.items():
        at, code = fields[name]
        struct.pack_into("<" + code, out, start(table, part) + size * number + at, value)
    return bytes(out)


def patched(part: str, number: int = 0, **values: int) -> bytes:
    table, payload = honest()
    return craft.bundle(patch(table, part, number, **values), payload)


def with_name(name: bytes, **others: craft.File | craft.Link) -> bytes:
    """A file of that name, alone in its directory, so that no order of names is broken."""
    stand_in = "\x7f" * len(name)
    folder = craft.Folder({stand_in: craft.File(b"evil")})
    table, payload = craft.index_of({"AppRun": craft.SCRIPT, "dir": folder, **others})
    return craft.bundle(table.replace(stand_in.encode(), name), payload)


@hostile(OUTSIDE)
def names_that_climb(base: Path) -> Files:
    for name in ("../../outside/evil", "../../evil", "../../outside/sentinel", "./../../evil", "../dir/../../evil",
                 "..//../evil", "../../out/../evil"):  # fmt: skip
        yield name, with_name(name.encode())


@hostile(OUTSIDE)
def absolute_names(base: Path) -> Files:
    for name in ("evil", "outside/evil", "outside/sentinel"):
        yield name, with_name(os.fsencode(base / name))
    yield "two slashes", with_name(b"/" + os.fsencode(base / "evil"))


@hostile(OUTSIDE)
def names_through_a_symlink(base: Path) -> Files:
    for target in ("../outside", str(base / "outside"), "./../outside/"):
        yield target, with_name(b"../a/evil", a=craft.Link(target.encode()))


@hostile(OUTSIDE)
def a_symlink_and_a_directory_of_one_name(base: Path) -> Files:
    for target in ("../outside", str(base / "outside"), "../outside/."):
        tree = {
            "AppRun": craft.SCRIPT,
            "a": craft.Link(target.encode()),
            "b": craft.Folder({"evil": craft.File(b"evil")}),
        }
        table, payload = craft.index_of(tree)
        (at,) = struct.unpack_from("<I", table, start(table, "nodes") + 40 * 2)
        yield target, craft.bundle(patch(table, "nodes", 3, name=at), payload)


@hostile(BREAKS)
def names_that_are_none(base: Path) -> Files:
    for name in (b"\0", b"a\0b", b"a/b", b".", b"..", b"evil/"):
        yield name, with_name(name)
    table, payload = craft.index_of({"AppRun": craft.SCRIPT, "dir": craft.Folder({"x" * 255: craft.File(b"evil")}),
                                     "link": craft.Link(b"y" * 255)})  # fmt: skip
    for length in (256, 300):
        yield length, craft.bundle(patch(table, "nodes", 4, name=0, length=length), payload)
    yield "empty", patched("nodes", FILE_NODE, length=0)


@hostile(TERMINAL, tame=True)
def names_for_a_terminal(base: Path) -> Files:
    for name in (b"\x1b[2J", b"\x1b]0;title\x07", b"a\nb", b"a\rb", b"\x07", b"\x1bc", b"\x08\x08x"):
        yield name, with_name(name)


@hostile(RIGHTS, tame=True)
def rights_of_their_owner(base: Path) -> Files:
    for mode in (0o4755, 0o2755, 0o6755, 0o1755, 0o7777, 0o4711):
        yield oct(mode), patched("nodes", FILE_NODE, mode=mode)


@hostile(BREAKS)
def hard_links_to_nothing(base: Path) -> Files:
    for target in (*FAR, FILE_NODE, ROOT, DIR):
        yield target, patched("nodes", FILE_NODE, type=3, a=target, b=0, size=0)


@hostile(BREAKS)
def symlinks_to_no_target(base: Path) -> Files:
    yield "empty", patched("nodes", LINK, b=0, size=0)
    for at in (1 << 20, 0xFFFFFFF0):
        yield at, patched("nodes", LINK, a=at)
    long = craft.Folder({"a": craft.Link(b"x" * 4095), "b": craft.Link(b"y" * 4095)})
    table, payload = craft.index_of({"AppRun": craft.SCRIPT, "dir": long})
    for length in (4096, 5000):
        yield length, craft.bundle(patch(table, "nodes", 3, a=0, b=length, size=length), payload)
    for target in (b"a\0b", b"\0"):
        table, payload = craft.index_of({"AppRun": craft.SCRIPT, "link": craft.Link(b"\x7f" * len(target))})
        yield target[:4], craft.bundle(table.replace(b"\x7f" * len(target), target), payload)


@hostile(BREAKS, TOO_MUCH)
def directories_below_themselves(base: Path) -> Files:
    for a, b in ((DIR, 1), (ROOT, 1), (APPRUN, 2), (APPRUN, 4), (DIR, 3)):
        yield (a, b), patched("nodes", DIR, a=a, b=b)


@hostile(TOO_MUCH)
def directories_in_two_places(base: Path) -> Files:
    for levels in (17, 24, 40, 200):
        root = here = Node(b"", DIRECTORY, 0o755)
        for _ in range(levels):
            here.add(Node(b"a", DIRECTORY, 0o755))
            here = here.add(Node(b"b", DIRECTORY, 0o755))
        table = encode(root, [])
        for level in range(levels):  # both have the children of the second
            (a,) = struct.unpack_from("<I", table, start(table, "nodes") + 40 * (2 * level + 2) + 16)
            table = patch(table, "nodes", 2 * level + 1, a=a, b=2 if level < levels - 1 else 0)
        yield levels, craft.bundle(table)


@hostile(BREAKS, TOO_MUCH)
def children_that_are_not_there(base: Path) -> Files:
    for first in FAR:
        yield first, patched("nodes", DIR, a=first)
    for count in (2, 100, 0xFFFFFFFF):
        yield -count, patched("nodes", DIR, b=count)


@hostile(BREAKS)
def types_that_are_none(base: Path) -> Files:
    for kind in (4, 5, 6, 7, 8, 255):
        yield kind, patched("nodes", INNER_NODE, type=kind)


@hostile(BREAKS, WRONG, TOO_MUCH)
def counts_that_lie(base: Path) -> Files:
    for part in ("frames", "nodes"):
        for count in (0, 1, 9, 1 << 22, 0xFFFFFFFF):
            yield (part, count), patched("head", **{part: count})


@hostile(BREAKS)
def names_out_of_range(base: Path) -> Files:
    for at in (1 << 12, 1 << 20, 1 << 31, 0xFFFFFFFF):
        yield at, patched("nodes", FILE_NODE, name=at)


@hostile(BREAKS, WRONG, TOO_MUCH)
def segments_that_lie(base: Path) -> Files:
    for frame in (3, 4, 1000, 0xFFFFFFFE):
        yield ("frame", frame), patched("segments", 1, frame=frame)
    for at in (1, len(TEXT), 1 << 23, 0xFFFFFFFF):
        yield ("at", at), patched("segments", 1, at=at)
    for length in (0, 1, len(TEXT) - 1, 0xFFFFFFFF):
        yield ("length", length), patched("segments", 1, length=length)


@hostile(BREAKS, WRONG)
def frames_that_lie(base: Path) -> Files:
    table, payload = honest()
    lies: list[dict[str, int]] = [{"stored": 1}, {"stored": 9}]
    lies += [{"offset": offset} for offset in (1, 1 << 30, (1 << 64) - 1, (1 << 64) - 4096)]
    lies += [{"codec": codec} for codec in (CODEC_STORED, CODEC_ZLIB, 3, 77)]
    for values in lies:
        changed = patch(table, "frames", 1, **values)
        at = start(table, "frames") + 56
        offset, stored = struct.unpack_from("<QI", changed, at)
        digest = hashlib.sha256(payload[offset : offset + stored]).digest()
        yield values, craft.bundle(changed[: at + 24] + digest + changed[at + 56 :], payload)


def single(stored: bytes, plain: int, codec: int) -> bytes:
    root = Node(b"", DIRECTORY, 0o755)
    apprun = root.add(Node(b"AppRun", FILE, 0o755))
    apprun.size, apprun.segments = plain, [(0, 0, plain)]
    frame = Frame(0, len(stored), plain, codec, hashlib.sha256(stored).digest())
    return craft.bundle(encode(root, [frame]), stored)


@hostile(TOO_MUCH)
def zstd_frames_that_swell(base: Path) -> Files:
    stored = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(bytes(200 * MEGABYTE))
    for plain in (20, 4096, MEGABYTE, 8 * MEGABYTE):
        yield plain, single(stored, plain, CODEC_ZSTD)


@hostile(TOO_MUCH)
def zlib_frames_that_swell(base: Path) -> Files:
    stored = zlib.compress(bytes(100 * MEGABYTE))
    for plain in (20, 4096, MEGABYTE, 8 * MEGABYTE):
        yield plain, single(stored, plain, CODEC_ZLIB)


@hostile(TOO_MUCH)
def indices_that_swell(base: Path) -> Files:
    table, payload = honest()
    stored = zstandard.compress(table + bytes(200 * MEGABYTE))
    for size in (len(table), 4096, 128 * MEGABYTE, 128 * MEGABYTE - 1):
        yield size, craft.bundle(table, payload, stored=stored, size=size)


@hostile(WRONG)
def bytes_that_are_not_the_digests(base: Path) -> Files:
    table, payload = honest(CODEC_STORED)
    chance = random.Random(1)
    for _ in range(12):
        at = chance.randrange(len(payload))
        changed = bytearray(payload)
        changed[at] ^= 1 << chance.randrange(8)
        yield at, craft.bundle(table, bytes(changed))


@hostile(WRONG)
def an_index_that_is_not_the_keys(base: Path) -> Files:
    table, payload = honest()
    key = hashlib.sha256(table).digest()
    changes = [patch(table, "nodes", FILE_NODE, size=5), patch(table, "nodes", APPRUN, a=1)]
    changes += [patch(table, "segments", 1, frame=0), patch(table, "nodes", INNER_NODE, a=0)]
    changes += [patch(table, "segments", 1, at=3, length=len(TEXT) - 3)]
    changes += [
        table.replace(old, new) for old, new in ((b"file", b"fxle"), (b"inner", b"innes"), (b"AppRun", b"AppRum"))
    ]
    for number, changed in enumerate(changes):
        yield number, craft.bundle(changed, payload, key=key)


@hostile(BREAKS, WRONG, TOO_MUCH)
def footers_that_lie(base: Path) -> Files:
    table, payload = honest()
    for offset in (0, 1, 4095, 8192, 1 << 40, (1 << 64) - 4096):
        yield ("offset", offset), craft.bundle(table, payload, offset=offset)
    data = craft.bundle(table, payload)
    for stored in (0, 5, 4096, 0x7FFFFFFF, 0xFFFFFFFF):
        yield ("stored", stored), data[:-40] + struct.pack("<I", stored) + data[-36:]
    yield ("size", 0xFFFFFFFF), craft.bundle(table, payload, size=0xFFFFFFFF)


@hostile(BREAKS, WRONG)
def cut_short(base: Path) -> Files:
    data = craft.bundle(*honest())
    near = [len(data) - less for less in (1, 8, 32, 63, 64, 65)]
    for size in (*near, len(data) // 2, 4096 + len(honest()[1]), 4097, 4096, 64, 63):
        yield size, data[:size]


@hostile(TOO_MUCH)
def more_files_than_there_may_be(base: Path) -> Files:
    for count in (200_000, 400_000, 1_000_000):
        names = b"".join(b"%07d" % number for number in range(count))
        rows = [(0, 0, 0o755, DIRECTORY, 0, 0, 0, 1, count, 0, 0)]
        rows += [(number * 7, 7, 0o644, FILE, 0, 0, 0, 0, 0, 0, 0) for number in range(count)]
        yield count, of_rows(rows, names)


def of_rows(rows: list[tuple[int, ...]], names: bytes) -> bytes:
    """A bundle of nodes written one by one: what would be too many for objects, or what `encode` does not write."""
    row = struct.Struct("<IHHBBHIIIqQ")
    sizes = (0, len(rows), 0, 0, 0, len(names), 2, 0, 0, 0, bytes(32), bytes(40))
    table = (
        struct.pack("<8sIIIIIIIIQQ32s40s", b"TMPRIDX1", *sizes)
        + b"".join(row.pack(*each) for each in rows)
        + names
        + b"{}"
    )
    return craft.bundle(table, stored=zstandard.compress(table, 1))


def repeated(segment: tuple[int, int, int], times: int, frames: list[Frame], stored: bytes) -> bytes:
    root = Node(b"", DIRECTORY, 0o755)
    for name in (b"AppRun", b"big"):
        node = root.add(Node(name, FILE, 0o755))
        node.segments, node.size = [segment] * times, segment[2] * times
    return craft.bundle(encode(root, frames), stored)


@hostile(TOO_MUCH)
def one_frame_many_times(base: Path) -> Files:
    stored = zstandard.compress(bytes(8 * MEGABYTE))
    frame = Frame(0, len(stored), 8 * MEGABYTE, CODEC_ZSTD, hashlib.sha256(stored).digest())
    for times in (100, 1000, 10_000, 100_000):
        yield times, repeated((0, 0, 8 * MEGABYTE), times, [frame], stored)


@hostile(TOO_MUCH, tame=True)
def holes_without_end(base: Path) -> Files:
    for times in (1, 2, 100, 100_000):
        yield times, repeated((HOLE, 0, HOLE), times, [], b"")


@hostile(BREAKS)
def paths_without_end(base: Path) -> Files:
    for levels, name in ((2500, b"d"), (20, b"d" * 250), (1300, b"ddd")):
        rows = [(0, 0, 0o755, DIRECTORY, 0, 0, 0, 1, 1, 0, 0)]
        for level in range(1, levels + 1):
            rows.append((0, len(name), 0o755, DIRECTORY, 0, 0, level - 1, level + 1, level < levels, 0, 0))
        yield levels, of_rows(rows, name)
