"""The index against random trees, and against every single damaged byte."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tmprun.errors import BadImage
from tmprun.index.decode import decode
from tmprun.index.encode import encode
from tmprun.index.nodes import Fixup, Frame, Index, Interpreter, Node, is_library, show
from tmprun.index.rules import (
    CODEC_STORED,
    CODEC_ZLIB,
    CODEC_ZSTD,
    DIRECTORY,
    FILE,
    FIXUP_ELF,
    HARD_LINK,
    HOLE,
    MAGIC,
    MAX_DEPTH,
    MAX_PATH,
    MAX_PLAIN,
    MAX_STORED,
    SYMLINK,
)

Meaning = dict[str, Any]

names = st.binary(min_size=1, max_size=12).filter(
    lambda name: name not in (b".", b"..") and b"/" not in name and b"\0" not in name
)
targets = st.binary(min_size=1, max_size=200).filter(lambda target: b"\0" not in target)
times = st.integers(-(1 << 63), (1 << 63) - 1)
modes = st.integers(0, 0o7777)


def meaning(index: Index) -> Meaning:
    """Everything that an index says, in a form that does not depend on where its strings lie."""
    paths = index.paths()
    nodes = [
        (
            path, node.kind, node.mode, node.mtime, node.size, node.first, node.target, node.segments,
            paths[node.link.number] if node.link else None, sorted(node.children),
        )
        for path, node in zip(paths, index.nodes, strict=True)
    ]  # fmt: skip
    frames = [(f.offset, f.stored, f.plain, f.codec, f.digest) for f in index.frames]
    return {
        "nodes": nodes,
        "frames": frames,
        "fixups": [
            (paths[fix.node.number], fix.kind, fix.header, fix.at, fix.room, fix.interpreter.path, fix.interpreter.need)
            for fix in index.fixups
        ],
        "hot": [paths[number] for number in index.hot],
        "metadata": index.metadata,
        "foreign": (index.foreign, index.image_size, index.image_sha256),
        "content": index.content_size,
    }


def again(index: Index) -> bytes:
    """A decoded index, written anew."""
    return encode(
        index.nodes[0],
        index.frames,
        hot=[index.nodes[number] for number in index.hot],
        fixups=index.fixups,
        metadata=index.metadata,
        image_size=index.image_size,
        image_sha256=index.image_sha256 if index.foreign else b"",
    )


@st.composite
def frame_lists(draw: st.DrawFn) -> list[Frame]:
    frames, at = [], 0
    for _ in range(draw(st.integers(1, 5))):
        at += draw(st.integers(0, 1 << 40))
        plain = draw(st.integers(1, MAX_PLAIN))
        codec = draw(st.sampled_from([CODEC_STORED, CODEC_ZSTD, CODEC_ZLIB]))
        stored = plain if codec == CODEC_STORED else draw(st.integers(1, MAX_STORED))
        frames.append(Frame(at, stored, plain, codec, draw(st.binary(min_size=32, max_size=32))))
        at += stored
    return frames


@st.composite
def segment_lists(draw: st.DrawFn, frames: list[Frame]) -> list[tuple[int, int, int]]:
    runs = []
    for _ in range(draw(st.integers(0, 4))):
        number = draw(st.sampled_from([*range(len(frames)), HOLE]))
        if number == HOLE:
            runs.append((number, 0, draw(st.integers(1, HOLE))))
        else:
            offset = draw(st.integers(0, frames[number].plain - 1))
            runs.append((number, offset, draw(st.integers(1, frames[number].plain - offset))))
    return runs


def fill_file(draw: st.DrawFn, node: Node, frames: list[Frame]) -> None:
    node.segments = draw(segment_lists(frames))
    node.size = sum(run[2] for run in node.segments)
    node.first = draw(st.booleans())


def fill_symlink(draw: st.DrawFn, node: Node) -> None:
    node.target = draw(targets)
    node.size = len(node.target)


@st.composite
def indexes(draw: st.DrawFn) -> bytes:
    """A random index: directories within directories, every kind of node, holes, hard links, a hot list."""
    frames = draw(frame_lists())
    root = Node(b"", DIRECTORY, draw(modes), draw(times))
    directories, files, links = [root], [], []
    for name in draw(st.lists(names, max_size=16)):
        above = draw(st.sampled_from(directories))
        if name in above.children:
            continue
        kind = draw(st.sampled_from([DIRECTORY, FILE, FILE, SYMLINK, HARD_LINK]))
        node = above.add(Node(name, kind, draw(modes), draw(times)))
        if kind == DIRECTORY:
            directories.append(node)
        elif kind == FILE:
            fill_file(draw, node, frames)
            files.append(node)
        elif kind == SYMLINK:
            fill_symlink(draw, node)
        else:
            links.append(node)
    if links and not files:
        files.append(root.add(Node(b"a file that no name can be", FILE)))
    for node in links:
        node.link = draw(st.sampled_from(files))
    hot = draw(st.lists(st.sampled_from(files), unique=True)) if files else []
    foreign = draw(st.booleans())
    return encode(
        root,
        frames,
        hot=hot,
        metadata=draw(st.sampled_from([b"{}", b'{"name":"x"}'])),
        image_size=draw(st.integers(0, 1 << 40)) if foreign else 0,
        image_sha256=draw(st.binary(min_size=32, max_size=32)) if foreign else b"",
    )


@given(indexes())
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_read_and_written_again_to_the_byte(table: bytes) -> None:
    assert again(decode(table)) == table


def check_damaged(damaged: bytes) -> bool:
    """True when the damaged table still decodes; then it must mean something that can be written and read again."""
    try:
        index = decode(damaged)
    except BadImage:
        return False
    assert meaning(decode(again(index))) == meaning(index)
    return True


@given(indexes(), st.data())
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_damage_is_refused_or_legal(table: bytes, data: st.DataObject) -> None:
    damaged = bytearray(table)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(table) - 1))] = data.draw(st.integers(0, 255))
    check_damaged(bytes(damaged))


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_rubbish_is_refused(tail: bytes) -> None:
    with pytest.raises(BadImage):
        decode(tail)
    check_damaged(MAGIC + tail)


def small_index() -> bytes:
    root = Node(b"", DIRECTORY, 0o755, -1)
    apprun = root.add(Node(b"AppRun", FILE, 0o755, 1))
    apprun.segments, apprun.size, apprun.first = [(0, 512, 100), (1, 0, 7)], 107, True
    usr = root.add(Node(b"usr", DIRECTORY, 0o755, 2))
    again_ = usr.add(Node(b"again", HARD_LINK, 0o755, 1))
    again_.link = apprun
    sparse = usr.add(Node(b"sparse", FILE, 0o644, 3))
    sparse.segments, sparse.size = [(HOLE, 0, 1 << 20), (1, 7, 1)], (1 << 20) + 1
    link = usr.add(Node(b"link", SYMLINK, 0o777, 4))
    link.target, link.size = b"../AppRun", 9
    usr.add(Node(b"empty", DIRECTORY, 0o755, 5))
    frames = [Frame(0, 300, 1024, CODEC_ZSTD, bytes(32)), Frame(300, 8, 8, CODEC_STORED, bytes(range(32)))]
    fixups = [Fixup(apprun, Interpreter(b"/lib/ld", apprun, 2 << 16, link, b"x"), FIXUP_ELF, 40, 100, 7)]
    return encode(root, frames, hot=[sparse, apprun], fixups=fixups, metadata=b'{"name":"small"}')


@pytest.mark.parametrize("bit", range(8))
def test_every_single_flipped_bit_is_refused_or_legal(bit: int) -> None:
    table = small_index()
    accepted = 0
    for at in range(len(table)):
        damaged = bytearray(table)
        damaged[at] ^= 1 << bit
        accepted += check_damaged(bytes(damaged))
    assert 0 < accepted < len(table)


@pytest.mark.parametrize("value", [0x00, 0x7F, 0x80, 0xFF])
def test_every_replaced_byte_and_word_is_refused_or_legal(value: int) -> None:
    table = small_index()
    for at in range(len(table)):
        for width in (1, 2, 4, 8):
            damaged = bytearray(table)
            damaged[at : at + width] = bytes([value]) * len(damaged[at : at + width])
            check_damaged(bytes(damaged))


def test_every_truncation_and_extension_is_refused() -> None:
    table = small_index()
    for length in range(len(table)):
        with pytest.raises(BadImage):
            decode(table[:length])
    with pytest.raises(BadImage):
        decode(table + b"\0")


def test_random_damage_never_ends_in_another_exception() -> None:
    table = small_index()
    chance = random.Random(1)
    for _ in range(4000):
        damaged = bytearray(table)
        for _ in range(chance.choice((2, 3, 8))):
            damaged[chance.randrange(len(table))] = chance.choice((0, 1, 2, 3, 0xFF, chance.randrange(256)))
        check_damaged(bytes(damaged))


def file_in(root: Node, name: bytes) -> Node:
    return root.add(Node(name, FILE))


def chain(depth: int, name: bytes) -> Node:
    root = above = Node(b"", DIRECTORY)
    for _ in range(depth):
        above = above.add(Node(name, DIRECTORY))
    return root


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/", b"a\0b", b"x" * 256])
def test_illegal_names_are_not_added(name: bytes) -> None:
    with pytest.raises(BadImage, match="illegal file name"):
        file_in(Node(b"", DIRECTORY), name)


@pytest.mark.parametrize("name", [b"...", b"x" * 255, b"\xff\xfe", b"\n", b" ", b"\x1b[31m", "ä".encode()])
def test_strange_names_are_kept(name: bytes) -> None:
    root = Node(b"", DIRECTORY)
    file_in(root, name)
    assert decode(encode(root, [])).nodes[1].name == name


def test_a_name_is_added_once() -> None:
    root = Node(b"", DIRECTORY)
    file_in(root, b"twice")
    with pytest.raises(BadImage, match="two entries are named 'twice'"):
        file_in(root, b"twice")


def test_the_longest_and_the_deepest_path() -> None:
    assert len(decode(encode(chain(MAX_DEPTH, b"d"), [])).nodes) == MAX_DEPTH + 1
    with pytest.raises(BadImage, match="deeper"):
        encode(chain(MAX_DEPTH + 1, b"d"), [])
    longest = chain(12, b"n" * 255)  # 12 * 256 - 1 = 3071 bytes
    assert max(map(len, decode(encode(longest, [])).paths())) == MAX_PATH - 1
    with pytest.raises(BadImage, match="longer"):
        encode(chain(13, b"n" * 255), [])


def symlink_to(target: bytes) -> Node:
    root = Node(b"", DIRECTORY)
    root.add(Node(b"link", SYMLINK)).target = target
    return root


@pytest.mark.parametrize("target", [b"", b"a\0b", b"x" * 4096])
def test_illegal_symlink_targets_are_not_written(target: bytes) -> None:
    with pytest.raises(BadImage, match="illegal symlink target"):
        encode(symlink_to(target), [])


def test_the_longest_symlink_target() -> None:
    assert decode(encode(symlink_to(b"x" * 4095), [])).nodes[1].target == b"x" * 4095


def test_a_hard_link_out_of_the_tree_is_not_written() -> None:
    root = Node(b"", DIRECTORY)
    link = root.add(Node(b"link", HARD_LINK))
    for elsewhere in (None, Node(b"x", FILE), root, link):
        link.link = elsewhere
        with pytest.raises(BadImage, match="not a file of this tree"):
            encode(root, [])


@pytest.mark.parametrize("mtime", [1 << 63, -(1 << 63) - 1])
def test_a_time_that_no_field_holds_is_not_written(mtime: int) -> None:
    with pytest.raises(BadImage, match="out of range"):
        encode(Node(b"", DIRECTORY, 0o755, mtime), [])


LIBRARIES = [b"libc.so", b"libc.so.6", b"libstdc++.so.6.0.30", b"_x.cpython-311-x86_64-linux-gnu.so", b"x.so.d.so.1"]
PROGRAMS = [
    b"ld-linux-x86-64.so.2",
    b"ld.so",
    b"ld-musl-x86_64.so.1",
    b"sh",
    b"AppRun",
    b"x.so.conf",
    b"x.soname",
    b"a.so.",
]


def test_libraries_are_told_from_programs_by_their_names() -> None:
    assert [name for name in LIBRARIES if not is_library(name)] == []
    assert [name for name in PROGRAMS if is_library(name)] == []


def test_names_are_shown_on_one_line_without_anything_that_a_terminal_obeys() -> None:
    assert show(b"plain name") == "'plain name'"
    for name in (b"a\nb", b"\x1b[2J", b"\xff", "\u202e".encode(), b"it's"):
        shown = show(name)
        assert shown.isprintable() and shown.isascii() and shown[0] in "'\"" and shown[-1] == shown[0]
