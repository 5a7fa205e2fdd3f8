"""What a former run found, to compare a later one with: for each metric the ratio to its peer, and no time at all.

    {"format": 1, "kind": "tmprun bench baseline", "machine": {...}, "ratios": [
      {"metric": "warm_start", "case": "ci", "ours": ..., "theirs": ..., "estimate": {"value": ..., "interval": ...}}]}

Times of two machines, or of one on two days, cannot be compared; what was measured beside each other can. A metric
that is a difference in seconds, or has no peer, is therefore not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tmprun_bench.errors import BenchError
from tmprun_bench.measure.results import Comparison, Result
from tmprun_bench.measure.summary import Estimate
from tmprun_bench.report.hydrate import hydrated
from tmprun_bench.report.stored import BASELINE, Machine, differences, envelope, opened


@dataclass(frozen=True)
class Ratio:
    """A metric: `ours` as a multiple of `theirs`."""

    metric: str
    case: str
    ours: str
    theirs: str
    estimate: Estimate


@dataclass(frozen=True)
class Baseline:
    """The ratios of one run."""

    machine: Machine
    ratios: list[Ratio]

    def apart(self, machine: Machine) -> list[str]:
        """What the baseline was made on or with that is not as it is on `machine`; for a note, ratios allow it."""
        return differences(self.machine, machine)


def ratios(results: Sequence[Result]) -> list[Ratio]:
    """Every metric that can be compared with a baseline."""
    return [
        Ratio(found.metric, result.case, found.ours, found.theirs, found.estimate)
        for result in results
        for found in result.comparisons
        if found.metric and is_ratio(found)
    ]


def is_ratio(comparison: Comparison) -> bool:
    """Whether it is to a peer in the same run, so that it means something on another day."""
    return comparison.unit == "x" and bool(comparison.theirs)


def as_json(results: Sequence[Result], machine: Machine) -> str:
    """The text of a baseline. BenchError when the results hold no metric: it would never complain."""
    found = ratios(results)
    if not found:
        raise BenchError("no baseline to keep: no metric was measured in these cases; --ci has some")
    return envelope(BASELINE, machine, {"ratios": [asdict(one) for one in found]})


def load(path: Path) -> Baseline:
    """What `as_json` made; BenchError when the file is none."""
    data = opened(path, BASELINE)
    try:
        found: Baseline = hydrated(Baseline, data, "baseline")
    except ValueError as error:
        raise BenchError(f"{path} cannot be read: {error}") from None
    wrong = [ratio.metric for ratio in found.ratios if ratio.estimate.value <= 0]
    if wrong:
        raise BenchError(f"{path} cannot be read: the ratio of {wrong[0]!r:.40} is not above 0")
    return found
