"""A bundle's footer and the index that it leads to (docs/format.md)."""

from __future__ import annotations

import hashlib
import os
import struct
from typing import NamedTuple

import zstandard

from tmprun.errors import BadImage, UnsupportedImage
from tmprun.index.limits import check_limits
from tmprun.index.rules import FLAG_FOREIGN, HEADER, MAX_INDEX

ALIGN = 4096
INDEX_MAGIC = 0x184D2A5D
FOOTER_MAGIC = 0x184D2A5E
MAGIC = b"TMPRUN\0"
VERSION = 1
SKIPPABLE = struct.Struct("<II")
FOOTER = struct.Struct("<II7sBQII32s")

# The index is read before anything else happens at a cold start, and is small: the best ratio costs nothing to decode.
INDEX_LEVEL = 19
# But to pack: 0.1 s for LibreOffice's. A bundle that somebody waits for has it at this level.
QUICK_INDEX_LEVEL = 3


# zstd's own level 18 is meant for larger windows than a frame has. Smaller tables, which stay in a core's cache, and a
# search that is content sooner (btopt), but still looks for three bytes, take 0.75 of its time for 1.5 % more bytes.
TUNED_LEVEL = 18
_TUNED = zstandard.ZstdCompressionParameters(
    window_log=20, chain_log=19, hash_log=18, search_log=6, min_match=3, target_length=64,
    strategy=zstandard.STRATEGY_BTOPT, write_checksum=False, write_content_size=True, write_dict_id=False,
)  # fmt: skip


class Footer(NamedTuple):
    """`offset` of the first frame, `stored` and plain `size` of the index in bytes, `key` in lower-case hex."""

    offset: int
    stored: int
    size: int
    key: str


def read_footer(fd: int) -> Footer | None:
    """The footer of the bundle open as `fd`; None when that file is no bundle.

    Raises BadImage when the footer contradicts itself or the file, UnsupportedImage when its version is unknown.
    """
    end = os.fstat(fd).st_size
    raw = os.pread(fd, FOOTER.size, max(0, end - FOOTER.size))
    if len(raw) < FOOTER.size:
        return None
    frame_magic, frame_size, magic, version, offset, stored, size, key = FOOTER.unpack(raw)
    if (frame_magic, frame_size, magic) != (FOOTER_MAGIC, FOOTER.size - SKIPPABLE.size, MAGIC):
        return None
    if version != VERSION:
        raise UnsupportedImage(f"it is a bundle of format version {version}; this tmprun knows version {VERSION}")
    if offset % ALIGN or not 0 < size <= MAX_INDEX or offset + SKIPPABLE.size + stored + FOOTER.size > end:
        raise BadImage("the bundle's footer is damaged")
    return Footer(offset, stored, size, key.hex())


def read_index(fd: int, footer: Footer) -> bytes:
    """The plain index of the bundle open as `fd`. BadImage unless it is the one that `footer` names."""
    at = os.fstat(fd).st_size - FOOTER.size - SKIPPABLE.size - footer.stored
    raw = os.pread(fd, SKIPPABLE.size + footer.stored, at)
    if len(raw) != SKIPPABLE.size + footer.stored or SKIPPABLE.unpack_from(raw) != (INDEX_MAGIC, footer.stored):
        raise BadImage("the bundle's index is not where its footer says")
    table = _inflate(raw[SKIPPABLE.size :], footer.size)
    check_limits(table)
    if hashlib.sha256(table).hexdigest() != footer.key:
        raise BadImage("the bundle's index is damaged: its SHA-256 is not the footer's")
    if len(table) >= HEADER.size and HEADER.unpack_from(table)[8] & FLAG_FOREIGN:
        raise BadImage("the bundle's index is that of another file")
    return table


def _inflate(stored: bytes, size: int) -> bytes:
    """Decompress one zstd frame of `size` plain bytes; whatever size it claims itself, not more is allocated."""
    try:
        if zstandard.frame_content_size(stored) not in (-1, size):
            raise BadImage("the bundle's index has another size than its footer says")
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadImage(f"the bundle's index is damaged: {error}") from None


def tail(offset: int, table: bytes, level: int = INDEX_LEVEL) -> bytes:
    stored = compressor(level).compress(table)
    key = hashlib.sha256(table).digest()
    content = FOOTER.size - SKIPPABLE.size
    footer = FOOTER.pack(FOOTER_MAGIC, content, MAGIC, VERSION, offset, len(stored), len(table), key)
    return SKIPPABLE.pack(INDEX_MAGIC, len(stored)) + stored + footer


def compressor(level: int) -> zstandard.ZstdCompressor:
    """Of that level, as zstd has it, but for TUNED_LEVEL."""
    if level == TUNED_LEVEL:
        return zstandard.ZstdCompressor(compression_params=_TUNED)
    return zstandard.ZstdCompressor(level=level, write_checksum=False, write_content_size=True, write_dict_id=False)
