"""The first byte of one file of 1 MB among 1,000, 1 GB together: once from the command on, once from the app's open on.

From the command on is what a user waits: mount or skeleton, start, open, read. From the open on is what the app waits.
"""

from __future__ import annotations

from tmprun_bench import subjects
from tmprun_bench.cases.reading import measure_reading
from tmprun_bench.corpora import catalogue, peers, synthetic, worker
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Result

ROUNDS = 11
WHICH = 503
OURS = ("bundle, cold", "bundle, warm", "tmprun foreign, cold")
PEERS = ("squashfuse", "squashfuse_ll", subjects.SEVERAL, "own runtime, FUSE")


def first_byte(context: Context) -> Result:
    """The first byte of one file in an image of 1 GB, from the command on and from the open on."""
    peers.fetch()
    result = Result("first-byte", "The first byte of one file in 1 GB")
    app = worker.over("one-of-many", "1 GB in 1,000 files, one byte read", catalogue.sparse_use())
    app = worker.reads_first_byte(app, synthetic.file_name(WHICH))
    whole = "from the command on: "
    ways = [
        *subjects.reading_ways(context, app),
        subjects.bundle(context, app),
        subjects.foreign(context, app),
        subjects.foreign(context, app, state="first ever"),
    ]
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root), whole)
    for ours in OURS:
        for peer in PEERS:
            result.compare(f"{whole}{ours}", whole + ours, whole + peer)
    measure_reading(context, result, app, None, "from the open on: ")
    return result
