"""Copies of files: stored once, hard links in the archive, files of their own in the index."""

from __future__ import annotations

import io
import os
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.apps import noise
from kit.bundle_reader import Bundle
from kit.bundled import STUB, Tree, saved, tar_of
from kit.packing import EPOCH, MIB, archived, payload, quickly, refused
from kit.trees import below, snapshot

from tmprun.bundle.tar_frames import PIECE
from tmprun.bundle.write import write_bundle
from tmprun.index.nodes import Node
from tmprun.index.rules import FILE, HOLE
from tmprun.pack import pack


def links(path: Path) -> dict[str, str]:
    """The hard links of the archive, and what they name."""
    return {member.name: member.linkname for member in tar_of(path).getmembers() if member.islnk()}


def test_a_copy_names_the_bytes_of_the_first(tmp_path: Path) -> None:
    tree, content = Tree(), noise(3 * PIECE) + bytes(PIECE) + noise(777)
    for name in (b"b/data", b"a/data", b"c/another name"):
        tree.file(name, content)
    path = saved(tree.bundle(), tmp_path)
    bundle = Bundle(path)
    nodes = [bundle.by_path[name] for name in (b"a/data", b"b/data", b"c/another name")]
    assert {node.kind for node in nodes} == {FILE} and len({tuple(node.segments) for node in nodes}) == 1
    assert HOLE in {frame for frame, _, _ in nodes[0].segments}
    assert bundle.files() == dict.fromkeys((b"a/data", b"b/data", b"c/another name"), content)
    assert links(path) == {"b/data": "a/data", "c/another name": "a/data"}
    assert len(path.read_bytes()) < len(content) * 5 // 4


@pytest.mark.parametrize(
    "change",
    [
        lambda tree, node: setattr(node, "mode", 0o600),
        lambda tree, node: setattr(node, "mtime", 4),
        lambda tree, node: tree.contents.update({node: b"Content"}),
    ],
    ids=["mode", "mtime", "content"],
)
def test_what_differs_is_no_copy(change: Callable[[Tree, Node], None], tmp_path: Path) -> None:
    tree = Tree()
    tree.file(b"a", b"content")
    change(tree, tree.file(b"b", b"content"))
    path = saved(tree.bundle(), tmp_path)
    bundle = Bundle(path)
    assert links(path) == {} and bundle.by_path[b"a"].segments != bundle.by_path[b"b"].segments
    assert bundle.files() == {b"a": b"content", b"b": tree.contents[tree.root.children[b"b"]]}


def test_empty_files_are_no_copies(tmp_path: Path) -> None:
    tree = Tree()
    for name in (b"a", b"b"):
        tree.file(name, b"")
    assert links(saved(tree.bundle(), tmp_path)) == {}


def test_the_first_of_the_archive_carries_the_bytes(tmp_path: Path) -> None:
    """What a start waits for is in front, whatever its name: it is never behind what can wait."""
    tree, one, two = Tree(), noise(PIECE + 9), noise(100)
    tree.file(b"a", one)
    tree.file(b"b", one, first=True)
    tree.file(b"c", one)
    tree.file(b"d", two, first=True)
    hot = tree.file(b"e", two)
    path = saved(tree.bundle(hot=(hot,)), tmp_path)
    assert links(path) == {"a": "b", "c": "b", "d": "e"}
    bundle = Bundle(path)
    assert bundle.files() == {b"a": one, b"b": one, b"c": one, b"d": two, b"e": two}
    assert [length for _, _, length in bundle.by_path[b"a"].segments] == [PIECE, 9]
    assert [node.name for node in bundle.index.nodes if node.first] == [b"b", b"d"]


def test_hard_links_to_copies_lead_to_them(tmp_path: Path) -> None:
    tree = Tree()
    tree.file(b"a", b"content")
    copy = tree.file(b"b", b"content")
    tree.link(b"c", copy)
    path = saved(tree.bundle(), tmp_path)
    bundle = Bundle(path)
    assert bundle.by_path[b"c"].link is bundle.by_path[b"b"] and bundle.by_path[b"b"].kind == FILE
    assert links(path) == {"b": "a", "c": "b"}


def test_links_to_paths_of_any_length(tmp_path: Path) -> None:
    tree = Tree()
    long = b"/".join([b"component"] * 20)
    tree.file(long + b"/a", b"content")
    tree.file(long + b"/b", b"content")
    assert links(saved(tree.bundle(), tmp_path)) == {f"{long.decode()}/b": f"{long.decode()}/a"}


def test_neither_threads_nor_the_order_of_directories_matter() -> None:
    names = [b"%d/%d" % (number % 7, number) for number in range(60)]
    made = set()
    for seed in range(4):
        tree = Tree()
        for name in random.Random(seed).sample(names, len(names)):
            tree.file(name, noise(50_000, int(name[2:]) % 11), first=name.endswith(b"7"))
        made.add(tree.bundle(threads=seed))
    assert len(made) == 1


def test_only_what_may_be_a_copy_is_read_twice() -> None:
    tree, read = Tree(), Counter[bytes]()
    for name, content in {b"a": b"123", b"b": b"456", b"c": b"123", b"d": b"1234", b"e": b"", b"f": b""}.items():
        tree.file(name, content)

    def content(node: Node) -> Iterator[bytes]:
        read[node.name] += 1
        return tree.content(node)

    write_bundle(io.BytesIO(), STUB, tree.root, content, level=1)
    assert read == {b"a": 1, b"b": 2, b"c": 1, b"d": 1, b"e": 1, b"f": 1}


def test_a_known_identity_spares_reading_copies(tmp_path: Path) -> None:
    tree, read, out = Tree(), [], io.BytesIO()
    for name, content in {b"a": b"123", b"b": b"456", b"c": b"123", b"d": b"456"}.items():
        tree.file(name, content)

    def content_of(node: Node) -> Iterator[bytes]:
        read.append(node.name)
        return tree.content(node)

    write_bundle(out, STUB, tree.root, content_of, level=1, identity=tree.contents.__getitem__)
    path = saved(out.getvalue(), tmp_path)
    assert read == [b"a", b"b"] and links(path) == {"c": "a", "d": "b"}
    assert Bundle(path).files() == {b"a": b"123", b"b": b"456", b"c": b"123", b"d": b"456"}


def test_a_copy_is_one_of_what_was_written(tmp_path: Path) -> None:
    """`b` says "new" when it is compared and "old" when it is written: `c` is a copy of it only as it was written."""
    tree, out = Tree(), io.BytesIO()
    for name in (b"a", b"b", b"c", b"d"):
        tree.file(name, b"xxx")
    said = {b"a": [b"one"], b"b": [b"new", b"old"], b"c": [b"new"] * 2, b"d": [b"old"]}
    write_bundle(out, STUB, tree.root, lambda node: [said[node.name].pop(0)], level=1)
    path = saved(out.getvalue(), tmp_path)
    assert Bundle(path).files() == {b"a": b"one", b"b": b"old", b"c": b"new", b"d": b"old"}
    assert links(path) == {"d": "b"}


def test_progress_counts_copies_too() -> None:
    tree, told = Tree(), []
    for number in range(6):
        tree.file(b"%d" % number, noise(MIB, number % 2))
    write_bundle(io.BytesIO(), STUB, tree.root, tree.content, level=1, progress=lambda *at: told.append(at))
    assert told[-1] == (6 * MIB, 6 * MIB) and told == sorted(told)


# Packing


def copies(appdir: Path) -> None:
    for name in ("usr/lib/libx.so.1", "usr/lib/libx.so", "opt/libx.so.1", "opt/program"):
        path = appdir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise(MIB + 5))
        path.chmod(0o755)
    for path in [appdir, *below(appdir)]:
        os.utime(path, (EPOCH, EPOCH))


@pytest.mark.parametrize("tar", ["tar -xp", "bsdtar -xpf -"])
def test_the_same_tree_comes_out_of_tar(tar: str, appdir: Path, out: Path, tmp_path: Path) -> None:
    copies(appdir)
    assert quickly(appdir, out).size < 2 * MIB
    into = tmp_path / "extracted"
    into.mkdir()
    subprocess.run(["bash", "-ec", f"set -o pipefail; {payload(out)} | zstd -dc | {tar}"], cwd=into, check=True)
    found = snapshot(into)
    assert found == archived(snapshot(appdir)) and len(found[b"opt/program"].names) == 4


def test_a_file_that_changes_between_two_readings_is_noticed(
    appdir: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it was compared with a file of the same size, and again when it is written."""
    for name in ("a", "b"):
        (appdir / name).write_text(name)
        os.utime(appdir / name, (EPOCH, EPOCH))
    content = pack.AppDir.content
    read = Counter[bytes]()

    def changing(source: pack.AppDir, node: Node) -> Iterator[bytes]:
        read[node.name] += 1
        if read[b"b"] == 2:
            (appdir / "b").write_text("c")
        return content(source, node)

    monkeypatch.setattr(pack.AppDir, "content", changing)
    assert "changed while it was packed" in refused(appdir, out)[0]
    assert read[b"b"] == 2
