"""The tables of a squashfs 4.0 file system: superblock, metadata blocks, fragment table.

Layout, from the payload's start, little-endian, offsets and sizes in bytes (kernel:
Documentation/filesystems/squashfs.rst, fs/squashfs/squashfs_fs.h):

    superblock (96) | compressor options | data blocks and fragment blocks | inode table | directory table |
    fragment table | export table | id table | xattr table

Everything from the inode table on is read at once; the data before it is never needed to know the tree. The inode and
directory tables are chains of *metadata blocks*: a 16-bit header (stored size; bit 15: not compressed), then the block,
which decodes to 8 KiB, the last one to less. The fragment table is an array of 64-bit places of metadata blocks, which
hold 512 entries each: place of the fragment block (u64), stored size (u32; bit 24: not compressed), unused (u32).
"""

from __future__ import annotations

import struct

from tmprun.errors import BadImage, UnsupportedImage
from tmprun.images.codecs import Codec, codec_for
from tmprun.images.source import Source, read_exactly

_SUPERBLOCK = struct.Struct("<4sIIIIHHHHHHQQQQQQQQ")
_FRAGMENT = struct.Struct("<QII")
_METADATA = 8192
_FRAGMENTS_A_BLOCK = _METADATA // _FRAGMENT.size

# What an image may make us hold in memory and work through, far above any real application. An image of 60,000 files
# has tables of 1.5 MB, compressed, and 5 MB otherwise.
MAX_INODES = 200_000
MAX_BLOCKS = 1 << 18
_MAX_TABLES = 24 << 20
_MAX_INODE_TABLE = 16 << 20
_MAX_DIRECTORY_TABLE = 8 << 20


def lies(what: str) -> BadImage:
    """The error for tables that contradict themselves."""
    return BadImage(f"its squashfs is damaged: {what}", remedy="download it again")


class Tables:
    """An image's tables: `inodes` and `directories` as chains, `fragments` on demand; `start` is the payload's."""

    __slots__ = (
        "_fragment_table", "_raw", "_source", "block_size", "bytes_used", "codec", "data_end", "directories",
        "fragment_count", "inode_count", "inodes", "root", "start",
    )  # fmt: skip

    def __init__(self, source: Source, start: int) -> None:
        (magic, self.inode_count, _time, self.block_size, self.fragment_count, compression, block_log, _flags, _ids,
        major, minor,
         self.root, self.bytes_used, _id_table, _xattrs, inode_table, directory_table, self._fragment_table,
         _exports) = _SUPERBLOCK.unpack(source.read(start, _SUPERBLOCK.size))  # fmt: skip
        self.start = start
        if magic != b"hsqs" or (major, minor) != (4, 0):
            raise UnsupportedImage(
                f"its squashfs has version {major}.{minor}", remedy="only version 4.0 is in use today"
            )
        if not 12 <= block_log <= 20 or self.block_size != 1 << block_log:
            raise lies(f"block size {self.block_size}")
        if start + self.bytes_used > source.size:
            missing = start + self.bytes_used - source.size
            raise BadImage(f"is cut short: {missing} bytes are missing", remedy="download it again")
        if not _SUPERBLOCK.size <= inode_table < directory_table < self.bytes_used:
            raise lies("its tables are out of order")
        if (
            self.bytes_used - inode_table > _MAX_TABLES
            or self.inode_count > MAX_INODES
            or self.fragment_count > MAX_BLOCKS
        ):
            raise BadImage(f"its tables are larger than those of any application ({self.inode_count} files)")
        self.codec = codec_for(compression)
        self.data_end = inode_table
        self._source = source
        self._raw = source.read(start + inode_table, self.bytes_used - inode_table)
        self.inodes = Chain(self._raw, 0, self.codec, _MAX_INODE_TABLE)
        self.inodes.read_until(directory_table - inode_table)
        self.directories = Chain(self._raw, directory_table - inode_table, self.codec, _MAX_DIRECTORY_TABLE)

    def fragments(self) -> list[tuple[int, int]]:
        """Place (from the payload's start) and size word of each fragment block."""
        if not self.fragment_count:
            return []
        blocks = -(-self.fragment_count // _FRAGMENTS_A_BLOCK)
        at = self._fragment_table - self.data_end
        if not 0 <= at <= len(self._raw) - 8 * blocks:
            raise lies("its fragment table is out of range")
        entries: list[tuple[int, int]] = []
        for place in struct.unpack_from(f"<{blocks}Q", self._raw, at):
            plain, _ = metadata_block(self._raw, place - self.data_end, self.codec)
            entries += [
                (where, word) for where, word, _ in _FRAGMENT.iter_unpack(plain[: len(plain) & -_FRAGMENT.size])
            ]
        if len(entries) < self.fragment_count:
            raise lies("its fragment table is cut short")
        return entries[: self.fragment_count]

    def data(self, place: int, size: int) -> bytes:
        """`size` stored bytes from `place`, which counts from the payload's start and is in range.

        They tell only how large a block is. The source need not remember them: a decoder finds out when they lied.
        """
        return read_exactly(self._source.fd, self.start + place, size)


def metadata_block(raw: bytes, at: int, codec: Codec) -> tuple[bytes, int]:
    """The plain bytes of the metadata block at `at` in `raw`, and where the next one begins."""
    if not 0 <= at <= len(raw) - 2:
        raise lies("a table is out of range")
    header = raw[at] | raw[at + 1] << 8
    size = header & 0x7FFF
    end = at + 2 + size
    if not 0 < size <= _METADATA or end > len(raw):
        raise lies("a table is cut short")
    plain = raw[at + 2 : end] if header & 0x8000 else codec.decode(raw[at + 2 : end], _METADATA)
    if not plain:
        raise lies("an empty block in a table")
    return plain, end


class Chain:
    """Metadata blocks one behind the other in `raw`, each decoded once, in order, as far as somebody asks.

    The tables refer to something in a chain by two numbers: the place of a block, counted from the chain's start, and
    an offset in its plain bytes. `plain` is all that was decoded so far. BadImage when that is more than `most` bytes.
    """

    __slots__ = ("_begin", "_codec", "_most", "_next", "_raw", "_starts", "plain")

    def __init__(self, raw: bytes, begin: int, codec: Codec, most: int) -> None:
        self._raw = raw
        self._begin = self._next = begin
        self._codec = codec
        self._most = most
        self._starts: dict[int, int] = {}
        self.plain = bytearray()

    def read_until(self, end: int) -> None:
        """Decode everything before `end`, a place in `raw`."""
        while self._next < end:
            self._add()

    def locate(self, block: int, offset: int, size: int = 0) -> int:
        """Where in `plain` the bytes that `block` and `offset` refer to begin; `size` of them are there."""
        while block not in self._starts:
            if self._begin + block < self._next:
                raise lies("a reference into the middle of a table's block")
            self._add()
        at = self._starts[block] + offset
        while len(self.plain) < at + size:
            self._add()
        if offset >= _METADATA:
            raise lies("a reference past the end of a table's block")
        return at

    def _add(self) -> None:
        plain, end = metadata_block(self._raw, self._next, self._codec)
        if len(self.plain) + len(plain) > self._most:
            raise BadImage("its tables are larger than those of any application")
        self._starts[self._next - self._begin] = len(self.plain)
        self.plain += plain
        self._next = end
