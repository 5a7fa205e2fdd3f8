"""Medians, and how sure they are.

Times of processes are not normally distributed: a start is never faster than the kernel allows and sometimes much
slower. So nothing here assumes it. The interval of a median is exact, from order statistics
(scipy.stats.quantile_test, the binomial test for quantiles); that of a ratio of medians comes from a bootstrap over
whole rounds (scipy.stats.bootstrap, paired), because the subjects of one round met the same moment of the machine.
pyperf was the other choice: it starts the workers itself, in Python, and reports means with standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
FEWEST = 6  # values with which a 95 % interval of a median exists at all
RESAMPLES = 2000


@dataclass(frozen=True)
class Summary:
    """Of `count` values: the median, the quartiles, the extremes, and the median's 95 % interval when there are
    enough."""

    count: int
    median: float
    lower_quartile: float
    upper_quartile: float
    least: float
    most: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Estimate:
    """A number, and its 95 % interval when there were enough rounds."""

    value: float
    interval: tuple[float, float] | None


def summarise(values: Sequence[float]) -> Summary:
    """`values` has one or more."""
    lower, median, upper = (float(number) for number in np.percentile(values, [25, 50, 75]))
    interval = None
    if len(values) >= FEWEST:
        from scipy import stats  # type: ignore[import-untyped]  # takes most of a second; a list of cases needs none

        found = stats.quantile_test(values, q=0, p=0.5).confidence_interval(CONFIDENCE)
        interval = float(found.low), float(found.high)
    return Summary(len(values), median, lower, upper, min(values), max(values), interval)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """The median of `ours` as a multiple of that of `theirs`, both in the order of the rounds."""
    return _compare(ours, theirs, lambda a, b: np.median(a, axis=-1) / np.median(b, axis=-1))


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """How much more the median of `ours` is than that of `theirs`."""
    return _compare(ours, theirs, lambda a, b: np.median(a, axis=-1) - np.median(b, axis=-1))


def median(values: Sequence[float]) -> Estimate:
    """The median alone, for limits that are absolute."""
    found = summarise(values)
    return Estimate(found.median, found.interval)


def _compare(ours: Sequence[float], theirs: Sequence[float], statistic: object) -> Estimate:
    assert callable(statistic)
    value = float(statistic(np.asarray(ours), np.asarray(theirs)))
    rounds = min(len(ours), len(theirs))
    if rounds < FEWEST:
        return Estimate(value, None)
    from scipy import stats

    found = stats.bootstrap(
        (ours[:rounds], theirs[:rounds]), lambda a, b, axis=-1: statistic(a, b), paired=True, vectorized=True,
        n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=np.random.default_rng(0),
    )  # fmt: skip
    return Estimate(value, (float(found.confidence_interval.low), float(found.confidence_interval.high)))
