"""A file in the making: written beside its place under a lock, published by one rename.

The lock is on the temporary file itself, `NAME.tmp`. Whoever gets it looks whether `NAME.tmp` is still that file: when
process A published it between B's open and B's lock, B holds a lock on published content and must begin again. A killed
writer leaves `NAME.tmp` behind without a lock, and the next one writes over it.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Draft:
    """The file `name` in the open directory `folder`, empty, to be written to `fd`. A context: unpublished, it goes."""

    def __init__(self, folder: int, name: str, fd: int) -> None:
        self._folder = folder
        self._name = name
        self._published = False
        self.fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._published:
                os.unlink(_temporary(self._name), dir_fd=self._folder)
        finally:
            os.close(self.fd)

    def publish(self) -> None:
        """What was written to `fd` is `name` from now on."""
        os.rename(_temporary(self._name), self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._published = True


def begin(folder: int, name: str) -> Draft | None:
    """Begin to write `name`; None when somebody else does. OSError when nobody can."""
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(_temporary(name), flags, 0o600, dir_fd=folder)
        try:
            locked = _lock_now(fd)
        except OSError:
            os.close(fd)
            raise
        if not locked:
            os.close(fd)
            return None
        if _is_at(folder, _temporary(name), fd):
            os.ftruncate(fd, 0)
            return Draft(folder, name, fd)
        os.close(fd)


def _temporary(name: str) -> str:
    return f"{name}.tmp"


def _lock_now(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(folder: int, name: str, fd: int) -> bool:
    try:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))
