"""What the cases have in common in which an app reads its own files and times that itself.

Only the reading is timed, from the first open on: neither mount nor start. A mount's page cache is empty at first, as
after every mount; the gated trees begin to be filled when the app begins to read; the complete ones, and the plain
one, are memory. That is the point of such a tree, and so it is measured, but what it cost to get there is not: `start`,
`apps` and `first-byte` have it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tmprun_bench import subjects
from tmprun_bench.corpora import peers
from tmprun_bench.corpora.app import App
from tmprun_bench.corpora.worker import own_time
from tmprun_bench.measure.context import Context
from tmprun_bench.measure.harness import measure
from tmprun_bench.measure.results import Amount, Result

ROUNDS = 11
OURS = ("bundle, warm", "bundle, cold, background")
PEERS = ("squashfuse", "squashfuse_ll", subjects.SEVERAL, "kernel squashfs, loop mount", "kernel erofs, loop mount")


def measure_reading(
    context: Context,
    result: Result,
    app: App,
    amount: Amount | None,
    prefix: str = "",
    may_fail: Collection[str] = (),
) -> None:
    """Add the app's own times in every kind of tree, and ours against the mounts'."""
    peers.fetch()
    result.facts |= subjects.facts()
    ways = [replace(way, reads=own_time) for way in subjects.reading_ways(context, app)]
    work, rounds = context.work.root, context.rounds(ROUNDS)
    result.add(measure(ways, rounds, work, memory=context.memory, may_fail=may_fail), prefix)
    if amount:
        result.amounts |= {prefix + way.name: amount for way in ways if prefix + way.name in result.series}
    for ours in OURS:
        for peer in PEERS:
            result.compare(f"{prefix}{ours}", prefix + ours, prefix + peer)
