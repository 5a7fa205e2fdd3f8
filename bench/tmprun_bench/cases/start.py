"""What a start costs when the app itself costs nothing: a static program that exits with 0, every way there is.

A mount is made anew each time and an extraction is done each time, since neither keeps anything; of tmprun there are
first-ever, cold and warm starts. The timing program does all rounds by itself, as in `warm-start`, which has the
limits. The image is tiny: what grows with it is in `scaling`.
"""

from __future__ import annotations

from tmprun_bench import subjects
from tmprun_bench.corpora import exit0, peers
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Result

ROUNDS = 25
PEERS = ("squashfuse_ll", "own runtime, FUSE", "own runtime, extract and run")


def start(context: Context) -> Result:
    """A static exit 0, started every way there is, cold and warm."""
    result = Result("start", "Start of a static exit 0 in every way", facts=subjects.facts())
    peers.fetch()
    # Exit status 0 could come from anywhere: the same AppRun says a word first, in every way.
    measure(subjects.every_way(context, exit0.speaking()), 1, context.work.root)
    ways = subjects.every_way(context, exit0.app())
    result.add(measure(ways, context.rounds(ROUNDS), context.work.root, tight=True))
    for ours in ("bundle, warm", "bundle, cold", "tmprun foreign, warm", "tmprun foreign, cold"):
        for peer in PEERS:
            result.compare(ours, ours, peer)
    return result
