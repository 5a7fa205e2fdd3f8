"""Which panels a picture has, as plain data: no colours and no inches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby

from tmprun_bench.measure.harness import Series
from tmprun_bench.measure.memory import Memory
from tmprun_bench.measure.results import Result
from tmprun_bench.measure.summary import Summary, summarise
from tmprun_bench.report.sides import Side, groups, own_name, side


@dataclass(frozen=True)
class Bar:
    """A subject's median, with its quartiles."""

    name: str
    side: Side
    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Bars:
    """The best first. `unit`: "s", where less is better, or what is done in a second ("bytes", "files", "reads"), where
    more is."""

    title: str
    unit: str
    bars: list[Bar]


@dataclass(frozen=True)
class Curve:
    """A subject's times, in seconds, by `x`."""

    name: str
    side: Side
    x: list[float]
    middles: list[float]
    lows: list[float]
    highs: list[float]


@dataclass(frozen=True)
class Curves:
    """`axis`: "files" or "bytes"."""

    title: str
    axis: str
    curves: list[Curve]


@dataclass(frozen=True)
class Held:
    """What a subject held in memory, in bytes, by kind."""

    name: str
    side: Side
    parts: dict[str, int]


@dataclass(frozen=True)
class Holds:
    """The least first."""

    title: str
    rows: list[Held]


Panel = Bars | Curves | Holds
AXES = {"files": "by the number of files", "bytes": "by size"}


def planned(results: Sequence[Result]) -> list[Panel]:
    """Times first, then throughput, curves and memory; each title once."""
    makers = (_times, _rates, _curves, _memory)
    return [panel for maker in makers for result in results for panel in maker(result)]


def _times(result: Result) -> Iterator[Bars]:
    """Of each app; less what is a throughput or a point of a curve, which have panels of their own."""
    elsewhere = {*result.amounts, *(point.series for point in result.points)}
    for group, names in groups(result).items():
        bars = [_bar(result, name, "s") for name in names if name not in elsewhere]
        if bars:
            yield Bars(_title(result, group), "s", sorted(bars, key=lambda bar: bar.middle))


def _rates(result: Result) -> Iterator[Bars]:
    for group, names in groups(result).items():
        rated = [name for name in names if name in result.amounts]
        for unit, same in groupby(rated, key=lambda name: result.amounts[name].unit):
            bars = [_bar(result, name, unit) for name in same]
            yield Bars(_title(result, group), unit, sorted(bars, key=lambda bar: -bar.middle))


def _bar(result: Result, name: str, unit: str) -> Bar:
    found, own = summarise(result.series[name].seconds), own_name(result, name)
    if unit == "s":
        return Bar(own, side(own), found.median, found.lower_quartile, found.upper_quartile)
    done = result.amounts[name].quantity
    # The slower quarter of the runs is the lower end of a throughput.
    return Bar(
        own, side(own), *(done / seconds for seconds in (found.median, found.upper_quartile, found.lower_quartile))
    )


def _curves(result: Result) -> Iterator[Curves]:
    for axis in dict.fromkeys(point.axis for point in result.points):
        subjects = dict.fromkeys(point.subject for point in result.points if point.axis == axis)
        curves = [_curve(result, axis, subject) for subject in subjects]
        yield Curves(
            f"{result.title}: {AXES.get(axis, axis)}", axis, sorted(curves, key=lambda curve: -curve.middles[-1])
        )


def _curve(result: Result, axis: str, subject: str) -> Curve:
    points = sorted((p for p in result.points if (p.axis, p.subject) == (axis, subject)), key=lambda point: point.x)
    found: list[Summary] = [summarise(result.series[point.series].seconds) for point in points]
    return Curve(
        subject,
        side(subject),
        [point.x for point in points],
        [one.median for one in found],
        [one.lower_quartile for one in found],
        [one.upper_quartile for one in found],
    )


def _memory(result: Result) -> Iterator[Holds]:
    for group, names in groups(result).items():
        watched = [(own_name(result, name), result.series[name]) for name in names]
        rows = [Held(own, side(own), _parts(series)) for own, series in watched if series.memory]
        if rows:
            yield Holds(f"Memory: {_title(result, group)}", sorted(rows, key=lambda row: sum(row.parts.values())))


def _parts(series: Series) -> dict[str, int]:
    return {kind.name: getattr(series.memory, kind.name) for kind in fields(Memory)}


def _title(result: Result, group: str) -> str:
    return f"{group}{result.title}"
