"""What an app does to its own tree: its modes are the image's, what it adds stays, what it spoils is made anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit import craft
from kit.apps import noise, write
from kit.foreign_images import image_of
from kit.gating import LINGER, helpers
from kit.harness import Harness, wait_until
from kit.slices import compile_program
from kit.surroundings import ALONE

DEBUG = {"TMPRUN_LOG": "debug"}
SAID = b"files of the app were changed or removed where it is unpacked; unpacking it anew"
MODES = ["eager", "background"]

APPRUN = """#!/bin/sh
cd "$APPDIR" || exit
eval "$1"
"""


@pytest.fixture(scope="module")
def appdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little of everything, and enough to be gated."""
    top = tmp_path_factory.mktemp("own") / "Own.AppDir"
    write(top / "AppRun", APPRUN, 0o755)
    write(top / "usr/share/defaults/settings.ini", "theme=light\n")
    write(top / "usr/share/defaults/profiles/one", "1\n")
    write(top / "usr/share/shared", "everybody's\n", 0o666)
    write(top / "usr/bin/script", "#!/bin/sh\necho hello\n", 0o755)
    write(top / "usr/bin/program", Path("/bin/true").read_bytes(), 0o755)
    write(top / "usr/lib/libreal.so.1", Path("/bin/true").read_bytes())
    for number in range(20):
        write(top / f"usr/lib/python/module{number}.py", b"#" + noise(40_000, number).hex().encode())
    (top / "usr/share").chmod(0o775)
    return top


@pytest.fixture(scope="module", params=["bundle", "foreign"])
def image(request: pytest.FixtureRequest, appdir: Path) -> Path:
    return image_of(request.param, appdir)


@pytest.fixture
def start(harness: Harness, door_with_python: Path, image: Path) -> Callable[..., Any]:
    """Run the app, which obeys a shell command in its own directory."""

    def start(command: str, mode: str = "eager", **settings: str) -> Any:
        result = harness.run(door_with_python, image, command, env=DEBUG | {"TMPRUN_FILL": mode} | settings)
        wait_until(lambda: not helpers(harness.store), LINGER)
        return result

    return start


def is_cold(result: Any) -> bool:
    return b"unpacked into" in result.stderr


SHOW = "stat -c '%a %n' . usr usr/share usr/share/* usr/share/defaults/* usr/bin/* usr/lib/*.so.1 usr/lib/python/*7.py"


@pytest.mark.parametrize("mode", [*MODES, "demand"])
def test_modes_are_the_images(start: Callable[..., Any], image: Path, appdir: Path, mode: str) -> None:
    """But for programs and libraries, which nobody may write to (a packer of ours says only who executes)."""
    seen = dict(line.split(" ", 1)[::-1] for line in start(SHOW, mode).stdout.decode().splitlines())
    sealed = {"usr/bin/program": "555", "usr/lib/libreal.so.1": "444"}
    for path, bits in seen.items():
        own = oct((appdir / path).stat().st_mode & 0o777)[2:]
        if image.name == "bundle":
            own = "755" if own[0] == "7" else "644"
        assert bits == sealed.get(path, own), path
    assert len(seen) > 10


@pytest.mark.parametrize("mode", MODES)
def test_a_copy_of_its_defaults_can_be_written(start: Callable[..., Any], tmp_path: Path, mode: str) -> None:
    home = tmp_path / "configuration"
    command = f"""
    [ -d {home} ] || cp -r usr/share/defaults {home} || exit 3
    echo theme=dark >> {home}/settings.ini && echo mine > {home}/profiles/mine && cat {home}/settings.ini
    """
    for round in (1, 2):
        assert start(command, mode).stdout.decode().split() == ["theme=light"] + ["theme=dark"] * round


@pytest.mark.parametrize("mode", MODES)
def test_what_it_adds_stays_and_its_next_start_is_warm(start: Callable[..., Any], harness: Harness, mode: str) -> None:
    cache = "usr/lib/python/__pycache__"
    first = start(f"mkdir -p {cache} && echo code > {cache}/module1.pyc && ln -s AppRun usr/own", mode)
    assert is_cold(first)
    for _ in range(3):
        again = start(f"cat {cache}/module1.pyc; readlink usr/own; echo more >> usr/log; wc -l < usr/log", mode)
        assert not is_cold(again) and SAID not in again.stderr
    assert again.stdout.split() == [b"code", b"AppRun", b"3"]
    (entry,) = harness.shelf("tree").glob("*")
    assert sorted(path.name for path in entry.iterdir() if "watch" in path.name) == ["watch"]


# What the app does to what the image brought.
SPOILS = {
    "deleted": "rm usr/share/shared",
    "longer": "echo more >> usr/share/shared; : > usr/new",
    "another of the same length": "echo something.. > usr/new; mv usr/new usr/share/shared",
    "a directory in its place": "rm usr/share/shared; mkdir usr/share/shared",
    "a directory away": "mv usr/lib/python usr/lib/other",
    "touched": "touch usr/share/shared; : > usr/new",
    "AppRun": "echo '#' >> AppRun",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", SPOILS)
def test_what_it_spoils_is_made_anew_and_said_once(start: Callable[..., Any], what: str, mode: str) -> None:
    start(":", mode)
    assert start(SPOILS[what], mode).status == 0
    second = start("cat usr/share/shared; ls usr/lib/python | wc -l; ls usr", mode)
    assert is_cold(second) and second.stderr.count(SAID) == 1
    assert second.stdout.split() == [b"everybody's", b"20", b"bin", b"lib", b"share"]
    third = start(":", mode)
    assert not is_cold(third) and SAID not in third.stderr


def test_what_it_spoils_while_it_is_filled_is_not_kept(start: Callable[..., Any], harness: Harness) -> None:
    """The list of a tree that is in use already is not written over what the app has changed by then."""
    spoil = "echo more >> usr/share/shared; rm usr/lib/python/module3.py; cat usr/lib/python/* > /dev/null; sleep 0.5"
    start(spoil, "background")
    second = start("cat usr/share/shared; ls usr/lib/python | wc -l", "background")
    assert second.stdout.split() == [b"everybody's", b"20"]


REMOVES = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/usr/share/data", getenv("APPDIR"));
	puts(access(path, F_OK) == 0 ? "it is there" : "it is not there");
	return count > 1 ? unlink(path) : 0;
}
"""


@pytest.mark.parametrize("kind", ["bundle", "foreign"])
def test_what_it_removes_at_once_is_missed(tmp_path: Path, harness: Harness, door: Path, kind: str) -> None:
    """Within the tick of the clock in which the directory was made, and of which its time says nothing."""
    top = tmp_path / "Removes.AppDir"
    write(top / "usr/share/data", "its data\n")
    compile_program(REMOVES, top / "AppRun", "-static", "-Os", compiler="musl-gcc")
    image = image_of(kind, top)
    for _ in range(10):
        harness.clear()
        env = DEBUG | {"TMPRUN_FILL": "eager"}
        assert harness.run(door, image, "remove", env=env).stdout == b"it is there\n"
        again = harness.run(door, image, env=env)
        assert again.stdout == b"it is there\n" and SAID in again.stderr
        third = harness.run(door, image, env=env)
        assert third.stdout == b"it is there\n" and SAID not in third.stderr and b"unpacked into" not in third.stderr


def test_several_find_the_list_old_at_the_same_time(
    start: Callable[..., Any], harness: Harness, door_with_python: Path, image: Path
) -> None:
    start(":")
    for number in range(10):
        start(f": > usr/new{number}")
        running = [harness.start(door_with_python, image, "cat usr/share/shared", env=DEBUG) for _ in range(6)]
        for result in map(harness.finish, running):
            assert (result.status, result.stdout) == (0, b"everybody's\n") and not is_cold(result), str(result)


def test_a_directory_that_even_it_cannot_read_can_be_removed(
    start: Callable[..., Any], harness: Harness, door_with_python: Path
) -> None:
    start("mkdir -p usr/closed/below; : > usr/closed/below/file; chmod 0 usr/closed/below usr/closed; rm AppRun")
    start(":")
    harness.run(door_with_python, "cache", "clear", *ALONE)
    assert not [name for name in harness.left() if name.startswith(("tree", "trash", "stage"))]


def test_verify_tells_what_was_added(start: Callable[..., Any], harness: Harness, door_with_python: Path) -> None:
    def verify(status: int) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(
            harness.run(door_with_python, "cache", "verify", "--json", status=status).stdout
        )
        return found[0]

    start("mkdir usr/mine; : > usr/mine/file; : > 'two\nlines'")
    found = verify(0)
    assert (found["result"], found["differences"]) == ("intact", [])
    assert sorted(found["added"]) == ["two\\nlines", "usr/mine"]
    assert b"usr/mine: added, not the image's" in harness.run(door_with_python, "cache", "verify").stdout
    start("rm usr/bin/script")
    found = verify(1)
    assert found["result"] == "damaged" and found["differences"] == [
        "usr/bin/script: missing",
        "usr/bin/script: other content",
    ]
    assert "usr/mine" in found["added"]


def test_we_can_always_get_at_it(harness: Harness) -> None:
    """A tree that its owner could not read could be neither compared nor removed; all other bits are the image's."""
    tree: craft.Tree = {
        "AppRun": craft.SCRIPT,
        "closed": craft.File(b"x", 0o033),
        "folder": craft.Folder({"file": craft.File(b"x", 0o222)}, mode=0o273),
    }
    table, payload = craft.index_of(tree)
    harness.run(harness.door, write(harness.base / "app", craft.bundle(table, payload)))
    (top,) = harness.shelf("tree").glob("*/tree")
    modes = [oct((top / path).stat().st_mode & 0o7777)[2:] for path in ("closed", "folder", "folder/file")]
    assert modes == ["433", "773", "622"]
