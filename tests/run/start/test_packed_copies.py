"""Files that a bundle holds once, and that the engine makes files of their own again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kit.apps import App, noise, packed, write
from kit.harness import Harness, environ_of
from kit.snapshot import Facts, facts, packed_mode
from kit.trees import below

PROGRAMS = ("AppRun", "usr/bin/a", "usr/bin/b")
LIBRARIES = ("usr/lib/liba.so", "usr/lib/libb.so", "opt/libc.so")
LINK = "usr/lib/link.so"


@pytest.fixture(scope="module")
def twins(shared: Path, probe: Path) -> App:
    """An app whose program and whose library, of several frames, are there three times."""
    appdir = shared / "twins" / "Twins.AppDir"
    for name in PROGRAMS:
        write(appdir / name, probe.read_bytes(), 0o755)
    for name in LIBRARIES:
        write(appdir / name, noise(3_000_000) + bytes(2_000_000), 0o755)
    os.link(appdir / LIBRARIES[1], appdir / LINK)
    for path in [appdir, *below(appdir)]:
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return packed(appdir, shared / "twins" / "app")


def only_the_hard_link_is_one(tree: Path) -> bool:
    found = {name: (tree / name).stat().st_ino for name in (*PROGRAMS, *LIBRARIES)}
    return len(set(found.values())) == len(found) and (tree / LINK).stat().st_ino == found[LIBRARIES[1]]


def without_modes(tree: Path) -> Facts:
    """A published tree is read-only."""
    return facts(tree, lambda mode: 0)


def test_the_bundle_holds_them_once(twins: App) -> None:
    program = (twins.appdir / "AppRun").stat().st_size
    assert twins.bundle.stat().st_size < 131_072 + program + 3_200_000


def test_extracted(harness: Harness, twins: App) -> None:
    into = harness.work / "out"
    into.mkdir()
    harness.run(harness.door, "@extract", "--into", into, "--", twins.bundle)
    os.utime(into, (1_600_000_000, 1_600_000_000))
    assert facts(into, packed_mode) == facts(twins.appdir, packed_mode) and only_the_hard_link_is_one(into)


def test_extracted_without_the_one_that_carries_the_bytes(harness: Harness, twins: App) -> None:
    into = harness.work / "out"
    into.mkdir()
    harness.run(harness.door, "@extract", "--into", into, "--", twins.bundle, "usr/lib/libb.so")
    assert [path.name for path in below(into) if path.is_file()] == ["libb.so"]
    assert (into / "usr/lib/libb.so").read_bytes() == (twins.appdir / "usr/lib/libb.so").read_bytes()


@pytest.mark.parametrize("fill", ["eager", "background", "demand"])
def test_in_the_store(in_memory: Harness, twins: App, fill: str) -> None:
    words: list[str | Path] = [in_memory.door, "@run", "--fill", fill, "--", twins.bundle]
    report = in_memory.run(*words, "probe:report", "probe:sum").report()
    assert twins.sums_seen(report, environ_of(report)["APPDIR"])


def test_built(harness: Harness, twins: App) -> None:
    tree = Path(harness.run(harness.door, "@build", "--fill", "eager", "--", twins.bundle).stdout.decode().rstrip("\n"))
    assert without_modes(tree) == without_modes(twins.appdir) and only_the_hard_link_is_one(tree)
    assert harness.run(harness.door, "@verify", "--tree", tree, "--", twins.bundle).stdout == b""
