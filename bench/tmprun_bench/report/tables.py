"""The tables of a result as plain rows, for the terminal and for pages alike.

`narrow` leaves out or puts together what does not fit into 80 columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from tmprun_bench.measure import summary
from tmprun_bench.measure.harness import Series
from tmprun_bench.measure.memory import Memory
from tmprun_bench.measure.results import Comparison, Result
from tmprun_bench.report.limits import Check
from tmprun_bench.report.quantities import duration, interval, limits, quantity, rate, size, span

MEMORY_WORDS = {"processes": "processes (PSS)", "tmpfs": "tmpfs", "page_cache": "page cache"}
CHECKS_HEAD = ("check", "verdict", "value", "95 %", "now", "baseline")


@dataclass(frozen=True)
class Table:
    """`styles`: the verdict of each row, or nothing; what it looks like is up to who shows it."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    styles: list[str]

    def without(self, *names: str) -> Table:
        """The same, less some columns."""
        at = [number for number, name in enumerate(self.head) if name not in names]
        return Table(_some(self.head, at), [_some(row, at) for row in self.rows], self.styles)


def _some(row: tuple[str, ...], at: Sequence[int]) -> tuple[str, ...]:
    return tuple(row[number] for number in at)


def plain(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table without styles."""
    made = [tuple(row) for row in rows]
    return Table(tuple(head), made, [""] * len(made))


def times(result: Result, *, narrow: bool = False) -> Table:
    """A row for each series: how long, how sure, how much of the processors; how much done in a second."""
    rated = any(name in result.amounts for name in result.series)
    sure = () if narrow else ("95 % of median",)
    head = ("subject", "median", "quartiles", *sure, "CPU", "helpers" if narrow else "CPU of helpers", "runs")
    rows = [(name, *_times(series, narrow)) for name, series in result.series.items()]
    if not rated:
        return plain(head, rows)
    rates = [_rate(result, name) for name in result.series]
    return plain((*head[:2], "rate", *head[2:]), [(*r[:2], one, *r[2:]) for r, one in zip(rows, rates, strict=True)])


def memory(result: Result) -> Table | None:
    """Peaks of memory, if they were watched."""
    watched = {name: series.memory for name, series in result.series.items() if series.memory}
    kinds = [one.name for one in fields(Memory)]
    rows = [(name, *(size(getattr(held, kind)) for kind in kinds)) for name, held in watched.items()]
    head = ("memory, growth at most", *(MEMORY_WORDS.get(kind, kind) for kind in kinds))
    return plain(head, rows) if rows else None


def sizes(result: Result) -> Table | None:
    """Sizes of images and trees, if the case has some."""
    rows = [(name, size(count)) for name, count in result.sizes.items()]
    return plain(("size of", "bytes"), rows) if rows else None


def comparisons(result: Result, *, narrow: bool = False) -> Table | None:
    """A row for each comparison, with its limits."""
    if not result.comparisons:
        return None
    columns = ("limits",) if narrow else ("must", "reach")
    head = ("comparison", *(() if narrow else ("ours", "against")), "result", "95 %", *columns, "verdict")
    rows = [_comparison(comparison, narrow) for comparison in result.comparisons]
    table = Table(head, rows, [comparison.verdict for comparison in result.comparisons])
    if any(comparison.must is not None or comparison.reach is not None for comparison in result.comparisons):
        return table
    return table.without(*columns, "verdict")


def checks(found: Iterable[Check]) -> Table:
    """A row for each limit that `--fail-if` set."""
    made = list(found)
    return Table(CHECKS_HEAD, [_check(check) for check in made], [check.verdict for check in made])


def _check(check: Check) -> tuple[str, ...]:
    if check.value is None:
        return check.limit.text, check.verdict, "-", "-", "-", "-"
    sure = interval(check.value.interval, "x") + (" (within noise)" if check.noise and check.value.interval else "")
    compared = (f"{one.value:.3g} x" if one else "-" for one in (check.now, check.baseline))
    return check.limit.text, check.verdict, f"{check.value.value:.3f}", sure, *compared


def _times(series: Series, narrow: bool) -> tuple[str, ...]:
    found = summary.summarise(series.seconds)
    sure = () if narrow else (interval(found.interval, "s"),)
    return (
        duration(found.median),
        span((found.lower_quartile, found.upper_quartile), "s"),
        *sure,
        duration(summary.summarise(series.processor).median),
        duration(summary.summarise(series.helpers_processor).median),
        str(found.count),
    )


def _rate(result: Result, name: str) -> str:
    amount = result.amounts.get(name)
    if amount is None:
        return "-"
    return rate(amount.quantity, amount.unit, summary.summarise(result.series[name].seconds).median)


def _comparison(comparison: Comparison, narrow: bool) -> tuple[str, ...]:
    unit = comparison.unit
    value = quantity(comparison.estimate.value, unit)
    sure = interval(comparison.estimate.interval, unit)
    # What several comparisons are about stands in front of all three names; once is enough.
    about = comparison.what.partition(": ")[0] + ": "
    ours, theirs = (name.removeprefix(about) for name in (comparison.ours, comparison.theirs))
    if narrow:
        names = f"{ours} : {theirs}" if theirs else ours
        both = limits(comparison.must, comparison.reach, unit)
        return f"{comparison.what}\n  {names}", value, sure, both, comparison.verdict
    each = (limits(limit, None, unit) for limit in (comparison.must, comparison.reach))
    return comparison.what, ours, theirs or "-", value, sure, *each, comparison.verdict
