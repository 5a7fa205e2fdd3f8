"""AppImages of others through the front door: the first start reads the image, the others know it, without Python."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from kit.apps import SETTLED, App, write
from kit.exact import seen_with_exactly
from kit.harness import Harness, environ_of, remove
from kit.places import PUBLISHED
from kit.tracing import READS, trace


@pytest.fixture
def whole(harness: Harness, door_with_python: Path) -> Harness:
    harness.door = door_with_python
    return harness


def right(app: App, harness: Harness, *options: str, bundle: Path | None = None) -> bool:
    report = harness.run(harness.door, *options, bundle or app.bundle, "probe:report", "probe:sum").report()
    return app.sums_seen(report, environ_of(report)["APPDIR"])


def test_the_first_start_is_right(whole: Harness, foreign: App) -> None:
    assert right(foreign, whole) and right(foreign, whole)


def test_the_first_start_has_no_python(whole: Harness, foreign: App) -> None:
    cold = trace(whole, whole.door, foreign.bundle)
    assert [call.name for call in cold].count("execve") == 2
    assert not any("python" in call.rest for call in cold)


def test_a_warm_start_reads_no_byte_of_the_image(whole: Harness, foreign: App) -> None:
    whole.run(whole.door, foreign.bundle)
    time.sleep(SETTLED)
    whole.run(whole.door, foreign.bundle)  # compares the tree, as the first one does behind the clock's tick
    warm = trace(whole, whole.door, foreign.bundle)
    assert [call.name for call in warm].count("execve") == 2 and len({call.pid for call in warm}) == 1
    touched = [call for call in warm if f"<{foreign.bundle}>" in call.rest]
    assert touched and not any(call.name in READS for call in touched)
    assert len(warm) < 52 + 4 * len(whole.store.parents)  # each of which is opened, looked at, and closed


def test_a_lost_tree_is_built_of_what_is_known(whole: Harness, foreign: App) -> None:
    """What was learnt about the image is kept on disk: after a reboot only the tree is made again."""
    whole.run(whole.door, foreign.bundle)
    whole.clear()
    again = whole.run(whole.door, foreign.bundle, env={"TMPRUN_LOG": "debug"})
    assert b"nothing is known" not in again.stderr
    assert right(foreign, whole)


def test_a_copy_is_known_by_its_content(whole: Harness, foreign: App) -> None:
    whole.run(whole.door, foreign.bundle)
    (index,) = whole.kept("image").iterdir()
    before = index.stat()
    copy = Path(shutil.copy(foreign.bundle, whole.work / "copy"))
    time.sleep(SETTLED)
    whole.clear()
    assert right(foreign, whole, bundle=copy)
    assert len(list(whole.kept("known").iterdir())) == 2
    assert (index.stat().st_ino, index.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_cache_that_cannot_be_written_is_no_error(whole: Harness, foreign: App) -> None:
    (whole.base / "cache" / "tmprun").write_bytes(b"no directory")
    assert right(foreign, whole) and right(foreign, whole)


def test_python_and_the_engine_know_the_same(whole: Harness, foreign: App) -> None:
    """The index that either of them leaves is the other's: one key, one tree."""
    assert b"unpacked" in whole.run(whole.door, foreign.bundle, env={"TMPRUN_LOG": "debug"}).stderr
    path = whole.run(whole.door, "cache", "path", foreign.bundle).stdout.decode().strip()
    assert path.startswith(str(whole.store))
    (entry,) = whole.shelf("tree").iterdir()
    assert entry.name in path


# What is done to the index "$1" that is kept about the image.
DAMAGE = {
    "cut": 'truncate -s 500 "$1"',
    "empty": ': > "$1"',
    "flipped": 'printf X | dd of="$1" bs=1 seek=200 conv=notrunc',
    "gone": 'rm "$1"',
    "a symlink": 'mv "$1" "$1.moved"; ln -s "$1.moved" "$1"',
    "a fifo": 'rm "$1"; mkfifo "$1"',
    "a directory": 'rm "$1"; mkdir "$1"',
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_knowledge_is_made_anew(whole: Harness, foreign: App, what: str) -> None:
    whole.run(whole.door, foreign.bundle)
    whole.clear()
    (index,) = whole.kept("image").iterdir()
    index.chmod(0o600)
    whole.run("sh", "-ec", DAMAGE[what], "sh", index)
    assert right(foreign, whole)


def test_the_callers_environment_survives_python(whole: Harness, foreign: App) -> None:
    """CPython sets LC_CTYPE when the locale is C (PEP 538), and its own variables must mean nothing to our Python."""
    odd = [b"LC_ALL=C", b"PYTHONPATH=/nowhere", b"PYTHONHOME=/nowhere", b"PYTHONSTARTUP=/x", b"PYTHONINSPECT=1"]
    odd += [b"TWICE=1", b"TWICE=2", b"LD_LIBRARY_PATH=:", b"B=\xff\n"]
    for settings in (odd, [b"LC_CTYPE=C"], [b"LANG=C"], []):
        remove(whole.base / "cache" / "tmprun")
        whole.clear()
        base = [os.fsencode(f"{name}={value}") for name, value in whole.settings.items()]
        seen = seen_with_exactly(whole, [whole.door, foreign.bundle, "probe:report"], base + settings)
        assert seen == base + settings


@pytest.mark.parametrize(
    "name", ["app.AppImage", "-dash", "two\nlines", "caf\xe9 \udcff", "pack", "run", "@run", "help"]
)
def test_odd_names(whole: Harness, foreign: App, name: str) -> None:
    image = Path(shutil.copy(foreign.bundle, whole.work / name))
    time.sleep(SETTLED)
    for typed in (f"./{name}", str(image)):
        for _ in range(2):
            seen = whole.run(whole.door, typed, "probe:report", "--", "-x").report()
            argv = [word.encode("latin-1") for word in seen["argv"]]
            assert argv == [os.fsencode(typed), b"probe:report", b"--", b"-x"]
            assert environ_of(seen)["APPIMAGE"].encode("latin-1") == os.fsencode(image)


def test_flags_of_a_foreign_image(whole: Harness, foreign: App) -> None:
    listed = whole.run(whole.door, foreign.bundle, "--appimage-list").stdout
    assert b"usr/share/text\n" in listed
    whole.run(whole.door, foreign.bundle, "--appimage-extract", "usr/share/*")
    out = whole.work / "squashfs-root"
    assert (out / "usr/share/noise").read_bytes() == (foreign.appdir / "usr/share/noise").read_bytes()
    assert not (out / "AppRun").exists()
    offset = int(whole.run(whole.door, foreign.bundle, "--appimage-offset").stdout)
    assert foreign.bundle.read_bytes()[offset : offset + 4] == b"hsqs"
    assert whole.left() == []
    seen = whole.run(whole.door, foreign.bundle, "--appimage-extract-and-run", "probe:report").report()
    assert seen["argv"][1:] == ["probe:report"]


def test_options_of_run_survive_python(whole: Harness, foreign: App) -> None:
    chosen = whole.base / "chosen"
    seen = whole.run(
        whole.door, "run", "--store", chosen, "--fill", "eager", "--verify", foreign.bundle, "probe:report"
    ).report()
    assert environ_of(seen)["APPDIR"].startswith(f"{chosen}{PUBLISHED}")


def test_a_magic_of_zeros_and_padding_make_no_difference(whole: Harness, foreign: App) -> None:
    data = foreign.bundle.read_bytes()
    for changed in (data[:8] + b"AI\x02" + data[11:], data + bytes(4096)):
        image = write(whole.work / "changed", changed, 0o755)
        time.sleep(SETTLED)
        assert right(foreign, whole, bundle=image)


def test_changed_frames_are_found_although_the_image_is_known(whole: Harness, foreign: App) -> None:
    """The file is written to behind our back, its times put back, its index known: the frames' digests tell."""
    image = Path(shutil.copy(foreign.bundle, whole.work / "image"))
    time.sleep(SETTLED)
    whole.run(whole.door, image)
    whole.clear()
    before = image.stat()
    (identity,) = whole.kept("known").iterdir()
    offset = int(whole.run(whole.door, image, "--appimage-offset").stdout)
    with image.open("r+b") as file:
        file.seek(offset + 20_000)
        file.write(b"overwritten")
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    now = image.stat()
    fields = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
    identity.rename(identity.with_name("-".join(f"{field:x}" for field in fields)))
    whole.clear()
    result = whole.run(whole.door, image, status=None)
    whole.refused(result, "changed")


def test_two_first_starts_at_once(whole: Harness, foreign: App) -> None:
    started = [whole.start(whole.door, foreign.bundle, "probe:report", "probe:sum") for _ in range(6)]
    for process in started:
        result = whole.finish(process)
        assert result.status == 0 and foreign.sums_seen(result.report(), environ_of(result.report())["APPDIR"])


def test_the_door_alone_starts_it(harness: Harness, foreign: App) -> None:
    harness.door = Path(shutil.copy(harness.door, harness.base / "tmprun"))
    assert right(foreign, harness) and right(foreign, harness)


def test_what_needs_python_says_so_without_it(harness: Harness, foreign: App) -> None:
    lonely = Path(shutil.copy(harness.door, harness.base / "tmprun"))
    harness.refused(harness.run(lonely, "info", foreign.bundle, status=None), "tmprun-py", status=127)


@pytest.mark.parametrize("limit", range(4, 20, 3))
@pytest.mark.parametrize("verb", [[], ["info"]], ids=["run", "info"])
def test_few_descriptors(harness: Harness, door_with_python: Path, foreign: App, verb: list[str], limit: int) -> None:
    """It works, or one line says why not."""
    command = ["prlimit", f"--nofile={limit}", door_with_python, *verb, foreign.bundle]
    result = harness.run(*command, status=None)
    said = result.stderr.decode()
    assert result.status == 0 or (said.startswith("tmprun: ") and said.count("\n") == 1), str(result)
    assert result.status == 0 or "descriptors" in said or "too many open files" in said.lower(), str(result)
