"""From the data blocks of a squashfs to frames and segments.

A file's blocks lie one behind the other from its start on; its inode lists their size words: stored size, bit 24 set
when the block is not compressed, 0 for a block of zeros that is not stored at all. Each decodes to the file system's
block size, a file's last one to what is left. The end of a file may instead be a *tail*, a piece of a fragment block,
which the ends of several files share. So each stored block is a frame of the index, and deduplicated files name the
same ones.
"""

from __future__ import annotations

from tmprun.errors import BadImage
from tmprun.images.squashfs.tables import MAX_BLOCKS, Tables, lies
from tmprun.index.nodes import Frame, Node
from tmprun.index.rules import CODEC_STORED, HOLE

NO_FRAGMENT = 0xFFFFFFFF
_NOT_COMPRESSED = 1 << 24
_HEADER = 96  # the superblock's size: data begins behind it
_ZERO = -1  # in a segment that is not finished: a hole. Others have their frame's offset there
_MAX_HOLE = 0xFFFFFFFF  # a segment's length has 32 bits


class Blocks:
    """Collects the blocks of all files: `add` each, then `frames` once, which also finishes the files' segments."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._size = tables.block_size
        self._fragments = tables.fragments()
        self._frames: dict[int, Frame] = {}
        self._files: list[Node] = []
        self._tails: dict[int, set[tuple[int, int]]] = {}
        self._count = 0

    def expect(self, blocks: int) -> None:
        """Call before reading so many size words; BadImage when all files together have too many."""
        self._count += blocks
        if self._count > MAX_BLOCKS:
            raise BadImage(f"its files have more than {MAX_BLOCKS} blocks of data")

    def add(self, node: Node, start: int, words: tuple[int, ...], fragment: int, offset: int) -> None:
        """A file of `node.size` bytes: blocks with the size `words` from `start` on, then a tail unless NO_FRAGMENT."""
        size = self._size
        left = node.size
        runs = node.segments
        for word in words:
            length = min(left, size)
            left -= length
            if word:
                runs.append((self._frame(start, word, length), 0, length))
                start += word & 0xFFFFFF
            elif runs and runs[-1][0] == _ZERO and runs[-1][2] <= _MAX_HOLE - length:
                runs[-1] = (_ZERO, 0, runs[-1][2] + length)
            else:
                runs.append((_ZERO, 0, length))
        if fragment != NO_FRAGMENT and left:
            runs.append((self._tail(fragment, offset, left), offset, left))
        if runs:
            self._files.append(node)

    def frames(self) -> list[Frame]:
        """All frames, in ascending order of their offsets in the file, which are final; digests are still empty."""
        for number, tails in self._tails.items():
            where, word = self._fragments[number]
            self._frame(where, word, self._fragment_size(where, word, tails))
        frames = [self._frames[offset] for offset in sorted(self._frames)]
        end = 0
        for frame in frames:
            if frame.offset < end:
                raise lies("blocks of data overlap")
            end = frame.offset + frame.stored
        numbers = {frame.offset: number for number, frame in enumerate(frames)}
        numbers[_ZERO] = HOLE
        for node in self._files:
            node.segments = [(numbers[where], offset, length) for where, offset, length in node.segments]
        for frame in frames:
            frame.offset += self._tables.start
        return frames

    def _frame(self, where: int, word: int, plain: int) -> int:
        """Note the block at `where`, with size `word`, that decodes to `plain` bytes; returns `where`."""
        stored = word & 0xFFFFFF
        codec = CODEC_STORED if word & _NOT_COMPRESSED else self._tables.codec.number
        known = self._frames.get(where)
        if known is not None:
            if (known.stored, known.plain, known.codec) != (stored, plain, codec):
                raise lies("one block of data with two sizes")
            return where
        self._check(where, word)
        if codec == CODEC_STORED and stored != plain:
            raise lies("a block of data has not the size that its file needs")
        self._frames[where] = Frame(where, stored, plain, codec, b"")
        return where

    def _check(self, where: int, word: int) -> int:
        """The stored size in `word`; BadImage unless the block lies where data may lie."""
        stored = word & 0xFFFFFF
        if word >> 25 or not 0 < stored <= self._size or where < _HEADER or where + stored > self._tables.data_end:
            raise lies("a block of data is out of range")
        return stored

    def _tail(self, fragment: int, offset: int, length: int) -> int:
        if fragment >= len(self._fragments) or offset + length > self._size:
            raise lies("the end of a file is out of range")
        self._tails.setdefault(fragment, set()).add((offset, length))
        return self._fragments[fragment][0]

    def _fragment_size(self, where: int, word: int, tails: set[tuple[int, int]]) -> int:
        """How many bytes the fragment block at `where` decodes to, of which the files use `tails`: (offset, length).

        Squashfs does not say. Every known writer fills a fragment block with tails, one behind the other, and writes
        each only when a file needs it, so the last one's end is the size. A zstd frame says its size itself. Where
        tails leave a gap, the writer may have left one at the end too, so the block is decoded to know. If all that
        still finds less than there is, the engine's decoder refuses the frame: nothing wrong can come of it.
        """
        end = max(offset + length for offset, length in tails)
        stored = self._check(where, word)
        codec = self._tables.codec
        if word & _NOT_COMPRESSED:
            return end
        size = codec.declared(self._tables.data(where, min(stored, codec.head))) if codec.declared else None
        if size is None and sum(length for _, length in tails) != end:
            size = len(codec.decode(self._tables.data(where, stored), self._size))
        if size is None:
            return end
        if not end <= size <= self._size:
            raise lies("a fragment block has not the size that its files need")
        return size
