"""What a case finds: series of times, and comparisons of them with the limits that they should keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tmprun_bench.harness import Measurement, Series
from tmprun_bench.summary import Estimate


@dataclass(frozen=True)
class Comparison:
    """`ours` against `theirs` (or nobody, when the limit is absolute). `unit`: "x" for a ratio, "s" or "bytes".

    `must` and `reach` are the largest values that are good enough and as good as hoped for; None: no such limit.
    """

    what: str
    ours: str
    theirs: str
    estimate: Estimate
    unit: str
    must: float | None = None
    reach: float | None = None

    @property
    def verdict(self) -> str:
        """`missed`, `kept` or `reached`; empty when there is no limit."""
        if self.reach is not None and self.estimate.value <= self.reach:
            return "reached"
        if self.must is None:
            return ""
        return "kept" if self.estimate.value <= self.must else "missed"


@dataclass
class Result:
    """One case. `notes` are lines for people; `facts` are what a reader must know to repeat it."""

    case: str
    title: str
    series: dict[str, Series] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)

    def add(self, measurement: Measurement, prefix: str = "") -> None:
        """Take over the series; `prefix` tells those of several measurements apart."""
        self.series |= {prefix + name: series for name, series in measurement.series.items()}
        self.skipped |= {prefix + name: reason for name, reason in measurement.skipped.items()}

    def compare(
        self,
        what: str,
        ours: str,
        theirs: str,
        *,
        unit: str = "x",
        must: float | None = None,
        reach: float | None = None,
    ) -> None:
        """Compare two series by ratio ("x") or difference ("s"); with `theirs` empty, the median itself.

        When one of them was skipped there is nothing to compare, and a note says so.
        """
        absent = [name for name in (ours, theirs) if name and name not in self.series]
        if absent:
            self.notes.append(f"{what}: not compared, {' and '.join(absent)} was skipped")
            return
        self.comparisons.append(Comparison(what, ours, theirs, self._estimate(ours, theirs, unit), unit, must, reach))

    def _estimate(self, ours: str, theirs: str, unit: str) -> Estimate:
        # scipy takes most of a second to load; `bench list` does not need it.
        from tmprun_bench import summary

        mine: Sequence[float] = self.series[ours].seconds
        if not theirs:
            return summary.median(mine)
        function = summary.ratio if unit == "x" else summary.difference
        return function(mine, self.series[theirs].seconds)
