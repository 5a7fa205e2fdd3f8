"""An image that the engine has open for a report: its index, and pieces of its files (`tmprun @read`).

The engine (stub/door/serve.c) is the only one that reads images. It finds what it remembers of this one, or reads and
hashes it now.
"""

from __future__ import annotations

import os
import struct
import subprocess
from functools import cached_property
from typing import IO, TYPE_CHECKING, cast

from tmprun.engine import programs
from tmprun.errors import BadImage, TmprunError
from tmprun.images.image import Image
from tmprun.index.decode import decode
from tmprun.index.nodes import Index, Node, key_of
from tmprun.index.rules import CODEC_LZ4, CODEC_LZO, CODEC_STORED, CODEC_XZ, CODEC_ZLIB, CODEC_ZSTD, FILE, MAX_INDEX

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_HELLO = struct.Struct("<8sQQII")
_WANTED = struct.Struct("<IIQQ")
_GIVEN = struct.Struct("<q")
_MAGIC = b"TMPRREAD"
_PIECE = 1 << 20
_CODECS = {
    CODEC_STORED: "stored",
    CODEC_ZSTD: "zstd",
    CODEC_ZLIB: "zlib",
    CODEC_XZ: "xz",
    CODEC_LZ4: "lz4",
    CODEC_LZO: "lzo",
}


class Opened:
    """What the engine knows about an open image; a context. Sizes and offsets in bytes.

    `table` is its index, `payload` where its file system begins. Of an image that is no bundle, `block_size` is the
    file system's, and `codec` what it is compressed with; else 0 and `stored`. `root` is the tree, whose files `read`
    and `part` read.

    TmprunError, when the context is entered, for what is no image that the engine can read.
    """

    def __init__(self, image: Image) -> None:
        self._image = image

    def __enter__(self) -> Self:
        self.payload = self.block_size = 0
        self._engine = _start(self._image)
        try:
            head = self._take(_HELLO.size)
            magic, self.payload, size, self.block_size, codec = _HELLO.unpack(head or bytes(_HELLO.size))
            if head and (magic != _MAGIC or size > MAX_INDEX or codec not in _CODECS):
                raise TmprunError("the engine is of another version", programs.door(), "install tmprun again")
            self.table = self._take(size)
            if not self.table:
                raise _refusal(self._engine, self._image.path)
            self.codec = _CODECS[codec]
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @cached_property
    def index(self) -> Index:
        """The index, decoded."""
        return decode(self.table)

    @property
    def root(self) -> Node:
        return self.index.nodes[0]

    @property
    def key(self) -> str:
        """The key of its tree."""
        return key_of(self.table)

    def read(self, node: Node, limit: int) -> bytes:
        """The first `limit` bytes of a regular file. BadImage when the image is damaged there."""
        return self.part(node, 0, limit)

    def part(self, node: Node, offset: int, length: int) -> bytes:
        """Up to `length` bytes of a regular file from `offset` on. BadImage when the image is damaged there."""
        content = bytearray()
        length = min(length, node.size - offset) if node.kind == FILE else 0
        while len(content) < length:
            content += self._piece(node.number, offset + len(content), min(_PIECE, length - len(content)))
        return bytes(content)

    def _piece(self, number: int, offset: int, length: int) -> bytes:
        stdin = _pipe(self._engine.stdin)
        try:
            stdin.write(_WANTED.pack(number, 0, offset, length))
            stdin.flush()
        except BrokenPipeError:
            raise BadImage("cannot be read: the engine has ended") from None
        (given,) = _GIVEN.unpack(self._take(_GIVEN.size) or _GIVEN.pack(-1))
        piece = self._take(given) if given > 0 else b""
        if not piece:
            raise BadImage("a compressed block is damaged", remedy="download it again")
        return piece

    def _take(self, size: int) -> bytes:
        """So many bytes that the engine prints; nothing when it has ended before."""
        taken = _pipe(self._engine.stdout).read(size)
        return taken if len(taken) == size else b""

    def _end(self) -> None:
        engine = self._engine
        for pipe in (engine.stdin, engine.stdout, engine.stderr):
            _pipe(pipe).close()
        engine.wait()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    """One of those that Popen was told to make."""
    return cast("IO[bytes]", pipe)


def options_for(image: Image) -> list[str]:
    """The engine's options for an image that it inherits open: which file, and whether it may be remembered."""
    return ["--image-fd", str(image.fd), *(["--read-as", image.identity] if image.settled else [])]


def _start(image: Image) -> subprocess.Popen[bytes]:
    command = [programs.door(), "@read", *options_for(image), "--", image.path]
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(command, pass_fds=(image.fd,), stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise TmprunError(f"cannot be started: {error.strerror}", command[0], "install tmprun again") from None


def _refusal(engine: subprocess.Popen[bytes], path: str) -> TmprunError:
    """Why the engine has ended, by the line that it said."""
    said = os.fsdecode(_pipe(engine.stderr).read()).rstrip("\n").rpartition("\n")[2]
    status = engine.wait()
    what = said.removeprefix("tmprun: ")
    kind = BadImage if status == BadImage.status else TmprunError
    return kind(what.removeprefix(f"{path}: ") or f"the engine ended with status {status}", path)
