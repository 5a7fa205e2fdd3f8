"""`tmprun convert`: any image, archive or package becomes a bundle with our stub, which starts with nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from kit.apps import App, write
from kit.archives import KINDS, bsdtar, cpio_rpm, deb, member, tar, tree
from kit.bundle_reader import Bundle
from kit.harness import Harness, environ_of
from kit.packing import archived
from kit.snapshot import packed_mode
from kit.trees import snapshot


@pytest.fixture
def whole(harness: Harness, door_with_python: Path) -> Harness:
    harness.door = door_with_python
    return harness


def facts(bundle: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(Bundle(bundle).index.metadata)
    return found


def convert(harness: Harness, image: Path, *options: str, out: str = "out") -> Path:
    harness.run(harness.door, "convert", image, "-o", out, "--level", "1", *options)
    assert not list(harness.kept("scratch").glob("*"))
    return harness.work / out


@pytest.mark.parametrize("name", KINDS)
def test_it_runs_by_itself_and_is_the_same_twice(whole: Harness, name: str) -> None:
    top = tree(whole.base / "tree")
    if name == "AppImage":
        (top / "AppRun").symlink_to("bin/app")
    archive = KINDS[name](whole.work / f"app-1.0.{name}", top)
    first = convert(whole, archive)
    time.sleep(0.01)
    second = convert(whole, Path(archive).rename(whole.work / f"app.{name}"), "--threads", "1", out="again")
    assert first.read_bytes() == second.read_bytes()
    assert whole.run(first, "a b").stdout == b"app: a b\n"
    assert facts(first)["starts"] == ("AppRun" if name == "AppImage" else "bin/app")


def test_a_type_2_image(whole: Harness, foreign: App) -> None:
    """Its tree is that of the AppDir which the image was made of."""
    bundle = convert(whole, foreign.bundle)
    report = whole.run(bundle, "probe:report", "probe:sum").report()
    assert foreign.sums_seen(report, environ_of(report)["APPDIR"])
    assert facts(bundle)["converted"] == "AppImage type 2"


def test_what_comes_out_is_what_went_in(whole: Harness, app: App) -> None:
    archive = bsdtar(whole.work / "p.tar.zst", app.appdir, "--zstd", "--format=pax")
    bundle = convert(whole, archive)
    whole.run(whole.door, "extract", bundle, "-C", whole.work / "tree")
    made, ours = archived(snapshot(app.appdir)), archived(snapshot(whole.work / "tree"))
    assert made.keys() == ours.keys()
    for path, entry in made.items():
        mine = ours[path]
        assert (mine.content, mine.mtime, mine.names) == (entry.content, entry.mtime, entry.names), path
        assert mine.mode & 0o777 in (packed_mode(entry.mode), entry.mode & 0o777, 0o755, 0o777), path


def test_everything_left_out_is_named(whole: Harness) -> None:
    content = tar([member("AppRun", b"#!/bin/sh\n", mode=0o4755), member("pipe", kind=b"6")])
    archive = write(whole.work / "a.tar", content)
    said = whole.run(whole.door, "convert", archive, "-o", "out", "--level", "1").stderr.decode()
    assert "left out: fifo: pipe" in said and "left out: set-user-id or set-group-id bit: AppRun" in said
    assert facts(whole.work / "out")["left_out"] == ["set-user-id or set-group-id bit: AppRun", "fifo: pipe"]


def test_packages_say_what_they_are(whole: Harness) -> None:
    top = whole.base / "root"
    write(top / "usr" / "bin" / "app", "#!/bin/sh\necho fine\n", 0o755)
    write(top / "usr" / "bin" / "other", "#!/bin/sh\n", 0o755)
    control = "Package: app\nVersion: 1.0\nArchitecture: amd64\nDepends: libx (>= 2)\n"
    package = deb(whole.work / "whatever.deb", top, control)
    result = whole.run(whole.door, "convert", package, "-o", "out", "--level", "1")
    assert b"depends on packages that it does not bring: libx (>= 2)" in result.stderr
    assert b"starts usr/bin/app" in result.stdout
    assert facts(whole.work / "out")["package"] == {"name": "app", "version": "1.0", "machine": "amd64"}
    assert whole.run(whole.work / "out").stdout == b"fine\n"
    made = cpio_rpm(whole.work / "w.rpm", tree(whole.base / "tree"))
    assert facts(convert(whole, made, out="rpm"))["package"] == {"name": "app", "version": "1.0-2", "machine": ""}


def test_another_program_of_it(whole: Harness, foreign: App) -> None:
    for name in "ab":
        write(whole.base / "x" / "bin" / name, f"#!/bin/sh\necho {name}\n", 0o755)
    archive = bsdtar(whole.work / "two.tar", whole.base / "x")
    whole.refused(whole.run(whole.door, "convert", archive, "-o", "out", status=None), "bin/a, bin/b")
    assert not (whole.work / "out").exists()
    assert whole.run(convert(whole, archive, "--entry", "bin/b")).stdout == b"b\n"


def test_trace(whole: Harness) -> None:
    write(whole.base / "x" / "AppRun", '#!/bin/sh\ncat "$APPDIR/$1"\n', 0o755)
    for name in "abc":
        write(whole.base / "x" / name, f"{name}\n")
    archive = bsdtar(whole.work / "x.tar", whole.base / "x")
    result = whole.run(whole.door, "convert", archive, "-o", "out", "--level", "1", "--trace", "--", "c")
    assert b"files first" in result.stdout
    hot = [Bundle(whole.work / "out").index.paths()[number] for number in Bundle(whole.work / "out").index.hot]
    assert b"c" in hot and b"a" not in hot


def test_refusals(whole: Harness, app: App) -> None:
    archive = bsdtar(whole.work / "a.tar", app.appdir)
    before = archive.read_bytes()
    for arguments, words in (
        ([archive, "-o", archive], "is the image itself"),
        ([app.appdir, "-o", "out"], "tmprun pack"),
        ([archive, "-o", "out", "--level", "99"], "no level 99"),
        ([archive, "-o", "out", "more"], "--trace"),
        (["/etc/passwd", "-o", "out"], "is text"),
        ([archive, "-o", "/no/such/out"], "No such file"),
    ):
        whole.refused(whole.run(whole.door, "convert", *arguments, status=None), words, status=result_status(words))
    assert archive.read_bytes() == before and not (whole.work / "out").exists()


def result_status(words: str) -> int:
    return 126 if words in ("tmprun pack", "is text") else 127


def test_update_information_and_signature(whole: Harness, app: App) -> None:
    """They are the original's: the first is kept, the second covers the original alone."""
    info = "zsync|https://example.org/a.zsync"
    whole.run(whole.door, "pack", app.appdir, "-o", "with-info", "--level", "1", "--update-info", info)
    made = convert(whole, whole.work / "with-info")
    assert whole.run(made, "--appimage-updateinformation").stdout.decode().strip() == info


def test_old_times_and_no_times(whole: Harness) -> None:
    """A time before 1970, and one that is none, are no reason to fail."""
    old = member("AppRun", b"#!/bin/sh\necho old\n", mode=0o755)
    old[0].mtime = -5
    archive = write(whole.work / "a.tar", tar([old]))
    assert whole.run(convert(whole, archive)).stdout == b"old\n"
