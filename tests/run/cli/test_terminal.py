"""What stands in an image's names: shown harmlessly on a terminal, exactly to programs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from kit.apps import packed, write
from kit.harness import Harness
from kit.terminal import on_a_terminal

NAMES = {
    b"esc\x1b]0;title\x07": rb"esc\x1b]0;title\x07",
    b"new\nline": rb"new\nline",
    b"tab\tand\rreturn": rb"tab\tand\rreturn",
    b"\x7f": rb"\x7f",
    b"c1 \xc2\x9b2J": rb"c1 \x9b2J",
    b"raw \x9b2J": rb"raw \x9b2J",
    b"turned \xe2\x80\xaetxt.exe": rb"turned \u202etxt.exe",
    b"tag \xf3\xa0\x80\xa0": rb"tag \U000e0020",
    b"cut \xe2\x82": rb"cut \xe2\x82",
    b"long form \xc0\xaf": rb"long form \xc0\xaf",
    "schön €𝄞 \\ back".encode(): "schön €𝄞 \\ back".encode(),
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    appdir = tmp_path / "app.AppDir"
    appdir.mkdir()
    write(appdir / "AppRun", b"#!/bin/sh\n", 0o755)
    for name in NAMES:
        write(Path(os.fsdecode(bytes(appdir) + b"/" + name)), b"x", 0o644)
    return packed(appdir, tmp_path / "app").bundle


@pytest.mark.parametrize("way", ["--appimage-list", "--appimage-extract", "extract"])
def test_names(harness: Harness, door_with_python: Path, app: Path, way: str) -> None:
    command: list[str | Path] = [door_with_python, way, app] if way == "extract" else [app, way]
    before = b"" if way == "--appimage-list" else b"squashfs-root/"
    shown = sorted([b"AppRun", *NAMES.values()])
    assert sorted(on_a_terminal(harness, *command).splitlines()) == [before + name for name in shown]
    raw = sorted([b"AppRun", *NAMES])
    assert harness.run(*command).stdout == b"".join(before + name + b"\n" for name in raw)


def test_json_is_exact(harness: Harness, door_with_python: Path, app: Path) -> None:
    told = json.loads(harness.run(door_with_python, "extract", "--json", app).stdout)
    assert sorted(map(os.fsencode, told["paths"])) == sorted(b"squashfs-root/" + name for name in [b"AppRun", *NAMES])


def test_messages(harness: Harness, app: Path) -> None:
    result = harness.run(harness.door, "run", "no\x1b[2J\u009b\nsuch", status=127)
    assert result.stderr.startswith(rb"tmprun: no\x1b[2J\x9b\nsuch: no such file")


SLOWLY = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=openat", "-e", "inject=openat:delay_enter=60000")


@pytest.mark.parametrize("fill", ["eager", "auto"])
def test_what_lasts_is_said(harness: Harness, tmp_path: Path, fill: str) -> None:
    """After a second, on a terminal alone, and it is taken away again."""
    appdir = tmp_path / "app.AppDir"
    write(appdir / "AppRun", b"#!/bin/sh\necho started >&2\n", 0o755)
    for number in range(40):
        write(appdir / str(number), b"x")
    app = packed(appdir, tmp_path / "a\x1bpp").bundle
    harness.settings["TMPRUN_FILL"] = fill
    said = on_a_terminal(harness, *SLOWLY, harness.door, app, stream="stderr")
    assert b"unpacking a\\x1bpp ... 1 s" in said and said.endswith(b"\r\x1b[Kstarted\n"), said
    harness.clear()
    assert harness.run(*SLOWLY, harness.door, app).stderr == b"started\n"


def test_what_is_quick_is_not(harness: Harness, app: Path) -> None:
    assert on_a_terminal(harness, harness.door, app, stream="stderr") == b""
