"""`tmprun @index`: images of mksquashfs, and real ones; the tree is unsquashfs's, and the index keeps all rules."""

from __future__ import annotations

import os
import random
import zlib
from pathlib import Path

import pytest
import zstandard
from kit.elf_forge import program
from kit.engine_index import CODECS, engine_says, index_of, table_of
from kit.foreign_images import COMPRESSORS, OPTIONS, head, mksquashfs, run, sample_tree, tree_of, unsquash, write_image
from kit.harness import Harness
from kit.real_images import LINUXDEPLOY, REAL, Real, name_of, present, unsquash_payload
from kit.squashfs_forge import Entry, Forge, file_inode
from kit.surroundings import IS_ROOT
from kit.trees import snapshot

from tmprun.errors import BadImage
from tmprun.index.nodes import Index, Node
from tmprun.index.rules import FILE, HARD_LINK, HOLE, SYMLINK

FRAGMENTS = {"fragments": [], "none": ["-no-fragments"], "always": ["-always-use-fragments"]}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Duplicates, sparse files, hard links, empty files, long names, names that are no UTF-8, deep paths."""
    top = sample_tree(tmp_path_factory.mktemp("sample") / "tree")
    deep = top / "deep"
    for number in range(200):
        deep = deep / f"level {number}"
    deep.mkdir(parents=True)
    (deep / "bottom").write_bytes(b"far down")
    return top


def check(source: Path, tmp_path: Path, *options: str) -> Index:
    """Make an image, compile it, and compare the tree with what unsquashfs makes of it."""
    squashfs = tmp_path / "squashfs"
    image = write_image(tmp_path / "image", mksquashfs(source, squashfs, *options))
    index = index_of(image)
    wanted = snapshot(unsquash(squashfs, tmp_path / "wanted"))
    assert wanted
    assert tree_of(image, index) == wanted
    return index


@pytest.mark.parametrize("fragments", FRAGMENTS)
@pytest.mark.parametrize("block", ["4K", "128K", "1M"])
@pytest.mark.parametrize("codec", CODECS)
def test_same_index_and_same_tree(
    door: Path, sample: Path, tmp_path: Path, codec: str, block: str, fragments: str
) -> None:
    squashfs = tmp_path / "squashfs"
    options = ["-comp", codec, "-b", block, *FRAGMENTS[fragments]]
    image = write_image(tmp_path / "image", mksquashfs(sample, squashfs, *options))
    wanted = snapshot(unsquash(squashfs, tmp_path / "wanted"))
    assert wanted
    assert tree_of(image, index_of(image, door)) == wanted


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "options",
    OPTIONS,
    ids=" ".join,
)
def test_options_of_mksquashfs(door: Path, sample: Path, tmp_path: Path, codec: str, options: list[str]) -> None:
    index_of(write_image(tmp_path / "image", mksquashfs(sample, tmp_path / "squashfs", "-comp", codec, *options)), door)


@pytest.mark.parametrize(
    "codec", [codec if codec == "zstd" else pytest.param(codec, marks=pytest.mark.soak) for codec in CODECS]
)
def test_70000_files(door: Path, tmp_path: Path, codec: str) -> None:
    source = tmp_path / "source"
    for directory in range(350):
        (source / f"directory {directory}").mkdir(parents=True)
        for number in range(200):
            (source / f"directory {directory}" / f"file {number} of {directory}").write_bytes(b"%d" % (number % 7))
    index = index_of(write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs", "-comp", codec)), door)
    assert len(index.nodes) == 1 + 350 + 70_000


def test_a_file_of_5_gigabytes_mostly_holes(door: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with open(source / "large", "wb") as file:
        file.write(b"start")
        file.seek(3 << 30)
        file.write(b"middle")
        file.truncate(5 << 30)
    index = index_of(write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs", "-b", "1M")), door)
    (node,) = [node for node in index.nodes if node.name == b"large"]
    assert node.size == 5 << 30
    assert [frame == HOLE for frame, _, _ in node.segments] == [False, True, False, True]


@pytest.mark.parametrize("image", REAL, ids=name_of)
def test_real_image(door: Path, image: Real) -> None:
    index_of(present(image.path), door)


@pytest.mark.parametrize(
    "script",
    [
        "tar xf $1", "echo tar", "# tar", "x=1 file -b y", "exec grep -r x .", "grep -x r", "echo a; 'ta'r", "file",
        "file -x",
        "if grep --recursive x; then y; fi", "find . -exec rgrep x {} +", "the file is here", "cat x | /usr/bin/tar t",
        "grep x | grep -R y", "wine", "\t # tar\r\ntar", "nice -n 5 tar", "sudo env A=b tar", "[file /x]", "/tar/",
        "xargs", "/usr/bin/file ../a", "$here/usr/bin/file ./a", "file ~/a", "basename(file, '.js')",
        "USAGE='[--browser=browser|--tool=browser] [--config=conf.var] url/file ...'", "quopri [-t | -d] file ...",
    ],
)  # fmt: skip
def test_who_opens_without_waiting(door: Path, tmp_path: Path, script: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "run.sh").write_text(f"#!/bin/sh\n{script}\n")
    index_of(write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs")), door)


@pytest.mark.parametrize(
    ("files", "at_once"),
    [
        ({"a/setup.EXE": b"MZ..."}, True),
        ({"a/setup.EXE": b"no program"}, False),
        ({"site-packages/x/setup.exe": b"MZ..."}, False),
        ({"setup.dll": b"MZ...", "b/libcoreclr.so": b""}, False),
        ({"bin/wineserver": b""}, False),
    ],
    ids=str,
)
def test_windows_programs(door: Path, tmp_path: Path, files: dict[str, bytes], at_once: bool) -> None:
    for name, content in files.items():
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_bytes(content)
    index = index_of(write_image(tmp_path / "image", mksquashfs(tmp_path / "source", tmp_path / "squashfs")), door)
    assert index.at_once == at_once


@pytest.mark.parametrize(
    ("path", "at_once"),
    [
        ("xdg-mime", False),
        ("senddoc", False),
        ("a/xdg-mim", True),
        ("lib/python3.11/x.py", False),
        ("lib/app/x.py", True),
    ],
)
def test_who_asks_about_documents_and_modules(door: Path, tmp_path: Path, path: str, at_once: bool) -> None:
    script = tmp_path / "source" / path
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("#!/bin/sh\nfile -b x\n")
    script.chmod(0o755)
    image = write_image(tmp_path / "image", mksquashfs(tmp_path / "source", tmp_path / "squashfs"))
    assert index_of(image, door).at_once == at_once


def test_a_program_that_does_not_wait(door: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "wineserver").symlink_to("nowhere")
    image = write_image(tmp_path / "image", mksquashfs(tmp_path / "source", tmp_path / "squashfs"))
    assert index_of(image, door).at_once


def test_an_open_image(harness: Harness, sample: Path, tmp_path: Path) -> None:
    image = write_image(tmp_path / "image", mksquashfs(sample, tmp_path / "squashfs"))
    fd = os.open(image, os.O_RDONLY)
    try:
        done = harness.run(harness.door, "@index", "--image-fd", str(fd), "whatever", pass_fds=[fd])
    finally:
        os.close(fd)
    assert done.stdout == engine_says(image, harness.door)


def test_an_image_that_changes_while_it_is_hashed(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "noise").write_bytes(os.urandom(60_000_000))
    image = write_image(tmp_path / "image", mksquashfs(tmp_path / "source", tmp_path / "squashfs"))
    started = harness.start(harness.door, "@index", image)
    with image.open("r+b", buffering=0) as file:
        while started.poll() is None:
            file.seek(5_000_000)
            file.write(b"other bytes")
    result = harness.finish(started)
    assert result.status == 126 and b"changed while it was read" in result.stderr, str(result)


MUSL = b"/lib/ld-musl-x86_64.so.1\0"

PROGRAMS = {
    "roomy": program(),
    "small gap": program(gap=300),
    "at its end": program(gap=0),
    "no room": program(gap=0, tail=b"data"),
    "a gap that is full": program(filler=b"\x90"),
    "a gap before data": program(gap=256, tail=b"data"),
    "a large gap": program(gap=5000),
    "without sections": program(sections=False),
    "musl": program(interpreter=MUSL),
    "another": program(interpreter=b"/opt/loader\0"),
    "through a link": program(interpreter=b"/lib/../lib64/./ld-linux-x86-64.so.2\0"),
    "out of the tree": program(interpreter=b"/../lib64/ld-linux-x86-64.so.2\0"),
    "no NUL": program(interpreter=b"/lib64/ld-linux-x86-64.so.2"),
    "a newline": program(interpreter=b"/lib64/a\n/ld-linux-x86-64.so.2\0"),
    "nobody's": program(interpreter=b"/elsewhere/ld-nobody.so.1\0"),
    "cut": program()[:150],
    "short": b"\x7fELF",
    "32 bits": b"\x7fELF\1" + program()[5:],
    "a script": b"#!/lib64/ld-linux-x86-64.so.2 --help\n",
    "a spaced script": b"#! \t/lib64/ld-linux-x86-64.so.2\t-x",
    "a script of another": b"#!/opt/loader\n",
    "a script with a NUL": b"#!/opt/loa\0der\n",
    "a long script": b"#!/opt/loader" + b" " * 300 + b"\n",
    "a relative script": b"#!opt/loader\n",
    "an empty script": b"#!\n",
}


def loader_tree(top: Path) -> Path:
    """Programs of all kinds, and loaders where they ask for them, elsewhere, and behind links."""
    for number, (name, content) in enumerate(PROGRAMS.items()):
        path = top / f"d{number % 3}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755)
    for name in ("usr/lib64/real-2.36.so", "deep/er/ld-musl-x86_64.so.1", "opt/loader"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(program(interpreter=b"/opt/loader\0"))
        (top / name).chmod(0o755)
    (top / "usr/lib64/ld-linux-x86-64.so.2").hardlink_to(top / "usr/lib64/real-2.36.so")
    (top / "lib64").symlink_to("usr/lib64")
    (top / "lib").symlink_to("./usr//lib64/../lib64")
    (top / "named like a target").symlink_to("/opt/loader")
    (top / "round").symlink_to("round")
    return top


@pytest.mark.parametrize("block", ["4K", "128K"])
def test_programs_that_ask_for_a_loader_which_the_image_brings(door: Path, tmp_path: Path, block: str) -> None:
    source = loader_tree(tmp_path / "source")
    index = index_of(write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs", "-b", block)), door)
    assert len({fixup.interpreter.path for fixup in index.fixups}) >= 4
    assert len(index.fixups) >= 10


@pytest.mark.parametrize("seed", range(40))
def test_damaged_programs_beside_a_loader(door: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    source = loader_tree(tmp_path / "source")
    for number in range(20):
        content = bytearray(program(gap=chance.choice([0, 100, 256, 512, 4096]), sections=chance.random() < 0.7))
        for _ in range(chance.randrange(1, 4)):
            at = chance.choice([chance.randrange(64), chance.randrange(64, 176), chance.randrange(len(content))])
            raw = chance.choice([b"\0", b"\xff", b"\xff" * 8, b"\1\0\0\0", chance.randbytes(2)])
            content[at : at + len(raw)] = raw
        (source / f"damaged {number}").write_bytes(content)
        (source / f"damaged {number}").chmod(0o755)
    index_of(write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs")), door)


def test_an_image_for_another_machine_is_refused_in_the_words_of_old(
    harness: Harness, sample: Path, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "image", mksquashfs(sample, tmp_path / "squashfs"), head(21))
    here = os.uname().machine
    said = f"{image}: is made for ppc64le, and this machine is {here}; get the release for {here}"
    harness.refused(harness.run(harness.door, image, status=None), said)
    image = write_image(tmp_path / "image", mksquashfs(sample, tmp_path / "squashfs"), head(9999))
    harness.refused(harness.run(harness.door, image, status=None), "is made for ELF machine 9999, and this machine is")


def nodes(index: Index) -> dict[bytes, Node]:
    return dict(zip(index.paths(), index.nodes, strict=True))


def test_odd_windows_of_zlib(sample: Path, tmp_path: Path) -> None:
    check(sample, tmp_path, "-comp", "gzip", "-Xwindow-size", "9", "-Xstrategy", "huffman_only,fixed")


def test_image_from_a_tar(sample: Path, tmp_path: Path) -> None:
    squashfs, tar = tmp_path / "squashfs", tmp_path / "tar"
    run("tar", "--create", "--file", tar, "--directory", sample, ".")
    run("sh", "-c", f"sqfstar -quiet -no-progress {squashfs} < {tar}")
    image = write_image(tmp_path / "image", squashfs.read_bytes())
    assert tree_of(image, index_of(image)) == snapshot(unsquash(squashfs, tmp_path / "wanted"))


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


def test_empty_image(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    image = write_image(tmp_path / "image", mksquashfs(tmp_path / "source", tmp_path / "squashfs"))
    assert [node.name for node in index_of(image).nodes] == [b""]


@pytest.mark.parametrize("padding", [1, 1024, 4096, 65536])
def test_padding_behind_the_image(sample: Path, tmp_path: Path, padding: int) -> None:
    squashfs = mksquashfs(sample, tmp_path / "squashfs", "-nopad")
    one = index_of(write_image(tmp_path / "one", squashfs))
    other = index_of(write_image(tmp_path / "other", squashfs + os.urandom(padding)))
    assert len(one.nodes) == len(other.nodes)


@pytest.mark.parametrize("codec", COMPRESSORS)
def test_behind_a_real_runtime(hello: dict[str, Path], tmp_path: Path, codec: str) -> None:
    index = index_of(hello[codec])
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
    found = nodes(index_of(write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs"))))
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
    found = nodes(index_of(write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs"))))
    assert [node.first for node in found.values() if node.kind == FILE] == [True]


def test_lzma_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    image = write_image(tmp_path / "image", mksquashfs(tmp_path / "source", tmp_path / "squashfs", "-comp", "lzma"))
    with pytest.raises(BadImage, match="lzma"):
        table_of(image)


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
        table_of(image)


def test_every_truncation_is_refused(sample: Path, tmp_path: Path) -> None:
    content = write_image(tmp_path / "image", mksquashfs(sample, tmp_path / "squashfs", "-nopad")).read_bytes()
    for size in [*range(0, len(content), 4096), *range(len(content) - 300, len(content))]:
        (tmp_path / "cut").write_bytes(content[:size])
        with pytest.raises(BadImage):
            table_of(tmp_path / "cut")


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
        index = index_of(image)
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
    assert tree_of(image, index_of(image)) == snapshot(unsquash(squashfs, tmp_path / "wanted"))
