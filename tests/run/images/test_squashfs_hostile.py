"""Images that lie: refused with one line, within seconds, in little memory, and never with any other exception."""

from __future__ import annotations

import json
import os
import random
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.engine_index import engine_says, index_of, table_of
from kit.foreign_images import COMPRESSORS, head, mksquashfs, write_image
from kit.harness import engine
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
from lzallright import LZOCompressor

from tmprun.errors import BadImage
from tmprun.images.image import Image
from tmprun.images.opened import Opened
from tmprun.index.decode import decode

MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run([sys.argv[1], "@index", sys.argv[2]], capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
said = done.stderr.decode().rstrip()
print(json.dumps([len(done.stdout), said, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


def build(tmp_path: Path, forge: Forge) -> Path:
    return write_image(tmp_path / "image", forge.build())


def refused(tmp_path: Path, forge: Forge, what: str) -> None:
    said = engine_says(build(tmp_path, forge))
    assert isinstance(said, str) and re.search(what, said), said


def within_bounds(image: Path) -> str:
    """What the engine says of the image in a process of its own, having stayed within 1 s and 120 MB."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", MEASURE, engine("tmprun"), image], capture_output=True, check=True
    )
    table, refusal, seconds, kilobytes = json.loads(done.stdout)
    said = f"{table} bytes of index" if table else refusal
    assert isinstance(said, str) and said.count("\n") == 0
    assert seconds < 1, (said, seconds)
    assert kilobytes < 120 << 10, (said, kilobytes)
    return said


def with_entry(entry: Callable[[Forge], Entry]) -> Forge:
    forge = Forge()
    return forge.top([entry(forge)])


def one_file(raw: bytes, **parts: object) -> Forge:
    forge = Forge(**parts)  # type: ignore[arg-type]
    return forge.top([Entry(b"file", forge.inode(raw), 2)])


def test_forged_image_is_fine_when_it_does_not_lie(tmp_path: Path) -> None:
    forge = Forge(data=b"stored bytes" * 10)
    inner = forge.directory(4, [Entry(b"link", forge.inode(symlink_inode(5, b"../file")), 5, SYMLINK)])
    place = forge.inode(file_inode(2, 120, start=96, words=(120 | 1 << 24,)))
    forge.top([Entry(b"file", place, 2), Entry(b"inner", inner, 4, DIRECTORY)])
    index = index_of(build(tmp_path, forge))
    assert index.paths() == [b"", b"file", b"inner", b"inner/link"]


class TestNames:
    @pytest.mark.parametrize("name", [b".", b"..", b"a/b", b"/", b"a\0b", b"../x", b"x" * 256, b"x" * 5000])
    def test_illegal(self, tmp_path: Path, name: bytes) -> None:
        refused(
            tmp_path,
            with_entry(lambda forge: Entry(name, forge.inode(file_inode(2, 0)), 2)),
            "illegal file name|damaged",
        )

    def test_empty(self, tmp_path: Path) -> None:
        refused(
            tmp_path, with_entry(lambda forge: Entry(b"", forge.inode(file_inode(2, 0)), 2)), "damaged|too many entries"
        )

    def test_twice(self, tmp_path: Path) -> None:
        forge = Forge()
        entries = [Entry(b"same", forge.inode(file_inode(number, 0)), number) for number in (2, 3)]
        refused(tmp_path, forge.top(entries), "two entries are named 'same'")

    def test_path_too_long(self, tmp_path: Path) -> None:
        forge = Forge()
        inner = forge.directory(2, [])
        for number in range(3, 20):
            inner = forge.directory(number, [Entry(b"d" * 250, inner, number - 1, DIRECTORY)])
        refused(tmp_path, forge.top([Entry(b"top", inner, 19, DIRECTORY)]), "path is longer")

    def test_symlink_and_directory_of_one_name(self, tmp_path: Path) -> None:
        forge = Forge()
        link = forge.inode(symlink_inode(2, b"/etc"))
        inner = forge.directory(4, [Entry(b"passwd", forge.inode(file_inode(3, 0)), 3)])
        refused(tmp_path, forge.top([Entry(b"x", link, 2, SYMLINK), Entry(b"x", inner, 4, DIRECTORY)]), "two entries")


class TestDirectories:
    def test_root_is_a_file(self, tmp_path: Path) -> None:
        forge = Forge()
        forge.root = forge.inode(file_inode(1, 0))
        refused(tmp_path, forge, "disagree")

    def test_root_is_a_symlink(self, tmp_path: Path) -> None:
        forge = Forge()
        forge.root = forge.inode(symlink_inode(1, b"/"))
        refused(tmp_path, forge, "disagree")

    def test_contains_itself(self, tmp_path: Path) -> None:
        forge = Forge()
        raw = listing([Entry(b"loop", 0, 1, DIRECTORY)])
        forge.directories += raw
        forge.root = forge.inode(directory_inode(1, 0, len(raw)))
        refused(tmp_path, forge, "in two places")

    def test_contains_its_parent(self, tmp_path: Path) -> None:
        forge = Forge()
        raw = listing([Entry(b"down", 40, 2, DIRECTORY)]), listing([Entry(b"up", 0, 1, DIRECTORY)])
        forge.directories = b"".join(raw)
        forge.root = forge.inode(directory_inode(1, 0, len(raw[0])))
        assert forge.inode(directory_inode(2, len(raw[0]), len(raw[1]))) == 40
        refused(tmp_path, forge, "in two places")

    def test_in_two_places(self, tmp_path: Path) -> None:
        forge = Forge()
        inner = forge.directory(2, [])
        refused(tmp_path, forge.top([Entry(name, inner, 2, DIRECTORY) for name in (b"a", b"b")]), "in two places")

    def test_two_inodes_with_one_number(self, tmp_path: Path) -> None:
        forge = Forge()
        entries = [Entry(name, forge.inode(file_inode(2, 0, names=2)), 2) for name in (b"a", b"b")]
        refused(tmp_path, forge.top(entries), "one number")

    def test_number_that_is_not_the_inode_s(self, tmp_path: Path) -> None:
        refused(tmp_path, with_entry(lambda forge: Entry(b"a", forge.inode(file_inode(2, 0)), 3)), "disagree")

    def test_type_that_is_not_the_inode_s(self, tmp_path: Path) -> None:
        refused(
            tmp_path, with_entry(lambda forge: Entry(b"a", forge.inode(file_inode(2, 0)), 2, DIRECTORY)), "disagree"
        )

    @pytest.mark.parametrize("kind", [0, 8, 15, 0xFFFF])
    def test_unknown_type(self, tmp_path: Path, kind: int) -> None:
        inode = struct.pack("<H", kind) + file_inode(2, 0)[2:]
        refused(tmp_path, with_entry(lambda forge: Entry(b"a", forge.inode(inode), 2, FILE)), "disagree")

    @pytest.mark.parametrize("kind", [4, 5, 6, 7])
    def test_special_file(self, tmp_path: Path, kind: int) -> None:
        refused(
            tmp_path, with_entry(lambda forge: Entry(b"evil", forge.inode(special_inode(2, kind)), 2, kind)), "'evil'"
        )

    def test_listing_longer_than_its_table(self, tmp_path: Path) -> None:
        forge = Forge()
        forge.root = forge.inode(directory_inode(1, 0, 1 << 20))
        refused(tmp_path, forge, "damaged")

    def test_listing_that_ends_within_an_entry(self, tmp_path: Path) -> None:
        forge = Forge()
        raw = listing([Entry(b"a long enough name", forge.inode(file_inode(2, 0)), 2)])
        forge.directories = raw + bytes(100)
        forge.root = forge.inode(directory_inode(1, 0, len(raw) - 5))
        refused(tmp_path, forge, "directory is cut short")

    @pytest.mark.parametrize("place", [7, 8194, 1 << 20, 0xFFFFFFFF])
    def test_listing_at_a_place_that_is_none(self, tmp_path: Path, place: int) -> None:
        forge = Forge()
        raw = bytearray(directory_inode(1, 0, 30))
        raw[24:28] = struct.pack("<I", place)
        forge.root = forge.inode(bytes(raw))
        refused(tmp_path, forge, "damaged")

    def test_header_with_too_many_entries(self, tmp_path: Path) -> None:
        forge = Forge()
        forge.directories = struct.pack("<III", 256, 0, 2) + bytes(4000)
        forge.root = forge.inode(directory_inode(1, 0, 4000))
        refused(tmp_path, forge, "too many entries")

    def test_inode_past_the_table(self, tmp_path: Path) -> None:
        refused(tmp_path, with_entry(lambda _: Entry(b"a", 8191, 2)), "damaged")
        refused(tmp_path, with_entry(lambda _: Entry(b"a", 8192 * 9, 2)), "damaged")


class TestFiles:
    @pytest.mark.parametrize(
        ("size", "words"),
        [(1 << 40, ()), ((1 << 64) - 1, ()), (1 << 63, (0,)), (BLOCK * 3, (0,)), (BLOCK + 1, (0,))],
    )  # fmt: skip
    def test_size_without_blocks(self, tmp_path: Path, size: int, words: tuple[int, ...]) -> None:
        refused(tmp_path, one_file(file_inode(2, size, words=words)), "cut short|blocks of data|out of range")

    @pytest.mark.parametrize("start", [0, 95, 96 + 81, 1 << 20, 1 << 40, (1 << 64) - 1])
    def test_block_out_of_range(self, tmp_path: Path, start: int) -> None:
        forge = one_file(file_inode(2, 20, start=start, words=(20 | 1 << 24,)), data=bytes(100))
        refused(tmp_path, forge, "block of data is out of range")

    @pytest.mark.parametrize("word", [1 << 24, 1 << 25 | 50, 1 << 31 | 50, BLOCK + 1])
    def test_size_word_that_is_none(self, tmp_path: Path, word: int) -> None:
        refused(tmp_path, one_file(file_inode(2, 50, start=96, words=(word,)), data=bytes(BLOCK * 2)), "out of range")

    def test_stored_block_of_another_size(self, tmp_path: Path) -> None:
        refused(tmp_path, one_file(file_inode(2, 50, start=96, words=(49 | 1 << 24,)), data=bytes(100)), "not the size")

    def overlapping(self, tmp_path: Path, second: tuple[int, int, int]) -> Forge:
        start, word, size = second
        forge = Forge(data=bytes(1000))
        first = forge.inode(file_inode(2, 100, start=96, words=(100 | 1 << 24,)))
        other = forge.inode(file_inode(3, size, start=start, words=(word,)))
        return forge.top([Entry(b"a", first, 2), Entry(b"b", other, 3)])

    def test_blocks_that_overlap(self, tmp_path: Path) -> None:
        refused(tmp_path, self.overlapping(tmp_path, (195, 100 | 1 << 24, 100)), "overlap")
        refused(tmp_path, self.overlapping(tmp_path, (97, 10 | 1 << 24, 10)), "overlap")

    def test_one_block_with_two_sizes(self, tmp_path: Path) -> None:
        refused(tmp_path, self.overlapping(tmp_path, (96, 90 | 1 << 24, 90)), "two sizes")
        refused(tmp_path, self.overlapping(tmp_path, (96, 100, 100)), "two sizes")

    @pytest.mark.parametrize(("fragment", "offset"), [(1, 0), (0xFFFFFFFE, 0), (0, BLOCK), (0, 0xFFFFFFFF), (0, 51)])
    def test_tail_out_of_range(self, tmp_path: Path, fragment: int, offset: int) -> None:
        forge = one_file(
            file_inode(2, 50, fragment=fragment, offset=offset), data=bytes(100), fragments=[(96, 100 | 1 << 24)]
        )
        refused(tmp_path, forge, "out of range|not the size")

    @pytest.mark.parametrize(
        "fragment", [(0, 50), (96, 101), (1 << 63, 50), (96, 0), (96, 1 << 26 | 50), (96, BLOCK + 1)]
    )
    def test_fragment_block_out_of_range(self, tmp_path: Path, fragment: tuple[int, int]) -> None:
        refused(
            tmp_path, one_file(file_inode(2, 50, fragment=0), data=bytes(100), fragments=[fragment]), "out of range"
        )

    def test_fragment_block_that_is_no_zlib(self, tmp_path: Path) -> None:
        forge = one_file(file_inode(2, 50, fragment=0, offset=9), data=bytes(100), fragments=[(96, 100)])
        refused(tmp_path, forge, "compressed block is damaged")

    def test_zstd_frame_that_says_less(self, tmp_path: Path) -> None:
        stored = zstandard.compress(bytes(49))
        forge = one_file(file_inode(2, 50, fragment=0), data=stored, fragments=[(96, len(stored))], compression=6)
        refused(tmp_path, forge, "fragment block has not the size")

    @pytest.mark.parametrize("target", [b"", b"a\0b", b"x" * 4096])
    def test_symlink_target(self, tmp_path: Path, target: bytes) -> None:
        refused(
            tmp_path,
            with_entry(lambda forge: Entry(b"a", forge.inode(symlink_inode(2, target)), 2, SYMLINK)),
            "symlink target",
        )

    @pytest.mark.parametrize("size", [100, 4095, 1 << 20, 0xFFFFFFFF])
    def test_symlink_target_past_the_table(self, tmp_path: Path, size: int) -> None:
        forge = Forge()
        root = forge.top([Entry(b"a", 40, 2, SYMLINK)])
        assert forge.inode(symlink_inode(2, b"short", size=size)) == 40
        refused(tmp_path, root, "damaged|symlink target")


class TestSuperblock:
    @pytest.mark.parametrize(
        ("fields", "what"),
        [
            ({"major": 3}, "version 3.0"),
            ({"minor": 1}, "version 4.1"),
            ({"compression": 0}, "method 0"),
            ({"compression": 2}, "lzma"),
            ({"compression": 7}, "method 7"),
        ],
    )  # fmt: skip
    def test_unsupported(self, tmp_path: Path, fields: dict[str, int], what: str) -> None:
        refused(tmp_path, Forge(fields=fields).top([]), what)

    @pytest.mark.parametrize(
        "fields",
        [
            {"block_size": 0}, {"block_size": 2048, "block_log": 11}, {"block_size": 1 << 21, "block_log": 21},
            {"block_log": 16}, {"block_log": 0xFFFF}, {"bytes_used": 1 << 20}, {"bytes_used": (1 << 64) - 1},
            {"bytes_used": 0}, {"bytes_used": 100}, {"inode_table": 0}, {"inode_table": 95},
            {"inode_table": (1 << 64) - 1}, {"directory_table": 96}, {"directory_table": 1 << 40}, {"fragments": 1},
            {"fragments": 1 << 20}, {"fragments": 1, "fragment_table": 96},
            {"fragments": 1, "fragment_table": (1 << 64) - 1}, {"fragments": 600}, {"root": 1}, {"root": 8191},
            {"root": 1 << 40}, {"root": (1 << 64) - 1}, {"inodes": 0xFFFFFFFF},
        ],
        ids=str,
    )  # fmt: skip
    def test_lies(self, tmp_path: Path, fields: dict[str, int]) -> None:
        refused(tmp_path, Forge(fields=fields).top([]), "damaged|cut short|larger than")

    @pytest.mark.parametrize("header", [0x8000, 0, 0x8000 | 8193, 0xFFFF, 8192, 5])
    def test_metadata_block(self, tmp_path: Path, header: int) -> None:
        content = bytearray(Forge().top([]).build())
        content[96:98] = struct.pack("<H", header)
        with pytest.raises(BadImage):
            table_of(write_image(tmp_path / "image", bytes(content)))

    def test_metadata_block_that_is_a_bomb(self, tmp_path: Path) -> None:
        for compression, bomb in ((1, zlib.compress(bytes(4 << 20))), (6, zstandard.compress(bytes(1 << 26)))):
            assert len(bomb) <= 8192
            content = bytearray(Forge(compression=compression).top([]).build())
            block = struct.pack("<H", len(bomb)) + bomb
            content[96:96] = block
            values = list(struct.unpack_from("<IIIIIHHHHHHQQQQQQQQ", content))
            values[12:] = [value + len(block) if value < 1 << 63 else value for value in values[12:]]
            values[15] -= len(block)  # the inodes' table begins with it
            struct.pack_into("<IIIIIHHHHHHQQQQQQQQ", content, 0, *values)
            with pytest.raises(BadImage, match="compressed block is damaged"):
                table_of(write_image(tmp_path / "image", bytes(content)))


class TestBounds:
    def test_a_million_members(self, tmp_path: Path) -> None:
        assert "1000000 files" in within_bounds(build(tmp_path, Forge(fields={"inodes": 1_000_000}).top([])))

    def test_a_million_members_that_nobody_counted(self, tmp_path: Path) -> None:
        forge = Forge()
        raw = b"".join(file_inode(number, 0) for number in range(1, 250_001))
        forge.inodes = raw
        forge.top([Entry(b"%06x" % number, (number - 1) * 56, number) for number in range(1, 250_001)], 250_001)
        assert "too many entries" in within_bounds(build(tmp_path, forge))

    def test_a_million_names_of_one_file(self, tmp_path: Path) -> None:
        forge = Forge()
        place = forge.inode(file_inode(2, 0))
        said = within_bounds(
            build(tmp_path, forge.top([Entry(b"%06x" % number, place, 2) for number in range(500_000)]))
        )
        assert "too many entries" in said
        forge = Forge()
        place = forge.inode(file_inode(2, 0))
        said = within_bounds(
            build(tmp_path, forge.top([Entry(b"%06x" % number, place, 2) for number in range(1_000_000)]))
        )
        assert "tables are larger" in said

    def test_long_names(self, tmp_path: Path) -> None:
        forge = Forge()
        place = forge.inode(file_inode(2, 0))
        said = within_bounds(
            build(tmp_path, forge.top([Entry(b"%0240x" % number, place, 2) for number in range(30_000)]))
        )
        assert "bytes of index" in said

    def test_as_many_as_are_allowed(self, tmp_path: Path) -> None:
        forge = Forge()
        count = 200_000
        forge.inodes = b"".join(symlink_inode(number, b"%06x" % number) for number in range(2, count))
        size = len(symlink_inode(2, b"000000"))
        entries = [Entry(b"%06x" % number, (number - 2) * size, number, SYMLINK) for number in range(2, count)]
        assert "bytes of index" in within_bounds(build(tmp_path, forge.top(entries)))

    def test_as_many_files_as_are_allowed(self, tmp_path: Path) -> None:
        forge = Forge(data=bytes(range(256)) * 512 + bytes(64 << 20))
        count = 200_000
        forge.inodes = b"".join(
            file_inode(number, BLOCK, start=96, words=(BLOCK | 1 << 24,)) for number in range(2, count)
        )
        size = len(file_inode(2, 0)) + 4
        entries = [Entry(b"%030x" % number, (number - 2) * size, number) for number in range(2, count)]
        assert "bytes of index" in within_bounds(build(tmp_path, forge.top(entries)))

    def test_as_many_blocks_as_are_allowed(self, tmp_path: Path) -> None:
        forge = Forge(data=bytes(100 * 262_000))
        forge.fields = {"block_size": 4096, "block_log": 12}
        inode = file_inode(2, 4096 * 262_000, start=96, words=(100,) * 262_000)
        said = within_bounds(build(tmp_path, forge.top([Entry(b"file", forge.inode(inode), 2)])))
        assert "bytes of index" in said

    def test_depth_of_5000(self, tmp_path: Path) -> None:
        forge = Forge()
        inner = forge.directory(2, [])
        for number in range(3, 5003):
            inner = forge.directory(number, [Entry(b"d", inner, number - 1, DIRECTORY)])
        assert "nested deeper" in within_bounds(build(tmp_path, forge.top([Entry(b"d", inner, 5002, DIRECTORY)])))

    def test_file_of_many_blocks(self, tmp_path: Path) -> None:
        forge = Forge(data=bytes(8))
        words = (8 | 1 << 24,) + (0,) * 500_000
        forge = one_file(file_inode(2, BLOCK * 500_001, start=96, words=words))
        within_bounds(build(tmp_path, forge))

    def test_files_that_share_many_blocks(self, tmp_path: Path) -> None:
        """Inodes may overlap, so that few bytes of table describe many blocks."""
        forge = Forge(data=bytes(range(256)) * 512)
        count = 1000
        entries = []
        for number in range(2, 252):
            raw = file_inode(number, BLOCK * count, start=96, words=(BLOCK | 1 << 24,) + (0,) * (count - 1))
            entries.append(Entry(b"%d" % number, forge.inode(raw), number))
        assert "bytes of index" in within_bounds(build(tmp_path, forge.top(entries)))

    def test_tables_that_are_a_bomb(self, tmp_path: Path) -> None:
        """Metadata blocks of 8 KiB of zeros in 20 bytes each."""
        block = zlib.compress(bytes(8192), 9)
        one = struct.pack("<H", len(block)) + block
        table = one * (23_000_000 // len(one))
        forge = Forge(data=table).top([])
        forge.fields = {"inode_table": 96, "directory_table": 96 + len(table)}
        assert "tables are larger" in within_bounds(build(tmp_path, forge))
        forge.fields = {"inode_table": 96, "bytes_used": 96 + len(table), "directory_table": 97 + len(one)}
        within_bounds(build(tmp_path, forge))

    def test_large_tables(self, tmp_path: Path) -> None:
        forge = Forge(data=bytes(26 << 20)).top([])
        forge.fields = {"inode_table": 96}
        assert "tables are larger" in within_bounds(build(tmp_path, forge))


def only_refusals(image: Path) -> None:
    """Reading may succeed, with a legal index, or refuse in one line (`engine_says` asserts that)."""
    said = engine_says(image)
    if isinstance(said, bytes):
        decode(said)


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Small file systems with something of everything, one a compressor."""
    top = tmp_path_factory.mktemp("victims")
    source = top / "source"
    (source / "a" / "b").mkdir(parents=True)
    for number in range(12):
        (source / "a" / f"file {number}").write_bytes(b"text %d" % number * number * 40)
    (source / "large").write_bytes(b"x" * 9000 + os.urandom(6000))
    with open(source / "sparse", "wb") as file:
        file.truncate(30_000)
    (source / "link").symlink_to("large")
    os.link(source / "large", source / "a" / "b" / "again")
    return {name: mksquashfs(source, top / name, "-comp", name, "-b", "4K", "-nopad") for name in COMPRESSORS}


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_flipped_bits(victims: dict[str, bytes], tmp_path: Path, compressor: str) -> None:
    """Every byte of the tables, and of the superblock, in one of its bits."""
    whole = victims[compressor]
    (tables,) = struct.unpack_from("<Q", whole, 64)
    chance = random.Random(1)
    for at in [*range(96), *range(tables, len(whole))]:
        content = bytearray(whole)
        content[at] ^= 1 << chance.randrange(8)
        only_refusals(write_image(tmp_path / "image", bytes(content), head(size=512)))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_anything_written_into_plain_tables(tmp_path: Path, data: st.DataObject) -> None:
    """Tables that are not compressed, so that what is written into them reaches the parser."""
    forge = Forge(data=zlib.compress(b"tail" * 50), fragments=[(96, len(zlib.compress(b"tail" * 50)))])
    inner = forge.directory(4, [Entry(b"link", forge.inode(symlink_inode(5, b"../file")), 5, SYMLINK)])
    file = forge.inode(file_inode(2, BLOCK * 2 + 100, words=(0, 0), fragment=0))
    content = bytearray(
        forge.top([Entry(b"file", file, 2), Entry(b"inner", inner, 4, DIRECTORY), Entry(b"twin", file, 2)]).build()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        raw = data.draw(
            st.one_of(st.binary(min_size=1, max_size=9), st.sampled_from([b"\0", b"\xff"]).map(lambda byte: byte * 8))
        )
        content[at : at + len(raw)] = raw[: len(content) - at]
    only_refusals(write_image(tmp_path / "image", bytes(content), head(size=512)))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_anything_behind_the_magic(tmp_path: Path, content: bytes) -> None:
    only_refusals(write_image(tmp_path / "image", b"hsqs" + content, head(size=512)))


def test_an_lzo_bomb_stays_within_bounds(tmp_path: Path) -> None:
    """As large as a block may be, and expanding as far as LZO can."""
    stored = LZOCompressor().compress(bytes(180 << 20))[: 1 << 20]
    forge = Forge(data=stored, compression=3, fields={"block_size": 1 << 20, "block_log": 20})
    forge.top([Entry(b"f", forge.inode(file_inode(2, 1 << 20, start=96, words=(len(stored),))), 2)])
    image = write_image(tmp_path / "image", forge.build())
    within_bounds(image)
    with Image(str(image)) as opened, Opened(opened) as files, pytest.raises(BadImage, match="damaged"):
        files.read(files.index.nodes[1], 1 << 20)
