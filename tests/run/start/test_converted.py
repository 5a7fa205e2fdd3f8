"""Archives, packages and images of other kinds through the front door: converted once, then started like a bundle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from kit.apps import SETTLED, App, write
from kit.archives import KINDS, bsdtar, tree
from kit.foreign_images import head
from kit.harness import Harness, environ_of, wait_until
from kit.own_runtimes import GOOD, unpacks_itself
from kit.places import VERSION
from kit.real_images import TYPE_1_BESIDE
from kit.surroundings import has_landlock, require_root


@pytest.fixture
def whole(harness: Harness, door_with_python: Path) -> Harness:
    harness.door = door_with_python
    return harness


def settled(path: Path) -> Path:
    time.sleep(SETTLED)
    return path


def cache(harness: Harness, *parts: str) -> Path:
    return harness.base.joinpath("cache", "tmprun", VERSION, *parts)


def bundles(harness: Harness) -> list[str]:
    return sorted(path.name for path in cache(harness, "image").glob("*.bundle"))


def left(harness: Harness) -> list[str]:
    """What is left of the work, when it has been removed behind the app."""
    shelf = cache(harness, "scratch")
    for _ in range(200):
        if not shelf.exists() or not os.listdir(shelf):
            return []
        time.sleep(0.01)
    return sorted(os.listdir(shelf))


@pytest.fixture
def probe_tar(whole: Harness, app: App) -> Path:
    """The probe's AppDir as an archive."""
    return settled(bsdtar(whole.work / "probe-1.0.tar.gz", app.appdir, "--gzip"))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_started(whole: Harness, name: str) -> None:
    top = tree(whole.base / "tree")
    if name == "AppImage":
        (top / "AppRun").symlink_to("bin/app")
    archive = settled(KINDS[name](whole.work / f"app-1.0.{name}", top))
    for _ in range(2):
        assert whole.run(whole.door, archive, "a", "b c").stdout == b"app: a b c\n"
    assert len(bundles(whole)) == 1 and left(whole) == []


def test_the_app_sees_what_it_would_as_an_appimage(whole: Harness, app: App, probe_tar: Path) -> None:
    result = whole.run(whole.door, probe_tar.name, "probe:report", "probe:sum", "--x", stdin=b"its own")
    report = result.report()
    seen = environ_of(report)
    assert seen["APPIMAGE"] == str(probe_tar) and seen["ARGV0"] == probe_tar.name
    assert report["argv"] == [probe_tar.name, "probe:report", "probe:sum", "--x"]
    assert {path for path, *_ in report["sum"]} == {f"{seen['APPDIR']}/{path}" for path in app.sums}
    assert app.sums_seen(report, seen["APPDIR"])


def test_no_start_but_the_first_has_python(whole: Harness, probe_tar: Path) -> None:
    whole.run(whole.door, probe_tar)
    shutil.copy(whole.door, whole.base / "alone")
    whole.run(whole.base / "alone", probe_tar)
    whole.clear()
    whole.run(whole.base / "alone", probe_tar)
    assert len(list(whole.shelf("tree").iterdir())) == 1


def test_stdin_is_the_apps(whole: Harness) -> None:
    write(whole.base / "a" / "AppRun", "#!/bin/sh\ncat\n", 0o755)
    archive = settled(bsdtar(whole.work / "a.tar", whole.base / "a"))
    assert whole.run(whole.door, archive, stdin=b"whole\n").stdout == b"whole\n"


def test_a_changed_file_is_converted_anew(whole: Harness) -> None:
    top = write(whole.base / "a" / "AppRun", "#!/bin/sh\necho old\n", 0o755).parent
    archive = settled(bsdtar(whole.work / "a.tar", top))
    assert whole.run(whole.door, archive).stdout == b"old\n"
    write(top / "AppRun", "#!/bin/sh\necho new\n", 0o755)
    settled(bsdtar(archive, top))
    assert whole.run(whole.door, archive).stdout == b"new\n"


@pytest.mark.parametrize("how", ["cut", "gone", "no bundle"])
def test_what_is_kept_and_damaged_is_made_anew(whole: Harness, probe_tar: Path, how: str) -> None:
    whole.run(whole.door, probe_tar)
    (name,) = bundles(whole)
    path = cache(whole, "image", name)
    whole.clear()
    if how == "gone":
        path.unlink()
    else:
        write(path, path.read_bytes()[:-100] if how == "cut" else b"x" * 1000)
    whole.run(whole.door, probe_tar)
    assert bundles(whole) == [name]


def test_which_program(whole: Harness) -> None:
    for name in "ab":
        write(whole.base / "x" / "bin" / name, f"#!/bin/sh\necho {name}\n", 0o755)
    archive = settled(bsdtar(whole.work / "two.tar", whole.base / "x"))
    result = whole.run(whole.door, archive, status=None)
    whole.refused(result, "not clear which program", "--entry: bin/a, bin/b")
    assert left(whole) == [] and bundles(whole) == []
    assert whole.run(whole.door, "run", "--entry", "bin/b", archive).stdout == b"b\n"
    assert whole.run(whole.door, archive).stdout == b"b\n"  # remembered
    assert whole.run(whole.door, "run", "--entry", "bin/a", archive).stdout == b"a\n"
    assert whole.run(whole.door, archive).stdout == b"a\n"


def test_two_first_starts_at_once(whole: Harness, app: App, probe_tar: Path) -> None:
    started = [whole.start(whole.door, probe_tar, "probe:report", "probe:sum") for _ in range(3)]
    for process in started:
        result = whole.finish(process)
        assert result.status == 0, str(result)
        assert app.sums_seen(result.report(), environ_of(result.report())["APPDIR"])
    assert len(bundles(whole)) == 1 and left(whole) == []


@pytest.mark.parametrize(
    ("number", "prunes"),
    [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGKILL, False), (signal.SIGKILL, True)],
)
def test_an_interrupt_leaves_nothing(whole: Harness, tmp_path: Path, number: int, prunes: bool) -> None:
    """From the terminal, whose whole group gets it. What a killed one leaves goes with the next, or by prune."""
    write(whole.base / "big" / "AppRun", "#!/bin/sh\necho fine\n", 0o755)
    for index in range(120):
        write(whole.base / "big" / f"f{index}", os.urandom(1_000_000))
    archive = settled(bsdtar(whole.work / "big.tar.gz", whole.base / "big", "--gzip"))
    process = whole.start(whole.door, archive, start_new_session=True)
    wait_until(lambda: any(cache(whole, "scratch").glob("*/tree/big/f3")), 30)
    os.killpg(process.pid, number)
    assert whole.finish(process).status == -number
    wait_until(lambda: number == signal.SIGKILL or left(whole) == [], 10)
    assert whole.left() == [] and bundles(whole) == []
    if prunes:
        whole.run(whole.door, "cache", "prune")
        assert left(whole) == []
    small = write(whole.base / "small" / "AppRun", "#!/bin/sh\necho fine\n", 0o755).parent
    whole.run(whole.door, settled(bsdtar(whole.work / "small.tar", small)))
    assert left(whole) == []


def test_no_room(whole: Harness) -> None:
    require_root()
    probe_tar = settled(KINDS["tar.xz"](whole.work / "app-1.0.tar.xz", tree(whole.base / "tree")))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", whole.base / "cache"], check=True)
    try:
        (whole.base / "cache").chmod(0o700)
        result = whole.run(whole.door, probe_tar, status=None)
        whole.refused(result, "No space left", status=127)
        assert left(whole) == []
    finally:
        subprocess.run(["umount", whole.base / "cache"], check=True)


def test_no_cache(whole: Harness, probe_tar: Path) -> None:
    result = whole.run(whole.door, probe_tar, env={"HOME": None, "XDG_CACHE_HOME": None}, status=None)
    whole.refused(result, "no disk cache", "XDG_CACHE_HOME", status=127)


def test_without_python_it_says_what_is_needed(harness: Harness, app: App) -> None:
    archive = settled(bsdtar(harness.work / "a.tar", app.appdir))
    lonely = Path(shutil.copy(harness.door, harness.base / "tmprun"))
    harness.refused(harness.run(lonely, archive, status=None), "archives", "tmprun-py")


def test_flags_of_the_runtime(whole: Harness, probe_tar: Path) -> None:
    assert b"usr/share/text\n" in whole.run(whole.door, probe_tar, "--appimage-list").stdout
    whole.run(whole.door, probe_tar, "--appimage-extract", "usr/share/*")
    assert (whole.work / "squashfs-root/usr/share/noise").exists()
    seen = whole.run(whole.door, probe_tar, "--appimage-extract-and-run", "probe:report").report()
    assert seen["argv"][1:] == ["probe:report"]


def test_real_type_1_images(whole: Harness) -> None:
    """Their output is that of their AppRun in the tree that bsdtar makes of them. (There may be none of them.)"""
    for image in TYPE_1_BESIDE:
        plain = whole.base / image.stem
        plain.mkdir()
        subprocess.run(["bsdtar", "-xpf", image, "-C", plain], check=True)
        expected = whole.run(plain / "AppRun", "--help", status=None)
        for _ in range(2):
            ours = whole.run(whole.door, image, "--help", status=None)
            assert (ours.status, ours.stdout, ours.stderr) == (expected.status, expected.stdout, expected.stderr)


# Images that unpack themselves.


def dwarfs(folder: Path, work: str = GOOD) -> Path:
    """An image whose runtime does `work`, in a shell, when it is asked to unpack itself."""
    return settled(unpacks_itself(folder, work))


def test_it_unpacks_itself_once(whole: Harness) -> None:
    image = dwarfs(whole.work)
    first = whole.run(whole.door, image, "x")
    assert first.stdout == b"own: x\n" and b"unpacks itself, once" in first.stderr
    again = whole.run(whole.door, image, "x")
    assert (again.stdout, again.stderr) == (b"own: x\n", b"")
    assert left(whole) == [] and len(bundles(whole)) == 1


FAILURES = {
    "wrong status": ("echo 'cannot read the payload' >&2; exit 3", ("ended with status 7", "cannot read the payload")),
    "no AppRun": ("mkdir AppDir", ("made no AppRun",)),
    "AppRun is no program": ("mkdir AppDir; touch AppDir/AppRun", ("cannot be executed",)),
    "nothing": ("true", ("made 0 directories",)),
    "two directories": ("mkdir a b", ("made 2 directories",)),
    "files beside": ("mkdir a; touch b", ("1 files",)),
    "a crash": ("kill -9 $PPID", ("SIGKILL",)),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_runtime_that_fails(whole: Harness, name: str) -> None:
    work, words = FAILURES[name]
    result = whole.run(whole.door, dwarfs(whole.work, work), status=None)
    assert result.status == 126 and all(word in result.stderr.decode() for word in words), str(result)
    assert result.stderr.count(b"\n") == 2  # the first says what is done
    assert left(whole) == [] and bundles(whole) == [] and whole.left() == []


def test_it_cannot_write_elsewhere(whole: Harness) -> None:
    elsewhere = whole.base / "elsewhere"
    elsewhere.mkdir()
    result = whole.run(whole.door, dwarfs(whole.work, f"touch {elsewhere}/evil || exit 1; {GOOD}"), status=None)
    assert not has_landlock() or (result.status == 126 and list(elsewhere.iterdir()) == [])


def test_who_only_looks_does_not_execute_it(whole: Harness) -> None:
    mark = whole.base / "executed"
    result = whole.run(whole.door, "@extract", dwarfs(whole.work, f"touch {mark}"), status=None)
    assert result.status == 126 and b"execute" in result.stderr and not mark.exists()


def test_a_payload_that_nobody_knows(whole: Harness) -> None:
    image = settled(write(whole.work / "x", head() + b"unknown!" * 1000, 0o755))
    result = whole.run(whole.door, image, status=None)
    assert result.status == 126 and b"no way to unpack it" in result.stderr, str(result)


def test_a_bare_squashfs(whole: Harness, app: App) -> None:
    """The front door reads it as it is; converted it is only when something else than its AppRun is to be started."""
    image = whole.work / "app.squashfs"
    subprocess.run(["mksquashfs", app.appdir, image, "-quiet", "-no-progress", "-all-root"], check=True)
    settled(image)
    report = whole.run(whole.door, image, "probe:report", "probe:sum").report()
    assert app.sums_seen(report, environ_of(report)["APPDIR"])
    assert bundles(whole) == []
    assert whole.run(whole.door, "info", image).stdout.split()[3:6] == [b"squashfs", b"image", b"machine"]


def squashfs(whole: Harness, top: Path, name: str = "app.squashfs", *options: str) -> Path:
    command = ["mksquashfs", top, whole.work / name, "-quiet", "-no-progress", "-all-root", *options]
    subprocess.run(command, check=True)
    return settled(whole.work / name)


def test_a_bare_squashfs_without_apprun(whole: Harness) -> None:
    """What is started of it is found as in an archive: by the front door's first and second start, and without Python
    from then on."""
    image = squashfs(whole, tree(whole.base / "tree"))
    for _ in range(2):
        result = whole.run(whole.door, image, "x")
        assert (result.stdout, result.stderr) == (b"app: x\n", b"")
    assert len(bundles(whole)) == 1 and left(whole) == []
    whole.clear()
    shutil.copy(whole.door, whole.base / "alone")
    assert whole.run(whole.base / "alone", image, "y").stdout == b"app: y\n"
    said = whole.run(whole.door, "info", image).stdout.decode()
    assert "squashfs image" in said and "bin/app" in said, said


def test_a_bare_squashfs_that_was_looked_at_first(whole: Harness) -> None:
    """Its index is known when it is started."""
    image = squashfs(whole, tree(whole.base / "tree"))
    before = whole.run(whole.door, "info", image).stdout.decode()
    assert "squashfs image" in before and "bin/app" in before, before
    assert whole.run(whole.door, image, "x").stdout == b"app: x\n"


def test_a_bare_squashfs_with_candidates(whole: Harness) -> None:
    for name in "ab":
        write(whole.base / "x" / "bin" / name, f"#!/bin/sh\necho {name}\n", 0o755)
    image = squashfs(whole, whole.base / "x", "other.squashfs")
    alone = Path(shutil.copy(whole.door, whole.base / "alone"))
    whole.refused(whole.run(alone, image, status=None), "squashfs without AppRun", "tmprun-py")
    whole.refused(whole.run(whole.door, image, status=None), "not clear which program", "--entry: bin/a, bin/b")
    assert whole.run(whole.door, "run", "--entry", "bin/b", image).stdout == b"b\n"
    assert whole.run(whole.door, image).stdout == b"b\n"


def test_a_large_bare_squashfs_without_apprun(whole: Harness) -> None:
    """One that would start before it is hashed, had it an AppRun."""
    write(whole.base / "x" / "bin" / "large", "#!/bin/sh\necho started\n", 0o755)
    for number in range(40):
        write(whole.base / "x" / "data" / str(number), os.urandom(1_000_000))
    image = squashfs(whole, whole.base / "x", "large.squashfs", "-noD", "-noF")
    assert whole.run(whole.door, image).stdout == b"started\n"
    assert whole.run(whole.door, image).stdout == b"started\n"
