"""write_bundle, read_footer and read_index, held against the specification's own words and against zstd and tar."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from kit.apps import noise
from kit.bundle_reader import Bundle
from kit.bundled import MIB, STUB, Tree, saved, tar_of

from tmprun.bundle.footer import ALIGN, TUNED_LEVEL, compressor, read_footer, read_index
from tmprun.bundle.tar_frames import PIECE, SMALL
from tmprun.bundle.write import write_bundle
from tmprun.errors import BadImage, TmprunError
from tmprun.index.nodes import Node
from tmprun.index.rules import CODEC_ZSTD, FILE, HOLE

SIZES = [
    0, 1, 511, 512, 513, SMALL, PIECE - 1, PIECE, PIECE + 1,
    2 * PIECE, 3 * PIECE + 777,
]  # fmt: skip


def sizes_tree() -> Tree:
    tree = Tree()
    for number, size in enumerate(SIZES):
        tree.file(b"plain/%08d" % size, noise(size, number), mode=0o640)
        tree.file(b"first/%08d" % size, noise(size, 100 + number), mode=0o755, first=True)
    return tree


def test_files_of_every_size_come_back_from_their_segments_and_from_tar(tmp_path: Path) -> None:
    tree = sizes_tree()
    path = saved(tree.bundle(), tmp_path)
    names = {node: b"first/" + node.name if node.first else b"plain/" + node.name for node in tree.contents}
    assert Bundle(path).files() == {names[node]: content for node, content in tree.contents.items()}
    archive = tar_of(path)
    for node, content in tree.contents.items():
        member = archive.extractfile(names[node].decode())
        assert member is not None and member.read() == content


def test_the_parts_lie_where_the_footer_says(tmp_path: Path) -> None:
    tree = Tree()
    tree.file(b"AppRun", b"x" * 100, mode=0o755, first=True)
    for size in (0, 1, ALIGN - 1, ALIGN, ALIGN + 1):
        path = saved(tree.bundle(stub=noise(size)), tmp_path)
        bundle = Bundle(path)
        assert bundle.footer.offset == (size + ALIGN - 1) // ALIGN * ALIGN
        raw = path.read_bytes()
        assert raw[:size] == noise(size) and not any(raw[size : bundle.footer.offset])
        end = bundle.index.frames[-1].offset + bundle.index.frames[-1].stored
        assert len(raw) == bundle.footer.offset + end + 8 + bundle.footer.stored + 64


def test_the_key_is_the_footers_and_does_not_depend_on_the_stub(tmp_path: Path) -> None:
    keys = set()
    for stub in (STUB, b"x" * 10_000):
        out = io.BytesIO()
        tree = sizes_tree()
        key = write_bundle(out, stub, tree.root, tree.content, level=1)
        assert Bundle(saved(out.getvalue(), tmp_path)).footer.key == key
        keys.add(key)
    assert len(keys) == 1


def test_frames_follow_each_other_and_say_their_size_and_nothing_more(tmp_path: Path) -> None:
    path = saved(sizes_tree().bundle(), tmp_path)
    bundle = Bundle(path)
    at = 0
    for frame, plain in zip(bundle.index.frames, bundle.frames, strict=True):
        stored = path.read_bytes()[bundle.footer.offset + frame.offset :][: frame.stored]
        facts = zstandard.get_frame_parameters(stored)
        assert (facts.content_size, facts.has_checksum, facts.dict_id) == (len(plain), False, 0)
        assert frame.offset == at and frame.codec == CODEC_ZSTD
        assert frame.plain <= PIECE + SMALL + 1024
        at += frame.stored


def test_content_that_does_not_shrink_is_a_zstd_frame_all_the_same(tmp_path: Path) -> None:
    tree = Tree()
    tree.file(b"noise", noise(MIB))
    frame = max(Bundle(saved(tree.bundle(), tmp_path)).index.frames, key=lambda frame: frame.plain)
    assert frame.codec == CODEC_ZSTD and 0 < frame.stored - frame.plain < 100


def pieces(node: Node) -> list[int]:
    return [length for _, _, length in node.segments]


def test_large_files_have_frames_of_their_own_in_pieces(tmp_path: Path) -> None:
    tree = Tree()
    for number in range(300):
        tree.file(b"before/%03d" % number, noise(1000, number))
    tree.file(b"middle", noise(2 * PIECE + 5, 1000))
    tree.file(b"program", noise(3 * PIECE + 5, 1001), mode=0o755, first=True)
    bundle = Bundle(saved(tree.bundle(), tmp_path))
    middle, program = bundle.by_path[b"middle"], bundle.by_path[b"program"]
    assert pieces(middle) == [PIECE, PIECE, 5]
    assert pieces(program) == [PIECE, PIECE, PIECE, 5]
    assert [offset for _, offset, _ in middle.segments] == [0, 0, 0]
    assert [bundle.index.frames[number].plain for number, _, _ in middle.segments[:-1]] == [PIECE, PIECE]


def test_small_files_share_frames_and_are_never_split(tmp_path: Path) -> None:
    tree = Tree()
    for number in range(600):
        tree.file(b"d/%03d" % number, noise(10_000, number))
    bundle = Bundle(saved(tree.bundle(), tmp_path))
    assert all(len(node.segments) == 1 for node in bundle.index.nodes if node.kind == FILE)
    plains = [len(frame) for frame in bundle.frames]
    assert len(plains) <= 1 + -(-600 * 10_752 // (PIECE - 10_752))
    assert all(plain > PIECE * 9 // 10 for plain in plains[:-1])


def test_the_archive_has_what_a_start_needs_first(tmp_path: Path) -> None:
    tree = Tree()
    late = tree.file(b"z/late", b"hot, second")
    tree.file(b"b/data", b"data")
    tree.file(b"a/data", b"data")
    program = tree.file(b"z/program", b"program", mode=0o755, first=True)
    early = tree.file(b"m/early", b"hot, first", mode=0o755, first=True)
    tree.link(b"a/link", program)
    tree.symlink(b"a/sym", b"data")
    path = saved(tree.bundle(hot=(early, late)), tmp_path)
    assert tar_of(path).getnames() == [
        "a/sym", "m/early", "z/late", "z/program", "a/data", "b/data", "a/link", "z", "m", "b", "a"
    ]  # fmt: skip
    bundle = Bundle(path)
    assert [bundle.index.nodes[number].name for number in bundle.index.hot] == [b"early", b"late"]


def test_groups_that_are_large_do_not_share_a_frame(tmp_path: Path) -> None:
    tree = Tree()
    for number in range(10):
        tree.file(b"hot/%d" % number, noise(20_000, number))
        tree.file(b"program/%d" % number, noise(20_000, 10 + number), mode=0o755, first=True)
        tree.file(b"rest/%d" % number, noise(20_000, 20 + number))
    hot = tuple(tree.root.children[b"hot"].children.values())
    bundle = Bundle(saved(tree.bundle(hot=hot), tmp_path))
    used = [
        {number for path, node in bundle.by_path.items() if path.startswith(group) for number, _, _ in node.segments}
        for group in (b"hot/", b"program/", b"rest/")
    ]
    assert [len(frames) for frames in used] == [1, 1, 1]
    assert len(set.union(*used)) == 3


def test_what_a_start_needs_is_not_decoded_with_a_large_file(tmp_path: Path) -> None:
    tree = Tree()
    tree.file(b"AppRun", noise(30_000), mode=0o755, first=True)
    tree.file(b"data/0", noise(PIECE // 2, 1))
    bundle = Bundle(saved(tree.bundle(), tmp_path))
    ((frame, _, _),) = bundle.by_path[b"AppRun"].segments
    assert bundle.index.frames[frame].plain < 40_000
    assert all(number != frame for number, _, _ in bundle.by_path[b"data/0"].segments)


def test_the_bytes_do_not_depend_on_the_number_of_threads() -> None:
    assert len({sizes_tree().bundle(threads=threads) for threads in (0, 1, 2, 7)}) == 1


def test_the_bytes_do_not_depend_on_the_order_of_the_directories() -> None:
    contents = {b"%d/%d" % (number % 7, number): noise(50_000, number) for number in range(50)}
    made = set()
    for seed in range(3):
        tree = Tree()
        for path in random.Random(seed).sample(sorted(contents), len(contents)):
            tree.file(path, contents[path])
        made.add(tree.bundle())
    assert len(made) == 1


@pytest.mark.parametrize("level", [1, 9, 22])
def test_levels(level: int, tmp_path: Path) -> None:
    tree = Tree()
    tree.file(b"text", b"".join(b"line %d of a text that shrinks\n" % number for number in range(20_000)))
    bundle = Bundle(saved(tree.bundle(level=level), tmp_path))
    assert bundle.files() == {b"text": next(iter(tree.contents.values()))}
    assert sum(frame.stored for frame in bundle.index.frames) < sum(map(len, bundle.frames)) / 3


def test_pieces_of_zeros_are_holes_in_the_tree_and_zeros_in_the_archive(tmp_path: Path) -> None:
    tree = Tree()
    content = noise(PIECE) + bytes(2 * PIECE) + noise(10) + bytes(SMALL)
    tree.file(b"disk", content)
    path = saved(tree.bundle(), tmp_path)
    bundle = Bundle(path)
    segments = bundle.by_path[b"disk"].segments
    assert [(number == HOLE, length) for number, _, length in segments] == [
        (False, PIECE), (True, PIECE), (True, PIECE), (False, 10 + SMALL)
    ]  # fmt: skip
    assert bundle.files() == {b"disk": content}
    member = tar_of(path).extractfile("disk")
    assert member is not None and member.read() == content


def test_the_archive_has_no_owner_and_no_special_bits(tmp_path: Path) -> None:
    tree = Tree()
    tree.file(b"su", b"", mode=0o6755)
    member = tar_of(saved(tree.bundle(), tmp_path)).getmember("su")
    assert (member.mode, member.uid, member.gid, member.uname, member.gname) == (0o755, 0, 0, "", "")


def test_progress_counts_content_to_its_end() -> None:
    tree, told = sizes_tree(), []
    write_bundle(io.BytesIO(), STUB, tree.root, tree.content, level=1, progress=lambda *at: told.append(at))
    total = sum(map(len, tree.contents.values()))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {of for _, of in told} == {total} and told[-1][0] == total


@pytest.mark.parametrize("said", [0, 9, 11, 5 * MIB])
def test_content_of_another_length_is_an_error(said: int) -> None:
    tree = Tree()
    node = tree.file(b"liar", b"0123456789")
    node.size = said
    with pytest.raises(BadImage, match=f"'liar' is not {said} bytes"):
        write_bundle(io.BytesIO(), STUB, tree.root, lambda node: [tree.contents[node]], level=1)


def test_what_the_format_cannot_hold_is_an_error() -> None:
    tree = Tree()
    tree.file(b"/".join([b"d"] * 300), b"")
    with pytest.raises(BadImage, match="deeper"):
        tree.bundle()


class FullDisk(io.BytesIO):
    """Takes a few bytes, and no more."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.tell() > MIB:
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_a_full_disk_ends_the_work_at_once() -> None:
    tree, served = Tree(), []
    for number in range(200):
        tree.file(b"%03d" % number, noise(MIB, number))

    def content(node: Node) -> list[bytes]:
        served.append(node)
        return [tree.contents[node]]

    with pytest.raises(OSError, match="No space left"):
        write_bundle(FullDisk(), STUB, tree.root, content, level=1, threads=2)
    assert len(served) < 20


def test_only_a_few_frames_are_in_memory() -> None:
    tree = Tree()
    node = tree.file(b"large", b"")
    node.size = 300 * MIB
    chunk, read, ahead = noise(MIB), [0], [0]

    def content(node: Node) -> Iterator[bytes]:
        for _ in range(node.size // MIB):
            read[0] += MIB
            yield chunk

    def progress(done: int, _: int) -> None:
        ahead.append(read[0] - done)

    write_bundle(io.BytesIO(), STUB, tree.root, content, level=1, threads=2, progress=progress)
    assert max(ahead) <= 7 * MIB


@pytest.mark.parametrize("raw", [b"", b"x", b"a text file\n" * 1000, bytes(64), bytes(10_000)])
def test_other_files_are_no_bundles(raw: bytes, tmp_path: Path) -> None:
    with saved(raw, tmp_path).open("rb") as file:
        assert read_footer(file.fileno()) is None


def test_a_truncated_bundle_is_no_bundle(tmp_path: Path) -> None:
    tree = Tree()
    tree.file(b"AppRun", noise(100_000))
    raw = tree.bundle()
    path = tmp_path / "cut"
    for length in {*range(0, len(raw), 4096), *range(len(raw) - 200, len(raw))}:
        path.write_bytes(raw[:length])
        with path.open("rb") as file:
            assert read_footer(file.fileno()) is None


def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    tree = Tree()
    tree.file(b"AppRun", b"#!/bin/sh\necho hello\n", mode=0o755, first=True)
    tree.symlink(b"usr/link", b"../AppRun")
    path = saved(tree.bundle(), tmp_path)
    raw = path.read_bytes()
    whole = Bundle(path)
    refused = 0
    for at in range(ALIGN, len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :])
        try:
            found = Bundle(path)
            assert (found.files(), found.footer.key) == (whole.files(), whole.footer.key)
        except TmprunError:
            refused += 1
    assert refused > (len(raw) - ALIGN) * 9 // 10


def test_the_index_is_read_without_allocating_what_it_claims(tmp_path: Path) -> None:
    tree = Tree()
    tree.file(b"AppRun", b"x")
    path = saved(tree.bundle(), tmp_path)
    with path.open("rb") as file:
        footer = read_footer(file.fileno())
        assert footer is not None
        for size in (1, footer.size - 1, footer.size + 1, 128 << 20):
            with pytest.raises(BadImage):
                read_index(file.fileno(), footer._replace(size=size))


def test_the_usual_level_lies_between_zstds_own() -> None:
    """It is a little larger than zstd's 18, smaller than its 17, and a frame that any decoder takes in one piece."""
    plain = Path(zstandard.backend_c.__file__).read_bytes()[: 4 * PIECE]
    frames = [plain[at : at + PIECE] for at in range(0, len(plain), PIECE)]
    sizes = {
        level: [len(zstandard.ZstdCompressor(level=level).compress(each)) for each in frames] for level in (17, 18)
    }
    ours = [compressor(TUNED_LEVEL).compress(each) for each in frames]
    assert sum(sizes[18]) < sum(map(len, ours)) < sum(sizes[17])
    for each, stored in zip(frames, ours, strict=True):
        facts = zstandard.get_frame_parameters(stored)
        assert (facts.content_size, facts.window_size, facts.has_checksum) == (len(each), len(each), False)
        assert zstandard.ZstdDecompressor().decompress(stored) == each
