"""Limits for CI: `warm_start>1.10` fails when the metric is now more than 1.10 times what it was in the baseline.

    METRIC OPERATOR NUMBER [?]        OPERATOR: > >= < <=

`METRIC` is the ratio now divided by the ratio of the baseline; `METRIC.ratio` the ratio now, and needs no baseline.
Both are ratios to a peer in the same run, never times. A metric that was not measured is an error, unless the
expression ends with `?`. The median decides; docs/bench-ci.md says why, and what "within noise" means.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tmprun_bench.errors import BenchError
from tmprun_bench.measure.results import Result
from tmprun_bench.measure.summary import Estimate
from tmprun_bench.report.baseline import Baseline, Ratio, is_ratio, ratios
from tmprun_bench.report.quantities import interval

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
EXPRESSION = re.compile(r"\s*([a-zA-Z]\w*)(\.ratio)?\s*([<>]=?)\s*(\d+(?:\.\d+)?|\.\d+)\s*(\?)?\s*")


@dataclass(frozen=True)
class Limit:
    """One `--fail-if`. `itself`: of the ratio, without a baseline; `optional`: the metric may be missing."""

    text: str
    metric: str
    itself: bool
    operator: str
    bound: float
    optional: bool

    def broken(self, value: float) -> bool:
        """Whether `value` is what must not be."""
        return OPERATORS[self.operator](value, self.bound)


@dataclass(frozen=True)
class Check:
    """What became of a limit. `verdict`: `kept`, `exceeded` or `not measured`; `text` is one line for people.

    `now` and `baseline` are ratios to the peer; `value` is what was held against the limit. `noise`: its interval
    holds the limit, so another run could end otherwise.
    """

    metric: str
    limit: Limit
    verdict: str
    text: str
    now: Estimate | None = None
    baseline: Estimate | None = None
    value: Estimate | None = None
    noise: bool = False


def parse(text: str) -> Limit:
    """Read one expression; BenchError when it is none."""
    found = EXPRESSION.fullmatch(text)
    if not found:
        raise BenchError(f"--fail-if {text!r}: write METRIC>NUMBER or METRIC.ratio>NUMBER (also >= < <=)")
    metric, itself, sign, bound, optional = found.groups()
    return Limit(text.strip(), metric, bool(itself), sign, float(bound), bool(optional))


def parse_all(texts: Iterable[str], *, with_baseline: bool) -> list[Limit]:
    """Read all, before anything is measured: an expression that compares needs a baseline to compare with."""
    limits = [parse(text) for text in texts]
    lost = [limit for limit in limits if not limit.itself and not with_baseline]
    if lost:
        name = lost[0].metric
        raise BenchError(f"--fail-if {lost[0].text!r}: give --baseline FILE, or write {name}.ratio for the ratio now")
    return limits


def judge(limits: Iterable[Limit], results: Sequence[Result], baseline: Baseline | None = None) -> list[Check]:
    """Hold every limit against what was measured; BenchError for a metric that is missing and not optional."""
    return [_judged(limit, results, baseline) for limit in limits]


def any_exceeded(checks: Iterable[Check]) -> bool:
    """Whether the command must end with 1."""
    return any(check.verdict == "exceeded" for check in checks)


def _judged(limit: Limit, results: Sequence[Result], baseline: Baseline | None) -> Check:
    try:
        now = _only(limit.metric, ratios(results), _why_not(limit.metric, results))
        before = None if limit.itself else _before(now, baseline)
    except _Missing as reason:
        if limit.optional:
            return Check(limit.metric, limit, "not measured", f"{limit.text}: NOT CHECKED, {reason}")
        raise BenchError(f"--fail-if {limit.text!r}: {reason}") from None
    value = _relative(now.estimate, before.estimate) if before else now.estimate
    broken, noise = limit.broken(value.value), _undecided(limit, value)
    return Check(
        limit.metric, limit, "exceeded" if broken else "kept", _said(limit, now, before, value, broken, noise),
        now.estimate, before.estimate if before else None, value, noise,
    )  # fmt: skip


class _Missing(Exception):
    """A metric is not there; the text says why."""


def _only(metric: str, found: Sequence[Ratio], why_not: str) -> Ratio:
    same = [ratio for ratio in found if ratio.metric == metric]
    if not same:
        raise _Missing(why_not)
    if len(same) > 1:
        places = " and ".join(ratio.case for ratio in same)
        raise BenchError(f"{metric} was measured more than once, in {places}: which one is meant?")
    return same[0]


def _before(now: Ratio, baseline: Baseline | None) -> Ratio:
    if baseline is None:
        raise BenchError(f"{now.metric} is to be compared with a baseline, and there is none")
    before = _only(now.metric, baseline.ratios, f"the baseline has no {now.metric}; make a new one")
    if (before.ours, before.theirs) != (now.ours, now.theirs):
        raise BenchError(
            f"{now.metric} compares {now.ours!r} with {now.theirs!r}, but in the baseline {before.ours!r} with "
            f"{before.theirs!r}; make a new one"
        )
    return before


def _why_not(metric: str, results: Sequence[Result]) -> str:
    for result in results:
        if metric in result.unmeasured:
            return f"{metric} was not measured: {result.unmeasured[metric]}"
        if any(found.metric == metric and not is_ratio(found) for found in result.comparisons):
            return f"{metric} is no ratio to a peer: a time or a difference of times means nothing on another day"
    known = sorted({ratio.metric for ratio in ratios(results)})
    return f"no metric {metric} was measured; there are {', '.join(known) or 'none'}"


def _relative(now: Estimate, before: Estimate) -> Estimate:
    """Now as a multiple of before. The interval reaches as far as both allow: each is right in 95 of 100 cases, both
    together in 90 at the least."""
    value = now.value / before.value
    if now.interval is None or before.interval is None or before.interval[0] <= 0:
        return Estimate(value, None)
    return Estimate(value, (now.interval[0] / before.interval[1], now.interval[1] / before.interval[0]))


def _undecided(limit: Limit, value: Estimate) -> bool:
    return value.interval is None or limit.broken(value.interval[0]) != limit.broken(value.interval[1])


def _said(limit: Limit, now: Ratio, before: Ratio | None, value: Estimate, broken: bool, noise: bool) -> str:
    sure = f", {interval(value.interval, 'x')}"
    doubt = " (within noise: another run may end otherwise)" if noise and value.interval else ""
    what = "EXCEEDED" if broken else "kept"
    if before is None:
        return f"{limit.text}: {what}, {value.value:.2f} times {now.theirs!r}{sure}{doubt}"
    ratios = f"{now.estimate.value:.3g} times {now.theirs!r}, which was {before.estimate.value:.3g} in the baseline"
    return f"{limit.text}: {what}, {value.value:.2f} times as much{sure}{doubt}: {ratios}"
