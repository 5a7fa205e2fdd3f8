"""Who uses which entry of a store: a look at all processes.

A started app holds a lock on its entry's `lease`, which says all there is to say about most of them. This is for the
others: apps that closed every descriptor they inherited, and went on from there. What names an entry keeps it: a
process's program, working or root directory, mappings, open files, mounts, arguments and environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import psutil

# An entry is known by its key, wherever its store appears in another process's view of the file system.
NAME = re.compile(rb"/([0-9a-f]{64})(\.[0-9A-Za-z]+)?(?![0-9A-Za-z.])")

# The number that the kernel gives the first PID namespace (PROC_PID_INIT_INO): whoever is in it sees every process.
FIRST_PID_NAMESPACE = 0xEFFFFFFC

# While we look, a process may fork a child with a number that we have passed already, and exit. So we look again until
# nobody is new. Where processes come and go all the time, that never happens: three looks are enough.
ROUNDS = 3


class View(NamedTuple):
    """What one look found: names of entries, as in `KEY` or `KEY.RANDOM`.

    `held` are those that the kernel itself connects with a process; `named` those that only an argument or an
    environment variable mentions, which stays as it was when an entry is renamed. `whole` is false when there may be
    processes that we cannot see, because we are in a PID namespace of our own or have no /proc.
    """

    held: frozenset[str]
    named: frozenset[str]
    whole: bool

    def uses(self, name: str) -> bool:
        """Whether a process uses the entry that is called `name` now."""
        return name in self.held or name in self.named


def look() -> View:
    """Look at every process but this one. Never fails: what cannot be read tells nothing."""
    import psutil  # whoever asks for help or for another command need not wait for it

    held: set[str] = set()
    named: set[str] = set()
    namespaces: set[str] = set()
    proc, me = psutil.PROCFS_PATH, os.getpid()
    seen: set[psutil.Process] = set()
    for _ in range(ROUNDS):
        new = _processes() - seen
        if not new:
            break
        seen |= new
        for folder in (f"{proc}/{process.pid}" for process in new if process.pid != me):
            held.update(_names(_held_by(folder)))
            held.update(_names(_mounts(folder, namespaces)))
            named.update(_names(_content(f"{folder}/{file}") for file in ("cmdline", "environ")))
    return View(frozenset(held), frozenset(named), _sees_all(proc))


def _sees_all(proc: str) -> bool:
    try:
        return os.stat(f"{proc}/self/ns/pid").st_ino == FIRST_PID_NAMESPACE
    except OSError:
        return False


def _processes() -> set[psutil.Process]:
    """All processes now. Two are the same when number and start time are: numbers are used again."""
    import psutil

    found = set()
    with suppress(OSError):
        for pid in psutil.pids():
            with suppress(psutil.Error):
                found.add(psutil.Process(pid))
    return found


def _held_by(folder: str) -> Iterator[bytes]:
    yield from _held_by_task(folder)
    # When its first thread has ended, a process shows none of this; its other threads do.
    if not _link(f"{folder}/exe"):
        for task in _listing(f"{folder}/task"):
            yield from _held_by_task(f"{folder}/task/{task}")


def _held_by_task(folder: str) -> Iterator[bytes]:
    for name in ("exe", "cwd", "root"):
        yield _link(f"{folder}/{name}")
    yield _content(f"{folder}/maps")
    for number in _listing(f"{folder}/fd"):
        yield _link(f"{folder}/fd/{number}")


def _mounts(folder: str, namespaces: set[str]) -> Iterator[bytes]:
    """The mounts of a process, once a mount namespace: a directory of a tree may be mounted under another name."""
    try:
        namespace = os.readlink(f"{folder}/ns/mnt")
    except OSError:
        namespace = ""
    if not namespace or namespace not in namespaces:
        namespaces.add(namespace)
        yield _content(f"{folder}/mountinfo")


def _names(texts: Iterator[bytes]) -> Iterator[str]:
    for text in texts:
        for match in NAME.finditer(text):
            yield (match[1] + (match[2] or b"")).decode()


def _listing(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _link(path: str) -> bytes:
    try:
        return os.readlink(os.fsencode(path))
    except OSError:
        return b""


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
