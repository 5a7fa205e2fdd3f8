"""One open file, one identity: whatever a name leads to meanwhile, no file ever gets the tree of another one."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.apps import SETTLED, write
from kit.gating import helpers
from kit.harness import Harness, wait_until
from kit.surroundings import require_root

from tmprun.images.identity import identity

# Moments of a first start at which the name may change, in seconds; the image takes longer than some.
MOMENTS = (0.0, 0.002, 0.005, 0.01, 0.05, 0.2, 0.6)


def image_of(folder: Path, word: str, compressor: str, megabytes: int = 0) -> Path:
    """An AppImage of type 2 whose app says `word`."""
    appdir = folder / f"{word}.AppDir"
    appdir.mkdir(parents=True)
    write(appdir / "AppRun", f"#!/bin/sh\necho {word}\n".encode(), 0o755)
    numbers = random.Random(word)
    write(appdir / "data", b"".join(b"%d " % numbers.randrange(10**6) for _ in range(megabytes * 150_000)), 0o644)
    squashfs = folder / f"{word}.squashfs"
    command: list[str | Path] = ["mksquashfs", appdir, squashfs, "-comp", compressor, "-all-root", "-quiet"]
    subprocess.run([*command, "-no-progress"], check=True, stdout=subprocess.DEVNULL)
    path = folder / word
    write(path, Path("/bin/true").read_bytes() + squashfs.read_bytes(), 0o755)
    return path


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that takes a while to be decoded."""
    return image_of(tmp_path_factory.mktemp("old"), "old", "xz", 30)


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_of(tmp_path_factory.mktemp("new"), "new", "zstd")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("verb", [[], ["cache", "path"]], ids=["run", "path"])
def test_file_that_is_replaced_meanwhile(
    harness: Harness, door_with_python: Path, old: Path, new: Path, verb: list[str], moment: float
) -> None:
    """An update by rename: whoever has begun may run the old one, and the new file is the new app for ever."""
    app, fresh = harness.work / "app", harness.work / "fresh"
    shutil.copy(old, app)
    shutil.copy(new, fresh)
    time.sleep(SETTLED)
    begun = harness.start(door_with_python, *verb, app)
    time.sleep(moment)
    os.rename(fresh, app)
    harness.finish(begun)
    time.sleep(SETTLED)
    for _ in range(2):
        assert harness.run(door_with_python, app).stdout == b"new\n"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("verb", [[], ["cache", "path"], ["extract"], ["info"]], ids=["run", "path", "extract", "info"])
def test_symlink_that_is_turned_meanwhile(
    harness: Harness, door_with_python: Path, old: Path, new: Path, verb: list[str], moment: float
) -> None:
    """A file that nobody touched keeps its own content, whatever a symlink that leads to it now led to before."""
    app, trusted, evil = harness.work / "app", harness.work / "trusted", harness.work / "evil"
    shutil.copy(old, evil)
    shutil.copy(new, trusted)
    app.symlink_to("evil")
    (harness.work / "turned").symlink_to("trusted")
    time.sleep(SETTLED)
    begun = harness.start(door_with_python, *verb, app)
    time.sleep(moment)
    os.rename(harness.work / "turned", app)
    said = harness.finish(begun).stdout
    assert not verb or verb != ["extract"] or b"squashfs-root/AppRun" in said
    assert harness.run(door_with_python, trusted).stdout == b"new\n"
    assert harness.run(door_with_python, app).stdout == b"new\n"
    assert harness.run(door_with_python, evil).stdout == b"old\n"


@pytest.mark.parametrize("moment", MOMENTS)
def test_file_that_is_written_meanwhile(
    harness: Harness, door_with_python: Path, old: Path, tmp_path: Path, moment: float
) -> None:
    """In place, with times that show it: nothing is remembered under either state that is not true of it."""
    app = harness.work / "app"
    shutil.copy(old, app)
    time.sleep(SETTLED)
    before = identity(app.stat())
    begun = harness.start(door_with_python, app)
    time.sleep(moment)
    os.utime(app)
    harness.finish(begun)
    wait_until(lambda: not helpers(harness.store))
    known = harness.kept("known")
    shelves = [known, harness.shelf("id")]
    # What was opened before is known as what it was then; as it is now, nobody has looked at it.
    assert {link.name for shelf in shelves if shelf.exists() for link in shelf.iterdir()} <= {before}
    assert harness.run(door_with_python, app).stdout == b"old\n"


@contextmanager
def coarse_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system whose times are whole seconds."""
    place, disk = tmp_path / "mounted", tmp_path / "disk"
    place.mkdir()
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-I", "128", disk], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("kind", ["foreign", "bundle"])
def test_times_in_whole_seconds(harness: Harness, door_with_python: Path, tmp_path: Path, kind: str) -> None:
    """Overwritten with as many bytes in the same second: every start has what the file holds."""
    require_root()
    apps = [image_of(tmp_path / word, word, "zstd") for word in ("one", "two")]
    if kind == "bundle":
        for path in apps:
            harness.run(door_with_python, "pack", path.with_name(f"{path.name}.AppDir"), "-o", path)
    size = max(path.stat().st_size for path in apps)
    assert kind == "bundle" or all(path.stat().st_size == size for path in apps)
    with coarse_disk(tmp_path) as place:
        app = place / "app"
        shutil.copy(apps[0], app)
        assert app.stat().st_ctime_ns % 10**9 == 0
        for _ in range(3):
            wait_until(lambda: time.time() % 1 < 0.1)
            for path in apps:
                with app.open("r+b") as file:
                    file.write(path.read_bytes())
                    file.truncate()
                time.sleep(0.1)
                assert harness.run(door_with_python, app).stdout == f"{path.name}\n".encode()
        time.sleep(2.5)
        assert harness.run(door_with_python, app).stdout == b"two\n"
        assert list(harness.shelf("id").iterdir()), "settled by now"
