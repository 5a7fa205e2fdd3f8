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
