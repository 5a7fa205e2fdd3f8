"""How much memory there is for us: the machine's, and what the control groups that we are in leave of it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

# A version 1 group without a limit shows the largest page-aligned 64-bit number.
NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class Memory:
    """All in bytes. `limit` is the smallest limit of a group above us, `used` what counts against it; else None."""

    total: int
    available: int
    limit: int | None
    used: int | None

    @property
    def ours(self) -> int:
        """The memory that we may count on at most: the machine's or the group's, whichever is less."""
        return self.total if self.limit is None else min(self.total, self.limit)


def look(root: str = "") -> Memory:
    """The machine's memory as psutil sees it, and limits as seen in `/proc` and `/sys` below `root`.

    Never fails: what is not there is 0 or None.
    """
    total, available = _machine()
    limit, used = min(_groups(root), default=(None, None))
    return Memory(total, available, limit, used)


def _machine() -> tuple[int, int]:
    import psutil  # most of what asks for help or for a list does not need it

    try:
        with warnings.catch_warnings():  # about what a container leaves out of /proc/meminfo
            warnings.simplefilter("ignore")
            found = psutil.virtual_memory()
    except (OSError, KeyError, ValueError):
        return 0, 0
    return found.total, found.available


def _groups(root: str) -> Iterator[tuple[int, int]]:
    """(limit, used) of each group with a limit that contains us, in either version of the interface."""
    for line in _lines(f"{root}/proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _limits(root, "cgroup2", "", path, ("memory.max", "memory.current"))
        elif "memory" in controllers.split(","):
            yield from _limits(root, "cgroup", "memory", path, ("memory.limit_in_bytes", "memory.usage_in_bytes"))


def _limits(root: str, system: str, option: str, path: str, files: tuple[str, str]) -> Iterator[tuple[int, int]]:
    for mounted, top in _mounts(root, system, option):
        below = os.path.relpath(path, mounted) if (path + "/").startswith(mounted.rstrip("/") + "/") else "."
        parts = [] if below == "." else below.split("/")
        for depth in range(len(parts), -1, -1):
            folder = "/".join([f"{root}{top}", *parts[:depth]])
            limit, used = _number(f"{folder}/{files[0]}"), _number(f"{folder}/{files[1]}")
            if limit is not None and limit < NO_LIMIT:
                yield limit, used or 0


def _mounts(root: str, system: str, option: str) -> Iterator[tuple[str, str]]:
    """(directory in the hierarchy, where it is mounted) for mounts of that file system type with that option."""
    for line in _lines(f"{root}/proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) >= 5 and len(kind) >= 3 and kind[0] == system and (not option or option in kind[2].split(",")):
            yield fields[3], fields[4]


def _number(path: str) -> int | None:
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdecimal() else None


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:
        return []
