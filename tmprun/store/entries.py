"""What lies in the stores: published trees in every root, and what is known about foreign images (docs/store.md).

This only looks. It opens everything relative to a directory that was found to be ours, and follows no symlink. What
does not have the name and the type that docs/store.md gives it is not shown, and nobody else touches it either.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tmprun.index.rules import MAX_INDEX
from tmprun.store import layout
from tmprun.store.removal import FOLDER
from tmprun.store.shelves import FILE, KEY, KNOWN, LOCK_FILE, Root, folder, names, read_small, shelf, try_lock


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
        return layout.appdir(self.root.path, self.key)

    @property
    def in_memory(self) -> bool:
        return self.root.kind == "tmpfs"


@dataclass(frozen=True)
class KnownImage:
    """What is remembered about an image.

    Of a foreign one its compiled index, or the bundle that it was converted into; of any what its programs ask for.
    """

    folder: str
    name: str
    size: int
    last_use: float

    @property
    def path(self) -> str:
        return f"{layout.shelf(self.folder, layout.IMAGES)}/{self.name}"

    @property
    def in_memory(self) -> bool:
        return False


def entries(roots: Sequence[Root]) -> list[Entry]:
    """All published trees in `roots`, also in those that are refused: that may be because they are full."""
    found = []
    for root in roots:
        with shelf(root.path, layout.TREES) as trees, shelf(root.path, layout.LOCKS) as locks:
            for name in names(trees, KEY):
                with folder(trees, name) as fd:
                    if fd is not None:
                        found.append(_entry(root, name, fd, _is_locked(fd, locks, name)))
    return found


def locate(roots: Sequence[Root], key: str) -> Entry | None:
    """The first complete tree of the image with that key, in the order in which a start looks for it.

    On a machine that lacks an interpreter it has another name (docs/store.md).
    """
    for root in roots:
        with shelf(root.path, layout.TREES) as trees, shelf(root.path, layout.LOCKS) as locks:
            for name in dict.fromkeys([key, *names(trees, KEY)]):
                with folder(trees, name) as fd:
                    if fd is not None and _is_complete(fd) and (name == key or _origin(fd) == key):
                        return _entry(root, name, fd, _is_locked(fd, locks, name))
    return None


def origin(entry: Entry) -> str:
    """The key of the image that the tree was made of: its name, but for retargeted trees."""
    with shelf(entry.root.path, layout.TREES) as trees, folder(trees, entry.key) as fd:
        return _origin(fd) if fd is not None else ""


def _origin(fd: int) -> str:
    index = read_small(fd, layout.INDEX, MAX_INDEX)
    return hashlib.sha256(index).hexdigest() if index is not None else ""


def known_images(path: str | None) -> list[KnownImage]:
    """What the disk cache `path` remembers about foreign images."""
    found: list[KnownImage] = []
    if path is None:
        return found
    with shelf(path, layout.IMAGES) as images:
        for name in names(images, KNOWN):
            with suppress(FileNotFoundError):
                facts = os.stat(name, dir_fd=images, follow_symlinks=False)
                if stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid():
                    found.append(KnownImage(path, name, facts.st_blocks * 512, max(facts.st_mtime, facts.st_atime)))
    return found


def _entry(root: Root, key: str, fd: int, locked: bool) -> Entry:
    size, files = _measure(fd)
    source = os.fsdecode(read_small(fd, layout.SOURCE) or b"")
    return Entry(root, key, source, size, files, _last_use(fd), _is_complete(fd), locked, built(fd))


def _is_complete(fd: int) -> bool:
    return all(_exists(fd, name) for name in (layout.LEASE, layout.INDEX, layout.WATCH, layout.APPDIR))


def _exists(fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return False
    return True


def built(fd: int) -> float:
    """When the open entry was built, in seconds since the epoch: its index is written first, and never again."""
    try:
        return os.stat(layout.INDEX, dir_fd=fd, follow_symlinks=False).st_mtime
    except OSError:
        return os.fstat(fd).st_mtime


def _last_use(fd: int) -> float:
    try:
        return os.stat(layout.LEASE, dir_fd=fd, follow_symlinks=False).st_mtime
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
        for parent, name, flags in ((locks, key, LOCK_FILE), (fd, layout.LEASE, FILE)):
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
                elif path.startswith(f"./{layout.APPDIR}"):
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
