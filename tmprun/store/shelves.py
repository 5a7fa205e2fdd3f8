"""Opening what a store consists of: only what is ours and closed to others, and never through a symlink."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tmprun.store.layout import VERSION
from tmprun.store.removal import FOLDER

KEY = re.compile(r"[0-9a-f]{64}")
KNOWN = re.compile(r"[0-9a-f]{64}\.(index|bundle|programs)")
TRASH = re.compile(r"[0-9a-f]{64}(\.[0-9A-Za-z]+)?")
STAGE = re.compile(r"[0-9a-f]{64}\.[0-9A-Za-z]+")
DRAFT = re.compile(r"[0-9a-f]{64}\.(index|bundle|programs)\.tmp")
IDENTITY = re.compile(r"[0-9a-f]{1,16}(-[0-9a-f]{1,16}){4}")
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
LOCK_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True)
class Root:
    """A directory of ours that may hold a store: as the engine sees it, `reason` says why it was refused."""

    path: str
    kind: str  # "tmpfs" or "disk", or nothing when it cannot be opened
    ok: bool
    reason: str


@contextmanager
def opened(path: str) -> Iterator[int | None]:
    """Our directory `path` as a descriptor, or None unless it is a directory, no symlink, ours alone (0700)."""
    try:
        fd = os.open(path, FOLDER)
    except OSError:
        yield None
        return
    try:
        facts = os.fstat(fd)
        ours = facts.st_uid == os.geteuid() and stat.S_IMODE(facts.st_mode) & ~stat.S_ISGID == 0o700
        yield fd if ours else None
    finally:
        os.close(fd)


@contextmanager
def folder(parent: int | None, name: str) -> Iterator[int | None]:
    """The directory of ours `name` (one component) in the open directory `parent`, or None when there is no such, and
    when `parent` is None."""
    try:
        fd = os.open(name, FOLDER, dir_fd=-1 if parent is None else parent)  # which no descriptor is
    except OSError:
        yield None
        return
    try:
        yield fd if os.fstat(fd).st_uid == os.geteuid() else None
    finally:
        os.close(fd)


@contextmanager
def version(root: str) -> Iterator[int | None]:
    """The folder of this version in the store at `root`, or None."""
    with opened(root) as top, folder(top, VERSION) as fd:
        yield fd


@contextmanager
def shelf(root: str, name: str) -> Iterator[int | None]:
    """A shelf of the store at `root`, or None."""
    with version(root) as parent, folder(parent, name) as fd:
        yield fd


def names(fd: int | None, pattern: re.Pattern[str]) -> list[str]:
    """The names in the open directory that match `pattern` wholly, in order; none when there is no directory."""
    if fd is None:
        return []
    return sorted(name for name in os.listdir(fd) if pattern.fullmatch(name))


def read_small(fd: int, name: str, limit: int = 1 << 20) -> bytes | None:
    """The regular file `name` in the open directory, at most `limit` bytes of it; None when there is no such file."""
    try:
        file = os.open(name, FILE, dir_fd=fd)
    except OSError:
        return None
    try:
        return os.read(file, limit) if stat.S_ISREG(os.fstat(file).st_mode) else None
    finally:
        os.close(file)


def try_lock(fd: int, name: str, flags: int = FILE) -> int | None:
    """A descriptor that holds the file `name` in the open directory exclusively; None when somebody else has it.

    Never waits. FileNotFoundError when there is no such file; OSError for what is no file.
    """
    lock = os.open(name, flags, 0o600, dir_fd=fd)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        raise
    return lock
