"""A foreign image, from its path to what the engine needs: the index, and the digests in it."""

from __future__ import annotations

import os
import stat

from tmprun.digests import Pass, digest
from tmprun.elf_plan import brings_loader, plan
from tmprun.errors import BadImage, TmprunError
from tmprun.frames import Files
from tmprun.images.codecs import NO_CODEC
from tmprun.images.elf_head import Head, read_head
from tmprun.images.source import Source, changed
from tmprun.images.squashfs import Squashfs, read_squashfs
from tmprun.index import encode
from tmprun.known import identity, is_fresh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from tmprun.index import Fixup


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
            raise changed()

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


class Compiled:
    """All there is to know about a foreign image; sizes and offsets in bytes.

    `table` is its index, empty when the engine cannot decode the image's frames and a bundle must be made of it.
    """

    def __init__(self, fd: int, size: int, head: Head, squashfs: Squashfs, sha256: bytes) -> None:
        self.size = size
        self.machine = head.machine
        self.payload = head.payload
        self.squashfs = squashfs
        self.compression = squashfs.codec.name
        self.sha256 = sha256
        self.fixups = _fixups(fd, squashfs)
        self.table = b""
        if squashfs.codec.number != NO_CODEC:
            self.table = encode(
                squashfs.root, squashfs.frames, fixups=self.fixups, image_size=size, image_sha256=sha256
            )


def compile_opened(image: Image, mark: Callable[[str], None] = lambda name: None) -> Compiled:
    """Read and hash the whole image. BadImage or UnsupportedImage when it cannot be run, or changes meanwhile.

    `mark` is called with the name of each step that is done.
    """
    head, squashfs, sha256 = _read(image, mark)
    compiled = Compiled(image.fd, image.size, head, squashfs, sha256)
    mark("index")
    return compiled


def squashfs_files(fd: int, squashfs: Squashfs) -> Files:
    """The files of an image whose frames have their digests."""
    return Files(
        fd, squashfs.root, squashfs.frames, 0, lambda stored: squashfs.codec.decode(stored, squashfs.block_size)
    )


def _fixups(fd: int, squashfs: Squashfs) -> Sequence[Fixup]:
    """What would help the image's programs on a machine that lacks the loader which the image brings."""
    if not brings_loader(squashfs.root):
        return ()
    return plan(squashfs.root, squashfs_files(fd, squashfs).part).fixups


def _read(image: Image, mark: Callable[[str], None]) -> tuple[Head, Squashfs, bytes]:
    """What the index is made of. The buffers and the raw tables, which are large, are gone when this returns."""
    source = Source(image.fd, image.size)
    try:
        with Pass(image.fd, image.size) as stream:
            head = read_head(source)
            squashfs = read_squashfs(source, head.payload)
            mark("tables")
            sha256 = digest(stream, squashfs.frames, source.seen)
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror}") from None
    image.check_unchanged()
    mark("hash")
    return head, squashfs, sha256


def sha256_of(image: Image) -> bytes:
    """The SHA-256 of the whole image, and nothing else about it."""
    try:
        with Pass(image.fd, image.size) as stream:
            sha256 = digest(stream, [], [])
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror}") from None
    image.check_unchanged()
    return sha256
