"""Texts for people: escaped, rounded, aligned; and what people write, read."""

from __future__ import annotations

import pytest

from tmprun.errors import TmprunError
from tmprun.human import age_text, one_line, parse_age, parse_size, size_text, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain Größe 名前", "plain Größe 名前"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "caf\\xe9"),
        ("caf\udce9", "caf\\xe9"),
        ("two\nlines\r\t\x00", "two\\nlines\\r\\t\\x00"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("right\u202eleft\u200b\ufeff\x9b", "right\\u202eleft\\u200b\\ufeff\\x9b"),
        ("lone \ud800", "lone \\ud800"),
    ],
)
def test_one_line(text: str | bytes, shown: str) -> None:
    assert one_line(text) == shown


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (26_100_000, "26.1 MB"),
     (3 * 10**9, "3.0 GB"), (5 * 10**15, "5000.0 TB")],
)  # fmt: skip
def test_size_text(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1000", 1000), ("500M", 500_000_000), ("500 mb", 500_000_000), ("1.5G", 1_500_000_000),
     ("2Gi", 2 << 30), ("2GiB", 2 << 30), ("1k", 1000), ("3T", 3 * 10**12)],
)  # fmt: skip
def test_parse_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "1e9", "5 apples", "5i", "1.2.3", "0x10", "\u0661", "9" * 30])
def test_no_size(text: str) -> None:
    with pytest.raises(TmprunError, match="is no size; write it like 500M"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 604800), ("30d", 2592000), ("12h", 43200), ("45m", 2700), ("2w", 1209600)]
)
def test_parse_age(text: str, seconds: int) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1d", "1y", "1.5d"])
def test_no_age(text: str) -> None:
    with pytest.raises(TmprunError, match="is no age; write it like 30d"):
        parse_age(text)


def test_age_text() -> None:
    assert [age_text(seconds) for seconds in (-5, 3, 90, 7200, 864000)] == [
        "in the future",
        "just now",
        "2 min ago",
        "2 h ago",
        "10 d ago",
    ]


def test_table() -> None:
    assert table([("A", "SIZE", ""), ("bcd", "1", "x")], right=(1,)) == ["A    SIZE", "bcd     1  x"]
