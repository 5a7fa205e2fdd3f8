"""A stat of each of 10,000 files: what a program does that looks for its plug-ins, icons or modules.

In a gated tree nothing has to be filled for it. See cases/reading.py for what is timed.
"""

from __future__ import annotations

from tmprun_bench.cases.reading import measure_reading
from tmprun_bench.corpora import catalogue, worker
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.results import Amount, Result

FILES = 10_000


def stat_storm(context: Context) -> Result:
    """List and stat 10,000 files in 100 directories, in every kind of mount and tree."""
    result = Result("stat-storm", f"List and stat {FILES:,} files")
    app = worker.stats(worker.over("many-names", f"{FILES:,} tiny files", catalogue.tiny(FILES)), "data")
    measure_reading(context, result, app, Amount(FILES, "files"))
    return result
