"""Stores laid out by hand exactly as docs/store.md says, and processes that use them."""

from __future__ import annotations

import fcntl
import os
import pickle
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.places import VERSION, shelf
from kit.surroundings import IN_CONTAINER
from tmprun.store.prune import Limits
from tmprun.store.shelves import Root

EVERYTHING = Limits(size=0, memory=0, alone=IN_CONTAINER)
NOTHING = Limits(size=1 << 60, memory=1 << 60, alone=IN_CONTAINER)

STAY = "echo ready; read nothing"
PARTS = ("id", "tree", "lock", "stage", "trash")


RUN = os.urandom(31).hex()


def key(number: int) -> str:
    """A well-formed key, in the order of the numbers. No process of another run of the tests knows it."""
    return f"{number:02x}{RUN}"


def make_root(path: Path, kind: str = "disk") -> Root:
    """An empty store at `path`."""
    path.mkdir(mode=0o700)
    (path / VERSION).mkdir(mode=0o700)
    for part in PARTS:
        shelf(path, part).mkdir(mode=0o700)
    return Root(str(path), kind, True, "")


@contextmanager
def store_in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    """An empty store on tmpfs, where most stores are, and no disk cache. Its parent directory is there for the test."""
    with user_folder("/dev/shm") as top:
        monkeypatch.setenv("XDG_CACHE_HOME", str(top / "no-cache"))
        yield make_root(top / "store")


def fill_entry(entry: Path, *, content: bytes = b"content\n", source: str = "/opt/some.AppImage") -> None:
    """What makes a complete entry, in the new directory `entry`."""
    entry.mkdir(mode=0o700)
    tree = entry / "tree"
    (tree / "usr" / "bin").mkdir(parents=True)
    (tree / "AppRun").write_bytes(b"#!/bin/sh\nexit 0\n")
    (tree / "usr" / "data").write_bytes(content)
    os.link(tree / "usr" / "data", tree / "usr" / "twin")
    os.symlink("/etc/passwd", tree / "usr" / "outside")
    (entry / "index").write_bytes(b"the index")
    (entry / "source").write_text(source)
    (entry / "watch").write_bytes(bytes(8))
    (entry / "lease").touch(mode=0o400)
    for file in ("AppRun", "usr/data"):
        (tree / file).chmod(0o555)
    for folder in ("usr/bin", "usr", ""):
        (tree / folder).chmod(0o555)


def add_entry(root: Root, name: str, *, last_use: float | None = None, part: str = "tree", **details: Any) -> Path:
    """A complete entry in the store; returns its path. `last_use` is in seconds since the epoch."""
    entry = shelf(root.path, part) / name
    fill_entry(entry, **details)
    if last_use is not None:
        os.utime(entry / "lease", (last_use, last_use))
    return entry


@contextmanager
def user_folder(where: str = "/dev/shm") -> Iterator[Path]:
    """A directory that every user can reach; removed afterwards with whatever is in it."""
    with tempfile.TemporaryDirectory(dir=where) as name:
        os.chmod(name, 0o777)
        yield Path(name)


def as_user(action: Callable[[], Any], uid: int = 1000) -> Any:
    """Do `action` in a child process that belongs to the ordinary user `uid`, and return what it returns."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(action(), pipe)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0, "the action failed in the other user's process"
    return pickle.loads(answer)


@contextmanager
def running(*command: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs inside the block; it must write one line as soon as it is ready."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n", f"{command} did not start"
            yield process
        finally:
            process.kill()


@contextmanager
def python(script: str, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that runs `script` and then stays until the block ends, and so do its children."""
    tail = "\nimport sys\nprint('ready', flush=True)\nsys.stdin.read()\n"
    with running(sys.executable, "-c", script + tail, *arguments, stdin=subprocess.PIPE, **options) as process:
        yield process


@contextmanager
def shell(script: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A shell that runs `script`, which says "ready" and ends when it reads the end of its input: with the block."""
    with running("/bin/sh", "-c", script, stdin=subprocess.PIPE, **options) as process:
        yield process


@contextmanager
def lease_held(entry: Path) -> Iterator[None]:
    """A process that holds the entry's lease as a started app does."""
    fd = os.open(entry / "lease", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    with shell(STAY, pass_fds=[fd]):
        os.close(fd)
        yield


def wait_until(condition: Callable[[], bool], seconds: float = 10, pause: float = 0.01) -> None:
    """Wait until `condition` holds; fail when it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(pause)
