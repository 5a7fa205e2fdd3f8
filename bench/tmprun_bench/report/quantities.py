"""How numbers are written for people: three digits that mean something, and the unit once."""

from __future__ import annotations

TOO_FEW = "too few runs"


def duration(seconds: float) -> str:
    """Milliseconds below a second, seconds from there on."""
    return f"{seconds:.2f} s" if abs(seconds) >= 1 else f"{digits(seconds * 1000)} ms"


def quantity(value: float, unit: str) -> str:
    """`unit`: "x" (a ratio), "s", "bytes", or a noun in the plural."""
    if unit == "x":
        return f"{value:.2f} x"
    if unit == "s":
        return duration(value)
    if unit == "bytes":
        return size(value)
    return f"{digits(value)} {unit}"


def size(count: float) -> str:
    """Bytes, in kB, MB or GB of powers of ten."""
    for power, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(count) >= power:
            return f"{digits(count / power)} {name}"
    return f"{count:.0f} B"


def span(bounds: tuple[float, float], unit: str) -> str:
    """`1.02 .. 1.18 x`; both halves have a unit only where it is not the same."""
    low, high = (quantity(bound, unit) for bound in bounds)
    number, _, written = low.rpartition(" ")
    return f"{number} .. {high}" if high.endswith(f" {written}") else f"{low} .. {high}"


def interval(bounds: tuple[float, float] | None, unit: str) -> str:
    """A 95 % interval, or that there is none."""
    return span(bounds, unit) if bounds else TOO_FEW


def limits(must: float | None, reach: float | None, unit: str) -> str:
    """`0.60 / 0.40 x`, or the one that there is, or nothing."""
    there = [limit for limit in (must, reach) if limit is not None]
    if len(there) == 2:
        return span((there[0], there[1]), unit).replace(" .. ", " / ")
    return quantity(there[0], unit) if there else ""


def rate(count: float, unit: str, seconds: float) -> str:
    """Throughput: `812 MB/s`, `54,100 reads/s`."""
    return f"{quantity(count / seconds, unit)}/s" if seconds > 0 else "-"


def digits(value: float) -> str:
    """Three significant digits, and no exponent."""
    if value == 0:
        return "0"
    for least, places in ((100, 0), (10, 1), (1, 2), (0.1, 3)):
        if abs(value) >= least:
            return f"{value:,.{places}f}"
    return f"{value:.4f}"
