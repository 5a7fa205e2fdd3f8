"""What is special about one codec of squashfs: LZO's library cannot be told how much may come out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images.test_squashfs_hostile import within_bounds
from kit.foreign_images import write_image
from kit.squashfs_forge import Entry, Forge, file_inode
from lzallright import LZOCompressor

from tmprun.errors import BadImage
from tmprun.images.codecs import codec_for
from tmprun.images.lzo_length import plain_length

LZO = 3


def test_an_lzo_bomb_stays_within_bounds(tmp_path: Path) -> None:
    """As large as a block may be, and expanding as far as LZO can."""
    stored = LZOCompressor().compress(bytes(180 << 20))[: 1 << 20]
    forge = Forge(data=stored, compression=LZO, fields={"block_size": 1 << 20, "block_log": 20})
    forge.top([Entry(b"f", forge.inode(file_inode(2, 1 << 20, start=96, words=(len(stored),))), 2)])
    within_bounds(write_image(tmp_path / "image", forge.build()))
    with pytest.raises(BadImage, match="damaged"):
        codec_for(LZO).decode(stored, 1 << 20)


def test_length_of_real_files() -> None:
    content = Path(sys.executable).resolve().read_bytes()[: 6 << 20]
    for size in (4096, 131072, 1 << 20):
        for at in range(0, len(content), max(size, len(content) // 40)):
            block = content[at : at + size]
            assert plain_length(LZOCompressor().compress(block), size) == len(block)


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(st.one_of(st.binary(max_size=300), st.integers(1, 70_000).map(bytes)), max_size=8))
def test_length_of_anything(parts: list[bytes]) -> None:
    plain = b"".join(parts)
    assert plain_length(LZOCompressor().compress(plain), 1 << 20) == len(plain)


@settings(max_examples=300, deadline=None)
@given(block=st.binary(max_size=500))
def test_of_garbage_the_length_ends(block: bytes) -> None:
    assert plain_length(block, 1 << 20) >= 0
