"""`tmprun extract` of archives and packages: what it extracts of images, by the same patterns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit.archives import KINDS, deb, tree
from kit.harness import Harness
from kit.tracing import calls, strace
from kit.trees import snapshot


@pytest.fixture
def whole(harness: Harness, door_with_python: Path) -> Harness:
    harness.door = door_with_python
    return harness


@pytest.fixture
def archive(whole: Harness) -> Path:
    return KINDS["tar.xz"](whole.base / "app-1.0.tar.xz", tree(whole.base / "tree"))


def test_all_of_it(whole: Harness, archive: Path) -> None:
    printed = whole.run(whole.door, "extract", archive, "-C", "out").stdout.splitlines()
    made, original = snapshot(whole.work / "out"), snapshot(whole.base / "tree")
    assert made == original
    assert sorted(printed) == sorted(b"out/" + path for path in made)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("app-1.0/bin", {"app-1.0", "app-1.0/bin", "app-1.0/bin/app"}),
        ("/app-1.0/*/app", {"app-1.0", "app-1.0/bin", "app-1.0/bin/app"}),
        ("*/lib/link", {"app-1.0", "app-1.0/lib", "app-1.0/lib/link", "app-1.0/share", "app-1.0/share/text"}),
        ("*/share/empty", {"app-1.0", "app-1.0/share", "app-1.0/share/empty"}),
    ],
)
def test_what_matches(whole: Harness, archive: Path, pattern: str, expected: set[str]) -> None:
    whole.run(whole.door, "extract", archive, pattern)
    assert {path.decode() for path in snapshot(whole.work / "squashfs-root")} == expected


def test_the_same_as_of_the_image(whole: Harness, archive: Path) -> None:
    """Of the bundle that the archive was converted into, but for the directory that is its root there."""
    whole.run(whole.door, "convert", archive, "-o", "bundle", "--level", "1")
    for number, pattern in enumerate(("bin/*", "lib/link", "share/s*", "share/[a-n]*", "*/*/*")):
        of_image, of_archive = whole.work / f"i{number}", whole.work / f"a{number}"
        whole.run(whole.door, "extract", "bundle", pattern, "-C", of_image)
        whole.run(whole.door, "extract", archive, f"app-1.0/{pattern}", "-C", of_archive)
        assert {*snapshot(of_image)} == {*snapshot(of_archive / "app-1.0")}, pattern


def test_no_match_is_an_error(whole: Harness, archive: Path) -> None:
    result = whole.run(whole.door, "extract", archive, "bin", status=127)
    assert b"nothing in it matches bin" in result.stderr and list(whole.work.iterdir()) == []


def test_json(whole: Harness) -> None:
    package = deb(whole.base / "app.deb", tree(whole.base / "tree"))
    found = json.loads(whole.run(whole.door, "extract", "--json", package, "bin/*").stdout)
    assert found == {
        "directory": f"{whole.work}/squashfs-root",
        "paths": ["squashfs-root/bin", "squashfs-root/bin/app"],
    }


def test_it_is_read_once(whole: Harness, archive: Path) -> None:
    log = whole.base / "strace"
    command = [*strace(log, "-e", "trace=preadv,preadv2"), whole.door, "extract", archive, "-C", "out"]
    assert whole.run(*command).stdout.count(b"\n") == len(snapshot(whole.work / "out"))
    read = sum(int(call.rest.rpartition("= ")[2]) for call in calls(log) if str(archive) in call.rest)
    assert read == archive.stat().st_size
