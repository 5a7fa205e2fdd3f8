"""What a case finds: series of times, and comparisons of them with the limits that they should keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tmprun_bench.measure import summary
from tmprun_bench.measure.harness import Measurement, Series
from tmprun_bench.measure.summary import Estimate


@dataclass(frozen=True)
class Comparison:
    """`ours` against `theirs` (or nobody, when the limit is absolute). `unit`: "x" for a ratio, "s" or "bytes".

    `must` and `reach` are the largest values that are good enough and as good as hoped for; None: no such limit.
    `metric` is a name for programs (`warm_start`), the same in every run; empty when nobody refers to it.
    """

    what: str
    ours: str
    theirs: str
    estimate: Estimate
    unit: str
    must: float | None = None
    reach: float | None = None
    metric: str = ""

    @property
    def verdict(self) -> str:
        """`missed`, `kept` or `reached`; empty when there is no limit."""
        if self.reach is not None and self.estimate.value <= self.reach:
            return "reached"
        if self.must is None:
            return ""
        return "kept" if self.estimate.value <= self.must else "missed"


@dataclass(frozen=True)
class Amount:
    """How much a run of a series does: with its seconds, a throughput. `unit`: "bytes", "files", "reads"."""

    quantity: float
    unit: str


@dataclass(frozen=True)
class Point:
    """Where a series lies on a scaling curve: `subject`'s value at `x`, whose unit is `axis` ("files" or "bytes")."""

    axis: str
    x: float
    subject: str
    series: str


@dataclass
class Result:
    """One case. `notes` are lines for people; `facts` are what a reader must know to repeat it.

    `amounts` belong to series, by name; `points` make curves of them; `sizes` are images' or trees' bytes, by name.
    `unmeasured` says of each metric that has no comparison here why it has none.
    """

    case: str
    title: str
    series: dict[str, Series] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    amounts: dict[str, Amount] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)

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
        metric: str = "",
    ) -> None:
        """Compare two series by ratio ("x") or difference ("s"); with `theirs` empty, the median itself.

        When one of them was skipped there is nothing to compare, and a note says so.
        """
        absent = [name for name in (ours, theirs) if name and name not in self.series]
        if absent:
            self.notes.append(f"{what}: not compared, {' and '.join(absent)} was skipped")
            if metric:
                reasons = (f"{name} was skipped ({self.skipped.get(name, 'no such subject')})" for name in absent)
                self.unmeasured[metric] = " and ".join(reasons)
            return
        estimate = self._estimate(ours, theirs, unit)
        self.comparisons.append(Comparison(what, ours, theirs, estimate, unit, must, reach, metric))

    def _estimate(self, ours: str, theirs: str, unit: str) -> Estimate:
        mine: Sequence[float] = self.series[ours].seconds
        if not theirs:
            return summary.median(mine)
        function = summary.ratio if unit == "x" else summary.difference
        return function(mine, self.series[theirs].seconds)
