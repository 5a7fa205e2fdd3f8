"""How a start grows with the image: from 10 to 100,000 tiny files, and from 1 MB to 2 GB in about 1,000 files.

The app does the same in each: a static program that reads ten small files and ends. What grows is what stands before
it: a mount costs the same for any image, an extraction costs all of it, and a gated start costs the names of its
files. The first-ever start of a foreign image also hashes the image and makes its index, which nobody else does. Page
cache warm. From 1 GB on those that extract everything first are left out: they take seconds for each run, and the
curve is straight.
"""

from __future__ import annotations

from collections.abc import Sequence

from tmprun_bench import subjects
from tmprun_bench.corpora import catalogue, peers, scaled
from tmprun_bench.corpora.app import App
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import Subject, measure
from tmprun_bench.measure.results import Point, Result

ROUNDS, LARGE_ROUNDS = 5, 3  # the large ones take seconds to fill and to delete, untimed
FILES = (10, 100, 1_000, 10_000, 100_000)
MB = 1_000_000
SIZES = (1 * MB, 10 * MB, 100 * MB, 300 * MB, 1_000 * MB, 2_000 * MB)
ALL_EXTRACTED = 1_000 * MB  # bytes from which nobody is asked to extract everything
LARGE_FILES = 100_000
OURS = ("bundle, cold", "tmprun foreign, cold", "tmprun foreign, first ever")


def scaling(context: Context) -> Result:
    """Cold start of a program that reads ten files, from 10 to 100,000 files and from 1 MB to 2 GB."""
    peers.fetch()
    result = Result("scaling", "Cold start, ten files read", facts=subjects.facts())
    for count in FILES:
        _measure(context, result, "files", count, f"{count:,} files: ", _ways(context, _tiny(count), whole=True))
    for size in SIZES:
        whole = size < ALL_EXTRACTED
        prefix = f"{size // MB:,} MB: "
        if not whole:
            result.notes.append(f"{prefix}nobody extracts everything first, which would take seconds each time")
        _measure(context, result, "bytes", size, prefix, _ways(context, scaled.scaled(size), whole=whole))
    return result


def _tiny(count: int) -> App:
    """The ten that are read lie far apart."""
    return catalogue.tiny(count, range(0, count, count // scaled.READ))


def _ways(context: Context, app: App, *, whole: bool) -> list[Subject]:
    ways = [
        subjects.squashfuse(context, app, low_level=True),
        subjects.bundle(context, app),
        subjects.foreign(context, app),
        subjects.foreign(context, app, state="first ever"),
    ]
    extracted = [subjects.bundle(context, app, fill="eager"), subjects.unsquashfs(context, app)]
    return [*ways, *extracted] if whole else ways


def _measure(context: Context, result: Result, axis: str, x: int, prefix: str, ways: Sequence[Subject]) -> None:
    large = x >= (LARGE_FILES if axis == "files" else ALL_EXTRACTED)
    measurement = measure(ways, context.rounds(LARGE_ROUNDS if large else ROUNDS), context.work.root)
    result.add(measurement, prefix)
    result.points += [Point(axis, x, name, prefix + name) for name in measurement.series]
    for ours in OURS:
        result.compare(f"{prefix}{ours}", prefix + ours, f"{prefix}squashfuse_ll")
