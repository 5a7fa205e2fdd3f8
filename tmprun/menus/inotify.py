"""Linux's inotify(7), by the C library: which names in some directories have changed."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

CREATE, CLOSE_WRITE, ATTRIB = 0x100, 0x8, 0x4
MOVED_FROM, MOVED_TO, DELETE = 0x40, 0x80, 0x200
DELETE_SELF, MOVE_SELF, UNMOUNT, OVERFLOW, IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
CHANGES = CREATE | CLOSE_WRITE | ATTRIB | MOVED_FROM | MOVED_TO | DELETE
GONE = DELETE_SELF | MOVE_SELF | UNMOUNT | IGNORED
ONLYDIR = 0x01000000
HEAD = struct.Struct("iIII")  # struct inotify_event: watch, mask, cookie, length of the name


@dataclass(frozen=True)
class Change:
    """`name` in the directory that `watch` names; empty for the directory itself."""

    watch: int
    mask: int
    name: bytes


class Inotify:
    """A queue of changes; `fd` can be waited for."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, directory: str) -> int:
        """Watch a directory; OSError when it is none, or watches are used up."""
        mask = ctypes.c_uint32(CHANGES | DELETE_SELF | MOVE_SELF | ONLYDIR)
        return self._checked(self._libc.inotify_add_watch(self.fd, os.fsencode(directory), mask))

    def drop(self, watch: int) -> None:
        """Watch it no longer; one that has ended by itself is no matter."""
        self._libc.inotify_rm_watch(self.fd, watch)

    def changes(self) -> Iterator[Change]:
        """What has come so far, without waiting."""
        while True:
            try:
                data = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                watch, mask, _, length = HEAD.unpack_from(data, at)
                yield Change(watch, mask, data[at + HEAD.size :][:length].rstrip(b"\0"))
                at += HEAD.size + length

    def close(self) -> None:
        os.close(self.fd)

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
