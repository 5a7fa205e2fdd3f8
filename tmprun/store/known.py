"""The disk cache of what is known about foreign images (docs/store.md: `v1/image` and `v1/known`).

Everything here is best effort: where the cache cannot be written, each start finds out again. Nothing in it is used
unless all directories down to it are ours and closed to others.
"""

from __future__ import annotations

import os

from tmprun.errors import BadImage
from tmprun.index.decode import decode
from tmprun.store import layout
from tmprun.store.cache import shelves
from tmprun.store.draft import begin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_NOWHERE = -1  # instead of a directory: every call that is relative to it fails with EBADF
_HEX = frozenset("0123456789abcdef")


def open_cache() -> Cache:
    """The disk cache, made when missing. When there is none that we may use: one that has nothing and keeps nothing."""
    try:
        with shelves(layout.IMAGES, layout.KNOWN) as (images, known):
            return Cache(os.dup(images), os.dup(known))
    except OSError:
        pass
    return Cache(_NOWHERE, _NOWHERE)


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
