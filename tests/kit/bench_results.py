"""Results as a benchmark would have them, for what shows, compares and draws them."""

from __future__ import annotations

from tmprun_bench.measure.harness import Measurement, Series
from tmprun_bench.measure.memory import Memory
from tmprun_bench.measure.results import Amount, Point, Result

MACHINE: dict[str, object] = {
    "kernel": "Linux 6.12.1 x86_64", "processor": "Example 3000", "processors": 4, "memory_bytes": 8_000_000_000,
    "tmprun": "tmprun 0.1", "level": 9, "block": "128K", "versions": {"squashfuse": "0.1.105"},
}  # fmt: skip
# Eight runs, of which the median is 1.
SPREAD = (0.9, 0.95, 0.98, 1.0, 1.0, 1.01, 1.06, 1.2)
OURS, PEER, FLOOR = "bundle, cold", "squashfuse_ll", "plain AppDir on tmpfs"


def series(name: str, median: float, *, spread: tuple[float, ...] = SPREAD, memory: Memory | None = None) -> Series:
    """A subject's runs, about `median` seconds each."""
    seconds = [median * part for part in spread]
    return Series(name, seconds, [one / 2 for one in seconds], [0.0] * len(seconds), memory)


def starts(ours: float = 0.05, peer: float = 0.1, *, case: str = "ci", metric: str = "cold_start") -> Result:
    """A case in which we take `ours` seconds, and a mount `peer`."""
    result = Result(case, "Starts of an app")
    found = {name: series(name, median) for name, median in ((FLOOR, 0.01), (PEER, peer), (OURS, ours))}
    result.add(Measurement(found, {"squashfuse": "squashfuse not installed"}))
    result.compare("against a mount", OURS, PEER, must=0.75, reach=0.62, metric=metric)
    result.compare("against the tree on tmpfs", OURS, FLOOR)
    result.compare("kernel's mount", OURS, "squashfuse", metric="mount_start")
    return result


def everything() -> Result:
    """A case that has all that a result can have."""
    result = starts(case="everything")
    result.add(
        Measurement(
            {
                FLOOR: series(FLOOR, 0.2, memory=Memory(5_000_000, 0, 0)),
                PEER: series(PEER, 0.5, memory=Memory(9_000_000, 0, 31_000_000)),
                "bundle, warm": series("bundle, warm", 0.21, memory=Memory(6_000_000, 64_000_000, 0)),
            },
            {},
        ),
        "reads: ",
    )
    for name in list(result.series):
        if name.startswith("reads: "):
            result.amounts[name] = Amount(20_000, "reads")
    slopes = {PEER: 3e-6, OURS: 2e-6, "unsquashfs, then run": 9e-6}
    slopes |= {f"tmprun foreign, {state}": 2e-6 for state in ("first ever", "cold", "cold, background", "cold, eager")}
    for subject, slope in slopes.items():
        for count in (10, 1000, 100_000):
            name = f"{count:,} files: {subject}"
            result.series[name] = series(subject, 0.004 + slope * count)
            result.points.append(Point("files", count, subject, name))
    result.sizes |= {"squashfs image": 64_000_000, "bundle": 51_000_000}
    result.facts["level"] = {"zstd": 9}
    result.notes.append("a [note] with | and *")
    return result
