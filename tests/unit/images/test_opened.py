"""Pieces of an image's files, as the engine reads them for reports."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.foreign_images import head, mksquashfs, sample_tree, write_image
from kit.harness import engine
from kit.packing import quickly, script

from tmprun.errors import BadImage, TmprunError
from tmprun.images.image import Image
from tmprun.images.opened import Opened
from tmprun.index.nodes import Node
from tmprun.index.rules import FILE
from tmprun.index.walk import find


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    with Image(str(path)) as image, Opened(image) as files:
        yield files


def image_of(kind: str, tree: Path, tmp_path: Path) -> Path:
    if kind == "foreign":
        return write_image(tmp_path / "image", mksquashfs(tree, tmp_path / "squashfs", "-b", "16K"))
    quickly(tree, tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize("kind", ["foreign", "bundle"])
def test_files_are_the_tree_s(tmp_path: Path, kind: str) -> None:
    tree = sample_tree(tmp_path / "tree")
    script(tree / "AppRun")
    with opened(image_of(kind, tree, tmp_path)) as files:
        for path, node in zip(files.index.paths(), files.index.nodes, strict=True):
            if node.kind == FILE:
                content = Path(os.fsdecode(os.path.join(os.fsencode(tree), path))).read_bytes()
                assert files.read(node, len(content) + 1) == content
                assert files.read(node, 5) == content[:5]
                assert files.part(node, 16_380, 10) == content[16_380:16_390]
                assert files.part(node, len(content), 10) == files.part(node, len(content) + 7, 10) == b""


def test_what_is_no_file_has_no_bytes(tmp_path: Path) -> None:
    tree = sample_tree(tmp_path / "tree")
    with opened(image_of("foreign", tree, tmp_path)) as files:
        for name in (b"usr", b"link"):
            assert files.read(files.root.children[name], 100) == b""


def test_facts(tmp_path: Path) -> None:
    tree = sample_tree(tmp_path / "tree")
    start = head(183)
    squashfs = mksquashfs(tree, tmp_path / "squashfs", "-comp", "zstd", "-b", "64K")
    with opened(write_image(tmp_path / "image", squashfs, start)) as files:
        assert (files.payload, files.block_size, files.codec) == (len(start), 65536, "zstd")
        assert files.index.foreign
        key = files.key
    with opened(tmp_path / "image") as files:  # which is remembered by now
        assert (files.payload, files.block_size, files.codec, files.key) == (len(start), 65536, "zstd", key)


def test_a_damaged_block(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "noise").write_bytes(os.urandom(300_000))
    image = image_of("bundle", _with_apprun(tree), tmp_path)
    with opened(image) as files:
        node = find(files.root, b"noise")
        assert node is not None
        frame = files.index.frames[node.segments[0][0]]
        place = files.payload + frame.offset + 20
    with image.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
    with opened(image) as files, pytest.raises(BadImage, match="damaged"):
        files.read(_node(files, b"noise"), 300_000)


def _with_apprun(tree: Path) -> Path:
    script(tree / "AppRun")
    return tree


def _node(files: Opened, path: bytes) -> Node:
    node = find(files.root, path)
    assert node is not None
    return node


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "is empty"), (b"text", "no program at its start"), (head(), "without an AppImage's")]
)
def test_what_is_no_image(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(BadImage, match=what) as caught, opened(tmp_path / "image"):
        pass
    assert caught.value.where == str(tmp_path / "image")
    assert str(caught.value).count(str(tmp_path / "image")) == 1


def test_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image").write_bytes(b"x")
    monkeypatch.setattr("tmprun.engine.programs.door", lambda: str(tmp_path / "nothing"))
    with pytest.raises(TmprunError, match="cannot be started"), opened(tmp_path / "image"):
        pass


def test_an_engine_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image").write_bytes(b"x")
    other = script(tmp_path / "engine", "#!/bin/sh\nprintf 'OTHERVER%090d' 1\n")
    monkeypatch.setattr("tmprun.engine.programs.door", lambda: str(other))
    with pytest.raises(TmprunError, match="of another version"), opened(tmp_path / "image"):
        pass


def test_whatever_is_asked_is_answered(tmp_path: Path) -> None:
    """Nodes that are not there, directories, places behind the end, and half a question."""
    image = image_of("foreign", sample_tree(tmp_path / "tree"), tmp_path)
    with opened(image) as files:
        empty = _node(files, b"usr/share/empty").number
        table = len(files.table)
    wants = [(0, 0, 10), (1 << 31, 0, 10), (empty, 0, 10), (empty, 1 << 63, (1 << 64) - 1), (0xFFFFFFFF, 0, 0)]
    asked = b"".join(struct.pack("<IIQQ", node, 0, offset, length) for node, offset, length in wants) + b"half"
    done = subprocess.run([engine("tmprun"), "@read", image], input=asked, capture_output=True, check=True, timeout=60)
    assert struct.unpack("<5q", done.stdout[32 + table :]) == (-1, -1, 0, 0, -1)
    assert done.stderr == b""
