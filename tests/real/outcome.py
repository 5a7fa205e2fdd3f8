"""What is equal and what is not, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import unified_diff

from start import Seen

STARTS = ("cold", "cold again", "warm")


def differences(wanted: Seen, found: Seen) -> dict[str, list[str]]:
    """What differs from by path, and how: at most a few lines each."""
    lines: dict[str, list[str]] = {}
    if found.wrong:
        lines["wrong"] = [found.wrong, *found.facts]
    if found.status != wanted.status:
        lines["status"] = [f"{wanted.status} by path, {found.status} here"]
    if found.said:
        lines["said"] = found.said
    for name in ("stdout", "stderr"):
        one, other = (getattr(seen, name).decode(errors="replace").splitlines() for seen in (wanted, found))
        if one != other:
            lines[name] = list(unified_diff(one, other, "by path", "here", lineterm="", n=0))[:12]
    if found.kept != wanted.kept:
        lines["files"] = list(unified_diff(wanted.kept, found.kept, "by path", "here", lineterm="", n=0))[:12]
    if found.picture != wanted.picture:
        lines["picture"] = ["the window does not look the same"]
    return lines


@dataclass
class Row:
    """One program, one user, one image: three starts by path and three through tmprun."""

    program: str
    user: str
    image: str
    by_path: str
    filled: str = "-"
    starts: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs, and everything was tried."""
        return not self.trouble and len(self.starts) == len(STARTS) and not any(self.starts.values())

    def cells(self) -> tuple[str, ...]:
        """A line of the table."""
        said = (", ".join(self.starts[name]) or "equal" if name in self.starts else "-" for name in STARTS)
        return (
            self.program,
            self.user,
            self.image,
            self.by_path,
            *said,
            self.filled,
            "equal" if self.equal else "DIFFERS",
        )

    def details(self) -> list[str]:
        """Each difference, for whoever looks for its cause."""
        where = f"{self.program}, {self.user}, {self.image}"
        lines = [f"{where}: {line}" for line in self.trouble]
        for name, found in self.starts.items():
            lines += [f"{where}, {name}, {what}: {line}" for what, each in found.items() for line in each]
        return lines


def table(rows: Sequence[Row]) -> str:
    """All rows."""
    cells = [("program", "user", "image", "by path", *STARTS, "filled", "result"), *(row.cells() for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)
