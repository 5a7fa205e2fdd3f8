"""What comes out of an archive is what bsdtar makes of it: paths, modes, targets, times, content, links as one file."""

from __future__ import annotations

import locale
import os
import stat
import subprocess
from pathlib import Path

import pytest
from kit.archives import KINDS, tree
from kit.trees import Entry, snapshot

from tmprun.archives import kinds, reading
from tmprun.archives.reading import Read


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree(tmp_path_factory.mktemp("tree"))


def unpacked(archive: Path, into: Path, force: bool = False) -> Read:
    into.mkdir()
    with archive.open("rb") as file:
        kind = kinds.kind_of(file.fileno(), archive.name)
        return reading.unpack(file.fileno(), kind, str(into), force=force)


def by_bsdtar(archive: Path, into: Path) -> None:
    into.mkdir()
    if archive.suffix == ".deb":
        data = into.parent / "data"
        data.mkdir()
        subprocess.run(["bsdtar", "-xf", archive, "-C", data], check=True)
        archive = data / "data.tar.xz"
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    subprocess.run(["bsdtar", "-xpf", archive, "-C", into], check=True, env=environment)


def comparable(directory: Path) -> dict[bytes, Entry]:
    """Without owners, and with modes as far as bundles have them."""
    return {
        path: entry._replace(mode=stat.S_IFMT(entry.mode) | entry.mode & 0o777)
        for path, entry in snapshot(directory).items()
    }


@pytest.mark.parametrize("name", KINDS)
def test_the_tree_is_bsdtars(top: Path, tmp_path: Path, name: str) -> None:
    archive = KINDS[name](tmp_path / f"app.{name}", top)
    read = unpacked(archive, tmp_path / "ours")
    by_bsdtar(archive, tmp_path / "theirs")
    assert comparable(tmp_path / "ours") == comparable(tmp_path / "theirs")
    assert read.lost == [] and len(comparable(tmp_path / "ours")) >= 14


@pytest.mark.parametrize("name", KINDS)
def test_a_look_sees_what_would_be_unpacked(top: Path, tmp_path: Path, name: str) -> None:
    archive = KINDS[name](tmp_path / f"app.{name}", top)
    unpacked(archive, tmp_path / "ours")
    with archive.open("rb") as file:
        read = reading.look(file.fileno(), kinds.kind_of(file.fileno(), archive.name))
    assert {path for path in read.tree.files if path} == {*snapshot(tmp_path / "ours")}


def test_a_look_writes_nothing(top: Path, tmp_path: Path) -> None:
    archive = KINDS["zip"](tmp_path / "app.zip", top)
    before = snapshot(tmp_path)
    with archive.open("rb") as file:
        reading.look(file.fileno(), kinds.kind_of(file.fileno()), str(tmp_path))
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["tar", "zip", "7z", "rpm", "AppImage"])
def test_names_do_not_depend_on_the_locale(top: Path, tmp_path: Path, name: str) -> None:
    """With LC_ALL=C as elsewhere."""
    archive = KINDS[name](tmp_path / f"app.{name}", top)
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C")
    try:
        unpacked(archive, tmp_path / "ours")
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    by_bsdtar(archive, tmp_path / "theirs")
    assert snapshot(tmp_path / "ours").keys() == snapshot(tmp_path / "theirs").keys()
