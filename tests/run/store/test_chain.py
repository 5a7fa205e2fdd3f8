"""Whom a store's path belongs to (docs/store.md): another user who can turn a step of it gets nothing of his run."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from kit.apps import App
from kit.harness import Harness, remove
from kit.places import appdirs, shelf

STARTS = int(os.environ.get("TMPRUN_ATTACKS", "150"))
EXCHANGE, HERE = 2, -100

EVIL = b"#!/bin/sh\necho EVIL\n"


@contextmanager
def swapping(user: int, one: Path, other: Path) -> Iterator[None]:
    """As `user`, exchange two names of his without a pause."""
    call = ctypes.CDLL(None, use_errno=True).renameat2
    attacker = os.fork()
    if not attacker:
        with suppress(BaseException):
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            while call(HERE, bytes(one), HERE, bytes(other), EXCHANGE) == 0:
                pass
        os._exit(1)
    try:
        yield
        assert os.waitpid(attacker, os.WNOHANG) == (0, 0), "the attacker could exchange them all the time"
    finally:
        os.kill(attacker, signal.SIGKILL)
        os.waitpid(attacker, 0)


def plant(tree: Path, user: int) -> None:
    """A tree of the attacker's, where the path of ours would lead once the name is exchanged."""
    tree.mkdir(parents=True)
    (tree / "AppRun").write_bytes(EVIL)
    (tree / "AppRun").chmod(0o755)
    for path in [tree, *tree.parents][:5]:
        os.chown(path, user, user)


@pytest.fixture
def place(in_memory: Harness) -> Path:
    return in_memory.base / "place"


def attack(harness: Harness, app: App, settings: dict[str, str | None]) -> tuple[int, int]:
    """How many of the starts ran something, and how many of them what the attacker wants run."""
    ran = [harness.run(harness.door, app.bundle, env=settings, status=None) for _ in range(STARTS)]
    return sum(result.status == 0 for result in ran), sum(b"EVIL" in result.stdout for result in ran)


def built_below(harness: Harness, app: App, root: Path, settings: dict[str, str | None]) -> Path:
    """Start once while the place can be trusted; the path of the tree, relative to `root`."""
    harness.run(harness.door, app.bundle, env=settings)
    (tree,) = appdirs(root)
    return tree.relative_to(root)


def test_symlink_that_another_user_turns(in_memory: Harness, nobody: int, app: App, place: Path) -> None:
    """HOME after `sudo -E`: its .cache leads to our store now, and to his the next moment."""
    home, store = place / "home", place / "home" / "real" / "tmprun"
    store.parent.mkdir(parents=True, mode=0o755)
    settings = {"TMPRUN_STORE": str(home / ".cache" / "tmprun")}
    tree = built_below(in_memory, app, store, {"TMPRUN_STORE": str(store)})
    shutil.rmtree(shelf(store, "id"))
    plant(home / "evil" / "tmprun" / tree, nobody)
    for name, target in ((".cache", "real"), (".turn", "evil")):
        (home / name).symlink_to(target)
        os.chown(home / name, nobody, nobody, follow_symlinks=False)
    os.chown(home, nobody, nobody)
    os.chown(home / "real", nobody, nobody)
    with swapping(nobody, home / ".cache", home / ".turn"):
        assert attack(in_memory, app, settings) == (0, 0)
    remove(store)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o770])
def test_directory_that_others_may_write_to(in_memory: Harness, nobody: int, app: App, place: Path, mode: int) -> None:
    """TMPDIR without the sticky bit: whoever may write there may rename what is ours. Another root is taken instead."""
    place.mkdir()
    os.chown(place, 0, nobody)
    store = place / f"tmprun-{os.geteuid()}"
    tree = built_below(in_memory, app, store, {"TMPRUN_STORE": str(store)})
    plant(place / "evil" / tree, nobody)
    place.chmod(mode)
    settings: dict[str, str | None] = {"TMPRUN_STORE": None, "TMPDIR": str(place), "APPIMAGE_EXTRACT_AND_RUN": "1"}
    settings["XDG_RUNTIME_DIR"] = None
    with swapping(nobody, store, place / "evil"):
        started, evil = attack(in_memory, app, settings)
    assert (started, evil) == (STARTS, 0)


def group_files(users: str, groups: str, tmp_path: Path) -> list[str]:
    """A command before another: with these lists of users and groups, in a mount namespace of its own."""
    passwd, group = tmp_path / "passwd", tmp_path / "group"
    passwd.write_text(users)
    group.write_text(groups)
    mount = f"mount --bind {passwd} /etc/passwd && mount --bind {group} /etc/group"
    return ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]


ROOT = "root:x:0:0:root:/root:/bin/sh\n"
JOE = "joe:x:1234:4321::/home/joe:/bin/sh\n"
GROUPS: dict[str, tuple[str, str, bool]] = {
    "private": (ROOT + JOE, "root:x:0:\njoe:x:4321:\n", True),
    "private, named": (ROOT + JOE, "root:x:0:\njoe:x:4321:joe,root\n", True),
    "no newline at the end": (ROOT + JOE, "root:x:0:\njoe:x:4321:joe", True),
    "of another, too": (ROOT + JOE + "eve:x:1235:4321::/:/bin/sh\n", "joe:x:4321:\n", False),
    "with a member": (ROOT + JOE + "eve:x:1235:1::/:/bin/sh\n", "joe:x:4321:joe,eve\n", False),
    "with a member whom nobody knows": (ROOT + JOE, "joe:x:4321:mallory\n", False),
    "in no file": (ROOT + JOE, "root:x:0:\n", False),
    "no users at all": ("", "joe:x:4321:joe\n", False),
}


@pytest.mark.parametrize("case", GROUPS)
def test_group_of_a_directory(
    in_memory: Harness, nobody: int, app: App, place: Path, tmp_path: Path, case: str
) -> None:
    """Where everybody has a group of his own, umask 002 makes directories that their group may write to."""
    users, groups, fine = GROUPS[case]
    place.mkdir()
    place.chmod(0o775)
    os.chown(place, 1234, 4321)
    command = group_files(users, groups, tmp_path)
    command += ["setpriv", "--reuid", "1234", "--regid", "4321", "--clear-groups"]
    result = in_memory.run(
        *command, in_memory.door, app.bundle, env={"TMPRUN_STORE": str(place / "store")}, status=0 if fine else 127
    )
    assert fine or b"others may write to (place)" in result.stderr
    assert (place / "store").exists() == fine
    os.chown(place, 0, 0)


def link(target: Callable[[Path], Path | str], owner: int = 0) -> Callable[[Path, int], Path]:
    def make(place: Path, nobody: int) -> Path:
        (place / "far").mkdir()
        (place / "link").symlink_to(target(place))
        os.chown(place / "link", nobody * owner, nobody * owner, follow_symlinks=False)
        return place / "link"

    return make


def sticky(place: Path, nobody: int) -> Path:
    (place / "far").mkdir()
    (place / "far").chmod(0o1777)
    return place / "far"


def anothers(place: Path, nobody: int) -> Path:
    (place / "far" / "near").mkdir(parents=True)
    os.chown(place / "far", nobody, nobody)
    return place / "far" / "near"


def a_file(place: Path, nobody: int) -> Path:
    (place / "far").touch()
    return place / "far"


STEPS: dict[str, tuple[Callable[[Path, int], Path], str]] = {
    "sticky": (sticky, ""),
    "relative link of ours": (link(lambda place: "far"), ""),
    "absolute link of ours": (link(lambda place: place / "far"), ""),
    "link with dots": (link(lambda place: "../place/./far/"), ""),
    "link of another": (link(lambda place: "far", 1), "behind a symlink of another user (link)"),
    "link in a circle": (link(lambda place: "link"), "too many symbolic links"),
    "another's directory above": (anothers, "in a directory of another user (far)"),
    "a file above": (a_file, "no directory (far)"),
    "nothing above": (lambda place, nobody: place / "far" / "near", "no such file"),
}


@pytest.mark.parametrize("case", STEPS)
def test_steps(in_memory: Harness, nobody: int, app: App, place: Path, case: str) -> None:
    make, refused = STEPS[case]
    place.mkdir()
    place.chmod(0o755)
    store = make(place, nobody) / "store"
    result = in_memory.run(in_memory.door, app.bundle, env={"TMPRUN_STORE": str(store)}, status=127 if refused else 0)
    assert not refused or refused in result.stderr.decode()
    remove(store.resolve() if not refused else place / "none")
