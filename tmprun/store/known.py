"""The disk cache of what is known about foreign images (docs/store.md: `v1/image` and `v1/known`).

Everything here is best effort: where the cache cannot be written, each start finds out again. Nothing in it is used
unless all directories down to it are ours and closed to others.
"""

from __future__ import annotations

import os
import stat

from tmprun.errors import BadImage
from tmprun.index.decode import decode
from tmprun.store import layout
from tmprun.store.chain import open_chain
from tmprun.store.draft import begin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOWHERE = -1  # instead of a directory: every call that is relative to it fails with EBADF
_HEX = frozenset("0123456789abcdef")


def open_cache() -> Cache:
    """The disk cache, made when missing. When there is none that we may use: one that has nothing and keeps nothing."""
    path = layout.cache()
    opened: list[int] = []
    try:
        if path is not None:
            above, _, name = path.rpartition("/")
            opened.append(_open_above(above))
            opened.append(_enter(opened[0], name))
            opened.append(_enter(opened[1], layout.VERSION))
            opened += [_enter(opened[2], layout.IMAGES), _enter(opened[2], layout.KNOWN)]
            return Cache(os.dup(opened[3]), os.dup(opened[4]))
    except OSError:
        pass
    finally:
        for fd in opened:
            os.close(fd)
    return Cache(_NOWHERE, _NOWHERE)


def _open_above(path: str) -> int:
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


def _enter(parent: int, name: str) -> int:
    _make(name, parent)
    return _open_ours(name, parent)


def _open_ours(path: str, parent: int) -> int:
    """The directory `path`, opened; PermissionError unless it is ours and closed to others."""
    fd = os.open(path, _FOLDER, dir_fd=parent)
    facts = os.fstat(fd)
    if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & ~stat.S_ISGID != 0o700:
        os.close(fd)
        raise PermissionError("belongs to another user, or is open to others")
    return fd


class Cache:
    """The opened cache, a context. Names in it are `SHA256.index`, SHA256 in lower-case hex."""

    def __init__(self, image: int, known: int) -> None:
        self._image = image
        self._known = known

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fd in {self._image, self._known} - {_NOWHERE}:
            os.close(fd)

    def lookup(self, who: str) -> str | None:
        """The name that is remembered for the identity `who`."""
        try:
            name = os.readlink(who, dir_fd=self._known)
        except OSError:
            return None
        digest, _, kind = name.partition(".")
        return name if len(digest) == 64 and _HEX.issuperset(digest) and kind == "index" else None

    def has_size(self, size: int) -> bool:
        """Whether an image of `size` bytes was known once: then the one at hand may be a copy of it."""
        try:
            names = os.listdir(self._known)
        except OSError:
            return False
        return any(name.split("-")[2:3] == [f"{size:x}"] for name in names)

    def index(self, sha256: bytes) -> bytes | None:
        """The index of the image with this digest, when a good one is there."""
        fd = self._open(f"{sha256.hex()}.index")
        if fd is None:
            return None
        try:
            with open(fd, "rb") as file:
                table = file.read()
            return table if decode(table).image_sha256 == sha256 else None
        except (OSError, BadImage):
            return None

    def add_index(self, sha256: bytes, table: bytes) -> None:
        """Keep `table` as the index of the image with this digest."""
        try:
            draft = begin(self._image, f"{sha256.hex()}.index")
            if draft:  # else somebody is just writing the same
                with draft, open(draft.fd, "wb", closefd=False) as file:
                    file.write(table)
                    file.flush()
                    draft.publish()
        except OSError:
            return

    def _open(self, name: str) -> int | None:
        try:
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self._image)
        except OSError:
            return None

    def remember(self, who: str, name: str) -> None:
        """From now on `name` is found under the identity `who`."""
        try:
            try:
                os.symlink(name, who, dir_fd=self._known)
            except FileExistsError:
                if self.lookup(who) != name:
                    os.unlink(who, dir_fd=self._known)
                    os.symlink(name, who, dir_fd=self._known)
        except OSError:
            return
