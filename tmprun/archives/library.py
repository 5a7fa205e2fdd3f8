"""libarchive, the few functions of it that we call, by way of libarchive-c, which finds and loads it.

Everything here runs in a confined child (`archives.child`): libarchive parses what strangers wrote.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_long, c_size_t, c_ssize_t, c_uint, c_void_p
from typing import Any

from tmprun.errors import BadImage, TmprunError, UnsupportedImage

EOF, OK, WARN = 1, 0, -20
FIFO, CHARACTER, DIRECTORY, BLOCK, FILE, SYMLINK, SOCKET = (
    0o10000,
    0o20000,
    0o40000,
    0o60000,
    0o100000,
    0o120000,
    0o140000,
)

# archive_write_disk(3). Without NO_OVERWRITE or UNLINK a later entry of a name takes the place of an earlier file, as
# with tar; through a symlink that an earlier entry made nothing is written, and nothing above the directory.
_PERM, _TIME, _SECURE_SYMLINKS, _SECURE_NODOTDOT, _SPARSE, _NO_ABSOLUTE = 0x2, 0x4, 0x100, 0x200, 0x1000, 0x10000
_DISK = _PERM | _TIME | _SECURE_SYMLINKS | _SECURE_NODOTDOT | _SPARSE | _NO_ABSOLUTE

_USUAL_NAME = "libarchive.so.13"
_BLOCK = 1 << 18
_WARNINGS = 100  # that are remembered
_SHOWN = 300  # characters of what it says
# Errors that are not the archive's.
_OURS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE}
_READ = ctypes.CFUNCTYPE(c_ssize_t, c_void_p, c_void_p, POINTER(c_void_p))

_FILTERS = ("gzip", "bzip2", "xz", "lzma", "lzip", "lz4", "zstd", "compress", "rpm")
FORMATS = {
    "tar": ("tar",),
    "deb": ("tar",),
    "rpm": ("cpio",),
    "zip": ("zip_seekable", "zip_streamable"),
    "7z": ("7zip",),
    "iso": ("iso9660",),
}
# What must be found in the file by its place: read through the descriptor, which can seek.
_SEEKS = {"zip", "7z", "iso"}

_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "archive_read_new": (c_void_p, []),
    "archive_read_open_fd": (c_int, [c_void_p, c_int, c_size_t]),
    "archive_read_open": (c_int, [c_void_p, c_void_p, c_void_p, _READ, c_void_p]),
    "archive_read_next_header2": (c_int, [c_void_p, c_void_p]),
    "archive_read_data_block": (c_int, [c_void_p, POINTER(c_void_p), POINTER(c_size_t), POINTER(c_int64)]),
    "archive_read_data": (c_ssize_t, [c_void_p, c_void_p, c_size_t]),
    "archive_read_has_encrypted_entries": (c_int, [c_void_p]),
    "archive_filter_bytes": (c_int64, [c_void_p, c_int]),
    "archive_error_string": (c_char_p, [c_void_p]),
    "archive_errno": (c_int, [c_void_p]),
    "archive_write_disk_new": (c_void_p, []),
    "archive_write_disk_set_options": (c_int, [c_void_p, c_int]),
    "archive_write_header": (c_int, [c_void_p, c_void_p]),
    "archive_write_data_block": (c_ssize_t, [c_void_p, c_void_p, c_size_t, c_int64]),
    "archive_write_finish_entry": (c_int, [c_void_p]),
    "archive_write_close": (c_int, [c_void_p]),
    "archive_entry_new": (c_void_p, []),
    "archive_entry_pathname": (c_char_p, [c_void_p]),
    "archive_entry_hardlink": (c_char_p, [c_void_p]),
    "archive_entry_symlink": (c_char_p, [c_void_p]),
    "archive_entry_copy_pathname": (None, [c_void_p, c_char_p]),
    "archive_entry_copy_hardlink": (None, [c_void_p, c_char_p]),
    "archive_entry_filetype": (c_uint, [c_void_p]),
    "archive_entry_mode": (c_uint, [c_void_p]),
    "archive_entry_set_perm": (None, [c_void_p, c_uint]),
    "archive_entry_size": (c_int64, [c_void_p]),
    "archive_entry_mtime": (c_int64, [c_void_p]),
    "archive_entry_mtime_nsec": (c_long, [c_void_p]),
    "archive_entry_mtime_is_set": (c_int, [c_void_p]),
    "archive_entry_set_mtime": (None, [c_void_p, c_int64, c_long]),
    "archive_entry_is_encrypted": (c_int, [c_void_p]),
    "archive_entry_xattr_reset": (c_int, [c_void_p]),
    "archive_entry_xattr_next": (c_int, [c_void_p, POINTER(c_char_p), POINTER(c_void_p), POINTER(c_size_t)]),
    "archive_entry_acl_types": (c_int, [c_void_p]),
}


def _name_it() -> None:
    """libarchive-c asks the linker's tools for the library's name, which takes longer than loading it."""
    with suppress(OSError):
        ctypes.CDLL(_USUAL_NAME)
        os.environ.setdefault("LIBARCHIVE", _USUAL_NAME)


def load() -> Any:
    """libarchive. TmprunError when this machine has none that we can use."""
    remedy = "install it (Debian: apt-get install libarchive13; Fedora, Alpine: libarchive)"
    _name_it()
    try:
        from libarchive import ffi
    except ImportError:
        raise  # the Python package; `tmprun.missing` says what brings it
    except Exception:  # it looks for the functions when it is imported, and without the library finds none
        raise TmprunError("libarchive, which reads archives, is not on this machine", remedy=remedy) from None
    library = ffi.libarchive
    for name, (result, arguments) in _SIGNATURES.items():
        function = library[name]  # our own: libarchive-c's have other types, and check results in their way
        function.restype, function.argtypes = result, arguments
        setattr(library, f"our_{name}", function)
    return library


class Reader:
    """The archive of the format `kind` in the open file, from `start` to `end`, read once from its start to its end."""

    def __init__(self, fd: int, form: str, start: int, end: int) -> None:
        self._library = load()
        self._fd, self._at, self._end = fd, start, end
        self._archive = self._call("archive_read_new")
        self._entry = self._call("archive_entry_new")
        for name in _FILTERS if form not in _SEEKS else ():
            self._support(f"archive_read_support_filter_{name}")
        for name in FORMATS[form]:
            self._support(f"archive_read_support_format_{name}")
        self.warnings: dict[str, None] = {}
        self._callback = _READ(self._read)
        self._buffer = ctypes.create_string_buffer(_BLOCK)
        if form in _SEEKS:
            os.lseek(fd, 0, os.SEEK_SET)
            self._check(self._call("archive_read_open_fd", self._archive, fd, _BLOCK))
        else:
            self._check(self._call("archive_read_open", self._archive, None, None, self._callback, None))

    def _call(self, name: str, *arguments: Any) -> Any:
        return getattr(self._library, f"our_{name}")(*arguments)

    def _support(self, name: str) -> None:
        function = self._library[name]
        function.restype, function.argtypes = c_int, [c_void_p]
        function(self._archive)  # a warning says that it would start a program for this: it may not, and fails later

    def _read(self, _archive: Any, _data: Any, out: Any) -> int:
        try:
            size = os.preadv(
                self._fd, [memoryview(self._buffer)[: max(0, min(_BLOCK, self._end - self._at))]], self._at
            )
        except OSError:
            return -1
        self._at += size
        out[0] = ctypes.addressof(self._buffer)
        return size

    def _check(self, status: int) -> None:
        if status < WARN:
            raise failure(self._said())

    def _said(self) -> str:
        text: bytes = self._call("archive_error_string", self._archive) or b""
        return text.decode("utf-8", "replace")

    @property
    def read_so_far(self) -> int:
        """How many bytes of the file were read."""
        return int(self._call("archive_filter_bytes", self._archive, -1))

    def __iter__(self) -> Iterator[Entry]:
        while True:
            status = self._call("archive_read_next_header2", self._archive, self._entry)
            if status == EOF:
                break
            self._check(status)
            entry = Entry(self._library, self._entry)
            if status == WARN and len(self.warnings) < _WARNINGS:
                self.warnings[f"{self._said() or 'a warning'} ({os.fsdecode(entry.path)})"] = None
            if entry.encrypted:
                raise encrypted()
            yield entry
        if self._call("archive_read_has_encrypted_entries", self._archive) == 1:
            raise encrypted()

    def blocks(self) -> Iterator[tuple[Any, int, int]]:
        """Address, size and place of each piece of the entry's content."""
        address, size, at = c_void_p(), c_size_t(), c_int64()
        while True:
            status = self._call("archive_read_data_block", self._archive, byref(address), byref(size), byref(at))
            if status == EOF:
                return
            self._check(status)
            yield address, size.value, at.value

    def head(self, limit: int) -> bytes:
        """The first `limit` bytes of the entry's content, or all of it."""
        buffer, have = ctypes.create_string_buffer(limit), 0
        while have < limit:
            got = self._call("archive_read_data", self._archive, ctypes.addressof(buffer) + have, limit - have)
            self._check(got)
            if got <= 0:
                break
            have += got
        return buffer.raw[:have]


class Entry:
    """What the archive says of one entry; of a reader's last one."""

    def __init__(self, library: Any, entry: Any) -> None:
        self._library = library
        self.raw = entry

    def _get(self, name: str, *arguments: Any) -> Any:
        return getattr(self._library, f"our_archive_entry_{name}")(self.raw, *arguments)

    @property
    def path(self) -> bytes:
        """BadImage when there is none, or it cannot be a file name."""
        path: bytes | None = self._get("pathname")
        if path is None:
            raise BadImage("it has a name that no file can have", remedy="check the file")
        return path

    @property
    def encrypted(self) -> bool:
        return int(self._get("is_encrypted")) == 1

    @property
    def hard_link(self) -> bytes | None:
        """The path of which this is another name."""
        link: bytes | None = self._get("hardlink")
        return link

    @property
    def target(self) -> bytes:
        return self._get("symlink") or b""

    @property
    def type(self) -> int:
        return int(self._get("filetype"))

    @property
    def mode(self) -> int:
        return int(self._get("mode")) & 0o7777

    @property
    def size(self) -> int:
        return int(self._get("size"))

    @property
    def mtime(self) -> int | None:
        """In seconds."""
        return int(self._get("mtime")) if self._get("mtime_is_set") else None

    def attributes(self) -> list[str]:
        """The names of what it has that a bundle cannot keep: extended attributes, capabilities, access lists."""
        found = []
        name, value, size = c_char_p(), c_void_p(), c_size_t()
        self._get("xattr_reset")
        while self._get("xattr_next", byref(name), byref(value), byref(size)) == OK:
            found.append((name.value or b"").decode("utf-8", "replace"))
        return found + (["access list"] if self._get("acl_types") else [])

    def change(self, path: bytes, mode: int, link: bytes | None, mtime: int | None) -> None:
        """What is written to disk of it."""
        self._get("copy_pathname", path)
        self._get("set_perm", mode)
        if link is not None:
            self._get("copy_hardlink", link)
        if mtime is not None:
            self._get("set_mtime", mtime, 0)


class Disk:
    """Writes entries below the working directory, and never above it."""

    def __init__(self) -> None:
        self._library = load()
        self._archive = self._call("archive_write_disk_new")
        self._call("archive_write_disk_set_options", self._archive, _DISK)

    def _call(self, name: str, *arguments: Any) -> Any:
        return getattr(self._library, f"our_{name}")(*arguments)

    def _check(self, status: int) -> None:
        if status < WARN:
            text = (self._call("archive_error_string", self._archive) or b"").decode("utf-8", "replace")
            number = self._call("archive_errno", self._archive)
            if number in _OURS:
                raise OSError(number, os.strerror(number))
            why = f" ({os.strerror(number)})" if number > 0 else ""
            raise BadImage(f"it holds what cannot be unpacked: {text[:_SHOWN]}{why}", remedy="check the file")

    def begin(self, entry: Entry) -> None:
        self._check(self._call("archive_write_header", self._archive, entry.raw))

    def write(self, address: Any, size: int, at: int) -> None:
        status = self._call("archive_write_data_block", self._archive, address, size, at)
        self._check(status)

    def end(self) -> None:
        self._check(self._call("archive_write_finish_entry", self._archive))

    def close(self) -> None:
        """Now directories get their modes and times."""
        self._check(self._call("archive_write_close", self._archive))


def encrypted() -> TmprunError:
    return UnsupportedImage("is encrypted", remedy="unpack it first, with its password")


def failure(text: str) -> TmprunError:
    """What libarchive says of a file that it cannot read, for people."""
    low = text.lower()
    if "truncated" in low or "unexpected end" in low or "premature" in low:
        return BadImage(f"is cut short ({text})", remedy="download it again")
    if "unrecognized archive format" in low:
        return BadImage("is compressed, but no archive", remedy="decompress it first, and name what comes out")
    if "encrypt" in low or "passphrase" in low:
        return encrypted()
    if "allocate" in low or "out of memory" in low:
        return BadImage(f"needs more memory to be read than any good archive does ({text})", remedy="check the file")
    return BadImage(f"is damaged ({text})" if text else "is damaged", remedy="download it again")
