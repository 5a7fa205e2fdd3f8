"""One app, by path and through tmprun in every mode: all that it sees is the same, or stands here as a difference.

docs/what-an-app-sees.md has the same as a table for people.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kit.foreign_images import image_of
from kit.gating import is_complete
from kit.harness import Harness, wait_until
from kit.trees import below

SEES = Path(__file__).resolve().parents[2] / "probe" / "sees.py"
MODES = ["eager", "background", "demand"]
Seen = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def appdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough of everything to be gated: libraries, data, programs, scripts, links, odd modes and names."""
    top = tmp_path_factory.mktemp("sees") / "Sees.AppDir"
    noise = random.Random(1)
    top.mkdir()
    (top / "AppRun").write_text(SEES.read_text().replace('"""', f'#!{sys.executable} -B\n"""', 1))
    (top / "AppRun").chmod(0o755)
    for folder in ("usr/lib", "usr/bin", "usr/share/many", "usr/share/empty", "usr/share/private"):
        (top / folder).mkdir(parents=True)
    library = Path("/bin/true").read_bytes()
    for number in range(40):
        (top / f"usr/lib/lib{number}.so").write_bytes(library + noise.randbytes(90_000))
        (top / f"usr/share/many/{number} file\u00e9.txt").write_bytes(noise.randbytes(100 * number))
    (top / "usr/share/data").write_bytes(noise.randbytes(3_000_000))
    (top / "usr/share/private/secret").write_text("secret")
    (top / "usr/share/private/secret").chmod(0o600)
    (top / "usr/share/private").chmod(0o700)
    (top / "usr/share/readonly").write_text("read only")
    (top / "usr/share/readonly").chmod(0o444)
    (top / "usr/share/nothing").touch()
    with (top / "usr/share/hole").open("wb") as file:
        file.truncate(1_000_000)
    Path(os.fsdecode(os.fsencode(top) + b"/usr/share/\xff\xfe")).write_text("not UTF-8")
    shutil.copy("/bin/true", top / "usr/bin/program")
    (top / "usr/bin/script").write_text("#!/bin/sh\necho $1 from the script\nexit 3\n")
    for name in ("program", "script"):
        (top / "usr/bin" / name).chmod(0o755)
    os.link(top / "usr/share/data", top / "usr/share/hard link")
    for name, target in {
        "link": "usr/share/data",
        "dangling": "none",
        "absolute": "/etc/passwd",
        "folder": "usr/lib",
    }.items():
        (top / name).symlink_to(target)
    for number, path in enumerate(below(top)):
        os.utime(path, (1_500_000_000 + number, 1_500_000_000 + number), follow_symlinks=False)
    return top


@pytest.fixture(scope="module", params=["bundle", "foreign"])
def image(request: pytest.FixtureRequest, appdir: Path) -> Path:
    return image_of(request.param, appdir)


def seen(harness: Harness, *command: Path | str, **environment: str) -> Seen:
    result = harness.run(*command, "a word", env=environment, close_fds=True)
    assert result.stderr == b"", result.stderr
    found: Seen = json.loads(result.stdout)
    return found


def by_path(harness: Harness, appdir: Path, image: Path) -> Seen:
    """As the AppImage runtimes start it."""
    told = {"APPDIR": appdir, "APPIMAGE": image, "ARGV0": image, "OWD": harness.work}
    return seen(harness, appdir / "AppRun", **{name: str(value) for name, value in told.items()})


def expected(harness: Harness, appdir: Path, image: Path) -> Seen:
    """What it sees by path, with every difference that there is."""
    found = by_path(harness, appdir, image)
    for path, facts in found["stat"].items():
        facts[0] = mode_in_tree(path, facts[0], image.name == "bundle")
    if os.geteuid() != 0:
        # What has no write bit has none when it is copied with its mode.
        for path, how in found["copies"].items():
            sealed = is_sealed(path)
            if sealed or (image.name == "bundle" and path.endswith("/readonly'")):  # which has one in a bundle
                how_here = "EACCES" if sealed else "opened"
                found["copies"][path] = [how_here] * 3 if isinstance(how, list) else how_here
    found["descriptors"]["60"] = "the store's lease"
    return found


def is_sealed(path: str) -> bool:
    """Of a path as `sees.py` says it: a program or library, to which nobody may write."""
    return path.endswith((".so'", "/program'"))


def mode_in_tree(path: str, mode: str, bundle: bool) -> str:
    """`tmprun pack` says who may execute, and that all may read; to programs and libraries nobody may write."""
    if mode[0] == "l":
        return mode
    if bundle:
        mode = mode[0] + ("rwxr-xr-x" if mode[3] == "x" else "rw-r--r--")
    return mode.replace("w", "-") if is_sealed(path) else mode


def turned_away(line: str) -> bool:
    """A lease answers O_NONBLOCK with EWOULDBLOCK, and forbids an app's own: docs/how-it-works.md, "Limits"."""
    return "EAGAIN" in line.partition(" by path")[2] and line.startswith(
        ("/open_flags/", "/nonblocking_again/", "/locks/")
    )


def at_their_own_times(found: Seen, wanted: Seen, since: float) -> None:
    """A file that is being written at that very moment is of now; when it has been opened no longer ("times_again")."""
    for path, facts in found["stat"].items():
        if facts[0].startswith("-") and facts[3] >= int(since):
            facts[3] = wanted["stat"][path][3]


def as_expected(found: Seen) -> Seen:
    """What may be one way or the other, taken out."""
    descriptors = found["descriptors"]
    if "60" in descriptors:
        descriptors["60"] = "the store's lease"
    descriptors.pop("61", None)  # the tie, while files are being filled
    return found


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        return [line for key in keys for line in differences(one.get(key), other.get(key), f"{where}/{key}")]
    return [] if one == other else [f"{where}: {one!r} by path, {other!r} here"]


@pytest.mark.parametrize("mode", MODES)
def test_it_is_as_by_path(harness: Harness, door_with_python: Path, appdir: Path, image: Path, mode: str) -> None:
    """At the first start, and at the second one, which is warm."""
    wanted = expected(harness, appdir, image)
    for start in ("first", "second"):
        began = time.time()
        found = as_expected(seen(harness, door_with_python, image, TMPRUN_FILL=mode))
        wanted["environment"]["TMPRUN_FILL"] = mode
        # An app that watches its own files is told when they are filled, and of nothing when they are there.
        found["inotify"] = found["inotify"] and (mode == "eager" or (start == "second" and mode == "background"))
        filling = mode != "eager" and (start, mode) != ("second", "background")
        if filling:
            at_their_own_times(found, wanted, began)
        lines = differences(wanted, found)
        if filling:
            lines = [line for line in lines if not turned_away(line)]
        assert lines == []
        wait_until(lambda: mode == "demand" or is_complete(harness))
