"""Every codec of squashfs, decoded by the front door itself: the bytes that unsquashfs finds, or a message."""

from __future__ import annotations

import hashlib
import lzma
import os
import struct
import time
import zlib
from pathlib import Path

import lz4.block
import pytest
from kit.apps import SETTLED
from kit.codec_images import BLOCKS, codec_appdir, codec_image, unsquashed
from kit.foreign_images import COMPRESSORS, write_image
from kit.gating import Gated, compile_reader, files_with_content, truth
from kit.harness import Harness, Result
from kit.places import VERSION
from kit.squashfs_forge import BLOCK, Entry, Forge, file_inode
from kit.trees import snapshot
from lzallright import LZOCompressor
from start.test_hostile import MEGABYTE, measured

LZO, XZ, LZ4 = 3, 4, 5
MODES = ("eager", "background", "demand")
OPTIONS = [
    *(["-comp", "xz", "-Xbcj", name] for name in ("x86", "powerpc", "ia64", "arm", "armthumb", "sparc")),
    ["-comp", "xz", "-Xbcj", "x86,arm,sparc", "-Xdict-size", "50%", "-b", "1M"],
    ["-comp", "xz", "-always-use-fragments", "-b", "1M"],
    ["-comp", "xz", "-no-fragments"],
    ["-comp", "lz4", "-Xhc"],
    ["-comp", "lzo", "-Xalgorithm", "lzo1x_1_15"],
    ["-comp", "lzo", "-Xalgorithm", "lzo1x_999", "-Xcompression-level", "9"],
]


@pytest.fixture(scope="module")
def appdir(shared: Path) -> Path:
    (shared / "codecs").mkdir()
    return codec_appdir(shared / "codecs", compile_reader(shared / "codecs"))


@pytest.fixture
def whole(harness: Harness, door_with_python: Path) -> Harness:
    harness.door = door_with_python
    return harness


def check(whole: Harness, image: Gated) -> None:
    """Extracted it is what unsquashfs makes of it, and in every mode its app reads the right bytes, cold."""
    whole.run(whole.door, "extract", image.image, "-C", whole.base / "ours")
    wanted = snapshot(unsquashed(image, whole.base / "theirs"))
    assert wanted and snapshot(whole.base / "ours") == wanted
    count = len(files_with_content(image.appdir))
    for mode in MODES:
        whole.clear()
        result = whole.run(whole.door, image.image, "read=5,1,2", env=truth(image, mode))
        assert result.stdout == b"right %d\n" % (2 * count)
        assert (b"the rest while it runs" in result.stderr) == (mode != "eager")


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_right_in_every_mode(whole: Harness, appdir: Path, compressor: str, block: str) -> None:
    check(whole, codec_image(appdir, whole.base / "app.AppImage", "-comp", compressor, "-b", block))


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_options_of_mksquashfs(whole: Harness, appdir: Path, options: list[str]) -> None:
    check(whole, codec_image(appdir, whole.base / "app.AppImage", *options))


@pytest.mark.parametrize("compressor", ["xz", "lz4", "lzo"])
def test_nothing_but_an_index_is_kept(whole: Harness, appdir: Path, compressor: str) -> None:
    """Images are started in place, whatever their codec; what an earlier version made of one is not used."""
    image = codec_image(appdir, whole.base / "app.AppImage", "-comp", compressor)
    whole.run(whole.door, image.image)
    cache = whole.base / "cache" / "tmprun" / VERSION
    assert [path.suffix for path in (cache / "image").iterdir()] == [".index"]
    (known,) = (cache / "known").iterdir()
    known.unlink()
    known.symlink_to(f"{hashlib.sha256(image.image.read_bytes()).hexdigest()}.bundle")
    (cache / "image" / os.readlink(known)).write_bytes(b"no bundle")
    whole.clear()
    assert whole.run(whole.door, image.image, "open=usr/share/text", env=truth(image)).stdout == b"right 1\n"
    assert os.readlink(known).endswith(".index")


# Blocks that lie. Each is the only one of the only file, `AppRun`, in an image made by hand.


def forged(whole: Harness, stored: bytes, size: int, compression: int, block: int = BLOCK) -> Path:
    forge = Forge(
        data=stored, compression=compression, fields={"block_size": block, "block_log": block.bit_length() - 1}
    )
    inode = bytearray(file_inode(2, size, start=96, words=(len(stored),)))
    struct.pack_into("<H", inode, 2, 0o755)
    forge.top([Entry(b"AppRun", forge.inode(bytes(inode)), 2)])
    image = write_image(whole.base / "forged", forge.build())
    image.chmod(0o755)
    time.sleep(SETTLED)
    return image


def compressed(plain: bytes, compression: int) -> bytes:
    if compression == XZ:
        return lzma.compress(plain, check=lzma.CHECK_CRC32)
    if compression == LZ4:
        return bytes(lz4.block.compress(plain, store_size=False))
    return bytes(LZOCompressor().compress(plain))


def script(size: int) -> bytes:
    return b"#!/bin/sh\necho ran\nexit\n".ljust(size, b"#")


def refused(whole: Harness, image: Path) -> Result:
    result = whole.run(whole.door, image, status=None)
    whole.refused(result, "damaged")
    return result


@pytest.mark.parametrize("compression", [XZ, LZ4, LZO])
def test_a_forged_image_runs_when_it_does_not_lie(whole: Harness, compression: int) -> None:
    image = forged(whole, compressed(script(BLOCK), compression), BLOCK, compression)
    assert whole.run(whole.door, image).stdout == b"ran\n"


@pytest.mark.parametrize("compression", [XZ, LZ4, LZO])
def test_a_damaged_block(whole: Harness, compression: int) -> None:
    stored = compressed(os.urandom(50) * 3 + script(BLOCK - 150), compression)
    damaged = [b"\xff" * 500, stored[: len(stored) // 2]]
    if compression == XZ:  # the others have no checksum
        damaged.append(stored[:30] + bytes(byte ^ 0xFF for byte in stored[30:60]) + stored[60:])
    else:  # behind an xz block there is what nobody needs
        damaged.append(stored + b"\0\0")
    for block in damaged:
        refused(whole, forged(whole, block, BLOCK, compression))
        whole.clear()


@pytest.mark.parametrize("compression", [XZ, LZ4, LZO])
@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK + 1])
def test_a_block_of_another_size(whole: Harness, compression: int, size: int) -> None:
    refused(whole, forged(whole, compressed(script(size), compression), BLOCK, compression))


@pytest.mark.parametrize("compression", [XZ, LZ4, LZO])
def test_a_bomb(whole: Harness, compression: int) -> None:
    stored = compressed(bytes(200 << 20), compression)[: 1 << 20]
    result, seconds, memory = measured(whole, whole.door, forged(whole, stored, 1 << 20, compression, 1 << 20))
    whole.refused(result, "damaged")
    assert seconds < 3 and memory < 60 * MEGABYTE


def test_a_dictionary_of_four_gigabytes_costs_nothing(whole: Harness) -> None:
    """The block says that it needs one; it does not."""
    plain = script(5000)
    raw = lzma.compress(plain, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    head = bytes([2, 0, 0x21, 1, 40, 0, 0, 0])
    head += struct.pack("<I", zlib.crc32(head))
    stored = lzma.compress(b"", check=lzma.CHECK_CRC32)[:12] + head + raw + bytes(-len(raw) % 4)
    stored += struct.pack("<I", zlib.crc32(plain)) + b"\0"
    image = forged(whole, stored, 5000, XZ)
    # Python reads the tables, which are not compressed here, and need not decode the block.
    result, seconds, memory = measured(whole, whole.door, image)
    assert (result.status, result.stdout) == (0, b"ran\n"), str(result)
    assert seconds < 3 and memory < 60 * MEGABYTE


@pytest.mark.parametrize("check", [lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256])
def test_every_check_of_xz(whole: Harness, check: int) -> None:
    stored = lzma.compress(script(BLOCK), check=check)
    assert whole.run(whole.door, forged(whole, stored, BLOCK, XZ)).stdout == b"ran\n"
    if check == lzma.CHECK_NONE:
        return
    whole.clear()
    index_size = (struct.unpack("<I", stored[-8:-4])[0] + 1) * 4
    wrong = bytearray(stored)
    wrong[-12 - index_size - 1] ^= 1
    refused(whole, forged(whole, bytes(wrong), BLOCK, XZ))
