"""The README's commands, run as they stand there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.apps import script_appdir, write
from kit.harness import Harness, Result
from kit.musl_root import in_musl, make_root

README = (Path(__file__).resolve().parents[3] / "README.md").read_text()
LS = Path("/usr/bin/ls")  # the README's example: a program that wants glibc
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
    write(harness.work / "image" / "AppRun", LS.read_bytes(), 0o755)
    squashfs = harness.work / "squashfs"
    subprocess.run(["mksquashfs", squashfs.with_name("image"), squashfs, "-quiet", "-no-progress"], check=True)
    write(harness.work / "app.AppImage", LS.read_bytes() + squashfs.read_bytes(), 0o755)
    path = f"{door_with_python.parent}:{harness.settings['PATH']}"
    return lambda script: harness.run("sh", "-euc", script, env={"PATH": path})


def test_an_appimage_runs_and_an_appdir_becomes_a_file_that_runs_itself(shell: Shell) -> None:
    (use,) = blocks("Use it")
    said = shell(use).stdout.decode().splitlines()
    assert "app.AppImage" in said
    assert said[-1] == "from the bundle"


def test_a_glibc_program_and_an_appimage_run_where_there_is_no_glibc(
    shell: Shell, harness: Harness, tmp_path: Path
) -> None:
    example, again, *rest = blocks("A glibc program on Alpine")
    assert not rest
    assert "usr" in shell(example).stdout.decode().splitlines()
    shell(again)
    root = make_root(tmp_path / "root")
    in_musl(harness, root, harness.work, "/apps/ls.AppDir/AppRun", "/", status=127)
    for name in ("ls", "app"):
        there = in_musl(harness, root, harness.work, f"/apps/{name}", "/").stdout.decode().splitlines()
        assert {"apps", "bin", "proc"} <= set(there), name


def test_a_bundle_is_listed_without_us(shell: Shell) -> None:
    (command,) = re.findall(r"`(tail -c [^`]+)`", README)
    (use,) = blocks("Use it")
    said = shell(f"{use}\n{command}").stdout.decode()
    assert re.search(r"^(\./)?AppRun$", said, re.MULTILINE), said
