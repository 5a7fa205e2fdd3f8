"""A foreign image, from its path to what the engine needs: the index, and the digests in it."""

from __future__ import annotations

from tmprun.elf.interpreter_plan import brings_loader, plan
from tmprun.errors import BadImage
from tmprun.images.digests import Pass, digest
from tmprun.images.files import Files
from tmprun.images.formats import Head, read_head
from tmprun.images.image import Image
from tmprun.images.source import Source
from tmprun.images.squashfs.tree import Squashfs
from tmprun.index.encode import encode
from tmprun.index.impatient import is_impatient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tmprun.index.nodes import Fixup


class Compiled:
    """All there is to know about a foreign image; sizes and offsets in bytes. `table` is its index."""

    def __init__(self, fd: int, size: int, head: Head, squashfs: Squashfs, sha256: bytes) -> None:
        self.size = size
        self.machine = head.machine
        self.payload = head.payload
        self.squashfs = squashfs
        self.compression = squashfs.codec.name
        self.sha256 = sha256
        self.fixups = _fixups(fd, squashfs)
        self.table = encode(
            squashfs.root, squashfs.frames, fixups=self.fixups, image_size=size, image_sha256=sha256,
            at_once=is_impatient(squashfs.root, squashfs_files(fd, squashfs).part),
        )  # fmt: skip


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
    return Files(fd, squashfs.root, squashfs.frames)


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
            squashfs = head.read(source, head.payload)
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
