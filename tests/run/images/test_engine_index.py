"""`tmprun @index`: the engine makes the same index as Python, byte by byte, and the tree is unsquashfs's."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from kit.elf_forge import program
from kit.engine_index import CODECS, engine_says, python_says
from kit.foreign_images import OPTIONS, head, mksquashfs, run, sample_tree, tree_of, unsquash, write_image
from kit.harness import Harness
from kit.real_images import REAL, Real, name_of, present
from kit.trees import snapshot

from tmprun.index.decode import decode
from tmprun.index.nodes import Index
from tmprun.index.rules import HOLE

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


def same(door: Path, image: Path) -> Index:
    """The index, which both readers agree on."""
    table = engine_says(image, door)
    assert isinstance(table, bytes), table
    assert table == python_says(image)
    return decode(table)


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
    assert tree_of(image, same(door, image)) == wanted


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "options",
    OPTIONS,
    ids=" ".join,
)
def test_options_of_mksquashfs(door: Path, sample: Path, tmp_path: Path, codec: str, options: list[str]) -> None:
    same(door, write_image(tmp_path / "image", mksquashfs(sample, tmp_path / "squashfs", "-comp", codec, *options)))


def test_appended_image(door: Path, sample: Path, tmp_path: Path) -> None:
    squashfs = tmp_path / "squashfs"
    mksquashfs(sample, squashfs)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "new").write_bytes(b"new file")
    run("mksquashfs", tmp_path / "more", squashfs, "-quiet", "-no-progress", "-root-becomes", "old")
    same(door, write_image(tmp_path / "image", squashfs.read_bytes()))


@pytest.mark.parametrize("codec", CODECS)
def test_70000_files(door: Path, tmp_path: Path, codec: str) -> None:
    source = tmp_path / "source"
    for directory in range(350):
        (source / f"directory {directory}").mkdir(parents=True)
        for number in range(200):
            (source / f"directory {directory}" / f"file {number} of {directory}").write_bytes(b"%d" % (number % 7))
    index = same(door, write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs", "-comp", codec)))
    assert len(index.nodes) == 1 + 350 + 70_000


def test_a_file_of_5_gigabytes_mostly_holes(door: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with open(source / "large", "wb") as file:
        file.write(b"start")
        file.seek(3 << 30)
        file.write(b"middle")
        file.truncate(5 << 30)
    index = same(door, write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs", "-b", "1M")))
    (node,) = [node for node in index.nodes if node.name == b"large"]
    assert node.size == 5 << 30
    assert [frame == HOLE for frame, _, _ in node.segments] == [False, True, False, True]


@pytest.mark.parametrize("image", REAL, ids=name_of)
def test_real_image(door: Path, image: Real) -> None:
    same(door, present(image.path))


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
    same(door, write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs")))


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
    index = same(door, write_image(tmp_path / "image", mksquashfs(tmp_path / "source", tmp_path / "squashfs")))
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
    assert same(door, image).at_once == at_once


def test_a_program_that_does_not_wait(door: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "wineserver").symlink_to("nowhere")
    image = write_image(tmp_path / "image", mksquashfs(tmp_path / "source", tmp_path / "squashfs"))
    assert same(door, image).at_once


def test_an_open_image(harness: Harness, sample: Path, tmp_path: Path) -> None:
    image = write_image(tmp_path / "image", mksquashfs(sample, tmp_path / "squashfs"))
    fd = os.open(image, os.O_RDONLY)
    try:
        done = harness.run(harness.door, "@index", "--image-fd", str(fd), "whatever", pass_fds=[fd])
    finally:
        os.close(fd)
    assert done.stdout == engine_says(image, harness.door)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"x", b"#!/bin/sh\necho a script, and no image\n" * 9, b"\x7fELF", head()[:18], head()[:40],
        b"\x7fELF" + bytes([9, 1]) + head()[6:] + b"hsqs" + bytes(200), head()[:2000], head(), head() + b"hsq",
        head(size=3000, last=(1, 3000, 1 << 40)) + b"hsqs" + bytes(200), head() + b"DWARFS\2\5" + bytes(100),
        head(bits=32, size=3000, last=(8, 2000, 1 << 20)) + b"hsqs" + bytes(200),
        head(bits=32, big=True, size=3000, last=(1, 3000, 777)) + bytes(777) + b"hsqs" + bytes(200),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused_in_the_same_words(door: Path, tmp_path: Path, content: bytes) -> None:
    image = tmp_path / "image"
    image.write_bytes(content)
    assert isinstance(engine_says(image, door), str)
    assert engine_says(image, door) == python_says(image)


def test_type_1_images_are_refused_in_the_same_words(door: Path, type_1_images: list[Path]) -> None:
    for image in type_1_images:
        assert engine_says(image, door) == python_says(image)


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
    index = same(door, write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs", "-b", block)))
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
    same(door, write_image(tmp_path / "image", mksquashfs(source, tmp_path / "squashfs")))


def test_an_image_for_another_machine_is_refused_in_the_words_of_old(
    harness: Harness, sample: Path, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "image", mksquashfs(sample, tmp_path / "squashfs"), head(21))
    here = os.uname().machine
    said = f"{image}: is made for ppc64le, and this machine is {here}; get the release for {here}"
    harness.refused(harness.run(harness.door, image, status=None), said)
    image = write_image(tmp_path / "image", mksquashfs(sample, tmp_path / "squashfs"), head(9999))
    harness.refused(harness.run(harness.door, image, status=None), "is made for ELF machine 9999, and this machine is")
