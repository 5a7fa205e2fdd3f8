"""Started by binfmt_misc for a file that was executed, as a double click does: the app's arguments are the user's.

In a user namespace of its own (Linux 6.7): nothing of it is seen outside.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from kit.apps import packed, script_appdir
from kit.foreign_images import mksquashfs, write_image
from kit.harness import Harness
from kit.surroundings import FOR_WANT_OF_A_RIGHT, unshare

SAY = """#!/bin/sh
echo "$ARGV0|$APPIMAGE|$0|$*|$(ls /proc/self/fd | wc -l)"
"""
REGISTER = "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc"
INSIDE = [*unshare("--user", "--map-root-user", "--mount", "--propagation", "private"), "sh", "-ec"]


@pytest.fixture(scope="module", autouse=True)
def _there() -> None:
    done = subprocess.run([*INSIDE, REGISTER], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"{FOR_WANT_OF_A_RIGHT}binfmt_misc in a user namespace: {done.stderr.decode().strip()}")


@pytest.fixture(params=["bundle", "foreign"])
def image(request: pytest.FixtureRequest, harness: Harness, door_with_python: Path) -> Path:
    """Called like a command of ours, and with AppImage's magic, as the rule asks for."""
    harness.door = door_with_python
    appdir = script_appdir(harness.base, SAY)
    out = harness.work / "info"
    if request.param == "bundle":
        packed(appdir, out)
        with out.open("r+b") as file:
            file.seek(8)
            file.write(b"AI\x02")
    else:
        write_image(out, mksquashfs(appdir, harness.base / "payload"))
    out.chmod(0o755)
    return out


@pytest.mark.parametrize("flags", ["", "P", "O", "PO"])
def test_arguments(harness: Harness, image: Path, flags: str) -> None:
    rule = rf"printf ':ai:M:8:AI\x02::{harness.door}:{flags}' >/proc/sys/fs/binfmt_misc/register"
    runs = [f"{image} a 'b  c'", "./info a 'b  c'", 'PATH="$PWD:$PATH" info a "b  c"', "exec -a typed ./info a 'b  c'"]
    said = harness.run(*INSIDE, "; ".join([REGISTER, rule, *(f"bash -c {_quoted(run)}" for run in runs)])).stdout
    lines = [line.split("|") for line in said.decode().splitlines()]
    assert [line[1] for line in lines] == [str(image)] * 4
    assert [line[3] for line in lines] == ["a b  c"] * 4
    assert len({line[4] for line in lines}) == 1  # no descriptor of the file goes to the app
    assert [line[0] for line in lines[:2]] == [str(image), "./info"]
    if "P" in flags:
        assert lines[3][0] == "typed"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
