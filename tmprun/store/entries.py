"""What lies in the stores: published trees in every root, and what is known about foreign images (docs/store.md).

This only looks. It opens everything relative to a directory that was found to be ours, and follows no symlink. What
does not have the name and the type that docs/store.md gives it is not shown, and nobody else touches it either.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tmprun.index.rules import MAX_INDEX
from tmprun.store.removal import FOLDER

KEY = re.compile(r"[0-9a-f]{64}")
KNOWN = re.compile(r"[0-9a-f]{64}\.(index|bundle)")
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
LOCK_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True)
class Root:
    """A directory of ours that may hold a store: as the engine sees it, `reason` says why it was refused."""

    path: str
    kind: str  # "tmpfs" or "disk", or nothing when it cannot be opened
    ok: bool
    reason: str


@dataclass(frozen=True)
class Entry:
    """A published tree: `size` is what it takes, in bytes, `files` counts all but directories.

    `last_use` and `built` are in seconds since the epoch.
    """

    root: Root
    key: str
    source: str
    size: int
    files: int
    last_use: float
    complete: bool
    locked: bool  # somebody holds its lease, so it is in use
    built: float = 0

    @property
    def path(self) -> str:
        """Where its AppDir is."""
        return f"{self.root.path}/v1/tree/{self.key}/tree"

    @property
    def in_memory(self) -> bool:
        return self.root.kind == "tmpfs"


@dataclass(frozen=True)
class KnownImage:
    """What is remembered about a foreign image: its compiled index, or the bundle that it was transcoded into."""

    folder: str
    name: str
    size: int
    last_use: float

    @property
    def path(self) -> str:
        return f"{self.folder}/v1/image/{self.name}"

    @property
    def in_memory(self) -> bool:
        return False


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
def folder(parent: int, name: str) -> Iterator[int | None]:
    """The directory of ours `name` (one component) in the open directory `parent`, or None when there is no such."""
    try:
        fd = os.open(name, FOLDER, dir_fd=parent)
    except OSError:
        yield None
        return
    try:
        yield fd if os.fstat(fd).st_uid == os.geteuid() else None
    finally:
        os.close(fd)


@contextmanager
def section(root: str, name: str) -> Iterator[int | None]:
    """The folder `v1/NAME` of a store's root, or None."""
    with opened(root) as top:
        if top is None:
            yield None
            return
        with folder(top, "v1") as version:
            if version is None:
                yield None
                return
            with folder(version, name) as fd:
                yield fd


def entries(roots: Sequence[Root]) -> list[Entry]:
    """All published trees in `roots`, also in those that are refused: that may be because they are full."""
    found = []
    for root in roots:
        with section(root.path, "tree") as trees, section(root.path, "lock") as locks:
            for name in names(trees, KEY):
                assert trees is not None
                with folder(trees, name) as fd:
                    if fd is not None:
                        found.append(_entry(root, name, fd, _is_locked(fd, locks, name)))
    return found


def locate(roots: Sequence[Root], key: str) -> Entry | None:
    """The first complete tree of the image with that key, in the order in which a start looks for it.

    On a machine that lacks an interpreter it has another name (docs/store.md).
    """
    for root in roots:
        with section(root.path, "tree") as trees, section(root.path, "lock") as locks:
            if trees is None:
                continue
            for name in dict.fromkeys([key, *names(trees, KEY)]):
                with folder(trees, name) as fd:
                    if fd is not None and _is_complete(fd) and (name == key or _origin(fd) == key):
                        return _entry(root, name, fd, _is_locked(fd, locks, name))
    return None


def origin(entry: Entry) -> str:
    """The key of the image that the tree was made of: its name, but for retargeted trees."""
    with section(entry.root.path, "tree") as trees:
        if trees is None:
            return ""
        with folder(trees, entry.key) as fd:
            return _origin(fd) if fd is not None else ""


def _origin(fd: int) -> str:
    index = read_small(fd, "index", MAX_INDEX)
    return hashlib.sha256(index).hexdigest() if index is not None else ""


def known_images(path: str | None) -> list[KnownImage]:
    """What the disk cache `path` remembers about foreign images."""
    found: list[KnownImage] = []
    if path is None:
        return found
    with section(path, "image") as images:
        for name in names(images, KNOWN):
            with suppress(FileNotFoundError):
                facts = os.stat(name, dir_fd=images, follow_symlinks=False)
                if stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid():
                    found.append(KnownImage(path, name, facts.st_blocks * 512, max(facts.st_mtime, facts.st_atime)))
    return found


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


def _entry(root: Root, key: str, fd: int, locked: bool) -> Entry:
    size, files = _measure(fd)
    source = os.fsdecode(read_small(fd, "source") or b"")
    return Entry(root, key, source, size, files, _last_use(fd), _is_complete(fd), locked, built(fd))


def _is_complete(fd: int) -> bool:
    return all(_exists(fd, name) for name in ("lease", "index", "watch", "tree"))


def _exists(fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return False
    return True


def built(fd: int) -> float:
    """When the open entry was built, in seconds since the epoch: its index is written first, and never again."""
    try:
        return os.stat("index", dir_fd=fd, follow_symlinks=False).st_mtime
    except OSError:
        return os.fstat(fd).st_mtime


def _last_use(fd: int) -> float:
    try:
        return os.stat("lease", dir_fd=fd, follow_symlinks=False).st_mtime
    except OSError:
        return os.fstat(fd).st_mtime


def _is_locked(fd: int, locks: int | None, key: str) -> bool:
    """Whether somebody holds the lease of the open entry, or builds it anew.

    There is no asking without locking. A start that comes in this moment and finds the lease locked, asks for the build
    lock next and then looks again: so we hold that one, too, and it does not take the entry for broken.
    """
    if locks is None:
        return False
    held = []
    try:
        for parent, name, flags in ((locks, key, LOCK_FILE), (fd, "lease", FILE)):
            lock = try_lock(parent, name, flags)
            if lock is None:
                return True
            held.append(lock)
    except OSError:
        pass  # what has no lease cannot be locked
    finally:
        for lock in reversed(held):
            os.close(lock)
    return False


def _measure(fd: int) -> tuple[int, int]:
    """What the open entry takes in bytes, each hard-linked file counted once, and how many files its tree has.

    What lies deeper than the kernel takes a path, or cannot be read, is not counted.
    """
    size, files = os.fstat(fd).st_blocks * 512, 0
    seen: set[int] = set()
    waiting = ["."]
    while waiting:
        path = waiting.pop()
        for entry in _listing(fd, path):
            with suppress(FileNotFoundError):
                facts = entry.stat(follow_symlinks=False)
                if facts.st_ino not in seen:
                    seen.add(facts.st_ino)
                    size += facts.st_blocks * 512
                if stat.S_ISDIR(facts.st_mode):
                    waiting.append(f"{path}/{entry.name}")
                elif path.startswith("./tree"):
                    files += 1
    return size, files


def _listing(fd: int, path: str) -> Iterator[os.DirEntry[str]]:
    """The entries of the directory `path` in the open directory; none when it cannot be opened."""
    try:
        here = os.open(path, FOLDER, dir_fd=fd)
    except OSError:
        return
    try:
        with os.scandir(here) as found:
            yield from found
    finally:
        os.close(here)
