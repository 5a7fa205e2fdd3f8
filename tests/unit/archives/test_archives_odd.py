"""Tars as the tests of Go's archive/tar and of Python's tarfile have them, by their names there: as bsdtar reads them,
or one line. (`make others` does it with these files themselves.)"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.archives import TIME, Unpacked, both, pax, raw_header, tar

from tmprun.errors import BadImage, TmprunError

END = bytes(1024)
DATA = b"0123456789" * 100


def header(name: str = "file", size: int = 0, **fields: bytes) -> bytes:
    return raw_header(name, size, **fields)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def gnu_sparse(map_: list[tuple[int, int]], real: int, content: bytes) -> bytes:
    """GNU's older format: up to four pieces (offset, size) in the header, and the size with holes."""
    pieces = b"".join(b"%011o\0%011o\0" % each for each in map_)
    extra = pieces.ljust(96, b"\0") + b"\0" + b"%011o\0" % real
    return raw_header("sparse.db", len(content), kind=b"S", magic=b"ustar  \0", gnu=extra) + padded(content) + END


def pax_sparse(map_: list[tuple[int, int]], real: int, content: bytes) -> bytes:
    """Version 1.0: the map stands in front of the content."""
    numbers = "\n".join(map(str, [len(map_), *(number for each in map_ for number in each)])) + "\n"
    stored = padded(numbers.encode()) + content
    records = {
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse.db",
        "GNU.sparse.realsize": str(real),
    }  # fmt: skip
    return pax(records) + header("GNUSparseFile.0/sparse.db", len(stored)) + padded(stored) + END


# What both read, to the same tree.
SAME: dict[str, Callable[[], bytes]] = {
    "gnu-nil-sparse-data": lambda: gnu_sparse([(0, 1000), (1000, 0)], 1000, DATA),
    "gnu-nil-sparse-hole": lambda: gnu_sparse([(1000, 0)], 1000, b""),
    "pax-nil-sparse-data": lambda: pax_sparse([(0, 1000), (1000, 0)], 1000, DATA),
    "pax-nil-sparse-hole": lambda: pax_sparse([(1000, 0)], 1000, b""),
    "sparse with holes": lambda: pax_sparse([(4096, 500), (100_000, 500)], 200_000, DATA),
    "pax-pos-size-file": lambda: pax({"size": "1000"}) + header(size=0) + padded(DATA) + END,
    "pax-bad-mtime-file": lambda: pax({"mtime": "1e9"}) + header() + END,
    "pax-bad-hdr-file": lambda: pax({}, raw=b"no number at all=x\n") + header(size=1000) + padded(DATA) + END,
    "pax-multi-hdrs": lambda: pax({"path": "one"}) + pax({"path": "two"}) + header() + END,
    "pax-global-records": lambda: pax({"path": "global", "mtime": f"{TIME}"}, kind=b"g") + header("file1") + END,
    "pax-nul-path": lambda: pax({"path": "a\0b"}) + header("0123456789") + END,
    "pax-nul-xattrs": lambda: pax({"SCHILY.xattr.null\0key": "x"}) + header() + END,
    "pax-records": lambda: pax({"comment": "=" * 300, "uname": "long " * 50}) + header() + END,
    "gnu-multi-hdrs": lambda: (
        raw_header("././@LongLink", 5, kind=b"L") + padded(b"GNU1\0") + raw_header("././@LongLink", 5, kind=b"L")
        + padded(b"GNU2\0") + header("x") + END
    ),
    "gnu-long-nul": lambda: raw_header("././@LongLink", 9, kind=b"L") + padded(b"0123\0 567") + header("x") + END,
    "gnu-not-utf8": lambda: raw_header("x", 0, name_bytes=b"hi\x80\x81\x82\x83bye") + END,
    "trailing-slash": lambda: header("d/" * 30) + END,
    "no end at all": lambda: header(size=5) + padded(b"whole"),
    "pieces that overlap": lambda: gnu_sparse([(0, 600), (300, 400)], 1000, DATA),
    "a size in bytes, not digits": lambda: raw_header("x", 5, size_bytes=b"\x80" + (5).to_bytes(11, "big")) + padded(
        b"whole") + END,
}  # fmt: skip

# What is refused, and words of the line that says so.
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "neg-size": (lambda: raw_header("x", 0, size_bytes=b"\xff" * 12) + END, "damaged|cut short|holds more"),
    "writer-big": (lambda: raw_header("x", 0, size_bytes=b"\x80" + (16 << 30).to_bytes(11, "big")), "cut short"),
    "a size past all bounds": (lambda: raw_header("x", 0, size_bytes=b"\x80\0\0\0" + b"\x7f" * 8) + END,
                               "damaged|cut short"),
    "gnu-sparse-big": (lambda: gnu_sparse([(7 << 30, 0)], 7 << 30, b""), "may be a bomb"),
    "pax-sparse-big": (lambda: pax_sparse([(60_000_000_000, 1000)], 60_000_001_000, DATA), "may be a bomb"),
    "pax-bad-hdr-large": (lambda: raw_header("x", 64 << 20, kind=b"x") + bytes(1024), "damaged|cut short"),
    "a sparse map without end": (lambda: pax_sparse([(0, 1)] * 5000, 10, b"x")[:8000], "damaged|cut short"),
    "issue10968": (lambda: b"00000000" * 100, "is text"),
    "issue12435": (lambda: b"\0" * 160 + b"\x1a" * 40 + b"\0" * 512, "zeros|no archive"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_as_bsdtar_reads_it(tmp_path: Path, name: str) -> None:
    ours, theirs = both(SAME[name](), tmp_path)
    assert ours.entries and ours.tree == theirs.tree, ours.notes


def test_what_is_odd_is_said(tmp_path: Path) -> None:
    ours, _ = both(SAME["pax-bad-hdr-file"](), tmp_path)
    assert [line for line in ours.notes if "malformed pax" in line and line.endswith("(file)")]


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(tmp_path: Path, name: str) -> None:
    """Soon, and without much memory."""
    content, words = REFUSED[name]
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with pytest.raises(TmprunError, match=words) as caught:
        both(content(), tmp_path)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begun < 20
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < max(before + 1, 400_000)
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar", "ours"}


def test_recursion(tmp_path: Path) -> None:
    """A header that says it is of no size, again and again (CVE-2019-20907): bounded time."""
    endless = raw_header("x", 0, kind=b"x") * 2000
    with pytest.raises(BadImage, match=r"damaged|cut short|no file can have"):
        both(endless + END, tmp_path)


def test_holes_are_no_way_round_the_limit(tmp_path: Path) -> None:
    """Ten KB that are 3 GB once they are packed; --force takes it."""
    content = pax_sparse([(3 << 30, 0)], 3 << 30, b"")
    with pytest.raises(BadImage, match="bomb"):
        both(content, tmp_path)
    forced = Unpacked.by_us(content, tmp_path / "forced", force=True)
    assert forced.entries == 1


def test_many_of_a_name(tmp_path: Path) -> None:
    """What is named twice is said once to be left out."""
    fifo = raw_header("fifo", 0, kind=b"6")
    assert Unpacked.by_us(fifo + fifo + END, tmp_path / "a").lost == ["fifo: fifo"]
    assert tar([]) == END
