"""Numbers, ages and texts as people write and read them: one line each, nothing that a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tmprun.errors import TmprunError

UNITS = {unit: 1000**power for power, unit in enumerate(("", "k", "m", "g", "t"))}
UNITS |= {f"{unit}i": 1024**power for power, unit in enumerate("kmgt", 1)}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "": 86400}


def one_line(text: str | bytes) -> str:
    """`text` with everything that is not printable escaped. Bytes are read as UTF-8, what is none of it as `\\xNN`.

    For whatever an image or a file name says: no escape sequence, line break or invisible character gets through.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    return text if text.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # what `surrogateescape` makes of a byte
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def size_text(size: int) -> str:
    """`size` bytes, in units of 1000: `712 B`, `1.4 kB`, `26.1 MB`."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.95:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def parse_size(text: str) -> int:
    """Bytes from `500M`, `1.5 GB`, `2Gi` or `1000`; TmprunError for anything else."""
    match = re.fullmatch(r"\s*([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([kmgt]?i?)b?\s*", text.lower())
    if not match or match[2] not in UNITS:
        raise TmprunError(f"{one_line(text)!r} is no size", remedy="write it like 500M, 2G or 1.5Gi")
    return int(float(match[1]) * UNITS[match[2]])


def parse_age(text: str) -> int:
    """Seconds from `30d`, `12h`, `90m`, `2w`, or `7` (days); TmprunError for anything else."""
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*([smhdw]?)\s*", text.lower())
    if not match:
        raise TmprunError(f"{one_line(text)!r} is no age", remedy="write it like 30d, 12h or 45m")
    return int(match[1]) * SECONDS[match[2]]


def age_text(seconds: float) -> str:
    """How long ago, in its largest unit: `3 min`. A negative age comes from a clock that was set back."""
    if seconds < 0:
        return "in the future"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """`rows` as lines of aligned columns, two spaces apart; the columns numbered in `right` are flush right."""
    columns = []
    for number, column in enumerate(zip(*rows, strict=True)):
        width = max(map(len, column))
        columns.append([cell.rjust(width) if number in right else cell.ljust(width) for cell in column])
    return ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
