"""What a long run has counted, said at the end of `make soak`, for the table in docs/soak.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

Record = Callable[[str, object], None]
NAME = "counted"


def counted(record: Record, counts: Mapping[str, int]) -> None:
    """Keep the counts with a test's report; `record` is its `record_property`."""
    record(NAME, json.dumps(counts))


def show(reporter: pytest.TerminalReporter) -> None:
    """The sums of all tests of one name that have recorded some, when long runs were asked for."""
    if reporter.config.getoption("markexpr") != "soak":
        return
    sums: dict[str, Counter[str]] = {}
    for report in (report for kind in ("passed", "failed") for report in reporter.getreports(kind)):
        for name, text in report.user_properties:
            if name == NAME:
                sums.setdefault(report.nodeid.partition("[")[0], Counter()).update(json.loads(text))
    if sums:
        reporter.section("counted")
    for test, counts in sums.items():
        reporter.line(f"{test}: " + ", ".join(f"{number:,} {what}" for what, number in counts.items()))
