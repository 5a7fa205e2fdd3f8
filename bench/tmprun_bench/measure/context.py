"""What a case is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tmprun_bench.corpora.images import Packing
from tmprun_bench.measure.workspace import Workspace


@dataclass(frozen=True)
class Context:
    """`runs`: rounds, or None for as many as the case finds right; `door`: the front door of the tmprun to be
    measured."""

    work: Workspace
    packing: Packing
    door: Path
    runs: int | None = None
    memory: bool = False

    def rounds(self, usual: int) -> int:
        """How many rounds to do."""
        return self.runs or usual
