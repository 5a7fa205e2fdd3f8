"""What an app sees of files that have no content yet: everything that can be told without it, at once."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.gating import Gated, only, stopped, tree_of, truth, unfilled
from kit.harness import Harness, wait_until
from kit.trees import below


@pytest.fixture
def tree(harness: Harness, image: Gated) -> Iterator[Path]:
    """The AppDir of an app that runs and has opened nothing."""
    ready, go = harness.base / "ready", harness.base / "go"
    process = harness.start(harness.door, image.image, f"touch={ready}", f"wait={go}", env=truth(image, "demand"))
    wait_until(ready.exists)
    yield tree_of(harness)
    go.touch()
    harness.finish(process)


def sealed(path: Path) -> int:
    """The bits that a file of that name may have: programs and libraries cannot be written to."""
    return 0o555 if path.name in ("AppRun", "program") or ".so." in path.name else 0o777


def test_everything_but_content_is_told_at_once(harness: Harness, image: Gated, tree: Path) -> None:
    with stopped(harness.store):  # whatever waited would wait for ever
        for path in sorted(below(image.appdir)):
            here, expected = tree / path.relative_to(image.appdir), path.lstat()
            seen = here.lstat()
            assert stat.S_IFMT(seen.st_mode) == stat.S_IFMT(expected.st_mode)
            assert int(seen.st_mtime) == int(expected.st_mtime), str(here)
            if here.is_symlink():
                assert here.readlink() == path.readlink()
                continue
            assert stat.S_IMODE(seen.st_mode) == expected.st_mode & sealed(here)
            assert os.access(here, os.X_OK) == os.access(path, os.X_OK)
            if here.is_dir():
                assert sorted(os.listdir(here)) == sorted(os.listdir(path))
            else:
                assert (seen.st_size, seen.st_nlink) == (expected.st_size, expected.st_nlink)
        assert unfilled(tree) == image.gated


def test_programs_and_scripts_are_there_in_full(harness: Harness, image: Gated, tree: Path) -> None:
    with stopped(harness.store):
        for path in [image.appdir / "AppRun", *(image.appdir / "usr" / "bin").iterdir()]:
            here = tree / path.relative_to(image.appdir)
            assert here.read_bytes() == path.read_bytes()
        assert harness.run(tree / "usr" / "bin" / "script3").stdout == b"3\n"
        harness.run(tree / "usr" / "bin" / "program", "env=HOME")


@pytest.mark.parametrize("name", ["usr/hard", "usr/share/link", "usr/share/large"])
def test_each_name_of_a_file_leads_to_its_content(image: Gated, tree: Path, name: str) -> None:
    assert (tree / "usr" / "hard").samefile(tree / "usr" / "share" / "large")
    assert (tree / name).read_bytes() == (image.appdir / "usr" / "share" / "large").read_bytes()
    assert unfilled(tree) == image.gated - {"usr/hard"}


def test_an_open_that_will_not_wait_fails_and_the_next_is_served(image: Gated, tree: Path) -> None:
    """open(2): EWOULDBLOCK for an incompatible lease on the file."""
    path = tree / "usr" / "lib" / "lib2.so.2"
    with pytest.raises(BlockingIOError):
        os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    assert path.read_bytes() == (image.appdir / "usr" / "lib" / "lib2.so.2").read_bytes()
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


def test_a_library_that_is_executed_may_be_busy_once(tree: Path) -> None:
    """The filler has it open for writing until it is full: one of the limits that docs/how-it-works.md names."""
    library = tree / "usr" / "lib" / "lib1.so.1"
    with pytest.raises(OSError, match=r"Text file busy|Exec format error"):
        os.execv(library, ["lib1"])
    time.sleep(0.1)
    with pytest.raises(OSError, match="Exec format error"):  # it is noise, but no longer busy
        os.execv(library, ["lib1"])


def test_an_opened_file_has_its_own_time(image: Gated, tree: Path) -> None:
    """Python compares the times of sources and compiled files."""
    for name in sorted(image.gated):
        with (tree / name).open("rb") as file:
            assert int(os.fstat(file.fileno()).st_mtime) == int((image.appdir / name).stat().st_mtime)


def test_programs_and_libraries_cannot_be_written_to(harness: Harness, image: Gated, tree: Path) -> None:
    only(harness.store, "filler")
    found = {path.name for path in below(tree) if path.is_file() and not path.lstat().st_mode & 0o222}
    assert found == {"AppRun", "program", *(f"lib{number}.so.{number}" for number in range(8))}
