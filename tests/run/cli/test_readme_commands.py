"""The README's commands, run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.apps import SETTLED, script_appdir, write
from kit.archives import bsdtar
from kit.harness import Harness, Result
from kit.musl_root import in_musl, make_root

README = (Path(__file__).resolve().parents[3] / "README.md").read_text()
PRINTENV = Path("/usr/bin/printenv")  # a program that wants glibc, and no other library
Shell = Callable[[str], Result]


def blocks(section: str) -> list[str]:
    """The commands of a section, each block a script."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## )", README, re.MULTILINE | re.DOTALL)
    return [
        re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    ]


@pytest.fixture
def shell(harness: Harness, door_with_python: Path) -> Shell:
    """Runs a script beside what the README supposes: an AppDir, and an AppImage whose AppRun wants glibc."""
    script_appdir(harness.work, "echo from the bundle", "App.AppDir")
    write(harness.work / "image" / "AppRun", PRINTENV.read_bytes(), 0o755)
    squashfs = harness.work / "squashfs"
    subprocess.run(["mksquashfs", squashfs.with_name("image"), squashfs, "-quiet", "-no-progress"], check=True)
    write(harness.work / "app.AppImage", PRINTENV.read_bytes() + squashfs.read_bytes(), 0o755)
    time.sleep(SETTLED)
    path = f"{door_with_python.parent}:{harness.settings['PATH']}"
    return lambda script: harness.run("sh", "-euc", script, env={"PATH": path})


def test_an_appimage_runs_and_an_appdir_becomes_a_file_that_runs_itself(shell: Shell) -> None:
    (use,) = blocks("Use it")
    said = shell(use).stdout.decode().splitlines()
    assert "ARGV0=app.AppImage" in said
    assert said[-1] == "from the bundle"


def test_a_glibc_program_and_an_appimage_run_where_there_is_no_glibc(
    shell: Shell, harness: Harness, door: Path, tmp_path: Path
) -> None:
    example, slices, *rest = blocks("A glibc program on Alpine")
    assert not rest
    assert "usr" in shell(example).stdout.decode().splitlines()
    make, add, run = slices.splitlines()
    shell(f"{make}\n{add}")
    root = make_root(tmp_path / "root")
    in_musl(harness, root, harness.work, "/apps/ls.AppDir/AppRun", "/", status=127)
    there = in_musl(harness, root, harness.work, "/apps/ls", "/").stdout.decode().splitlines()
    assert {"apps", "bin", "proc"} <= set(there)
    # There is no Python there: what `add` does here, COPY does there.
    source, place = re.findall(r"COPY (\S+) (/\S+)", add)[0]
    (root / place.lstrip("/")).mkdir(parents=True)
    shutil.copy(harness.work / source, root / place.lstrip("/"))
    shutil.copy(door, root / "usr" / "bin" / "tmprun")
    said = in_musl(harness, root, harness.work, "sh", "-c", f"cd /apps && {run}").stdout.decode().splitlines()
    assert "ARGV0=app.AppImage" in said


def test_a_tarball_runs_and_an_appimage_becomes_a_file_for_alpine(
    shell: Shell, harness: Harness, tmp_path: Path
) -> None:
    (commands,) = blocks("Tarballs, packages, older AppImages")
    write(harness.base / "tool-1.0" / "bin" / "tool", '#!/bin/sh\necho "from the tarball $@"\n', 0o755)
    settled = bsdtar(harness.work / "tool-1.0.tar.gz", harness.base / "tool-1.0", "--gzip")
    said = shell(commands).stdout.decode()
    assert said.startswith("from the tarball --help\n") and settled.exists()
    assert "the one program in bin/" in said
    root = make_root(tmp_path / "root")
    in_musl(harness, root, harness.work, "/apps/image/AppRun", status=127)
    there = in_musl(harness, root, harness.work, "/apps/app").stdout.decode().splitlines()
    assert "ARGV0=/apps/app" in there


def test_a_bundle_is_listed_without_us(shell: Shell) -> None:
    (command,) = re.findall(r"`(tail -c [^`]+)`", README)
    (use,) = blocks("Use it")
    said = shell(f"{use}\n{command}").stdout.decode()
    assert re.search(r"^(\./)?AppRun$", said, re.MULTILINE), said
