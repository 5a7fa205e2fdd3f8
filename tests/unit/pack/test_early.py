"""Packing what is still being unpacked: the bundle holds the finished AppDir, whatever was there for a while."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.apps import noise, write
from kit.archives import KINDS, TIME, bsdtar, member, tar, tree
from kit.bundle_reader import Bundle
from kit.packing import EPOCH, payload, script
from kit.trees import below

from tmprun.archives import kinds, reading
from tmprun.bundle.tar_frames import PIECE
from tmprun.bundle.write import Begun
from tmprun.engine.programs import stub_for
from tmprun.errors import TmprunError
from tmprun.index.rules import FILE
from tmprun.pack.appdir import AppDir
from tmprun.pack.early import Early, early
from tmprun.pack.levels import QUICK_LEVEL
from tmprun.pack.pack import PackReport, pack

STUB = stub_for(os.uname().machine)


def packed(
    root: Path, out: Path, made: list[tuple[str, str]], change: Callable[[], object] = int, top: str = ""
) -> int:
    """Pack what lies below `root` after it was heard of, and then changed; how many of the files were done early."""
    with early(str(out.parent / "begun"), str(root), STUB, QUICK_LEVEL) as begun:
        for path, kind in made:
            begun.made(path.encode(), kind)
        change()
        return len(finish(begun, root / top, out))


def finish(begun: Early, appdir: Path, out: Path) -> set[bytes]:
    """The paths of what was done early; the bundle is checked against the AppDir."""
    done: set[bytes] = set()
    whole = begun.begun

    def spied(source: AppDir, stub: bytes, level: int) -> Begun | None:
        found = whole(source, stub, level)
        done.update(source.paths[node] for node in found.nodes) if found else None
        return found

    begun.begun = spied  # type: ignore[method-assign]
    pack(appdir, out, level=QUICK_LEVEL, early=begun)
    check(appdir, out)
    return done


def check(appdir: Path, out: Path) -> None:
    """What the index says, and the tar archive that the frames are, is what lies on disk."""
    bundle = Bundle(out)
    files = {path: node for path, node in bundle.by_path.items() if node.kind == FILE or node.link}
    there = [path for path in below(appdir) if path.is_file() and not path.is_symlink()]
    assert {os.fsencode(path.relative_to(appdir)) for path in there} == {*files}
    for path, node in files.items():
        facts = (appdir / os.fsdecode(path)).stat()
        real = node.link or node
        assert bundle.content(node) == (appdir / os.fsdecode(path)).read_bytes(), path
        assert (real.mode & 0o100, real.mtime) == (facts.st_mode & 0o100, int(facts.st_mtime)), path
    again = out.with_suffix(".tree")
    shutil.rmtree(again, ignore_errors=True)
    again.mkdir()
    subprocess.run(f"{payload(out)} | zstd -qd | tar x -C {again}", shell=True, check=True)
    assert {path.relative_to(again) for path in below(again)} == {path.relative_to(appdir) for path in below(appdir)}
    for path, node in files.items():
        assert (again / os.fsdecode(path)).read_bytes() == bundle.content(node), path
        assert int((again / os.fsdecode(path)).stat().st_mtime) == (node.link or node).mtime, path


def from_archive(archive: Path, folder: Path, top: str = "") -> set[bytes]:
    """The same on the way from an archive."""
    folder.mkdir()
    (folder / "tree").mkdir()
    with archive.open("rb") as file, early(str(folder / "begun"), str(folder / "tree"), STUB, QUICK_LEVEL) as begun:
        kind = kinds.kind_of(file.fileno(), archive.name)
        reading.unpack(file.fileno(), kind, str(folder / "tree"), made=begun.made)
        return finish(begun, folder / "tree" / top, folder / "out")


@pytest.fixture
def appdir(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    script(root / "AppRun")
    write(root / "text", "again and again\n" * 1000)
    write(root / "large", noise(2 * PIECE + 1000))
    write(root / "zeros", bytes(2 * PIECE))
    write(root / "lib" / "libx.so.1", noise(3000), 0o755)
    write(root / "empty", b"")
    return root


ALL = [("AppRun", "file"), ("text", "file"), ("large", "file"), ("zeros", "file"), ("lib", "another"),
       ("lib/libx.so.1", "file"), ("empty", "file")]  # fmt: skip


def test_all_but_what_the_start_waits_for_is_done_early(appdir: Path, tmp_path: Path) -> None:
    assert packed(appdir, tmp_path / "out", ALL) == 5
    assert not (tmp_path / "begun").exists() and os.access(tmp_path / "out", os.X_OK)


def test_what_was_not_heard_of_is_there_too(appdir: Path, tmp_path: Path) -> None:
    assert packed(appdir, tmp_path / "out", ALL[:3]) == 2
    assert packed(appdir, tmp_path / "out2", []) == 0


CHANGES: dict[str, tuple[Callable[[Path], object], int]] = {
    "content": (lambda root: write(root / "text", "other\n" * 2500), 4),
    "size": (lambda root: write(root / "text", "other\n"), 4),
    "mode": (lambda root: (root / "text").chmod(0o755), 4),
    "time": (lambda root: os.utime(root / "text", (5, 5)), 4),
    "gone": (lambda root: (root / "text").unlink(), 0),
    "a link": (lambda root: ((root / "text").unlink(), (root / "text").symlink_to("large")), 4),
    "a directory": (lambda root: ((root / "text").unlink(), write(root / "text" / "x", b"x")), 0),
    "another name": (lambda root: (root / "text").rename(root / "text2"), 0),
    "two names": (lambda root: os.link(root / "text", root / "text2"), 4),
    "another file of the same kind": (
        lambda root: (shutil.copy2(root / "text", root / "t"), (root / "t").rename(root / "text")), 4),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_after_it_was_read_is_packed_as_it_is(appdir: Path, tmp_path: Path, name: str) -> None:
    change, left = CHANGES[name]
    assert packed(appdir, tmp_path / "out", ALL, lambda: change(appdir)) == left


def test_what_takes_the_place_of_something_ends_it(appdir: Path, tmp_path: Path) -> None:
    assert packed(appdir, tmp_path / "out", [*ALL, ("text", "file")]) == 0


def test_a_second_name(appdir: Path, tmp_path: Path) -> None:
    os.link(appdir / "text", appdir / "a text")
    assert packed(appdir, tmp_path / "out", [*ALL, ("text", "linked"), ("a text", "another")]) == 4


def test_the_appdir_is_not_the_top(appdir: Path, tmp_path: Path) -> None:
    inner = [(f"root/{path}", kind) for path, kind in ALL]
    (tmp_path / "r").mkdir()
    appdir.rename(tmp_path / "r" / "root")
    root = tmp_path / "r"
    assert packed(root, tmp_path / "out", inner, top="root") == 5
    script(root / "AppRun")
    assert packed(root, tmp_path / "out2", [*inner, ("AppRun", "file")]) == 5
    assert packed(root, tmp_path / "out3", inner) == 0  # nobody said so


def test_the_same_bytes_whatever_the_machine_does(appdir: Path, tmp_path: Path) -> None:
    packed(appdir, tmp_path / "one", ALL)
    before = (tmp_path / "one").read_bytes()
    for number in range(3):
        packed(appdir, tmp_path / f"{number}", ALL)
        assert (tmp_path / f"{number}").read_bytes() == before


def test_times_that_are_given(appdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in [appdir, *below(appdir)]:
        os.utime(path, (EPOCH, EPOCH))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    assert packed(appdir, tmp_path / "out", ALL) == 5
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH + 1))
    with early(str(tmp_path / "begun"), str(appdir), STUB, QUICK_LEVEL) as begun:
        for path, kind in ALL:
            begun.made(path.encode(), kind)
        pack(appdir, tmp_path / "later", level=QUICK_LEVEL, early=begun)
    bundle = Bundle(tmp_path / "later")
    assert {node.mtime for node in bundle.index.nodes} == {EPOCH + 1}
    assert bundle.files()[b"text"] == (appdir / "text").read_bytes()


def test_what_cannot_be_packed_leaves_nothing(appdir: Path, tmp_path: Path) -> None:
    with pytest.raises(TmprunError):
        packed(appdir, tmp_path / "out", ALL, lambda: (appdir / "AppRun").unlink())
    assert not (tmp_path / "out").exists()


def test_another_level_takes_nothing_of_it(appdir: Path, tmp_path: Path) -> None:
    """The metadata say one level."""
    with early(str(tmp_path / "begun"), str(appdir), STUB, QUICK_LEVEL) as begun:
        begun.made(b"text", "file")
        report: PackReport = pack(appdir, tmp_path / "out", level=1, early=begun)
    pack(appdir, tmp_path / "plain", level=1)
    assert report.size == (tmp_path / "plain").stat().st_size


@pytest.mark.parametrize("name", [name for name in KINDS if name != "AppImage"])
def test_of_every_kind_of_archive(tmp_path: Path, name: str) -> None:
    top = tree(tmp_path / "tree")
    script(top / "AppRun")
    os.utime(top / "AppRun", (TIME, TIME))
    archive = KINDS[name](tmp_path / f"app-1.0.{name}", top)
    done = from_archive(archive, tmp_path / "work", "" if name == "deb" else "app-1.0")
    assert {b"share/text", b"share/secret", b"share/empty"} <= done


def test_one_name_twice_in_an_archive(tmp_path: Path) -> None:
    """A later entry takes the place of the earlier one: the bundle has that, and is the same each time."""
    first, second = b"first\n" * 100, b"other\n" * 100  # of one size
    members = [member("AppRun", b"#!/bin/sh\n", mode=0o755), member("x", first), member("x", second)]
    archive = write(tmp_path / "a.tar", tar(members))
    assert from_archive(archive, tmp_path / "work") == set()
    assert Bundle(tmp_path / "work" / "out").files()[b"x"] == second
    from_archive(archive, tmp_path / "again")
    assert (tmp_path / "again" / "out").read_bytes() == (tmp_path / "work" / "out").read_bytes()


def test_holes(tmp_path: Path) -> None:
    top = tmp_path / "app"
    script(top / "AppRun")
    with (top / "sparse").open("wb") as file:
        file.write(b"x")
        file.seek(5 * PIECE)
        file.write(b"y")
    assert b"sparse" in from_archive(bsdtar(tmp_path / "a.tar", top), tmp_path / "work", "app")
