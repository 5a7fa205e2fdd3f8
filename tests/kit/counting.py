"""What a long run has counted, said at the end of a run of `make soak`, for the table in docs/soak.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

Record = Callable[[str, object], None]
NAME = "counted"


def words(counts: Mapping[str, int]) -> str:
    """The counts, in their order: 10,000 starts, 312 prunes."""
    return ", ".join(f"{number:,} {what}" for what, number in counts.items())


def show(reporter: pytest.TerminalReporter) -> None:
    """The counts of all tests that have recorded some, when long runs were asked for."""
    if reporter.config.getoption("markexpr") != "soak":
        return
    reports = [report for kind in ("passed", "failed") for report in reporter.getreports(kind)]
    found = [(report.nodeid, text) for report in reports for name, text in report.user_properties if name == NAME]
    if found:
        reporter.section("counted")
    for test, text in found:
        reporter.line(f"{test}: {text}")
