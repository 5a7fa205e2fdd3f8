"""An image's file, opened, with what is asked of it more than once."""

from __future__ import annotations

import os
import stat

from tmprun.errors import BadImage, TmprunError
from tmprun.images.identity import identity, is_fresh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Image:
    """The image file at `path`, open as `fd`; a context.

    Whoever has opened it already gives the descriptor as `inherited`, which becomes the context's; then `path` is but
    its name. From here on the file is this descriptor: a name may lead to another file the next time.

    `facts` is what fstat said before anything was read, and `fresh` whether the file's times were too young then to
    show a change. An error that leaves the context without saying where it happened says that it was here.
    """

    def __init__(self, path: str, inherited: int | None = None) -> None:
        self.path = path
        self._inherited = inherited
        self.fd = -1

    def __enter__(self) -> Self:
        self.fd = self._open() if self._inherited is None else self._inherited
        os.set_inheritable(self.fd, False)
        self.facts = os.fstat(self.fd)
        self.fresh = is_fresh(self.facts)
        if not stat.S_ISREG(self.facts.st_mode):
            os.close(self.fd)
            directory = stat.S_ISDIR(self.facts.st_mode)
            raise BadImage("is a directory, not an image" if directory else "is not a regular file", self.path)
        return self

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            raise TmprunError("no such file", self.path, "check the name") from None
        except OSError as error:
            raise BadImage(f"cannot be opened: {error.strerror}", self.path) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)
        if isinstance(error, TmprunError) and not error.where:
            error.where = self.path

    @property
    def size(self) -> int:
        return self.facts.st_size

    def check_unchanged(self) -> None:
        """BadImage when the file is not as it was when it was opened."""
        if not self._is(os.fstat(self.fd)):
            raise BadImage("changed while it was read", remedy="try again when nobody writes to it")

    @property
    def settled(self) -> bool:
        """Whether something may be remembered of the file: it, and what its path leads to, are what was opened."""
        try:
            return not self.fresh and self._is(os.fstat(self.fd)) and self._is(os.stat(self.path))
        except OSError:
            return False

    @property
    def identity(self) -> str:
        """The file's identity when it was opened."""
        return identity(self.facts)

    def _is(self, facts: os.stat_result) -> bool:
        return identity(facts) == self.identity
