"""Sections of ELF files that anybody may have made."""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tmprun.elf.sections import SIGNATURE, UPDATE_INFORMATION, section
from tmprun.images import iso


def elf(sections: dict[bytes, bytes], *, bits: int = 64, big: bool = False, kind: int = 1) -> bytes:
    """An ELF file with these sections, as an assembler would lay it out."""
    order = ">" if big else "<"
    head, entry = (64, 64) if bits == 64 else (52, 40)
    contents = {
        b"": b"",
        **sections,
        b".shstrtab": b"\0" + b"".join(name + b"\0" for name in (*sections, b".shstrtab")),
    }
    names, body, rows, name_at = contents[b".shstrtab"], b"", b"", 0
    for name, content in contents.items():
        place, type_ = head + len(body), kind if name in sections else 3 if name else 0
        name_at = names.index(b"\0" + name + b"\0") + 1 if name else 0
        fields = (name_at, type_, 0, 0, place, len(content), 0, 0, 1, 0)
        rows += struct.pack(order + ("IIQQQQIIQQ" if bits == 64 else "10I"), *fields)
        body += content
    numbers = (head, 0, 0, entry, len(contents), len(contents) - 1)
    start = struct.pack(
        order + ("HHIQQQI6H" if bits == 64 else "HHIIIII6H"), 2, 62, 1, 0, 0, head + len(body), 0, *numbers
    )
    return b"\x7fELF" + bytes([2 if bits == 64 else 1, 2 if big else 1, 1]) + bytes(9) + start + body + rows


@contextmanager
def opened(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("elf")
    try:
        os.write(fd, content)
        yield fd
    finally:
        os.close(fd)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("big", [False, True])
def test_found_in_every_kind_of_elf(bits: int, big: bool) -> None:
    content = elf(
        {b".upd_info_old": b"no", UPDATE_INFORMATION: b"zsync|u".ljust(1024, b"\0"), SIGNATURE: bytes(1024)},
        bits=bits,
        big=big,
    )
    with opened(content) as fd:
        assert section(fd, UPDATE_INFORMATION) == b"zsync|u"
        assert section(fd, SIGNATURE) == b""
        assert section(fd, b".sig_key") is None


def test_section_without_content_in_the_file() -> None:
    with opened(elf({UPDATE_INFORMATION: b"x" * 100}, kind=8)) as fd:
        assert section(fd, UPDATE_INFORMATION) == b""


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"\x7fELF" + bytes(100), b"text " * 100, b"\x7fELF\3\1" + bytes(60)]
)
def test_no_elf(content: bytes) -> None:
    with opened(content) as fd:
        assert section(fd, SIGNATURE) is None


def test_cut_short_anywhere() -> None:
    whole = elf({SIGNATURE: b"signed"})
    for size in range(len(whole)):
        with opened(whole[:size]) as fd:
            assert section(fd, SIGNATURE) is None


def test_lying_headers_end_quickly() -> None:
    """Any byte changed: an answer of bounded size, in bounded time, and no exception."""
    chance, whole = random.Random(7), elf({SIGNATURE: b"signed", UPDATE_INFORMATION: b"u" * 1000})
    start = time.monotonic()
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 5)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 127, 255, chance.randrange(256)))
        with opened(bytes(damaged)) as fd:
            found = section(fd, SIGNATURE)
            assert found is None or len(found) <= 65536
    assert time.monotonic() - start < 10


def test_update_information_of_a_type_1_image() -> None:
    with opened(bytes(0x8373) + b"zsync|https://x/y.zsync".ljust(512) + b"more") as fd:
        assert iso.update_information(fd) == b"zsync|https://x/y.zsync"
