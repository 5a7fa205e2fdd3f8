"""Compiled Python files whose validity hangs on their source's mtime (PEP 552, "Specification").

Such a `.pyc` names the mtime and the size of its source, and Python ignores it when either differs. When packing gives
every file the mtime SOURCE_DATE_EPOCH, each of them would become invalid, and the app would compile its modules anew at
every start, for ever, since it cannot write into its read-only tree. So the field is set to the new mtime.
"""

from __future__ import annotations

import struct

HEADER = 16
MTIME_AT = 8
_FIELDS = struct.Struct("<H2sIII")
# The first Python with this header is 3.7; later ones count on from there, Python 2's numbers begin at 20121.
_FIRST, _END = 3390, 20121


def source_of(path: bytes) -> bytes | None:
    """The path of the source that the file at `path` was compiled from, both from the AppDir; None if it was not.

    `d/__pycache__/m.cpython-311.opt-1.pyc` belongs to `d/m.py`, `d/m.pyc` to `d/m.py`.
    """
    directory, slash, name = path.rpartition(b"/")
    if not name.endswith(b".pyc"):
        return None
    parent, parent_slash, last = directory.rpartition(b"/")
    if last == b"__pycache__":
        return parent + parent_slash + name.partition(b".")[0] + b".py"
    return directory + slash + name[:-1]


def is_valid(header: bytes, mtime: int, size: int) -> bool:
    """Whether a file with this header is valid because its source has this mtime (seconds) and size (bytes)."""
    if len(header) < HEADER:
        return False
    number, line_end, flags, source_mtime, source_size = _FIELDS.unpack_from(header)
    if not _FIRST <= number < _END or line_end != b"\r\n" or flags:
        return False
    return bool(source_mtime == mtime & 0xFFFFFFFF and source_size == size & 0xFFFFFFFF)


def with_mtime(header: bytes, mtime: int) -> bytes:
    """`header` for a source with this mtime, in seconds."""
    return header[:MTIME_AT] + struct.pack("<I", mtime & 0xFFFFFFFF) + header[MTIME_AT + 4 :]
