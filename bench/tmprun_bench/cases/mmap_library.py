"""A library of 100 MB, mapped and touched page by page: what a dynamic loader and the program behind it do to it.

See cases/reading.py for what is timed.
"""

from __future__ import annotations

from tmprun_bench.cases.reading import measure_reading
from tmprun_bench.corpora import worker
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.results import Amount, Result


def mmap_library(context: Context) -> Result:
    """A map of a library of 100 MB, every page touched, in every kind of mount and tree."""
    result = Result("mmap-library", "A library of 100 MB, mapped, every page touched")
    app = worker.maps(worker.large_files(), worker.LIBRARY)
    measure_reading(context, result, app, Amount(worker.LIBRARY_SIZE, "bytes"))
    return result
