"""Where the payload of an image begins: behind the program at its start."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from kit.foreign_images import head
from kit.harness import engine
from kit.real_images import REAL, Real, name_of, present

from tmprun.errors import BadImage

PAYLOAD = b"hsqs" + bytes(200)


def read(content: bytes, tmp_path: Path) -> int:
    path = tmp_path / "image"
    path.write_bytes(content)
    return offset_of(path)


def offset_of(image: Path) -> int:
    """Where the payload begins, as `--appimage-offset` says it; BadImage with the line that it is refused with."""
    done = subprocess.run([engine("tmprun"), image, "--appimage-offset"], capture_output=True, check=False)
    if done.returncode == 0:
        return int(done.stdout)
    assert done.returncode == 126 and done.stdout == b"" and done.stderr.count(b"\n") == 1, done
    raise BadImage(os.fsdecode(done.stderr))


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("bits", [32, 64])
class TestBothClassesAndOrders:
    def test_payload_is_behind_the_section_table(self, tmp_path: Path, bits: int, big: bool) -> None:
        assert read(head(bits=bits, big=big, size=3000) + PAYLOAD, tmp_path) == 3000

    def test_payload_is_behind_a_section_that_ends_later(self, tmp_path: Path, bits: int, big: bool) -> None:
        start = head(bits=bits, big=big, size=3000, last=(1, 3000, 777))
        assert read(start + bytes(777) + PAYLOAD, tmp_path) == 3777

    def test_section_without_bytes_in_the_file_does_not_count(self, tmp_path: Path, bits: int, big: bool) -> None:
        start = head(bits=bits, big=big, size=3000, last=(8, 2000, 1 << 20))
        assert read(start + PAYLOAD, tmp_path) == 3000


@pytest.mark.parametrize("start", range(8, 11))
def test_magic_at_byte_8_may_be_zeroed(tmp_path: Path, start: int) -> None:
    content = bytearray(head() + PAYLOAD)
    content[start:11] = bytes(11 - start)
    assert read(bytes(content), tmp_path) == 4096


def test_magic_inside_the_program_is_not_taken(tmp_path: Path) -> None:
    content = bytearray(head() + PAYLOAD)
    content[1000:1004] = b"hsqs"
    assert read(bytes(content), tmp_path) == 4096


def test_magic_elsewhere_is_not_searched_for(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="without an AppImage's payload"):
        read(head() + bytes(512) + PAYLOAD, tmp_path)


@pytest.mark.parametrize("image", REAL, ids=name_of)
def test_real_images(image: Real) -> None:
    assert offset_of(present(image.path)) == image.payload


def test_type_1_image_is_named(type_1_images: list[Path]) -> None:
    for image in type_1_images:
        with pytest.raises(BadImage, match="type-1 AppImage"):
            offset_of(image)


def test_dwarfs_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="DwarFS"):
        read(head() + b"DWARFS\2\5" + bytes(100), tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"x", "no program at its start"),
        (b"#!/bin/sh\necho a script, and no image\n" * 9, "no program at its start"),
        (b"\x7fELF", "ELF header is damaged"),
        (head()[:18], "ELF header is damaged"),
        (head()[:40], "ELF header is cut short"),
        (b"\x7fELF" + bytes([9, 1]) + head()[6:] + PAYLOAD, "ELF header is damaged"),
        (b"\x7fELF" + bytes([2, 9]) + head()[6:] + PAYLOAD, "ELF header is damaged"),
        (head()[:2000], "is cut short"),
        (head(), "without an AppImage's payload"),
        (head() + b"hsq", "without an AppImage's payload"),
        (head(size=3000, last=(1, 3000, 1 << 40)) + PAYLOAD, "is cut short"),
        (head(size=3000, last=(1, 1 << 63, 1 << 63)) + PAYLOAD, "is cut short"),
    ],
)  # fmt: skip
def test_what_is_no_image(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(BadImage, match=what):
        read(content, tmp_path)


def test_program_without_payload() -> None:
    with pytest.raises(BadImage, match="without an AppImage's payload"):
        offset_of(Path("/bin/ls"))


@pytest.mark.parametrize("field", [40, 58, 60])
def test_section_table_that_says_nothing(tmp_path: Path, field: int) -> None:
    content = bytearray(head() + PAYLOAD)
    content[field : field + 2] = bytes(2)
    with pytest.raises(BadImage):
        read(bytes(content), tmp_path)


def test_every_length_of_a_head_is_refused(tmp_path: Path) -> None:
    content = head(size=600)
    for size in range(len(content)):
        with pytest.raises(BadImage):
            read(content[:size], tmp_path)
