"""The disk cache's directories: opened, and made where they are missing, only while all down to them are ours."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from tmprun.store import layout
from tmprun.store.chain import open_chain
from tmprun.store.removal import FOLDER


@contextmanager
def shelves(*names: str) -> Iterator[list[int]]:
    """The shelves `names` of the disk cache as descriptors. OSError when there is no cache that we may use."""
    path = layout.cache()
    if path is None:
        raise FileNotFoundError("no directory for it is named (XDG_CACHE_HOME, HOME)")
    above, _, name = path.rpartition("/")
    opened: list[int] = []
    try:
        opened.append(open_above(above))
        opened.append(enter(opened[0], name))
        opened.append(enter(opened[1], layout.VERSION))
        opened += [enter(opened[2], each) for each in names]
        yield opened[3:]
    finally:
        for fd in opened:
            os.close(fd)


def open_above(path: str) -> int:
    """The directory that the cache lies in; made when missing, as ~/.cache: more than one level is not ours to make."""
    try:
        return open_chain(path)
    except FileNotFoundError:
        above, _, name = path.rstrip("/").rpartition("/")
        parent = open_chain(above or "/")
        try:
            _make(name, parent)
        finally:
            os.close(parent)
        return open_chain(path)


def _make(path: str, parent: int) -> None:
    try:
        os.mkdir(path, 0o700, dir_fd=parent)
    except FileExistsError:
        return


def enter(parent: int, name: str) -> int:
    _make(name, parent)
    return _open_ours(name, parent)


def _open_ours(path: str, parent: int) -> int:
    """The directory `path`, opened; PermissionError unless it is ours and closed to others."""
    fd = os.open(path, FOLDER, dir_fd=parent)
    facts = os.fstat(fd)
    if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & ~stat.S_ISGID != 0o700:
        os.close(fd)
        raise PermissionError("belongs to another user, or is open to others")
    return fd
