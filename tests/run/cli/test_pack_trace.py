"""`tmprun pack --trace`: what a start opens is put first, and `tmprun info` says so."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from kit.gating import EVERYTHING, LINGER, Gated, helpers, reader_appdir, truth
from kit.harness import Harness, wait_until
from kit.tracing import calls, strace

from tmprun.bundle.footer import read_footer, read_index
from tmprun.index.decode import decode

OPENED = ["usr/share/text6/55", "usr/lib/lib6.so.6", "usr/share/text0/07"]


@pytest.fixture
def tracing(harness: Harness, door_with_python: Path) -> Harness:
    """What is left of a trace would be in its own TMPDIR."""
    (harness.base / "tmp").mkdir()
    harness.settings |= {"TMPDIR": str(harness.base / "tmp")}
    harness.door = door_with_python
    return harness


def hot_of(bundle: Path) -> list[str]:
    with bundle.open("rb") as file:
        footer = read_footer(file.fileno())
        assert footer
        index = decode(read_index(file.fileno(), footer))
    paths = index.paths()
    return [paths[number].decode() for number in index.hot]


def nothing_is_left(harness: Harness) -> bool:
    return not harness.store.exists() and not os.listdir(harness.base / "tmp")


def test_what_the_app_opens_is_hot(tracing: Harness, gated_app: Gated) -> None:
    out = tracing.base / "out"
    orders = [f"open={path}" for path in OPENED]
    words = [tracing.door, "pack", gated_app.appdir, "-o", out, "--level", "3", "--trace", "--", *orders]
    result = tracing.run(*words, env=truth(gated_app) | {"TMPRUN_LOG": None})
    assert result.stdout.startswith(b"right 1\n" * len(OPENED))
    assert b"3 files first" in result.stdout
    assert result.stderr == b""
    assert hot_of(out) == OPENED
    assert nothing_is_left(tracing)

    again = tracing.run(out, "read=1,1,1", env=truth(gated_app, "background"))
    assert again.stdout == b"right %d\n" % EVERYTHING


def test_hot_files_lie_in_front_and_are_filled_first(tracing: Harness, gated_app: Gated) -> None:
    """Hot frames hold nothing else: with one processor the first writes go to the hot files."""
    out, log = tracing.base / "out", tracing.base / "strace"
    orders = [f"open={path}" for path in OPENED]
    words = [tracing.door, "pack", gated_app.appdir, "-o", out, "--level", "1", "--trace", "--", *orders]
    tracing.run(*words, env=truth(gated_app))
    processor = str(min(os.sched_getaffinity(0)))
    # What the app opens goes before everything: it must be hot, too.
    traced = ["taskset", "-c", processor, *strace(log, "-e", "trace=pwrite64,execve"), out, orders[0]]
    tracing.run(*traced, env=truth(gated_app, "background"))
    # In the stage or, when it is published, among the trees.
    written = [call.rest.partition(">")[0].rpartition("/tree/")[2] for call in calls(log)]
    gated = [path for path in written if path in gated_app.gated]
    # A thread may have been held up on the way while another one went on.
    assert max(gated.index(path) for path in OPENED) < len(gated) // 20


def test_a_failing_app_is_told_and_packed(tracing: Harness, gated_app: Gated) -> None:
    out = tracing.base / "out"
    words = [tracing.door, "pack", gated_app.appdir, "-o", out, "--level", "1", "-q", "--trace", "--"]
    result = tracing.run(*words, f"open={OPENED[0]}", "no such order", env=truth(gated_app))
    assert b"warning: the app ended with status 99" in result.stderr
    assert hot_of(out) == OPENED[:1]


def test_an_app_that_goes_on_behind_is_waited_for(tracing: Harness, gated_app: Gated) -> None:
    """Its first process ends; what it left running opens more."""
    appdir = reader_appdir(tracing.base / "copy", gated_app.appdir / "AppRun")
    (appdir / "AppRun").write_text(
        '#!/bin/sh\n(sleep 0.5; exec cat "$APPDIR/usr/share/text3/10" > /dev/null) &\n'
        'cat "$APPDIR/usr/share/text1/01" > /dev/null\n'
    )
    out = tracing.base / "out"
    tracing.run(tracing.door, "pack", appdir, "-o", out, "--level", "1", "-q", "--trace")
    assert hot_of(out) == ["usr/share/text1/01", "usr/share/text3/10"]


def test_where_nothing_can_be_gated_there_is_no_trace(tracing: Harness, gated_app: Gated) -> None:
    words = ["prlimit", "--nofile=40:40", tracing.door, "pack", gated_app.appdir, "-o", tracing.base / "out", "--trace"]
    result = tracing.run(*words, env=truth(gated_app) | {"TMPRUN_LOG": None}, status=127)
    assert b"no file of it was gated; leave out --trace" in result.stderr
    assert not (tracing.base / "out").exists()


def test_arguments_are_the_traced_apps(tracing: Harness, gated_app: Gated) -> None:
    result = tracing.run(tracing.door, "pack", gated_app.appdir, "other", "-o", tracing.base / "out", status=127)
    assert b"give --trace" in result.stderr


def test_info_says_what_comes_first(tracing: Harness, gated_app: Gated) -> None:
    out = tracing.base / "out"
    words = [tracing.door, "pack", gated_app.appdir, "-o", out, "--level", "1", "-q", "--trace", "--"]
    tracing.run(*words, *(f"open={path}" for path in OPENED), env=truth(gated_app))
    size = sum((gated_app.appdir / path).stat().st_size for path in OPENED)
    found = json.loads(tracing.run(tracing.door, "info", out, "--json").stdout)
    assert (found["hot"], found["trace"]) == ({"files": 3, "size": size}, None)

    other = "usr/share/text2/09"
    tracing.run(out, f"open={other}", env=truth(gated_app, "demand"))
    wait_until(lambda: not helpers(tracing.store), LINGER)
    found = json.loads(tracing.run(tracing.door, "info", out, "--json").stdout)
    assert found["trace"] == {"files": 4, "size": size + (gated_app.appdir / other).stat().st_size}
    text = tracing.run(tracing.door, "info", out).stdout.decode()
    assert "in 3 files, as it was packed" in text and "in 4 files, opened by starts on this machine" in text
