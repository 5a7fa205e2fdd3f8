"""Images made by mksquashfs, and real ones, compiled to an index: the same tree as unsquashfs extracts."""

from __future__ import annotations

import os
import subprocess
import zlib
from pathlib import Path

import pytest
import zstandard
from kit.foreign_images import COMPRESSORS, OPTIONS, head, mksquashfs, run, sample_tree, tree_of, unsquash, write_image
from kit.real_images import LINUXDEPLOY, REAL, Real, name_of, present, unsquash_payload
from kit.squashfs_forge import Entry, Forge, file_inode
from kit.surroundings import IS_ROOT
from kit.trees import snapshot

from tmprun.errors import BadImage, TmprunError, UnsupportedImage
from tmprun.index.decode import decode
from tmprun.index.nodes import Index, Node
from tmprun.index.rules import FILE, HARD_LINK, HOLE, SYMLINK
from tmprun.start.importer import compile_image


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_tree(tmp_path_factory.mktemp("sample") / "tree")


def compiled(image: Path) -> Index:
    """The index of an image, held to every rule of the format."""
    index = decode(compile_image(str(image)).table)
    assert index.foreign
    assert index.image_size == image.stat().st_size
    return index


def nodes(index: Index) -> dict[bytes, Node]:
    return dict(zip(index.paths(), index.nodes, strict=True))


def check(source: Path, tmp_path: Path, *options: str) -> Index:
    """Make an image, compile it, and compare the tree with what unsquashfs makes of it."""
    squashfs = tmp_path / "squashfs"
    image = write_image(tmp_path / "image", mksquashfs(source, squashfs, *options))
    index = compiled(image)
    wanted = snapshot(unsquash(squashfs, tmp_path / "wanted"))
    assert wanted
    assert tree_of(image, index) == wanted
    return index


@pytest.mark.parametrize("block", ["4K", "16K", "128K", "1M"])
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_same_tree_as_unsquashfs(sample: Path, tmp_path: Path, compressor: str, block: str) -> None:
    index = check(sample, tmp_path, "-comp", compressor, "-b", block)
    assert index.nodes[0].mode == 0o700


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize(
    "options",
    [
        ["-no-fragments"],
        ["-always-use-fragments"],
        *OPTIONS,
        ["-all-root", "-all-time", "12345"],
    ],
    ids=" ".join,
)
def test_options_of_mksquashfs(sample: Path, tmp_path: Path, compressor: str, options: list[str]) -> None:
    check(sample, tmp_path, "-comp", compressor, *options)


def test_odd_windows_of_zlib(sample: Path, tmp_path: Path) -> None:
    check(sample, tmp_path, "-comp", "gzip", "-Xwindow-size", "9", "-Xstrategy", "huffman_only,fixed")


def test_appended_image(sample: Path, tmp_path: Path) -> None:
    """A second run of mksquashfs writes new tables behind new data, and leaves the old fragments as they are."""
    squashfs = tmp_path / "squashfs"
    mksquashfs(sample, squashfs)
    more = tmp_path / "more"
    more.mkdir()
    (more / "new").write_bytes(b"new file")
    (more / "again").write_bytes((sample / "usr/share/small").read_bytes())
    run("mksquashfs", more, squashfs, "-quiet", "-no-progress", "-root-becomes", "old")
    image = write_image(tmp_path / "image", squashfs.read_bytes())
    assert tree_of(image, compiled(image)) == snapshot(unsquash(squashfs, tmp_path / "wanted"))


def test_image_from_a_tar(sample: Path, tmp_path: Path) -> None:
    squashfs, tar = tmp_path / "squashfs", tmp_path / "tar"
    run("tar", "--create", "--file", tar, "--directory", sample, ".")
    run("sh", "-c", f"sqfstar -quiet -no-progress {squashfs} < {tar}")
    image = write_image(tmp_path / "image", squashfs.read_bytes())
    assert tree_of(image, compiled(image)) == snapshot(unsquash(squashfs, tmp_path / "wanted"))


def test_extended_attributes_are_ignored(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "directory").mkdir(parents=True)
    (source / "file").write_bytes(b"x" * 5000)
    (source / "link").symlink_to("file")
    for name in ("directory", "file", "."):
        os.setxattr(source / name, "user.note", b"value" * 20)
    if IS_ROOT:
        os.setxattr(source / "link", "trusted.note", b"value", follow_symlinks=False)
    check(source, tmp_path)


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_large_directory(tmp_path: Path, compressor: str) -> None:
    """3,000 entries: an extended directory inode with its own index, and inodes across metadata blocks."""
    source = tmp_path / "source"
    (source / "many").mkdir(parents=True)
    for number in range(3000):
        (source / "many" / f"{number} with a name of some length").write_bytes(b"%d" % number)
    index = check(source, tmp_path, "-comp", compressor)
    assert len(index.nodes) == 3002


def test_empty_image(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    image = write_image(tmp_path / "image", mksquashfs(tmp_path / "source", tmp_path / "squashfs"))
    assert [node.name for node in compiled(image).nodes] == [b""]


@pytest.mark.parametrize("padding", [1, 1024, 4096, 65536])
def test_padding_behind_the_image(sample: Path, tmp_path: Path, padding: int) -> None:
    squashfs = mksquashfs(sample, tmp_path / "squashfs", "-nopad")
    one = compiled(write_image(tmp_path / "one", squashfs))
    other = compiled(write_image(tmp_path / "other", squashfs + os.urandom(padding)))
    assert len(one.nodes) == len(other.nodes)


@pytest.mark.parametrize("image", REAL, ids=name_of)
def test_real_image(tmp_path: Path, image: Real) -> None:
    index = compiled(present(image.path))
    assert tree_of(image.path, index) == snapshot(unsquash_payload(image.path, image.payload, tmp_path / "wanted"))


@pytest.mark.parametrize("codec", COMPRESSORS)
def test_behind_a_real_runtime(hello: dict[str, Path], tmp_path: Path, codec: str) -> None:
    index = compiled(hello[codec])
    wanted = unsquash_payload(hello[codec], LINUXDEPLOY.payload, tmp_path / "wanted")
    assert tree_of(hello[codec], index) == snapshot(wanted)


def test_hard_links_share_one_file(sample: Path, tmp_path: Path) -> None:
    found = nodes(check(sample, tmp_path))
    links = [b"usr/share/text", b"usr/share/text again", b"usr/bin/text elsewhere"]
    kinds = sorted(found[path].kind for path in links)
    assert kinds == [FILE, HARD_LINK, HARD_LINK]
    # Equal files that are no links stay files of their own, of the same blocks.
    assert found[b"usr/share/same text"].kind == FILE


def test_symlink_with_two_names(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "one").symlink_to("target")
    os.link(source / "one", source / "two", follow_symlinks=False)
    found = nodes(compiled(write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs"))))
    assert [(found[name].kind, found[name].target) for name in (b"one", b"two")] == [(SYMLINK, b"target")] * 2


def test_holes_are_not_stored(sample: Path, tmp_path: Path) -> None:
    found = nodes(check(sample, tmp_path))
    assert found[b"usr/share/only a hole"].segments == [(HOLE, 0, 700_000)]
    assert [run[0] == HOLE for run in found[b"usr/share/sparse"].segments] == [False, True, False, True]


def test_duplicates_share_frames(sample: Path, tmp_path: Path) -> None:
    found = nodes(check(sample, tmp_path))
    assert found[b"usr/share/same text"].segments in (
        found[path].segments for path in (b"usr/share/text", b"usr/bin/text elsewhere")
    )
    assert found[b"usr/share/same small"].segments == found[b"usr/share/small"].segments


def test_programs_come_first(sample: Path, tmp_path: Path) -> None:
    found = nodes(check(sample, tmp_path))
    first = {path for path, node in found.items() if node.first}
    assert first == {b"AppRun", b"usr/bin/app", b"usr/lib/ld-linux.so.2"}


def test_library_that_is_also_a_program(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "liba.so").write_bytes(b"x")
    (source / "liba.so").chmod(0o755)
    os.link(source / "liba.so", source / "tool")
    found = nodes(compiled(write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs"))))
    assert [node.first for node in found.values() if node.kind == FILE] == [True]


def test_facts(sample: Path, tmp_path: Path) -> None:
    image = write_image(
        tmp_path / "image", mksquashfs(sample, tmp_path / "squashfs", "-comp", "zstd", "-b", "64K"), head(183)
    )
    found = compile_image(str(image))
    digest = subprocess.run(["sha256sum", image], capture_output=True, check=True, text=True).stdout.split()[0]
    assert found.sha256.hex() == digest == decode(found.table).image_sha256.hex()
    assert (found.machine, found.payload, found.compression, found.squashfs.block_size) == (
        "aarch64",
        4096,
        "zstd",
        65536,
    )
    assert found.size == image.stat().st_size


def test_lzma_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    image = write_image(tmp_path / "image", mksquashfs(tmp_path / "source", tmp_path / "squashfs", "-comp", "lzma"))
    with pytest.raises(UnsupportedImage, match="lzma"):
        compile_image(str(image))


@pytest.mark.parametrize(
    ("pseudo", "what"),
    [
        ("thing c 666 0 0 1 3", "character device"),
        ("thing b 666 0 0 8 0", "block device"),
        ("thing i 666 0 0 f", "fifo"),
        ("thing i 666 0 0 s", "socket"),
    ],
)
def test_special_files_are_refused_by_name(tmp_path: Path, pseudo: str, what: str) -> None:
    (tmp_path / "source").mkdir()
    image = write_image(tmp_path / "image", mksquashfs(tmp_path / "source", tmp_path / "squashfs", "-p", pseudo))
    with pytest.raises(BadImage, match=f"{what}, 'thing'"):
        compile_image(str(image))


def test_every_truncation_is_refused(sample: Path, tmp_path: Path) -> None:
    content = write_image(tmp_path / "image", mksquashfs(sample, tmp_path / "squashfs", "-nopad")).read_bytes()
    for size in [*range(0, len(content), 4096), *range(len(content) - 300, len(content))]:
        (tmp_path / "cut").write_bytes(content[:size])
        with pytest.raises(BadImage):
            compile_image(str(tmp_path / "cut"))


class TestFragmentsWithoutOwner:
    """A writer may leave bytes in a fragment block that no file uses; the frame's plain size counts them too."""

    def image(self, tmp_path: Path, compression: int, tails: list[tuple[int, int]], plain: int) -> Index:
        content = os.urandom(100) * (plain // 100 + 1)
        stored = (zlib.compress if compression == 1 else zstandard.compress)(content[:plain])
        forge = Forge(stored, fragments=[(96, len(stored))], compression=compression)
        entries = []
        for number, (offset, size) in enumerate(tails, 2):
            place = forge.inode(file_inode(number, size, fragment=0, offset=offset))
            entries.append(Entry(b"file %d" % number, place, number))
        image = write_image(tmp_path / "image", forge.top(entries).build())
        index = compiled(image)
        found = tree_of(image, index)
        for entry, (offset, size) in zip(entries, tails, strict=True):
            assert found[entry.name].content == content[offset : offset + size]
        return index

    def test_gap_between_tails(self, tmp_path: Path) -> None:
        index = self.image(tmp_path, 1, [(0, 100), (150, 50)], 270)
        assert index.frames[0].plain == 270

    def test_zstd_says_its_size(self, tmp_path: Path) -> None:
        index = self.image(tmp_path, 6, [(0, 100), (100, 50)], 270)
        assert index.frames[0].plain == 270

    def test_duplicates_are_no_gap(self, tmp_path: Path) -> None:
        index = self.image(tmp_path, 1, [(0, 100), (100, 50), (0, 100)], 150)
        assert index.frames[0].plain == 150


def test_error_names_the_image(tmp_path: Path) -> None:
    path = str(tmp_path / "is not there")
    with pytest.raises(TmprunError) as caught:
        compile_image(path)
    assert (caught.value.where, caught.value.status) == (path, 127)
    with pytest.raises(BadImage) as caught:
        compile_image(str(tmp_path))
    assert (caught.value.where, caught.value.status) == (str(tmp_path), 126)
    assert "directory" in caught.value.what
