"""Random reads of 4 KiB in a file of 256 MB: what a database, or a file of resources, does to the tree it lies in.

A compressed file system decodes a whole block for each, unless the page cache has it; a gated file is filled before its
open returns, which is timed as part of the reading. See cases/reading.py for what is timed.
"""

from __future__ import annotations

from tmprun_bench.cases.reading import measure_reading
from tmprun_bench.corpora import worker
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.results import Amount, Result

READS = 2000


def random_reads(context: Context) -> Result:
    """2,000 random reads of 4 KiB in a file of 256 MB, in every kind of mount and tree."""
    result = Result("random-reads", f"{READS:,} random reads of 4 KiB in a file of 256 MB")
    app = worker.reads_at_random(worker.large_files(), READS, worker.DATA)
    measure_reading(context, result, app, Amount(READS, "reads"))
    return result
