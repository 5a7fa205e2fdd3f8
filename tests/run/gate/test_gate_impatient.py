"""Programs that open files without waiting (O_NONBLOCK): known beforehand, or noticed."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from kit.apps import SETTLED, noise, write
from kit.gating import LINGER, Gated, helpers, only, tree_of, truth
from kit.harness import Harness, wait_until

from tmprun.pack.pack import pack

MARK = b"\xff\xff\xff\xff"  # docs/store.md: an open of an earlier start was turned away
FILES = ["usr/share/large", "usr/share/text2/09", "usr/lib/lib1.so.1", "usr/share/sparse"]
HASTY = [f"nonblock={path}" for path in FILES]
AGAIN = b"Resource temporarily unavailable"


def traces(harness: Harness) -> list[bytes]:
    return [path.read_bytes() for path in harness.kept("trace").glob("?" * 64)]


def is_marked(harness: Harness) -> bool:
    return any(trace.startswith(MARK) for trace in traces(harness))


def test_who_does_not_wait_is_noticed_and_served_first_next_time(harness: Harness, gated_app: Gated) -> None:
    first = harness.run(gated_app.image, *HASTY, env=truth(gated_app, "demand"))
    assert first.stdout.count(AGAIN) >= 2
    wait_until(lambda: not helpers(harness.store), LINGER)
    assert is_marked(harness)
    second = harness.run(gated_app.image, *HASTY, env=truth(gated_app))
    assert second.stdout == b"right 1\n" * len(HASTY)
    assert b"unpacking everything first: it opens files without waiting" in second.stderr
    assert is_marked(harness)


def test_in_the_background_everything_is_filled_at_once(harness: Harness, gated_app: Gated) -> None:
    """Before the two seconds after which the rest would come in any case, and though somebody waits all the time."""
    go = harness.base / "go"
    process = harness.start(gated_app.image, *HASTY, f"wait={go}", env=truth(gated_app, "background"))
    wait_until(
        lambda: (tree_of(harness).parent / "watch").exists() if any(harness.shelf("tree").glob("*")) else False, 1
    )
    go.touch()
    assert b"wrong" not in harness.finish(process).stdout


def test_who_waits_is_not_taken_for_one_who_does_not(harness: Harness, gated_app: Gated) -> None:
    for seed in range(3):
        harness.run(gated_app.image, f"read={seed},3,3", env=truth(gated_app, "demand"))
        wait_until(lambda: not helpers(harness.store), LINGER)
        harness.clear()
    assert traces(harness) and not is_marked(harness)


def test_a_killed_filler_has_remembered_it(harness: Harness, gated_app: Gated) -> None:
    go = harness.base / "go"
    process = harness.start(gated_app.image, *HASTY, f"wait={go}", env=truth(gated_app, "demand"))
    wait_until(lambda: is_marked(harness))
    filler = only(harness.store, "filler")
    filler.send(9)
    wait_until(lambda: only(harness.store, "filler") != filler)
    go.touch()
    harness.finish(process)
    wait_until(lambda: not helpers(harness.store), LINGER)
    assert is_marked(harness)


@pytest.mark.parametrize("fill", [None, "background"])
@pytest.mark.parametrize("kind", ["bundle", "foreign"])
def test_a_script_that_calls_grep_r_finds_everything(
    harness: Harness, tmp_path: Path, gated_app: Gated, door_with_python: Path, kind: str, fill: str | None
) -> None:
    """Large enough to be filled in the background otherwise, on as many processors as there are here. Also where that
    is set for all apps: only `--fill` is about this one."""
    appdir = tmp_path / "Grep.AppDir"
    write(appdir / "AppRun", '#!/bin/sh\ngrep -rl needle "$APPDIR/etc" 2>&1 | grep -c conf\n', 0o755)
    for number in range(40):
        write(appdir / f"etc/{number}.conf", noise(2_000_000, number) + b"\nneedle\n")
    image = tmp_path / "image"
    if kind == "bundle":
        pack(appdir, image, level=1, threads=2)
    else:
        options = ["-comp", "zstd", "-Xcompression-level", "1", "-all-root", "-quiet", "-no-progress"]
        subprocess.run(["mksquashfs", appdir, tmp_path / "squashfs", *options], check=True, stdout=subprocess.DEVNULL)
        write(image, (gated_app.appdir / "AppRun").read_bytes() + (tmp_path / "squashfs").read_bytes(), 0o755)
    time.sleep(SETTLED)
    result = harness.run(door_with_python, image, env={"TMPRUN_LOG": "debug", "TMPRUN_FILL": fill})
    assert result.stdout == b"40\n"
    assert b"it opens files without waiting" in result.stderr
