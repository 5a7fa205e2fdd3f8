"""ISO 9660, as type-1 AppImages have it: a file system whose unused start holds an ELF program."""

from __future__ import annotations

import os

# Where a volume descriptor's `CD001` may lie, and where AppImage's tools put the update information: offset and size.
_MAGIC_AT = (32769, 34817, 36865)
START = 32768  # bytes of it that are no file system's
_UPDATE_INFORMATION = (0x8373, 512)


def is_iso(fd: int) -> bool:
    """Whether the file open as `fd` is an ISO 9660 file system."""
    return any(os.pread(fd, 5, place) == b"CD001" for place in _MAGIC_AT)


def update_information(fd: int) -> bytes:
    """The update information of a type-1 image (AppImage specification); nothing when there is none."""
    offset, size = _UPDATE_INFORMATION
    return os.pread(fd, size, offset).split(b"\0")[0].strip()
