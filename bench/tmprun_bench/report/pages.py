"""Results as Markdown: a whole page, or a brief one for the summary of a CI job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tmprun_bench.measure.results import Result
from tmprun_bench.report import claims, tables
from tmprun_bench.report.limits import Check
from tmprun_bench.report.tables import Table


def markdown(
    results: Sequence[Result], machine: dict[str, object], checks: Sequence[Check] = (), *, brief: bool = False
) -> str:
    """What --fail-if asked for, what was promised, each case, and the machine.

    `brief`: one table for each case, its comparisons or else its times, and nothing else of it but who was skipped.
    """
    lines = ["# Benchmark"]
    if checks:
        lines += _section("Checks", tables.checks(checks))
        lines += ["", *(f"- {_cell(check.text)}" for check in checks)]
    if len(results) > 1 and not brief:
        rows = claims.held(results)
        if any(row.found for row in rows):
            lines += _section("What was promised", tables.plain(claims.HEAD, map(claims.cells, rows)))
        lost = claims.losses(results)
        lines += _section("Where we lose", tables.plain(claims.LOSSES_HEAD, map(claims.loss_cells, lost)))
    for result in results:
        lines += _brief(result) if brief else _whole(result)
    lines += [
        "",
        "## Machine",
        "",
        *(f"- {name.replace('_', ' ')}: {_plain(value)}" for name, value in machine.items()),
    ]
    return "\n".join(lines) + "\n"


def _whole(result: Result) -> Iterator[str]:
    yield from ("", f"## {result.title}", "", f"Case `{result.case}`.")
    shown = (tables.comparisons(result), tables.times(result) if result.series else None)
    for table in (*shown, tables.memory(result), tables.sizes(result)):
        if table:
            yield from ("", *_table(table))
    extra = [*_skipped(result), *result.notes, *(f"{name}: {_plain(value)}" for name, value in result.facts.items())]
    if extra:
        yield from ("", *(f"- {_cell(line)}" for line in extra))


def _brief(result: Result) -> Iterator[str]:
    table = tables.comparisons(result) or tables.times(result)
    yield from ("", f"## {result.title}", "", *_table(table))
    skipped = list(_skipped(result))
    if skipped:
        yield from ("", *(f"- {_cell(line)}" for line in skipped))


def _skipped(result: Result) -> Iterator[str]:
    return (f"**Skipped**: {name}: {reason}" for name, reason in result.skipped.items())


def _section(title: str, table: Table) -> list[str]:
    return ["", f"## {title}", "", *(_table(table) if table.rows else ["Nowhere, of what was measured."])]


def _table(table: Table) -> Iterator[str]:
    yield _line(table.head)
    yield "|" + " --- |" * len(table.head)
    yield from map(_line, table.rows)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """On one line, and no end of a cell in it."""
    return " ".join(text.split()).replace("|", "\\|")


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
