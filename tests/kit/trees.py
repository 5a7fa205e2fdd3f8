"""A directory tree as a value that can be compared."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from kit.surroundings import IS_ROOT


class Entry(NamedTuple):
    """One object: type and permission bits, mtime in whole seconds, content or target, the names of the same file."""

    mode: int
    mtime: int
    content: bytes
    names: frozenset[bytes]


def below(top: Path) -> list[Path]:
    """Every path below `top`, symlinks not followed, a directory before what is in it.

    Path.rglob does not do: in Python 3.11.2 it fails at a symlink whose target is longer than a name may be.
    """
    return [Path(os.fsdecode(path)) for path in _walk(os.fsencode(top))]


def snapshot(top: Path) -> dict[bytes, Entry]:
    """Everything below `top` by its path from there. Symlinks are not followed; their permission bits mean nothing."""
    base = os.fsencode(top)
    found = {}
    for path in _walk(base):
        facts = os.lstat(path)
        if stat.S_ISLNK(facts.st_mode):
            content = os.readlink(path)
        else:
            content = _read(path) if stat.S_ISREG(facts.st_mode) else b""
        found[os.path.relpath(path, base)] = (facts, content)
    names: dict[int, set[bytes]] = {}
    for path, (facts, _) in found.items():
        names.setdefault(facts.st_ino, set()).add(path)
    return {
        path: Entry(_mode(facts), int(facts.st_mtime_ns // 10**9), content, frozenset(names[facts.st_ino]))
        for path, (facts, content) in found.items()
    }


def compared(mode: int) -> int:
    """What of a file's type and mode is compared: unsquashfs gives the bits for another user and group only as root."""
    return mode if IS_ROOT else mode & ~(stat.S_ISUID | stat.S_ISGID)


def _mode(facts: os.stat_result) -> int:
    return stat.S_IFLNK if stat.S_ISLNK(facts.st_mode) else compared(facts.st_mode)


def _walk(top: bytes) -> list[bytes]:
    return [os.path.join(folder, name) for folder, dirs, files in os.walk(top) for name in dirs + files]


def _read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()
