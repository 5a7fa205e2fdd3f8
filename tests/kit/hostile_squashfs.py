"""Hostile squashfs images, class by class, forged table by table."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import zstandard

from kit.hostile import INNER, SCRIPT, TEXT, Files, Register
from kit.naive import BREAKS, DEVICE, OUTSIDE, RIGHTS, TERMINAL, TOO_MUCH, WRONG
from kit.squashfs_forge import (
    BLOCK,
    DIRECTORY,
    FILE,
    SYMLINK,
    Entry,
    Forge,
    directory_inode,
    file_inode,
    listing,
    special_inode,
    symlink_inode,
)
from kit.surroundings import IS_ROOT

hostile = Register()

DATA = SCRIPT + TEXT + INNER
MEGABYTE = 1 << 20


class Honest(Forge):
    """A forge with the content of the tree that does not lie; inodes begin at number 10."""

    def file(self, number: int, content: bytes, mode: int = 0o644) -> int:
        word = len(content) | 1 << 24
        return self.inode(file_inode(number, len(content), start=96 + DATA.index(content), words=(word,), mode=mode))

    def whole(self, *more: Entry) -> Honest:
        """The honest tree with more in it."""
        inner = self.directory(13, [Entry(b"inner", self.file(12, INNER), 12)])
        entries = [
            Entry(b"AppRun", self.file(10, SCRIPT, 0o755), 10),
            Entry(b"dir", inner, 13, DIRECTORY),
            Entry(b"file", self.file(11, TEXT), 11),
            *more,
        ]
        self.top(sorted(entries, key=lambda entry: entry.name))
        return self


def forge(**parts: object) -> Honest:
    return Honest(data=DATA, **parts)  # type: ignore[arg-type]


def honest() -> bytes:
    return forge().whole().build()


def with_inode(raw: bytes, kind: int = FILE, **parts: object) -> bytes:
    made = forge(**parts)
    return made.whole(Entry(b"zz", made.inode(raw), 20, kind)).build()


def with_name(name: bytes) -> bytes:
    made = forge()
    inner = made.directory(21, [Entry(name, made.file(20, INNER), 20)])
    return made.whole(Entry(b"zz", inner, 21, DIRECTORY)).build()


@hostile(OUTSIDE)
def names_that_climb(base: Path) -> Files:
    for name in ("../../outside/evil", "../../evil", "../../outside/sentinel", "./../../evil", "..//../evil",
                 "../dir/../../evil"):  # fmt: skip
        yield name, with_name(name.encode())


@hostile(OUTSIDE)
def absolute_names(base: Path) -> Files:
    for name in ("evil", "outside/evil", "outside/sentinel"):
        yield name, with_name(os.fsencode(base / name))


def with_link(target: str, *, name: bytes) -> bytes:
    made = forge()
    link = made.inode(symlink_inode(20, target.encode()))
    evil = made.file(21, INNER)
    inner = made.directory(22, [Entry(b"evil", evil, 21)])
    second = Entry(b"aa/evil", evil, 21) if name == b"slash" else Entry(b"aa", inner, 22, DIRECTORY)
    return made.whole(Entry(b"aa", link, 20, SYMLINK), second).build()


@hostile(OUTSIDE)
def names_through_a_symlink(base: Path) -> Files:
    for target in ("../outside", str(base / "outside"), "./../outside/"):
        yield target, with_link(target, name=b"slash")


@hostile(OUTSIDE)
def a_symlink_and_a_directory_of_one_name(base: Path) -> Files:
    for target in ("../outside", str(base / "outside"), "../outside/."):
        yield target, with_link(target, name=b"directory")


@hostile(BREAKS)
def names_that_are_none(base: Path) -> Files:
    for name in (b"\0", b"a\0b", b"a/b", b".", b"..", b"x" * 256, b"x" * 300):
        yield name[:9], with_name(name)


@hostile(TERMINAL, tame=True)
def names_for_a_terminal(base: Path) -> Files:
    for name in (b"\x1b[2J", b"\x1b]0;title\x07", b"a\nb", b"a\rb", b"\x07", b"\x08\x08x"):
        yield name, with_name(name)


@hostile(RIGHTS, tame=True)
def rights_of_their_owner(base: Path) -> Files:
    for mode in (0o4755, 0o2755, 0o6755, 0o1755, 0o7777, 0o4711):
        made = forge()
        yield oct(mode), made.whole(Entry(b"zz", made.file(20, INNER, mode), 20)).build()


# The kernel refuses a device to whoever is not root.
@hostile(DEVICE if IS_ROOT else BREAKS)
def devices(base: Path) -> Files:
    for kind in (4, 5, 6, 7):
        yield kind, with_inode(special_inode(20, kind), kind)


@hostile(BREAKS)
def types_that_are_none(base: Path) -> Files:
    for kind in (0, 8, 9, 15, 0xFFFF):
        yield kind, with_inode(struct.pack("<H", kind) + file_inode(20, 0)[2:], kind)


@hostile(BREAKS, TOO_MUCH)
def a_type_that_is_not_the_inodes(base: Path) -> Files:
    yield "directory", with_inode(file_inode(20, 0, start=100 << 32), DIRECTORY)
    yield "symlink", with_inode(file_inode(20, 0, start=0), SYMLINK)
    made = forge()
    yield "file", made.whole(Entry(b"zz", made.directory(20, []), 20, FILE)).build()


@hostile(BREAKS, TOO_MUCH)
def directories_below_themselves(base: Path) -> Files:
    for above in range(4):
        made = forge()
        places, raw = [], b""
        for level in range(above + 1):
            number = 30 + level
            following = (level + 1) * 40 if level < above else 0
            part = listing([Entry(b"loop", following, 30 + (level + 1) % (above + 1), DIRECTORY)])
            places.append(made.inode(directory_inode(number, len(raw), len(part))))
            raw += part
        made.directories = raw
        made.whole(Entry(b"zz", places[0], 30, DIRECTORY))
        yield above, made.build()


@hostile(TOO_MUCH)
def directories_in_two_places(base: Path) -> Files:
    for levels in (17, 24, 40):
        made = forge()
        inner = made.directory(30, [])
        for number in range(31, 31 + levels):
            inner = made.directory(number, [Entry(name, inner, number - 1, DIRECTORY) for name in (b"a", b"b")])
        yield levels, made.whole(Entry(b"zz", inner, 30 + levels, DIRECTORY)).build()


@hostile(TOO_MUCH, BREAKS)
def sizes_without_blocks(base: Path) -> Files:
    for size, words in (
        (1 << 40, ()),
        ((1 << 64) - 1, ()),
        (1 << 63, (0,)),
        (BLOCK * 3, (0,)),
        (BLOCK * 700, ()),
        (1 << 34, ()),
    ):
        yield size, with_inode(file_inode(20, size, words=words))


@hostile(BREAKS, WRONG)
def blocks_out_of_range(base: Path) -> Files:
    for begin in (1 << 20, 1 << 40, (1 << 63) - 1, (1 << 64) - 1):
        yield begin, with_inode(file_inode(20, 20, start=begin, words=(20 | 1 << 24,)))
    for word in (1 << 24, 19 | 1 << 24, 21 | 1 << 24, 3):
        yield word, with_inode(file_inode(20, 20, start=96, words=(word,)))


@hostile(BREAKS, WRONG)
def tails_out_of_range(base: Path) -> Files:
    good = [(96, 50 | 1 << 24)]
    for fragment, offset in ((1, 0), (600, 0), (0xFFFFFFFE, 0), (0, 51), (0, BLOCK), (0, 0xFFFFFFFF)):
        yield (fragment, offset), with_inode(file_inode(20, 50, fragment=fragment, offset=offset), fragments=good)
    for row in ((1 << 30, 50 | 1 << 24), (1 << 63, 50 | 1 << 24), (96, 49 | 1 << 24), (96, 1 << 24), (96, 40)):
        yield row, with_inode(file_inode(20, 50, fragment=0), fragments=[row])


@hostile(BREAKS, TOO_MUCH)
def symlinks_to_no_target(base: Path) -> Files:
    for target in (b"", b"a\0b", b"\0", b"x" * 4096, b"x" * 5000):
        yield target[:4], with_inode(symlink_inode(20, target), SYMLINK)
    for size in (9000, 1 << 20, 0xFFFFFFFF):
        yield size, with_inode(symlink_inode(20, b"short", size=size), SYMLINK)


@hostile(BREAKS, TOO_MUCH)
def listings_that_lie(base: Path) -> Files:
    for size in (5, 11, 13, 20, 9000, 1 << 20, 0xFFFFFFF0):
        made = forge()
        raw = listing([Entry(b"a long enough name", made.file(20, INNER), 20)])
        made.directories = raw
        yield size, made.whole(Entry(b"zz", made.inode(directory_inode(21, 0, size)), 21, DIRECTORY)).build()


@hostile(BREAKS, TOO_MUCH)
def inodes_that_are_not_there(base: Path) -> Files:
    for place in (8191, 8192 * 9, 8192 * 1000, 8000):
        yield place, forge().whole(Entry(b"zz", place, 20)).build()
    for root in (8191, 1 << 40, (1 << 47) | 3):
        yield -root, forge(fields={"root": root}).whole().build()


@hostile(BREAKS, TOO_MUCH)
def metadata_blocks_that_lie(base: Path) -> Files:
    for header in (0x8000, 0, 8192, 5, 100, 0x4000):
        content = bytearray(honest())
        (table,) = struct.unpack_from("<Q", content, 64)
        content[table : table + 2] = struct.pack("<H", header)
        yield header, bytes(content)


def moved(content: bytes, at: int, more: bytes, *, also_at: bool = False) -> bytes:
    """With more bytes at a place, and all tables behind it where they are now; `also_at`: one that began there, too."""
    out = bytearray(content)
    out[at:at] = more
    values = list(struct.unpack_from("<IIIIIHHHHHHQQQQQQQQ", out))
    values[12:] = [value + len(more) if at - also_at < value < 1 << 63 else value for value in values[12:]]
    struct.pack_into("<IIIIIHHHHHHQQQQQQQQ", out, 0, *values)
    return bytes(out)


@hostile(TOO_MUCH)
def metadata_blocks_that_swell(base: Path) -> Files:
    for size in (70, 80, 100):  # of one such block in front of the root's inode
        content = bytearray(forge(compression=6).whole().build())
        (table,) = struct.unpack_from("<Q", content, 64)
        bomb = zstandard.compress(bytes(size * MEGABYTE))
        yield size, moved(bytes(content), table, struct.pack("<H", len(bomb)) + bomb)
    for size in (6, 7):  # or of a dozen, in each of which there is an inode
        bomb = zlib.compress(bytes(size * MEGABYTE))
        block = struct.pack("<H", len(bomb)) + bomb
        first = len(in_blocks(0, 0).inodes) + 2
        content = in_blocks(first, len(block)).build()
        (table,) = struct.unpack_from("<Q", content, 72)
        yield -size, moved(content, table, block * 12, also_at=True)


def in_blocks(first: int, step: int) -> Honest:
    """A directory of a dozen others, whose inodes are at the beginning of a dozen blocks."""
    made = forge()
    raw = b"".join(
        struct.pack("<III", 0, first + step * number, 20) + struct.pack("<HhHH", 0, 0, DIRECTORY, 1) + b"%02d" % number
        for number in range(12)
    )
    made.directories = raw
    return made.whole(Entry(b"zz", made.inode(directory_inode(21, 0, len(raw))), 21, DIRECTORY))


@hostile(TOO_MUCH)
def blocks_that_swell(base: Path) -> Files:
    for compression, pack in ((1, zlib.compress), (6, zstandard.ZstdCompressor(write_content_size=False).compress)):
        stored = pack(bytes(100 * MEGABYTE))
        for size in (20, 4096, BLOCK):
            made = Forge(data=stored, compression=compression)
            inode = file_inode(20, size, start=96, words=(len(stored),), mode=0o755)
            yield (compression, size), made.top([Entry(b"AppRun", made.inode(inode), 20)]).build()


@hostile(BREAKS, TOO_MUCH)
def superblocks_that_lie(base: Path) -> Files:
    for fields in (
        {"compression": 0}, {"compression": 7}, {"inode_table": 0}, {"inode_table": 95}, {"inode_table": (1 << 63) - 1},
        {"directory_table": 96}, {"directory_table": 1 << 40}, {"root": 1}, {"inodes": 0xFFFFFFFF}, {"inodes": 1 << 20},
        {"magic": 0x73717367}, {"directory_table": 0}, {"root": (1 << 64) - 1},
    ):  # fmt: skip
        yield fields, forge(fields=fields).whole().build()


@hostile(BREAKS)
def cut_short(base: Path) -> Files:
    data = honest()
    (inodes, directories) = struct.unpack_from("<QQ", data, 64)
    for size in (
        96,
        97,
        96 + len(SCRIPT),
        inodes,
        inodes + 2,
        inodes + 40,
        directories - 1,
        directories,
        directories + 30,
    ):
        yield size, data[:size]


@hostile(BREAKS)
def paths_without_end(base: Path) -> Files:
    for levels, name in ((2500, b"d"), (20, b"d" * 250), (1300, b"ddd")):
        made = forge()
        inner = made.directory(30, [])
        for number in range(31, 31 + levels):
            inner = made.directory(number, [Entry(name, inner, number - 1, DIRECTORY)])
        yield levels, made.whole(Entry(b"zz", inner, 30 + levels, DIRECTORY)).build()


@hostile(TOO_MUCH)
def more_names_than_there_may_be(base: Path) -> Files:
    for count in (250_000, 500_000):
        made = forge()
        place = made.file(20, INNER)
        inner = made.directory(21, [Entry(b"%06x" % number, place, 20) for number in range(count)])
        yield count, made.whole(Entry(b"zz", inner, 21, DIRECTORY)).build()
