"""What came out of a configuration, and the table of all of them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Outcome:
    """`trouble` is what went wrong outside of the tests; `skipped` counts tests by the reason why they did not run."""

    release: str
    user: str
    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    minutes: float = 0
    trouble: str = ""

    @property
    def good(self) -> bool:
        """Nothing failed, and where root runs the tests nothing was skipped."""
        allowed = self.user != "root" or not self.skipped
        return not self.trouble and self.passed > 0 and self.failed == 0 and allowed

    def count(self, junit: Path) -> None:
        """Take in what pytest wrote to `junit`."""
        for case in ElementTree.parse(junit).getroot().iter("testcase"):
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed += 1
            elif skipped is not None and skipped.get("type") != "pytest.xfail":
                self.skipped[str(skipped.get("message")).removeprefix("Skipped: ")] += 1
            else:
                self.passed += 1


def table(outcomes: Sequence[Outcome]) -> str:
    """One line for each, then why tests were skipped and what else went wrong."""
    rows = [("root", "user", "passed", "failed", "skipped", "minutes")]
    for one in outcomes:
        counts = (str(one.passed), str(one.failed), str(one.skipped.total()))
        rows.append((one.release, one.user, *counts, f"{one.minutes:.1f}"))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for one in outcomes:
        lines += [f"{one.release}, {one.user}: {count} skipped {reason}" for reason, count in one.skipped.items()]
        lines += [f"{one.release}, {one.user}: {one.trouble}"] if one.trouble else []
    return "\n".join(lines)
