"""Results for people, in the terminal. Pages are pages.py's, files for programs are stored.py's and junit.py's."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from tmprun_bench.measure.results import Result
from tmprun_bench.report import claims, tables
from tmprun_bench.report.limits import Check
from tmprun_bench.report.pages import markdown
from tmprun_bench.report.stored import as_json, load, merged
from tmprun_bench.report.tables import Table

__all__ = ["as_json", "load", "markdown", "merged", "show", "show_checks", "show_end"]

NARROW = 120  # columns below which tables are put together more tightly
STYLES = {
    "missed": "bold red", "exceeded": "bold red", "kept": "green", "reached": "bold green", "not measured": "yellow",
    "": "",
}  # fmt: skip


def show(result: Result, console: Console) -> None:
    """Print a case's tables."""
    narrow = console.width < NARROW
    console.print(f"\n[bold]{result.title}[/bold] ({result.case})", highlight=False)
    if result.series:
        _print(tables.times(result, narrow=narrow), console)
    for table in (tables.memory(result), tables.sizes(result), tables.comparisons(result, narrow=narrow)):
        if table:
            _print(table, console)
    for name, reason in result.skipped.items():
        console.print(f"SKIPPED {name}: {reason}", style="bold yellow", markup=False, highlight=False)
    for note in result.notes:
        console.print(note, markup=False, highlight=False)


def show_end(results: Sequence[Result], console: Console) -> None:
    """After two cases or more: what was promised beside what was measured, and where a peer is better."""
    if len(results) < 2:
        return
    rows = claims.held(results)
    if any(row.found for row in rows):
        _show_claims(rows, console)
    lost = claims.losses(results)
    console.print("\n[bold]Where we lose[/bold]" + ("" if lost else ": nowhere, of what was measured"))
    if lost:
        table = tables.plain(claims.LOSSES_HEAD, map(claims.loss_cells, lost))
        # What is compared mostly says what of ours it is.
        _print(table.without("ours") if console.width < NARROW else table, console)


def _show_claims(rows: Sequence[claims.Row], console: Console) -> None:
    console.print("\n[bold]What was promised[/bold]")
    narrow = console.width < NARROW
    head, cells = (claims.NARROW_HEAD, claims.narrow_cells) if narrow else (claims.HEAD, claims.cells)
    _print(Table(head, [cells(row) for row in rows], [row.verdict for row in rows]), console)


def show_checks(checks: Sequence[Check], console: Console) -> None:
    """A line for each limit of --fail-if; loud when one was not even checked."""
    for check in checks:
        style = "bold yellow" if check.verdict == "not measured" else STYLES[check.verdict]
        console.print(check.text, style=style, markup=False, highlight=False, soft_wrap=True)


def _print(table: Table, console: Console) -> None:
    """Names may fold, numbers not."""
    narrow = console.width < NARROW
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=0) if narrow else RichTable()
    for name in table.head:
        words = name in ("ours", "against") or name == table.head[0] or name.endswith("mount")
        shown.add_column(name, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    for row, style in zip(table.rows, table.styles, strict=True):
        shown.add_row(*map(Text, row), style=STYLES[style])
    console.print(shown)
