"""Results for people (a table in the terminal, Markdown) and for programs (JSON)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from tmprun_bench import summary
from tmprun_bench.harness import Series
from tmprun_bench.results import Comparison, Result

FORMAT = 1
SERIES_HEAD = ("subject", "median", "quartiles", "95 % of median", "CPU", "CPU of helpers", "runs")
MEMORY_HEAD = ("processes", "tmpfs")
COMPARISON_HEAD = ("comparison", "ours", "against", "result", "95 %", "must", "reach", "")
COLOURS = {"missed": "bold red", "kept": "green", "reached": "bold green", "": ""}


def show(result: Result, console: Console) -> None:
    """Print a case's tables."""
    console.print(f"\n[bold]{result.title}[/bold] ({result.case})")
    head, rows = _series(result)
    console.print(_table(head, rows))
    if result.comparisons:
        table = _table(COMPARISON_HEAD, ())
        for comparison in result.comparisons:
            table.add_row(*_comparison(comparison), style=COLOURS[comparison.verdict])
        console.print(table)
    for name, reason in result.skipped.items():
        console.print(f"SKIPPED {name}: {reason}", style="bold yellow", markup=False)
    for note in result.notes:
        console.print(note, markup=False, highlight=False)


def markdown(results: Sequence[Result], machine: dict[str, object]) -> str:
    """The same as a page."""
    lines = ["# Benchmark", ""]
    lines += [f"- {name.replace('_', ' ')}: {_plain(value)}" for name, value in machine.items()]
    for result in results:
        head, rows = _series(result)
        lines += ["", f"## {result.title}", "", f"Case `{result.case}`.", "", *_page_table(head, rows)]
        if result.comparisons:
            lines += ["", *_page_table(COMPARISON_HEAD, map(_comparison, result.comparisons))]
        extra = [f"**Skipped**: {name}: {reason}" for name, reason in result.skipped.items()]
        extra += [*result.notes, *(f"{name}: {_plain(value)}" for name, value in result.facts.items())]
        lines += ["", *(f"- {line}" for line in extra)] if extra else []
    return "\n".join(lines) + "\n"


def as_json(results: Sequence[Result], machine: dict[str, object]) -> str:
    """Everything, raw numbers included; seconds and bytes."""
    data = {"format": FORMAT, "machine": machine, "results": [_result_data(result) for result in results]}
    return json.dumps(data, indent=1) + "\n"


def duration(seconds: float) -> str:
    """Four significant digits at the most, in the unit that suits."""
    if abs(seconds) < 1:
        return f"{seconds * 1000:.3g} ms" if abs(seconds) < 0.1 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s"


def _result_data(result: Result) -> dict[str, object]:
    data = asdict(result)
    for comparison, row in zip(result.comparisons, data["comparisons"], strict=True):
        row["verdict"] = comparison.verdict
    for name, series in result.series.items():
        data["series"][name]["summary"] = asdict(summary.summarise(series.seconds))
    return data


def _series(result: Result) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    with_memory = any(series.memory for series in result.series.values())
    rows = [
        (name, *_times(series), *(_memory(series) if with_memory else ())) for name, series in result.series.items()
    ]
    return SERIES_HEAD + (MEMORY_HEAD if with_memory else ()), rows


def _times(series: Series) -> tuple[str, ...]:
    found = summary.summarise(series.seconds)
    return (
        duration(found.median),
        f"{duration(found.lower_quartile)} .. {duration(found.upper_quartile)}",
        _interval(found.interval, "s"),
        duration(summary.summarise(series.processor).median),
        duration(summary.summarise(series.helpers_processor).median),
        str(found.count),
    )


def _memory(series: Series) -> tuple[str, ...]:
    if series.memory is None:
        return "", ""
    return _quantity(series.memory.processes, "bytes"), _quantity(series.memory.tmpfs, "bytes")


def _comparison(comparison: Comparison) -> tuple[str, ...]:
    unit = comparison.unit
    limits = ("" if limit is None else _quantity(limit, unit) for limit in (comparison.must, comparison.reach))
    value = _quantity(comparison.estimate.value, unit)
    interval = _interval(comparison.estimate.interval, unit)
    # What several comparisons are about stands in front of all three names; once is enough.
    about = comparison.what.partition(": ")[0] + ": "
    ours, theirs = (name.removeprefix(about) for name in (comparison.ours, comparison.theirs))
    return comparison.what, ours, theirs or "-", value, interval, *limits, comparison.verdict


def _quantity(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.2f} x"
    return duration(value) if unit == "s" else f"{value / 1e6:.1f} MB"


def _interval(interval: tuple[float, float] | None, unit: str) -> str:
    return " .. ".join(_quantity(bound, unit) for bound in interval) if interval else "too few runs"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table()
    for number, name in enumerate(head):
        table.add_column(name, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _page_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
