"""Who uses which entry of a store: a look at all processes, by the rule of docs/store.md, "In use".

stub/store/users.c keeps the same rule; tests/unit/store/test_users.py compares the two.

A started app holds a lock on its entry's `lease`, which says all there is to say about most of them. This is for the
others: apps that closed every descriptor they inherited, and went on from there. What names an entry keeps it: a
process's program, working or root directory, mappings, open files, mounts, arguments and environment. A process that
cannot be looked at, and may have come from the entry's app, keeps it as well: that is unknown, which is not unused.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from tmprun.store import layout

if TYPE_CHECKING:
    import psutil

# An entry is known by its key, wherever its store appears in another process's view of the file system. Who has its
# lock open builds it, or waits for that, and uses nothing yet.
LOCKS = re.escape(os.fsencode(layout.shelf("", layout.LOCKS)))
NAME = re.compile(rb"(?<!" + LOCKS + rb")/([0-9a-f]{64})(\.[0-9A-Za-z]+)?(?![0-9A-Za-z.])")

# The number that the kernel gives the first PID namespace (PROC_PID_INIT_INO): whoever is in it sees every process.
FIRST_PID_NAMESPACE = 0xEFFFFFFC

# While we look, a process may fork a child with a number that we have passed already, and exit. So we look again until
# nobody is new. Where processes come and go all the time, that never happens: three looks are enough.
ROUNDS = 3


# What our own processes behind an app are called; they are users of nothing.
HELPERS = (b"tmprun-filler\n", b"tmprun-guard\n")

# A clock that is corrected by some seconds has not been set back.
CLOCK_SLACK = 60

# Seconds that two clocks differ by when both are rounded.
ROUNDING = 2

# So many parents of a process are asked where it came from.
GENERATIONS = 64


class Use(Enum):
    """What a look says about an entry: nobody uses it, somebody does, or nobody can tell. Only the first lets it go."""

    NONE = ""
    SEEN = "in use"
    UNKNOWN = "perhaps in use by a process that cannot be looked at"


class View(NamedTuple):
    """What one look found: names of entries, as in `KEY` or `KEY.RANDOM`.

    `held` are those that the kernel itself connects with a process; `named` those that only an argument or an
    environment variable mentions, which stays as it was when an entry is renamed. `unseen` has the start, in seconds
    since the epoch, of each process that cannot be looked at and may have come from an app. `whole` is false when there
    may be processes that are hidden from us, because we are in a PID namespace of our own, or have no /proc or not all.
    """

    held: frozenset[str]
    named: frozenset[str]
    whole: bool
    unseen: tuple[float, ...] = ()

    def uses(self, name: str) -> bool:
        """Whether a process uses the entry that is called `name` now.

        Under a key, starts find an entry by its path; so do the apps of a tree that had the name before, and which now
        lies in the trash as `KEY.RANDOM`. What lies there is used by nobody who only knows the name.
        """
        if "." in name:
            return name in self.held
        return any(found.partition(".")[0] == name for found in self.held | self.named)

    def use(self, name: str, built: float) -> Use:
        """The same for an entry that was built then, in seconds since the epoch (0: before everything), with its doubt.

        Who is hidden from us counts for nothing here: `whole` is for the caller.
        """
        if self.uses(name):
            return Use.SEEN
        if built > time.time() + CLOCK_SLACK:
            built = 0
        return Use.UNKNOWN if any(start + ROUNDING >= built for start in self.unseen) else Use.NONE


def look() -> View:
    """Look at every process but this one. Never fails: without /proc the view is not `whole`, and all is unknown."""
    import psutil  # whoever asks for help or for another command need not wait for it

    held: set[str] = set()
    named: set[str] = set()
    namespaces: set[str] = set()
    unseen: list[float] = []
    proc, me = psutil.PROCFS_PATH, os.getpid()
    seen: set[psutil.Process] = set()
    if not _processes():
        unseen.append(float("inf"))
    for _ in range(ROUNDS):
        new = _processes() - seen
        if not new:
            break
        seen |= new
        for process in (_Looked(proc, process.pid) for process in new if process.pid != me):
            if process.is_helper():
                continue
            held.update(_names(process.held()))
            held.update(_names(process.mounts(namespaces)))
            named.update(_names(process.said()))
            if process.denied and process.may_be_of_an_app():
                unseen.append(process.start())
    return View(frozenset(held), frozenset(named), _sees_all(proc), tuple(unseen))


def _sees_all(proc: str) -> bool:
    try:
        with open(f"{proc}/1/stat", "rb"):  # not so where /proc is mounted with hidepid
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


class _Looked:
    """One process; `denied` once something of it could not be read, though it lives."""

    def __init__(self, proc: str, pid: int) -> None:
        self.proc = proc
        self.pid = pid
        self.folder = f"{proc}/{pid}"
        self.denied = False

    def is_helper(self) -> bool:
        return self._content("comm") in HELPERS

    def held(self) -> Iterator[bytes]:
        """What the kernel connects with it."""
        yield from self._held_by("")
        # When its first thread has ended, a process shows none of this; its other threads do.
        if not self._link("exe"):
            for task in self._listing("task"):
                yield from self._held_by(f"task/{task}/")

    def _held_by(self, task: str) -> Iterator[bytes]:
        for name in ("exe", "cwd", "root"):
            yield self._link(f"{task}{name}")
        yield self._content(f"{task}maps")
        for number in self._listing(f"{task}fd"):
            yield self._link(f"{task}fd/{number}")

    def mounts(self, namespaces: set[str]) -> Iterator[bytes]:
        """Its mounts, once a mount namespace: a directory of a tree may be mounted under another name."""
        try:
            namespace = os.readlink(f"{self.folder}/ns/mnt")
        except OSError:
            namespace = ""
        if not namespace or namespace not in namespaces:
            namespaces.add(namespace)
            with suppress(OSError), open(f"{self.folder}/mountinfo", "rb") as file:  # EINVAL: it has ended
                yield file.read()

    def said(self) -> Iterator[bytes]:
        """Its arguments and its environment."""
        yield self._content("cmdline")
        yield self._content("environ")

    def start(self) -> float:
        """Seconds since the epoch; the far future when that cannot be known."""
        fields = _stat(self.proc, self.pid)
        if not fields:
            return float("inf")
        now, up = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
        return now - up + int(fields[19]) / os.sysconf("SC_CLK_TCK")

    def may_be_of_an_app(self) -> bool:
        """Whether it may descend from an app of ours; in doubt it may.

        It may not when it is another user's, or was made by a living process that can be looked at.
        """
        if not self._is_ours() or self._has_ended():
            return False
        parent = self
        for _ in range(GENERATIONS):
            fields = _stat(self.proc, parent.pid)
            parent = _Looked(self.proc, int(fields[1])) if fields else parent
            if not fields or parent._adopts():
                return True
            if parent._link("exe") or not parent._is_ours():
                return False
        return True

    def _is_ours(self) -> bool:
        """Whether it has a user id of ours; what was ours as root may have any by now."""
        if os.geteuid() == 0:
            return True
        try:
            with open(f"{self.folder}/status", "rb") as file:
                ids = next((line for line in file if line.startswith(b"Uid:")), b"").split()[1:]
        except (FileNotFoundError, ProcessLookupError):
            return False
        except OSError:
            return True
        return b"%d" % os.geteuid() in ids

    def _has_ended(self) -> bool:
        """Whether it has, and was not waited for: not its first thread alone."""
        fields = _stat(self.proc, self.pid)
        return bool(fields) and fields[0] == b"Z" and int(fields[17]) <= 1

    def _adopts(self) -> bool:
        """Whether it adopts orphans, and so tells nothing of where they came from.

        Nothing shows who has made himself a subreaper; a user's service manager is the one that is found everywhere.
        """
        return self.pid <= 1 or self._content("comm") in (b"", b"systemd\n")

    def _listing(self, path: str) -> list[str]:
        try:
            return os.listdir(f"{self.folder}/{path}")
        except OSError as error:
            self._failed(error)
            return []

    def _link(self, path: str) -> bytes:
        try:
            return os.readlink(os.fsencode(f"{self.folder}/{path}"))
        except OSError as error:
            self._failed(error)
            return b""

    def _content(self, path: str) -> bytes:
        try:
            with open(f"{self.folder}/{path}", "rb") as file:
                return file.read()
        except OSError as error:
            self._failed(error)
            return b""

    def _failed(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | ProcessLookupError):
            self.denied = True


def _stat(proc: str, pid: int) -> list[bytes]:
    """What stands in its `stat` behind the name: the state, the parent's number and so on; nothing when it is gone."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _names(texts: Iterator[bytes]) -> Iterator[str]:
    for text in texts:
        for match in NAME.finditer(text):
            yield (match[1] + (match[2] or b"")).decode()
