"""What an opened library needs is filled next, before anything that nobody has named; and on demand not at all."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest
from kit.apps import write
from kit.codec_images import code, codec_image
from kit.gating import LINGER, Gated, compile_reader, is_complete, is_gone, tree_of, truth, unfilled
from kit.harness import Harness, wait_until

OTHERS = 40
LIARS = 40
NEEDED = {"usr/lib/libsecond.so.1.2", "usr/lib/libthird.so", "usr/zz/libelsewhere.so"}


def library(path: Path, *needs: Path) -> Path:
    """A shared library that needs others, whatever they hold; they name themselves as their files are called."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-shared", "-nostdlib", f"-Wl,-soname,{path.name}", "-Wl,--no-as-needed", "-o", path]
    subprocess.run([*command, "-x", "c", "/dev/null", "-x", "none", *needs], check=True)
    return path


def lying(honest: bytes, number: int) -> bytes:
    """The library with some of its bytes changed, where its headers and tables are."""
    chance = random.Random(number)
    changed = bytearray(honest)
    dynamic = honest.index(b"libsecond.so.1")
    for _ in range(chance.randrange(1, 6)):
        at = chance.choice([chance.randrange(16, 64 + 56 * 8), dynamic + chance.randrange(-64, 64)])
        changed[at] = chance.randrange(256)
    return bytes(changed)


@pytest.fixture(scope="module")
def image(shared: Path) -> Gated:
    """Libraries behind 28 MB of xz that nobody needs, which take longer than they."""
    (shared / "foresight").mkdir()
    appdir = shared / "foresight" / "Foresight.AppDir"
    write(appdir / "AppRun", compile_reader(shared / "foresight").read_bytes(), 0o755)
    content = code(700_000)
    for number in range(OTHERS):
        at = number * 17_000 + 1
        write(appdir / "usr" / "all" / f"{number:02}", content[at:] + content[:at])
    libraries = appdir / "usr" / "lib"
    elsewhere = library(appdir / "usr" / "zz" / "libelsewhere.so")
    third = library(libraries / "libthird.so", elsewhere)
    second = library(libraries / "libsecond.so.1", third)
    first = library(libraries / "libfirst.so", second)
    second.rename(libraries / "libsecond.so.1.2")
    second.symlink_to("libsecond.so.1.2")
    library(appdir / "usr" / "zz" / "libother.so")
    for number in range(LIARS):
        write(libraries / f"liar{number:02}.so", lying(first.read_bytes(), number))
    return codec_image(appdir, shared / "foresight" / "f.AppImage", "-comp", "xz", "-b", "1M", "-no-fragments")


def start(harness: Harness, image: Gated, mode: str) -> subprocess.Popen[bytes]:
    """Open a library of the place where one of the needed ones lies, then the one that needs them."""
    ready = harness.base / "ready"
    words = ["open=usr/zz/libother.so", "open=usr/lib/libfirst.so", f"touch={ready}", f"wait={harness.base / 'go'}"]
    process = harness.start(harness.door, image.image, *words, env=truth(image, mode))
    wait_until(ready.exists)
    return process


def end(harness: Harness, process: subprocess.Popen[bytes]) -> None:
    (harness.base / "go").touch()
    assert harness.finish(process).stdout == b"right 1\n" * 2


def test_what_a_library_needs_is_filled_first(harness: Harness, door_with_python: Path, image: Gated) -> None:
    """Also what those need that it needs, through a link, and where another library was opened before.

    A file's ctime tells when it was filled; what threads had begun before is filled meanwhile.
    """
    harness.door = door_with_python
    process = start(harness, image, "background")
    wait_until(lambda: is_complete(harness))
    tree = tree_of(harness)
    opened = (tree / "usr/lib/libfirst.so").stat().st_ctime_ns
    last = max((tree / name).stat().st_ctime_ns for name in NEEDED)
    between = [path for path in (tree / "usr/all").iterdir() if opened < path.stat().st_ctime_ns <= last]
    end(harness, process)
    assert len(between) <= 3 + 2 * len(os.sched_getaffinity(0)), sorted(between)


def test_on_demand_nothing_is_foreseen(harness: Harness, door_with_python: Path, image: Gated) -> None:
    harness.door = door_with_python
    process = start(harness, image, "demand")
    assert unfilled(tree_of(harness)) >= NEEDED
    end(harness, process)
    wait_until(lambda: is_gone(harness), LINGER)


def test_libraries_that_lie_harm_nobody(harness: Harness, door_with_python: Path, image: Gated) -> None:
    """A library's headers are the image's, and may say anything."""
    harness.door = door_with_python
    words = [f"open=usr/lib/liar{number:02}.so" for number in range(LIARS)]
    result = harness.run(harness.door, image.image, *words, "read=2,1,2", env=truth(image, "background"))
    assert result.stdout.startswith(b"right 1\n" * LIARS)
    assert b"wrong" not in result.stdout
