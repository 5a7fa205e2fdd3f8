"""What squashfs compresses with. Each decoder takes a block's stored bytes and the most that it may decode to.

A decoder allocates no more than a small multiple of that limit, whatever the block claims. The libraries are imported
when an image needs them: each costs milliseconds, and most starts need one.
"""

from __future__ import annotations

from tmprun.errors import BadImage, UnsupportedImage
from tmprun.index.rules import CODEC_LZ4, CODEC_LZO, CODEC_XZ, CODEC_ZLIB, CODEC_ZSTD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

# A dictionary is at most a block (1 MiB) large, and liblzma's own tables take some 100 KiB.
_XZ_MEMORY = 16 << 20
_ZSTD_WINDOW = 8 << 20
_ZSTD_HEADER = 18  # the longest frame header, magic included: RFC 8878, section 3.1.1.1
# LZO expands at most 255-fold, and its library cannot be told a limit. Up to this stored size that does no harm.
_LZO_HARMLESS = 128 << 10


class Codec:
    """`name` for people, `number` the index's codec, `decode(stored, limit)`, which raises BadImage.

    `declared(head)`, where the format has such a thing, is the plain size that a block's first `head` bytes declare, or
    None when they do not.
    """

    __slots__ = ("declared", "decode", "head", "name", "number")

    def __init__(self, name: str, number: int, decode: Callable[[bytes, int], bytes]) -> None:
        self.name = name
        self.number = number
        self.decode = decode
        self.declared: Callable[[bytes], int | None] | None = None
        self.head = 0


def codec_for(compression: int) -> Codec:
    """The codec that a squashfs superblock calls `compression`; UnsupportedImage when it has no number of ours."""
    row = next((row for row in _CODECS if row[0] == compression), None)
    if row is None:
        name = "lzma" if compression == 2 else f"method {compression}"
        raise UnsupportedImage(
            f"its squashfs is compressed with {name}, which nothing reads any more", remedy="get a newer release of it"
        )
    return _made(*row[1:])


def codec_of_frame(number: int) -> Codec | None:
    """The codec that an index calls `number`; None when it has no such number."""
    row = next((row for row in _CODECS if row[1] == number), None)
    return _made(*row[1:]) if row else None


def _made(number: int, make: Callable[[int], Codec]) -> Codec:
    try:
        return make(number)
    except ImportError as error:
        from tmprun.missing import missing

        why = missing(error)
        name = make.__name__.strip("_")
        raise UnsupportedImage(f"is compressed with {name}, and {why.what}", remedy=why.remedy) from None


def _damaged() -> BadImage:
    return BadImage("a compressed block is damaged", remedy="download it again")


def _zlib(number: int) -> Codec:
    import zlib

    def decode(stored: bytes, limit: int) -> bytes:
        stream = zlib.decompressobj()
        try:
            plain = stream.decompress(stored, limit + 1)
        except zlib.error:
            raise _damaged() from None
        if not stream.eof or len(plain) > limit:
            raise _damaged()
        return plain

    return Codec("zlib", number, decode)


def _zstd(number: int) -> Codec:
    library = zstd_library()
    decompressor = library.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)

    def decode(stored: bytes, limit: int) -> bytes:
        try:
            # The library allocates what the frame claims when the frame claims something.
            if library.frame_content_size(stored) > limit:
                raise _damaged()
            plain: bytes = decompressor.decompress(stored, max_output_size=limit)
        except library.ZstdError:
            raise _damaged() from None
        return plain

    def declared(head: bytes) -> int | None:
        try:
            size: int = library.frame_content_size(head)
        except library.ZstdError:
            raise _damaged() from None
        return None if size < 0 else size

    codec = Codec("zstd", number, decode)
    codec.declared, codec.head = declared, _ZSTD_HEADER
    return codec


def zstd_library() -> ModuleType:
    """The C half of `zstandard`. The package around it imports `typing` and `platform`, which takes 8 ms."""
    import sys
    from importlib.machinery import PathFinder

    if "zstandard" not in sys.modules:
        package = PathFinder.find_spec("zstandard")
        spec = PathFinder.find_spec("zstandard.backend_c", package.submodule_search_locations) if package else None
        module = spec.loader.create_module(spec) if spec and spec.loader else None
        if spec and spec.loader and module:
            spec.loader.exec_module(module)
            return module
    import zstandard

    return zstandard


def _xz(number: int) -> Codec:
    import lzma

    def decode(stored: bytes, limit: int) -> bytes:
        try:
            stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)
            plain = stream.decompress(stored, limit + 1)
        except lzma.LZMAError:
            raise _damaged() from None
        if not stream.eof or len(plain) > limit:
            raise _damaged()
        return plain

    return Codec("xz", number, decode)


def _lz4(number: int) -> Codec:
    from lz4.block import LZ4BlockError, decompress

    def decode(stored: bytes, limit: int) -> bytes:
        try:
            plain: bytes = decompress(stored, uncompressed_size=limit)
        except LZ4BlockError:
            raise _damaged() from None
        return plain

    return Codec("lz4", number, decode)


def _lzo(number: int) -> Codec:
    from lzallright import LZOCompressor, LZOError

    from tmprun.images.lzo_length import plain_length

    def decode(stored: bytes, limit: int) -> bytes:
        if len(stored) > _LZO_HARMLESS and plain_length(stored, limit) > limit:
            raise _damaged()
        try:
            plain = LZOCompressor.decompress(stored, limit)
        except LZOError:
            raise _damaged() from None
        if len(plain) > limit:
            raise _damaged()
        return plain

    return Codec("lzo", number, decode)


# The number that squashfs has for a codec, the index's, and what makes its decoder.
_CODECS = (
    (1, CODEC_ZLIB, _zlib),
    (3, CODEC_LZO, _lzo),
    (4, CODEC_XZ, _xz),
    (5, CODEC_LZ4, _lz4),
    (6, CODEC_ZSTD, _zstd),
)
